"""Rows of `market_events` out of events, what the replay made of them, and what was judged of the book."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import zstandard

from tidelake.books.reconstruction.batch import Codes, EventBatch, Integers
from tidelake.books.reconstruction.event_columns import latest_recv_ns
from tidelake.books.reconstruction.level_lists import (
    SIDES as BOOK_SIDES,
    Lists,
    joined_lists,
    list_columns,
    shown_lists,
    told_lists,
)
from tidelake.books.reconstruction.merged_rows import (
    EVENT_TYPES,
    TRADE_ROW,
    WORDS,
    LastEvent,
    MergedRows,
    is_own,
    nullable,
    nullable_floats,
    words,
)
from tidelake.books.reconstruction.replay import ReplayOut
from tidelake.books.reconstruction.row_order import RowOrder, order_rows
from tidelake.books.reconstruction.task import CODE_VERSION, DayTask
from tidelake.books.reconstruction.verdicts import Verdicts
from tidelake.books.states import STATES
from tidelake.errors import FormatDrift
from tidelake.kernels.replay_codes import AGREED, BEGAN, DELTA, NO_SEQUENCE, PART, TRADE
from tidelake.kernels.size_left import UNKNOWN, take_from_snapshots
from tidelake.tables.arrow_types import TIME
from tidelake.tables.market_events import MARKET_EVENTS
from tidelake.tables.schema import PARSER_VERSION

IMBALANCE_LEVELS = 5
MOST_LINES = np.iinfo(np.int32).max
EPOCH_DAYS = np.datetime64("1970-01-01", "D")
PLAIN_TEXTS = ("source", "trade_id")  # a folder's name is read from plain text alone, and ids are all different
# The table's columns, texts as `WORDS`: the table keeps them as plain texts.
ROWS = pa.schema(
    [
        field.with_type(WORDS) if field.type == pa.string() and field.name not in PLAIN_TEXTS else field
        for field in MARKET_EVENTS.schema
    ]
)


@dataclass(frozen=True)
class _Told:
    """The last snapshot's levels."""

    side: Codes
    tick: Integers
    lots: Integers


class _Memory(msgspec.Struct):
    place: int
    last: LastEvent
    side: bytes
    tick: bytes
    lots: bytes
    held: bytes
    held_count: int


