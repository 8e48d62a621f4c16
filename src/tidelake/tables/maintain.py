"""Upkeep of the tables: few large sorted files instead of many small ones, and no file that nothing names.

Compaction moves rows, it drops none: every version of a key stays, because `as_of` works on `known_at` and not on the
versions of the Delta table.

Derive merges too, since each opening of a table reads the list of all its files: every `MERGE_EVERY` commits, the small
files of folders that have many, also in the lists beside a table. That bounds its cost: a file is rewritten until it
has `SMALL` bytes, and then no more. Files so merged hold sorted runs one after the other; `maintain` sorts them.
"""

import datetime as dt
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from tidelake.errors import TableMoved
from tidelake.raw.store import Store
from tidelake.tables.delta import TableHandle, can_lock, open_or_create, open_table, trim_log, turn
from tidelake.tables.dropping import drop, finish_drops
from tidelake.tables.quarantine import NAME as QUARANTINE, PARTITION_BY
from tidelake.tables.registry import TABLES, table
from tidelake.tables.schema import Table

ROWS_AT_ONCE = 4_000_000  # rows sorted in memory together
MERGE_EVERY = 100  # commits; with one file each, so many files come to lie there between two merges
CROWD = 8  # small files that make a merge of a folder worth a commit
SMALL = 16 << 20  # bytes; 100 merges of less take about as long as one commit
OLD = dt.timedelta(days=1)
TORN = ".*#0"  # what a put of `raw.store` writes to before the object has its name
TORN_NAME = re.compile(r"\.[0-9a-f]{32}#0")
SHORTEST_KEEP = dt.timedelta(hours=1)  # a writer that is still at work may name files this young


Folder = dict[str, str | dt.date]  # folder column -> value


@dataclass(frozen=True)
class Maintained:
    """What upkeep did to one table; with a dry run, what it would do.

    Attributes:
        partitions: Folders whose files were merged.
        files_before, files_after: Data files that the table names.
        removed: Files deleted that the table does not name.
        skipped: Folders left alone because another process committed meanwhile.
    """

    table: str
    partitions: int
    files_before: int
    files_after: int
    removed: int
    skipped: int


def _crowded(handle: TableHandle) -> list[Folder]:
    """Folders with more than one file, in order."""
    files = handle.files()
    if files.is_empty():
        return []
    names = [f"partition.{name}" for name in handle.partition_by]
    counts = files.group_by(names).len().filter(pl.col("len") > 1).sort(names)
    return [dict(zip(handle.partition_by, row[:-1], strict=True)) for row in counts.rows()]


def is_merge_due(before: int, now: int) -> bool:
    """Whether a table came past a multiple of `MERGE_EVERY` from one version to another: of all writers one sees it."""
    return before // MERGE_EVERY != now // MERGE_EVERY


def merge_small(store: Store, table: Table) -> int:
    """Merge the small files of folders that have many, and trim the log; how many files are gone.

    Of the table, of its list of contested keys, and of `quarantine`, where each table files what it rejects. All other
    commits and drops of the machine wait. On an object store none can be made to wait, so there this is left to
    `maintain`.
    """
    if not can_lock(store):
        return 0
    with turn(store, alone=True):
        lists = {table.name: table.partition_by, table.contested: (), QUARANTINE: PARTITION_BY}
        return sum(_merge_one(store, name, partition_by) for name, partition_by in lists.items())


def _merge_one(store: Store, name: str, partition_by: tuple[str, ...]) -> int:
    found = open_table(store, name)
    if found is None:
        return 0
    handle = TableHandle(found, partition_by, store, alone=True)
    merged = handle.merge(_crowds(handle), below=SMALL)
    trim_log(store, name)
    return merged


def _crowds(handle: TableHandle) -> list[Folder]:
    """Folders with so many small files that a merge is worth a commit."""
    small = handle.files().filter(pl.col("size_bytes") < SMALL)
    if small.is_empty():
        return []
    if not handle.partition_by:
        return [{}] if small.height >= CROWD else []
    names = [f"partition.{name}" for name in handle.partition_by]
    counts = small.group_by(names).len().filter(pl.col("len") >= CROWD).sort(names)
    return [dict(zip(handle.partition_by, row[:-1], strict=True)) for row in counts.rows()]


def _sorted_parts(rows: pl.LazyFrame, table: Table, by: str) -> Iterator[pa.Table]:
    """The rows in order, of so many values of the first column of that order at once as memory allows."""
    counts = rows.group_by(by).len().sort(by).collect()
    groups: list[list[object]] = [[]]
    size = 0
    for value, count in counts.rows():
        if size and size + count > ROWS_AT_ONCE:
            groups.append([])
            size = 0
        groups[-1].append(value)
        size += count
    for values in groups:
        part = rows.filter(pl.col(by).is_in(values)).collect().sort(*table.sort_by, "recv_ns", "line", "item")
        yield part.select(table.schema.names).to_arrow().cast(table.schema)


