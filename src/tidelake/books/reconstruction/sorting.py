"""Rows put into the order of their numbers out of memory, by DuckDB in a scratch folder."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tidelake.books.reconstruction.batch import Integers
from tidelake.books.reconstruction.level_rows import LevelRows, starts_of
from tidelake.books.reconstruction.vendor_reading import open_parquet
from tidelake.errors import StoreError

SORT_MEMORY = "256MB"  # beyond it DuckDB spills into the scratch folder
GROUP_ROWS = 1 << 16
ROW_TYPES = {
    "number": pa.int64(),
    "file": pa.int64(),
    "row": pa.int64(),
    "event_ns": pa.int64(),
    "recv_ns": pa.int64(),
    "whole": pa.bool_(),
    "trade_id": pa.string(),
}
LEVEL_TYPES = {"side": pa.uint8(), "tick": pa.int64(), "lots": pa.int64()}
LIST_TYPES = {name: pa.list_(type) for name, type in LEVEL_TYPES.items()}


def sort_rows(batches: Iterable[LevelRows], scratch: Path, name: str, *, wide: bool) -> Path:
    """A Parquet file in the scratch folder with the rows by number, then file, then row.

    Args:
        batches: The rows.
        scratch: The folder.
        name: What the file's name begins with.
        wide: Whether rows have several levels or none: lists of them sort several times slower.

    Raises:
        StoreError: The scratch folder does not hold what is to be sorted.
    """
    unsorted, ordered = scratch / f"{name}.unsorted.parquet", scratch / f"{name}.sorted.parquet"
    schema = pa.schema({**ROW_TYPES, **(LIST_TYPES if wide else LEVEL_TYPES)})
    with pq.ParquetWriter(unsorted, schema, compression="lz4") as writer:
        for rows in batches:
            writer.write_batch(_to_arrow(rows, schema))
    with _sorter(scratch) as connection:
        connection.execute(
            f"COPY (SELECT * FROM read_parquet($rows) ORDER BY number, file, row) TO '{_quoted(ordered)}' "
            f"(FORMAT parquet, COMPRESSION lz4, ROW_GROUP_SIZE {GROUP_ROWS})",
            {"rows": str(unsorted)},
        )
    unsorted.unlink()
    return ordered


def read_sorted(path: Path, batch_rows: int) -> Iterator[LevelRows]:
    """The rows of a file that `sort_rows` made."""
    with open_parquet(path) as file:
        for batch in file.iter_batches(batch_size=batch_rows, use_threads=False):
            yield _from_arrow(batch)


def read_sorted_numbers(path: Path, batch_rows: int) -> Iterator[tuple[Integers, Integers]]:
    """Their numbers and receive clocks alone."""
    with open_parquet(path) as file:
        for batch in file.iter_batches(batch_size=batch_rows, columns=["number", "recv_ns"], use_threads=False):
            yield np.asarray(batch.column("number")), np.asarray(batch.column("recv_ns"))


def repeated_texts(texts: Iterable[pa.Array], scratch: Path, name: str) -> pa.Array:
    """string[n]: those that come more than once, out of memory; nulls count nothing."""
    path = scratch / f"{name}.texts.parquet"
    schema = pa.schema([("text", pa.string())])
    with pq.ParquetWriter(path, schema, compression="lz4") as writer:
        for column in texts:
            writer.write_batch(pa.record_batch([column], schema=schema))
    with _sorter(scratch) as connection:
        query = "SELECT text FROM read_parquet($rows) WHERE text IS NOT NULL GROUP BY text HAVING count(*) > 1"
        found: pa.Table = connection.sql(query, params={"rows": str(path)}).to_arrow_table()
    path.unlink()
    return found.column("text").combine_chunks().cast(pa.string())


@contextmanager
def _sorter(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    try:
        with duckdb.connect(
            config={"memory_limit": SORT_MEMORY, "temp_directory": str(scratch / "sorting"), "threads": 1}
        ) as connection:
            yield connection
    except duckdb.Error as exc:
        raise StoreError(f"rows could not be sorted in {scratch}: {exc}", key=str(scratch)) from exc


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _to_arrow(rows: LevelRows, schema: pa.Schema) -> pa.RecordBatch:
    columns = [pa.array(getattr(rows, name), type) for name, type in ROW_TYPES.items()]
    levels = [pa.array(getattr(rows, name), type) for name, type in LEVEL_TYPES.items()]
    if schema.field("tick").type == LIST_TYPES["tick"]:
        starts = pa.array(rows.level_from, pa.int32())
        levels = [pa.ListArray.from_arrays(starts, column) for column in levels]
    return pa.record_batch([*columns, *levels], schema)


def _from_arrow(batch: pa.RecordBatch) -> LevelRows:
    columns = {name: np.asarray(batch.column(name)) for name in ROW_TYPES if name != "trade_id"}
    level_columns = {name: batch.column(name) for name in LEVEL_TYPES}
    lengths = np.ones(len(batch), np.int64)
    if pa.types.is_list(level_columns["tick"].type):
        lengths = np.asarray(level_columns["tick"].value_lengths()).astype(np.int64)
        level_columns = {name: column.flatten() for name, column in level_columns.items()}
    levels = {name: np.asarray(column) for name, column in level_columns.items()}
    return LevelRows(**columns, **levels, trade_id=batch.column("trade_id"), level_from=starts_of(lengths))
