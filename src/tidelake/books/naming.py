"""Which book a message belongs to, by what it, its request and earlier frames of its lane say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qs, urlsplit

from tidelake.books.messages import BookStream
from tidelake.venues.book_format import BookFormat, Named
from tidelake.venues.spec import Venue

SEVERAL = "*"  # a lane's context says it once more than one symbol has been named
LANE_SYMBOL = "books:symbol"


class NoCanonicalName(ValueError):
    """The message names a product for which the venue's file has no rule: it belongs to no book of ours."""


class NoName(Exception):
    """Nothing says which book the message belongs to."""


@dataclass
class Streams:
    """The streams named so far, numbered, and from which line on each symbol was known."""

    numbers: dict[BookStream, int] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)

    def number(self, stream: BookStream) -> int:
        """The number of a stream, a new one where it is new."""
        return self.numbers.setdefault(stream, len(self.numbers))

    def saw(self, symbol: str, line: int) -> None:
        """Notes that a line names this symbol."""
        self.since[symbol] = min(line, self.since.get(symbol, line))

    def lane_symbol(self, context: Mapping[str, str], before_line: int | None = None) -> str:
        """The one symbol that the lane named before a line (by default at its end); "" or "*" for none or several."""
        seen = {symbol for symbol, line in self.since.items() if before_line is None or line < before_line}
        if known := context.get(LANE_SYMBOL, ""):
            seen.add(known)
        return next(iter(seen), "") if len(seen) < 2 else SEVERAL


@lru_cache(maxsize=1 << 16)
def _canonical(rule: Callable[[str], str], name: str) -> str:
    return rule(name)


def _in_lane(lane_symbol: str | None) -> BookStream:
    if not lane_symbol or lane_symbol == SEVERAL:
        raise NoName("neither the page nor its request names a symbol, and the lane does not hold one symbol alone")
    return BookStream(lane_symbol, "")


def stream_of(
    venue: Venue, form: BookFormat, named: Named, frame_symbol: str, lane_symbol: str | None
) -> BookStream | None:
    """The stream of a message; None where the format's `name` says that it is none.

    Args:
        venue: Its venue.
        form: The format that fits it.
        named: What it says.
        frame_symbol: Canonical symbol that a page was asked for, "" where it is not known.
        lane_symbol: See `Streams.lane_symbol`; None where it is not known here.

    Raises:
        NoCanonicalName: The venue's rule does not know the symbol.
        NoName: Nothing names it.
    """
    if form.kind == "page":
        if frame_symbol:
            return BookStream(frame_symbol, "")
        query = parse_qs(urlsplit(named.request.removeprefix("GET ")).query)
        symbol = query.get(form.request_symbol, [named.symbol])[0]
        named = Named(symbol, named.channel, named.request, named.context)
    try:
        book = form.name(named)
        if form.kind == "page" and book is not None and not book.symbol:
            return _in_lane(lane_symbol)
        return None if book is None else BookStream(_canonical(venue.canonical, book.symbol), book.channel, book.depth)
    except ValueError as exc:
        raise NoCanonicalName(str(exc)) from exc
