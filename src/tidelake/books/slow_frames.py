"""Book messages out of single frames, value by value: the slow, obvious reading, and the reasons of what it refuses.

It reads what `books.fast_frames` leaves to it, and says what that one must agree with.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from tidelake.books.layouts import NUMBERS, bare, below, day_ns, is_per_row
from tidelake.books.messages import ASK, BID, KINDS, OPEN, REFUSED, BookStream
from tidelake.books.naming import NoCanonicalName, NoName, Streams, stream_of
from tidelake.raw.frame import Frame
from tidelake.tables import values
from tidelake.tables.rows import matches, parse_payload, value_at
from tidelake.venues.book_format import BookFeed, BookFormat, BookLayout, Levels, LevelShape, Named
from tidelake.venues.payloads import DAMAGE
from tidelake.venues.spec import Context, Venue

INT64_MAX = (1 << 63) - 1
Level = tuple[int, int, int, int, int]  # side, price, its exponent, size, its exponent


@dataclass
class Message:
    """One message.

    Attributes:
        stream: None where it concerns the whole connection.
        reason: Why it is refused; "" where it is not.
        lost: Whether a book may have lost it: it is refused, and no quote, page or product without a name.
    """

    line: int
    item: int
    kind: int
    stream: BookStream | None = None
    event_ns: int = 0
    numbers: dict[str, int] = field(default_factory=dict)
    levels: list[Level] = field(default_factory=list)
    reason: str = ""
    lost: bool = False


def _lost(
    line: int, item: int, reason: str, frame: Frame, form: BookFormat | None = None, stream: BookStream | None = None
) -> Message:
    spared = frame.kind == "page" or (form is not None and form.kind == "quote")
    return Message(line, item, REFUSED, stream, reason=reason, lost=not spared)


def _in_validity(form: BookFormat, recv_ns: int) -> bool:
    after = form.valid_from is None or recv_ns >= day_ns(form.valid_from)
    return after and (form.valid_to is None or recv_ns < day_ns(form.valid_to))


def exact(value: object) -> tuple[int, int]:
    """Mantissa and exponent of a number that is not negative, with its digits as they were sent.

    Raises:
        ValueError: It is no number, has a minus sign, or does not fit 64 and 8 bits.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError(f"{value!r} is not a number")
    if isinstance(value, str) and not values.NUMBER.match(value):
        raise ValueError(f"{value!r} is not a number")
    sign, digits, exponent = Decimal(value).as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{value!r} is not a number")
    if sign:
        raise ValueError(f"{value!r} is negative")
    text = "".join(map(str, digits))
    while len(text) > 1 and len(text) >= 19 and int(text) > INT64_MAX and text.endswith("0"):
        text, exponent = text[:-1], exponent + 1
    if len(text) > 19 or int(text) > INT64_MAX or not -128 <= exponent <= 127:
        raise ValueError(f"{value!r} does not fit 64 bits and an exponent of 8")
    return int(text), exponent


def _find(payload: object, path: str) -> object:
    """What stands at a path of a format (see `venues.book_format`); None where nothing does.

    Raises:
        ValueError: A key on the way stands twice.
    """
    path = bare(path)
    if not path.startswith("*."):
        return value_at(payload, path)
    key = path.removeprefix("*.")
    found = [value_at(part, key) for part in payload if isinstance(part, dict)] if isinstance(payload, list) else []
    present = [value for value in found if value is not None]
    if len(present) > 1:
        raise ValueError(f"two of its objects hold {key!r}")
    return present[0] if present else None


@dataclass(frozen=True)
class _Place:
    """A payload, and the row of it that is read; `at` finds what stands at a format's path."""

    payload: object
    row: object
    rows: str

    def at(self, path: str) -> object:
        if below(path, self.rows):
            return value_at(self.row, bare(path).removeprefix(f"{self.rows}."))
        return _find(self.payload, path)


