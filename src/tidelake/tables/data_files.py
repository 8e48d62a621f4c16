"""Data files of Delta tables: how rows are encoded in them, and what the log says of each file.

They are written with pyarrow: on a million rows of `trades` or `market_events` it takes about half the time of
deltalake's own writer. Readers leave a file out by the bounds that the log keeps of its columns, so a bound that is
wrong loses rows without a word, and so does one that is missing where others stand: deltalake's Arrow dataset then
finds no row by that column. So a file has the bounds of all its columns, or none. Exact numbers are written digit by
digit; deltalake 1.6.6 writes them by way of doubles, as 54159.619999999995 for 54159.62.
"""

import datetime as dt
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tidelake.raw.store import Store

if TYPE_CHECKING:
    from deltalake.transaction import AddAction, RemoveAction

LEVEL = 1  # of zstd: level 3 saves 2 % of the bytes for 12 % more time
ROW_GROUP = 1 << 20  # rows
ROW_GROUP_BYTES = 256 << 20  # in memory, where rows are wide
FILE_BYTES = 100 << 20  # a file that has so many gets no more rows
COUNTERS = ("trade_seq", "event_time", "known_at", "recv_ns", "line")  # few bits from row to row
SCATTERED = ("size",)
IDS = ("trade_id",)
TEXT_KEPT = 32  # characters of a bound, as the Delta protocol says: a fixed prefix
LAST_CHARACTER = "\U0010ffff"
NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


Encoding = Literal["PLAIN", "DELTA_BINARY_PACKED", "DELTA_BYTE_ARRAY"]


@cache
def _counters(name: str) -> tuple[str, ...]:
    return (*COUNTERS, *(_declared(name, "counters")))


@cache
def _scattered(name: str) -> tuple[str, ...]:
    return (*SCATTERED, *(_declared(name, "scattered")))


def _declared(name: str, what: str) -> tuple[str, ...]:
    from tidelake.tables.registry import TABLES  # needs all tables

    table = TABLES.get(name)
    found: tuple[str, ...] = getattr(table, what) if table else ()
    return found


