"""Sealed segments, read back and checked against the hashes of their ledger entry."""

import hashlib
from collections.abc import Iterator

from tidelake.errors import FormatDrift, LedgerBroken, NotInLake
from tidelake.raw.codec import decode, iter_decoded
from tidelake.raw.entry import Segment
from tidelake.raw.frame import Frame, decode_line
from tidelake.raw.store import Store

BLOCK_BYTES = 2 << 20


def segment_name(segment: Segment) -> str:
    """The 16 digits by which table rows name a segment."""
    return segment.sha256[:16]


def lane_and_seq(key: str) -> tuple[str, int]:
    """The lane and the entry's number that a segment's key speaks of; ("", -1) where it is no such key."""
    parts = key.split("/")
    number = parts[-1].partition("-")[0]
    if len(parts) != 5 or parts[0] != "raw" or not number.isdecimal():
        return "", -1
    return parts[2], int(number)


def read_sealed(store: Store, segment: Segment, key: bytes | None = None) -> bytes:
    """The plaintext of a segment whose stored bytes are those that were sealed.

    That proves the lines too, as every codec ends in a checksum of its plaintext; only what the entry itself says of
    them is not compared (`read_lines` does): to hash them takes 27 ms for each 35 MB.

    Raises:
        LedgerBroken: The object is missing or is not the one that was sealed.
        ConfigError: It is encrypted, and `key` is missing or another one.
        StoreError: The store failed.
    """
    data = _stored(store, segment)
    if hashlib.sha256(data).hexdigest() != segment.stored_sha256:
        raise _broken(segment, f"was sealed as {segment.stored_bytes} bytes with another hash; found {len(data)} bytes")
    if len(data) != segment.stored_bytes:
        raise _broken(segment, f"holds {len(data)} bytes, its entry says {segment.stored_bytes}")
    try:
        return decode(data, key)
    except FormatDrift as exc:
        raise _broken(segment, str(exc)) from exc


def read_lines(store: Store, segment: Segment, key: bytes | None = None) -> bytes:
    """The plaintext lines of a segment, compared with their hash and number too; raises as `read_sealed` does."""
    plain = read_sealed(store, segment, key)
    _check_plain(segment, hashlib.sha256(plain).hexdigest(), plain.count(b"\n"))
    return plain


def iter_frames(store: Store, segment: Segment, key: bytes | None = None) -> Iterator[Frame]:
    """The frames of a segment, in order; raises as `read_lines` does."""
    lines = read_lines(store, segment, key).split(b"\n")
    return (decode_line(line) for line in lines[:-1])


def iter_blocks(store: Store, segment: Segment, key: bytes | None = None) -> Iterator[bytes]:
    """Blocks of whole lines of a segment, in memory that does not grow with it.

    Raises as `read_lines` does, but finds out only at the end of the segment that it was changed: what was read
    before is then not to be used.
    """
    stored, plain = hashlib.sha256(), hashlib.sha256()
    lines, rest = 0, b""
    try:
        for piece in iter_decoded(_ranges(store, segment, stored), key):
            plain.update(piece)
            block, newline, rest = (rest + piece).rpartition(b"\n")
            if newline:
                lines += block.count(b"\n") + 1
                yield block + newline
    except FormatDrift as exc:
        raise _broken(segment, str(exc)) from exc
    if stored.hexdigest() != segment.stored_sha256:
        raise _broken(segment, "was sealed with another hash")
    _check_plain(segment, plain.hexdigest(), lines)


def _ranges(store: Store, segment: Segment, digest: "hashlib._Hash") -> Iterator[bytes]:
    size = store.head(segment.key)
    if size is None:
        raise _broken(segment, "is missing")
    for start in range(0, size, BLOCK_BYTES):
        block = store.get_range(segment.key, start, min(BLOCK_BYTES, size - start))
        digest.update(block)
        yield block


def _stored(store: Store, segment: Segment) -> bytes:
    try:
        return store.get(segment.key)
    except NotInLake as exc:
        raise _broken(segment, "is missing") from exc


def _check_plain(segment: Segment, digest: str, lines: int) -> None:
    if digest != segment.sha256:
        raise _broken(segment, f"holds lines with the hash {digest[:16]}, sealed were {segment.sha256[:16]}")
    if lines != segment.lines:
        raise _broken(segment, f"holds {lines} lines, its entry says {segment.lines}")


def _broken(segment: Segment, what: str) -> LedgerBroken:
    lane, seq = lane_and_seq(segment.key)
    return LedgerBroken(
        f"segment {segment_name(segment)} ({segment.key}), entry {seq} of lane {lane}: it {what}. Its ledger entry is "
        "intact. Run `tidelake verify` for all that is wrong, and restore the object from a copy.",
        lane=lane,
        seq=seq,
    )
