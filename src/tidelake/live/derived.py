"""Streams derived from the rows of the bus: spread, imbalance, order flow, differences between venues.

Each is a fold: a row goes in, rows come out, and nothing but the rows decides. They take `book` rows or `quotes` rows.
Every derived row says the state of the book that it came from in `validity`, of two books the worse one; from a book
that is INVALID, or a side that is empty, no value is made: it is null. docs/semantics.md defines each.
"""

import datetime as dt
from bisect import insort
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

import msgspec

from tidelake.books.states import INVALID, STATES, WORST_FIRST

NS = 1_000_000_000
_WORST = [STATES[state] for state in WORST_FIRST]
_INVALID = STATES[INVALID]


class Fold(Protocol):
    """Derives rows, one input row at a time."""

    def take(self, row: Any) -> Sequence[msgspec.Struct]:
        """What follows from this row."""


class Top(NamedTuple):
    """Best bid and ask of a `book` or `quotes` row."""

    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal

    @property
    def mid(self) -> Decimal:
        """Half way between bid and ask."""
        return (self.bid + self.ask) / 2


def top_of(row: Any) -> Top | None:
    """The best levels that a row tells; None where its book is INVALID or a side is empty."""
    if row.validity == _INVALID:
        return None
    if hasattr(row, "bid_prices"):
        if not row.bid_prices or not row.ask_prices:
            return None
        return Top(row.bid_prices[0], row.bid_sizes[0], row.ask_prices[0], row.ask_sizes[0])
    told = (row.bid_price, row.bid_size, row.ask_price, row.ask_size)
    return None if None in told else Top(*told)


def worst(*validities: str) -> str:
    """The worst of these states: INVALID, SUSPECT, UNPROVABLE, VALID."""
    return min(validities, key=_WORST.index)


class _OneBook(msgspec.Struct, frozen=True, kw_only=True):
    """Of which row of which book; `id` is that of the row it was made from."""

    id: str
    source: str
    symbol: str
    channel: str
    event_time: dt.datetime | None
    recv_ns: int
    validity: str


def _of(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _OneBook.__struct_fields__}


class SpreadRow(_OneBook, frozen=True, kw_only=True):
    """Best ask less best bid: `spread` in quote per base, `spread_bps` in 1/10,000 of the mid price."""

    spread: Decimal | None
    spread_bps: float | None


@dataclass
class Spread:
    """See `SpreadRow`."""

    def take(self, row: Any) -> list[SpreadRow]:
        top = top_of(row)
        if top is None:
            return [SpreadRow(**_of(row), spread=None, spread_bps=None)]
        spread = top.ask - top.bid
        return [SpreadRow(**_of(row), spread=spread, spread_bps=float(spread / top.mid * 10_000))]


class ImbalanceRow(_OneBook, frozen=True, kw_only=True):
    """(bid size - ask size) / (bid size + ask size) over the best `levels` of each side: -1 to 1."""

    levels: int
    imbalance: float | None


@dataclass
class Imbalance:
    """See `ImbalanceRow`.

    Attributes:
        levels: Best levels of each side that count; a side with fewer counts with those it has.
    """

    levels: int = 5

    def take(self, row: Any) -> list[ImbalanceRow]:
        top, value = top_of(row), None
        if top is not None:
            bids = row.bid_sizes[: self.levels] if hasattr(row, "bid_sizes") else (top.bid_size,)
            asks = row.ask_sizes[: self.levels] if hasattr(row, "ask_sizes") else (top.ask_size,)
            bid, ask = sum(bids, Decimal(0)), sum(asks, Decimal(0))
            value = float((bid - ask) / (bid + ask)) if bid + ask else None
        return [ImbalanceRow(**_of(row), levels=self.levels, imbalance=value)]


class OrderFlowRow(_OneBook, frozen=True, kw_only=True):
    """What the best bid gained and the best ask lost since the row before, in sizes of the product.

    `flow` is e_n of Cont, Kukanov and Stoikov, "The Price Impact of Order Book Events" (Journal of Financial
    Econometrics 12, 2014), equation 3; `window_flow` its sum over the last `window_seconds` by our clock, OFI.
    """

    flow: Decimal | None
    window_seconds: float
    window_flow: Decimal | None


