"""The data files of a table that can hold what a read asks for, told by the table's log alone."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from deltalake import DeltaTable

from tidelake.raw.store import Store

Wanted = Sequence[Mapping[str, object]]
"""Rows that equal one of these in all the columns that it names: of `[{}]` all, of `[]` none."""

PLAIN_READER = 1  # of the Delta protocol: from the next version on files may hold rows that are none


@dataclass(frozen=True)
class Within:
    """What a read asks for, as far as files can tell it; None leaves a side open.

    Attributes:
        sources: Source ids.
        symbol: Canonical symbol.
        grain: Of trades.
        first: UTC day, inclusive.
        last: UTC day, inclusive.
    """

    sources: tuple[str, ...] | None = None
    symbol: str | None = None
    grain: str | None = None
    first: dt.date | None = None
    last: dt.date | None = None


def is_plain(found: DeltaTable) -> bool:
    """Whether the files hold the rows and nothing else: no deletion vectors, no renamed columns."""
    return found.protocol().min_reader_version == PLAIN_READER


def files_within(found: DeltaTable, within: Within) -> pl.DataFrame:
    """One row per file that can hold such rows: its path below the table, and the statistics that the log keeps."""
    files = pl.DataFrame(found.get_add_actions(flatten=True))
    wanted = []
    if within.sources is not None and "partition.source" in files.columns:
        wanted.append(pl.col("partition.source").is_in(within.sources))
    if within.first is not None and "partition.date" in files.columns:
        wanted.append(pl.col("partition.date") >= within.first)
    if within.last is not None and "partition.date" in files.columns:
        wanted.append(pl.col("partition.date") <= within.last)
    for name, value in (("symbol", within.symbol), ("grain", within.grain)):
        if value is not None and {f"min.{name}", f"max.{name}"} <= set(files.columns):
            outside = (pl.col(f"min.{name}") > value) | (pl.col(f"max.{name}") < value)
            wanted.append(~outside.fill_null(False))
    return files.filter(wanted) if wanted else files


def may_hold(files: pl.DataFrame, wanted: Wanted) -> pl.DataFrame:
    """Of files as `TableHandle.files` lists them, those of which the log does not prove that they hold no such row."""
    return files.filter(is_held(files, wanted, proven=False))


def is_held(files: pl.DataFrame, wanted: Wanted, *, proven: bool) -> pl.Expr:
    """Whether the log proves of a file that all its rows are such, else whether it may hold one."""
    rows = [
        pl.all_horizontal(pl.lit(True), *(_is_told(files, name, value, proven=proven) for name, value in row.items()))
        for row in wanted
    ]
    return pl.any_horizontal(pl.lit(False), *rows)


def _is_told(files: pl.DataFrame, column: str, value: Any, *, proven: bool) -> pl.Expr:
    if f"partition.{column}" in files.columns:
        return pl.col(f"partition.{column}").eq_missing(pl.lit(value))
    low, high, nulls = (pl.col(f"{edge}.{column}") for edge in ("min", "max", "null_count"))
    if value is None or not {f"min.{column}", f"max.{column}", f"null_count.{column}"} <= set(files.columns):
        return pl.lit(not proven)
    alike: pl.Expr = (low == value) & (high == value) & (nulls == 0)
    outside: pl.Expr = (low > value) | (high < value)
    return (alike if proven else ~outside).fill_null(not proven)


def only(files: pl.DataFrame, column: str, value: str) -> bool:
    """Whether the log proves that all rows of the files hold this value."""
    edges = [f"min.{column}", f"max.{column}"]
    if not set(edges) <= set(files.columns):
        return False
    return files.select(pl.all_horizontal(pl.col(edge).eq_missing(value) for edge in edges).all()).item() is True


def paths_of(store: Store, name: str, files: pl.DataFrame) -> list[str]:
    """Addresses of files of the table of that name, for polars and DuckDB."""
    root = store.table_uri(name)
    return [f"{root}/{path}" for path in files["path"]]


def scan_within(store: Store, name: str, found: DeltaTable, within: Within) -> pl.LazyFrame:
    """All columns of the files that can hold such rows, other rows of these files too.

    A filter over `scan_delta` imports pyarrow to no use, a quarter of the time of a first read; so a table whose files
    are plain is read by their list.
    """
    if not is_plain(found):
        return pl.scan_delta(found)
    schema = pl.Schema(found.schema())
    partitions = {name: schema[name] for name in found.metadata().partition_columns}
    paths = paths_of(store, name, files_within(found, within))
    if not paths:
        return pl.LazyFrame(schema=schema)
    rows = pl.scan_parquet(
        paths,
        glob=False,  # an asterisk in the lake's address is one
        schema={name: kind for name, kind in schema.items() if name not in partitions},
        hive_partitioning=bool(partitions),
        hive_schema=partitions or None,
        missing_columns="insert",
        extra_columns="ignore",
        storage_options=store.storage_options(),
    )
    return rows.select(schema.names())
