"""Book messages out of a segment, column by column: the fast reading.

Kernels find the wanted values of all lines and read plain ones straight into columns. A line with anything unusual (a
value missing or of another type, an escape, a key that stands twice, more than 18 digits, a name that nothing in the
line settles) is left whole to `books.slow_frames`, which says why it refuses; both must read the same wherever both
read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from tidelake.books.layouts import LISTED, NUMBERS, Compiled, bare, below, compiled, day_ns, is_per_row, lay_out
from tidelake.books.messages import KINDS, NONE
from tidelake.books.naming import NoCanonicalName, NoName, Streams, stream_of
from tidelake.kernels.book_frames import find_elements, first_places, group_equal
from tidelake.kernels.json_tokens import ESCAPED, MISSING, NESTED, STRING
from tidelake.kernels.json_values import read_integers, read_iso_times
from tidelake.tables.field_tokens import Indices, Mask, Tokens, find
from tidelake.tables.field_tree import PAYLOAD
from tidelake.tables.rows import parse_payload
from tidelake.tables.segment_lines import SegmentLines
from tidelake.venues.book_format import BookFormat, BookLayout, Named
from tidelake.venues.spec import Context, Venue

MOST_US = ((1 << 63) - 1) // 1_000
LINE_END = b"}\n"  # what follows a payload
GROUPS = 64  # room for names at first
NO_MESSAGE, LEAVE = -3, -2  # what a name may say instead of a stream: not one of ours; the slow reading must look
WHOLE_CONNECTION = -1


@dataclass(frozen=True)
class Part:
    """Messages of one format, in the order of their lines; columns as in `BookFrames`, levels still to be read."""

    columns: dict[str, npt.NDArray[np.int64]]
    spans: npt.NDArray[np.int64]
    shapes: npt.NDArray[np.int8]


@dataclass
class Found:
    """What the fast reading has of one layout: parts, and the segment's lines that it leaves to the slow one."""

    parts: list[Part] = field(default_factory=list)
    left: list[Indices] = field(default_factory=list)


@dataclass(frozen=True)
class _Located:
    """The wanted values of some lines of a segment.

    Attributes:
        line: Line of the segment of each line that was searched.
        row_line: Of each row, the place of its line in `line`.
        odd: Lines, by place in `line`, where the slow reading must look.
    """

    layout: BookLayout
    text: npt.NDArray[np.uint8]
    line: Indices
    row_line: Indices
    odd: Mask
    of_line: Callable[[str], Tokens]  # by full path
    of_row: Callable[[str], Tokens]
    listed: Mapping[str, Tokens]

    def values(self, path: str, *, per_row: bool) -> Tokens:
        """The values at a format's path, one for each line or for each row."""
        path = bare(path)
        if self.layout.listed:
            return self.listed[path]
        full = f"{PAYLOAD}.{path}"
        if not per_row:
            return self.of_line(full)
        return self.of_row(full) if below(path, self.layout.rows) else self.of_line(full).take(self.row_line)


def _elements(layout: Compiled, payloads: Tokens, odd: Mask) -> dict[str, Tokens]:
    """What a listed layout wants of payloads that are lists."""
    keys, key_at = lay_out(layout.keys)
    count = len(payloads.types)
    places = np.zeros((len(layout.keys), count, 2), np.int64)
    types = np.zeros((len(layout.keys), count), np.uint8)
    last_places, last_types = np.zeros((2, count, 2), np.int64), np.zeros((2, count), np.uint8)
    find_elements(payloads.text, payloads.places, keys, key_at, places, types, last_places, last_types, odd)
    found = {f"*.{key}": Tokens(payloads.text, places[i], types[i]) for i, key in enumerate(layout.keys)}
    return found | {word: Tokens(payloads.text, last_places[i], last_types[i]) for i, word in enumerate(LISTED)}


def _locate(layout: Compiled, lines: SegmentLines, payloads: Indices, chosen: Indices) -> _Located:
    ends = payloads[chosen] if layout.layout.listed else None
    found = find(layout.tree, lines, chosen, ends, in_place=True)  # levels of all layouts are read in one text
    odd = found.odd
    listed: dict[str, Tokens] = {}
    row_line = found.row_line
    if layout.layout.listed:
        places = np.stack([payloads[chosen], lines.offsets[chosen + 1] - len(LINE_END)], axis=1)
        listed = _elements(layout, Tokens(found.text, places, np.full(len(chosen), NESTED, np.uint8)), odd)
    return _Located(layout.layout, found.text, chosen, row_line, odd, found.of_lines, found.of_rows, listed)


def _whole(tokens: Tokens) -> tuple[Indices, Mask]:
    out = np.zeros(len(tokens.types), np.int64)
    good = np.empty(len(out), np.bool_)
    read_integers(tokens.text, tokens.places, tokens.types, out, good)
    return out, good


