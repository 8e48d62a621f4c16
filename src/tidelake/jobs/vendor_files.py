"""Files of a vendor's layout while they are written: under another name until they are whole, in bounded memory."""

import gzip
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

PART = ".part"
CSV_LINES = 1 << 15
LEVEL = 6  # of gzip


class _PartFile:
    """A file that gets its name when it is finished; a kill leaves what ends in ".part", which the next run replaces.

    Attributes:
        path: Its name at last.
        rows: How many were written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._part = path.with_name(path.name + PART)
        self._out = self._part.open("wb")

    def _name(self) -> None:
        """On disk before it has its name."""
        self._out.flush()
        os.fsync(self._out.fileno())
        self._out.close()
        self._part.replace(self.path)

    def drop(self) -> None:
        """Leaves nothing of it."""
        self._out.close()
        with suppress(FileNotFoundError):
            self._part.unlink()


class ParquetFile(_PartFile):
    """Snappy Parquet; its bytes follow from its rows alone, however they are handed over.

    Args:
        path: Its name.
        schema: Of its rows.
        group: Rows of a row group, and so held in memory.
    """

    def __init__(self, path: Path, schema: pa.Schema, group: int) -> None:
        super().__init__(path)
        self._group = group
        self._held: list[pa.Table] = []
        self._count = 0
        self._writer = pq.ParquetWriter(self._out, schema, compression="snappy")

    def write(self, rows: pa.Table) -> None:
        """Adds rows."""
        self.rows += len(rows)
        self._held.append(rows)
        self._count += len(rows)
        if self._count >= self._group:
            held = pa.concat_tables(self._held).combine_chunks()
            full = len(held) - len(held) % self._group
            self._writer.write_table(held.slice(0, full), row_group_size=self._group)
            self._held = [held.take(pa.array(range(full, len(held)), pa.int64()))]  # a slice would hold on to all
            self._count = len(held) - full

    def finish(self) -> None:
        """Writes what is held, and gives the file its name."""
        if self._count:
            self._writer.write_table(pa.concat_tables(self._held).combine_chunks())
        self._writer.close()
        self._name()


class CsvFile(_PartFile):
    """Gzip CSV without quotes or the time of its making.

    Args:
        path: Its name.
        header: Names of its columns.
    """

    def __init__(self, path: Path, header: Sequence[str]) -> None:
        super().__init__(path)
        self._zip = gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=self._out, mtime=0)
        self._lines = [",".join(header)]

    def write(self, lines: Sequence[str]) -> None:
        """Adds lines, without their ends."""
        self.rows += len(lines)
        self._lines += lines
        while len(self._lines) >= CSV_LINES:
            self._put(self._lines[:CSV_LINES])
            del self._lines[:CSV_LINES]

    def _put(self, lines: Sequence[str]) -> None:
        self._zip.write("".join(f"{line}\n" for line in lines).encode())

    def finish(self) -> None:
        """Writes what is held, and gives the file its name."""
        self._put(self._lines)
        self._zip.close()
        self._name()


File = TypeVar("File", ParquetFile, CsvFile)


class DayFiles(Generic[File]):
    """The files of one day by table, each made when its first row comes.

    Args:
        make: Table -> its file.
    """

    def __init__(self, make: Callable[[str], File]) -> None:
        self._make: Callable[[str], File] = make
        self._files: dict[str, File] = {}

    def get(self, table: str) -> File:
        """The table's file."""
        if table not in self._files:
            self._files[table] = self._make(table)
        return self._files[table]

    def finish(self) -> dict[str, int]:
        """Gives all of them their names; their rows by table."""
        for file in self._files.values():
            file.finish()
        return {table: file.rows for table, file in self._files.items()}

    def drop(self) -> None:
        """Leaves nothing of them."""
        for file in self._files.values():
            file.drop()
