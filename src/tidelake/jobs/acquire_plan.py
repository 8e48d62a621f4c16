"""What `books acquire` is asked for: the days of each table and symbol, and the files that the vendor has of them."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidelake.books.ready import acquire_lane
from tidelake.errors import ConfigError
from tidelake.raw.entry import Entry
from tidelake.transport.files.spec import RemoteFile
from tidelake.vendors.spec import Role, Vendor, VendorTable

SUFFIX = {"parquet": ".parquet", "csv": ".csv.gz"}
ROLES: tuple[Role, ...] = ("snapshots", "deltas", "trades")  # prices of the others are compared with the snapshots'


@dataclass(frozen=True)
class WantedDay:
    """One day of one table of one symbol.

    Attributes:
        key: The vendor's key of its one file, or of the folder of its files, which ends in "/".
        source, symbol: In our words.
    """

    table: VendorTable
    exchange: str
    vendor_symbol: str
    day: dt.date
    key: str
    source: str
    symbol: str
    lane: str


@dataclass(frozen=True)
class WantedFile:
    """One file that the vendor has of a wanted day."""

    of: WantedDay
    remote: RemoteFile

    @property
    def name(self) -> str:
        """The vendor's key of it."""
        return self.remote.key


@dataclass(frozen=True)
class DayFiles:
    """The files that the vendor has of a wanted day; `reason` says why they could not be listed."""

    of: WantedDay
    files: tuple[WantedFile, ...] = ()
    reason: str = ""


def wanted_days(
    vendor: Vendor, exchange: str, symbols: Sequence[str], tables: Sequence[str], start: dt.date, end: dt.date
) -> list[WantedDay]:
    """The days from `start` up to `end`, exclusive, by symbol, day and table; snapshots first.

    Raises:
        ConfigError: There is no such day, or no symbol.
        NotInLake: The vendor has no such table or exchange, or the symbol is none of it.
    """
    if end <= start or not symbols:
        raise ConfigError(f"nothing is asked for: --end ({end}) is exclusive and must be after --start ({start})")
    chosen = [vendor.table(name) for name in dict.fromkeys(tables)] or list(vendor.tables.values())
    chosen.sort(key=lambda table: ROLES.index(table.role))
    days = [start + dt.timedelta(days=i) for i in range((end - start).days)]
    found = []
    for name in dict.fromkeys(symbols):
        source, symbol = vendor.stream(exchange, name)
        for day in days:
            for table in chosen:
                key = vendor.key(table.name, exchange, name, day)
                lane = acquire_lane(vendor.name, table.name, exchange, name)
                found.append(WantedDay(table, exchange, name, day, key, source, symbol, lane))
    return found


def is_vendor_file(vendor: Vendor, key: str) -> bool:
    """Whether a key below a day's is one of the vendor's files, and not a checksum or marker beside them."""
    return key.endswith(SUFFIX[vendor.form])


def is_ready(file: WantedFile, standing: Mapping[str, Entry], place: str) -> bool:
    """Whether the lake has the file as its place tells of it now; what another place calls it says nothing."""
    entry = standing.get(file.name)
    if entry is None or entry.file is None:
        return False
    if file.remote.bytes not in (None, entry.file.bytes):
        return False
    return not file.remote.tag or entry.meta["place"] != place or entry.meta["tag"] == file.remote.tag