@cache
def _encodings(name: str) -> dict[str, Encoding]:
    """Encodings of columns without a dictionary; all others have one.

    On a million trades half the time and three quarters of the bytes of dictionaries; on a million `market_events` the
    columns that they name themselves take half of what is left of the time, and a third of the bytes.
    """
    found: dict[str, Encoding] = dict.fromkeys(_counters(name), "DELTA_BINARY_PACKED")
    found |= dict.fromkeys(_scattered(name), "PLAIN")
    found |= dict.fromkeys(IDS, "DELTA_BYTE_ARRAY")
    return found


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def fitted(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows with columns and types as a table has them; texts may stay dictionaries.

    Raises:
        ValueError: A column is missing or too many, or null where it must not be.
        ArrowInvalid: A value does not fit its column.
    """
    if set(rows.column_names) != set(schema.names):
        raise ValueError(f"rows have the columns {rows.column_names}, expected {schema.names}; nothing was written")
    columns, fields = [], []
    for field in schema:
        column = rows[field.name]
        if _plain(column.type) != field.type:
            column = column.cast(field.type)
        if column.null_count and not field.nullable:
            raise ValueError(f"{column.null_count} rows have no {field.name}; nothing was written")
        columns.append(column)
        fields.append(field.with_type(column.type))
    return pa.table(columns, schema=pa.schema(fields))


def write_files(
    store: Store, name: str, rows: pa.Table, schema: pa.Schema, partition_by: Sequence[str]
) -> "list[AddAction | RemoveAction]":
    """Write a file for each folder that rows belong to; what a commit must say of them.

    A file that no commit names is none of the table's: `tidelake maintain` deletes it.

    Args:
        schema: The table's.
        partition_by: Its folder columns, which stand in no file.

    Raises:
        ValueError: The rows are not as the schema says, or a folder column holds an empty text, which Delta reads back
            as null.
        StoreError: The store failed.
    """
    rows = fitted(rows, schema)
    inside = inside_files(schema, partition_by)
    return [
        add
        for folder, part in _by_folder(rows, partition_by)
        for add in write_folder(store, name, [part.select(inside.names)], inside, folder)
    ]


def inside_files(schema: pa.Schema, partition_by: Sequence[str]) -> pa.Schema:
    """The columns that stand in the files of a table."""
    return pa.schema([field for field in schema if field.name not in partition_by])


def _by_folder(rows: pa.Table, partition_by: Sequence[str]) -> Iterator[tuple[dict[str, object], pa.Table]]:
    """The rows of each folder, in the order in which they come."""
    if not len(rows):
        return
    places = np.zeros(len(rows), np.int64)
    for name in partition_by:
        coded = rows[name].combine_chunks().dictionary_encode("encode")
        places = places * len(coded.dictionary) + coded.indices.to_numpy()
    if (places[1:] < places[:-1]).any():
        order = np.argsort(places, kind="stable")
        rows, places = rows.take(order), places[order]
    starts = [0, *(np.flatnonzero(places[1:] != places[:-1]) + 1).tolist()]
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        yield {name: rows[name][start].as_py() for name in partition_by}, rows[start:end]


def folder_word(name: str, value: object) -> str | None:
    """The value of a folder column as a log has it."""
    if value == "":
        raise ValueError(f"a row has an empty {name}, which a folder cannot be named by; nothing was written")
    return None if value is None else str(value)


def write_folder(
    store: Store,
    name: str,
    parts: Iterable[pa.Table],
    schema: pa.Schema,
    folder: Mapping[str, object],
    *,
    new: bool = True,
) -> "Iterator[AddAction]":
    """Write rows of one folder, in the order in which they come; memory holds one file at most, and one row group.

    Args:
        schema: Of what stands in the files.
        folder: Values of the folder columns.
        new: Whether they are rows that the table did not have; else they moved.

    Raises:
        ValueError: The rows are not as the schema says.
        StoreError: The store failed.
    """
    words = {column: folder_word(column, value) for column, value in folder.items()}
    file: _DataFile | None = None
    for rows in _row_groups(_alike(parts, schema)):
        if file is None:
            file = _DataFile(name, rows.schema)
        file.write(rows)
        if file.size >= FILE_BYTES:
            yield _put(store, name, file, words, new)
            file = None
    if file is not None:
        yield _put(store, name, file, words, new)


def _alike(parts: Iterable[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """All with texts as the first one has them."""
    first: pa.Schema | None = None
    for part in parts:
        rows = fitted(part, schema)
        first = first or rows.schema
        yield rows if rows.schema == first else rows.cast(first)


def _row_groups(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    held: list[pa.Table] = []
    count = size = 0
    for part in parts:
        start = 0
        while start < len(part):
            piece = part.slice(start, ROW_GROUP - count)
            held.append(piece)
            start, count, size = start + len(piece), count + len(piece), size + piece.nbytes
            if count == ROW_GROUP or size >= ROW_GROUP_BYTES:
                yield pa.concat_tables(held)
                held, count, size = [], 0, 0
    if held:
        yield pa.concat_tables(held)


def _put(store: Store, name: str, file: "_DataFile", folder: Mapping[str, str | None], new: bool) -> "AddAction":
    from deltalake.transaction import AddAction

    data, stats = file.finish()
    folders = [f"{column}={NULL_FOLDER if word is None else quote(word, safe='')}" for column, word in folder.items()]
    path = "/".join([*folders, f"part-{uuid.uuid4()}.zstd.parquet"])
    store.put_data_file(name, path, data)
    return AddAction(path, len(data), dict(folder), time.time_ns() // 1_000_000, new, stats)


class _DataFile:
    """A file in memory, row group by row group."""

    def __init__(self, name: str, schema: pa.Schema) -> None:
        encodings = {column: kind for column, kind in _encodings(name).items() if column in schema.names}
        self._schema, self._finite = schema, True
        self._out, self._footers = pa.BufferOutputStream(), list[pq.FileMetaData]()
        self._writer = pq.ParquetWriter(
            self._out,
            schema,
            compression="zstd",
            compression_level=LEVEL,
            use_dictionary=[
                f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name
                for field in schema
                if field.name not in encodings
            ],
            column_encoding=encodings,
            write_statistics=[field.name for field in schema if not pa.types.is_nested(field.type)],
            store_schema=False,  # it would say which texts were dictionaries here
            metadata_collector=self._footers,
        )

    @property
    def size(self) -> int:
        """Bytes so far."""
        return int(self._out.tell())

    def write(self, rows: pa.Table) -> None:
        """Add a row group."""
        self._finite = self._finite and all(_is_finite(column) for column in rows.columns)
        rows = rows.unify_dictionaries()  # of several the writer gives up dictionaries
        self._writer.write_table(rows, row_group_size=ROW_GROUP)

    def finish(self) -> tuple[memoryview, str]:
        """Its bytes, and what the log says of it."""
        self._writer.close()
        stats = _stats(self._schema, self._footers[0], self._finite)
        return memoryview(self._out.getvalue()).cast("B"), stats


def _is_finite(column: pa.ChunkedArray) -> bool:
    """Whether all numbers are; the bounds in a file pass over NaN, which some readers hold for the greatest."""
    return not pa.types.is_floating(column.type) or bool(pc.all(pc.is_finite(column), min_count=0).as_py())


def _stats(schema: pa.Schema, footer: pq.FileMetaData, finite: bool) -> str:
    """What the log says of a file, as the Delta protocol writes it: bounds may be wider than the values, never closer.

    Source: https://github.com/delta-io/delta/blob/master/PROTOCOL.md, Per-file Statistics.
    """
    held: dict[str, list[pq.ColumnChunkMetaData]] = {}
    for group in map(footer.row_group, range(footer.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            if chunk.path_in_schema in schema.names:  # else of a list
                held.setdefault(chunk.path_in_schema, []).append(chunk)
    bounds = _all_bounds(schema, held) if finite else None
    if bounds is None:
        return json.dumps({"numRecords": footer.num_rows})
    nulls = {name: sum(chunk.statistics.null_count for chunk in chunks) for name, chunks in held.items()}
    least, most = (",".join(f"{json.dumps(name)}:{pair[edge]}" for name, pair in bounds.items()) for edge in (0, 1))
    counts = json.dumps(nulls, separators=(",", ":"))
    return f'{{"numRecords":{footer.num_rows},"minValues":{{{least}}},"maxValues":{{{most}}},"nullCount":{counts}}}'


def _all_bounds(
    schema: pa.Schema, held: Mapping[str, Sequence[pq.ColumnChunkMetaData]]
) -> dict[str, tuple[str, str]] | None:
    """The bounds, as JSON, of each column that has a value; None where one has values without bounds."""
    bounds: dict[str, tuple[str, str]] = {}
    for name, chunks in held.items():
        if any(chunk.statistics is None for chunk in chunks):
            return None
        told = [chunk.statistics for chunk in chunks if chunk.statistics.null_count < chunk.num_values]
        if not told:
            continue
        pair = _bounds(_plain(schema.field(name).type), told) if all(s.has_min_max for s in told) else None
        if pair is None:
            return None
        bounds[name] = pair
    return bounds


def _bounds(kind: pa.DataType, told: Sequence[Any]) -> tuple[str, str] | None:
    if pa.types.is_timestamp(kind) or pa.types.is_date32(kind):
        return _clock_bounds(kind, min(s.min_raw for s in told), max(s.max_raw for s in told))
    low, high = min(s.min for s in told), max(s.max for s in told)
    if pa.types.is_string(kind):
        above = _text_above(high)
        return None if above is None else (json.dumps(low[:TEXT_KEPT]), json.dumps(above))
    if pa.types.is_decimal(kind):
        return f"{low:f}", f"{high:f}"
    return json.dumps(low), json.dumps(high)


def _text_above(text: str) -> str | None:
    """A text that is not below this one nor any that begins like it; None where there is none."""
    if len(text) <= TEXT_KEPT:
        return text
    return None if text[TEXT_KEPT] == LAST_CHARACTER else text[:TEXT_KEPT] + LAST_CHARACTER


def _clock_bounds(kind: pa.DataType, low: int, high: int) -> tuple[str, str] | None:
    """Days, or whole milliseconds, as the protocol has it; None beyond the years that a text can say."""
    try:
        if pa.types.is_date32(kind):
            return _quoted(EPOCH.date() + dt.timedelta(days=low)), _quoted(EPOCH.date() + dt.timedelta(days=high))
        return _quoted(_moment(low // 1_000)), _quoted(_moment(-(-high // 1_000)))
    except OverflowError:
        return None


def _moment(ms: int) -> str:
    return (EPOCH + dt.timedelta(milliseconds=ms)).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _quoted(word: object) -> str:
    return f'"{word}"'
