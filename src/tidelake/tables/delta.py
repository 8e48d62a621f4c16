"""Delta tables of a lake: create, commit exactly once, and find the files that may hold a key.

A commit carries one Delta transaction per lane (id = lane, version = the mark of its last entry, `raw.marks`) and one
that all derive commits of a table share, so that two of them never pass each other. Both hold only when the table is
read and committed through one handle: a fresh handle would commit the same or a lower version without complaint.
"""

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from tidelake.errors import StoreError, TableMoved
from tidelake.raw.crash_points import reach
from tidelake.raw.store import Store
from tidelake.tables.files import Wanted, may_hold

if TYPE_CHECKING:
    import pyarrow as pa

    from tidelake.tables.rewriting import Actions

CONTESTED = "_contested"  # ends the name of the list that stands and falls with a table
TURN = "tidelake"  # the transaction that every commit of ours advances
MERGE = "tidelake merge"  # that of every commit of ours that takes files out
MAKING = "tidelake making"  # counts how often a table on an object store was emptied, to be made again
SETTINGS = {  # each opening lists the whole log, and reads the name of every file that went until it is forgotten
    "delta.checkpointInterval": "20",
    "delta.logRetentionDuration": "interval 1 hours",
    "delta.deletedFileRetentionDuration": "interval 1 hours",
}
LOG_KEPT = 200  # versions: who opens a table reads back to its last checkpoint, at most 20 before it began
LOG_YOUNG_S = 60.0
_STORE_FAILED = re.compile(r"Generic \w+ error: .*")  # of a disk or bucket, as deltalake words it


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


def _log_entry(store: Store, name: str, version: int) -> list[dict[str, object]]:
    """The actions of a version."""
    key = f"_delta_log/{version:020d}.json"
    if can_lock(store):
        with open(f"{store.table_uri(name)}/{key}", "rb") as file:
            text = file.read()
    else:
        text = store.get(f"tables/{name}/{key}")
    return [json.loads(line) for line in text.splitlines() if line]


def _is_marked(action: Mapping[str, object], mark: Mapping[str, object]) -> bool:
    told = action.get("txn")
    return isinstance(told, dict) and mark.items() <= told.items()


