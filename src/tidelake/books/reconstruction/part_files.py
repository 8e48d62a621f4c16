"""Part files of one table and day: their order, by the receive clocks in them, and whether one begins in another.

Rows without numbers are in the order of their files, so files that overlap would tell part of the day twice, the second
time at the clock at which the first file ended.
"""

from collections.abc import Sequence
from dataclasses import replace

from tidelake.books.reconstruction.level_rows import VendorFile, in_batch, recv_clocks
from tidelake.books.reconstruction.vendor_reading import read_columns
from tidelake.errors import FormatDrift

READ_ROWS = 1 << 16


def in_order_of_clocks(files: Sequence[VendorFile]) -> list[VendorFile]:
    """The files, those of each table by their least receive clock, then as they were given; `place` is the new one.

    Only tables of several files are read for it; files of the others keep clocks of 0.

    Raises:
        FormatDrift: A file cannot be read, or a row has no receive clock.
    """
    tables = list(dict.fromkeys(file.table.name for file in files))
    ordered: list[VendorFile] = []
    for table in tables:
        parts = [file for file in files if file.table.name == table]
        ordered += sorted(map(_with_clocks, parts), key=lambda file: file.first_ns) if len(parts) > 1 else parts
    return [replace(file, place=place) for place, file in enumerate(ordered)]


def refuse_overlap(files: Sequence[VendorFile]) -> None:
    """Raises FormatDrift where a file, of those in their order, begins before one before it ends."""
    told = [file for file in files if file.last_ns]
    latest = told[0] if told else None
    for file in told[1:]:
        assert latest is not None
        if file.first_ns < latest.last_ns:
            raise _overlap(latest, file)
        latest = file


def _with_clocks(file: VendorFile) -> VendorFile:
    """With the least and the greatest receive clock of its rows."""
    least, greatest, first = 0, 0, 0
    for batch in read_columns(file.path, file.table, ("recv_time",), READ_ROWS):
        if not len(batch):
            continue
        with in_batch(file.path, first):
            clocks = recv_clocks(batch, file.table)
        least = min(least or int(clocks.min()), int(clocks.min()))
        greatest, first = max(greatest, int(clocks.max())), first + len(batch)
    return replace(file, first_ns=least, last_ns=greatest)


def _overlap(before: VendorFile, file: VendorFile) -> FormatDrift:
    shared_ns = min(before.last_ns, file.last_ns) - file.first_ns
    return FormatDrift(
        f"{before.path.name} and {file.path.name} of {file.table.name} overlap by {shared_ns / 1e9:.9g} s: the second "
        f"begins at {file.first_ns} ns, the first ends at {before.last_ns} ns (receive clock). No numbers order their "
        "rows, so each was expected to begin where the one before ended; nothing of the day was taken. Get files that "
        "do not overlap, or one of the whole day"
    )
