"""Delta tables of a lake: create, commit exactly once, and find the files that may hold a key.

A commit carries one Delta transaction per lane (id = lane, version = the mark of its last entry, `raw.marks`) and one
that all derive commits of a table share, so that two of them never pass each other. Both hold only when the table is
read and committed through one handle: a fresh handle would commit the same or a lower version without complaint.
"""

import fcntl
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import polars as pl
from deltalake import ColumnProperties, CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from tidelake.errors import TableMoved
from tidelake.raw.crash_points import reach
from tidelake.raw.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

CONTESTED = "_contested"  # ends the name of the list that stands and falls with a table
TURN = "tidelake"  # the transaction that every commit of ours advances
MERGE = "tidelake merge"  # that of every commit of ours that takes files out: deltalake lets two take the same ones
MAKING = "tidelake making"  # counts how often a table on an object store was emptied, to be made again
SETTINGS = {  # each opening lists the whole log, and reads the name of every file that went until it is forgotten
    "delta.checkpointInterval": "20",
    "delta.logRetentionDuration": "interval 1 hours",
    "delta.deletedFileRetentionDuration": "interval 1 hours",
}
LOG_KEPT = 200  # versions: who opens a table reads back to its last checkpoint, at most 20 before it began
LOG_YOUNG_S = 60.0
COUNTERS = ("trade_seq", "event_time", "known_at", "recv_ns", "line")  # few bits from row to row
WRITER = WriterProperties(  # on a million trades half the time and three quarters of the bytes of the default
    compression="ZSTD",
    compression_level=1,  # level 3 saves 2 % of the bytes for 12 % more time
    max_row_group_size=1 << 20,
    column_properties={
        **dict.fromkeys(COUNTERS, ColumnProperties(dictionary_enabled=False, encoding="DELTA_BINARY_PACKED")),
        "trade_id": ColumnProperties(dictionary_enabled=False, encoding="DELTA_BYTE_ARRAY"),
        "size": ColumnProperties(dictionary_enabled=False),
    },
)


class TableDropping(TableMoved):
    """The table is being dropped, or a drop of it was cut short."""


def drop_marker(name: str) -> str:
    """Key of the object that stands while a table and its list of contested keys are being deleted."""
    return f"tables/{name.removesuffix(CONTESTED)}.dropping"


def can_lock(store: Store) -> bool:
    """Whether the tables lie in a folder, where processes can take turns; on an object store nothing can be locked."""
    return "://" not in store.table_uri("")


