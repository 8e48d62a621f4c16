"""The ledger: per lane, a chain of sealed entries under `ledger/<lane>/<seq>.json`, and nothing else.

Putting an entry where none is commits its segment. Whoever comes second for a number finds it taken and reads the
head again, so writers need no lock and no server.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import quote

import msgspec

from tidelake.errors import LedgerBroken, NotInLake
from tidelake.raw.entry import FIRST_PREV, Entry, decode_entry, encode_entry, entry_hash
from tidelake.raw.marks import hash_bits, hash_bits_of, seq_of
from tidelake.raw.store import Store

LEDGER = "ledger"
MAX_NAME_BYTES = 200
READ_AHEAD = 16
_RESTORE = (
    "Nothing more of this lane was written. Restore the ledger from a copy; or, if the raw log is meant to be as it is "
    "now, build the tables again from it with `tidelake derive --rebuild`."
)


@dataclass(frozen=True)
class Head:
    """Where a lane ends: what the next entry follows.

    Attributes:
        seq: Number of the last entry; -1 where the lane is empty.
        hash: SHA-256 of its bytes.
        next_n: Place in the lane of the next line.
        known_ns: Largest receive clock of the lane.
        context: Context before the next line.
    """

    seq: int = -1
    hash: str = FIRST_PREV
    next_n: int = 0
    known_ns: int = 0
    context: dict[str, str] = field(default_factory=dict)


def lane_name(*parts: str) -> str:
    """Name of the lane of one stream (source, feed, symbol), or of other parts, safe as a folder name.

    Unsafe characters and dots in a part are percent-encoded. A name of more than 200 bytes is cut and closed with a
    hash.
    """
    name = ".".join(quote(part, safe="").replace(".", "%2E") for part in parts)
    if len(name) <= MAX_NAME_BYTES:
        return name
    return f"{name[: MAX_NAME_BYTES - 17]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def lane_folder(lane: str) -> str:
    """Folder of a lane's entries in the store."""
    return f"{LEDGER}/{lane}"


def entry_key(lane: str, seq: int) -> str:
    """Key of an entry in the store."""
    return f"{LEDGER}/{lane}/{seq:012d}.json"


def head_after(entry: Entry) -> Head:
    """The head of a lane whose last entry this is."""
    return Head(
        seq=entry.seq,
        hash=entry_hash(encode_entry(entry)),
        next_n=entry.first_n + entry.segment.lines,
        known_ns=entry.known_ns,
        context=entry.next_context(),
    )


def parse_entry(data: bytes, lane: str, seq: int) -> Entry:
    """The entry of stored bytes, checked to be the one that its key says.

    Raises:
        LedgerBroken: The bytes are not an entry, not in the form it was sealed in, or of another place.
    """
    try:
        entry = decode_entry(data)
    except (msgspec.MsgspecError, ValueError) as exc:
        raise _broken(lane, seq, f"is not an entry ({exc})") from exc
    if (entry.lane, entry.seq) != (lane, seq):
        raise _broken(lane, seq, f"says that it is entry {entry.seq} of {entry.lane}")
    return entry


def _broken(lane: str, seq: int, what: str) -> LedgerBroken:
    return LedgerBroken(
        f"ledger entry {entry_key(lane, seq)} {what}. Entries before it are intact. "
        "Run `tidelake verify` for all that is wrong, and restore the object from a copy.",
        lane=lane,
        seq=seq,
    )


