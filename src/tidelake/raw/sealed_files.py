"""Vendor files in the raw log: each an object of its own, verbatim, committed by one ledger entry.

The entry's segment is one line, a frame of kind "note" whose payload is the file's manifest: a JSON object with at
least `sha256`, `bytes`, `name` and `rows`. So lanes, heads and marks are those of all other entries.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from time import time_ns
from typing import IO, Any

import msgspec

from tidelake.errors import FormatDrift, LaneMoved, LedgerBroken, NotInLake
from tidelake.raw.crash_points import reach
from tidelake.raw.entry import Entry, SealedFile
from tidelake.raw.frame import Frame, encode_line
from tidelake.raw.ledger import Head, Ledger, head_after
from tidelake.raw.object_reader import open_object
from tidelake.raw.sealing import claim_nothing, seal_lines, segment_stem
from tidelake.raw.segments import lane_and_seq
from tidelake.raw.store import FILE_BLOCK, Store

SUFFIXES = (".parquet", ".csv.gz")
FILE_POINTS = ("file-put", "segment-put", "before-ledger-put", "after-ledger-put")


class FileFacts(msgspec.Struct, frozen=True):
    """What every manifest says of its file."""

    sha256: str
    bytes: int
    name: str
    rows: int


class FileLane:
    """The files that one lane holds, and how more are sealed into it. Used by one thread at a time."""

    def __init__(self, store: Store, lane: str) -> None:
        self.lane = lane
        self._store = store
        self._head = Head()
        self._standing: dict[str, Entry] = {}

    @property
    def known(self) -> Mapping[str, Entry]:
        """By name of the file the entry of its last version, as far as the lane was read or sealed here."""
        return self._standing

    def standing(self) -> Mapping[str, Entry]:
        """As `known`, of the lane as it is now.

        Raises:
            LedgerBroken: The lane does not hold.
        """
        for entry in Ledger(self._store).entries(self.lane, self._head.seq):
            self._note(entry)
        return self._standing

    def _note(self, entry: Entry) -> None:
        self._head = head_after(entry)
        if entry.file:
            self._standing[entry.file.name] = entry

    def seal(
        self,
        path: Path,
        manifest: bytes,
        *,
        source: str,
        recv_ns: int,
        meta: dict[str, str],
        clock: Callable[[], int] = time_ns,
    ) -> tuple[Entry, bool]:
        """Seal a local file, and return its entry and whether this call sealed it. On return it is durable.

        Where the last version of a file of that name has the same bytes, its entry is given back. The same call after
        a kill goes on where it was. Of writers that race one wins each number, and the others go on after it.

        Args:
            path: The file; it is read, and stays.
            manifest: JSON object on one line; read as `FileFacts`.
            source: Source id.
            recv_ns: When the file was received, ns since 1970.
            meta: Facts for the entry.
            clock: Wall clock, ns since 1970; tells `sealed_ns`.

        Raises:
            FormatDrift: The name says neither Parquet nor gzip CSV.
            StoreError: The store failed, or the file is not the one of the manifest; the call may be made again.
        """
        facts = msgspec.json.decode(manifest, type=FileFacts)
        while True:
            found = self.standing().get(facts.name)
            if found and found.file and found.file.sha256 == facts.sha256:
                return found, False
            stem = segment_stem(source, self.lane, recv_ns, self._head.seq + 1)
            file = _put(self._store, stem, path, facts)
            reach("file-put")
            line = encode_line(Frame(self._head.next_n, recv_ns, 0, "note", manifest))
            try:
                sealed = self._commit(source, line, file, meta, clock)
            except LaneMoved:
                continue
            self._note(sealed)
            return sealed, True

    def _commit(
        self, source: str, line: bytes, file: SealedFile, meta: dict[str, str], clock: Callable[[], int]
    ) -> Entry:
        return seal_lines(
            self._store,
            self.lane,
            source,
            line,
            describe=claim_nothing,
            head=self._head,
            meta=meta,
            file=file,
            clock=clock,
        )


def _put(store: Store, stem: str, path: Path, facts: FileFacts) -> SealedFile:
    attempt = 0
    while True:
        key = f"{stem}-{facts.sha256[:16]}" + (f".{attempt}" if attempt else "") + file_suffix(facts.name)
        file = SealedFile(key, facts.sha256, facts.bytes, facts.name, facts.rows)
        # A writer that was killed after this put left the object behind: it is taken over if it is the same file.
        if store.put_file(key, path, facts.sha256) or not file_fault(store, file):
            return file
        attempt += 1


def file_suffix(name: str) -> str:
    """The ending of a vendor's file, one of `SUFFIXES`.

    Raises:
        FormatDrift: It has another.
    """
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return suffix
    raise FormatDrift(f"{name}: files end in {' or '.join(SUFFIXES)}; nothing was sealed")


def file_name(file: SealedFile) -> str:
    """The 16 digits by which table rows name a file, as their `segment`."""
    return file.sha256[:16]


def file_fault(store: Store, file: SealedFile) -> str:
    """What is wrong with the object of a file, read to its end in blocks; "" where it is the one that was sealed."""
    digest, size = hashlib.sha256(), 0
    try:
        with open_object(store, file.key) as stored:
            while block := stored.read(FILE_BLOCK):
                digest.update(block)
                size += len(block)
    except NotInLake:
        return "is missing"
    if (size, digest.hexdigest()) != (file.bytes, file.sha256):
        return (
            f"was sealed as {file.bytes} bytes with the hash {file_name(file)}; "
            f"found {size} bytes with {digest.hexdigest()[:16]}"
        )
    return ""


def check_file(store: Store, file: SealedFile) -> None:
    """Read a file's object to its end.

    Raises:
        LedgerBroken: It is missing, or is not the one that was sealed.
        StoreError: The store failed.
    """
    if fault := file_fault(store, file):
        lane, seq = lane_and_seq(file.key)
        raise LedgerBroken(
            f"file {file_name(file)} ({file.key}), entry {seq} of lane {lane}: it {fault}. Its ledger entry is intact. "
            "Run `tidelake verify` for all that is wrong, and restore the object from a copy.",
            lane=lane,
            seq=seq,
        )


def read_row(store: Store, file: SealedFile, row: int) -> dict[str, Any]:
    """One row of a file, from 0, by the vendor's columns; CSV as text, times of Parquet as text.

    Raises:
        NotInLake: The file has no such row.
        LedgerBroken: The object is not the one that was sealed.
    """
    check_file(store, file)
    if not 0 <= row < file.rows:
        raise NotInLake(f"file {file_name(file)} has rows 0 to {file.rows - 1}; asked for {row}")
    reader = {".parquet": _parquet_row, ".csv.gz": _csv_row}.get(file_suffix(file.name))
    if reader is None:
        raise FormatDrift(
            f"{file.name}: rows are read of .parquet and .csv.gz; the file itself is intact as {file.key}"
        )
    with open_object(store, file.key) as stored:
        return reader(stored, row)


def _parquet_row(stored: IO[bytes], row: int) -> dict[str, Any]:
    import pyarrow as pa
    from pyarrow import parquet

    file = parquet.ParquetFile(stored)
    for group in range(file.metadata.num_row_groups):
        held = file.metadata.row_group(group).num_rows
        if row < held:
            found = file.read_row_group(group).slice(row, 1)
            columns = zip(found.schema.names, found.columns, strict=True)
            return {n: (c.cast(pa.string()) if pa.types.is_temporal(c.type) else c)[0].as_py() for n, c in columns}
        row -= held
    raise NotInLake(f"the file ends {row} rows before the one that was asked for")


def _csv_row(stored: IO[bytes], row: int) -> dict[str, Any]:
    import csv
    import gzip
    import io

    with gzip.open(stored) as plain:
        told = csv.reader(io.TextIOWrapper(plain, encoding="utf-8", newline=""))
        lines: Iterator[list[str]] = filter(None, told)  # blank lines are no rows
        header = next(lines)
        return dict(zip(header, next(islice(lines, row, None)), strict=True))