def _fits(form: BookFormat, place: _Place) -> bool:
    for path, wanted in form.where.items():
        held, leaf = (
            (place.row, path.removeprefix(f"{place.rows}.")) if below(path, place.rows) else (place.payload, path)
        )
        if not matches(held, {leaf: list(wanted)}):
            return False
    if any(place.at(path) in (None, "") for path in form.has):
        return False
    optional = [part.path for part in form.levels if part.path.endswith("?")]
    return len(optional) < len(form.levels) or not optional or any(place.at(path) is not None for path in optional)


def _time_ns(form: BookFormat, place: _Place) -> int:
    raw = place.at(form.time)
    if raw in (None, "") and form.time.endswith("?"):
        return 0
    us = values.iso8601_us(raw) if form.time_unit == "iso8601" else values.to_event_us(raw, form.time_unit)
    if not 0 <= us * 1_000 <= INT64_MAX:
        raise ValueError(f"{raw!r} is not a time after 1970")
    return us * 1_000


def _seconds_ns(raw: object) -> int:
    mantissa, exponent = exact(raw)
    ns = Decimal(mantissa).scaleb(exponent + 9, values.CUT)
    if ns != ns.to_integral_value() or ns > INT64_MAX:
        raise ValueError(f"{raw!r} is not a time in seconds")
    return int(ns)


def _take(level: object, where: int | str) -> object:
    """What stands at a place of a level.

    Raises:
        ValueError: Nothing does.
    """
    if isinstance(where, int):
        if not isinstance(level, list) or len(level) <= where:
            raise ValueError(f"{level!r} has no element {where}")
        return level[where]
    if not isinstance(level, dict) or value_at(level, where) is None:
        raise ValueError(f"{level!r} has no {where!r}")
    return value_at(level, where)


def _level(level: object, fixed: str, shape: LevelShape) -> tuple[Level, int]:
    """One level and its time in ns."""
    price = exact(_take(level, shape.price))
    size = (0, 0) if shape.size is None else exact(_take(level, shape.size))
    side = ASK if fixed == "ask" else BID
    if shape.side is not None:
        word = _take(level, shape.side)
        if word not in shape.sides:
            raise ValueError(f"side {word!r} is none of {shape.sides}")
        side = BID if word == shape.sides[0] else ASK
    if shape.action is not None:
        word = _take(level, shape.action)
        if word != shape.gone and word not in shape.kept:
            raise ValueError(f"action {word!r} is none of {(*shape.kept, shape.gone)}")
        size = (0, 0) if word == shape.gone else size
    time_ns = 0 if shape.time is None else _seconds_ns(_take(level, shape.time))
    return (side, *price, *size), time_ns


def _levels(part: Levels, listed: object) -> Iterator[tuple[Level, int]]:
    if listed is None and part.path.endswith("?"):
        return
    if not isinstance(listed, list):
        raise ValueError(f"no list at {bare(part.path)!r}")
    for level in listed:
        yield _level(level, part.side, part.shape)


def _top(form: BookFormat, place: _Place) -> list[Level]:
    """The sides of a quote that are not empty."""
    assert form.top is not None
    found: list[Level] = []
    for side, price, size in ((BID, *form.top[:2]), (ASK, *form.top[2:])):
        if place.at(price) is None and price.endswith("?"):
            continue
        mantissas = (*exact(place.at(price)), *exact(place.at(size)))
        if mantissas[2]:
            found.append((side, *mantissas))
    return found


def _read(form: BookFormat, place: _Place, message: Message) -> None:
    """Fills in what a message says.

    Raises:
        ValueError: A value is missing or is not of its type.
    """
    for name in NUMBERS:
        path = getattr(form, name)
        raw = place.at(path) if path else None
        if path and not (raw in (None, "") and path.endswith("?")):
            message.numbers[name] = values.to_integer(raw)
    if form.time:
        message.event_ns = _time_ns(form, place)
    for part in form.levels:
        for level, time_ns in _levels(part, place.at(part.path)):
            message.levels.append(level)
            message.event_ns = max(message.event_ns, time_ns)
    if form.top:
        message.levels = _top(form, place)


