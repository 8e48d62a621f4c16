"""A ledger entry: the sealed statement of what one segment holds and covers.

The put of an entry is the commit of its frames: data and watermark move together. Entries of a lane form a hash
chain; `prev` is the SHA-256 of the previous entry's bytes, 64 zeros for the first. The last of a lane, which no later
one holds yet, is held by its own checksum: that finds changed bits, not somebody who writes a checksum that fits.
"""

import hashlib
from typing import Literal

import msgspec

FIRST_PREV = "0" * 64

Axis = Literal["trade_seq", "event_time"]
NoteName = Literal["wanted", "reached", "unreachable", "absent", "unreadable"]


class Segment(msgspec.Struct, frozen=True):
    """Where the sealed lines lie and how to check them.

    Attributes:
        key: Key in the store, `raw/<source>/<lane>/<date>/<seq>-<sha256 prefix of the plaintext>.jsonl.<codec>[.enc]`.
        sha256: Hex digest of the plaintext lines; its first 16 digits name the segment in table rows.
        bytes: Length of the plaintext.
        stored_sha256: Hex digest of the object as stored.
        stored_bytes: Length of the object as stored.
        lines: Number of lines.
    """

    key: str
    sha256: str
    bytes: int
    stored_sha256: str
    stored_bytes: int
    lines: int


class SealedFile(msgspec.Struct, frozen=True):
    """A file that is kept verbatim as an object of its own; the one line of the entry's segment says what it is.

    Attributes:
        key: Key in the store, `raw/<source>/<lane>/<date>/<seq>-<sha256 prefix><ending of the name>`.
        sha256: Hex digest of the object; its first 16 digits name the file as `segment` in rows made of it.
        bytes: Length of the object.
        name: What the vendor calls it: its key or path there.
        rows: Rows of data in it.
    """

    key: str
    sha256: str
    bytes: int
    name: str
    rows: int


class Span(msgspec.Struct, frozen=True):
    """A closed run of a stream, both ends covered, without a hole that the axis can show.

    `first` and `last` are on the claim's axis (trade ids, or event time in ns); `first_ns` and `last_ns` are the
    event times of the two ends, ns since 1970 UTC.
    """

    first: int
    last: int
    first_ns: int
    last_ns: int


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """A statement of the writer about a stream, kept in the lane as a frame of kind "note".

    "wanted": the event times since_ns <= t < until_ns are asked for (until_ns 0: open end); holes inside count.
    "reached": the run that starts at `first` is complete back to `since_ns`: the venue has nothing older in between;
        or, with `last`, the run that ends there is complete up to `until_ns`: the venue has nothing newer.
    "unreachable": `first` to `last` (0: open) were asked for and are past what the venue still answers.
    "absent": the venue answered with the neighbours of `first` to `last` and without them.
    "unreadable": the page that should hold `first` to `last` is kept, and rows on it could not be read.
    """

    note: NoteName
    first: int = 0
    last: int = 0
    since_ns: int = 0
    until_ns: int = 0
    reason: str = ""


class Claim(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an entry says of one stream (source, feed, symbol).

    Attributes:
        axis: "trade_seq" where the venue numbers its trades without holes, "event_time" where it does not.
        transport: "ws" for frames, "rest" for pages.
        count: Rows seen, duplicates included.
        spans: Runs covered, in order, not touching each other.
        notes: Statements of the writer, in order.
    """

    feed: str
    symbol: str
    axis: Axis
    transport: str
    count: int = 0
    spans: tuple[Span, ...] = ()
    notes: tuple[Note, ...] = ()


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One sealed entry of a lane.

    Attributes:
        lane: Name of the lane; also names its folder under `ledger/`.
        seq: Number in the lane, from 0, without holes.
        prev: SHA-256 of the previous entry's bytes.
        source: Source id, such as "coinbase".
        segment: The sealed lines.
        first_n: Place in the lane of the first line; the last is first_n + segment.lines - 1.
        first_recv_ns, last_recv_ns: Smallest and largest receive clock in the segment.
        known_before_ns: Largest receive clock of all earlier entries of the lane; 0 for the first.
        known_ns: Largest receive clock up to and including this entry; `known_at` never decreases within a lane.
        claims: Per stream.
        claimed_by: Version of what found the claims and the contexts; "" where it has none.
        context: What later segments need of earlier frames (such as channel id to symbol), before the first line.
        context_after: The same after the last line; None where this segment left it as it was.
        writer: Random id of the process that sealed it.
        part: Random id of the part file it came from; "" where there was none.
        sealed_ns: Wall clock of the seal.
        meta: Facts of the run: a recording's file name, size and hash, whether the entry closes it.
        file: The file that it seals beside its segment; None where it seals none.
        checksum: `checksum_of` the entry; "" in entries that were sealed before there was one.
    """

    lane: str
    seq: int
    prev: str
    source: str
    segment: Segment
    first_n: int
    first_recv_ns: int
    last_recv_ns: int
    known_before_ns: int
    known_ns: int
    writer: str
    sealed_ns: int
    part: str = ""
    claims: tuple[Claim, ...] = ()
    context: dict[str, str] = {}
    context_after: dict[str, str] | None = None
    meta: dict[str, str] = {}
    claimed_by: str = ""
    file: SealedFile | None = None
    checksum: str = ""

    def next_context(self) -> dict[str, str]:
        """The context before the first line of the next entry."""
        return dict(self.context if self.context_after is None else self.context_after)


def named_keys(entry: Entry) -> tuple[str, ...]:
    """Keys of the objects that belong to the lake because of this entry."""
    return (entry.segment.key, entry.file.key) if entry.file else (entry.segment.key,)


_decoder = msgspec.json.Decoder(Entry)


def encode_entry(entry: Entry) -> bytes:
    """The bytes of an entry as stored; their SHA-256 is the next entry's `prev`."""
    return msgspec.json.encode(entry)


def checksum_of(entry: Entry) -> str:
    """SHA-256 of the entry's bytes without their checksum."""
    return hashlib.sha256(encode_entry(msgspec.structs.replace(entry, checksum=""))).hexdigest()


def with_checksum(entry: Entry) -> Entry:
    """The entry as it is sealed: with its own checksum."""
    return msgspec.structs.replace(entry, checksum=checksum_of(entry))


def entry_hash(data: bytes) -> str:
    """What the next entry's `prev` must be."""
    return hashlib.sha256(data).hexdigest()


def decode_entry(data: bytes) -> Entry:
    """The entry of stored bytes; `encode_entry` gives them back.

    Raises:
        msgspec.MsgspecError: The bytes are not an entry; `raw.ledger` names which.
        ValueError: They are not in the form in which entries are sealed, or do not fit their checksum.
    """
    entry = _decoder.decode(data)
    if encode_entry(entry) != data:
        raise ValueError("it is not in the form in which entries are sealed, or a newer version sealed it")
    if entry.checksum and checksum_of(entry) != entry.checksum:
        raise ValueError("it does not fit its checksum: it was changed after it was sealed")
    return entry
