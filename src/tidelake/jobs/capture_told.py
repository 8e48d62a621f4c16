"""Books as a capture tells them to the bus: after each message that changed one, its state and its best levels."""

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa

from tidelake.books.engine import BookEngine, Level, Verdicts
from tidelake.books.messages import NONE, OPEN, PAGE, REFUSED, SNAPSHOT, UPDATE, BookFrames, BookStream, Integers
from tidelake.books.states import INVALID, REASONS, STATES, rule_words
from tidelake.live.rows import BOOK_SCHEMA

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MOST_CUTS = 256  # a message alone costs 0.1 ms, most of it to call the engine; among others 2 us
CHANGING = (UPDATE, SNAPSHOT, PAGE, REFUSED, OPEN)


class BookTeller:
    """Runs messages through an engine one at a time, and notes the rows that follow.

    A book is told when its levels or its state changed. An INVALID one has no levels: they are known to be wrong. Of a
    long batch several messages are run at once, so that telling never makes a capture shed: then a book is told after
    the last of them, and before that once as INVALID where it was lost in between.
    """

    def __init__(self, engine: BookEngine, levels: int) -> None:
        self._engine = engine
        self._levels = levels
        self._states: dict[tuple[str, str], tuple[str, str]] = {}
        self._rows: list[dict[str, Any]] = []

    def run(self, frames: BookFrames, recv_ns: Integers) -> Verdicts:
        """Judge messages, in order, one at least; verdicts do not depend on how they are cut."""
        step = -(-len(frames) // MOST_CUTS)
        found = [
            self._run_part(frames.part(start, min(start + step, len(frames))), recv_ns[start : start + step])
            for start in range(0, len(frames), step)
        ]
        return Verdicts(
            np.concatenate([each.state for each in found]),
            np.concatenate([each.reason for each in found]),
            np.concatenate([each.proven for each in found]),
            np.concatenate([each.applied for each in found]),
        )

    def _run_part(self, frames: BookFrames, recv_ns: Integers) -> Verdicts:
        verdicts = self._engine.run(frames, recv_ns)
        changed: dict[tuple[str, str], tuple[BookStream, int]] = {}  # and by which message last
        for i in range(len(frames)):
            number, kind = int(frames.stream[i]), int(frames.kind[i])
            named = frames.streams[number] if number >= 0 else None
            applied = bool(verdicts.applied[i]) and kind in CHANGING
            for book in self._concerned(named):
                name = (book.symbol, book.channel)
                state = self._engine.state(book)
                if applied or self._states.get(name) != state:
                    changed[name] = (book, i)
                if verdicts.state[i] == INVALID != STATES.index(state[0]) and book == named:
                    lost = (STATES[INVALID], REASONS[verdicts.reason[i]])
                    if self._states.get(name) != lost:
                        self._tell(book, lost, "", frames, i, int(recv_ns[i]))
                    self._states[name] = lost
        for name, (book, i) in changed.items():
            self._states[name] = self._engine.state(book)
            mine = int(frames.stream[i]) >= 0 and frames.streams[int(frames.stream[i])] == book
            rule = rule_words(int(verdicts.proven[i])) if mine else ""
            self._tell(book, self._states[name], rule, frames, i, int(recv_ns[i]))
        return verdicts

    def _concerned(self, named: BookStream | None) -> list[BookStream]:
        """The books that a message may change: its own, all of its symbol, or all of the connection."""
        if named is None:
            return self._engine.streams()
        born = [book for book in self._engine.streams() if book.symbol == named.symbol]
        mine = [book for book in born if book.channel == named.channel]
        return mine or born

    def _tell(
        self, book: BookStream, state: tuple[str, str], rule: str, frames: BookFrames, i: int, recv_ns: int
    ) -> None:
        bids: list[Level] = []
        asks: list[Level] = []
        if state[0] != STATES[INVALID]:
            bids, asks = self._engine.levels(book, self._levels)
        event_ns, update_id = int(frames.event_ns[i]), int(frames.last_id[i])
        self._rows.append(
            {
                "source": self._engine.source,
                "symbol": book.symbol,
                "channel": book.channel,
                "event_time": EPOCH + dt.timedelta(microseconds=event_ns // 1_000) if event_ns else None,
                "recv_ns": recv_ns,
                "update_id": None if update_id == NONE else update_id,
                "validity": state[0],
                "reason": state[1],
                "rule": rule,
                "bid_prices": [level.price for level in bids],
                "bid_sizes": [level.size for level in bids],
                "ask_prices": [level.price for level in asks],
                "ask_sizes": [level.size for level in asks],
            }
        )

    def rows(self) -> pa.Table | None:
        """What was noted since the last call, as rows of the feed `book`; None where that is nothing."""
        rows, self._rows = self._rows, []
        return pa.Table.from_pylist(rows, BOOK_SCHEMA) if rows else None