def _merge(store: Store, table: Table, folder: Folder) -> None:
    handle = open_or_create(store, table.name, table.schema, table.partition_by)
    rows = pl.scan_delta(handle.table).filter(pl.col(name) == value for name, value in folder.items())
    handle.rearrange(folder, _sorted_parts(rows, table, table.sort_by[0]))


def _maintain_table(store: Store, table: Table, keep: dt.timedelta, dry_run: bool) -> Maintained | None:
    found = open_table(store, table.name)
    if found is None:
        return None
    handle = TableHandle(found, table.partition_by)
    before = len(found.file_uris())
    crowded = _crowded(handle)
    skipped = 0
    for folder in () if dry_run else crowded:
        try:
            _merge(store, table, folder)
        except TableMoved:
            skipped += 1
    now = open_table(store, table.name)
    assert now is not None
    removed = _vacuum(now, keep, dry_run)
    return Maintained(table.name, len(crowded), before, len(now.file_uris()), removed, skipped)


def _compact(store: Store, name: str, partition_by: tuple[str, ...], keep: dt.timedelta, dry_run: bool) -> Maintained:
    """Upkeep of a list without versions: the files of each folder into one; for contested keys, each key once."""
    found = open_table(store, name)
    assert found is not None
    before = len(found.file_uris())
    handle = TableHandle(found, partition_by, store)
    crowded = len(_crowded(handle)) if partition_by else int(before > 1)
    skipped = 0
    try:
        if crowded and not dry_run:
            rows = pl.read_delta(found)
            rows = rows if partition_by else rows.unique()
            handle.commit(rows.sort(pl.all()).to_arrow().cast(pa.schema(found.schema().to_arrow())), {}, replace=[{}])
    except TableMoved:
        skipped = crowded
    now = open_table(store, name)
    assert now is not None
    removed = _vacuum(now, keep, dry_run)
    return Maintained(name, crowded, before, len(now.file_uris()), removed, skipped)


def _vacuum(found: DeltaTable, keep: dt.timedelta, dry_run: bool) -> int:
    hours = int(keep.total_seconds() // 3600)
    removed = found.vacuum(retention_hours=hours, enforce_retention_duration=False, dry_run=dry_run, full=True)
    if not dry_run:
        found.create_checkpoint()
    return len(removed)


def remove_torn_puts(store: Store, older_than: dt.timedelta = OLD) -> int:
    """Delete what a crash within a local put left behind; nothing names it. Returns how many files went."""
    if store.root is None:
        return 0
    latest = time.time() - older_than.total_seconds()
    torn = [path for path in store.root.rglob(TORN) if TORN_NAME.fullmatch(path.name) and path.stat().st_mtime < latest]
    for path in torn:
        path.unlink(missing_ok=True)
    return len(torn)


def maintain(
    store: Store, tables: Sequence[str] = (), *, keep: dt.timedelta = dt.timedelta(days=7), dry_run: bool = False
) -> list[Maintained]:
    """Merge the files of each folder, sorted, and delete files that the last days do not need.

    The list of contested keys goes with its table. Without names, `quarantine` is compacted too, and files that a crash
    left behind within a put are deleted once they are a day old.

    Args:
        tables: Names; default: all that exist.
        keep: Files written within this time stay, and those that a table version of the last hour names; at least an
            hour.
        dry_run: Change nothing, report what would be done.

    Raises:
        ValueError: `keep` is under an hour: files of a writer at work would be deleted.
    """
    if keep < SHORTEST_KEEP:
        raise ValueError(f"keep must be at least an hour, found {keep}: files of a writer at work would be deleted")
    wanted = [table(name) for name in tables] or list(TABLES.values())
    if not dry_run:
        finish_drops(store)
        if not tables:
            remove_torn_puts(store)
    reports = (_maintain_table(store, t, keep, dry_run) for t in wanted)
    done = [report for report in reports if report is not None]
    lists = {t.contested: () for t in wanted} | ({} if tables else {QUARANTINE: PARTITION_BY})
    done += [_compact(store, n, by, keep, dry_run) for n, by in lists.items() if open_table(store, n) is not None]
    return done


def drop_tables(store: Store, tables: Sequence[str] = ()) -> None:
    """Delete derived tables (default: all), so that the next derive makes them again from raw. Raw is not touched."""
    drop(store, [table(name).name for name in tables] or list(TABLES))


def table_sizes(store: Store) -> pl.DataFrame:
    """Name, rows, files, bytes and commits of each table that exists, stored versions included."""
    listed = []
    for name in [*TABLES, QUARANTINE, "ledger", *(t.contested for t in TABLES.values())]:
        found = open_table(store, name)
        if found is None:
            continue
        files = pa.table(found.get_add_actions(flatten=True))
        listed.append(
            {
                "table": name,
                "rows": sum(files["num_records"].to_pylist()),
                "files": len(files),
                "bytes": sum(files["size_bytes"].to_pylist()),
                "commits": found.version() + 1,
            }
        )
    return pl.DataFrame(
        listed, schema={"table": pl.String, "rows": pl.Int64, "files": pl.Int64, "bytes": pl.Int64, "commits": pl.Int64}
    )
