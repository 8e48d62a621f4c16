"""Vendor files made ready without the checks of `books acquire`: what a reconstruction reads."""

import datetime as dt
import hashlib
from pathlib import Path

import msgspec
import pyarrow.parquet as pq

from tidelake.books.ready import acquire_lane, file_meta
from tidelake.raw.sealed_files import FileLane
from tidelake.raw.store import Store
from tidelake.vendors.registry import vendor as find_vendor

RECEIVED_NS = 1_735_689_600_000_000_000


def make_ready(
    store: Store, path: Path, *, vendor: str, table: str, source: str, symbol: str, day: dt.date, name: str = ""
) -> None:
    """Seal a file; `name` is its key at the vendor's, by default that of its path."""
    to = find_vendor(vendor)
    exchange, vendor_symbol = to.exchange(source), to.vendor_symbol(source, symbol)
    data = path.read_bytes()
    rows = pq.read_metadata(path).num_rows if path.suffix == ".parquet" else 1
    manifest = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "name": name or path.name, "rows": rows}
    FileLane(store, acquire_lane(vendor, table, exchange, vendor_symbol)).seal(
        path,
        msgspec.json.encode(manifest),
        source=source,
        recv_ns=RECEIVED_NS,
        meta=file_meta(vendor, table, exchange, vendor_symbol, symbol, day, 0, 1),
    )
