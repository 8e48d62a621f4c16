"""The books of one connection: takes messages in, says of each what its book is worth after it.

A verdict is what was known when the message arrived: it never changes, and does not depend on how messages are cut
into calls. All state is in arrays, so that it can be written down and taken up again.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tidelake.books.messages import ASK, BID, PER_LEVEL, BookFrames, BookStream
from tidelake.books.rules.registry import rules_of
from tidelake.books.rules.spec import BookRule, Join
from tidelake.books.states import REASONS, STATES
from tidelake.errors import NotInLake
from tidelake.kernels import book_memory as memory
from tidelake.kernels.book_codes import NONE, RULE_WORDS
from tidelake.kernels.book_engine import (
    DONE,
    J_APPLIED,
    J_PROVEN,
    J_REASON,
    J_STATE,
    JUDGED,
    LEVELS_FULL,
    S_RULE,
    SIDES_FULL,
    UPDATES_FULL,
    run_messages,
)
from tidelake.kernels.book_memory import Books, Messages, fresh_words
from tidelake.kernels.book_sides import (
    BEGIN,
    CAPACITY,
    COUNT,
    FIRST,
    LEVEL_WORDS,
    ROOM,
    SCALE,
    SENT_WORDS,
    SIDE_WORDS,
    UNSET,
)
from tidelake.kernels.book_standing import book_state
from tidelake.kernels.checksums import TEXT_BYTES

Integers = npt.NDArray[np.int64]
Judge = Callable[[Books, Integers, Integers, Messages, Integers, int], tuple[int, int, int, int]]

FIRST_LEVELS = 64
NS = 10**9


@dataclass(frozen=True)
class Verdicts:
    """What each message left behind.

    Attributes:
        state, reason: uint8[n], codes of `books.states`: the book after the message; of a quote or page the worst book
            of its symbol; UNPROVABLE where there is none.
        proven: uint32[n], bits of `books.states.RULES`; 0 where the book is INVALID or UNPROVABLE.
        applied: bool[n], whether the message's levels are in the book.
    """

    state: npt.NDArray[np.uint8]
    reason: npt.NDArray[np.uint8]
    proven: npt.NDArray[np.uint32]
    applied: npt.NDArray[np.bool_]


class Level(NamedTuple):
    """One price and what stands there."""

    price: Decimal
    size: Decimal


@dataclass(frozen=True, slots=True)
class Wanted:
    """A book that needs a snapshot: by a REST page or by subscribing again, as its venue says; `reason` of `state`."""

    stream: BookStream
    by: Literal["page", "subscription"]
    reason: str


class _Dump(msgspec.Struct):
    source: str
    streams: list[tuple[str, str]]
    symbols: list[str]
    depths: dict[int, list[int]]
    used: dict[str, int]
    arrays: bytes


class BookEngine:
    """The books of one connection of one source."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._rules: tuple[BookRule, ...] = rules_of(source)
        self._rule_table = _rule_table(self._rules)
        self._ends = sorted({int(r.until.timestamp()) * NS for r in self._rules if r.until is not None})
        self._slots: dict[tuple[str, str], int] = {}
        self._groups: dict[str, int] = {}
        self._streams: dict[int, BookStream] = {}
        self._books = _empty_books()
        self._used = dict.fromkeys(
            ("levels", "kept", "kept_levels", "quotes"), 0
        )  # places of each arena that are taken
        self._add_slot()  # the scratch slot

    def run(self, frames: BookFrames, recv_ns: Integers, judge: Judge = run_messages) -> Verdicts:
        """Judge messages, in order.

        Args:
            frames: The messages; a stream that was not met before gets a book.
            recv_ns: int64[n], when each was received: it picks among dated rules.
            judge: What judges them, and may note more beside; it takes and gives what `run_messages` does.
        """
        count = len(frames)
        judged = np.zeros((count, JUDGED), np.int64)
        if count:
            streams = self._enter(frames.streams)
            messages = self._messages(frames, recv_ns)
            at, what = 0, -1
            while what != DONE:
                at, what, slot, needed = judge(self._books, self._rule_table, streams, messages, judged, at)
                self._grow(what, slot, needed)
        return Verdicts(
            judged[:, J_STATE].astype(np.uint8),
            judged[:, J_REASON].astype(np.uint8),
            judged[:, J_PROVEN].astype(np.uint32),
            judged[:, J_APPLIED].astype(np.bool_),
        )

    def _messages(self, frames: BookFrames, recv_ns: Integers) -> Messages:
        row = np.empty((len(frames), len(memory.MESSAGE) + 2), np.int64)
        for column, name in enumerate(memory.MESSAGE):
            row[:, column] = (
                np.searchsorted(np.array(self._ends, np.int64), recv_ns, side="right")
                if name == "era"
                else getattr(frames, name)
            )
        row[:, memory.M_FROM] = frames.level_from[:-1]
        row[:, memory.M_TO] = frames.level_from[1:]
        sent = np.empty((len(frames.price), SENT_WORDS), np.int64)
        for column, name in enumerate(PER_LEVEL):
            sent[:, column] = getattr(frames, name)
        return Messages(row, sent)

    def streams(self) -> list[BookStream]:
        """The books that an update or snapshot came for, in the order in which they were met."""
        return [stream for stream, _ in self._born()]

    def stream_at(self, slot: int) -> BookStream:
        """The book in a slot of the engine's memory."""
        return self._streams[slot]

    def slots(self) -> dict[int, BookStream]:
        """All books by their slots in the engine's memory."""
        return dict(self._streams)

    def counters(self, stream: BookStream) -> dict[str, int]:
        """What was counted of a book; see `kernels.book_memory.COUNTERS`."""
        row = self._books.words[self._slot(stream), memory.FIRST_COUNTER :]
        return dict(zip(memory.COUNTERS, row.tolist(), strict=True))

    def ends_with_connection(self, stream: BookStream) -> bool:
        """Whether a book is lost when its connection is: its venue's ids do not go on over the next one."""
        return not self._rules[self._books.words[self._slot(stream), memory.RULE]].continues

    def state(self, stream: BookStream) -> tuple[str, str]:
        """The state of a book as it stands, and the reason where it is not VALID."""
        state, reason = book_state(self._books.words, self._slot(stream))
        return STATES[state], REASONS[reason]

    @property
    def wanted(self) -> list[Wanted]:
        """The books that are to be synchronised again, or laid beside a page where a quote differs from them."""
        found = []
        for stream, slot in self._born():
            word = self._books.words[slot]
            by: Literal["page", "subscription"] = (
                "subscription" if self._rules[word[memory.RULE]].join == Join.NEVER else "page"
            )
            doubtful = word[memory.QUOTE_BAD] and by == "page"
            if word[memory.PHASE] != memory.LIVE or word[memory.LOST] or doubtful:
                found.append(Wanted(stream, by, self.state(stream)[1]))
        return found

    def top(self, stream: BookStream) -> tuple[Level | None, Level | None]:
        """The best bid and the best ask; None where a side is empty."""
        bids, asks = self.levels(stream, 1)
        return (bids[0] if bids else None), (asks[0] if asks else None)

    def levels(self, stream: BookStream, depth: int = 0) -> tuple[list[Level], list[Level]]:
        """Bids and asks, best first; at most `depth` of each, all where it is 0. Digits are as they were sent."""
        slot = self._slot(stream)
        return list(self._side(slot, BID, depth)), list(self._side(slot, ASK, depth))

    def _side(self, slot: int, side: int, depth: int) -> Iterator[Level]:
        sides = self._books.sides
        first, count = int(sides[2 * slot + side, FIRST]), int(sides[2 * slot + side, COUNT])
        scale = int(sides[2 * slot, SCALE])
        places = self._books.levels[first + count - (min(depth, count) or count) : first + count]
        for key, size, price_exponent, size_exponent in reversed(places.tolist()):
            price = Decimal(abs(key) // 10 ** (price_exponent - scale)).scaleb(price_exponent)
            yield Level(price, Decimal(size).scaleb(size_exponent))

    def dump(self) -> bytes:
        """All that the engine knows; `load` gives an engine that goes on as this one would."""
        packed = io.BytesIO()
        taken = {name: array[: self._used.get(name, len(array))] for name, array in self._books._asdict().items()}
        np.savez(packed, allow_pickle=False, **taken)
        depths = {slot: [s.depth, s.price_places, s.size_places] for slot, s in self._streams.items()}
        return msgspec.msgpack.encode(
            _Dump(self.source, list(self._slots), list(self._groups), depths, self._used, packed.getvalue())
        )

    @classmethod
    def load(cls, data: bytes) -> "BookEngine":
        """The engine that `dump` wrote down."""
        said = msgspec.msgpack.decode(data, type=_Dump)
        engine = cls(said.source)
        engine._books = Books(**np.load(io.BytesIO(said.arrays)))
        engine._used = said.used
        engine._groups = {symbol: i for i, symbol in enumerate(said.symbols)}
        slots = sorted(said.depths)
        engine._slots = dict(zip(said.streams, slots, strict=True))
        engine._streams = {
            slot: BookStream(*name, *said.depths[slot]) for name, slot in zip(said.streams, slots, strict=True)
        }
        return engine

    def _born(self) -> Iterator[tuple[BookStream, int]]:
        for slot, stream in self._streams.items():
            if self._books.words[slot, memory.PHASE] != memory.UNBORN:
                yield stream, slot

    def _slot(self, stream: BookStream) -> int:
        slot = self._slots.get((stream.symbol, stream.channel), -1)
        if slot < 0 or self._books.words[slot, memory.PHASE] == memory.UNBORN:
            known = tuple(f"{s.symbol} {s.channel}" for s in self.streams())
            raise NotInLake(
                f"{self.source} has no book {stream.symbol} {stream.channel!r}; it has {', '.join(known) or 'none'}",
                available=known,
            )
        return slot

    def _enter(self, streams: Sequence[BookStream]) -> Integers:
        """Slots of the streams; new ones get a slot, and their symbol a group with a slot for its page."""
        for stream in streams:
            name = (stream.symbol, stream.channel)
            if stream.symbol not in self._groups:
                self._groups[stream.symbol] = len(self._groups)
                group = np.array([[-1, self._add_slot(), NONE, 0]], np.int64)
                self._books = self._books._replace(groups=np.concatenate([self._books.groups, group]))
            if stream.channel and name not in self._slots:
                self._slots[name] = self._add_book(self._groups[stream.symbol], stream.channel)
            if stream.channel:
                self._streams[self._slots[name]] = stream
        eras = [*self._ends, 2**63 - 1]
        known = [
            [self._slots.get((s.symbol, s.channel), -1), self._groups[s.symbol], s.depth, s.price_places, s.size_places]
            + [self._rule_at(s.channel, end - 1) for end in eras]
            for s in streams
        ]
        return np.array(known, np.int64).reshape(len(streams), S_RULE + len(eras))

    def _rule_at(self, channel: str, recv_ns: int) -> int:
        return next(i for i, rule in enumerate(self._rules) if rule.serves(channel) and rule.holds_at(recv_ns))

    def _add_slot(self) -> int:
        slot = len(self._books.words)
        sides = np.zeros((2, SIDE_WORDS), np.int64)
        sides[:, SCALE] = UNSET
        self._books = self._books._replace(
            words=np.concatenate([self._books.words, fresh_words()[None]]),
            sides=np.concatenate([self._books.sides, sides]),
        )
        return slot

    def _add_book(self, group: int, channel: str) -> int:
        slot = self._add_slot()
        word = self._books.words[slot]
        word[memory.GROUP] = group
        word[memory.NEXT] = self._books.groups[group, memory.HEAD]
        self._books.groups[group, memory.HEAD] = slot
        if any(rule.quotes and rule.serves(channel) for rule in self._rules):
            word[memory.QUOTE_ROW] = self._place("quotes", slice(0, 0), 1)
        return slot

    def _grow(self, what: int, slot: int, needed: int) -> None:
        """Gives a slot more room: at least twice what it had, at the end of the arena."""
        if what == SIDES_FULL:
            self._grow_sides(slot, needed)
        elif what == UPDATES_FULL:
            word = self._books.words[slot]
            capacity = min(max(2 * int(word[memory.KEPT_CAPACITY]), FIRST_LEVELS), memory.MOST_UPDATES)
            old = slice(int(word[memory.KEPT_BEGIN]), int(word[memory.KEPT_BEGIN] + word[memory.KEPT]))
            word[memory.KEPT_BEGIN] = self._place("kept", old, capacity)
            word[memory.KEPT_CAPACITY] = capacity
        elif what == LEVELS_FULL:
            word = self._books.words[slot]
            wanted = max(2 * int(word[memory.LEVELS_CAPACITY]), int(word[memory.LEVELS]) + needed, FIRST_LEVELS)
            capacity = min(wanted, max(memory.MOST_LEVELS, 2 * needed))
            old = slice(int(word[memory.LEVELS_BEGIN]), int(word[memory.LEVELS_BEGIN] + word[memory.LEVELS]))
            word[memory.LEVELS_BEGIN] = self._place("kept_levels", old, capacity)
            word[memory.LEVELS_CAPACITY] = capacity

    def _grow_sides(self, slot: int, needed: int) -> None:
        sides = self._books.sides
        wanted = needed * ROOM // (ROOM - 1) + ROOM
        capacity = max(2 * int(sides[2 * slot, CAPACITY]), wanted, FIRST_LEVELS)
        for side in (2 * slot, 2 * slot + 1):
            first = int(sides[side, FIRST])
            begin = self._place("levels", slice(first, first + int(sides[side, COUNT])), capacity)
            sides[side, BEGIN] = sides[side, FIRST] = begin
            sides[side, CAPACITY] = capacity

    def _place(self, arena: str, old: slice, capacity: int) -> int:
        """Copies what stands at `old` behind the used part of an arena, which is made longer where needed."""
        begin = self._used[arena]
        self._used[arena] = begin + capacity
        array = _longer(getattr(self._books, arena), begin + capacity)
        array[begin : begin + old.stop - old.start] = array[old]
        self._books = self._books._replace(**{arena: array})
        return begin


def _longer(array: Any, wanted: int) -> Any:
    """The array, or a copy with at least so many rows and twice those it had."""
    if len(array) >= wanted:
        return array
    longer = np.zeros((max(wanted, 2 * len(array)), *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer


def _rule_table(rules: Sequence[BookRule]) -> Integers:
    table = np.zeros((len(rules), RULE_WORDS), np.int64)
    for i, r in enumerate(rules):
        table[i] = [r.link, r.join, r.reset, r.checksum, r.zero_is_absent, r.connection, r.continues, r.quotes]
    return table


def _empty_books() -> Books:
    return Books(
        words=np.zeros((0, memory.SLOT_WORDS), np.int64),
        groups=np.zeros((0, 4), np.int64),
        levels=np.zeros((0, LEVEL_WORDS), np.int64),
        sides=np.zeros((0, SIDE_WORDS), np.int64),
        kept=np.zeros((0, 5), np.int64),
        kept_levels=np.zeros((0, SENT_WORDS), np.int64),
        quotes=np.zeros((0, 2, memory.RING, memory.TOP_WORDS), np.int64),
        text=np.zeros(TEXT_BYTES, np.uint8),
    )
