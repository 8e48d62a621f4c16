"""Delta tables of a lake: create, commit exactly once, and find the files that may hold a key.

A commit carries one Delta transaction per lane (id = lane, version = the lane's last entry that it holds) and one that
all derive commits of a table share, so that two of them never pass each other. Both hold only when the table is read
and committed through one handle: a fresh handle would commit the same or a lower version without complaint.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
from deltalake import ColumnProperties, CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from tidelake.errors import TableMoved
from tidelake.raw.crash_points import reach
from tidelake.raw.store import Store

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


@dataclass(frozen=True)
class TableHandle:
    """A Delta table as it was when it was read; `commit` fails when it has moved since."""

    table: DeltaTable
    partition_by: tuple[str, ...]

    def done(self, app: str) -> int:
        """The version last committed under a transaction id; -1 for none."""
        version = self.table.transaction_version(app)
        return -1 if version is None else version

    def commit(self, rows: pa.Table, done: Mapping[str, int], *, replace: str | None = None) -> None:
        """Append rows and advance the transactions, all or nothing.

        Args:
            rows: Rows in the table's schema.
            done: Transaction ids and the versions they reach.
            replace: A predicate; the rows under it are replaced by `rows`.

        Raises:
            TableMoved: The table moved since the handle was opened; nothing was written.
        """
        marks = [Transaction(app, version) for app, version in {**done, TURN: self.done(TURN) + 1}.items()]
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
        actions = pa.table(self.table.get_add_actions(flatten=True))
        return pl.DataFrame(pl.from_arrow(actions))


def exists(store: Store, name: str) -> bool:
    """Whether the table was ever created in this lake."""
    return DeltaTable.is_deltatable(store.table_uri(name), store.storage_options())


def open_table(store: Store, name: str) -> DeltaTable | None:
    """The table at its newest version; None where it does not exist."""
    try:
        return DeltaTable(store.table_uri(name), storage_options=store.storage_options())
    except TableNotFoundError:
        return None


def open_or_create(store: Store, name: str, schema: pa.Schema, partition_by: tuple[str, ...]) -> TableHandle:
    """A handle for reading and one commit; the table is created where it is missing."""
    table = open_table(store, name)
    if table is None:
        DeltaTable.create(
            store.table_uri(name),
            schema,
            mode="ignore",
            partition_by=list(partition_by),
            storage_options=store.storage_options(),
            configuration={"delta.checkpointInterval": "20"},
        )
        table = DeltaTable(store.table_uri(name), storage_options=store.storage_options())
    return TableHandle(table, partition_by)
