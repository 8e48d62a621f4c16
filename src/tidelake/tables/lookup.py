"""Finds the stored rows of the keys of a batch, reading only files whose ranges meet the batch's."""

import datetime as dt

import polars as pl

from tidelake.raw.store import Store
from tidelake.tables.delta import TableHandle
from tidelake.tables.schema import VERSION_ORDER, Table

SEQUENCE = "trade_seq"
SLACK = dt.timedelta(days=1)  # a venue that numbers nothing is taken to repeat a trade at most this far from its time


def _ranges(table: Table, batch: pl.DataFrame) -> pl.DataFrame:
    """Per source and symbol: the span of sequence numbers and of event times of the batch.

    Numbers tell where a key may lie only where the key is made of them: another id may come with any number.
    """
    numbered = pl.lit(None, pl.Int64)
    if SEQUENCE in batch.columns:
        is_id = pl.col(SEQUENCE).cast(pl.String) == pl.col("trade_id")
        numbered = pl.when(is_id).then(pl.col(SEQUENCE).cast(pl.Int64))
    return batch.group_by("source", "symbol").agg(
        low=numbered.min(),
        high=numbered.max(),
        unnumbered=numbered.is_null().any(),
        since=pl.col("event_time").min() - SLACK,
        until=pl.col("event_time").max() + SLACK,
    )


def _files(handle: TableHandle, table: Table, batch: pl.DataFrame) -> list[str]:
    files = handle.files()
    if files.is_empty():
        return []
    files = files.rename({"partition.source": "source"})
    for name in ("symbol", "event_time", SEQUENCE):
        for edge in ("min", "max"):
            if f"{edge}.{name}" not in files.columns:
                files = files.with_columns(pl.lit(None).alias(f"{edge}.{name}"))
    met = files.join(_ranges(table, batch), on="source", how="inner").filter(
        (pl.col("min.symbol") <= pl.col("symbol")).fill_null(True)
        & (pl.col("max.symbol") >= pl.col("symbol")).fill_null(True)
        & (
            ((pl.col("min.trade_seq") <= pl.col("high")) & (pl.col("max.trade_seq") >= pl.col("low"))).fill_null(False)
            | (pl.col("unnumbered") | pl.col("min.trade_seq").is_null())
            & ((pl.col("min.event_time") <= pl.col("until")) & (pl.col("max.event_time") >= pl.col("since"))).fill_null(
                True
            )
        )
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
        hive_partitioning=True,
        hive_schema={"source": pl.String, "date": pl.Date},
        storage_options=store.storage_options(),
    )
    keys = batch.select(table.key).unique()
    met = stored.select(table.key).join(keys.lazy(), on=list(table.key), how="semi").unique().collect()
    if met.is_empty():  # as a rule: the other columns are not read
        return batch.select(needed).clear()
    found = stored.select(needed).join(met.lazy(), on=list(table.key), how="semi")
    return found.cast({name: batch.schema[name] for name in needed}).collect()