@dataclass
class TableHandle:
    """A Delta table as it was when it was read; `commit` fails when it has moved since.

    Attributes:
        opened: At the version that was read, or behind it by a commit of its own.
        partition_by: Folder columns.
        store: The lake; None where nothing is to be committed.
        stamp: That of the log entry of this version, taken where no drop could come between; None where it was not.
        alone: Whether all others wait (`turn`), so that no drop can come between.
    """

    opened: DeltaTable
    partition_by: tuple[str, ...]
    store: Store | None = None
    stamp: str | None = field(default=None, repr=False)
    alone: bool = False
    _reached: int | None = field(default=None, init=False, repr=False)  # by a commit that `opened` has not read yet

    @property
    def table(self) -> DeltaTable:
        """At the version that was read or last committed through this handle, whatever others committed after."""
        if self._reached is not None:
            self.opened.load_as_version(self._reached)  # reads what came after, no more: 11 ms where there are 7,000
            self._reached = None
        return self.opened

    @property
    def version(self) -> int:
        """Of the table; told without reading the log."""
        return self.opened.version() if self._reached is None else self._reached

    @property
    def name(self) -> str:
        """Its folder under `tables/`."""
        return self.opened.table_uri.rstrip("/").rpartition("/")[2]

    @cached_property
    def making(self) -> int:
        """How often the table was emptied by `start_anew`, less one: -1 where it never was."""
        return self._version(MAKING)

    @property
    def id(self) -> str:
        """Differs from that of a table of the same name that was dropped."""
        made = str(self.opened.metadata().id)
        return made if self.making < 0 else f"{made}:{self.making}"

    def check(self) -> None:
        """Refuse to go on with a table that was dropped.

        Raises:
            TableMoved: It is gone, or another stands in its place.
        """
        if self.store is None or self.alone:
            return
        _refuse_dropping(self.store, self.name)
        if self._is_newest(self.store):  # an opening reads the list of all files: 113 ms where there are 7,000
            return
        now = open_table(self.store, self.name)
        if now is None or now.metadata().id != self.opened.metadata().id or self._was_emptied(now):
            raise TableMoved(f"the table {self.name} was dropped meanwhile; nothing was written")
        version = self.version
        if now.version() != version and _log_stamp(self.store, self.name, version) is None:
            raise TableMoved(f"the log of {self.name} no longer reaches back to version {version}; nothing was written")

    def _is_newest(self, store: Store) -> bool:
        """Whether the log proves by its last entry that this is the table, and that nothing was written after."""
        version = self.version
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

    def commit(
        self, rows: "pa.Table", done: Mapping[str, int], *, replace: Wanted | None = None, in_turn: bool = True
    ) -> None:
        """Append rows and advance the transactions, all or nothing.

        Args:
            rows: Rows in the table's schema.
            done: Transaction ids and the versions they reach.
            replace: The stored rows that `rows` take the place of; others committed none of them since.
            in_turn: Whether it fails where anybody else committed meanwhile. Rows that depend on no stored row but
                those of their own transactions need no turn, and then many can be appended at once.

        Raises:
            TableMoved: The table moved since the handle was opened; nothing was written.
        """
        after = {self._of_this_making(app): version for app, version in done.items()}
        if replace is None:
            self._commit(partial(self._new_files, rows), self._next(after, [TURN] if in_turn else []))
            return

        def replaced() -> "Actions":
            from tidelake.tables.rewriting import replacing

            store, schema = self._home(), self._schema()
            gone = replacing(store, self.name, schema, self.partition_by, self.files(), replace)
            return [*gone, *self._new_files(rows)]

        self._commit(replaced, self._next(after, [TURN, MERGE]), unseen=replace)

    def rearrange(self, folder: Mapping[str, object], parts: Iterable["pa.Table"]) -> None:
        """Write the rows of a folder in another order, in one commit.

        Args:
            folder: Values of the folder columns.
            parts: All its rows, of which memory holds about a file at once.

        Raises:
            TableMoved: The table moved since the handle was opened; nothing was written.
        """

        def moved() -> "Actions":
            from tidelake.tables.data_files import inside_files, write_folder
            from tidelake.tables.rewriting import taken_out

            files = may_hold(self.files(), [folder]).to_dicts()
            inside = inside_files(self._schema(), self.partition_by)
            within = (part.select(inside.names) for part in parts)
            added = write_folder(self._home(), self.name, within, inside, folder, new=False)
            return [*(taken_out(file, self.partition_by, gone=False) for file in files), *added]

        self._commit(moved, self._next({}, [TURN, MERGE]), unseen=[])

    def start_anew(self, schema: "pa.Schema") -> "TableHandle":
        """Take out all rows and forget all transactions in one commit; the table has this schema from then on.

        Returns:
            The handle to go on with; this one is of no more use.

        Raises:
            TableMoved: The table moved since the handle was opened; nothing was changed.
        """
        after = self._next({MAKING: self.making + 1}, [TURN, MERGE])
        self._commit(list, after, unseen=[{}], anew=schema)
        return TableHandle(self.table, self.partition_by, self.store)

    def _next(self, done: Mapping[str, int], advanced: Iterable[str]) -> dict[str, int]:
        return {**done, **{app: self._version(app) + 1 for app in advanced}}

    def _home(self) -> Store:
        assert self.store is not None, "rows need a store to be put into"
        return self.store

    def _schema(self) -> "pa.Schema":
        import pyarrow as pa

        return pa.schema(self.table.schema().to_arrow())

    def _new_files(self, rows: "pa.Table") -> "Actions":
        from tidelake.tables.data_files import write_files  # imports pyarrow

        return [*write_files(self._home(), self.name, rows, self._schema(), self.partition_by)]

    def _commit(
        self,
        write: "Callable[[], Actions]",
        after: Mapping[str, int],
        *,
        unseen: Wanted | None = None,
        anew: "pa.Schema | None" = None,
    ) -> None:
        """Write files and commit what `write` says of them.

        Args:
            unseen: Rows of which others must have committed none since; None where no file is taken out.
            anew: The schema from now on; then all files go.
        """
        store = self._home()
        with nullcontext() if self.alone else turn(store):
            self.check()
            reach("before-table-commit")
            actions = write()
            reach("data-files-written")
            if unseen is None:
                self._put(self.table, actions, _marked(after))
            else:
                self._take_out(actions, after, unseen, anew)
            self._reached = self._own_version(store, after)
            reach("after-table-commit")
            self.stamp = _log_stamp(store, self.name, self.version)

    def _put(
        self, table: DeltaTable, actions: "Actions", marks: CommitProperties, anew: "pa.Schema | None" = None
    ) -> None:
        mode, schema = ("append", self._schema()) if anew is None else ("overwrite", anew)
        try:
            table.create_write_transaction(actions, mode, schema, list(self.partition_by), commit_properties=marks)
        except DeltaError as exc:
            raise _failed(exc, self.name) from exc

    def _take_out(self, actions: "Actions", after: Mapping[str, int], unseen: Wanted, anew: "pa.Schema | None") -> None:
        """Commit only where each commit before this one was looked at.

        deltalake lets two commits take out the same file where one of them only moves rows, and then every row of it
        stands twice; and it takes out no file that came since, though all must go.
        """
        table = self.table
        while True:
            try:
                self._put(table, actions, _marked(after, tries=0), anew)
            except TableMoved as exc:
                now = open_table(self._home(), self.name)
                if now is None or now.version() == table.version():
                    raise
                if self._is_touched(now, after, unseen):
                    raise TableMoved(f"others committed to {self.name} meanwhile; nothing was written") from exc
                table = now
            else:
                return

    def _is_touched(self, now: DeltaTable, after: Mapping[str, int], unseen: Wanted) -> bool:
        """Whether others took out files since, added rows that had to be seen, or advanced our transactions."""
        if now.metadata().id != self.table.metadata().id or now.schema() != self.table.schema():
            return True
        if any(now.transaction_version(app) != self.table.transaction_version(app) for app in after):
            return True
        known, files = self.files()["path"], TableHandle(now, self.partition_by).files()
        if not set(known) <= set(files["path"]):
            return True
        return not may_hold(files.filter(~pl.col("path").is_in(known.implode())), unseen).is_empty()

    def _own_version(self, store: Store, after: Mapping[str, int]) -> int:
        """The version that a commit of ours made: deltalake does not say, and others may have come in before it."""
        app, version = next(iter(after.items()))
        mark = {"appId": app, "version": version}
        found = self.version + 1
        while not any(_is_marked(action, mark) for action in _log_entry(store, self.name, found)):
            found += 1
        return found

    def merge(self, folders: Sequence[Mapping[str, object]], *, below: int) -> int:
        """Merge files of these folders in one commit for each, which moves rows and changes none.

        Whoever has read the table before may append after, but not replace rows.

        Args:
            folders: Values of the folder columns.
            below: Bytes; files of so many are left alone, and no merged one gets much larger.

        Returns:
            Number of files that were merged into others.

        Raises:
            TableMoved: The table moved since the handle was opened; folders before that one are merged.
        """
        from tidelake.tables.rewriting import groups_to_merge, merging

        merged, files = 0, self.files()
        for folder in folders:
            reach("before-table-merge")
            groups = groups_to_merge(may_hold(files, [folder]), below)
            if groups:
                write = partial(merging, self._home(), self.name, self._schema(), self.partition_by, groups)
                self._commit(write, self._next({}, [MERGE]), unseen=[])
            merged += sum(map(len, groups))
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


def _marked(after: Mapping[str, int], tries: int | None = None) -> CommitProperties:
    """With the transactions; `tries` says how often deltalake goes on by itself where others came first."""
    marks = [Transaction(app, version) for app, version in after.items()]
    return CommitProperties(app_transactions=marks, max_commit_retries=tries)


def _failed(exc: DeltaError, name: str) -> StoreError | TableMoved | DeltaError:
    """What to raise in place of a failure to commit."""
    lost = "transaction" in str(exc).lower() and "conflict" in str(exc).lower()
    failed = _STORE_FAILED.search(str(exc))
    on_disk = failed is not None and "LocalFileSystem" in failed.group()  # a bucket's commit may have been taken
    if lost or (isinstance(exc, CommitFailedError) and not on_disk):
        return TableMoved(str(exc))
    if failed is None:
        return exc
    return StoreError(
        f"cannot commit to the table {name}: {failed.group()[:300]}. Nothing of it was committed; make its folder or "
        "bucket writable, with space left, and run again.",
        key=f"tables/{name}",
    )


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
