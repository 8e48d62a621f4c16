"""The collateral of markets of Morpho Blue, out of the logs in the lake."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tidelake.chains.logs import LogFact
from tidelake.lending.families.morpho_blue import CREATE, FAMILY
from tidelake.lending.market import MAIN_CONTRACT, Market
from tidelake.lending.panel.holdings import KEY
from tidelake.lending.panel.log_days import ChainNotes, is_known_since
from tidelake.lending.panel.morpho_collateral import collateral_positions, tokens_by_part
from tidelake.raw.store import Store
from tidelake.tables.chain_events import CHAIN_EVENTS
from tidelake.tables.read import scan

MOVES = tuple(event.topic0 for event in FAMILY.state_events)
TOPICS = ("topic0", "topic1", "topic2", "topic3")
PARTS = {"market": pl.String, "part": pl.String, "loan": pl.String, "collateral": pl.String}


@dataclass(frozen=True)
class Collateral:
    """What is known of collateral that only logs tell.

    Attributes:
        positions: Rows of `lending_positions` of role collateral.
        days: `market` and `date` of the days on which it is known.
        parts: `market`, `part`, and its assets `loan` and `collateral`.
    """

    positions: pl.DataFrame
    days: pl.DataFrame
    parts: pl.DataFrame


def read_collateral(
    store: Store,
    as_of: dt.datetime | None,
    positions: pl.DataFrame,
    markets: Sequence[Market],
    notes: Mapping[str, ChainNotes],
    decimals: pl.DataFrame,
) -> Collateral:
    """The collateral of those of the markets that are of the family, on the days on which they were read.

    Args:
        store: The lake.
        as_of: Only what was known then counts.
        positions: Rows of `lending_positions`, with `date`.
        markets: Of the registry.
        notes: By chain: on other days than those up to which all logs are known, the collateral is not known.
        decimals: `chain`, `asset`, `decimals`.
    """
    found = [positions.clear()]
    days = [positions.select(KEY).clear()]
    parts: list[tuple[str, str, str, str]] = []
    for market in markets:
        if market.family != FAMILY.name:
            continue
        logs = list(_logs(store, as_of, market))
        known = _known_days(market, positions, notes[market.chain])
        told = decimals.filter(pl.col("chain") == market.chain).select("asset", "decimals")
        found.append(collateral_positions(known, logs, dict(told.rows()), positions.schema))
        days.append(known.select(KEY))
        parts += [(market.id, part, *tokens) for part, tokens in tokens_by_part(logs).items()]
    return Collateral(pl.concat(found), pl.concat(days), pl.DataFrame(parts, schema=PARTS, orient="row"))


def _known_days(market: Market, positions: pl.DataFrame, notes: ChainNotes) -> pl.DataFrame:
    """A row of `positions`, without asset and amounts, for each day on which the collateral is known."""
    read = positions.filter(pl.col("market") == market.id, pl.col("state") == "OK").unique("date", keep="first")
    deployed = market.deployment.block
    needed = [[told for told in notes.ranges if told.holds(topics)] for topics in (MOVES, (CREATE.topic0,))]
    good = [
        deployed is not None and all(is_known_since(market.id, ranges, deployed, block) for ranges in needed)
        for block in read["block_number"].to_list()
    ]
    amounts = [name for name in read.columns if name.startswith(("supplied", "borrowed", "available", "shares"))]
    empty = [pl.lit(None, read.schema[name]).alias(name) for name in (*amounts, "symbol", "active", "frozen", "paused")]
    return read.filter(pl.Series(good, dtype=pl.Boolean)).with_columns(empty).sort("date")


def _logs(store: Store, as_of: dt.datetime | None, market: Market) -> Iterator[LogFact]:
    address = market.contracts[MAIN_CONTRACT[FAMILY.name]].lower()
    mine = (
        (pl.col("chain") == market.chain)
        & (pl.col("address") == address)
        & pl.col("topic0").is_in([*MOVES, CREATE.topic0])
    )
    for row in scan(store, CHAIN_EVENTS, as_of=as_of).filter(mine).collect().iter_rows(named=True):
        yield LogFact(
            chain=row["chain"],
            block_hash=row["block_hash"],
            block_number=row["block_number"],
            tx_hash=row["tx_hash"],
            tx_index=row["tx_index"],
            log_index=row["log_index"],
            address=row["address"],
            topics=tuple(row[name] for name in TOPICS if row[name] is not None),
            data=row["data"],
            removed=False,
        )
