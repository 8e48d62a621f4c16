"""What collateral the markets of Morpho Blue hold: the contract does not keep the sum, its logs tell each change of it.

The sum is known on the days up to which all logs since the deployment are known.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import polars as pl

from tidelake.chains.logs import LogFact
from tidelake.lending.families.morpho_blue import COLLATERAL_EVENTS, CREATE, collateral_moved

MOVES = {event.topic0 for event in COLLATERAL_EVENTS}
LOAN, COLLATERAL = 0, 1


class Tokens(NamedTuple):
    """The assets of one market id of Morpho, in small letters."""

    loan: str
    collateral: str


def tokens_by_part(logs: Iterable[LogFact]) -> dict[str, Tokens]:
    """The assets of each market id, as the logs that tell of its creation say."""
    found = {}
    for log in logs:
        if log.topics and log.topics[0] == CREATE.topic0:
            told = CREATE.decode(log.topics, log.data)["marketParams"]
            found[log.topics[1]] = Tokens(str(told[LOAN]).lower(), str(told[COLLATERAL]).lower())
    return found


def collateral_held(logs: Iterable[LogFact], blocks: Iterable[int]) -> dict[int, dict[str, int]]:
    """The collateral of each market id after each of these blocks, in the smallest unit; those without any left out.

    Args:
        logs: All logs of the contract from its deployment to the last of the blocks, in any order.
        blocks: Numbers of blocks.
    """
    moves = sorted((log.block_number, *collateral_moved(log)) for log in logs if log.topics and log.topics[0] in MOVES)
    waiting = [(block, list(rows)) for block, rows in groupby(moves, key=itemgetter(0))][::-1]
    held: dict[str, int] = {}
    found = {}
    for block in sorted(set(blocks)):
        while waiting and waiting[-1][0] <= block:
            for _, part, moved in waiting.pop()[1]:
                held[part] = held.get(part, 0) + moved
        found[block] = {part: amount for part, amount in held.items() if amount}
    return found


def collateral_positions(
    days: pl.DataFrame, logs: Iterable[LogFact], decimals: Mapping[str, int], schema: Mapping[str, Any]
) -> pl.DataFrame:
    """The collateral of one market of the family as rows of `lending_positions`.

    Args:
        days: One row for each day that was read, and up to which all logs are known: `chain`, `market`, `date`,
            `block_number` and what else the rows are to carry over.
        logs: All logs of its contract.
        decimals: Of assets; of one that is not here the amount in whole assets is not known.
        schema: Of the rows.
    """
    told = list(logs)
    tokens = tokens_by_part(told)
    held = collateral_held(told, days["block_number"].to_list())
    rows = []
    for day in days.iter_rows(named=True):
        for part, amount in sorted(held[day["block_number"]].items()):
            asset = tokens[part].collateral if part in tokens else part
            rows.append(
                day
                | {"asset": asset, "role": "collateral", "part": part, "decimals": decimals.get(asset)}
                | {"supplied_raw": str(amount), "borrowed_raw": "0"}
            )
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)
