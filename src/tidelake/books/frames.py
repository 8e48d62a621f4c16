"""Book and quote messages out of a segment's lines, as columns: what every rule and every check of a book reads."""

import logging
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidelake.books.fast_frames import FastReader, Found, Part
from tidelake.books.layouts import NUMBERS, compiled
from tidelake.books.messages import NONE, PER_LEVEL, PER_MESSAGE, REFUSED, BookFrames
from tidelake.books.naming import LANE_SYMBOL, Streams
from tidelake.books.slow_frames import Message, SlowReader
from tidelake.kernels.book_frames import find_payloads
from tidelake.kernels.book_levels import read_levels
from tidelake.raw.frame import decode_line
from tidelake.tables.registry import TABLES
from tidelake.tables.rows import Rejected, parse_payload, refuse
from tidelake.tables.segment_lines import SegmentLines
from tidelake.venues.book_format import BookFeed, BookLayout
from tidelake.venues.payloads import DAMAGE
from tidelake.venues.registry import venue as find_venue
from tidelake.venues.spec import Context

LEAST_LEVEL = 5  # bytes: [1,1]
COLUMNS = {"first": "first_id", "last": "last_id", "prev": "prev_id", "conn_seq": "conn_seq", "checksum": "checksum"}
TYPES: dict[str, Any] = {
    "item": np.int32,
    "stream": np.int32,
    "kind": np.uint8,
    "side": np.uint8,
    "price_exponent": np.int8,
    "size_exponent": np.int8,
}

log = logging.getLogger(__name__)

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Messages:
    """Columns of messages and of their levels, as in `BookFrames`."""

    columns: dict[str, npt.NDArray[Any]]
    levels: dict[str, npt.NDArray[Any]]
    level_from: Indices

    def take(self, at: Indices) -> "_Messages":
        """The messages at these places, in this order, with their levels."""
        counts = np.diff(self.level_from)[at]
        level_from = np.concatenate(([0], np.cumsum(counts)))
        places = np.repeat(self.level_from[at] - level_from[:-1], counts) + np.arange(level_from[-1])
        columns = {name: column[at] for name, column in self.columns.items()}
        return _Messages(columns, {name: column[places] for name, column in self.levels.items()}, level_from)


def _typed(name: str, values: Any) -> npt.NDArray[Any]:
    return np.asarray(values, dtype=TYPES.get(name, np.int64))


def _order(columns: dict[str, npt.NDArray[Any]]) -> Indices:
    return np.lexsort((columns["item"], columns["line"]))


def _joined(parts: Sequence[Part]) -> Part:
    """All parts as one, messages in the order of lines and items."""
    if len(parts) == 1:
        return parts[0]
    width = max(part.spans.shape[1] for part in parts)
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
    spans = np.zeros((len(columns["line"]), width, 2), np.int64)
    shapes = np.full((len(spans), width), -1, np.int8)
    start = 0
    for part in parts:
        stop = start + len(part.spans)
        spans[start:stop, : part.spans.shape[1]], shapes[start:stop, : part.shapes.shape[1]] = part.spans, part.shapes
        start = stop
    order = _order(columns)
    return Part({name: column[order] for name, column in columns.items()}, spans[order], shapes[order])


def _with_levels(lines: SegmentLines, layout: BookLayout, part: Part) -> tuple[_Messages, Indices]:
    """The messages with their levels, and the lines of those whose levels are left to the slow reading."""
    count = len(part.spans)
    used = part.shapes >= 0
    room = int((part.spans[..., 1] - part.spans[..., 0])[used].sum()) // LEAST_LEVEL + used.size + 1
    levels = {name: np.empty(room, TYPES.get(name, np.int64)) for name in PER_LEVEL}
    level_from, good = np.empty(count + 1, np.int64), np.ones(count, np.bool_)
    shapes = compiled(layout).shapes
    read_levels(
        np.frombuffer(lines.plain, np.uint8),
        part.spans,
        part.shapes,
        shapes.table,
        shapes.words,
        shapes.word_at,
        level_from,
        part.columns["event_ns"],
        good,
        *levels.values(),
    )
    columns = {name: _typed(name, part.columns[_source(name)]) for name in PER_MESSAGE}
    levels = {name: column[: level_from[-1]].copy() for name, column in levels.items()}
    return _Messages(columns, levels, level_from), part.columns["line"][~good]


def _source(name: str) -> str:
    return next((short for short, long in COLUMNS.items() if long == name), name)


def _from_slow(found: Sequence[Message], streams: Streams) -> _Messages:
    """Messages of the slow reading as columns; refused ones are there where a book may have lost them."""
    kept = [message for message in found if not message.reason or message.lost]
    columns: dict[str, Any] = {
        "line": [m.line for m in kept],
        "item": [m.item for m in kept],
        "stream": [-1 if m.stream is None else streams.number(m.stream) for m in kept],
        "kind": [m.kind for m in kept],
        "event_ns": [0 if m.reason else m.event_ns for m in kept],
    }
    columns |= {COLUMNS[n]: [m.numbers.get(n, NONE) for m in kept] for n in NUMBERS}
    levels = [[] if m.reason else m.levels for m in kept]
    flat = [level for one in levels for level in one]
    columns = {name: _typed(name, columns[name]) for name in PER_MESSAGE}
    return _Messages(
        columns,
        {name: _typed(name, [level[i] for level in flat]) for i, name in enumerate(PER_LEVEL)},
        np.concatenate(([0], np.cumsum([len(one) for one in levels], dtype=np.int64))).astype(np.int64),
    )


