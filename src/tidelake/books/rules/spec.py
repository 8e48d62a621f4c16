"""The words in which a book rule is declared; `books/rules/<venue>.py` holds the dated rules of each source."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from tidelake.kernels import book_codes as codes


class Link(IntEnum):
    """How an update names the one before it."""

    NONE = codes.LINK_NONE  # it does not
    COUNTS = codes.LINK_COUNTS  # first_id == last + 1
    NAMES = codes.LINK_NAMES  # prev_id == last
    STEPS = codes.LINK_STEPS  # last_id == last + 1


class Join(IntEnum):
    """How the first update kept stands to the page L that it follows; updates with last_id <= L are dropped."""

    NEVER = codes.JOIN_NEVER  # no pages: snapshots come inside the stream
    NEXT = codes.JOIN_NEXT  # first_id <= L + 1 <= last_id
    SPANS = codes.JOIN_SPANS  # first_id <= L <= last_id or prev_id == L
    NAMES = codes.JOIN_NAMES  # prev_id == L


class Reset(IntEnum):
    """How a venue starts its numbers anew."""

    NEVER = codes.RESET_NEVER
    BACKWARDS = codes.RESET_BACKWARDS  # the update names the one before it, and its own id is lower
    ONE = codes.RESET_ONE  # an update with last_id 1 is a whole book


class Checksum(IntEnum):
    """What a checksum is taken of."""

    NONE = codes.SUM_NONE
    KRAKEN = codes.SUM_KRAKEN  # kernels.checksums.kraken_checksum
    OKX = codes.SUM_OKX  # kernels.checksums.okx_checksum


@dataclass(frozen=True, slots=True)
class BookRule:
    """What proves a book of one source, for some of its channels and some time.

    Attributes:
        version: Its name, such as "okx/4".
        link, join, reset, checksum: As above.
        zero_is_absent: A checksum of 0 means that there is none.
        connection: Every message of the connection is numbered, and a jump loses something of an unknown book.
        continues: Ids go on over connections, so that a book whose next update fits lives on.
        quotes: Quotes carry the id of the update after which they held.
        channels: The channels whose words start with one of these; all where empty.
        until: The first moment at which it no longer holds, by the receive clock; None: it holds on.
    """

    version: str
    link: Link = Link.NONE
    join: Join = Join.NEVER
    reset: Reset = Reset.NEVER
    checksum: Checksum = Checksum.NONE
    zero_is_absent: bool = False
    connection: bool = False
    continues: bool = False
    quotes: bool = False
    channels: tuple[str, ...] = ()
    until: datetime | None = None

    def serves(self, channel: str) -> bool:
        """Whether it speaks of the channel."""
        return not self.channels or channel.startswith(self.channels)

    def holds_at(self, recv_ns: int) -> bool:
        """Whether it has not ended by then; of the rules of a channel the first that has not ended counts."""
        return self.until is None or recv_ns < int(self.until.timestamp()) * 10**9