@contextmanager
def turn(store: Store, *, alone: bool = False) -> Iterator[None]:
    """Commits go side by side and a drop goes alone, in all processes of this machine; nothing on an object store."""
    if not can_lock(store):
        yield
        return
    uri = store.table_uri("")
    os.makedirs(uri, exist_ok=True)
    handle = os.open(uri, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def _log_stamp(store: Store, name: str, version: int) -> str | None:
    """Differs for the log entries that two tables of one name have at a version; None where there is none."""
    key = f"_delta_log/{version:020d}.json"
    if not can_lock(store):
        return store.stamp(f"tables/{name}/{key}")
    try:
        found = os.stat(f"{store.table_uri(name)}/{key}")
    except (FileNotFoundError, NotADirectoryError):
        return None
    return f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"


@dataclass
class TableHandle:
    """A Delta table as it was when it was read; `commit` fails when it has moved since.

    Attributes:
        table: At the version that was read.
        partition_by: Folder columns.
        store: The lake, so that a commit is refused once the table was dropped; None where no drop can come between.
        stamp: That of the log entry of this version, taken where no drop could come between; None where it was not.
    """

    table: DeltaTable
    partition_by: tuple[str, ...]
    store: Store | None = None
    stamp: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Its folder under `tables/`."""
        return self.table.table_uri.rstrip("/").rpartition("/")[2]

    @cached_property
    def making(self) -> int:
        """How often the table was emptied by `start_anew`, less one: -1 where it never was."""
        return self._version(MAKING)

    @property
    def id(self) -> str:
        """Differs from that of a table of the same name that was dropped."""
        made = str(self.table.metadata().id)
        return made if self.making < 0 else f"{made}:{self.making}"

    def check(self) -> None:
        """Refuse to go on with a table that was dropped.

        Raises:
            TableMoved: It is gone, or another stands in its place.
        """
        if self.store is None:
            return
        _refuse_dropping(self.store, self.name)
        if self._is_newest(self.store):  # an opening reads the list of all files: 113 ms where there are 7,000
            return
        now = open_table(self.store, self.name)
        if now is None or now.metadata().id != self.table.metadata().id or self._was_emptied(now):
            raise TableMoved(f"the table {self.name} was dropped meanwhile; nothing was written")
        version = self.table.version()
        if now.version() != version and _log_stamp(self.store, self.name, version) is None:
            raise TableMoved(f"the log of {self.name} no longer reaches back to version {version}; nothing was written")

    def _is_newest(self, store: Store) -> bool:
        """Whether the log proves by its last entry that this is the table, and that nothing was written after."""
        version = self.table.version()
        if self.stamp is None or _log_stamp(store, self.name, version) != self.stamp:
            return False
        return _log_stamp(store, self.name, version + 1) is None

    def _was_emptied(self, now: DeltaTable) -> bool:
        if self.store is None or can_lock(self.store):  # there a drop deletes
            return False
        return now.transaction_version(MAKING) != self.table.transaction_version(MAKING)

    def done(self, app: str) -> int:
        """The version last committed under a transaction id since the table was last dropped; -1 for none."""
        return self._version(self._of_this_making(app))

    def _of_this_making(self, app: str) -> str:
        """A transaction id is never taken out of a table's log: after `start_anew` all go by other names."""
        return app if self.making < 0 else f"{self.making}:{app}"

    def _version(self, app: str) -> int:
        try:
            version = self.table.transaction_version(app)
        except DeltaError:  # the log is read only now
            self.check()
            raise
        return -1 if version is None else version

    def commit(self, rows: "pa.Table", done: Mapping[str, int], *, replace: str | None = None) -> None:
        """Append rows and advance the transactions, all or nothing.

        Args:
            rows: Rows in the table's schema.
            done: Transaction ids and the versions they reach.
            replace: A predicate; the rows under it are replaced by `rows`.

        Raises:
            TableMoved: The table moved since the handle was opened; nothing was written.
        """
        self._commit(rows, {self._of_this_making(app): version for app, version in done.items()}, replace, None)

    def start_anew(self, schema: "pa.Schema") -> "TableHandle":
        """Take out all rows and forget all transactions in one commit; the table has this schema from then on.

        Returns:
            The handle to go on with; this one is of no more use.

        Raises:
            TableMoved: The table moved since the handle was opened; nothing was changed.
        """
        self._commit(schema.empty_table(), {MAKING: self.making + 1}, None, "overwrite")
        return TableHandle(self.table, self.partition_by, self.store)

    def _commit(
        self, rows: "pa.Table", done: Mapping[str, int], replace: str | None, schema_mode: Literal["overwrite"] | None
    ) -> None:
        advanced = [TURN] if replace is None and schema_mode is None else [TURN, MERGE]
        after = {**done, **{app: self._version(app) + 1 for app in advanced}}
        marks = [Transaction(app, version) for app, version in after.items()]
        if self.store is None:
            self._write(rows, marks, replace, schema_mode)
            return
        with turn(self.store):
            self.check()
            self._write(rows, marks, replace, schema_mode)
            self.stamp = _log_stamp(self.store, self.name, self.table.version())

    def _write(
        self, rows: "pa.Table", marks: list[Transaction], replace: str | None, schema_mode: Literal["overwrite"] | None
    ) -> None:
        reach("before-table-commit")
        try:
            if replace is None and schema_mode is None:
                write_deltalake(
                    self.table,
                    rows,
                    mode="append",
                    partition_by=list(self.partition_by),
                    writer_properties=WRITER,
                    commit_properties=CommitProperties(app_transactions=marks),
                )
            else:
                write_deltalake(
                    self.table,
                    rows,
                    mode="overwrite",
                    predicate=replace,
                    schema_mode=schema_mode,
                    partition_by=list(self.partition_by),
                    writer_properties=WRITER,
                    commit_properties=CommitProperties(app_transactions=marks),
                )
        except DeltaError as exc:
            raise _moved(exc) from exc
        reach("after-table-commit")

    def merge(self, folders: Sequence[Mapping[str, str]], *, below: int) -> int:
        """Merge files of these folders in one commit for each, which moves rows and changes none.

        To be called where nobody else commits: of two merges that take the same files deltalake lets both pass, and
        then every row stands twice. Whoever has read the table before may append after, but not replace rows.

        Args:
            folders: Values of the folder columns.
            below: Bytes; files of so many are left alone, and no merged one gets much larger.

        Returns:
            Number of files that were merged into others.
        """
        merged = 0
        for folder in folders:
            reach("before-table-merge")
            done = self.table.optimize.compact(
                partition_filters=[(name, "=", value) for name, value in folder.items()] or None,
                target_size=below,
                writer_properties=WRITER,
                commit_properties=CommitProperties(app_transactions=[Transaction(MERGE, self._version(MERGE) + 1)]),
            )
            merged += int(done["numFilesRemoved"])
        reach("after-table-merge")
        return merged

    def renewed(self) -> "TableHandle":
        """The same table, opened anew: a handle keeps its own commits one by one, and gets slower with each.

        Raises:
            TableMoved: The table was dropped, or others committed since; merged files are no commit of theirs.
        """
        assert self.store is not None
        with turn(self.store):
            now = open_table(self.store, self.name)
            if now is None:
                raise TableMoved(f"the table {self.name} was dropped meanwhile")
            handle = _stamped(self.store, self.name, now, self.partition_by)
        if (handle.id, handle._version(TURN)) != (self.id, self._version(TURN)):
            raise TableMoved(f"others committed to {self.name} meanwhile")
        return handle

    def files(self) -> pl.DataFrame:
        """One row per data file: path, partition values, and smallest and largest value of each column it keeps."""
        try:
            return pl.DataFrame(self.table.get_add_actions(flatten=True))
        except DeltaError:
            self.check()
            raise


def _moved(exc: DeltaError) -> TableMoved | DeltaError:
    """What to raise in place of a failure to commit."""
    lost = "transaction" in str(exc).lower() and "conflict" in str(exc).lower()
    return TableMoved(str(exc)) if lost or isinstance(exc, CommitFailedError) else exc


def trim_log(store: Store, name: str) -> None:
    """Delete log entries that checkpoints replaced, of a table in a folder; to be called where nobody commits.

    A commit that were tried past entries that are gone would find its place free: `TableHandle.check` refuses it.
    """
    log = f"{store.table_uri(name)}/_delta_log"
    numbered = sorted(name for name in os.listdir(log) if name[:20].isdigit())
    newest = max((int(name[:20]) for name in numbered if ".checkpoint" in name), default=0)
    for name in numbered:  # oldest first: a kill leaves no hole
        if int(name[:20]) >= newest - LOG_KEPT or time.time() - os.stat(f"{log}/{name}").st_mtime < LOG_YOUNG_S:
            break
        os.unlink(f"{log}/{name}")


def exists(store: Store, name: str) -> bool:
    """Whether the table was ever created in this lake."""
    return DeltaTable.is_deltatable(store.table_uri(name), store.storage_options())


def open_table(store: Store, name: str) -> DeltaTable | None:
    """The table at its newest version; None where it does not exist.

    Raises:
        TableDropping: It is half gone.
    """
    try:
        return DeltaTable(store.table_uri(name), storage_options=store.storage_options())
    except TableNotFoundError:
        return None
    finally:  # looked for last: the marker stands before the first deletion, so what was read without it is whole
        _refuse_dropping(store, name)


def _refuse_dropping(store: Store, name: str) -> None:
    if can_lock(store) and store.head(drop_marker(name)) is not None:
        raise TableDropping(
            f"the table {name} is being dropped, or a drop of it was cut short. Raw is untouched; "
            "`tidelake derive` finishes the drop and makes the table again."
        )


def open_or_create(store: Store, name: str, schema: "pa.Schema", partition_by: tuple[str, ...]) -> TableHandle:
    """A handle for reading and one commit; the table is created where it is missing.

    Raises:
        TableDropping: It is half gone.
    """
    with turn(store):
        table = open_table(store, name)
        if table is None:
            # Where another process made it meanwhile, or our answer was lost, the table that is there counts.
            with suppress(CommitFailedError):
                DeltaTable.create(
                    store.table_uri(name),
                    schema,
                    mode="ignore",
                    partition_by=list(partition_by),
                    storage_options=store.storage_options(),
                    configuration=SETTINGS,
                )
            table = DeltaTable(store.table_uri(name), storage_options=store.storage_options())
        return _stamped(store, name, table, partition_by)


def _stamped(store: Store, name: str, table: DeltaTable, partition_by: tuple[str, ...]) -> TableHandle:
    """Within a turn, so that the log entry is that of the table that was opened."""
    return TableHandle(table, partition_by, store, _log_stamp(store, name, table.version()))
