"""One day of one symbol as Tardis lays it out: `trades`, `incremental_book_L2` and `book_snapshot_25`.

Source:  https://docs.tardis.dev/downloadable-csv-files/data-types
Rules:   `timestamp` is `local_timestamp` where the venue tells none. Numbers have all digits that were sent, without
         zeros at their end.
         `incremental_book_L2`: each message. At the start of the day, and where what is written does not lead to the
         book, the whole book after the message, with `is_snapshot` true: what was before is to be thrown away.
         Right behind another whole book, prices that went since stand before it with amount 0: who throws away only
         where `is_snapshot` turns true, as the vendor says, would keep them.
         `book_snapshot_25`: after each message that changes the best 25 levels of a side.
         `trades`: each trade that the venue told.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidelake.books.changes import Changes, Levels, gone
from tidelake.books.messages import ASK, BID
from tidelake.jobs.vendor_files import CsvFile, DayFiles
from tidelake.jobs.vendor_numbers import Integers, to_texts
from tidelake.jobs.vendor_trades import TakerTrade
from tidelake.vendors import spec
from tidelake.vendors.tardis import BOOK_SNAPSHOT, INCREMENTAL_BOOK, TRADES

SNAPSHOT_LEVELS = [
    BOOK_SNAPSHOT.levels.column(side, level, what)
    for level in range(BOOK_SNAPSHOT.levels.depth if BOOK_SNAPSHOT.levels else 0)
    for side in (spec.ASK, spec.BID)
    for what in ("price", "size")
    if BOOK_SNAPSHOT.levels
]
HEADERS = {
    table.name: [field.names[0] for field in table.fields] + (SNAPSHOT_LEVELS if table.levels else [])
    for table in (TRADES, INCREMENTAL_BOOK, BOOK_SNAPSHOT)
}


class TardisTrades:
    """`trades` of one day of one symbol (`vendor_days.DayOf`).

    Args:
        place: Table -> its file.
        exchange, symbol: As Tardis calls them.
    """

    def __init__(self, place: Callable[[str], Path], exchange: str, symbol: str) -> None:
        self.files = DayFiles(lambda table: CsvFile(place(table), HEADERS[table]))
        self._named = f"{exchange},{symbol}"

    def write(self, trades: Sequence[TakerTrade]) -> None:
        """Writes trades."""
        self.files.get(TRADES.name).write([f"{self._named},{_trade(trade)}" for trade in trades])

    def flush(self) -> None:
        """Nothing is held back."""


def _trade(trade: TakerTrade) -> str:
    clocks = f"{trade.event_us},{trade.recv_ns // 1_000}"
    return f"{clocks},{trade.trade_id},{trade.side},{_text(trade.price)},{_text(trade.size)}"


class TardisBook:
    """`incremental_book_L2` and `book_snapshot_25` of one day of one symbol (`vendor_days.DayOf`).

    Args:
        place: Table -> its file.
        exchange, symbol: As Tardis calls them.
    """

    def __init__(self, place: Callable[[str], Path], exchange: str, symbol: str) -> None:
        self.files = DayFiles(lambda table: CsvFile(place(table), HEADERS[table]))
        self._named = f"{exchange},{symbol}"
        self._shown = ""
        self._whole: Levels | None = None

    def write(self, changes: Changes) -> None:
        """Writes changes after which the book stands."""
        owner, levels = self._with_gone(changes)
        lines = self._lines(
            changes,
            owner,
            pa.array(np.where(changes.whole[owner], "true", "false")),
            pa.array(np.where(levels.side == BID, spec.BID, spec.ASK)),
            to_texts(levels.price, levels.price_exponent),
            to_texts(levels.size, levels.size_exponent),
        )
        if lines:
            self.files.get(INCREMENTAL_BOOK.name).write(lines)
        self._show(changes)

    def flush(self) -> None:
        """Nothing is held back."""

    def _with_gone(self, changes: Changes) -> tuple[Integers, Levels]:
        """The levels of changes, and between two whole books what goes; and the change that each is of."""
        owners, parts, at = [], [], 0
        message = np.repeat(np.arange(len(changes)), np.diff(changes.level_from))
        for n, whole in enumerate(changes.whole.tolist()):
            if not whole:
                self._whole = None
                continue
            first, last = changes.level_from[n : n + 2].tolist()
            book = changes.levels.take(np.arange(first, last))
            if self._whole is not None:
                went = gone(self._whole, book)
                parts += [changes.levels.take(np.arange(at, first)), went]
                owners += [message[at:first], np.full(len(went), n)]
                at = first
            self._whole = book
        rest = changes.levels.take(np.arange(at, len(message)))
        return np.concatenate([*owners, message[at:]]), Levels.joined([*parts, rest])

    def _show(self, changes: Changes) -> None:
        """Writes the best levels where they changed."""
        best = _best(changes)
        at = [n for n, (before, now) in enumerate(zip([self._shown, *best], best, strict=False)) if before != now]
        self._shown = best[-1] if best else self._shown
        if at:
            shown = pa.array([best[n] for n in at])
            self.files.get(BOOK_SNAPSHOT.name).write(self._lines(changes, np.array(at), shown))

    def _lines(self, changes: Changes, at: Integers, *columns: pa.Array) -> list[str]:
        """Lines of the changes at these places: names, both clocks, then the columns."""
        recv_us, event_us = changes.recv_ns[at] // 1_000, changes.event_ns[at] // 1_000
        clocks = (np.where(event_us == 0, recv_us, event_us), recv_us)
        texts = [pc.cast(pa.array(clock), pa.string()) for clock in clocks]
        lines: list[str] = pc.binary_join_element_wise(self._named, *texts, *columns, ",").to_pylist()
        return lines


def _best(changes: Changes) -> list[str]:
    """The best levels of each change as the end of its line, in the order of `SNAPSHOT_LEVELS`."""
    top = changes.top[:, [ASK, BID]].transpose(0, 2, 1, 3)  # change, level, side
    there = (np.arange(top.shape[1])[:, None] < changes.counts[:, None, [ASK, BID]]).ravel()
    unit = np.broadcast_to(changes.unit[:, None, None], top.shape[:3]).ravel()
    prices = to_texts(top[..., 0].ravel(), unit)
    sizes = to_texts(top[..., 1].ravel(), top[..., 2].ravel())
    pairs = pc.if_else(pa.array(there), pc.binary_join_element_wise(prices, sizes, ","), ",")
    width = top.shape[1] * top.shape[2]
    rows = pa.ListArray.from_arrays(pa.array(np.arange(len(changes) + 1) * width, pa.int32()), pairs)
    best: list[str] = pc.binary_join(rows, ",").to_pylist()
    return best


def _text(value: Decimal) -> str:
    """All digits, no zero too many."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
