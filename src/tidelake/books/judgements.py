"""What judging a lane up to one of its entries left behind, stored so that the next derive goes on from there.

Two objects per judgement under `tables/book_judgements/`: what was found, and the books. Each names the ledger entry by
its hash, what the books began on, and the code that judged, and ends in its own hash: one that does not fit, or is
damaged, is as if it were not there. All of it can be deleted at any time; then lanes are read from their start again.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec
import zstandard

from tidelake.books.engine import BookEngine
from tidelake.books.judging import LaneFacts, LaneJudge
from tidelake.books.report import StreamFindings
from tidelake.errors import NotInLake
from tidelake.raw.entry import encode_entry, entry_hash
from tidelake.raw.ledger import Ledger
from tidelake.raw.store import Store

FOLDER = "tables/book_judgements/"
ALONE = "alone"  # the books of a lane that goes on from no other and is offered no page of another
KEPT = 4  # the three book tables may stand at different entries of a lane
HASH_BYTES = 32
JUDGING = ("books", "kernels", "venues")  # the packages whose code a judgement depends on

Stored = TypeVar("Stored", bound=msgspec.Struct)


class Judgement(msgspec.Struct, frozen=True):
    """What was found of a lane up to one of its entries.

    Attributes:
        seq, entry: Number and SHA-256 of that ledger entry.
        start: What the books began on: `ALONE`, or a digest of the books and pages that came from other lanes.
        code: Digest of the code that judged.
        facts: What the lane holds; context: what its frames said that later ones need.
        symbols: Symbols of the books at the end.
        offered: How many pages of other lanes were taken.
        streams: What was found of each book.
    """

    source: str
    lane: str
    seq: int
    entry: str
    start: str
    code: str
    facts: LaneFacts
    context: dict[str, str]
    symbols: list[str]
    offered: int
    streams: list[StreamFindings]

    @property
    def name(self) -> str:
        """Names it among all judgements."""
        return f"{self.lane} {self.start} {self.seq} {self.entry}"


@cache
def code_digest() -> str:
    """Names the code that judges: what other code left behind may mean something else."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(path for name in JUDGING for path in (root / name).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def pack(value: msgspec.Struct) -> bytes:
    """The bytes of a struct, with their hash in front."""
    return with_hash(zstandard.compress(msgspec.msgpack.encode(value), 1))


def unpack(data: bytes, kind: type[Stored]) -> Stored | None:
    """The struct that `pack` wrote; None where the bytes are damaged or of another form."""
    try:
        plain = checked(data)
        return None if plain is None else msgspec.msgpack.decode(zstandard.decompress(plain), type=kind)
    except (msgspec.MsgspecError, zstandard.ZstdError):
        return None


def with_hash(data: bytes) -> bytes:
    """The bytes with their hash in front."""
    return hashlib.sha256(data).digest() + data


def checked(data: bytes) -> bytes | None:
    """What `with_hash` was given; None where it was changed since."""
    found = data[HASH_BYTES:]
    return found if hashlib.sha256(found).digest() == data[:HASH_BYTES] else None


def replace(store: Store, key: str, data: bytes) -> None:
    """Puts an object, also where a damaged one stands."""
    if not store.put_new(key, data):
        store.delete(key)
        store.put_new(key, data)


class Judgements:
    """The judgements of the lanes of a lake."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ledger = Ledger(store)

    def newest(self, lane: str, start: str, *, last: int | None = None) -> Judgement | None:
        """The newest judgement of a lane from this start, of entry `last` or an earlier one; None where none fits."""
        for key in reversed(self._keys(lane, start)):
            seq, entry, code = key.rpartition("/")[2].removesuffix(".found").split("-")
            if code != code_digest() or (last is not None and int(seq) > last):
                continue
            if not self._hash_of(lane, int(seq)).startswith(entry):
                continue
            held = self._load(key)
            if held is not None and held.entry == self._hash_of(lane, held.seq) and held.start == start:
                return held
        return None

    def judge_of(self, held: Judgement) -> LaneJudge | None:
        """The judge as the judgement left it; None where its books are gone or damaged."""
        try:
            data = checked(self._store.get(_key(held, "books")))
        except NotInLake:
            return None
        if data is None:
            return None
        judge = LaneJudge(held.source, BookEngine.load(zstandard.decompress(data)))
        judge.go_on(held.seq + 1, held.facts, held.context, held.streams)
        return judge

    def judge_at(self, lane: str, start: str, source: str, *, last: int | None = None) -> LaneJudge:
        """The judge that the newest judgement left (see `newest`); a new one where there is none."""
        while (held := self.newest(lane, start, last=last)) is not None:
            judge = self.judge_of(held)
            if judge is not None:
                return judge
            self._forget(held)
        return LaneJudge(source, BookEngine(source))

    def save(self, lane: str, start: str, judge: LaneJudge, *, offered: int = 0) -> Judgement:
        """Stores what a judge knows of a lane up to the entry that it read last; forgets the oldest judgements."""
        seq = judge.next_seq - 1
        held = Judgement(
            judge.source,
            lane,
            seq,
            self._hash_of(lane, seq),
            start,
            code_digest(),
            judge.facts,
            judge.context,
            sorted({stream.symbol for stream in judge.engine.streams()}),
            offered,
            judge.findings.streams(),
        )
        if self._load(_key(held, "found")) is None:
            # A wrong object may stand in the place of the books: they are put first, and read again only if they fit.
            replace(self._store, _key(held, "books"), with_hash(zstandard.compress(judge.engine.dump(), 1)))
            replace(self._store, _key(held, "found"), pack(held))
            self._forget_old(lane, start)
        return held

    def _forget_old(self, lane: str, start: str) -> None:
        """Deletes all but the newest from this start and from none, and all from another start."""
        keys = set(self._store.list(f"{FOLDER}{lane}/"))
        for name in (ALONE, start):
            for key in self._keys(lane, name)[-KEPT:]:
                keys -= {key, key.removesuffix("found") + "books"}
        for key in sorted(keys):
            self._store.delete(key)

    def _forget(self, held: Judgement) -> None:
        """Deletes a judgement whose books are gone."""
        self._store.delete(_key(held, "found"))

    def _keys(self, lane: str, start: str) -> list[str]:
        return sorted(key for key in self._store.list(f"{FOLDER}{lane}/{start}/") if key.endswith(".found"))

    def _hash_of(self, lane: str, seq: int) -> str:
        """The hash of an entry as it stands in the ledger; "" where it is not there."""
        try:
            return entry_hash(encode_entry(self._ledger.entry(lane, seq)))
        except NotInLake:
            return ""

    def _load(self, key: str) -> Judgement | None:
        try:
            return unpack(self._store.get(key), Judgement)
        except NotInLake:  # another process forgot it meanwhile
            return None


def _key(held: Judgement, part: str) -> str:
    return f"{FOLDER}{held.lane}/{held.start}/{held.seq:012d}-{held.entry[:16]}-{held.code}.{part}"


def drop_judgements(store: Store) -> None:
    """Deletes all judgements."""
    for key in list(store.list(FOLDER)):
        store.delete(key)
