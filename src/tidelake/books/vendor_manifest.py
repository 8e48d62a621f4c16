"""The manifest of a vendor's file: what it is, where it came from, and what was checked; sealed beside the file."""

import msgspec

from tidelake.books.vendor_checks import Check


class Manifest(msgspec.Struct, frozen=True):
    """What is sealed with a file, and written in staging before: a run that goes on seals the same bytes.

    Attributes:
        sha256, bytes, rows: Of the file.
        name: The vendor's key of it.
        vendor, table, exchange, vendor_symbol, day: In the vendor's words.
        source, symbol: In ours.
        place, url: Where it was fetched, without secrets.
        tag: What its place told to tell versions apart; "" where nothing.
        asked_ns, received_ns: When its run began and when it was there whole, our clock, ns since 1970.
        first_ns, last_ns: Smallest and largest receive clock in it; `*_event_ns` of the event clock, 0 without one.
        median_price, median_size, rows_sha256: As in `books.vendor_checks.Checked`.
        checks: All that were made, none of which failed.
    """

    sha256: str
    bytes: int
    name: str
    rows: int
    vendor: str
    table: str
    exchange: str
    vendor_symbol: str
    day: str
    source: str
    symbol: str
    place: str
    url: str
    tag: str
    asked_ns: int
    received_ns: int
    first_ns: int
    last_ns: int
    first_event_ns: int
    last_event_ns: int
    median_price: float
    median_size: float
    rows_sha256: str
    checks: list[Check]

    def meta(self) -> dict[str, str]:
        """The `meta` of the ledger entry, which `ready_files` and later runs read without opening the segment."""
        words = ("vendor", "table", "exchange", "vendor_symbol", "symbol", "day", "first_ns", "last_ns")
        more = ("place", "tag", "median_price", "rows_sha256")
        return {name: str(getattr(self, name)) for name in (*words, *more)}
