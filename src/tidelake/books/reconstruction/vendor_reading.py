"""Vendor files read batch by batch, as columns under our words; only the columns that are asked for are read."""

import csv
import gzip
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from tidelake.errors import FormatDrift
from tidelake.vendors.spec import Kind, VendorTable

COLUMN_BUFFER_BYTES = 1 << 18
CSV_BUFFER_BYTES = 1 << 20
CSV_TYPES: dict[Kind, pa.DataType] = {
    "time": pa.int64(),
    "sequence": pa.int64(),
    "side": pa.string(),
    "flag": pa.bool_(),
    "number": pa.string(),
    "text": pa.string(),
}


def read_columns(path: Path, table: VendorTable, words: Collection[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Batches of at most `rows` rows, in the file's order.

    Args:
        path: A Parquet file, or a gzip CSV by its name.
        table: What it holds.
        words: Our words of the columns wanted; those that the file lacks and does not need are left out. Columns of
            levels, under the vendor's names, come where `levels` is among them.
        rows: At most so many a batch.

    Raises:
        FormatDrift: The file cannot be read, or lacks a column that it needs.
    """
    with _named(path):
        names = _column_names(path, table, words)
        read = _csv_batches if is_csv(path) else _parquet_batches
        for batch in read(path, table, names, rows):
            yield batch.select(list(names)).rename_columns(list(names.values()))


def is_csv(path: Path) -> bool:
    """Whether a file is a gzip CSV."""
    return path.name.endswith(".csv.gz")


def open_parquet(path: Path) -> pq.ParquetFile:
    """A file whose columns are read a little at a time: by default a whole row group's would be held at once."""
    return pq.ParquetFile(path, buffer_size=COLUMN_BUFFER_BYTES, pre_buffer=False)


def _column_names(path: Path, table: VendorTable, words: Collection[str]) -> dict[str, str]:
    """The file's own names of the columns wanted -> ours."""
    found = _csv_names(path) if is_csv(path) else pq.read_schema(path).names
    names = {}
    for field in table.fields:
        own = next((name for name in field.names if name in found), None)
        if own is None and field.required:
            raise FormatDrift(f"no column {' or '.join(field.names)} among {', '.join(found[:20])}")
        if own is not None and field.name in words:
            names[own] = field.name
    if table.levels is not None and "levels" in words:
        for *_, own in table.levels.columns():
            if own not in found:
                raise FormatDrift(f"no column {own} among {', '.join(found[:20])}")
            names[own] = own
    return names


def _csv_names(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        return next(csv.reader(lines), [])


def _parquet_batches(path: Path, table: VendorTable, names: dict[str, str], rows: int) -> Iterator[pa.RecordBatch]:
    with open_parquet(path) as file:
        yield from file.iter_batches(batch_size=rows, columns=list(names), use_threads=False)


def _csv_batches(path: Path, table: VendorTable, names: dict[str, str], rows: int) -> Iterator[pa.RecordBatch]:
    kinds = {field.name: field.kind for field in table.fields}
    types = {own: CSV_TYPES[kinds.get(word, "number")] for own, word in names.items()}
    with (
        pa.input_stream(str(path), compression="gzip") as text,
        pacsv.open_csv(
            text,
            read_options=pacsv.ReadOptions(use_threads=False, block_size=CSV_BUFFER_BYTES),
            convert_options=pacsv.ConvertOptions(
                include_columns=list(names),
                column_types=types,
                null_values=[""],
                true_values=["true"],
                false_values=["false"],
                strings_can_be_null=True,
            ),
        ) as batches,
    ):
        for batch in batches:
            for start in range(0, len(batch), rows):
                yield batch.slice(start, rows)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors in a file name it."""
    try:
        yield
    except FormatDrift as exc:
        raise FormatDrift(f"{path.name}: {exc}", line=exc.line) from exc.__cause__
    except (pa.ArrowException, OSError, EOFError, ValueError) as exc:
        raise FormatDrift(f"{path.name} cannot be read: {exc}; nothing of it was taken") from exc
