"""What is counted in a vendor's file as its rows pass by once, in bounded memory; `vendor_checks` judges it."""

import datetime as dt
import hashlib
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidelake.books.vendor_columns import level_word
from tidelake.vendors.spec import ASK, BID, VendorTable

FIRST_TRUE_NS = 1_230_940_800_000_000_000  # 2009-01-03: no market of this kind is older
RECV_SLACK_NS = 60_000_000_000  # vendors cut days by a clock of theirs, and recorders flush what was on its way
EVENT_SLACK_NS = 300_000_000_000  # an exchange may tell an event minutes late
HASHES_KEPT = 4_000_000
SIDE_RUN = 100  # rows: short, so that the market hardly moves meanwhile
NO_TIME = -1

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Wanted:
    """What a file was asked to hold, in the vendor's words."""

    table: VendorTable
    exchange: str
    vendor_symbol: str
    day: dt.date


class RepeatedRows:
    """The share of rows that are repeats of others; past four million rows, of a sample chosen by their hash.

    A sample by hash holds all copies of a row or none, so its share is that of all rows.
    """

    def __init__(self) -> None:
        self._kept: list[NDArray[np.uint64]] = []
        self._count = 0
        self._mask = 0

    def add(self, batch: pa.RecordBatch) -> None:
        frame = pl.from_arrow(batch)
        assert isinstance(frame, pl.DataFrame)
        self._keep(frame.hash_rows(seed=0).to_numpy())
        while self._count > HASHES_KEPT:
            self._mask = self._mask << 1 | 1
            held, self._kept, self._count = np.concatenate(self._kept), [], 0
            self._keep(held)

    def _keep(self, hashes: NDArray[np.uint64]) -> None:
        self._kept.append(hashes[hashes & np.uint64(self._mask) == 0] if self._mask else hashes)
        self._count += len(self._kept[-1])

    def share(self) -> float:
        if not self._count:
            return 0.0
        held = np.sort(np.concatenate(self._kept))  # in a tenth of the time that np.unique takes
        return int(np.count_nonzero(held[1:] == held[:-1])) / self._count


class RowsDigest:
    """SHA-256 of times, sequences and numbers in row order: equal for files of equal rows, however they are packed."""

    def __init__(self) -> None:
        self._columns: dict[str, hashlib._Hash] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
                held = _floats(column) if pa.types.is_floating(column.type) else _ints(column)
                self._columns.setdefault(name, hashlib.sha256()).update(held.tobytes())

    def hexdigest(self) -> str:
        told = "".join(f"{name}={self._columns[name].hexdigest()};" for name in sorted(self._columns))
        return hashlib.sha256(told.encode()).hexdigest()


class Clock:
    """One clock of the rows: its ends, steps back, and rows outside the day with its slack."""

    def __init__(self, day: dt.date, slack_ns: int) -> None:
        start = int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp()) * 1_000_000_000
        self._from, self._until = start - slack_ns, start + 86_400_000_000_000 + slack_ns
        self.first_ns = self.last_ns = 0
        self.told = self.outside = self.back = self.steps = 0
        self._before: int | None = None

    def add(self, times: Ints) -> None:
        """Count the times that can be true, in row order."""
        true = times[times >= FIRST_TRUE_NS]
        if not len(true):
            return
        self.first_ns = min(self.first_ns or int(true.min()), int(true.min()))
        self.last_ns = max(self.last_ns, int(true.max()))
        self.told += len(true)
        self.outside += int(np.count_nonzero((true < self._from) | (true >= self._until)))
        steps = np.diff(true, prepend=true[0] if self._before is None else self._before)
        self.back += int(np.count_nonzero(steps < 0))
        self.steps += len(steps)
        self._before = int(true[-1])


