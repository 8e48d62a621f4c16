"""One day of one symbol as Crypto Lake lays it out: `trades`, `book` and `book_delta_v2`.

Source:  https://crypto-lake.com/data/ (data types), lakeapi 0.22.3 (`load_data`, `orderbook.OrderBookUpdater`)
Rules:   `received_time` is the receive clock of the message that a row shows, also in `book`: what Lake's recorder
         calls the receipt timestamp. `origin_time` is null where the venue tells none, and so is `sequence_number`.
         `book`: of the messages of one interval of 100 ms of the receive clock, its end included, the last one after
         which the book stands; no row where the best 20 levels are those of the row before.
         `book_delta_v2`: each message. At the start of the day, and where what is written does not lead to the book,
         the whole book after the message, behind prices that went since, of size 0: who sets all rows has the book.
         `trades`: see `vendor_trades.merge_taker_orders`.
         The exchange and the symbol are in the folder's name, not in the file.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tidelake.books.changes import Changes, Levels, gone, standing
from tidelake.books.messages import ASK, BID, NONE
from tidelake.jobs.vendor_files import DayFiles, ParquetFile
from tidelake.jobs.vendor_numbers import Integers, to_floats
from tidelake.jobs.vendor_trades import TakerTrade, merge_taker_orders
from tidelake.vendors.crypto_lake import BOOK, BOOK_DELTA, INTERVAL_NS, TRADES
from tidelake.vendors.spec import VendorTable

FILE = "1.snappy.parquet"
CLOCK = pa.timestamp("ns")
ROWS, BOOK_ROWS = 1 << 16, 1 << 12  # of a row group; a row of `book` has forty times the columns


def _schema(table: VendorTable, types: dict[str, pa.DataType]) -> pa.Schema:
    """Columns by Lake's own names of today."""
    named = [pa.field(field.names[0], types[field.name]) for field in table.fields if field.name in types]
    levels = table.levels.columns() if table.levels else ()
    return pa.schema([*named, *(pa.field(name, pa.float64()) for *_, name in levels)])


NUMBERS = {"price": pa.float64(), "size": pa.float64()}
CLOCKS = {"event_time": CLOCK, "recv_time": CLOCK}
SCHEMAS = {
    TRADES.name: _schema(TRADES, {**CLOCKS, "side": pa.string(), **NUMBERS, "trade_id": pa.string()}),
    BOOK.name: _schema(BOOK, {**CLOCKS, "sequence": pa.int64()}),
    BOOK_DELTA.name: _schema(BOOK_DELTA, {**CLOCKS, "sequence": pa.int64(), "side": pa.bool_(), **NUMBERS}),
}


def _files(place: Callable[[str], Path]) -> DayFiles[ParquetFile]:
    """Files in the folder of each table."""
    return DayFiles(
        lambda table: ParquetFile(place(table) / FILE, SCHEMAS[table], BOOK_ROWS if table == BOOK.name else ROWS)
    )


class LakeTrades:
    """`trades` of one day of one symbol (`vendor_days.DayOf`).

    Args:
        place: Table -> its folder.
    """

    def __init__(self, place: Callable[[str], Path]) -> None:
        self.files = _files(place)
        self._held: list[TakerTrade] = []

    def write(self, trades: Sequence[TakerTrade]) -> None:
        """Writes trades, one at least; the last one is held back, for more of its order may come."""
        *whole, last = merge_taker_orders([*self._held, *trades])
        self._held = [last]
        self._write_merged(whole)

    def flush(self) -> None:
        """Writes what is held back."""
        self._write_merged(self._held)

    def _write_merged(self, trades: Sequence[TakerTrade]) -> None:
        if not trades:
            return
        columns = [
            pa.array([trade.event_us * 1_000 for trade in trades], CLOCK),
            pa.array([trade.recv_ns for trade in trades], CLOCK),
            pa.array([trade.side for trade in trades]),
            pa.array([float(trade.price) for trade in trades]),
            pa.array([float(trade.size) for trade in trades]),
            pa.array([trade.trade_id for trade in trades]),
        ]
        self.files.get(TRADES.name).write(pa.table(columns, schema=SCHEMAS[TRADES.name]))