class RowMaker:
    """Makes rows of the batches of one day, one after the other.

    Args:
        task: The partition.
        plan: See `task.plan_of`.
        exponents: Of prices and sizes.
        files: SHA-256 of the files that events name.
    """

    def __init__(self, task: DayTask, plan: str, exponents: tuple[int, int], files: Sequence[str]) -> None:
        self.task, self.exponents = task, exponents
        self.place = 0
        self._words = {
            "source": task.source, "symbol": task.symbol, "vendor": task.vendor, "strategy": task.strategy,
            "plan": plan, "status": "active", "mapping_version": f"tidelake/reconstruct@{CODE_VERSION}",
        }  # fmt: skip
        self._segments = [sha256[:16] for sha256 in files]
        self._constant_columns: dict[str, pa.Array] = self._constants(0)
        self._constant_height = 0
        self._last = LastEvent()
        self._told = _Told(np.empty(0, np.uint8), np.empty(0, np.int64), np.empty(0, np.int64))
        self._held, self._held_count = np.zeros((3, 0), np.int64), np.zeros(1, np.int64)

    def rows(self, batch: EventBatch, out: ReplayOut, verdicts: Verdicts) -> pa.Table:
        """The rows of a batch, in order, as `ROWS`; an empty batch has what was still owed at the end.

        Raises:
            FormatDrift: A line number does not fit the table.
        """
        order = order_rows(batch, out)
        by_event = self.task.strategy == "origin_time_sort"
        merged = MergedRows(batch, out, order, self._last, by_event=by_event)
        columns = self._lists(batch, out, order, merged) | self._constant(len(order))
        columns |= self._of_events(batch, merged, verdicts) | _drift(out, order) | self._model(batch, order)
        columns["place"] = pa.array(np.arange(self.place, self.place + len(order)))
        self.place += len(order)
        self._remember(batch, out)
        return pa.table([columns[name] for name in MARKET_EVENTS.columns], schema=ROWS)

    def _constant(self, height: int) -> dict[str, pa.Array]:
        """Columns that say the same in every row; made for the longest batch so far, and cut."""
        if height > self._constant_height:
            self._constant_columns, self._constant_height = self._constants(height), height
        return {name: column.slice(0, height) for name, column in self._constant_columns.items()}

    def _constants(self, height: int) -> dict[str, pa.Array]:
        day = (np.datetime64(self.task.day, "D") - EPOCH_DAYS).astype(np.int32)
        days = pa.array(np.full(height, day, np.int32)).cast(pa.date32())
        price, size = (pa.array(np.full(height, exponent, np.int8)) for exponent in self.exponents)
        columns = {name: words((word,), np.zeros(height, np.uint8)) for name, word in self._words.items()}
        columns["source"] = columns["source"].cast(pa.string())
        columns |= {"day": days, "date": days, "price_exponent": price, "size_exponent": size}
        columns["parser_version"] = pa.array(np.full(height, PARSER_VERSION, np.int32))
        return columns

    def _of_events(self, batch: EventBatch, merged: MergedRows, verdicts: Verdicts) -> dict[str, pa.Array]:
        level = merged.order.level
        columns = {
            "event_type": words(EVENT_TYPES, merged.types),
            "update_id": nullable(merged.sequence, merged.sequence == NO_SEQUENCE),
            "side": merged.sides(batch),
            "price_mantissa": nullable(merged.at_levels(batch.tick[level]), ~merged.level_rows),
            "size_mantissa": nullable(merged.at_levels(batch.lots[level]), ~merged.level_rows),
            "trade_id": _ids(batch, merged),
            "line": self._lines(merged.line),
            "item": pa.array(merged.item.astype(np.int32)),
            "segment": words(self._segments, merged.file),
            "validity": words(STATES, verdicts.state[merged.after]),
            "rule": words(verdicts.rules, verdicts.rule[merged.after]),
        }
        return columns | self._clocks(merged, verdicts) | merged.best_columns()

    def _clocks(self, merged: MergedRows, verdicts: Verdicts) -> dict[str, pa.Array]:
        told = np.where(merged.event_ns > 0, merged.event_ns, merged.recv_ns)
        known = np.maximum(merged.latest_recv_ns, verdicts.known_ns[merged.after])
        return {
            "event_time": pa.array(told // 1_000).cast(TIME),
            "recv_ns": pa.array(merged.recv_ns),
            "known_at": pa.array(-(-known // 1_000)).cast(TIME),
        }

    def _lines(self, line: Integers) -> pa.Array:
        if len(line) and line.max() > MOST_LINES:
            raise FormatDrift(
                f"a file has more rows than a row can name: {line.max():,}, at most {MOST_LINES:,}. Nothing of its "
                "batch was written; acquire the day in smaller files."
            )
        return pa.array(line.astype(np.int32))

    def _model(self, batch: EventBatch, order: RowOrder) -> dict[str, pa.Array]:
        left = self._sizes_left(batch)
        if left is None:
            return {"model_size_left": pa.nulls(len(order), pa.int64())}
        values = np.full(len(order), UNKNOWN)
        values[order.events_at] = left[order.event]
        return {"model_size_left": nullable(values, values == UNKNOWN)}

    def _sizes_left(self, batch: EventBatch) -> Integers | None:
        """int64[n], what the model says of each trade; None where it is not asked for."""
        if not self.task.model_consumption or self.task.strategy != "snapshot_anchored":
            return None
        most = int(np.diff(batch.level_from).max(initial=0))
        if most > self._held.shape[1]:
            wider = np.zeros((3, most), np.int64)
            wider[:, : self._held.shape[1]] = self._held
            self._held = wider
        left = np.empty(len(batch), np.int64)
        take_from_snapshots(
            batch.kind, batch.level_from, batch.side, batch.tick, batch.lots, self._held, self._held_count, left
        )
        return left

    def _lists(self, batch: EventBatch, out: ReplayOut, order: RowOrder, merged: MergedRows) -> dict[str, pa.Array]:
        """Levels of moments of the grid or of messages, and those that snapshots put in the place of the book's."""
        rows, taken = _shown_rows(batch, out, order)
        replaced = np.flatnonzero(out.compared.verdict != AGREED)
        own = np.isin(rows, order.snapshots_at[replaced])
        rows, taken = rows[~own], taken[~own]
        tick, lots = out.shown.tick[taken, :, : self.task.levels], out.shown.lots[taken, :, : self.task.levels]
        merged.known[rows] = np.minimum(out.shown.known[taken], self.task.levels)
        imbalance = np.full(len(order), np.nan)
        imbalance[rows] = _imbalance(out.shown.lots[taken])
        parts = [shown_lists(rows, tick, lots)]
        if len(replaced):
            parts.append(self._replaced(batch, out, order, replaced))
            merged.show_replaced(parts[1])
        known = {f"{side}s_known": pa.array(merged.known[:, which]) for which, side in enumerate(BOOK_SIDES)}
        return list_columns(joined_lists(parts), len(order)) | known | {"imbalance": nullable_floats(imbalance)}

    def _replaced(self, batch: EventBatch, out: ReplayOut, order: RowOrder, replaced: Integers) -> Lists:
        """The snapshots' own levels; that of an earlier batch is the last that came."""
        place = out.compared.place[replaced] - out.place
        rows = order.snapshots_at[replaced]
        here, earlier = place >= 0, rows[place < 0]
        starts, ends = batch.level_from[place[here]], batch.level_from[place[here] + 1]
        counts = ends - starts
        levels = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        parts = [told_lists(rows[here], counts, batch.side[levels], batch.tick[levels], batch.lots[levels])]
        if len(earlier):
            told = self._told
            parts.append(told_lists(earlier, np.array([len(told.tick)]), told.side, told.tick, told.lots))
        return joined_lists(parts)

    def memory(self) -> bytes:
        """All that the next rows depend on, for `recall`."""
        told = _Memory(
            self.place,
            self._last,
            self._told.side.tobytes(),
            self._told.tick.tobytes(),
            self._told.lots.tobytes(),
            self._held.tobytes(),
            int(self._held_count[0]),
        )
        return zstandard.compress(msgspec.msgpack.encode(told))

    def recall(self, memory: bytes) -> None:
        """Go on where another stood."""
        told = msgspec.msgpack.decode(zstandard.decompress(memory), type=_Memory)
        self.place, self._last = told.place, told.last
        tick, lots = (np.frombuffer(plain, np.int64) for plain in (told.tick, told.lots))
        self._told = _Told(np.frombuffer(told.side, np.uint8), tick, lots)
        self._held = np.frombuffer(told.held, np.int64).reshape(3, -1).copy()
        self._held_count[0] = told.held_count

    def _remember(self, batch: EventBatch, out: ReplayOut) -> None:
        if not len(batch):
            return
        book = np.flatnonzero(batch.kind != TRADE)
        self._last = LastEvent(
            int(batch.clock_ns[-1]),
            int(latest_recv_ns(batch, self._last.latest_recv_ns)[-1]),
            int(batch.event_ns[-1]),
            int(batch.recv_ns[-1]),
            int(batch.file[-1]),
            int(batch.row[-1]),
            int(batch.sequence[book[-1]]) if len(book) else self._last.sequence,
            (int(out.best_tick[-1, 0]), int(out.best_tick[-1, 1])),
            (int(out.best_lots[-1, 0]), int(out.best_lots[-1, 1])),
            (int(out.known[-1, 0]), int(out.known[-1, 1])),
        )
        snapshots = np.flatnonzero(batch.kind >= PART)
        if len(snapshots):
            start, end = batch.level_from[snapshots[-1]], batch.level_from[snapshots[-1] + 1]
            self._told = _Told(batch.side[start:end].copy(), batch.tick[start:end].copy(), batch.lots[start:end].copy())


def _shown_rows(batch: EventBatch, out: ReplayOut, order: RowOrder) -> tuple[Integers, Integers]:
    """Rows that show levels, and which of the levels shown: the last row of a message, or a row of the grid."""
    if len(order.on_grid) == len(out.shown.after):
        return order.grid_at, order.on_grid
    event = out.shown.after - 1
    counts = np.diff(batch.level_from)
    deltas = np.flatnonzero((batch.kind[event] == DELTA) & (counts[event] > 0))
    ends = np.searchsorted(order.event, event[deltas], side="right") - 1
    own = np.flatnonzero(is_own(out))
    snapshots = np.searchsorted(event, out.compared.at[own])
    rows = np.concatenate([order.events_at[ends], order.snapshots_at[own]])
    taken = np.concatenate([deltas, snapshots])
    by_row = np.argsort(rows, kind="stable")
    return rows[by_row], taken[by_row]


def _imbalance(lots: Integers) -> "npt.NDArray[np.float64]":
    """(bid - ask) / (bid + ask) of the best levels; NaN where both sides are empty."""
    bid, ask = (lots[:, which, :IMBALANCE_LEVELS].sum(axis=1, dtype=np.float64) for which in range(2))
    both = bid + ask
    shares: npt.NDArray[np.float64] = np.divide(bid - ask, both, out=np.full(len(both), np.nan), where=both > 0)
    return shares


def _drift(out: ReplayOut, order: RowOrder) -> dict[str, pa.Array]:
    found = out.compared
    compared = found.verdict != BEGAN
    columns = {}
    for name, values in (("levels", found.levels), ("prices", found.prices), ("sizes", found.sizes)):
        counts, none = np.zeros(len(order), np.int32), np.ones(len(order), np.bool_)
        counts[order.snapshots_at], none[order.snapshots_at] = values, ~compared
        columns[f"drift_{name}"] = pa.array(counts, mask=none)
    distance = np.full(len(order), np.nan)
    distance[order.snapshots_at] = np.where(compared, found.best_rms, np.nan)
    columns["drift_best_rms"] = nullable_floats(distance)
    return columns


def _ids(batch: EventBatch, merged: MergedRows) -> pa.Array:
    trades = merged.types == TRADE_ROW
    if not trades.any():
        return pa.nulls(len(trades), pa.string())
    return pc.take(batch.trade_id, pa.array(merged.at_levels(merged.order.event), mask=~trades))
