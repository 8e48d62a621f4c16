"""Prices of a day in cells of ten seconds: what tables say of the same moment is compared, whatever their clocks."""

from dataclasses import dataclass

import numpy as np

from tidelake.books.assessment.day_grid import CELLS, DayGrid
from tidelake.books.assessment.histograms import LogHistogram
from tidelake.books.assessment.rows import FIRST, SECOND, Flags, Floats, Integers, Rows

SCALE = 1e9  # prices and sizes are counted as integers of this part
NEIGHBOURS = 1  # cells on each side whose book counts too: clocks of tables differ by a little
OUTSIDE = 0.002  # of the price: a market moves less between two snapshots, and other markets are farther away
JUMP_LEAST = 0.02  # from one trade to the next: exchanges halt or are wrong
MOST_JUMPS = 20
NEAR_NS = 100_000_000  # between two trades: the book has hardly moved, so a taker who buys paid more than one who sold


class BookRange:
    """Lowest best bid and highest best ask of each cell, of snapshots."""

    def __init__(self, grid: DayGrid) -> None:
        self._grid = grid
        self.low: Floats = np.full(CELLS, np.inf)
        self.high: Floats = np.full(CELLS, -np.inf)
        self.best = LogHistogram()

    def add(self, rows: Rows) -> None:
        """Take snapshots; a crossed one spans both its prices."""
        assert rows.prices is not None, "snapshots have levels"
        best = rows.prices[:, :, 0]
        told = self._grid.holds(rows.recv_ns) & ~np.isnan(best).any(axis=1)
        cells = self._grid.cells(rows.recv_ns[told])
        np.minimum.at(self.low, cells, best[told].min(axis=1))
        np.maximum.at(self.high, cells, best[told].max(axis=1))
        self.best.add(_scaled(best[told].mean(axis=1)))

    def around(self) -> tuple[Floats, Floats]:
        """Lowest and highest of each cell and its neighbours."""
        low, high = self.low.copy(), self.high.copy()
        for shift in range(1, NEIGHBOURS + 1):
            low[shift:] = np.minimum(low[shift:], self.low[:-shift])
            low[:-shift] = np.minimum(low[:-shift], self.low[shift:])
            high[shift:] = np.maximum(high[shift:], self.high[:-shift])
            high[:-shift] = np.maximum(high[:-shift], self.high[shift:])
        return low, high


@dataclass(frozen=True, slots=True)
class PriceJump:
    """A trade whose price is `ratio` times that of the trade before."""

    at_ns: int
    price: float
    ratio: float


@dataclass(frozen=True, slots=True)
class TradeFigures:
    """What was found of prices and sizes of trades.

    Attributes:
        trades: All. not_positive: Of a price or size that is null, 0 or less. unknown_side: Of no told taker.
        compared: Trades of cells that have snapshots. outside: Those with a price outside of all best prices of the
            cell and its neighbours, widened by 0.2 %.
        jumps: Trades more than 2 % from the one before, the largest twenty; jump_count: all of them.
        sides_compared: Neighbours within 100 ms, a buy and a sell, at different prices. sides_right: those where the
            buy was dearer, as takers pay the spread.
    """

    trades: int
    not_positive: int
    unknown_side: int
    compared: int
    outside: int
    jump_count: int
    jumps: tuple[PriceJump, ...]
    sides_compared: int
    sides_right: int