@dataclass
class Numbers:
    """Medians of each batch, and of the relative steps from row to row: what tells a price from a size."""

    prices: list[float] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)
    price_steps: list[float] = field(default_factory=list)
    size_steps: list[float] = field(default_factory=list)

    def add(self, prices: Floats, sizes: Floats) -> None:
        """Count prices and sizes of the same rows; 0 and what is no number is left out."""
        good = np.isfinite(prices) & np.isfinite(sizes) & (prices > 0) & (sizes > 0)
        if np.count_nonzero(good) < 2:
            return
        for values, medians, steps in (
            (prices[good], self.prices, self.price_steps),
            (sizes[good], self.sizes, self.size_steps),
        ):
            medians.append(float(np.median(values)))
            steps.append(float(np.median(np.abs(np.diff(np.log(values))))))

    @staticmethod
    def median(values: list[float]) -> float:
        """The median of a list; 0 where it is empty."""
        return float(np.median(values)) if values else 0.0


class Tally:
    """The counts of one file.

    Attributes:
        rows: Rows read.
        recv_missing: Rows without a receive time that can be true.
        elsewhere: Rows of another exchange or symbol than asked for, and one such value.
        sides: Rows whose side means nothing, and one such value.
        bad_prices: Prices that are missing, not finite or not above 0; of levels that are there.
        bad_sizes: Sizes that are missing, not finite, below 0, or 0 where 0 means nothing.
        unordered: Snapshots whose levels are not best first, or follow a level that is missing.
        crossed: Snapshots whose best bid is not below the best ask.
        side_runs, sides_swapped: Runs of rows of deltas with both sides, and those whose mean bid is not below the mean
            ask; levels far away only draw the two further apart.
        backwards: Steps down of the sequence, of `sequence_steps`.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.rows = self.recv_missing = 0
        self.elsewhere, self.sides = (0, ""), (0, "")
        self.bad_prices = self.bad_sizes = 0
        self.unordered = self.crossed = 0
        self.side_runs = self.sides_swapped = 0
        self.backwards = self.sequence_steps = 0
        self.recv = Clock(wanted.day, RECV_SLACK_NS)
        self.event = Clock(wanted.day, EVENT_SLACK_NS)
        self.numbers = Numbers()
        self.repeated = RepeatedRows()
        self.digest = RowsDigest()
        self._sequence: int | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch of `VendorColumns.batches`."""
        if not batch.num_rows:
            return
        self.rows += batch.num_rows
        self.repeated.add(batch)
        self.digest.add(batch)
        self._count_clocks(batch)
        self._count_place(batch)
        if self.wanted.table.levels:
            self._count_levels(batch)
        else:
            self._count_numbers(batch)
            self._count_sides(batch)

    def _count_clocks(self, batch: pa.RecordBatch) -> None:
        recv = _ints(batch.column("recv_time"))
        self.recv_missing += int(np.count_nonzero(recv < FIRST_TRUE_NS))
        self.recv.add(recv)
        if "event_time" in batch.schema.names:
            self.event.add(_ints(batch.column("event_time")))
        if "sequence" in batch.schema.names:
            sequence = _ints(batch.column("sequence"))
            steps = np.diff(sequence, prepend=sequence[0] if self._sequence is None else self._sequence)
            self.backwards += int(np.count_nonzero(steps < 0))
            self.sequence_steps += len(steps)
            self._sequence = int(sequence[-1])

    def _count_place(self, batch: pa.RecordBatch) -> None:
        for word, asked in (("exchange", self.wanted.exchange), ("symbol", self.wanted.vendor_symbol)):
            if word in batch.schema.names:
                other = batch.column(word).filter(_not(pc.equal(batch.column(word), asked)))
                self.elsewhere = _noted(self.elsewhere, other)

    def _count_sides(self, batch: pa.RecordBatch) -> None:
        side = self.wanted.table.field("side")
        if side is None or side.values is None:
            return
        told = batch.column("side")
        known = pc.is_in(told, pa.array(list(side.values)))
        self.sides = _noted(self.sides, told.filter(_not(known)))
        if self.wanted.table.role != "deltas":
            return
        bids = [name for name, meaning in side.values.items() if meaning == BID]
        is_bid = pc.is_in(told, pa.array(bids)).to_numpy(zero_copy_only=False)
        both, swapped = _runs_of_sides(np.nan_to_num(_floats(batch.column("price"))), is_bid)
        self.side_runs += both
        self.sides_swapped += swapped

    def _count_numbers(self, batch: pa.RecordBatch) -> None:
        prices, sizes = _floats(batch.column("price")), _floats(batch.column("size"))
        least_is_good = self.wanted.table.role == "deltas"
        self.bad_prices += int(np.count_nonzero(~(np.isfinite(prices) & (prices > 0))))
        self.bad_sizes += int(np.count_nonzero(~(np.isfinite(sizes) & (sizes >= 0 if least_is_good else sizes > 0))))
        self.numbers.add(prices, sizes)

    def _count_levels(self, batch: pa.RecordBatch) -> None:
        bid, bid_sizes = self._side(batch, BID)
        ask, ask_sizes = self._side(batch, ASK)
        for prices, sizes in ((bid, bid_sizes), (ask, ask_sizes)):
            there = ~(np.isnan(prices) & np.isnan(sizes))
            self.bad_prices += int(np.count_nonzero(there & ~(np.isfinite(prices) & (prices > 0))))
            self.bad_sizes += int(np.count_nonzero(there & ~(np.isfinite(sizes) & (sizes > 0))))
        self.unordered += int(np.count_nonzero(~(_best_first(-bid) & _best_first(ask))))
        with np.errstate(invalid="ignore"):
            self.crossed += int(np.count_nonzero(bid[:, 0] >= ask[:, 0]))
            self.numbers.add((bid[:, 0] + ask[:, 0]) / 2, bid_sizes[:, 0])

    def _side(self, batch: pa.RecordBatch, side: str) -> tuple[Floats, Floats]:
        assert self.wanted.table.levels
        levels = range(self.wanted.table.levels.depth)
        prices, sizes = (
            np.stack([_floats(batch.column(level_word(side, level, what))) for level in levels], axis=1)
            for what in ("price", "size")
        )
        return prices, sizes


