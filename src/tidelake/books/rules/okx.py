"""OKX v5: books, books-l2-tbt, books50-l2-tbt; books5 and bbo-tbt.

Source:  https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
Quirks:  prevSeqId names the seqId before; an update without levels repeats it. In maintenance the ids start anew: seqId
         is below prevSeqId, which still names the one before.
         `checksum` is CRC32 of the 25 best levels until 2026-06-23, and the constant 0 from then on. Recordings of 2022
         carry no seqId: there the checksum alone speaks.
         A message with a lower seqId that does not name the one before is old where its ts is below that of the last
         one taken; else it follows a reset that was lost. An old snapshot is told in the same way.
         The first snapshot comes by WebSocket; one by REST, with its seqId, may stand in for it.
Samples: captures/cryptofeed/OKX.ws.1.0
"""

from dataclasses import replace
from datetime import UTC, datetime

from tidelake.books.rules.spec import BookRule, Checksum, Join, Link, Reset

_BOOKS = BookRule(
    "okx/4",
    link=Link.NAMES,
    join=Join.NAMES,
    reset=Reset.BACKWARDS,
    checksum=Checksum.OKX,
    zero_is_absent=True,
    channels=("books",),
)
RULES = {
    "okx": (
        BookRule("okx-whole/1", channels=("books5", "bbo-tbt")),  # whole books each time, not updates
        replace(_BOOKS, version="okx/3", zero_is_absent=False, until=datetime(2026, 6, 23, tzinfo=UTC)),
        _BOOKS,
    )
}
