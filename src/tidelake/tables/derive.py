"""Derive: tables out of the raw log, exactly once, only what is new.

Each lane has a mark in the table's own log: the last ledger entry whose rows the table holds (`raw.marks`). A commit
moves marks and rows together, so a kill at any point loses nothing and doubles nothing: the next run goes on from the
marks. A lane that no longer holds the entry that its mark names is broken, and is left alone.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from typing import Protocol

import numpy as np
import polars as pl
import pyarrow as pa

from tidelake.errors import ConfigError, LedgerBroken, TableMoved
from tidelake.raw.entry import Entry
from tidelake.raw.ledger import Ledger
from tidelake.raw.marks import NO_MARK, mark_of, seq_of
from tidelake.raw.segments import read_sealed
from tidelake.raw.store import Store
from tidelake.tables import quarantine
from tidelake.tables.decode import Decoded, decode
from tidelake.tables.delta import TableHandle, open_or_create, open_table
from tidelake.tables.dropping import clear_rejects, finish_drops
from tidelake.tables.lookup import Lookup
from tidelake.tables.maintain import is_merge_due, merge_small
from tidelake.tables.mapping import Mapping, load_mappings
from tidelake.tables.row_order import sort_rows
from tidelake.tables.schema import Table
from tidelake.tables.segment_lines import SegmentLines, split
from tidelake.tables.versions import are_all_new, drop_repeats

BATCH_BYTES = 64 << 20  # plaintext bytes of raw that one commit holds; two batches are in memory at once
MOST_ENTRIES = 10_000  # and entries, so that many small ones do not add up
WORKERS = 2
ATTEMPTS = 20


@dataclass(frozen=True)
class Derived:
    """What a derive did to one table; rows_read = rows_added + repeats, and nothing else is dropped.

    Attributes:
        entries: Ledger entries read.
        lines_read: Lines that a mapping fitted.
        rows_read: Rows found in them.
        rows_added: Rows stored.
        repeats: Rows that an equal stored version makes needless.
        contested: Keys that got a second stored version (a correction, a conflict, or an earlier copy that came later).
        rejected: Rows and lines sent to `quarantine`.
        commits: Delta commits made.
        bytes: Plaintext bytes of raw that were read.
        merged: Small files that were merged into larger ones.
        merge_ms: Milliseconds that took: the cost of keeping the next commits fast.
    """

    table: str
    entries: int = 0
    lines_read: int = 0
    rows_read: int = 0
    rows_added: int = 0
    repeats: int = 0
    contested: int = 0
    rejected: int = 0
    commits: int = 0
    bytes: int = 0
    merged: int = 0
    merge_ms: int = 0


Progress = Callable[[str, int], None]  # table, plaintext bytes done since the last call


class Reader(Protocol):
    """Reads a table's rows out of sealed entries.

    Attributes:
        ordered: Whether what an entry says depends on those before it in its lane. They then come one at a time and
            in order; a reader that is given an entry out of turn reads those before it by itself.
    """

    @property
    def ordered(self) -> bool: ...

    def serves(self, source: str, lane: str) -> bool:
        """Whether a lane of the source can tell rows of the table."""

    def read(self, entry: Entry, lines: SegmentLines) -> Decoded:
        """The rows of an entry, and those that cannot be read."""

    def close(self) -> None:
        """Called by its owner after the derive, however that ended."""


@dataclass(frozen=True)
class MappingReader:
    """Reads each entry by itself, by the field mappings of its source."""

    table: Table
    mappings: Sequence[Mapping]
    ordered: bool = False

    def serves(self, source: str, lane: str) -> bool:
        return any(m.source == source and m.spec.table == self.table.name for m in self.mappings)

    def read(self, entry: Entry, lines: SegmentLines) -> Decoded:
        segment = entry.segment.sha256[:16]
        return decode(self.table, entry.source, lines, segment, dict(entry.context), self.mappings)

    def close(self) -> None:
        """Nothing is kept between entries."""


@dataclass
class _Broken:
    """Lanes whose chain, segment or key does not hold; they stop where they broke, all others go on."""

    found: dict[str, LedgerBroken | ConfigError] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)  # number of the first entry that is not derived

    def stop(self, lane: str, seq: int, exc: LedgerBroken | ConfigError) -> None:
        if seq < self.ends.get(lane, seq + 1):
            self.found[lane], self.ends[lane] = exc, seq


@dataclass(frozen=True)
class _Marks:
    """Where a table stands in each lane, and where `quarantine` stands for it.

    Attributes:
        rows, filed: As they were when read; None where there is no table, and so no mark.
    """

    table: str
    rows: TableHandle | None
    filed: TableHandle | None

    def done(self, lane: str) -> int:
        """The last entry whose rows the table holds."""
        return self.rows.done(lane) if self.rows else NO_MARK

    def ahead(self, lane: str) -> int:
        """The last entry that `quarantine` has rows of, where a run died before the table had them."""
        if not self.rows or not self.filed:
            return NO_MARK
        filed = self.filed.done(_filed_under(self.table, self.rows, lane))
        return filed if seq_of(filed) > seq_of(self.done(lane)) else NO_MARK


def _filed_under(table: str, target: TableHandle, lane: str) -> str:
    """The transaction that marks a lane in `quarantine`, for one making of a table."""
    return f"{table}:{target.id}:{lane}"


def _read_marks(store: Store, table: Table, rows: TableHandle | None) -> _Marks:
    found = open_table(store, quarantine.NAME) if rows else None
    return _Marks(table.name, rows, TableHandle(found, quarantine.PARTITION_BY) if found else None)


def _new_entries(ledger: Ledger, marks: _Marks, reader: Reader, broken: _Broken) -> Iterator[Entry]:
    """Entries past each lane's mark; lanes in order of name."""
    for lane in ledger.lanes():
        try:
            ledger.check_mark(lane, marks.ahead(lane))
            for entry in ledger.entries_past(lane, marks.done(lane)):
                if not reader.serves(entry.source, lane):
                    break
                yield entry
        except LedgerBroken as exc:
            broken.stop(lane, exc.seq, exc)