def _runs_of_sides(prices: Floats, is_bid: NDArray[np.bool_]) -> tuple[int, int]:
    """Runs of `SIDE_RUN` rows that hold both sides, and those of them whose mean bid is not below the mean ask."""
    starts = np.arange(0, len(prices), SIDE_RUN)
    rows = np.diff(np.append(starts, len(prices)))
    bids = np.add.reduceat(is_bid.astype(np.int64), starts)
    asks = rows - bids
    both = (bids > 0) & (asks > 0)
    of_bids = np.add.reduceat(np.where(is_bid, prices, 0.0), starts)[both] / bids[both]
    of_asks = np.add.reduceat(np.where(is_bid, 0.0, prices), starts)[both] / asks[both]
    return int(np.count_nonzero(both)), int(np.count_nonzero(of_bids >= of_asks))


def _best_first(rising: Floats) -> NDArray[np.bool_]:
    """Of float64[n, k], NaN where a level is missing: whether each row rises, and its missing levels are the last."""
    missing = np.isnan(rising)
    with np.errstate(invalid="ignore"):
        good = (np.diff(rising, axis=1) > 0) | missing[:, 1:]
    no_hole = ~(missing[:, :-1] & ~missing[:, 1:])
    result: NDArray[np.bool_] = np.all(good & no_hole, axis=1)
    return result


def _floats(column: pa.Array) -> Floats:
    """float64[n], NaN where nothing is told."""
    values: Floats = pc.fill_null(column.cast(pa.float64()), float("nan")).to_numpy(zero_copy_only=False)
    return values


def _ints(column: pa.Array) -> Ints:
    """int64[n], -1 where nothing is told."""
    values: Ints = pc.fill_null(column.cast(pa.int64()), NO_TIME).to_numpy(zero_copy_only=False)
    return values


def _not(mask: pa.Array) -> pa.Array:
    return pc.invert(pc.fill_null(mask, False))


def _noted(before: tuple[int, str], found: pa.Array) -> tuple[int, str]:
    """The count with those found, and the first of them as text."""
    count, shown = before
    return count + len(found), shown or (str(found[0].as_py()) if len(found) else "")
