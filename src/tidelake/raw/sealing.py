"""From lines to a sealed entry: the segment first, then the ledger entry that commits it."""

import hashlib
import os
import re
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

from tidelake.errors import ConfigError, FormatDrift, LaneMoved
from tidelake.raw.codec import Codec, decode, seal_bytes, suffix
from tidelake.raw.crash_points import reach
from tidelake.raw.entry import Claim, Entry, SealedFile, Segment, named_keys, with_checksum
from tidelake.raw.ledger import Head, Ledger
from tidelake.raw.store import Store


class Describe(Protocol):
    """Plaintext lines and the context before them -> claims, and the context after them.

    It does not raise on a payload that it cannot read: such a line is kept and claims nothing.
    """

    def __call__(self, lines: bytes, context: dict[str, str], /) -> tuple[tuple[Claim, ...], dict[str, str]]: ...


@runtime_checkable
class Versioned(Describe, Protocol):
    """A `Describe` of which equal versions find equal claims, so that `verify` can find them again."""

    @property
    def version(self) -> str: ...


def claim_nothing(lines: bytes, context: dict[str, str]) -> tuple[tuple[Claim, ...], dict[str, str]]:
    """A `Describe` for lanes of which the ledger claims nothing."""
    return (), context


_NUMBER = re.compile(rb'^\{"n":-?\d+', re.MULTILINE)
_writer: tuple[int, str] = (0, "")


def seal_lines(
    store: Store,
    lane: str,
    source: str,
    lines: bytes,
    *,
    describe: Describe,
    head: Head,
    codec: Codec = "zstd",
    key: bytes | None = None,
    meta: dict[str, str] | None = None,
    part: str = "",
    file: SealedFile | None = None,
    clock: Callable[[], int] = time.time_ns,
) -> Entry:
    """Seal lines as the entry after `head`, and return it. On return it is durable.

    Args:
        store: The lake's store.
        lane: The lane, from `lane_name`.
        source: Source id.
        lines: Segment lines of `encode_line`, numbered from `head.next_n` on.
        describe: Finds the claims.
        head: Where the caller believes the lane ends.
        codec: How the segment is compressed.
        key: Encrypts the segment where given.
        meta: Facts for the entry.
        part: Id of the part file that the lines come from.
        file: A file put in the store under the entry's number, which is committed with the lines.
        clock: Wall clock, ns since 1970; tells `sealed_ns`.

    Raises:
        LaneMoved: Another writer sealed an entry there first. Nothing of this call is left in the lake, nor is `file`.
        ValueError: `lines` is empty, not segment lines, or numbered from elsewhere.
        StoreError: The store failed; the same call may be made again.
    """
    count, first_recv_ns, last_recv_ns = clocks(lines, head.next_n)
    claims, context_after = describe(lines, dict(head.context))
    segment = _put_segment(store, segment_stem(source, lane, first_recv_ns, head.seq + 1), lines, count, codec, key)
    reach("segment-put")
    entry = with_checksum(
        Entry(
            lane=lane,
            seq=head.seq + 1,
            prev=head.hash,
            source=source,
            segment=segment,
            first_n=head.next_n,
            first_recv_ns=first_recv_ns,
            last_recv_ns=last_recv_ns,
            known_before_ns=head.known_ns,
            known_ns=max(head.known_ns, last_recv_ns),
            writer=_writer_id(),
            sealed_ns=clock(),
            part=part,
            claims=claims,
            context=dict(head.context),
            context_after=None if context_after == head.context else context_after,
            meta=dict(meta or {}),
            claimed_by=describe.version if isinstance(describe, Versioned) else "",
            file=file,
        )
    )
    reach("before-ledger-put")
    ledger = Ledger(store)
    if not ledger.put(entry):
        _withdraw(store, ledger, entry)
        raise LaneMoved(
            f"lane {lane}: another writer has sealed entry {entry.seq}. Its frames and all before are intact; "
            f"the {count} lines of this writer are not in the lake. Read the head again and seal after it.",
            lane=lane,
            head=ledger.head(lane).seq,
        )
    reach("after-ledger-put")
    return entry


def renumber(lines: bytes, first_n: int) -> bytes:
    """The same lines, numbered from `first_n` on."""
    numbers = iter(range(first_n, first_n + lines.count(b"\n")))
    return _NUMBER.sub(lambda _: b'{"n":%d' % next(numbers), lines)


def clocks(lines: bytes, first_n: int) -> tuple[int, int, int]:
    """Number of lines, smallest and largest receive clock.

    Raises:
        ValueError: `lines` is empty, not segment lines, or not numbered from `first_n` on.
    """
    from tidelake.raw.line_clocks import line_clocks  # needs numpy

    found = line_clocks(lines, first_n)
    return len(found), int(found.min()), int(found.max())


def segment_stem(source: str, lane: str, first_recv_ns: int, seq: int) -> str:
    """What the key of a segment starts with, before "-" and its hash."""
    day = datetime.fromtimestamp(first_recv_ns // 1_000_000_000, UTC).date()
    return f"raw/{source}/{lane}/{day}/{seq:012d}"


def _put_segment(store: Store, stem: str, lines: bytes, count: int, codec: Codec, key: bytes | None) -> Segment:
    digest = hashlib.sha256(lines).hexdigest()
    data = seal_bytes(lines, codec=codec, key=key)
    attempt = 0
    while True:
        name = f"{stem}-{digest[:16]}" + (f".{attempt}" if attempt else "") + suffix(codec, key)
        # A writer that was killed after this put left the object behind: it is taken over if it holds the same lines.
        if not store.put_new(name, data) and (stored := store.get(name)) != data:
            if not _holds(stored, lines, key):
                attempt += 1
                continue
            data = stored
        return Segment(name, digest, len(lines), hashlib.sha256(data).hexdigest(), len(data), count)


def _holds(stored: bytes, lines: bytes, key: bytes | None) -> bool:
    try:
        return decode(stored, key) == lines
    except (FormatDrift, ConfigError):
        return False


def _withdraw(store: Store, ledger: Ledger, lost: Entry) -> None:
    """Delete what an entry that came second names. No other entry can ever name it: its number is taken."""
    kept = named_keys(ledger.entry(lost.lane, lost.seq))
    for key in named_keys(lost):
        if key not in kept:
            store.delete(key)


def _writer_id() -> str:
    global _writer
    if _writer[0] != os.getpid():
        _writer = (os.getpid(), uuid.uuid4().hex)
    return _writer[1]