def _batch(entries: Iterator[Entry], most: int) -> list[Entry]:
    batch: list[Entry] = []
    size = 0
    for entry in islice(entries, most):
        batch.append(entry)
        size += entry.segment.bytes
        if size >= BATCH_BYTES:
            break
    return batch


def read_entry_lines(store: Store, entry: Entry, key: bytes | None) -> SegmentLines:
    """The lines of an entry's segment.

    Raises:
        LedgerBroken: The segment is missing or not what the entry says.
        ConfigError: Its key is missing or another one.
    """
    plain = read_sealed(store, entry.segment, key)
    return split(plain, first_n=entry.first_n, known_before_ns=entry.known_before_ns)


@dataclass(frozen=True)
class _Read:
    """One entry, decoded."""

    entry: Entry
    found: Decoded
    bad: pa.Table


def _read_entry(store: Store, reader: Reader, key: bytes | None, entry: Entry) -> _Read:
    lines = read_entry_lines(store, entry, key)
    found = reader.read(entry, lines)
    at = np.array([r.line for r in found.rejected], dtype=np.int64)
    bad = quarantine.rows(
        found.rejected,
        source=entry.source,
        lane=entry.lane,
        seq=entry.seq,
        segment=entry.segment.sha256[:16],
        recv_ns=lines.recv_ns[at].tolist(),
        known_ns=lines.known_ns[at].tolist(),
    )
    return _Read(entry, found, bad)


