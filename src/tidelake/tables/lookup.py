"""Finds the stored rows of the keys of a batch, reading only files that can hold them.

Where the key is made of a number, files tell by its range. Where an id holds its own event time, they tell by that.
Any other id, a UUID say, can lie in every file of its source and symbol: a venue may correct the time of a trade by any
amount, and whether two versions of it are recognised must not depend on which batch brought them. Then the key columns
of all those files are read, 2 seconds for 10 million stored rows, and the other columns only of files that hold a key.
"""

import polars as pl

from tidelake.raw.store import Store
from tidelake.tables.delta import TableHandle
from tidelake.tables.schema import VERSION_ORDER, Table

FILE = "__file"
TIMED = r"^(\d+)[-:]"  # an id that begins with the microseconds of its event time


def _number(table: Table) -> str | None:
    return (table.ids[1] or None) if table.ids else None


def _ranges(table: Table, batch: pl.DataFrame) -> pl.DataFrame:
    """Per source and symbol: the span of numbers, that of event times, and whether some ids have neither.

    Numbers tell where a key may lie only where the key is made of them: another id may come with any number.
    """
    number = _number(table)
    value = pl.col(number) if number else pl.lit(None, pl.Int64)
    is_number, is_time = pl.lit(False), pl.lit("event_time" in table.key)
    if table.ids:
        is_number = (value.cast(pl.String) == pl.col(table.ids[0])).fill_null(False)
        us = pl.col("event_time").dt.timestamp("us").cast(pl.String)
        is_time = ~is_number & (pl.col(table.ids[0]).str.extract(TIMED, 1) == us).fill_null(False)
    marked = batch.with_columns(number=value, is_number=is_number, is_time=is_time)
    return marked.group_by("source", "symbol").agg(
        low=pl.col("number").filter("is_number").min(),
        high=pl.col("number").filter("is_number").max(),
        since=pl.col("event_time").filter("is_time").min(),
        until=pl.col("event_time").filter("is_time").max(),
        anywhere=(~pl.col("is_number") & ~pl.col("is_time")).any(),
    )


def _files(handle: TableHandle, table: Table, batch: pl.DataFrame) -> list[str]:
    files = handle.files()
    if files.is_empty():
        return []
    files = files.rename({"partition.source": "source"})
    number_name = _number(table) or "number"
    for name in ("symbol", "event_time", number_name):
        for edge in ("min", "max"):
            if f"{edge}.{name}" not in files.columns:
                files = files.with_columns(pl.lit(None).alias(f"{edge}.{name}"))
    symbol = (pl.col("min.symbol") <= pl.col("symbol")) & (pl.col("max.symbol") >= pl.col("symbol"))
    number = (pl.col(f"min.{number_name}") <= pl.col("high")) & (pl.col(f"max.{number_name}") >= pl.col("low"))
    time = (pl.col("min.event_time") <= pl.col("until")) & (pl.col("max.event_time") >= pl.col("since"))
    met = files.join(_ranges(table, batch), on="source", how="inner").filter(
        symbol.fill_null(True),
        pl.col("anywhere")
        | pl.col("low").is_not_null() & number.fill_null(True)
        | pl.col("since").is_not_null() & time.fill_null(True),
    )
    return met["path"].unique().to_list()


def stored_rows(store: Store, handle: TableHandle, table: Table, batch: pl.DataFrame) -> pl.DataFrame:
    """Stored rows whose key stands in the batch: key, values, version order and known_at."""
    needed = [*table.key, *table.values, *table.manner, *VERSION_ORDER, "known_at"]
    paths = _files(handle, table, batch)
    if not paths:
        return batch.select(needed).clear()
    root = store.table_uri(table.name)
    stored = pl.scan_parquet(
        [f"{root}/{path}" for path in paths],
        glob=False,  # an asterisk in the lake's address is one
        hive_partitioning=True,
        hive_schema={"source": pl.String, "date": pl.Date},
        storage_options=store.storage_options(),
        include_file_paths=FILE,
    )
    keys = batch.select(table.key).unique().lazy()
    met = stored.select(*table.key, FILE).join(keys, on=list(table.key), how="semi").collect(engine="streaming")
    if met.is_empty():  # as a rule: the other columns are not read
        return batch.select(needed).clear()
    holding = stored.filter(pl.col(FILE).is_in(met[FILE].unique().to_list()))
    found = holding.select(needed).join(met.lazy(), on=list(table.key), how="semi")
    return found.cast({name: batch.schema[name] for name in needed}).collect()
