"""The Delta table `ledger`: an index over the ledger's entries, one row per entry and claim, for SQL.

It is never the truth: it can be deleted and built again from the entries at any time. Each commit carries one Delta
transaction per lane (id = lane, version = the mark of its last entry), so that a refresh adds what is new, once.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from tidelake.raw.entry import Claim, Entry, encode_entry, entry_hash
from tidelake.raw.ledger import Ledger
from tidelake.raw.marks import NO_MARK, mark_at, seq_of
from tidelake.raw.segments import segment_name
from tidelake.raw.store import Store

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

TABLE = "ledger"
BATCH_ROWS = 100_000
ATTEMPTS = 5
"""How often a refresh reads again where another one came first."""


def refresh(store: Store) -> int:
    """Add the entries that the index does not have yet; gives back how many rows were added.

    Raises:
        LedgerBroken: A lane does not hold what the index has of it; nothing was added.
    """
    from deltalake.exceptions import CommitFailedError

    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _refresh_once(store)
        except CommitFailedError:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("not reached")


def rebuild(store: Store) -> int:
    """Build the index again from the entries alone; gives back how many rows it has."""
    return _write(store, _open(store), dict.fromkeys(Ledger(store).lanes(), NO_MARK), replace=True)


def _refresh_once(store: Store) -> int:
    table = _open(store)
    indexed = {lane: _version(table, lane) for lane in Ledger(store).lanes()}
    return _write(store, table, indexed, replace=False)


def _open(store: Store) -> "DeltaTable":
    from deltalake import DeltaTable

    uri, options = store.table_uri(TABLE), store.storage_options()
    if not DeltaTable.is_deltatable(uri, storage_options=options):
        DeltaTable.create(uri, schema=_schema(), mode="ignore", storage_options=options)
    return DeltaTable(uri, storage_options=options)


def _version(table: "DeltaTable", lane: str) -> int:
    version = table.transaction_version(lane)
    return NO_MARK if version is None else version


def _write(store: Store, table: "DeltaTable", indexed: dict[str, int], *, replace: bool) -> int:
    """Write the rows of each lane's entries after `indexed`, up to its head as it is now, in one commit."""
    import pyarrow as pa
    from deltalake import CommitProperties, Transaction, write_deltalake

    ledger = Ledger(store)
    ends = {lane: mark_at(head.seq, head.hash) for lane in indexed for head in (ledger.head(lane),)}
    heads = {lane: mark for lane, mark in ends.items() if mark != indexed[lane]}
    for lane in heads:
        ledger.check_mark(lane, indexed[lane])
    if not heads and not replace:
        return 0
    written = 0

    def batches() -> "Iterator[pa.RecordBatch]":
        nonlocal written
        for batch in _batches(ledger, indexed, heads):
            written += batch.num_rows
            yield batch

    write_deltalake(
        table,
        pa.RecordBatchReader.from_batches(_schema(), batches()),
        mode="overwrite" if replace else "append",
        commit_properties=CommitProperties(app_transactions=[Transaction(*item) for item in heads.items()]),
    )
    return written


def _batches(ledger: Ledger, indexed: dict[str, int], heads: dict[str, int]) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    rows: list[dict[str, Any]] = []
    for lane, head in heads.items():
        for entry in ledger.entries_past(lane, indexed[lane]):
            if entry.seq > seq_of(head):
                break
            rows += _rows(entry)
            if len(rows) >= BATCH_ROWS:
                yield pa.RecordBatch.from_pylist(rows, schema=_schema())
                rows = []
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=_schema())


def _schema() -> "pa.Schema":
    import pyarrow as pa

    text, number = pa.string(), pa.int64()
    return pa.schema(
        [
            *((name, text) for name in ("lane", "source")),
            *((name, number) for name in ("seq", "first_n", "lines", "bytes", "stored_bytes")),
            *((name, text) for name in ("segment", "segment_key", "hash", "prev", "writer", "part", "meta")),
            *((name, number) for name in ("first_recv_ns", "last_recv_ns", "known_ns", "sealed_ns")),
            ("known_at", pa.timestamp("us", "UTC")),
            *((name, text) for name in ("feed", "symbol", "axis", "transport")),
            *((name, number) for name in ("count", "spans", "first", "last", "first_ns", "last_ns")),
            ("notes", text),
        ]
    )


def _rows(entry: Entry) -> list[dict[str, Any]]:
    same = {
        **{name: getattr(entry, name) for name in ("lane", "source", "seq", "first_n", "prev", "writer", "part")},
        **{name: getattr(entry, name) for name in ("first_recv_ns", "last_recv_ns", "known_ns", "sealed_ns")},
        **{name: getattr(entry.segment, name) for name in ("lines", "bytes", "stored_bytes")},
        "segment": segment_name(entry.segment),
        "segment_key": entry.segment.key,
        "hash": entry_hash(encode_entry(entry)),
        "meta": msgspec.json.encode(entry.meta, order="sorted").decode(),
        "known_at": -(-entry.known_ns // 1000),
    }
    return [{**same, **_claimed(claim)} for claim in entry.claims] or [same]


def _claimed(claim: Claim) -> dict[str, Any]:
    return {
        **{name: getattr(claim, name) for name in ("feed", "symbol", "axis", "transport", "count")},
        "spans": len(claim.spans),
        "first": claim.spans[0].first if claim.spans else None,
        "last": claim.spans[-1].last if claim.spans else None,
        "first_ns": min((span.first_ns for span in claim.spans), default=None),
        "last_ns": max((span.last_ns for span in claim.spans), default=None),
        "notes": msgspec.json.encode(claim.notes).decode() if claim.notes else None,
    }