def _commit_quarantine(store: Store, table: Table, target: TableHandle, batch: list[Entry], bad: pa.Table) -> None:
    """Before the rows, under marks of its own: a run that dies between the two does not file anything twice.

    The marks hold for this making of the table. One that is dropped takes what it filed along (`tables.dropping`), and
    moves `quarantine` after it is gone: so `target` is checked after `quarantine` was opened.
    """
    if not len(bad):
        return
    for _ in range(ATTEMPTS):
        handle = open_or_create(store, quarantine.NAME, quarantine.SCHEMA, quarantine.PARTITION_BY)
        target.check()
        marks = {_filed_under(table.name, target, e.lane): mark_of(e) for e in batch}
        done = {e.lane: seq_of(handle.done(_filed_under(table.name, target, e.lane))) for e in batch}
        fresh = [seq > done[lane] for lane, seq in zip(bad["lane"].to_pylist(), bad["seq"].to_pylist(), strict=True)]
        new = bad.filter(pa.array(fresh))
        if not len(new):
            return
        try:
            handle.commit(new, marks)
        except TableMoved:
            continue
        return
    raise TableMoved(f"quarantine was taken by others {ATTEMPTS} times in a row")


def _commit_contested(store: Store, table: Table, keys: pl.DataFrame) -> None:
    """Before the rows: a key listed here that has one version reads the same, one that is missing would be doubled."""
    if keys.is_empty():
        return
    for _ in range(ATTEMPTS):
        try:
            handle = open_or_create(store, table.contested, table.contested_schema, ())
            handle.commit(keys.to_arrow().cast(table.contested_schema), {})
        except TableMoved:
            continue
        return
    raise TableMoved(f"{table.contested} was taken by others {ATTEMPTS} times in a row")


def _worth_storing(table: Table, lookup: Lookup, rows: pa.Table) -> tuple[pa.Table, pl.DataFrame]:
    """Those rows that no stored one and no other of them makes needless, and keys that then have many versions."""
    told = dict.fromkeys((*table.key, *(name for name in table.ids or () if name), "event_time"))
    keys = pl.DataFrame(pl.from_arrow(rows.select(list(told))))
    none = keys.select(table.key).clear()
    if table.restatable or not len(rows):
        return rows, none
    old = lookup.stored_rows(keys)
    if are_all_new(table, old, keys):
        return rows, none
    places, contested = drop_repeats(table, old, pl.DataFrame(pl.from_arrow(rows)))
    return rows.take(places.to_arrow()), contested


def _store_batch(store: Store, table: Table, handle: TableHandle, lookup: Lookup, batch: list[_Read]) -> Derived:
    rows = pa.concat_tables([table.schema.empty_table(), *(read.found.rows for read in batch)])
    bad = pa.concat_tables([quarantine.SCHEMA.empty_table(), *(read.bad for read in batch)])
    kept, contested = _worth_storing(table, lookup, rows)
    _commit_quarantine(store, table, handle, [read.entry for read in batch], bad)
    _commit_contested(store, table, contested)
    # Also where no row is new: without its mark an entry would be read again by every derive to come.
    ordered = sort_rows(kept, [*table.partition_by, *table.sort_by])
    handle.commit(ordered, {read.entry.lane: mark_of(read.entry) for read in batch})
    return Derived(
        table.name,
        entries=len(batch),
        lines_read=sum(read.found.lines_read for read in batch),
        rows_read=len(rows),
        rows_added=len(kept),
        repeats=len(rows) - len(kept),
        contested=contested.height,
        rejected=len(bad),
        commits=1,
        bytes=sum(read.entry.segment.bytes for read in batch),
    )


def _await(futures: list[Future[_Read]], entries: list[Entry], broken: _Broken) -> list[_Read]:
    reads = []
    for entry, future in zip(entries, futures, strict=True):
        try:
            read = future.result()
        except (LedgerBroken, ConfigError) as exc:  # ConfigError: the key of an encrypted segment
            broken.stop(entry.lane, entry.seq, exc)
            continue
        if entry.seq < broken.ends.get(entry.lane, entry.seq + 1):
            reads.append(read)
    return reads


