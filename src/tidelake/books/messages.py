"""Book and quote messages as columns: what `books.frames` reads out of a lane's lines and `books.engine` judges.

Levels keep the digits as they were sent: the value is mantissa * 10**exponent, zeros at the end included ("0.050" is
50, -3), so that the text of a checksum can be printed again. A level of size 0 removes its price.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tidelake.kernels.book_codes import HEARTBEAT, NONE, OPEN, OTHER, PAGE, QUOTE, REFUSED, SNAPSHOT, UPDATE
from tidelake.tables.rows import Rejected

Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

__all__ = [
    "ASK",
    "BID",
    "HEARTBEAT",
    "KINDS",
    "NONE",
    "OPEN",
    "OTHER",
    "PAGE",
    "PER_LEVEL",
    "PER_MESSAGE",
    "QUOTE",
    "REFUSED",
    "SNAPSHOT",
    "UPDATE",
    "BookFrames",
    "BookStream",
]

# UPDATE: levels that change. SNAPSHOT: the whole book, inside the stream. PAGE: the whole book, answered by REST.
# QUOTE: top of book, one bid, one ask (a side may be missing). HEARTBEAT: moves the sequence and holds no level.
# OPEN: a connection was made. OTHER: a frame of another channel that carries the connection's number.
# REFUSED: a message of a book that could not be read, named in `refused`: to the book it is lost.
KINDS: tuple[str, ...] = ("update", "snapshot", "page", "quote", "heartbeat", "open", "other", "refused")

BID, ASK = 0, 1


@dataclass(frozen=True, slots=True)
class BookStream:
    """What one book, one kind of quote, or pages of one symbol come by.

    Attributes:
        symbol: Canonical.
        channel: The venue's own word, such as "depth@100ms", "book-1000", "orderbook.500"; "" of pages, which are for
            every book of the symbol.
        depth: Levels of a side that the subscription holds, where the receiver must cut to them (Kraken); 0: all.
        price_places, size_places: Decimals of the instrument, to which a checksum's text is padded where the venue
            sends numbers without the zeros at their end (Kraken v2); -1: the text is as sent.
    """

    symbol: str
    channel: str
    depth: int = 0
    price_places: int = -1
    size_places: int = -1


@dataclass(frozen=True)
class BookFrames:
    """Messages in the order of their lines. n messages, m levels; NONE stands for what a message does not carry.

    Attributes:
        streams: What the numbers in `stream` mean.
        line, item: int64[n], int32[n], where each stands: line of the segment, place in its payload.
        stream: int32[n], place in `streams`; -1 where a message concerns the whole connection.
        kind: uint8[n], see above.
        event_ns: int64[n], the venue's clock, ns since 1970 UTC; 0 where there is none.
        first_id, last_id, prev_id: int64[n]: Binance U, u, pu; OKX -, seqId, prevSeqId; Deribit -, change_id,
            prev_change_id; Bybit -, u, -; of a page its lastUpdateId, of a quote its update id, in last_id.
        conn_seq: int64[n], number over all messages of a connection (Coinbase Advanced).
        checksum: int64[n], as sent.
        level_from: int64[n + 1], first level of each message, and m.
        side: uint8[m], BID or ASK. Snapshots and pages may hold their levels in any order.
        price, size: int64[m], mantissas, not negative; price_exponent, size_exponent: int8[m].
        refused: Why messages of kind REFUSED could not be read. Quotes and pages that cannot be read stand here too
            but have no message: no book depends on them.
    """

    streams: list[BookStream]
    line: Integers
    item: npt.NDArray[np.int32]
    stream: npt.NDArray[np.int32]
    kind: Bytes
    event_ns: Integers
    first_id: Integers
    last_id: Integers
    prev_id: Integers
    conn_seq: Integers
    checksum: Integers
    level_from: Integers
    side: Bytes
    price: Integers
    price_exponent: npt.NDArray[np.int8]
    size: Integers
    size_exponent: npt.NDArray[np.int8]
    refused: list[Rejected] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.line)

    def part(self, start: int, stop: int) -> "BookFrames":
        """The messages from start on, before stop, without a copy of levels; `refused` stays whole."""
        first, last = int(self.level_from[start]), int(self.level_from[stop])
        messages: dict[str, Any] = {name: getattr(self, name)[start:stop] for name in PER_MESSAGE}
        levels = {name: getattr(self, name)[first:last] for name in PER_LEVEL}
        return replace(self, **messages, **levels, level_from=self.level_from[start : stop + 1] - first)


PER_MESSAGE = ("line", "item", "stream", "kind", "event_ns", "first_id", "last_id", "prev_id", "conn_seq", "checksum")
PER_LEVEL = ("side", "price", "price_exponent", "size", "size_exponent")