@dataclass
class OrderFlow:
    """See `OrderFlowRow`. After a book that was not whole both begin anew.

    Attributes:
        window_seconds: Rows received within so many seconds up to a row count in its `window_flow`.
    """

    window_seconds: float = 10.0
    _before: dict[tuple[str, str, str], Top] = field(default_factory=dict)
    _flows: dict[tuple[str, str, str], deque[tuple[int, Decimal]]] = field(default_factory=dict)

    def take(self, row: Any) -> list[OrderFlowRow]:
        book, top = (row.source, row.symbol, row.channel), top_of(row)
        before = self._before.get(book)
        flows = self._flows.setdefault(book, deque())
        flow = total = None
        if top is None:
            self._before.pop(book, None)
            flows.clear()
        else:
            self._before[book] = top
            if before is not None:
                flow = order_flow(before, top)
                flows.append((row.recv_ns, flow))
                while flows[0][0] <= row.recv_ns - self.window_seconds * NS:
                    flows.popleft()
                total = sum((each for _, each in flows), Decimal(0))
        made = OrderFlowRow(**_of(row), flow=flow, window_seconds=self.window_seconds, window_flow=total)
        return [made]


def order_flow(before: Top, now: Top) -> Decimal:
    """e_n of two tops that follow each other."""
    flow = Decimal(0)
    if now.bid >= before.bid:
        flow += now.bid_size
    if now.bid <= before.bid:
        flow -= before.bid_size
    if now.ask <= before.ask:
        flow -= now.ask_size
    if now.ask >= before.ask:
        flow += before.ask_size
    return flow


class _TwoVenues(msgspec.Struct, frozen=True, kw_only=True):
    """Two venues; `source` stands before `other` in the alphabet. `id` is that of the row it was made from."""

    id: str
    symbol: str
    source: str
    other: str
    recv_ns: int
    validity: str


class PriceDifferenceRow(_TwoVenues, frozen=True, kw_only=True):
    """How the mid price of `source` differs from that of `other`.

    `difference` in quote per base, `difference_bps` in 1/10,000 of the mean of both mids. `crossing_bps` is what buying
    at one ask and selling at the other bid would gain, before fees, at the better of both ways; below zero it would
    lose. `alert` is up from when |difference_bps| reaches the threshold until it falls below the lower one; `change` is
    "raised" or "cleared" on the row where that happens. Without a value the alert stays as it was.
    """

    difference: Decimal | None
    difference_bps: float | None
    crossing_bps: float | None
    reason: str
    alert: bool
    change: str


class _Told(NamedTuple):
    top: Top | None
    validity: str
    recv_ns: int


