"""Rows of `token_prices` out of the pages of price sources."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import cached_property

from tidelake.errors import FormatDrift
from tidelake.lending.market import Market
from tidelake.lending.oracle_rows import read_oracle_rows
from tidelake.lending.position_rows import LANES, market_of
from tidelake.providers.registry import PROVIDERS
from tidelake.providers.spec import PriceTold, end_of
from tidelake.raw.entry import Entry
from tidelake.raw.frame import Frame, decode_line
from tidelake.raw.ledger import lane_name
from tidelake.tables.decode import Decoded
from tidelake.tables.fact_rows import FactRow, decoded
from tidelake.tables.rows import Rejected, refuse
from tidelake.tables.segment_lines import SegmentLines
from tidelake.tables.token_prices import TOKEN_PRICES
from tidelake.tables.values import MOST_DIGITS, check_event_us, to_number

FEED = "token_prices"
VERSION = "tidelake/prices@1"
_STEP = Decimal((0, (1,), -18))
_ROUND = Context(prec=60, rounding=ROUND_HALF_EVEN)


def prices_lane(provider: str) -> str:
    """The lane of a source's pages."""
    return lane_name("prices", provider)


class PriceReader:
    """Reads `token_prices` (`tables.derive.Reader`).

    Args:
        read_markets: Reads the registry; called where there is a lane of a market to read.
    """

    ordered = False

    def __init__(self, read_markets: Callable[[], Mapping[str, Market]]) -> None:
        self._read_markets = read_markets

    @cached_property
    def _markets(self) -> Mapping[str, Market]:
        return self._read_markets()

    def serves(self, source: str, lane: str) -> bool:
        return lane.startswith(LANES) or (source in PROVIDERS and lane == prices_lane(source))

    def read(self, entry: Entry, lines: SegmentLines) -> Decoded:
        """The rows of an entry.

        Raises:
            ConfigError: The market of the lane is not in the registry, or that cannot be read.
        """
        if entry.lane.startswith(LANES):
            told_by_oracle, refused = read_oracle_rows(market_of(self._markets, entry.lane), lines)
            return decoded(TOKEN_PRICES, told_by_oracle, refused, lines, entry, VERSION, len(lines.recv_ns))
        rows: list[FactRow] = []
        rejected: list[Rejected] = []
        pages = 0
        for line in range(len(lines.recv_ns)):
            frame = decode_line(lines.lines[line].as_py())
            if frame.kind != "page":
                continue
            pages += 1
            try:
                told = PROVIDERS[entry.source].read(frame.request, frame.payload)
            except FormatDrift as exc:
                rejected.append(refuse(TOKEN_PRICES, line, 0, str(exc)))
                continue
            for item, found in enumerate(_rows(entry.source, frame, told)):
                if isinstance(found, str):
                    rejected.append(refuse(TOKEN_PRICES, line, item, found))
                else:
                    rows.append(FactRow(line, item, found))
        return decoded(TOKEN_PRICES, rows, rejected, lines, entry, VERSION, pages)

    def close(self) -> None:
        """Nothing is kept between entries."""


def _rows(source: str, frame: Frame, told: list[PriceTold]) -> Iterator[dict[str, object] | str]:
    """A row for each, or why there is none."""
    for one in told:
        try:
            yield _row(source, frame, one)
        except (ValueError, ArithmeticError) as exc:
            yield f"{one.token.chain}:{one.token.address} on {one.day}: {exc}"


def _row(source: str, frame: Frame, told: PriceTold) -> dict[str, object]:
    midnight = dt.datetime.combine(told.day, dt.time(), dt.UTC)
    moment_s = end_of(told.day) if told.moment_s is None else told.moment_s
    return {
        "chain": told.token.chain,
        "token": told.token.address,
        "grid_time": midnight,
        "price_source": source,
        "state": "NOT_PRICED" if told.price is None else "PRICED",
        "event_time": check_event_us(moment_s * 1_000_000, frame.recv_ns),
        "price_usd": None if told.price is None else price_of(told.price),
        "price_told": told.price,
        "confidence": None if told.confidence is None else _confidence(told.confidence),
        "symbol": told.symbol,
        "decimals": told.decimals,
    }


def price_of(text: str) -> Decimal:
    """The price that a JSON number spells, rounded half to even at 18 digits behind the point.

    Raises:
        ValueError: It is no number, not above zero there, or too large for the column.
    """
    number = to_number(text)
    if number.adjusted() >= MOST_DIGITS:
        raise ValueError(f"price {text} does not fit Decimal(38, 18)")
    rounded = number.quantize(_STEP, context=_ROUND)
    if rounded <= 0:
        raise ValueError(f"price {text} is not above zero")
    return rounded


def _confidence(text: str) -> Decimal:
    number = to_number(text)
    if not 0 <= number <= 1:
        raise ValueError(f"confidence {text} is not between 0 and 1")
    return number.quantize(_STEP, context=_ROUND)
