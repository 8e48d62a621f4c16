"""The columns of all rows of a batch, out of those of its events, its snapshots and what was before it."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tidelake.books.reconstruction.batch import EventBatch, Integers
from tidelake.books.reconstruction.event_columns import latest_recv_ns
from tidelake.books.reconstruction.level_lists import Lists
from tidelake.books.reconstruction.replay import ReplayOut
from tidelake.books.reconstruction.row_order import RowOrder
from tidelake.kernels.dense_book import NO_TICK
from tidelake.kernels.replay_codes import NO_SEQUENCE, TRADE

EVENT_TYPES = ("trade", "delta", "snapshot", "book")
TRADE_ROW, DELTA_ROW, SNAPSHOT_ROW, BOOK_ROW = range(4)
SIDES = ("bid", "ask", "buy", "sell")
Mask = npt.NDArray[np.bool_]


class LastEvent(msgspec.Struct, frozen=True):
    """The last event of the batch before, the last number that a message of the book had, and their latest receipt."""

    clock_ns: int = 0
    latest_recv_ns: int = 0
    event_ns: int = 0
    recv_ns: int = 0
    file: int = 0
    row: int = 0
    sequence: int = NO_SEQUENCE
    best_tick: tuple[int, int] = (NO_TICK, NO_TICK)
    best_lots: tuple[int, int] = (0, 0)
    known: tuple[int, int] = (0, 0)


class MergedRows:
    """Columns of all rows of a batch; `after` is the event that a row shows the book after, counted from 1.

    Rows of the grid have the declared clock as that one of theirs: the latest of what they show, which a message that
    came out of turn is not. `latest_recv_ns` is the receive clock by which all that a row shows had come.
    """

    def __init__(
        self, batch: EventBatch, out: ReplayOut, order: RowOrder, last: LastEvent, *, by_event: bool = False
    ) -> None:
        self.order, self.found = order, out.compared
        grid = out.shown.after[order.on_grid]
        self.after = self._of(order.event + 1, np.where(is_own(out), self.found.at + 1, self.found.at), grid)
        kinds = np.where(batch.kind[order.event] == TRADE, TRADE_ROW, DELTA_ROW)
        self.types = self._of(kinds, SNAPSHOT_ROW, BOOK_ROW).astype(np.uint8)
        self.level_rows = self.types <= DELTA_ROW
        self.event_ns = self._clock(batch.event_ns, last.event_ns, self.found.event_ns)
        self.recv_ns = self._clock(batch.recv_ns, last.recv_ns, self.found.recv_ns)
        declared = np.concatenate([[last.clock_ns], batch.clock_ns])[grid]
        (self.event_ns if by_event else self.recv_ns)[order.grid_at] = declared
        latest = latest_recv_ns(batch, last.latest_recv_ns)[self.after]
        self.latest_recv_ns = np.maximum(latest, self.recv_ns)
        self.file = self._clock(batch.file.astype(np.int64), last.file, self.found.file)
        self.item = np.zeros(len(order), np.int64)
        self.item[order.events_at] = order.level - batch.level_from[order.event]
        self.line = self._clock(batch.row, last.row, self.found.row) + self.item
        self.sequence = self._sequences(batch, last, grid)
        self.best_tick = np.concatenate([[last.best_tick], out.best_tick])[self.after]
        self.best_lots = np.concatenate([[last.best_lots], out.best_lots])[self.after]
        self.known = np.concatenate([[last.known], out.known]).astype(np.int32)[self.after]

    def show_replaced(self, lists: Lists) -> None:
        """A snapshot that replaced levels shows its own, also where it did so a message later."""
        for which in range(2):
            counts = lists.counts[which]
            first = np.minimum(np.cumsum(counts) - counts, max(len(lists.ticks[which]) - 1, 0))
            there = counts > 0
            self.best_tick[lists.rows, which], self.best_lots[lists.rows, which] = NO_TICK, 0
            self.best_tick[lists.rows[there], which] = lists.ticks[which][first[there]]
            self.best_lots[lists.rows[there], which] = lists.lots[which][first[there]]
            self.known[lists.rows, which] = counts

    def _of(self, events: Any, snapshots: Any, grid: Any) -> Integers:
        values = np.empty(len(self.order), np.int64)
        values[self.order.events_at] = events
        values[self.order.snapshots_at] = snapshots
        values[self.order.grid_at] = grid
        return values

    def _clock(self, of_batch: Integers, before: int, of_snapshots: Integers) -> Integers:
        values = np.concatenate([[before], of_batch])[self.after]
        values[self.order.snapshots_at] = of_snapshots
        return values

    def _sequences(self, batch: EventBatch, last: LastEvent, grid: Integers) -> Integers:
        """A book of the grid has the number of the last message in it, a trade none."""
        places = np.maximum.accumulate(np.where(batch.kind == TRADE, 0, np.arange(1, len(batch) + 1)))
        so_far = np.concatenate([[last.sequence], batch.sequence])[np.concatenate([[0], places])]
        own = np.where(batch.kind == TRADE, NO_SEQUENCE, batch.sequence)[self.order.event]
        return self._of(own, self.found.sequence, so_far[grid])

    def at_levels(self, values: Integers) -> Integers:
        found = np.zeros(len(self.order), np.int64)
        found[self.order.events_at] = values
        return found

    def sides(self, batch: EventBatch) -> pa.Array:
        codes = np.full(len(self.order), len(SIDES), np.uint8)
        side = batch.side[self.order.level]
        of_trades = np.where(side < 2, side + 2, len(SIDES))
        at = self.order.events_at
        codes[at] = np.where(self.types[at] == TRADE_ROW, of_trades, side)
        return words(SIDES, codes)

    def best_columns(self) -> dict[str, pa.Array]:
        columns = {}
        for which, side in enumerate(("bid", "ask")):
            none = self.best_tick[:, which] == NO_TICK
            columns[f"best_{side}_price"] = nullable(self.best_tick[:, which], none)
            columns[f"best_{side}_size"] = nullable(self.best_lots[:, which], none)
        return columns


# Texts of which a column holds few: a row costs four bytes, and the table's file is written in four fifths of the time.
WORDS = pa.dictionary(pa.int32(), pa.string())


def is_own(out: ReplayOut) -> Mask:
    """Whether a snapshot was judged at its own event, and not at the message after it."""
    own: Mask = out.compared.place - out.place == out.compared.at
    return own


def words(told: Sequence[str], codes: npt.NDArray[np.integer]) -> pa.Array:
    """Texts by code, as `WORDS`; null for the code after the last."""
    places = pa.array(codes.astype(np.int32), mask=codes == len(told))
    return pa.DictionaryArray.from_arrays(places, pa.array(told, pa.string()))


def nullable(values: Integers, none: Mask) -> pa.Array:
    """An int64 column; null where `none` says so."""
    return pa.array(values, pa.int64(), mask=none)


def nullable_floats(values: npt.NDArray[np.float64]) -> pa.Array:
    """A column of floats; null where they are NaN."""
    return pa.array(values, pa.float64(), mask=np.isnan(values))