def _derive_pass(
    store: Store,
    table: Table,
    reader: Reader,
    key: bytes | None,
    most: int,
    broken: _Broken,
) -> Iterator[Derived]:
    """Commits batch after batch through one handle; the next batch is decoded while one is committed."""
    handle = open_or_create(store, table.name, table.schema, table.partition_by)
    if handle.making >= 0:
        clear_rejects(store, handle)
    lookup = Lookup(store, handle, table)
    marks = _read_marks(store, table, handle)
    entries = _new_entries(Ledger(store), marks, reader, broken)
    pool = ThreadPoolExecutor(max_workers=1 if reader.ordered else WORKERS)
    try:
        batch = _batch(entries, most)
        futures = [pool.submit(_read_entry, store, reader, key, e) for e in batch]
        while batch:
            reads = _await(futures, batch, broken)
            batch = _batch(entries, most)
            futures = [pool.submit(_read_entry, store, reader, key, e) for e in batch]
            if reads:
                before = handle.version
                yield _store_batch(store, table, handle, lookup, reads)
                if is_merge_due(before, handle.version):
                    yield _merge(store, table)
                    handle = lookup.handle = handle.renewed()
    finally:
        pool.shutdown(cancel_futures=True)


def _merge(store: Store, table: Table) -> Derived:
    started = time.perf_counter()
    merged = merge_small(store, table)
    return Derived(table.name, merged=merged, merge_ms=round((time.perf_counter() - started) * 1e3))


def _add(total: Derived, part: Derived) -> Derived:
    counts = [f.name for f in fields(Derived) if f.name != "table"]
    summed = {name: getattr(total, name) + getattr(part, name) for name in counts}
    return replace(total, **summed)


@dataclass(frozen=True)
class Pending:
    """What a derive of one table would read, and how many lanes stop it where they are broken."""

    table: str
    lanes: int
    entries: int
    bytes: int
    broken: int
    columns: str


def pending(store: Store, table: Table, reader: Reader) -> Pending:
    """The plan of a derive: ledger entries past the table's marks. Touches nothing."""
    found = open_table(store, table.name)
    marks = _read_marks(store, table, TableHandle(found, table.partition_by) if found else None)
    broken = _Broken()
    entries = list(_new_entries(Ledger(store), marks, reader, broken))
    return Pending(
        table.name,
        lanes=len({entry.lane for entry in entries}),
        entries=len(entries),
        bytes=sum(entry.segment.bytes for entry in entries),
        broken=len(broken.found),
        columns=", ".join(f"{field.name} {field.type}" for field in table.schema),
    )


def derive_table(
    store: Store,
    table: Table,
    *,
    mappings: Sequence[Mapping] | None = None,
    reader: Reader | None = None,
    key: bytes | None = None,
    progress: Progress | None = None,
    max_entries: int | None = None,
) -> Derived:
    """Bring one table up to the ledger. Run again at any time, by any number of processes.

    Args:
        mappings: Default: those that ship.
        reader: Default: by the mappings.
        key: For encrypted segments.
        progress: Called after each commit.
        max_entries: At most so many entries in one commit; default: what `BATCH_BYTES` allows.

    Raises:
        LedgerBroken: A lane does not hold; everything else was derived before this is raised.
        ConfigError: The key of a lane is missing or another one; likewise.
        TableMoved: Other processes committed between read and write twenty times in a row.
    """
    reader = reader or MappingReader(table, tuple(mappings if mappings is not None else load_mappings()))
    total = Derived(table.name)
    lost = 0
    while True:
        broken = _Broken()
        finish_drops(store)
        try:
            for part in _derive_pass(store, table, reader, key, max_entries or MOST_ENTRIES, broken):
                total = _add(total, part)
                lost = 0
                if progress:
                    progress(table.name, part.bytes)
        except TableMoved:
            lost += 1
            if lost == ATTEMPTS:
                raise
            continue
        if broken.found:
            lane, first = min(broken.found.items())
            more = f" {len(broken.found) - 1} more lanes are broken too." if len(broken.found) > 1 else ""
            text = f"{first}{more} All rows before that, and those of all other lanes, are in `{table.name}`."
            if isinstance(first, ConfigError):
                raise ConfigError(f"lane {lane}: {text}", tried=first.tried) from first
            raise LedgerBroken(text, lane=lane, seq=first.seq) from first
        return total
