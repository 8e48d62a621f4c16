"""Finds the stored rows of the keys of a batch, reading only files that can hold them.

Where the key is made of a number, files tell by its range. Where an id holds its own event time, they tell by that.
Any other id, a UUID say, can lie in every file of its source and symbol: a venue may correct the time of a trade by any
amount, and whether two versions of it are recognised must not depend on which batch brought them. Then the key columns
of all those files are read, 2 seconds for 10 million stored rows, and the other columns only of files that hold a key.
The keys that a pass stores itself are remembered, so that a rebuild does not read what it just wrote.
"""

import datetime as dt
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tidelake.kernels.key_set import add_hashes, holds_any
from tidelake.raw.store import Store
from tidelake.tables.delta import TableHandle
from tidelake.tables.schema import VERSION_ORDER, Table

FILE = "__file"
FEWEST_SLOTS, MOST_SLOTS = 1 << 16, 1 << 25  # of 8 bytes: 16 million keys in 256 MB
STEP = dt.timedelta(milliseconds=1)  # the log's statistics cut times to whole ones
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
        is_time = (pl.col(table.ids[0]).str.extract(TIMED, 1) == us).fill_null(False)
    marked = batch.with_columns(number=value, is_number=is_number)
    place = ["source", "symbol"]
    numbered = marked.filter("is_number").group_by(place).agg(low=pl.col("number").min(), high=pl.col("number").max())
    others = marked.filter(~pl.col("is_number")).with_columns(is_time=is_time)
    spans = others.group_by(place).agg(
        since=pl.col("event_time").filter("is_time").min(),
        until=pl.col("event_time").filter("is_time").max(),
        anywhere=(~pl.col("is_time")).any(),
    )
    found = numbered.join(spans, on=place, how="full", coalesce=True)
    return found.with_columns(pl.col("anywhere").fill_null(False))


def _holding(files: pl.DataFrame, table: Table, batch: pl.DataFrame) -> list[str]:
    """Paths of those files that may hold a key of the batch."""
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
    time = (pl.col("min.event_time") <= pl.col("until")) & (pl.col("max.event_time") >= pl.col("since") - STEP)
    met = files.join(_ranges(table, batch), on="source", how="inner").filter(
        symbol.fill_null(True),
        pl.col("anywhere")
        | pl.col("low").is_not_null() & number.fill_null(True)
        | pl.col("since").is_not_null() & time.fill_null(True),
    )
    return met["path"].unique().to_list()


@dataclass
class Lookup:
    """The stored rows of the keys of batch after batch, each of which is committed through the handle.

    Attributes:
        others: Files that were there before the first batch; of all that came after them the keys are remembered.
        slots: Hashes of those keys (`kernels.key_set`). One that is met by chance costs a look into files, no more.
        used: Number of keys remembered.
    """

    store: Store
    handle: TableHandle
    table: Table
    others: set[str] | None = None
    slots: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(FEWEST_SLOTS, np.uint64))
    used: int = 0

    def stored_rows(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Stored rows whose key stands in the batch: key, values, manner, version order and known_at.

        Args:
            batch: Of the new rows the key, the ids and event_time.
        """
        files = self.handle.files()
        now = set(files["path"])
        if self.others is None or not self.others <= now:  # another engine merged some, perhaps with ours
            self._forget(now)
        met = self._remember(batch.select(self.table.key).hash_rows().to_numpy(), now)
        paths = _holding(files if met else files.filter(pl.col("path").is_in(self.others or ())), self.table, batch)
        return _read(self.store, self.table, batch, paths)

    def _forget(self, now: set[str]) -> None:
        self.others, self.slots, self.used = now, np.zeros(FEWEST_SLOTS, np.uint64), 0

    def _remember(self, hashes: NDArray[np.uint64], now: set[str]) -> bool:
        """Whether one of them was remembered already."""
        wanted = 2 * (self.used + len(hashes))
        if wanted > MOST_SLOTS:
            self._forget(now)
            wanted = 2 * len(hashes)
        if wanted > len(self.slots):
            held = self.slots[self.slots != 0]
            self.slots = np.zeros(1 << (wanted - 1).bit_length(), np.uint64)
            add_hashes(held, self.slots)
        met = bool(holds_any(hashes, self.slots))
        self.used += add_hashes(hashes, self.slots)
        return met


def _read(store: Store, table: Table, batch: pl.DataFrame, paths: list[str]) -> pl.DataFrame:
    needed = [*table.key, *table.values, *table.manner, *VERSION_ORDER, "known_at"]
    none = pl.DataFrame(pl.from_arrow(table.no_rows)).select(needed)
    if not paths:
        return none
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
        return none
    holding = stored.filter(pl.col(FILE).is_in(met[FILE].unique().to_list()))
    found = holding.select(needed).join(met.lazy(), on=list(table.key), how="semi")
    return found.cast(none.schema).collect()
