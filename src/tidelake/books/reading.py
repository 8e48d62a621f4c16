"""The book of one symbol at one moment, with what proves it."""

import datetime as dt
from dataclasses import dataclass

from tidelake.books.engine import BookEngine, Level
from tidelake.books.messages import BookStream
from tidelake.books.verify import Progress, engine_at
from tidelake.errors import BookNotProven, NotInLake
from tidelake.raw.store import Store


@dataclass(frozen=True)
class Book:
    """A book as it stood.

    Attributes:
        at_ns: All messages received up to then, inclusive, are in it; ns since 1970 UTC, the receiver's clock.
        state, reason: What is known of it (`books.states`); the reason is "" where it is VALID.
        bids, asks: Best first, digits as they were sent: price in quote per base, size as the venue counts it.
    """

    source: str
    symbol: str
    channel: str
    at_ns: int
    state: str
    reason: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


def read_book(
    store: Store,
    source: str,
    symbol: str,
    at_ns: int,
    *,
    channel: str | None = None,
    depth: int = 0,
    unproven: bool = False,
    key: bytes | None = None,
    progress: Progress | None = None,
) -> Book:
    """The book of a symbol, judged by every rule up to a moment. Reads the source's lanes from their start.

    Args:
        channel: The venue's own word; needed where several channels carry books of the symbol.
        depth: At most so many levels of each side; 0: all.
        unproven: Also serve a book that is not VALID; its state says so.

    Raises:
        BookNotProven: The book is not VALID then, and `unproven` is not set.
        NotInLake: No such book had come by then, or several had and none is named.
    """
    engine = engine_at(store, source, symbol, at_ns, key=key, progress=progress)
    found = [stream for stream in engine.streams() if stream.symbol == symbol] if engine else []
    chosen = [stream for stream in found if channel in (None, stream.channel)]
    when = dt.datetime.fromtimestamp(at_ns / 1e9, dt.UTC).isoformat(timespec="milliseconds")
    if engine is None or len(chosen) != 1:
        channels = tuple(stream.channel for stream in found)
        if not found:
            raise NotInLake(
                f"{source}: no book of {symbol} was captured up to {when}; what was reconstructed from a vendor's "
                "files is read by `events` and `snapshots`"
            )
        what = f"books of {symbol} come by {', '.join(channels)}"
        raise NotInLake(f"{source}: {what} up to {when}; name one of the channels", available=channels)
    return _taken(engine, chosen[0], source, at_ns, when, depth, unproven=unproven)


def _taken(
    engine: BookEngine, stream: BookStream, source: str, at_ns: int, when: str, depth: int, *, unproven: bool
) -> Book:
    state, reason = engine.state(stream)
    if state != "VALID" and not unproven:
        raise BookNotProven(
            f"the book of {source} {stream.symbol} {stream.channel} is {state} at {when}: {reason}. Its levels are in "
            "the lake as they were received; unproven=True reads them all the same.",
            state=state,
            reason=reason,
        )
    bids, asks = engine.levels(stream, depth)
    return Book(source, stream.symbol, stream.channel, at_ns, state, reason, tuple(bids), tuple(asks))
