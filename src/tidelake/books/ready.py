"""Vendor files that are ready: checked and sealed in the ledger. Nothing downstream reads a vendor's file otherwise."""

import datetime as dt
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tidelake.errors import StoreError
from tidelake.raw.entry import Entry, SealedFile
from tidelake.raw.ledger import Ledger, lane_name
from tidelake.raw.object_reader import open_object
from tidelake.raw.sealed_files import FileLane, check_file, file_suffix
from tidelake.raw.store import FILE_BLOCK, Store, file_blocks

LANES = "acquire"


@dataclass(frozen=True)
class ReadyFile:
    """A vendor file as it stands in the lake: the last version that was sealed under its name.

    Attributes:
        vendor, table, exchange, vendor_symbol: In the vendor's words.
        source, symbol: In ours.
        day: UTC day that the vendor files it under.
        name: The vendor's key of it.
        sha256: Hex digest; its first 16 digits are `segment` in rows made of the file.
        key: Key of the object in the store.
        bytes: Length of the object.
        rows: Rows of data, without a CSV's header.
        lane, seq: The ledger entry that sealed it.
        first_ns, last_ns: Smallest and largest receive clock (the vendor's recorder's) in it, ns since 1970.
        sealed_ns: When it was sealed, ns since 1970.
    """

    vendor: str
    table: str
    exchange: str
    vendor_symbol: str
    source: str
    symbol: str
    day: dt.date
    name: str
    sha256: str
    key: str
    bytes: int
    rows: int
    lane: str
    seq: int
    first_ns: int
    last_ns: int
    sealed_ns: int

    @property
    def segment(self) -> str:
        """The 16 digits by which table rows name the file."""
        return self.sha256[:16]


def acquire_lane(vendor: str, table: str, exchange: str, vendor_symbol: str) -> str:
    """The lane of a stream's files, all days."""
    return lane_name(LANES, vendor, table, exchange, vendor_symbol)


def file_meta(
    vendor: str, table: str, exchange: str, vendor_symbol: str, symbol: str, day: dt.date, first_ns: int, last_ns: int
) -> dict[str, str]:
    """The `meta` of the entry that seals a file; `ready_files` reads it."""
    return {
        "vendor": vendor,
        "table": table,
        "exchange": exchange,
        "vendor_symbol": vendor_symbol,
        "symbol": symbol,
        "day": day.isoformat(),
        "first_ns": str(first_ns),
        "last_ns": str(last_ns),
    }


def ready_files(
    store: Store,
    *,
    vendor: str | None = None,
    source: str | None = None,
    symbol: str | None = None,
    table: str | None = None,
    start: dt.date | None = None,
    end: dt.date | None = None,
) -> list[ReadyFile]:
    """The standing versions of all ready files, by vendor, source, symbol, day, table and name.

    Args:
        store: The lake's store.
        vendor: Only this vendor.
        source: Only this source id.
        symbol: Only this canonical symbol.
        table: Only this table of the vendor.
        start: Only days from this one on.
        end: Only days before this one.

    Raises:
        LedgerBroken: A lane of files does not hold.
    """
    found = [
        file
        for file in _all(store, vendor)
        if source in (None, file.source)
        and symbol in (None, file.symbol)
        and table in (None, file.table)
        and (start is None or file.day >= start)
        and (end is None or file.day < end)
    ]
    return sorted(found, key=lambda f: (f.vendor, f.source, f.symbol, f.day, f.table, f.name))


def _all(store: Store, vendor: str | None) -> Iterator[ReadyFile]:
    begin = lane_name(LANES, vendor) if vendor else LANES
    for lane in Ledger(store).lanes():
        if lane.startswith(f"{begin}."):
            for entry in FileLane(store, lane).standing().values():
                if entry.file:
                    yield ready_file(entry, entry.file)


def ready_file(entry: Entry, file: SealedFile) -> ReadyFile:
    """The file that an entry of an acquire lane sealed."""
    said = entry.meta
    return ReadyFile(
        vendor=said["vendor"],
        table=said["table"],
        exchange=said["exchange"],
        vendor_symbol=said["vendor_symbol"],
        source=entry.source,
        symbol=said["symbol"],
        day=dt.date.fromisoformat(said["day"]),
        name=file.name,
        sha256=file.sha256,
        key=file.key,
        bytes=file.bytes,
        rows=file.rows,
        lane=entry.lane,
        seq=entry.seq,
        first_ns=int(said["first_ns"]),
        last_ns=int(said["last_ns"]),
        sealed_ns=entry.sealed_ns,
    )


def local_path(store: Store, file: ReadyFile) -> Path:
    """A file to read: the object itself on a local lake; elsewhere a copy in the spool, compared with its hash.

    On a local lake whoever reads finds out that the object is gone, and `tidelake verify` that it was changed.

    Raises:
        LedgerBroken: The object elsewhere is gone, or is not the one that was sealed.
        StoreError: The store failed.
    """
    if store.root:
        return store.root / file.key
    path = store.spool() / LANES / "ready" / f"{file.segment}{file_suffix(file.name)}"
    if not _holds(path, file):
        _copy(store, file, path)
    return path


def _holds(path: Path, file: ReadyFile) -> bool:
    try:
        for _ in file_blocks(path, file.sha256, file.key):
            pass
    except (FileNotFoundError, StoreError):
        return False
    return True


def _copy(store: Store, file: ReadyFile, path: Path) -> None:
    check_file(store, SealedFile(file.key, file.sha256, file.bytes, file.name, file.rows))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    try:
        with open_object(store, file.key) as stored, open(temporary, "xb") as copy:
            while block := stored.read(FILE_BLOCK):
                copy.write(block)
        if not _holds(temporary, file):
            raise StoreError(
                f"the copy of {file.key} at {temporary} is not what was sealed, and the object is: the disk may be "
                "full. Nothing has changed; make room and run again.",
                key=file.key,
            )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
