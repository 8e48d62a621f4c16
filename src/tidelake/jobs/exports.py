"""Recordings out of the raw log again, every byte as it was recorded; gzip is undone."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tidelake.errors import LedgerBroken, NotInLake
from tidelake.raw.frame import decode_line
from tidelake.raw.ledger import Ledger
from tidelake.raw.recordings.lines import line_of_frame
from tidelake.raw.segments import read_lines
from tidelake.raw.store import Store

IMPORT_LANE = "import."


@dataclass(frozen=True)
class Exported:
    """One exported recording.

    Attributes:
        lane: Its lane.
        file: Its name when it was imported.
        lines: Lines written.
        bytes: Bytes written.
        complete: Whether the import was finished and the bytes equal what it read.
    """

    lane: str
    file: str
    lines: int
    bytes: int
    complete: bool


def import_lanes(store: Store) -> list[str]:
    """The lanes that hold imported recordings."""
    return [lane for lane in Ledger(store).lanes() if lane.startswith(IMPORT_LANE)]


def export_recording(store: Store, lane: str, out: BinaryIO, *, key: bytes | None = None) -> Exported:
    """Write the recording that a lane was imported from.

    Raises:
        NotInLake: There is no such lane.
        LedgerBroken: The export of a finished import differs from what was imported.
    """
    name, count, size, wanted = "", 0, 0, ""
    digest = hashlib.sha256()
    for entry in Ledger(store).entries(lane):
        for chunk in _recorded_lines(read_lines(store, entry.segment, key)):
            out.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        count += entry.segment.lines
        name, wanted = entry.meta.get("file", ""), entry.meta.get("text_sha256", "")
    if not count:
        raise NotInLake(f"no recording in lane {lane!r}", available=import_lanes(store))
    if wanted and digest.hexdigest() != wanted:
        raise LedgerBroken(
            f"the export of {name} differs from what was imported (sha256 {digest.hexdigest()[:16]}, "
            f"expected {wanted[:16]}). Run `tidelake verify` for all that is wrong.",
            lane=lane,
            seq=0,
        )
    return Exported(lane, name, count, size, bool(wanted))


def export_recordings(store: Store, folder: Path, *, key: bytes | None = None) -> list[Exported]:
    """Write every imported recording to `<folder>/<lane>/<file name>`, without a ".gz" ending."""
    done = []
    for lane in import_lanes(store):
        target = folder / lane
        target.mkdir(parents=True, exist_ok=True)
        name = Ledger(store).entry(lane, 0).meta.get("file", lane).removesuffix(".gz")
        with (target / name).open("wb") as out:
            done.append(export_recording(store, lane, out, key=key))
    return done


def _recorded_lines(lines: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(lines):
        end = lines.index(b"\n", start) + 1
        yield line_of_frame(decode_line(lines[start:end]))
        start = end