def _contexts(feed: BookFeed, lines: SegmentLines, context: Context) -> list[tuple[int, Context]]:
    """The context from the start on, and from each line after one that changed it."""
    contexts = [(0, dict(context))]
    if feed.note is None:
        return contexts
    for line in lines.holding((feed.note_token,)).tolist():
        frame = decode_line(lines.lines[line].as_py())
        now = dict(contexts[-1][1])
        try:
            if frame.kind == "frame":
                feed.note(parse_payload(frame.payload), now)
        except DAMAGE:
            continue
        if now != contexts[-1][1]:
            contexts.append((line + 1, now))
    return contexts


def _read_fast(reader: FastReader, feed: BookFeed) -> tuple[list[tuple[BookLayout, Found]], list[Indices]]:
    """What the fast reading finds in each layout, and the lines that the slow one must read."""
    text, payloads = np.frombuffer(reader.lines.plain, np.uint8), reader.payloads
    is_list = (text[payloads] == ord("[")) & (payloads >= 0) if len(text) else np.zeros(0, np.bool_)
    found = [
        (layout, reader.read(layout, np.flatnonzero(is_list if layout.listed else (payloads >= 0) & ~is_list)))
        for layout in feed.layouts
    ]
    return found, [lines for _, one in found for lines in one.left]


def _read_slowly(
    reader: SlowReader, lines: SegmentLines, contexts: list[tuple[int, Context]], chosen: Indices
) -> list[Message]:
    """The messages of the chosen lines, one by one; whatever a payload does to its reader, it stops no other."""
    said: list[Message] = []
    starts = [start for start, _ in contexts]
    for line in chosen.tolist():
        frame = decode_line(lines.lines[line].as_py())
        noted = contexts[bisect_right(starts, line) - 1][1]
        try:
            said += reader.read(frame, line, noted)
        except MemoryError:
            raise
        except Exception as exc:
            log.exception("a reader of %s books failed", reader.venue.source)
            said.append(Message(line, 0, REFUSED, reason=f"the reader failed: {type(exc).__name__}: {exc}", lost=True))
    return said


def _without(messages: _Messages, lines: Indices) -> _Messages:
    away = np.isin(messages.columns["line"], lines) if len(lines) else np.zeros(0, np.bool_)
    return messages.take(np.flatnonzero(~away)) if away.any() else messages


def _merged(parts: Sequence[_Messages]) -> _Messages:
    """All messages in the order of lines and items."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return _from_slow([], Streams())
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in PER_MESSAGE}
    levels = {name: np.concatenate([part.levels[name] for part in parts]) for name in PER_LEVEL}
    starts = np.cumsum([0, *(part.level_from[-1] for part in parts)])
    level_from = np.concatenate(
        [part.level_from[:-1] + start for part, start in zip(parts, starts[:-1], strict=True)] + [starts[-1:]]
    )
    return _Messages(columns, levels, level_from).take(_order(columns))


def _finished(messages: _Messages, streams: Streams, refused: list[Rejected]) -> BookFrames:
    """The frames with the streams that have messages, by symbol and channel."""
    number = messages.columns["stream"]
    by_number = list(streams.numbers)
    used = sorted(
        np.unique(number[number >= 0]).tolist(),
        key=lambda n: (by_number[n].symbol, by_number[n].channel, by_number[n].depth),
    )
    places = np.full(len(by_number) + 1, -1, np.int32)
    places[used] = np.arange(len(used))
    columns = messages.columns | {"stream": places[number]}
    named = [by_number[n] for n in used]
    return BookFrames(named, **columns, level_from=messages.level_from, **messages.levels, refused=refused)


def read_book_frames(source: str, lines: SegmentLines, context: Context) -> BookFrames:
    """The book and quote messages in lines of one lane.

    Args:
        source: Source id of the lane.
        lines: The lines, from `segment_lines.split`. How a lane is cut into pieces changes no message; `line` counts
            from the start of each piece.
        context: What earlier lines of the lane said; updated to the state after these.

    Returns:
        The messages in the order of lines. What looks like a message and cannot be read is in `refused`; where a book
        may have lost it by that, a message of kind REFUSED stands in its place.
    """
    venue = find_venue(source)
    feed = venue.books or BookFeed()
    streams = Streams()
    contexts = _contexts(feed, lines, context)
    payloads = np.empty(len(lines.recv_ns), np.int64)
    find_payloads(np.frombuffer(lines.plain, np.uint8), lines.offsets, payloads)
    found, unread = _read_fast(FastReader(venue, lines, payloads, streams, contexts), feed)
    parts: list[_Messages] = []
    for layout, one in found:
        if one.parts:
            messages, more = _with_levels(lines, layout, _joined(one.parts))
            parts.append(messages)
            unread.append(more)
    left = np.unique(np.concatenate([np.flatnonzero(payloads < 0), *unread]))
    slow = SlowReader(venue, feed, streams, context)
    said = _read_slowly(slow, lines, contexts, left)
    parts = [_without(messages, left) for messages in parts]
    if said:
        parts.append(_from_slow(said, streams))
    symbol = streams.lane_symbol(context)
    context |= contexts[-1][1]
    if symbol:
        context[LANE_SYMBOL] = symbol
    table = TABLES["book_deltas"]
    refused = [refuse(table, m.line, m.item, m.reason) for m in said if m.reason]
    return _finished(_merged(parts), streams, refused)
