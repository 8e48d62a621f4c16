"""Dropping a derived table, so that a kill, or another process at the same time, leaves it whole or gone.

A marker stands beside the table from before the first deletion until after the last. While it stands nobody reads the
table or commits to it (`tables.delta`), and whoever derives finishes the drop first. On local disk, commits and drops
also take turns by a lock. On an object store a commit that began before the marker can land amid the deletions: do not
drop there while a derive runs.
"""

from collections.abc import Iterable

from tidelake.raw.store import Store
from tidelake.tables import quarantine
from tidelake.tables.delta import CONTESTED, TableHandle, drop_marker, open_table, turn
from tidelake.tables.registry import TABLES


def drop(store: Store, names: Iterable[str]) -> None:
    """Delete derived tables with their lists of contested keys and what they sent to quarantine; raw is not touched."""
    for name in names:
        with turn(store, alone=True):
            store.put_new(drop_marker(name), b"")
            _finish(store, name)


def finish_drops(store: Store) -> None:
    """Finish every drop that was cut short."""
    for name in TABLES:
        if store.head(drop_marker(name)) is not None:
            with turn(store, alone=True):
                if store.head(drop_marker(name)) is not None:  # who held the turn may have finished it
                    _finish(store, name)


def _finish(store: Store, name: str) -> None:
    marker = drop_marker(name)
    home, prefix = _home(store)
    for folder in (name, f"{name}{CONTESTED}"):
        for key in sorted(home.list(f"{prefix}{folder}/"), key=_order, reverse=True):
            if "/_delta_log/" in key and store.head(marker) is None:
                return  # another process finished this drop, and a new table may stand here
            home.delete(key)
    _clear_quarantine(store, name)
    store.delete(marker)


def _home(store: Store) -> tuple[Store, str]:
    """Where the files of the tables are listed and deleted: those of a memory lake lie in a scratch folder."""
    uri = store.table_uri("")
    if store.root or "://" in uri:
        return store, "tables/"
    return Store.open(uri), ""


def _order(key: str) -> tuple[bool, bool, str]:
    in_log = "/_delta_log/" in key
    return in_log, in_log and not key.endswith(".json"), key


def _clear_quarantine(store: Store, name: str) -> None:
    """Committed also where there is nothing to clear: who files under the table that is gone fails then (`derive`)."""
    found = open_table(store, quarantine.NAME)
    if found is None:
        return
    handle = TableHandle(found, quarantine.PARTITION_BY)
    handle.commit(quarantine.SCHEMA.empty_table(), {}, replace=f"\"table\" = '{name}'")
