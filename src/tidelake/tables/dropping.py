"""Dropping a derived table, so that a kill, or another process at the same time, leaves it whole or gone.

In a folder the files are deleted, which frees the space at once and mends a table whose log is broken. A marker stands
beside the table from before the first deletion until after the last. While it stands nobody reads the table or commits
to it (`tables.delta`), and whoever derives finishes the drop first. Commits and drops take turns by a lock.

On an object store nothing can be locked, and a commit that began before a deletion could land after it. There a drop is
itself a commit, which takes out all rows and forgets all marks: it meets every other commit at the next place of the
table's log, and the one that comes second fails and starts anew. `tidelake maintain` deletes the files later.
"""

from collections.abc import Iterable
from contextlib import suppress

from tidelake.errors import TableMoved
from tidelake.raw.store import Store
from tidelake.tables import quarantine
from tidelake.tables.delta import CONTESTED, TableHandle, can_lock, drop_marker, open_or_create, open_table, turn
from tidelake.tables.registry import TABLES
from tidelake.tables.schema import Table

ATTEMPTS = 20


def drop(store: Store, names: Iterable[str]) -> None:
    """Delete derived tables with their lists of contested keys and what they sent to quarantine; raw is not touched.

    Raises:
        TableMoved: On an object store other processes committed between read and write twenty times in a row.
    """
    for name in names:
        if not can_lock(store):
            _start_anew(store, TABLES[name])
            continue
        with turn(store, alone=True):
            store.put_new(drop_marker(name), b"")
            _finish(store, name)


def finish_drops(store: Store) -> None:
    """Finish every drop that was cut short; on an object store none can be."""
    for name in TABLES if can_lock(store) else ():
        if store.head(drop_marker(name)) is not None:
            with turn(store, alone=True):
                if store.head(drop_marker(name)) is not None:  # who held the turn may have finished it
                    _finish(store, name)


def _finish(store: Store, name: str) -> None:
    home, prefix = _home(store)
    for folder in (name, f"{name}{CONTESTED}"):
        for key in sorted(home.list(f"{prefix}{folder}/"), key=_order, reverse=True):
            home.delete(key)
    _clear_quarantine(store, name)
    store.delete(drop_marker(name))


def _home(store: Store) -> tuple[Store, str]:
    """Where the files of the tables are listed and deleted: those of a memory lake lie in a scratch folder."""
    return (store, "tables/") if store.root else (Store.open(store.table_uri("")), "")


def _order(key: str) -> tuple[bool, bool, str]:
    in_log = "/_delta_log/" in key
    return in_log, in_log and not key.endswith(".json"), key


def _clear_quarantine(store: Store, name: str) -> None:
    """Committed also where there is nothing to clear: who files under the table that is gone fails then (`derive`)."""
    found = open_table(store, quarantine.NAME)
    if found is None:
        return
    handle = TableHandle(found, quarantine.PARTITION_BY, store, alone=True)
    handle.commit(quarantine.SCHEMA.empty_table(), {}, replace=[{"table": name}])


def _start_anew(store: Store, table: Table) -> None:
    for _ in range(ATTEMPTS):
        found = open_table(store, table.name)
        if found is None:
            return
        listed = open_table(store, table.contested)
        handle = TableHandle(found, table.partition_by, store)
        try:
            emptied = handle.start_anew(table.schema)
        except TableMoved:
            continue
        # A key too many is harmless. If the list moved since, keys of the next making may stand in it: it stays.
        with suppress(TableMoved):
            if listed is not None:
                TableHandle(listed, (), store).start_anew(table.contested_schema)
        with suppress(TableMoved):  # dropped again meanwhile, by another process that clears too
            clear_rejects(store, emptied)
        return
    raise TableMoved(f"{table.name} was taken by others {ATTEMPTS} times in a row")


def clear_rejects(store: Store, target: TableHandle) -> None:
    """Take out of quarantine what a table filed before it was emptied, once; before it files anything again.

    Raises:
        TableMoved: The table was dropped again, or others committed twenty times in a row.
    """
    mark = f"{target.name}:{target.id}"
    for _ in range(ATTEMPTS):
        handle = open_or_create(store, quarantine.NAME, quarantine.SCHEMA, quarantine.PARTITION_BY)
        target.check()  # after `quarantine` was opened: who files under an earlier making fails then (`derive`)
        if handle.done(mark) >= 0:
            return
        try:
            handle.commit(quarantine.SCHEMA.empty_table(), {mark: 0}, replace=[{"table": target.name}])
        except TableMoved:
            continue
        return
    raise TableMoved(f"quarantine was taken by others {ATTEMPTS} times in a row")