class LakeBook:
    """`book_delta_v2` and `book` of one day of one symbol (`vendor_days.DayOf`).

    Args:
        place: Table -> its folder.
    """

    def __init__(self, place: Callable[[str], Path]) -> None:
        self.files = _files(place)
        self._standing = Levels.none()
        self._waiting: Changes | None = None
        self._grid = 0
        self._shown: npt.NDArray[np.float64] | None = None

    def write(self, changes: Changes) -> None:
        """Writes changes, one at least, after which the book stands."""
        owner, levels = self._with_gone(changes)
        side = pa.array(levels.side == BID)
        price, size = to_floats(levels.price, levels.price_exponent), to_floats(levels.size, levels.size_exponent)
        rows = [*_clocks(changes, owner), side, pa.array(price), pa.array(size)]
        if len(owner):
            self.files.get(BOOK_DELTA.name).write(pa.table(rows, schema=SCHEMAS[BOOK_DELTA.name]))
        self._take_snapshots(changes)

    def flush(self) -> None:
        """Shows the last interval."""
        if self._waiting is not None:
            self._show(self._waiting)

    def _with_gone(self, changes: Changes) -> tuple[Integers, Levels]:
        """The levels of changes, and before a whole book what goes; and the change that each is of."""
        message = np.repeat(np.arange(len(changes)), np.diff(changes.level_from))
        owners, parts, at = [], [], 0
        for whole in np.flatnonzero(changes.whole).tolist():
            first, last = changes.level_from[whole : whole + 2].tolist()
            before, book = (changes.levels.take(np.arange(*ends)) for ends in ((at, first), (first, last)))
            stood = standing(Levels.joined([self._standing, before]))
            went = gone(stood, book)
            parts += [before, went]
            owners += [message[at:first], np.full(len(went), whole)]
            self._standing, at = Levels.none(), first
        rest = changes.levels.take(np.arange(at, len(message)))
        self._standing = standing(Levels.joined([self._standing, rest]))
        return np.concatenate([*owners, message[at:]]), Levels.joined([*parts, rest])

    def _take_snapshots(self, changes: Changes) -> None:
        """Shows the last change of each interval that is over."""
        grid = np.maximum(-(-np.maximum.accumulate(changes.recv_ns) // INTERVAL_NS), self._grid)
        if self._waiting is not None and grid[0] > self._grid:
            self._show(self._waiting)
        last = np.flatnonzero(np.diff(grid, append=-1))
        if len(last) > 1:
            self._show(changes.take(last[:-1]))
        self._waiting, self._grid = changes.take(last[-1:]), int(grid[-1])

    def _show(self, changes: Changes) -> None:
        """Writes the best levels where they changed."""
        values = _best(changes)
        before = values[:1] * np.nan if self._shown is None else self._shown
        same = np.concatenate([before, values[:-1]])
        changed = ~((values == same) | (np.isnan(values) & np.isnan(same))).all(axis=1)
        self._shown = values[-1:]
        at = np.flatnonzero(changed)
        if len(at):
            columns = [pa.array(column, from_pandas=True) for column in values[at].T]
            rows = pa.table([*_clocks(changes, at), *columns], schema=SCHEMAS[BOOK.name])
            self.files.get(BOOK.name).write(rows)


def _clocks(changes: Changes, at: Integers) -> list[pa.Array]:
    """Event time, receive time and sequence of the changes at these places."""
    event_ns, update_id = changes.event_ns[at], changes.update_id[at]
    return [
        pa.array(event_ns, mask=event_ns == 0).cast(CLOCK),
        pa.array(changes.recv_ns[at]).cast(CLOCK),
        pa.array(update_id, mask=update_id == NONE),
    ]


def _best(changes: Changes) -> npt.NDArray[np.float64]:
    """The best levels as float64[n, columns], in the order of `Levels.columns`; NaN where there is none."""
    top, depth = changes.top, changes.top.shape[2]
    unit = np.broadcast_to(changes.unit[:, None, None], top.shape[:3])
    values = np.stack([to_floats(top[..., 0], unit), to_floats(top[..., 1], top[..., 2])], axis=-1)
    values[np.arange(depth) >= changes.counts[..., None]] = np.nan
    return values[:, [BID, ASK]].transpose(0, 2, 1, 3).reshape(len(changes), -1)
