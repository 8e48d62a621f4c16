"""Every change of the books of a lane, as the judge of the lane finds them: what a replay of them needs."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tidelake.books.engine import BookEngine, Verdicts
from tidelake.books.judging import LaneJudge
from tidelake.books.messages import PER_LEVEL, REFUSED, SNAPSHOT, UPDATE, BookFrames, BookStream
from tidelake.books.states import REASONS
from tidelake.kernels import book_changes as kernel
from tidelake.kernels.book_memory import Books, Messages
from tidelake.kernels.book_sides import COUNT
from tidelake.raw.entry import Entry
from tidelake.tables.segment_lines import SegmentLines

PART = 4_096  # messages judged at once: bounds what is held of their best levels
FIRST_ROOM = 1 << 16
DAY_NS = 86_400 * 10**9
OLD = "older than what the book holds"

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Levels:
    """Levels of one book in the order in which they are to be applied; int64[m] each.

    Attributes:
        side: 0 bids, 1 asks.
        price, price_exponent, size, size_exponent: As in `BookFrames`; of size 0 where the price goes.
    """

    side: Integers
    price: Integers
    price_exponent: Integers
    size: Integers
    size_exponent: Integers

    def __len__(self) -> int:
        return len(self.side)

    @staticmethod
    def none() -> "Levels":
        """No levels."""
        return Levels(*np.zeros((5, 0), np.int64))

    def take(self, at: Integers) -> "Levels":
        """Those at these places."""
        return Levels(*(getattr(self, each.name)[at] for each in fields(self)))

    @staticmethod
    def joined(parts: "list[Levels]") -> "Levels":
        """All of them, one after another."""
        return Levels(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(Levels)))


def standing(levels: Levels) -> Levels:
    """What stands when levels were set one after another: the last of each price, none of size 0."""
    if not len(levels):
        return levels
    unit = int(levels.price_exponent.min())
    price = levels.price * 10 ** (levels.price_exponent - unit)  # fits: the book that took them had one unit too
    order = np.lexsort((price, levels.side))  # stable: of one price the last comes last
    last = np.ones(len(order), np.bool_)
    last[:-1] = (np.diff(price[order]) != 0) | (np.diff(levels.side[order]) != 0)
    kept = order[last]
    return levels.take(kept[levels.size[kept] > 0])


def removing(levels: Levels) -> Levels:
    """Levels of size 0 at the same prices."""
    return replace(levels, size=np.zeros(len(levels), np.int64), size_exponent=np.zeros(len(levels), np.int64))


def gone(before: Levels, book: Levels) -> Levels:
    """What removes from the levels that stand those at whose prices a whole book has none."""
    return removing(standing(Levels.joined([before, removing(book)])))


@dataclass(frozen=True)
class Changes:
    """Messages that were applied to one book, in order. n messages.

    Attributes:
        recv_ns: int64[n], receive clock of each.
        day: int64[n], days since 1970 of the latest receive clock of the lane up to each.
        event_ns: int64[n], the venue's clock; 0 where it tells none.
        update_id: int64[n], of the last update in the book; NONE where the venue numbers none.
        state, reason: int64[n], codes of `books.states`, after each.
        told: bool[n], whether the book stands after it: proven, or of a venue that offers nothing to prove it by. A
            message that is not told has no levels.
        whole: bool[n], whether the levels are the whole book after the message, not those of the message itself: what
            was told before does not lead to it.
        level_from: int64[n + 1], first of `levels` of each, and their number.
        levels: Those of the messages, and of size 0 those that are cut away where a book is kept to a depth.
        unit: int64[n], see `top`.
        counts: int64[n, 2], how many bids and asks `top` holds.
        top: int64[n, 2, depth, 3], price in units of 10**unit, size and its exponent of the best levels, best first.
    """

    recv_ns: Integers
    day: Integers
    event_ns: Integers
    update_id: Integers
    state: Integers
    reason: Integers
    told: npt.NDArray[np.bool_]
    whole: npt.NDArray[np.bool_]
    level_from: Integers
    levels: Levels
    unit: Integers
    counts: Integers
    top: Integers

    def __len__(self) -> int:
        return len(self.recv_ns)

    def take(self, at: Integers) -> "Changes":
        """Those at these places, in this order, with their levels."""
        level_from, places = ranges(self.level_from[at], self.level_from[at + 1])
        columns = {each.name: getattr(self, each.name)[at] for each in fields(self) if each.name not in LEVELS}
        return Changes(**columns, level_from=level_from, levels=self.levels.take(places))


LEVELS = ("level_from", "levels")
Tell = Callable[[BookStream, Changes], None]


def ranges(starts: Integers, ends: Integers) -> tuple[Integers, Integers]:
    """Where each of these ranges begins when they are laid end to end (and the end), and the numbers in them."""
    counts = ends - starts
    begin = np.concatenate(([0], np.cumsum(counts)))
    return begin, np.repeat(starts - begin[:-1], counts) + np.arange(begin[-1])


class ChangeJudge(LaneJudge):
    """The judge of a lane that hands on every change of its books.

    Args:
        source, engine: As for `LaneJudge`.
        depth: Best levels of each side that come with a change.
        tell: Called with the changes of each book, in order of messages.
        read: Called with each entry and its lines, before its changes.
        left: Called with how many messages of a book were not applied or not told, and why.
        silent_until: Receive clock up to which, inclusive, nothing is to be told of a book.
    """

    def __init__(
        self,
        source: str,
        engine: BookEngine,
        depth: int,
        tell: Tell,
        read: Callable[[Entry, SegmentLines], None],
        left: Callable[[BookStream, int, str], None],
        silent_until: Callable[[BookStream], int],
    ) -> None:
        super().__init__(source, engine)
        self._depth = depth
        self._tell = tell
        self._read = read
        self._left = left
        self._silent_until = silent_until
        self._silence: dict[tuple[str, str], int] = {}
        self._day = 0
        self._last = np.zeros((0, kernel.LAST_WORDS), np.int64)
        self._make_room(PART, FIRST_ROOM)

    def enter(self, entry: Entry, lines: SegmentLines) -> BookFrames:
        self._read(entry, lines)
        return super().enter(entry, lines)

    def judge(self, frames: BookFrames, recv_ns: Integers, *, counted: bool = True) -> Verdicts:
        """Runs the messages that come next; changes are told of those that are counted."""
        if not counted:
            return self.engine.run(frames, recv_ns)
        cuts = [*range(0, len(frames), PART), len(frames)]
        parts = [self._note_part(frames.part(*ends), recv_ns[slice(*ends)]) for ends in pairwise(cuts)]
        verdicts = Verdicts(*(np.concatenate([getattr(p, each.name) for p in parts]) for each in fields(Verdicts)))
        self._tell_left(frames, recv_ns, verdicts)
        return verdicts

    def _tell_left(self, frames: BookFrames, recv_ns: Integers, verdicts: Verdicts) -> None:
        """Says which messages are not told."""
        ours = np.isin(frames.kind, (UPDATE, SNAPSHOT, REFUSED)) & (frames.stream >= 0)
        for number in np.unique(frames.stream[ours]).tolist():
            stream = frames.streams[number]
            mine = ours & (frames.stream == number)
            silent = mine & verdicts.applied & (recv_ns <= self._silence[stream.symbol, stream.channel])
            reasons = verdicts.reason[mine & ~verdicts.applied]
            for reason, count in zip(*np.unique(reasons, return_counts=True), strict=True):
                self._left(stream, int(count), REASONS[reason] or OLD)
            if silent.any():
                self._left(stream, int(silent.sum()), "another lane told that time")

    def _make_last(self, slots: int) -> None:
        """Room for what was told last of so many slots."""
        known = len(self._last)
        if known < slots:
            self._last = np.concatenate([self._last, np.zeros((slots - known, kernel.LAST_WORDS), np.int64)])
            for slot, stream in self.engine.slots().items():
                if slot >= known:
                    until = self._silent_until(stream)
                    self._last[slot, kernel.SILENT_UNTIL] = self._silence[stream.symbol, stream.channel] = until

    def _make_room(self, changes: int, levels: int) -> None:
        self._changes = np.empty((changes, kernel.CHANGE_WORDS), np.int64)
        self._counts = np.empty((changes, 2), np.int64)
        self._tops = np.zeros((changes, 2, self._depth, 3), np.int64)
        self._held = np.empty((levels, kernel.HELD_WORDS), np.int64)
        self._used = np.zeros(2, np.int64)

    def _note_part(self, frames: BookFrames, recv_ns: Integers) -> Verdicts:
        days = np.maximum(np.maximum.accumulate(recv_ns) // DAY_NS, self._day)
        self._day = int(days[-1])
        deepest = max((stream.depth for stream in frames.streams), default=0)

        def judge(
            books: Books, rules: Integers, streams: Integers, messages: Messages, judged: Integers, at: int
        ) -> tuple[int, int, int, int]:
            self._make_last(len(books.words))
            keys = np.empty((2, max(deepest, int(books.sides[:, COUNT].max())) if deepest else 0), np.int64)
            while True:
                at, what, slot, needed = kernel.run_and_note(
                    books, rules, streams, messages, judged, at, recv_ns, days, self._last, keys,
                    self._changes, self._used, self._counts, self._tops, self._held,
                )  # fmt: skip
                if what != kernel.CHANGES_FULL:
                    return at, what, slot, needed
                self._tell_noted(frames, recv_ns, days)
                if needed > len(self._held) or len(books.words) > len(self._changes):
                    self._make_room(max(PART, 2 * len(books.words)), max(2 * needed, FIRST_ROOM))

        verdicts = self.engine.run(frames, recv_ns, judge)
        self._tell_noted(frames, recv_ns, days)
        return verdicts

    def _tell_noted(self, frames: BookFrames, recv_ns: Integers, days: Integers) -> None:
        """Hands on what is noted, book by book, and makes its room free."""
        changes = self._changes[: self._used[0]]
        for slot in dict.fromkeys(changes[:, kernel.SLOT].tolist()):
            chosen = np.flatnonzero(changes[:, kernel.SLOT] == slot)
            self._tell(self.engine.stream_at(slot), self._taken(chosen, frames, recv_ns, days))
        self._used[:] = 0

    def _taken(self, chosen: Integers, frames: BookFrames, recv_ns: Integers, days: Integers) -> Changes:
        change = self._changes[chosen]
        message, whole = change[:, kernel.MESSAGE], change[:, kernel.WHOLE] != 0
        told = change[:, kernel.TOLD] != 0
        by_message = told & ~whole
        first = np.where(by_message, frames.level_from[message], 0)
        last = np.where(by_message, frames.level_from[message + 1], 0)
        sent = int(frames.level_from[-1])
        held_from, held_to = (change[:, column] + sent for column in (kernel.LEVELS_FROM, kernel.LEVELS_TO))
        begin, places = ranges(np.stack([first, held_from], 1).ravel(), np.stack([last, held_to], 1).ravel())
        return Changes(
            recv_ns=recv_ns[message],
            day=days[message],
            event_ns=frames.event_ns[message],
            update_id=change[:, kernel.UPDATE_ID],
            state=change[:, kernel.STATE],
            reason=change[:, kernel.REASON],
            told=told,
            whole=whole,
            level_from=begin[::2],
            levels=self._all_levels(frames).take(places),
            unit=change[:, kernel.UNIT],
            counts=self._counts[chosen],
            top=self._tops[chosen],
        )

    def _all_levels(self, frames: BookFrames) -> Levels:
        """The levels of the frames, and after them those that are held."""
        held = self._held[: self._used[1]]
        changes = self._changes[: self._used[0]]
        counts = changes[:, kernel.LEVELS_TO] - changes[:, kernel.LEVELS_FROM]
        unit = np.repeat(changes[:, kernel.UNIT], counts)
        kept = Levels(
            held[:, kernel.HELD_SIDE],
            held[:, kernel.HELD_PRICE],
            unit,
            held[:, kernel.HELD_SIZE],
            held[:, kernel.HELD_SIZE_EXPONENT],
        )
        sent = Levels(*(getattr(frames, name).astype(np.int64) for name in PER_LEVEL))
        return Levels.joined([sent, kept])
