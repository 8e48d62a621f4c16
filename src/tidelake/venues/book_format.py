"""The words in which a venue says how its book and quote messages look; a `Venue` holds one `BookFeed`.

Paths are dotted and start at the payload; "?" at the end of one means that its value may be missing. Below `rows` of a
layout a path is that of each row's own value. In a `listed` layout "-1" and "-2" are the last two elements, and "*.k"
is the value at key k of the one object among the elements that has it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from tidelake.venues.spec import Context

MessageKind = Literal["update", "snapshot", "page", "quote", "heartbeat", "other"]
TimeUnit = Literal["us", "ms", "iso8601"]


@dataclass(frozen=True, slots=True)
class LevelShape:
    """Where a level's values stand: places in a list, or keys of an object.

    Attributes:
        price, size: Numbers or their texts. Without a size the level is one that goes.
        side: Where the level says its own side; `sides` are the words for bid and for ask.
        action: Where it says what becomes of it: `kept` are the words of levels that stand, `gone` of those that go.
        time: Where its own time stands, in seconds (lists only); the newest of a message is the message's.
    """

    price: int | str
    size: int | str | None
    side: int | str | None = None
    sides: tuple[str, str] = ("", "")
    action: int | None = None
    kept: tuple[str, ...] = ()
    gone: str = ""
    time: int | None = None


PAIR = LevelShape(0, 1)


@dataclass(frozen=True, slots=True)
class Levels:
    """A list of levels: where, of which side ("" where each level says it), in which shape."""

    path: str
    side: Literal["bid", "ask", ""]
    shape: LevelShape = PAIR


@dataclass(frozen=True, slots=True)
class Named:
    """What a message says of the book it belongs to.

    Attributes:
        symbol, channel: The texts at the format's paths; "" where it has none.
        request: The address that the frame came from or the page answers; "" where it is not known.
        context: What earlier frames of the lane said (see `BookFeed.note`).
    """

    symbol: str
    channel: str
    request: str
    context: Context


@dataclass(frozen=True, slots=True)
class BookName:
    """The venue's own symbol, in the form that `Venue.canonical` takes, its channel, and the depth it is cut to."""

    symbol: str
    channel: str
    depth: int = 0


@dataclass(frozen=True, slots=True)
class BookFormat:
    """One form of message. A message belongs to the first format that it fits.

    Attributes:
        kind: What it is, see `books.messages`; one of kind "other", or a heartbeat without `symbol`, concerns the
            whole connection.
        name: The book that it belongs to; None where it belongs to none (a frame of another channel in this form).
            Raises ValueError where the venue's rule does not know the name.
        symbol, channel: Paths of the texts that `name` reads.
        where: Paths and the values of which one must stand there.
        has: Paths at which something must stand.
        levels: Its lists of levels; at least one must be there.
        top: Paths of best bid, its size, best ask, its size, where a quote names them one by one. A side whose price
            is null is empty.
        first, last, prev, conn_seq, checksum: Paths of whole numbers, see `books.messages`.
        time, time_unit: Path of the venue's clock.
        request: Pages: text that the request holds. A page whose frame names no symbol is that of `request_symbol` in
            the query, else of `symbol`, else of the one symbol that the lane has named so far.
        valid_from, valid_to: UTC days of receipt, the last exclusive.
    """

    kind: MessageKind
    name: Callable[[Named], BookName | None]
    symbol: str = ""
    channel: str = ""
    where: Mapping[str, tuple[str | int | bool, ...]] = field(default_factory=dict, hash=False)
    has: tuple[str, ...] = ()
    levels: tuple[Levels, ...] = ()
    top: tuple[str, str, str, str] | None = None
    first: str = ""
    last: str = ""
    prev: str = ""
    conn_seq: str = ""
    checksum: str = ""
    time: str = ""
    time_unit: TimeUnit = "ms"
    request: str = ""
    request_symbol: str = ""
    valid_from: date | None = None
    valid_to: date | None = None


@dataclass(frozen=True, slots=True)
class BookLayout:
    """Formats whose messages lie in the same way in their frames.

    Attributes:
        formats: In the order in which they are tried.
        rows: Path of the list of which each object is a message; "" where the frame is one.
        listed: Whether the frame is a list.
    """

    formats: tuple[BookFormat, ...]
    rows: str = ""
    listed: bool = False


@dataclass(frozen=True, slots=True)
class BookFeed:
    """Every form of book and quote message that a venue sends or has sent.

    Attributes:
        layouts: No frame has messages in two of them.
        note: Reads from a payload what later messages need to be named, into the context.
        note_token: Bytes that such frames hold, and few others do.
        plain_texts: Frames that are no JSON and hold no message, such as b"pong".
    """

    layouts: tuple[BookLayout, ...] = ()
    note: Callable[[object, Context], None] | None = None
    note_token: bytes = b""
    plain_texts: tuple[bytes, ...] = ()


def in_channel(word: str) -> Callable[[Named], BookName]:
    """Names a message by its symbol, in a channel whose word the message does not hold."""
    return lambda named: BookName(named.symbol, word)
