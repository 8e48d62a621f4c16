"""Books as a capture tells them to the bus: after each message that changed one, its state and its best levels."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tidelake.books.engine import BookEngine, Verdicts
from tidelake.books.messages import NONE, OPEN, PAGE, REFUSED, SNAPSHOT, UPDATE, BookFrames, Integers
from tidelake.books.states import REASONS, STATES, rule_words
from tidelake.errors import FormatDrift
from tidelake.kernels.book_memory import Books, Messages
from tidelake.kernels.book_told import (
    TOLD_FULL,
    TOLD_MESSAGE,
    TOLD_REASON,
    TOLD_SLOT,
    TOLD_STATE,
    TOLD_WORDS,
    UNFIT,
    run_and_tell,
)
from tidelake.live.rows import BOOK_SCHEMA
from tidelake.tables.arrow_types import EXACT, TIME

CHANGING = np.zeros(256, np.bool_)
CHANGING[[UPDATE, SNAPSHOT, PAGE, REFUSED, OPEN]] = True
Words = npt.NDArray[np.uint64]


class BookTeller:
    """Runs messages through an engine, and notes the rows that follow.

    A book is told when its levels or its state changed. An INVALID one has no levels: they are known to be wrong.
    """

    def __init__(self, engine: BookEngine, levels: int) -> None:
        self._engine = engine
        self._levels = levels
        self._last = np.empty(0, np.int64)
        self._rows: list[pa.Table] = []
        self._make_room(0)

    def _make_room(self, room: int) -> None:
        self._told = np.empty((room, TOLD_WORDS), np.int64)
        self._counts = np.empty((room, 2), np.int64)
        self._prices, self._sizes = np.empty((2, room, 2, self._levels, 2), np.uint64)
        self._used = 0

    def run(self, frames: BookFrames, recv_ns: Integers) -> Verdicts:
        """Judge messages, in order, one at least; verdicts and rows do not depend on how they are cut.

        Raises:
            FormatDrift: A level has more than 18 places behind the point, or is too large for Decimal(38, 18).
        """
        told: list[tuple[Integers, Integers, Words, Words]] = []

        def judge(
            books: Books, rules: Integers, streams: Integers, messages: Messages, judged: Integers, at: int
        ) -> tuple[int, int, int, int]:
            if len(self._last) < len(books.words):
                new = np.full(len(books.words) - len(self._last), -1, np.int64)
                self._last = np.concatenate([self._last, new])
            while True:
                at, what, slot, needed, self._used = run_and_tell(
                    books, rules, streams, messages, judged, at, CHANGING, self._last, self._told, self._used,
                    self._counts, self._prices, self._sizes,
                )  # fmt: skip
                if what == UNFIT:
                    book = self._engine.stream_at(slot)
                    raise FormatDrift(
                        f"a level of {self._engine.source} {book.symbol} does not fit Decimal(38, 18); it is kept raw"
                    )
                if what != TOLD_FULL:
                    return at, what, slot, needed
                told.append(self._taken())
                self._make_room(len(messages.row) - at + len(books.words))

        verdicts = self._engine.run(frames, recv_ns, judge)
        told.append(self._taken())
        self._used = 0
        rows, counts, prices, sizes = (np.concatenate(parts) for parts in zip(*told, strict=True))
        if len(rows):
            self._rows.append(self._table(frames, recv_ns, verdicts, rows, counts, prices, sizes))
        return verdicts

    def _taken(self) -> tuple[Integers, Integers, Words, Words]:
        used = slice(0, self._used)
        return self._told[used], self._counts[used], self._prices[used], self._sizes[used]

    def _table(
        self,
        frames: BookFrames,
        recv_ns: Integers,
        verdicts: Verdicts,
        rows: Integers,
        counts: Integers,
        prices: Words,
        sizes: Words,
    ) -> pa.Table:
        message, slot = rows[:, TOLD_MESSAGE], rows[:, TOLD_SLOT]
        books = {int(number): self._engine.stream_at(int(number)) for number in np.unique(slot)}
        slots = {(book.symbol, book.channel): number for number, book in books.items()}
        named = np.array([slots.get((s.symbol, s.channel), -1) for s in frames.streams] + [-1])  # none is -1
        proven = np.where(named[frames.stream[message]] == slot, verdicts.proven[message], 0)
        event_ns, update_id = frames.event_ns[message], frames.last_id[message]
        columns = [
            pa.repeat(self._engine.source, len(rows)),
            _words({number: book.symbol for number, book in books.items()}, slot),
            _words({number: book.channel for number, book in books.items()}, slot),
            pa.array(event_ns // 1_000, pa.int64(), mask=event_ns == 0).cast(TIME),
            pa.array(recv_ns[message]),
            pa.array(update_id, pa.int64(), mask=update_id == NONE),
            _words(dict(enumerate(STATES)), rows[:, TOLD_STATE]),
            _words(dict(enumerate(REASONS)), rows[:, TOLD_REASON]),
            _words({int(bits): rule_words(int(bits)) for bits in np.unique(proven)}, proven),
            *(_lists(values[:, side], counts[:, side]) for side in range(2) for values in (prices, sizes)),
        ]
        return pa.table(columns, schema=BOOK_SCHEMA)

    def rows(self) -> pa.Table | None:
        """What was noted since the last call, as rows of the feed `book`; None where that is nothing."""
        rows, self._rows = self._rows, []
        return pa.concat_tables(rows) if rows else None


def _words(words: dict[int, str], numbers: npt.NDArray[np.integer]) -> pa.Array:
    known = np.array(sorted(words))
    return pa.array([words[number] for number in known.tolist()]).take(pa.array(np.searchsorted(known, numbers)))


def _lists(values: Words, counts: Integers) -> pa.ListArray:
    """The first of the values of each row, as many as it has."""
    kept = np.ascontiguousarray(values[np.arange(values.shape[1]) < counts[:, None]])
    numbers = pa.Decimal128Array.from_buffers(EXACT, len(kept), [None, pa.py_buffer(kept)])
    return pa.ListArray.from_arrays(pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32()), numbers)
