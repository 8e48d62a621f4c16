"""Delta tables of a lake: create, commit exactly once, and find the files that may hold a key.

A commit carries one Delta transaction per lane (id = lane, version = the mark of its last entry, `raw.marks`) and one
that all derive commits of a table share, so that two of them never pass each other. Both hold only when the table is
read and committed through one handle: a fresh handle would commit the same or a lower version without complaint.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
COUNTERS = ("trade_seq", "event_time", "known_at", "recv_ns", "line")  # few bits from row to row
WRITER = WriterProperties(  # measured on a million trades: half the time and three quarters of the bytes of the default
    compression="ZSTD",
    compression_level=3,
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


@contextmanager
def turn(store: Store, *, alone: bool = False) -> Iterator[None]:
    """Commits go side by side and a drop goes alone, in all processes of this machine; nothing on an object store."""
    uri = store.table_uri("")
    if "://" in uri:
        yield
        return
    os.makedirs(uri, exist_ok=True)
    handle = os.open(uri, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


@dataclass(frozen=True)
class TableHandle:
    """A Delta table as it was when it was read; `commit` fails when it has moved since.

    Attributes:
        table: At the version that was read.
        partition_by: Folder columns.
        store: The lake, so that a commit is refused once the table was dropped; None where no drop can come between.
    """

    table: DeltaTable
    partition_by: tuple[str, ...]
    store: Store | None = None

    @property
    def id(self) -> str:
        """Differs from that of a table of the same name that was dropped."""
        return str(self.table.metadata().id)

    def check(self) -> None:
        """Refuse to go on with a table that was dropped.

        Raises:
            TableMoved: It is gone, or another stands in its place.
        """
        if self.store is None:
            return
        name = self.table.table_uri.rstrip("/").rpartition("/")[2]
        now = open_table(self.store, name)
        if now is None or now.metadata().id != self.table.metadata().id:
            raise TableMoved(f"the table {name} was dropped meanwhile; nothing was written")

    def done(self, app: str) -> int:
        """The version last committed under a transaction id; -1 for none."""
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
        marks = [Transaction(app, version) for app, version in {**done, TURN: self.done(TURN) + 1}.items()]
        if self.store is None:
            self._write(rows, marks, replace)
            return
        with turn(self.store):
            self.check()
            self._write(rows, marks, replace)

    def _write(self, rows: "pa.Table", marks: list[Transaction], replace: str | None) -> None:
        reach("before-table-commit")
        try:
            if replace is None:
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
                    partition_by=list(self.partition_by),
                    writer_properties=WRITER,
                    commit_properties=CommitProperties(app_transactions=marks),
                )
        except CommitFailedError as exc:
            raise TableMoved(str(exc)) from exc
        except DeltaError as exc:
            if "transaction" in str(exc).lower() and "conflict" in str(exc).lower():
                raise TableMoved(str(exc)) from exc
            raise
        reach("after-table-commit")

    def files(self) -> pl.DataFrame:
        """One row per data file: path, partition values, and smallest and largest value of each column it keeps."""
        try:
            return pl.DataFrame(self.table.get_add_actions(flatten=True))
        except DeltaError:
            self.check()
            raise


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
    if store.head(drop_marker(name)) is not None:
        raise TableDropping(
            f"the table {name} is being dropped, or a drop of it was cut short. Raw is untouched; "
            "`tidelake derive` finishes the drop and makes the table again."
        )


def open_or_create(store: Store, name: str, schema: "pa.Schema", partition_by: tuple[str, ...]) -> TableHandle:
    """A handle for reading and one commit; the table is created where it is missing.

    Raises:
        TableDropping: It is half gone.
    """
    table = open_table(store, name)
    if table is None:
        with turn(store):
            _refuse_dropping(store, name)
            DeltaTable.create(
                store.table_uri(name),
                schema,
                mode="ignore",
                partition_by=list(partition_by),
                storage_options=store.storage_options(),
                configuration={"delta.checkpointInterval": "20"},
            )
            table = DeltaTable(store.table_uri(name), storage_options=store.storage_options())
    return TableHandle(table, partition_by, store)