class Ledger:
    """The entries of all lanes of a lake."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def lanes(self) -> list[str]:
        """All lanes, by name."""
        return list(self._store.folders(LEDGER))

    def head(self, lane: str) -> Head:
        """Where the lane ends, found in O(log n) looks and one listing of what lies after.

        Raises:
            LedgerBroken: An entry lies beyond a missing one, or the last does not follow the one before. A hole
                further back is found by `entries` and by `verify`.
        """
        last = self._last_seq(lane)
        beyond = self._beyond(lane, last)
        while beyond == entry_key(lane, last + 1):  # sealed since we looked
            last += 1
            beyond = self._beyond(lane, last)
        if beyond is not None:
            raise _broken(lane, last + 1, f"is missing, and {beyond} follows it")
        if last < 0:
            return Head()
        data = self._store.get(entry_key(lane, last))
        entry = parse_entry(data, lane, last)
        before = self._stored_one(lane, last - 1) if last > 0 else None
        if last > 0 and before is None:
            raise _broken(lane, last - 1, "is missing, and the lane's last entry follows it")
        if before is not None and entry_hash(before) != entry.prev:
            raise _broken(lane, last, f"follows {entry.prev[:16]}, but the entry before is {entry_hash(before)[:16]}")
        return Head(last, entry_hash(data), entry.first_n + entry.segment.lines, entry.known_ns, entry.next_context())

    def _last_seq(self, lane: str) -> int:
        def present(seq: int) -> bool:
            return self._store.head(entry_key(lane, seq)) is not None

        if not present(0):
            return -1
        step = 1
        while present(step):
            step *= 2
        low, high = step // 2, step  # low is present, high is not
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if present(middle) else (low, middle)
        return low

    def entry(self, lane: str, seq: int) -> Entry:
        """One entry.

        Raises:
            NotInLake: There is no such entry.
            LedgerBroken: It is not what its key says.
        """
        return parse_entry(self._store.get(entry_key(lane, seq)), lane, seq)

    def entries(self, lane: str, after: int = -1) -> Iterator[Entry]:
        """Entries with seq > after, in order, to the end of the lane; each is checked to follow the one before.

        Costs one look at entry `after` and one listing at the end besides the entries themselves.

        Raises:
            LedgerBroken: An entry is changed or out of place; entry `after` is missing; or one in between is, which
                shows only after those before it were yielded.
        """
        yield from self._entries(lane, after, FIRST_PREV if after < 0 else self._hash_of_read(lane, after))

    def entries_past(self, lane: str, mark: int) -> Iterator[Entry]:
        """Entries after the one that a mark names (`raw.marks`); costs and raises as `entries`.

        Raises:
            LedgerBroken: Also where another entry stands in the place of the one that the mark names.
        """
        yield from self._entries(lane, seq_of(mark), self.check_mark(lane, mark))

    def check_mark(self, lane: str, mark: int) -> str:
        """The hash of the entry that a mark names, in one look.

        Raises:
            LedgerBroken: The entry is missing, or is another one: the end of the lane was lost, and written again.
        """
        seq = seq_of(mark)
        if seq < 0:
            return FIRST_PREV
        found = self._hash_of_read(lane, seq)
        if hash_bits(found) != hash_bits_of(mark):
            raise LedgerBroken(
                f"ledger entry {entry_key(lane, seq)} is not the one that was read before (found one with the hash "
                f"{found[:16]}): the end of lane {lane} was lost and written again, and tables hold rows of what stood "
                f"there. {_RESTORE}",
                lane=lane,
                seq=seq,
            )
        return found

    def _entries(self, lane: str, after: int, prev: str) -> Iterator[Entry]:
        seq = after + 1
        while True:
            for seq, data in self._stored(lane, seq):  # noqa: B020  reading goes on where it stopped
                entry = parse_entry(data, lane, seq)
                if entry.prev != prev:
                    raise _broken(lane, seq, f"follows {entry.prev[:16]}, but the entry before it is {prev[:16]}")
                prev = entry_hash(data)
                after = seq
                yield entry
            seq = after + 1
            beyond = self._beyond(lane, after)
            if beyond is None:
                return
            if beyond != entry_key(lane, seq):  # equal: sealed since we looked
                raise _broken(lane, seq, f"is missing, and {beyond} follows it")

    def _beyond(self, lane: str, last: int) -> str | None:
        return next(self._store.list(lane_folder(lane), after=entry_key(lane, last) if last >= 0 else None), None)

    def _hash_of_read(self, lane: str, seq: int) -> str:
        data = self._stored_one(lane, seq)
        if data is None:
            raise LedgerBroken(
                f"ledger entry {entry_key(lane, seq)} is missing, and it was read before: tables and indexes hold what "
                f"it sealed. {_RESTORE}",
                lane=lane,
                seq=seq,
            )
        return entry_hash(data)

    def _stored(self, lane: str, first: int) -> Iterator[tuple[int, bytes]]:
        if self._store.is_local:
            seq = first
            while (data := self._stored_one(lane, seq)) is not None:
                yield seq, data
                seq += 1
            return
        with ThreadPoolExecutor(READ_AHEAD) as readers:
            width = 1
            while True:
                numbers = range(first, first + width)
                for seq, data in zip(numbers, readers.map(lambda n: self._stored_one(lane, n), numbers), strict=True):
                    if data is None:
                        return
                    yield seq, data
                first, width = first + width, min(width * 2, READ_AHEAD)

    def _stored_one(self, lane: str, seq: int) -> bytes | None:
        try:
            return self._store.get(entry_key(lane, seq))
        except NotInLake:
            return None

    def put(self, entry: Entry) -> bool:
        """Commit an entry; False where another writer's stands in its place.

        True also where the stored bytes are this entry's own, put by a call whose answer was lost.
        """
        data, key = encode_entry(entry), entry_key(entry.lane, entry.seq)
        return self._store.put_new(key, data) or self._store.get(key) == data
