"""What a simulated venue lists, and the columns in which its trades are told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tidelake.sim.reference import Ints

MS = 1_000_000
US = 1_000


@dataclass(frozen=True)
class Listing:
    """One product of a simulated venue.

    Attributes:
        source: Source id, such as "coinbase".
        venue_symbol: The venue's own name in REST answers.
        symbol: Canonical symbol.
        base, quote, settle: Assets.
        tick, lot: Grid of price and of size, in the units of the wire.
        size_unit: What a size of 1 is: "base", "quote", or "contracts" of `contract_size` in `contract_unit`.
        clock_ns: Resolution of the venue's trade times.
        clock_offset_ns: Added to each time (below `clock_ns`), for venues whose times have more digits than needed.
        distinct_times: Whether no two trades share a time.
        price_scale: Price relative to base / quote, such as 1.004 for a future; an option's price in base otherwise.
        numbered: Whether the wire ids count trades by one.
        extra: Names and facts that only this venue's wire format has.
    """

    source: str
    venue_symbol: str
    symbol: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    settle: str = ""
    kind: Literal["spot", "perpetual", "future", "option"] = "spot"
    size_unit: Literal["base", "quote", "contracts"] = "base"
    contract_size: Decimal = Decimal(1)
    contract_unit: str = ""
    min_lots: int = 1
    clock_ns: int = MS
    clock_offset_ns: int = 0
    distinct_times: bool = False
    price_scale: float = 1.0
    numbered: bool = True
    strike: Decimal | None = None
    option_type: Literal["call", "put"] | None = None
    expires_ns: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Name of the listing in the market: "<source>:<canonical symbol>"."""
        return f"{self.source}:{self.symbol}"

    @property
    def tick_text(self) -> str:
        """The tick in plain notation."""
        return fixed(1, self.tick)

    @property
    def lot_text(self) -> str:
        """The lot in plain notation."""
        return fixed(1, self.lot)


@dataclass(frozen=True)
class Trades:
    """Columns of trades of one listing, in order.

    Attributes:
        seq: Count of the trade since the market's start, from 1, without holes.
        number: The venue's number of the trade; equals `seq` unless ids jump.
        time_ns: Event time, ns since 1970 UTC, as exact as the venue's wire tells it.
        ticks, lots: Price and size in units of the listing's tick and lot.
        buy: Whether the taker bought.
    """

    listing: Listing
    seq: Ints
    number: Ints
    time_ns: Ints
    ticks: Ints
    lots: Ints
    buy: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.seq)

    def __getitem__(self, which: Any) -> "Trades":
        columns = (self.seq, self.number, self.time_ns, self.ticks, self.lots, self.buy)
        return Trades(self.listing, *(column[which] for column in columns))

    def prices(self) -> list[str]:
        """Exact prices as text, as many decimals as the tick has."""
        return [fixed(ticks, self.listing.tick) for ticks in self.ticks.tolist()]

    def sizes(self) -> list[str]:
        """Exact sizes as text, as many decimals as the lot has."""
        return [fixed(lots, self.listing.lot) for lots in self.lots.tolist()]


def joined(parts: "list[Trades]") -> Trades:
    """One table of several of the same listing, in the order given; at least one."""
    names = ("seq", "number", "time_ns", "ticks", "lots", "buy")
    return Trades(parts[0].listing, *(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def places(grid: Decimal) -> int:
    """Decimals that the grid's own notation has: 2 for 0.01 and for 0.50, 0 for 10."""
    exponent = grid.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def fixed(count: int, grid: Decimal) -> str:
    """`count * grid` in plain notation, with the decimals of the grid."""
    digits = places(grid)
    value = count * int(grid.scaleb(digits))
    if digits == 0:
        return str(value)
    whole, part = divmod(abs(value), 10**digits)
    return f"{'-' if value < 0 else ''}{whole}.{part:0{digits}d}"


def plain(text: str) -> str:
    """The number without zeros at its end: "0.10" gives "0.1", "10" stays."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def quarter_expiry(start_ns: int) -> date:
    """The last Friday of a quarter's last month, the first that lies at least 30 days after the start."""
    day = datetime.fromtimestamp(start_ns // 10**9, UTC).date() + timedelta(days=30)
    while not (day.weekday() == 4 and day.month % 3 == 0 and (day + timedelta(days=7)).month != day.month):
        day += timedelta(days=1)
    return day


def at_eight(day: date) -> int:
    """08:00 UTC of the day, when dated contracts expire, in ns since 1970."""
    return int(datetime(day.year, day.month, day.day, 8, tzinfo=UTC).timestamp()) * 10**9