def _time_ns(form: BookFormat, tokens: Tokens) -> tuple[Indices, Mask]:
    if form.time_unit == "iso8601":
        us = np.zeros(len(tokens.types), np.int64)
        good = np.empty(len(us), np.bool_)
        read_iso_times(tokens.text, tokens.places, tokens.types, us, good)
        return us * 1_000, good & (us >= 0)
    count, good = _whole(tokens)
    unit = 1_000_000 if form.time_unit == "ms" else 1_000
    good &= (count >= 0) & (count <= MOST_US // (unit // 1_000))
    return np.where(good, count, 0) * unit, good


def _fitting(form: BookFormat, located: _Located, recv_ns: Indices, *, per_row: bool) -> tuple[Mask, Mask]:
    """Messages that a format fits, and those of which only the slow reading can tell; by row or by line."""
    row_line = located.row_line if per_row else np.arange(len(located.line))
    kind = "page" if form.kind == "page" else "frame"
    fits = located.of_line("kind").is_one_of([kind])
    unsure = np.zeros(len(fits), np.bool_)
    if form.request and fits.any():
        requests = located.of_line("request")
        unsure |= fits & requests.is_escaped()
        fits &= pc.fill_null(pc.match_substring(requests.texts(), form.request), False).to_numpy(zero_copy_only=False)
    if form.valid_from is not None:
        fits &= recv_ns >= day_ns(form.valid_from)
    if form.valid_to is not None:
        fits &= recv_ns < day_ns(form.valid_to)
    if per_row:
        fits, unsure = fits[row_line], unsure[row_line]
    for path, wanted in form.where.items():
        if not fits.any():
            break
        tokens = located.values(path, per_row=per_row)
        unsure |= fits & tokens.is_escaped()
        fits &= tokens.is_one_of(list(wanted))
    for path in form.has:
        tokens = located.values(path, per_row=per_row)
        fits &= ~tokens.is_absent()
    optional = [part.path for part in form.levels if part.path.endswith("?")]
    if optional and len(optional) == len(form.levels):
        there = np.zeros(len(fits), np.bool_)
        for path in optional:
            there |= located.values(path, per_row=per_row).types != MISSING
        fits &= there
    return fits, unsure


@dataclass
class FastReader:
    """Reads the lines of one segment.

    Attributes:
        venue: Whose they are.
        lines: The segment.
        payloads: Where the payload of each line starts.
        streams: Streams named so far, and which lines name them.
        contexts: What earlier frames said: from the line on (first of each pair) it is the second of the pair.
    """

    venue: Venue
    lines: SegmentLines
    payloads: Indices
    streams: Streams
    contexts: list[tuple[int, Context]]

    def read(self, layout: BookLayout, chosen: Indices) -> Found:
        """The messages of a layout in the chosen lines."""
        ready, found = compiled(layout), Found()
        if not len(chosen):
            return found
        located = _locate(ready, self.lines, self.payloads, chosen)
        recv_ns = self.lines.recv_ns[chosen]
        found.left.append(chosen[located.odd])
        free_rows, free_lines = np.ones(len(located.row_line), np.bool_), np.ones(len(chosen), np.bool_)
        for number, form in sorted(enumerate(layout.formats), key=lambda one: not is_per_row(one[1], layout)):
            per_row = is_per_row(form, layout)
            fits, unsure = _fitting(form, located, recv_ns, per_row=per_row)
            at_line = located.row_line if per_row else np.arange(len(chosen))
            free = free_rows if per_row else free_lines
            found.left.append(chosen[at_line[unsure & free]])
            at = np.flatnonzero(fits & free & ~located.odd[at_line])
            if len(at):
                taken, part, left = self._part(ready, number, form, located, at, at_line, per_row=per_row)
                free[taken] = False
                free_lines[at_line[taken]] = False
                found.left.append(chosen[at_line[left]])
                found.parts.append(part)
        return found

    def _part(
        self,
        ready: Compiled,
        number: int,
        form: BookFormat,
        located: _Located,
        at: Indices,
        at_line: Indices,
        *,
        per_row: bool,
    ) -> tuple[Indices, Part, Indices]:
        """The messages at these places: which of them are taken, what they say, and which are left."""
        line = located.line[at_line[at]]
        stream, good = self._streams(form, located, at, line, per_row=per_row)
        taken = stream != NO_MESSAGE
        at, line, stream, good = at[taken], line[taken], stream[taken], good[taken]
        columns = {
            "line": line,
            "stream": stream,
            "item": _items(located.row_line, at) if per_row else np.zeros_like(at),
        }
        columns["kind"] = np.full(len(at), KINDS.index(form.kind))
        for name in NUMBERS:
            path = getattr(form, name)
            column = np.full(len(at), NONE)
            if path:
                tokens = located.values(path, per_row=per_row).take(at)
                value, plain = _whole(tokens)
                absent = tokens.is_absent() if path.endswith("?") else np.zeros(len(at), np.bool_)
                good &= plain | absent
                column = np.where(absent, NONE, value)
            columns[name] = column
        columns["event_ns"] = np.zeros(len(at), np.int64)
        if form.time:
            tokens = located.values(form.time, per_row=per_row).take(at)
            time_ns, plain = _time_ns(form, tokens)
            absent = tokens.is_absent() if form.time.endswith("?") else np.zeros(len(at), np.bool_)
            good &= plain | absent
            columns["event_ns"] = np.where(absent, 0, time_ns)
        spans, shapes, plain = _spans(ready, number, form, located, at, per_row=per_row)
        good &= plain
        kept = {name: column[good] for name, column in columns.items()}
        self._saw(kept["stream"], kept["line"])
        return at, Part(kept, spans[good], shapes[good]), at[~good]

    def _saw(self, stream: Indices, line: Indices) -> None:
        """Notes from which line on each symbol is named; lines ascend, so the first of each counts."""
        first = np.full(len(self.streams.numbers), -1, np.int64)
        first_places(stream, first)
        for book, place in zip(list(self.streams.numbers), first.tolist(), strict=True):
            if place >= 0:
                self.streams.saw(book.symbol, int(line[place]))

    def _streams(
        self, form: BookFormat, located: _Located, at: Indices, line: Indices, *, per_row: bool
    ) -> tuple[Indices, Mask]:
        """The stream of each message, and whether it could be told here."""
        good = np.ones(len(at), np.bool_)
        if not (form.symbol or form.kind == "page"):
            return np.full(len(at), WHOLE_CONNECTION), good
        texts = [located.values(path, per_row=per_row) if path else None for path in (form.symbol, form.channel)]
        frame = [located.of_line(name) for name in ("request", "symbol")]
        texts += [tokens.take(located.row_line) if per_row else tokens for tokens in frame]
        spans = np.zeros((len(at), len(texts), 2), np.int64)
        for i, tokens in enumerate(texts):
            if tokens is None:
                continue
            mine = tokens.take(at)
            named = (mine.types == STRING) | (mine.types == ESCAPED)
            spans[named, i] = mine.places[named]
            if i == 1 or (i == 0 and form.kind != "page"):
                good &= named & (mine.places[:, 0] < mine.places[:, 1])
            elif i == 0:
                good &= named | (mine.types == MISSING)
        codes = np.zeros(len(at), np.int32)
        room = GROUPS
        while True:
            firsts = np.empty(room, np.int64)
            count = group_equal(located.text, spans, codes, firsts)
            if count <= room:
                break
            room *= 4
        words = [[_text(located.text, spans[row, j]) for j in range(spans.shape[1])] for row in firsts[:count].tolist()]
        numbers = [[self._number(form, said, context) for said in words] for _, context in self.contexts]
        epochs = np.searchsorted([start for start, _ in self.contexts], line, side="right") - 1
        stream = np.array(numbers, np.int64).reshape(len(numbers), count)[epochs, codes]
        stream = np.where(good, stream, LEAVE)
        return stream, good & (stream != LEAVE)

    def _number(self, form: BookFormat, words: list[str | None], context: Context) -> int:
        if None in words:
            return LEAVE
        symbol, channel, request, frame_symbol = (word or "" for word in words)
        try:
            named = Named(symbol, channel, request, context)
            stream = stream_of(self.venue, form, named, frame_symbol, None)
        except (NoName, NoCanonicalName):
            return LEAVE
        return NO_MESSAGE if stream is None else self.streams.number(stream)


def _text(text: npt.NDArray[np.uint8], span: Indices) -> str | None:
    """The text of a JSON string; None where only the slow reading can tell."""
    raw = text[span[0] : span[1]].tobytes()
    if b"\\" not in raw:
        return raw.decode()
    try:
        found = parse_payload(b'"%s"' % raw)
    except ValueError:
        return None
    return found if isinstance(found, str) and found.isascii() else None


def _items(row_line: Indices, at: Indices) -> Indices:
    """Place of each chosen row among those of its line."""
    starts = np.flatnonzero(np.diff(row_line, prepend=-1))
    return at - starts[np.searchsorted(starts, at, side="right") - 1]


def _spans(
    ready: Compiled, number: int, form: BookFormat, located: _Located, at: Indices, *, per_row: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int8], Mask]:
    """Where the levels of each message stand, in which shape, and whether all that must stand there does."""
    width = len(form.levels) + (4 if form.top else 0)
    spans = np.zeros((len(at), width, 2), np.int64)
    shapes = np.full((len(at), width), -1, np.int8)
    good = np.ones(len(at), np.bool_)
    for i, part in enumerate(form.levels):
        tokens = located.values(part.path, per_row=per_row).take(at)
        there = tokens.types == NESTED
        good &= there | (tokens.types == MISSING if part.path.endswith("?") else False)
        spans[:, i], shapes[there, i] = tokens.places, ready.shapes.number[number, i]
    for i, path in enumerate(form.top or ()):
        tokens = located.values(path, per_row=per_row).take(at)
        spans[:, i] = tokens.places
        absent = tokens.types == MISSING if path.endswith("?") else np.zeros(len(at), np.bool_)
        good &= absent | ~tokens.is_absent() & (tokens.types != ESCAPED)
        if i % 2 == 0:
            shapes[~absent, i] = ready.shapes.number[number, i]
        else:
            good &= ~absent | (shapes[:, i - 1] < 0)
    return spans, shapes, good