@dataclass
class PriceDifference:
    """See `PriceDifferenceRow`: one row for each other venue of the symbol.

    Attributes:
        threshold_bps: Where the alert is raised.
        clear_bps: Below which it is cleared; half of the threshold by default, so that it does not flap.
        stale_seconds: A venue that told nothing for so long, by our clock, gives no value.
    """

    threshold_bps: float = 10.0
    clear_bps: float | None = None
    stale_seconds: float = 5.0
    _last: dict[tuple[str, str], _Told] = field(default_factory=dict)
    _alerts: set[tuple[str, str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        clear = self.threshold_bps / 2 if self.clear_bps is None else self.clear_bps
        if not 0 <= clear <= self.threshold_bps:
            raise ValueError(f"clear_bps={clear} must lie between 0 and threshold_bps={self.threshold_bps}")
        self._clear = clear

    def take(self, row: Any) -> list[PriceDifferenceRow]:
        self._last[row.symbol, row.source] = _Told(top_of(row), row.validity, row.recv_ns)
        others = sorted(source for symbol, source in self._last if symbol == row.symbol and source != row.source)
        return [self._pair(row, *sorted((row.source, other))) for other in others]

    def _pair(self, row: Any, source: str, other: str) -> PriceDifferenceRow:
        one, two = self._last[row.symbol, source], self._last[row.symbol, other]
        pair = (row.symbol, source, other)
        was = pair in self._alerts
        difference, bps, crossing, reason = self._compare(one, two)
        if bps is not None and abs(bps) >= self.threshold_bps:
            self._alerts.add(pair)
        elif bps is not None and abs(bps) < self._clear:
            self._alerts.discard(pair)
        alert = pair in self._alerts
        return PriceDifferenceRow(
            id=row.id,
            symbol=row.symbol,
            source=source,
            other=other,
            recv_ns=row.recv_ns,
            validity=worst(one.validity, two.validity),
            difference=difference,
            difference_bps=bps,
            crossing_bps=crossing,
            reason=reason,
            alert=alert,
            change="" if alert == was else "raised" if alert else "cleared",
        )

    def _compare(self, one: _Told, two: _Told) -> tuple[Decimal | None, float | None, float | None, str]:
        if abs(one.recv_ns - two.recv_ns) > self.stale_seconds * NS:
            return None, None, None, "stale"
        a, b = one.top, two.top
        if a is None or b is None:
            return None, None, None, "invalid" if _INVALID in (one.validity, two.validity) else "one-sided"
        mean = (a.mid + b.mid) / 2
        gain = max(a.bid - b.ask, b.bid - a.ask)
        return a.mid - b.mid, float((a.mid - b.mid) / mean * 10_000), float(gain / mean * 10_000), ""


class LatencyDifferenceRow(_TwoVenues, frozen=True, kw_only=True):
    """How much later the rows of `source` reach us than those of `other`, in µs.

    `latency_us` and `other_latency_us` are medians of receive clock less event time over the last rows of each venue.
    The offset of our clock falls out of their difference, that of the venues' clocks does not.
    """

    latency_us: float
    other_latency_us: float
    difference_us: float
    rows: int
    other_rows: int


@dataclass
class LatencyDifference:
    """See `LatencyDifferenceRow`: one row for each other venue of the symbol. Rows without an event time do not count.

    Attributes:
        window: Rows of a venue that the median is taken of.
    """

    window: int = 101
    _last: dict[tuple[str, str], "_Latencies"] = field(default_factory=dict)

    def take(self, row: Any) -> list[LatencyDifferenceRow]:
        if row.event_time is None:
            return []
        mine = self._last.setdefault((row.symbol, row.source), _Latencies(self.window))
        mine.add(row.recv_ns - _ns(row.event_time), getattr(row, "validity", STATES[0]))
        others = sorted(source for symbol, source in self._last if symbol == row.symbol and source != row.source)
        return list(self._pairs(row, others))

    def _pairs(self, row: Any, others: list[str]) -> Iterator[LatencyDifferenceRow]:
        for name in others:
            source, other = sorted((row.source, name))
            one, two = self._last[row.symbol, source], self._last[row.symbol, other]
            yield LatencyDifferenceRow(
                id=row.id,
                symbol=row.symbol,
                source=source,
                other=other,
                recv_ns=row.recv_ns,
                validity=worst(one.validity, two.validity),
                latency_us=one.median_us,
                other_latency_us=two.median_us,
                difference_us=one.median_us - two.median_us,
                rows=len(one.order),
                other_rows=len(two.order),
            )


class _Latencies:
    """The last latencies of a venue, in order of time and of size."""

    def __init__(self, window: int) -> None:
        self.order: deque[int] = deque()
        self.sizes: list[int] = []
        self.validity = STATES[0]
        self._window = window

    def add(self, ns: int, validity: str) -> None:
        self.validity = validity
        self.order.append(ns)
        insort(self.sizes, ns)
        if len(self.order) > self._window:
            self.sizes.remove(self.order.popleft())

    @property
    def median_us(self) -> float:
        middle = len(self.sizes) // 2
        if len(self.sizes) % 2:
            return self.sizes[middle] / 1_000
        return (self.sizes[middle - 1] + self.sizes[middle]) / 2_000


def _ns(time: dt.datetime) -> int:
    return (time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) * 1_000


FOLDS: dict[str, type[Any]] = {
    "spread": Spread,
    "imbalance": Imbalance,
    "order_flow": OrderFlow,
    "price_difference": PriceDifference,
    "latency_difference": LatencyDifference,
}