class TradeMeasure:
    """Gathers prices and sizes of trades; `book` is whole before the first trade is taken."""

    def __init__(self, grid: DayGrid, book: BookRange) -> None:
        self._grid = grid
        self._low, self._high = book.around()
        self._counts = dict.fromkeys(("trades", "not_positive", "unknown_side", "compared", "outside"), 0)
        self._jumps: list[PriceJump] = []
        self._jump_count = 0
        self._sides_compared = self._sides_right = 0
        self._last: Rows | None = None
        self.price, self.size = LogHistogram(), LogHistogram()

    def add(self, rows: Rows) -> None:
        """Count trades."""
        assert rows.price is not None, "trades have prices"
        assert rows.size is not None, "trades have sizes"
        good = (rows.price > 0) & (rows.size > 0)
        self._counts["trades"] += len(rows)
        self._counts["not_positive"] += int((~good).sum())
        if rows.side is not None:
            self._counts["unknown_side"] += int((rows.side > SECOND).sum())
        told = rows.taken(good)
        assert told.price is not None
        assert told.size is not None
        self.price.add(_scaled(told.price))
        self.size.add(_scaled(told.size))
        self._note_steps(told)
        self._compare(told.taken(self._grid.holds(told.recv_ns)))

    def _compare(self, rows: Rows) -> None:
        assert rows.price is not None
        cells = self._grid.cells(rows.recv_ns)
        low, high = self._low[cells], self._high[cells]
        known = low <= high
        room = OUTSIDE * high[known]
        outside = (rows.price[known] < low[known] - room) | (rows.price[known] > high[known] + room)
        self._counts["compared"] += int(known.sum())
        self._counts["outside"] += int(outside.sum())

    def _note_steps(self, rows: Rows) -> None:
        """Compare each trade with the one before: its price, and where it is of the other side, who paid more."""
        if not len(rows):
            return
        both = rows if self._last is None else _joined(self._last, rows)
        price, side, recv_ns = both.price, both.side, both.recv_ns
        assert price is not None
        ratio = price[1:] / price[:-1]
        far = np.flatnonzero(np.abs(np.log(ratio)) > JUMP_LEAST)
        self._jump_count += len(far)
        self._jumps += [
            PriceJump(int(recv_ns[i + 1]), float(price[i + 1]), float(ratio[i])) for i in far[:MOST_JUMPS].tolist()
        ]
        if side is not None:
            near = (np.abs(np.diff(recv_ns)) <= NEAR_NS) & (side[1:] != side[:-1]) & (ratio != 1)
            told = near & (side[1:] <= SECOND) & (side[:-1] <= SECOND)
            self._sides_compared += int(told.sum())
            self._sides_right += int((told & ((ratio > 1) == (side[1:] == FIRST))).sum())
        self._last = both.taken(slice(len(both) - 1, None))

    def figures(self) -> TradeFigures:
        """What was found."""
        largest = sorted(self._jumps, key=lambda jump: -abs(np.log(jump.ratio)))[:MOST_JUMPS]
        return TradeFigures(
            **self._counts,
            jump_count=self._jump_count,
            jumps=tuple(sorted(largest, key=lambda jump: jump.at_ns)),
            sides_compared=self._sides_compared,
            sides_right=self._sides_right,
        )


def _joined(one: Rows, other: Rows) -> Rows:
    """Trades after one another; only what neighbours are compared by."""
    assert one.price is not None
    assert other.price is not None
    sided = one.side is not None and other.side is not None
    return Rows(
        event_ns=np.concatenate([one.event_ns, other.event_ns]),
        event_null=np.concatenate([one.event_null, other.event_null]),
        recv_ns=np.concatenate([one.recv_ns, other.recv_ns]),
        side=np.concatenate([one.side, other.side]) if sided else None,
        price=np.concatenate([one.price, other.price]),
    )


@dataclass(frozen=True, slots=True)
class LevelFigures:
    """What was found of the levels of deltas.

    Attributes:
        levels: All. price_not_positive: Of a price that is null, 0 or less. size_negative: Of a size that is null or
            below 0. removals: Of size 0.
    """

    levels: int
    price_not_positive: int
    size_negative: int
    removals: int


class LevelMeasure:
    """Gathers prices and sizes of deltas."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(("levels", "price_not_positive", "size_negative", "removals"), 0)
        self.price, self.size = LogHistogram(), LogHistogram()

    def add(self, rows: Rows) -> None:
        """Count levels."""
        assert rows.price is not None, "deltas have prices"
        assert rows.size is not None, "deltas have sizes"
        self._counts["levels"] += len(rows)
        self._counts["price_not_positive"] += int((~(rows.price > 0)).sum())
        self._counts["size_negative"] += int((~(rows.size >= 0)).sum())
        self._counts["removals"] += int((rows.size == 0).sum())
        good = (rows.price > 0) & (rows.size > 0)
        self.price.add(_scaled(rows.price[good]))
        self.size.add(_scaled(rows.size[good]))

    def figures(self) -> LevelFigures:
        """What was found."""
        return LevelFigures(**self._counts)


@dataclass(frozen=True, slots=True)
class TypicalNumbers:
    """Median price and size of a table, within half a per cent; None where it has none (snapshots: no size)."""

    price: float | None
    size: float | None


def typical(price: LogHistogram, size: LogHistogram | None) -> TypicalNumbers:
    """The medians of what was gathered."""
    return TypicalNumbers(_unscaled(price.quantile(0.5)), _unscaled(size.quantile(0.5)) if size else None)


def _scaled(values: Floats) -> Integers:
    fits: Flags = values < 9e18 / SCALE
    return np.asarray(np.rint(values[fits] * SCALE), dtype=np.int64)


def _unscaled(value: float | None) -> float | None:
    return None if value is None else value / SCALE
