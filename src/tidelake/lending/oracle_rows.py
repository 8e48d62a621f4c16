"""Rows of `token_prices` that protocols' oracles tell, out of the recorded answers of their markets.

Where a collection also made the calls of `oracle_prices`, they are read; where it did not, there is no row.
"""

import datetime as dt
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal

import msgspec

from tidelake.chains.registry import CHAINS
from tidelake.errors import FormatDrift, TidelakeError
from tidelake.lending.contracts import contracts_of
from tidelake.lending.families.registry import family as find_family
from tidelake.lending.market import Market
from tidelake.lending.oracle_prices import PRICE, OraclePrice, has_oracle, held_prices
from tidelake.lending.recorded import DayNote, Section, Unanswered, recorded_answers, replay
from tidelake.lending.section_lines import place_sections
from tidelake.tables.fact_rows import FactRow
from tidelake.tables.rows import Rejected, refuse
from tidelake.tables.segment_lines import SegmentLines
from tidelake.tables.token_prices import TOKEN_PRICES
from tidelake.tables.values import check_event_us

_ASKED = PRICE.selector.hex().encode()
_STEP = Decimal((0, (1,), -18))
_ROUND = Context(prec=100, rounding=ROUND_HALF_EVEN)


def read_oracle_rows(market: Market, lines: SegmentLines) -> tuple[list[FactRow], list[Rejected]]:
    """The rows of a segment of a market's lane, and days whose prices cannot be read."""
    rows: list[FactRow] = []
    rejected: list[Rejected] = []
    if _ASKED not in lines.plain or not has_oracle(market.family, market.contracts):
        return rows, rejected
    for placed in place_sections(lines, DayNote):
        section = placed.section
        if section is None or section.note.state != "OK" or not _is_day(section.note.grid):
            continue
        try:
            facts = list(_facts(market, section))
            rows += [FactRow(placed.line, item, one) for item, one in enumerate(facts)]
        except (TidelakeError, ValueError, ArithmeticError, msgspec.MsgspecError) as exc:
            rejected.append(refuse(TOKEN_PRICES, placed.line, 0, f"{market.id} {section.note.grid}: {exc}"))
    return rows, rejected


def _is_day(grid: str) -> bool:
    return not grid.isdecimal() and "T" not in grid


def _facts(market: Market, section: Section[DayNote]) -> Iterator[dict[str, object]]:
    note = section.note
    if note.time is None:
        raise FormatDrift("the time of the block is not told")
    answers = recorded_answers(section, CHAINS[market.chain].multicall3.address)
    try:
        held = replay(lambda: find_family(market.family).positions(contracts_of(market), note.parts), answers)
        found = replay(lambda: held_prices(market.contracts, held), answers)
    except Unanswered:  # no price was asked for that day; `lending_positions` says what else is missing
        return
    symbols = {position.asset: (position.symbol or None, position.decimals) for position in held}
    for one in found:
        yield {
            "chain": market.chain,
            "token": one.asset,
            "grid_time": dt.datetime.fromisoformat(note.grid).replace(tzinfo=dt.UTC),
            "price_source": f"oracle:{market.id}",
            "state": "NOT_PRICED" if one.price is None else "PRICED",
            "event_time": check_event_us(note.time * 1_000_000, section.frame.recv_ns),
            "price_usd": _dollars(one),
            "price_told": None if one.price is None else str(one.price),
            "confidence": None,
            "symbol": symbols[one.asset][0],
            "decimals": symbols[one.asset][1],
        }


def _dollars(told: OraclePrice) -> Decimal | None:
    if told.price is None or told.unit is None:
        return None
    return _ROUND.divide(Decimal(told.price), Decimal(told.unit)).quantize(_STEP, context=_ROUND)
