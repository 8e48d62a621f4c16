"""Rows of the book tables out of sealed lanes: levels as they were sent, each with the state of its book.

A book stands on all that came before in its lane, of which `books.judgements` holds what counts. `validity` is what
the lane by itself proves, so that it does not depend on what else is in the lake, nor on the order in which lanes came
there; `books.verify` and `books.proofs` also carry books from lane to lane.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tidelake.books.engine import Verdicts
from tidelake.books.judgements import ALONE, Judgements
from tidelake.books.judging import LaneJudge
from tidelake.books.messages import ASK, NONE, PAGE, QUOTE, SNAPSHOT, UPDATE, BookFrames, BookStream
from tidelake.books.rules.registry import rules_of
from tidelake.books.rules.spec import BookRule, Link, Reset
from tidelake.books.states import REASONS, STATES, rule_words
from tidelake.raw.entry import Entry
from tidelake.raw.frame import decode_line
from tidelake.raw.ledger import Ledger
from tidelake.raw.store import Store
from tidelake.tables.book_deltas import BOOK_DELTAS
from tidelake.tables.book_snapshots import BOOK_SNAPSHOTS
from tidelake.tables.decode import Decoded, decode, with_provenance
from tidelake.tables.derive import MappingReader, read_entry_lines
from tidelake.tables.mapping import Mapping
from tidelake.tables.quotes import QUOTES
from tidelake.tables.rows import Rejected, refuse
from tidelake.tables.schema import Table
from tidelake.tables.segment_lines import SegmentLines
from tidelake.tables.values import DAY_US, FIRST_TIME_US, check_event_us
from tidelake.venues.registry import venue as find_venue, venues

BOOK_TABLES = (BOOK_DELTAS, BOOK_SNAPSHOTS, QUOTES)
KINDS = {"book_deltas": (UPDATE,), "book_snapshots": (SNAPSHOT, PAGE)}
PAGE_CHANNEL = "page"

Integers = npt.NDArray[np.int64]


class BookReader:
    """Reads one of the book tables (`tables.derive.Reader`).

    Keeps the judge of the lane that it read last; `close` stores where it stands, and the next reader goes on there.
    """

    ordered = True

    def __init__(self, store: Store, table: Table, mappings: Sequence[Mapping], key: bytes | None) -> None:
        self._store = store
        self._table = table
        self._mappings = mappings
        self._key = key
        self._judgements = Judgements(store)
        self._lane = ""
        self._judge: LaneJudge | None = None

    def serves(self, source: str, lane: str) -> bool:
        if self._table is QUOTES:
            return MappingReader(QUOTES, self._mappings).serves(source, lane)
        return source in venues() and find_venue(source).books is not None

    def read(self, entry: Entry, lines: SegmentLines) -> Decoded:
        judge = self._at(entry)
        self._judge = None  # until the entry was judged as a whole
        frames = judge.enter(entry, lines)
        verdicts = judge.judge(frames, lines.recv_ns[frames.line])
        self._judge = judge
        segment = entry.segment.sha256[:16]
        if self._table is QUOTES:
            found = decode(QUOTES, entry.source, lines, segment, dict(entry.context), self._mappings)
            found.rows = judged_quotes(found.rows, frames, verdicts)
            return found
        return level_rows(self._table, entry.source, lines, segment, frames, verdicts)

    def close(self) -> None:
        """Stores what is known of the lane that was read last."""
        if self._judge is not None and self._judge.next_seq:
            self._judgements.save(self._lane, ALONE, self._judge)
        self._judge = None

    def _at(self, entry: Entry) -> LaneJudge:
        """The judge as it stands before the entry; where it was not read last, from what is stored of the lane."""
        if self._judge is None or self._lane != entry.lane or self._judge.next_seq != entry.seq:
            self.close()
            judge = self._judgements.judge_at(entry.lane, ALONE, entry.source, last=entry.seq - 1)
            for earlier in Ledger(self._store).entries(entry.lane, judge.next_seq - 1):
                if earlier.seq == entry.seq:
                    break
                judge.take(earlier, read_entry_lines(self._store, earlier, self._key), [])
            self._lane, self._judge = entry.lane, judge
        return self._judge


def level_rows(
    table: Table, source: str, lines: SegmentLines, segment: str, frames: BookFrames, verdicts: Verdicts
) -> Decoded:
    """The levels in a segment's messages as rows of `book_deltas` or `book_snapshots`."""
    chosen = np.flatnonzero(np.isin(frames.kind, KINDS[table.name]) & (frames.stream >= 0))
    recv_us = lines.recv_ns[frames.line[chosen]] // 1_000
    event_us = np.where(frames.event_ns[chosen] > 0, frames.event_ns[chosen] // 1_000, recv_us)
    timely = (event_us >= FIRST_TIME_US) & (event_us <= recv_us + DAY_US)
    late = zip(chosen[~timely].tolist(), event_us[~timely].tolist(), recv_us[~timely].tolist(), strict=True)
    refused = [_untimely(table, frames, at, us, received) for at, us, received in late]
    if table is BOOK_DELTAS:  # one table files what cannot be read, or it would stand in quarantine twice
        refused = [*frames.refused, *refused]
    chosen, event_us = chosen[timely], event_us[timely]
    messages = _Messages(source, lines, frames, verdicts, chosen, event_us)
    rows = messages.deltas() if table is BOOK_DELTAS else messages.snapshots()
    complete = with_provenance(table, rows, lines, segment, messages.versions())
    return Decoded(complete, refused, len(np.unique(frames.line[chosen])))


def _untimely(table: Table, frames: BookFrames, at: int, us: int, received_us: int) -> Rejected:
    """The refusal of a message whose time `check_event_us` does not take, in its words."""
    try:
        check_event_us(us, received_us * 1_000)
    except ValueError as exc:
        return refuse(table, int(frames.line[at]), int(frames.item[at]), str(exc))
    raise AssertionError(f"{us} us is timely")


def judged_quotes(rows: pa.Table, frames: BookFrames, verdicts: Verdicts) -> pa.Table:
    """The quotes with the state of their symbol's books, where a book was there to judge them."""
    quotes = np.flatnonzero((frames.kind == QUOTE) & (frames.stream >= 0))
    place = {
        (line, item): at
        for line, item, at in zip(
            frames.line[quotes].tolist(), frames.item[quotes].tolist(), quotes.tolist(), strict=True
        )
    }
    found = [place.get(where, -1) for where in zip(rows["line"].to_pylist(), rows["item"].to_pylist(), strict=True)]
    at = np.array(found, dtype=np.int64)
    states, words = _judgements(verdicts, np.maximum(at, 0)) if len(verdicts.state) else ([], [])
    judged = at >= 0
    for name, said in (("validity", states), ("rule", words)):
        column = rows.schema.get_field_index(name)
        old = rows.column(column).to_pylist()
        new = [s if j else o for s, j, o in zip(said or old, judged.tolist(), old, strict=True)]
        rows = rows.set_column(column, rows.schema.field(name), pa.array(new, pa.string()))
    return rows


def _judgements(verdicts: Verdicts, at: Integers) -> tuple[list[str], list[str]]:
    """State of each message, and what proved it or, where nothing did, the reason."""
    states = [STATES[state] for state in verdicts.state[at].tolist()]
    words = [
        REASONS[reason] or rule_words(proven)
        for reason, proven in zip(verdicts.reason[at].tolist(), verdicts.proven[at].tolist(), strict=True)
    ]
    return states, words


@dataclass(frozen=True)
class _Messages:
    """Chosen messages of a segment, on their way to one row per level."""

    source: str
    lines: SegmentLines
    frames: BookFrames
    verdicts: Verdicts
    chosen: Integers
    event_us: Integers

    @property
    def _counts(self) -> Integers:
        counts: Integers = np.diff(self.frames.level_from)[self.chosen]
        return counts

    def _levels(self) -> tuple[Integers, Integers]:
        """Of each level its place among the frames' levels, and its place in its message."""
        counts = self._counts
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(self.frames.level_from[:-1][self.chosen], counts) + within, within

    def _rule_of(self, at: int) -> BookRule:
        stream = self.frames.streams[self.frames.stream[at]]
        recv_ns = int(self.lines.recv_ns[self.frames.line[at]])
        return next(r for r in rules_of(self.source) if r.serves(stream.channel) and r.holds_at(recv_ns))

    @cached_property
    def _rules(self) -> list[BookRule]:
        """The rule that judged each message."""
        return [self._rule_of(at) for at in self.chosen.tolist()]

    def versions(self) -> pa.Array:
        """The version of the rule that judged each level's message."""
        return self._spread([rule.version for rule in self._rules])

    def _keys(self) -> list[str]:
        """The id of each message. A number that its venue counts anew after a restart is no id without its time."""
        keys = []
        last = self.frames.last_id[self.chosen].tolist()
        each = zip(self.chosen.tolist(), last, self.event_us.tolist(), self._rules, strict=True)
        for at, number, us, rule in each:
            if number == NONE or (rule.link == Link.NONE and self.frames.kind[at] != PAGE):
                keys.append(f"{us}-{self._digest(at)}")
            else:
                keys.append(str(number) if rule.reset == Reset.NEVER else f"{us}-{number}")
        return keys

    def _digest(self, at: int) -> str:
        frame = decode_line(self.lines.lines[int(self.frames.line[at])].as_py())
        item = int(self.frames.item[at])
        return hashlib.sha256(frame.payload).hexdigest()[:16] + (f".{item}" if item else "")

    def _spread(self, values: Any, kind: pa.DataType | None = None) -> pa.Array:
        """One value for each message, repeated for each of its levels."""
        at = np.repeat(np.arange(len(self.chosen)), self._counts)
        return pa.array(values, kind or pa.string()).take(pa.array(at))

    def _shared(self, places: Integers) -> dict[str, pa.Array]:
        """The columns that both tables have, levels as they stand in their messages."""
        frames, chosen = self.frames, self.chosen
        streams: list[BookStream] = [frames.streams[n] for n in frames.stream[chosen].tolist()]
        states, words = _judgements(self.verdicts, chosen)
        side = np.where(frames.side[places] == ASK, "ask", "bid")
        return {
            "source": pa.repeat(self.source, len(places)),
            "symbol": self._spread([stream.symbol for stream in streams]),
            "channel": self._spread([stream.channel or PAGE_CHANNEL for stream in streams]),
            "event_time": self._spread(self.event_us, pa.int64()).cast(pa.timestamp("us", "UTC")),
            "side": pa.array(side, pa.string()),
            "price_mantissa": pa.array(frames.price[places]),
            "price_exponent": pa.array(frames.price_exponent[places]),
            "size_mantissa": pa.array(frames.size[places]),
            "size_exponent": pa.array(frames.size_exponent[places]),
            "validity": self._spread(states),
            "rule": self._spread(words),
            "line": self._spread(frames.line[chosen].astype(np.int32), pa.int32()),
            "item": self._spread(frames.item[chosen].astype(np.int32), pa.int32()),
        }

    def _number(self, name: str) -> pa.Array:
        column = getattr(self.frames, name)[self.chosen]
        return self._spread(pa.array(column, mask=column == NONE), pa.int64())

    def deltas(self) -> pa.Table:
        """Rows of `book_deltas`."""
        places, within = self._levels()
        return pa.table(
            self._shared(places)
            | {
                "update_key": self._spread(self._keys()),
                "place": pa.array(within.astype(np.int32)),
                "first_update_id": self._number("first_id"),
                "last_update_id": self._number("last_id"),
                "prev_update_id": self._number("prev_id"),
            }
        )

    def snapshots(self) -> pa.Table:
        """Rows of `book_snapshots`, each side of a message best first."""
        places, _ = self._levels()
        columns = self._shared(places) | {
            "snapshot_id": self._spread(self._keys()),
            "update_id": self._number("last_id"),
        }
        message = np.repeat(np.arange(len(self.chosen)), self._counts)
        side = self.frames.side[places]
        away = _away_from_best(self.frames, places, message)
        order = np.lexsort((away, side, message))
        group = message[order] * 2 + side[order]
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        sizes = np.diff(starts, append=len(group))
        level = np.arange(len(group)) - np.repeat(starts, sizes)
        rows = pa.table(columns).take(pa.array(order))
        return rows.append_column("level", pa.array(level.astype(np.int32)))


def _away_from_best(frames: BookFrames, places: Integers, message: Integers) -> Integers:
    """Rank of each level's price, lower is better, among the levels of its message and side; exact for any digits."""
    price, exponent = frames.price[places], frames.price_exponent[places].astype(np.int64)
    sign = np.where(frames.side[places] == ASK, 1, -1)
    least = np.full(int(message[-1]) + 1 if len(message) else 0, np.iinfo(np.int64).max)
    np.minimum.at(least, message, exponent)
    shift = exponent - least[message]
    if len(price) and (np.log10(np.maximum(price, 1)) + shift).max() < 18:
        ranks: Integers = sign * price * 10**shift
        return ranks
    exact = [s * p * 10**k for s, p, k in zip(sign.tolist(), price.tolist(), shift.tolist(), strict=True)]
    place = {value: rank for rank, value in enumerate(sorted(set(exact)))}
    return np.array([place[value] for value in exact], dtype=np.int64)