def _text(place: _Place, path: str, *, may_lack: bool) -> str:
    if not path:
        return ""
    raw = place.at(path)
    if raw is None and may_lack:
        return ""
    return values.to_text(raw)


@dataclass
class SlowReader:
    """Reads frames of one lane in the order of their lines."""

    venue: Venue
    feed: BookFeed
    streams: Streams
    context: Context  # at the start of the segment

    def read(self, frame: Frame, line: int, noted: Context) -> list[Message]:
        """The messages of a frame, the refused ones among them.

        Args:
            frame: The frame.
            line: Its line in the segment.
            noted: The context as it stands at this line.
        """
        if frame.kind == "open":
            return [Message(line, 0, OPEN)]
        payload_bytes = frame.payload.strip()
        if frame.kind not in ("frame", "page") or not payload_bytes or payload_bytes in self.feed.plain_texts:
            return []
        try:
            payload = parse_payload(frame.payload)
        except DAMAGE as exc:
            return [_lost(line, 0, f"not JSON: {exc}", frame)]
        messages = [
            found for layout in self.feed.layouts for found in self._layout(layout, frame, payload, line, noted)
        ]
        return sorted(messages, key=lambda message: message.item)

    def _layout(
        self, layout: BookLayout, frame: Frame, payload: object, line: int, noted: Context
    ) -> Iterator[Message]:
        if layout.listed != isinstance(payload, list):
            return
        try:
            listed = value_at(payload, layout.rows) if layout.rows else None
        except ValueError as exc:
            yield _lost(line, 0, str(exc), frame)
            return
        forms = [form for form in layout.formats if (form.kind == "page") == (frame.kind == "page")]
        forms = [form for form in forms if form.request in frame.request and _in_validity(form, frame.recv_ns)]
        by_row = [form for form in forms if is_per_row(form, layout)]
        by_frame = [form for form in forms if not is_per_row(form, layout)]
        found = False
        for item, row in enumerate(listed if isinstance(listed, list) else ()):
            for message in self._message(by_row, frame, _Place(payload, row, layout.rows), line, item, noted):
                found |= message.lost or not message.reason  # a product without a name leaves the connection's number
                yield message
        if not found:
            yield from self._message(by_frame, frame, _Place(payload, None, layout.rows), line, 0, noted)

    def _message(
        self, forms: list[BookFormat], frame: Frame, place: _Place, line: int, item: int, noted: Context
    ) -> Iterator[Message]:
        """The message as the first format that it fits has it; none where it fits none."""
        for form in forms:
            message = Message(line, item, KINDS.index(form.kind))
            try:
                if not _fits(form, place):
                    continue
                if form.symbol or form.kind == "page":
                    message.stream = self._stream(form, frame, place, line, noted)
                    if message.stream is None:
                        continue
                    self.streams.saw(message.stream.symbol, line)
                _read(form, place, message)
            except NoCanonicalName as exc:
                yield Message(line, item, REFUSED, reason=str(exc))
            except (*DAMAGE, NoName) as exc:
                lost = _lost(line, item, str(exc), frame, form, message.stream)
                lost.numbers = {"conn_seq": message.numbers["conn_seq"]} if "conn_seq" in message.numbers else {}
                yield lost
            else:
                yield message
            return

    def _stream(self, form: BookFormat, frame: Frame, place: _Place, line: int, noted: Context) -> BookStream | None:
        symbol = _text(place, form.symbol, may_lack=form.kind == "page")
        channel = _text(place, form.channel, may_lack=False)
        lane_symbol = self.streams.lane_symbol(self.context, line)
        return stream_of(self.venue, form, Named(symbol, channel, frame.request, noted), frame.symbol, lane_symbol)
