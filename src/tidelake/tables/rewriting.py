"""What a commit says that takes data files out of a Delta table: rows that are replaced, and files that are merged.

Rows that stay are written anew by `tables.data_files`, like new ones. A file of which the log proves that all its rows
go is not read; of others only the columns are read that are asked for, and all of them where rows stay beside rows that
go.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tidelake.raw.store import Store
from tidelake.tables.data_files import folder_word, inside_files, write_folder
from tidelake.tables.files import Wanted, is_held, may_hold

if TYPE_CHECKING:
    from deltalake.transaction import AddAction, RemoveAction

    Actions = list[AddAction | RemoveAction]

BATCH_ROWS = 1 << 16  # read at once


def replacing(
    store: Store, name: str, schema: pa.Schema, partition_by: Sequence[str], files: pl.DataFrame, wanted: Wanted
) -> "Actions":
    """Take these rows out; rows that lie beside them are written anew, folder by folder.

    Args:
        schema: The table's.
        files: All of the table, as `TableHandle.files` lists them.
    """
    if files.is_empty():
        return []
    inside = inside_files(schema, partition_by)
    listed = may_hold(files.with_columns(whole=is_held(files, wanted, proven=True)), wanted)
    gone: list[dict[str, Any]] = []
    torn: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    for file in listed.to_dicts():
        count = None if file["whole"] else _count(store, name, file, wanted)
        if count is None or count == file["num_records"]:
            gone.append(file)
        elif count:
            gone.append(file)
            torn.setdefault(tuple(_folder_of(file, partition_by).values()), []).append(file)
    actions: Actions = [taken_out(file, partition_by) for file in gone]
    for beside in torn.values():
        rest = chain.from_iterable(_rest(store, name, file, wanted) for file in beside)
        actions += write_folder(store, name, rest, inside, _folder_of(beside[0], partition_by))
    return actions


def _count(store: Store, name: str, file: Mapping[str, Any], wanted: Wanted) -> int:
    """Number of such rows in a file."""
    columns = {column for row in _inside(file, wanted) for column in row}
    return sum(pc.sum(_are(rows, file, wanted)).as_py() or 0 for rows in _read(store, name, file, sorted(columns)))


def _rest(store: Store, name: str, file: Mapping[str, Any], wanted: Wanted) -> Iterator[pa.Table]:
    for rows in _read(store, name, file):
        yield rows.filter(pc.invert(_are(rows, file, wanted)))


def _inside(file: Mapping[str, Any], wanted: Wanted) -> list[dict[str, object]]:
    """What is asked of the columns in a file; what its folder does not have is left out."""
    held = [row for row in wanted if all(file.get(f"partition.{name}", value) == value for name, value in row.items())]
    return [{name: value for name, value in row.items() if f"partition.{name}" not in file} for row in held]


def _are(rows: pa.Table, file: Mapping[str, Any], wanted: Wanted) -> pa.ChunkedArray:
    every = pa.chunked_array([np.ones(len(rows), np.bool_)])
    found = pc.invert(every)
    for row in _inside(file, wanted):
        same = every
        for name, value in row.items():
            same = pc.and_(same, _equal(rows[name], value))
        found = pc.or_(found, same)
    return found


def _equal(column: pa.ChunkedArray, value: object) -> pa.ChunkedArray:
    if value is None:
        return pc.is_null(column)
    return pc.fill_null(pc.equal(column, pa.scalar(value, column.type)), False)


def _read(store: Store, name: str, file: Mapping[str, Any], columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    found = store.data_file(name, unquote(file["path"]))
    source = pa.BufferReader(found) if isinstance(found, bytes) else found
    with pq.ParquetFile(source) as opened:
        for batch in opened.iter_batches(BATCH_ROWS, columns=columns):
            yield pa.Table.from_batches([batch])


def _folder_of(file: Mapping[str, Any], partition_by: Sequence[str]) -> dict[str, object]:
    return {column: file[f"partition.{column}"] for column in partition_by}


def taken_out(file: Mapping[str, Any], partition_by: Sequence[str], *, gone: bool = True) -> "RemoveAction":
    """What a commit says of a file that leaves the table; `gone` where its rows do, which else only move."""
    from deltalake.transaction import RemoveAction

    path = unquote(file["path"])  # deltalake quotes it, as it did before
    folder = {column: folder_word(column, value) for column, value in _folder_of(file, partition_by).items()}
    return RemoveAction(path, gone, time.time_ns() // 1_000_000, file["size_bytes"], folder)


def groups_to_merge(files: pl.DataFrame, below: int) -> list[list[dict[str, Any]]]:
    """Files of one folder that are worth being put together, oldest first.

    Args:
        below: Bytes; files of so many are left alone, and none of a group has more together.
    """
    groups: list[list[dict[str, Any]]] = [[]]
    size = 0
    for file in files.filter(pl.col("size_bytes") < below).sort("modification_time", "path").to_dicts():
        if size + file["size_bytes"] > below:
            groups.append([])
            size = 0
        groups[-1].append(file)
        size += file["size_bytes"]
    return [group for group in groups if len(group) > 1]


def merging(
    store: Store, name: str, schema: pa.Schema, partition_by: Sequence[str], groups: Sequence[Sequence[dict[str, Any]]]
) -> "Actions":
    """Put the rows of each group of files into one, in the order of the files."""
    actions: Actions = []
    inside = inside_files(schema, partition_by)
    for group in groups:
        actions += [taken_out(file, partition_by, gone=False) for file in group]
        rows = chain.from_iterable(_read(store, name, file) for file in group)
        actions += write_folder(store, name, rows, inside, _folder_of(group[0], partition_by), new=False)
    return actions
