"""Files sealed into a toy lane, for the tests of the raw log."""

import hashlib
import json
from pathlib import Path

from tests.vendor_files import lake_trades, tardis_trades, write_csv, write_parquet
from tidelake.raw.entry import Entry
from tidelake.raw.ledger import Ledger
from tidelake.raw.sealed_files import FileLane
from tidelake.raw.store import Store

LANE = "acquire.toy.trades.X.BTC-USD"
RECV_NS = 1_723_100_000_000_000_000


def parquet_file(folder: Path, number: int = 0) -> Path:
    return write_parquet(folder / f"{number}.parquet", lake_trades(30, seed=number), row_group=8)


def csv_file(folder: Path, number: int = 0) -> Path:
    return write_csv(folder / f"{number}.csv.gz", tardis_trades(30, seed=number))


def manifest_of(path: Path, name: str, rows: int = 30) -> bytes:
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return json.dumps({"sha256": digest, "bytes": len(data), "name": name, "rows": rows}).encode()


def seal(store: Store, path: Path, name: str | None = None, lane: FileLane | None = None) -> tuple[Entry, bool]:
    """Seal a file of 30 rows; an equal call gives an equal manifest."""
    name = name or f"day/{path.name}"
    return (lane or FileLane(store, LANE)).seal(
        path, manifest_of(path, name), source="toy", recv_ns=RECV_NS, meta={"vendor": "toy"}
    )


def sealed_names(store: Store) -> list[str]:
    """Names of the files of all entries, in order."""
    return [entry.file.name for entry in Ledger(store).entries(LANE) if entry.file]
