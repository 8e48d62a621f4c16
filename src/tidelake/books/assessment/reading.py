"""A vendor's file as `Rows`, batch by batch, in its order: faults are not refused here, they are what is looked for."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from tidelake.books.assessment.rows import FIRST, SECOND, UNKNOWN, Codes, Flags, Floats, Integers, Keys, Rows
from tidelake.books.reconstruction.vendor_reading import read_columns
from tidelake.vendors.spec import ASK, BID, VendorTable

BATCH_ROWS = 200_000
BATCH_SNAPSHOTS = 20_000  # a row has a hundred numbers
UNIT_NS = {"ns": 1, "us": 1_000}
WORDS = ("event_time", "recv_time", "sequence", "side", "price", "size", "trade_id", "is_snapshot", "levels")
SIDE_CODES = {BID: FIRST, "buy": FIRST, ASK: SECOND, "sell": SECOND}


def read_rows(path: Path, table: VendorTable) -> Iterator[Rows]:
    """All rows of a file of the table.

    Raises:
        FormatDrift: The file cannot be read, or lacks a column that it needs.
    """
    batch_rows = BATCH_ROWS if table.levels is None else BATCH_SNAPSHOTS
    for batch in read_columns(path, table, WORDS, batch_rows):
        if len(batch):
            yield rows_of(batch, table)


def rows_of(batch: pa.RecordBatch, table: VendorTable) -> Rows:
    """One batch under our words."""
    columns = {name: batch.column(name) for name in batch.schema.names}
    n = len(batch)
    event_ns, event_null = _clock(columns.get("event_time"), table, n)
    key, number = _trade_ids(columns["trade_id"]) if "trade_id" in columns else (None, None)
    prices, sizes = _levels(columns, table, n)
    return Rows(
        event_ns=event_ns,
        event_null=event_null,
        recv_ns=_clock(columns["recv_time"], table, n)[0],
        sequence=_integers(columns["sequence"], -1) if "sequence" in columns else None,
        side=_sides(columns["side"], table) if "side" in columns else None,
        price=_floats(columns["price"]) if "price" in columns else None,
        size=_floats(columns["size"]) if "size" in columns else None,
        trade_key=key,
        trade_number=number,
        whole=np.asarray(columns["is_snapshot"].to_numpy(zero_copy_only=False), dtype=np.bool_)
        if "is_snapshot" in columns
        else None,
        prices=prices,
        sizes=sizes,
    )


def _clock(column: pa.Array | None, table: VendorTable, n: int) -> tuple[Integers, Flags]:
    """Ns since 1970, 0 where null, and where it is null. A clock in us that ns cannot hold is as far as they go."""
    if column is None:
        return np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.bool_)
    null = np.asarray(column.is_null().to_numpy(zero_copy_only=False))
    if pa.types.is_timestamp(column.type):
        return _integers(column.cast(pa.timestamp("ns", column.type.tz), safe=False).cast(pa.int64()), 0), null
    factor = UNIT_NS[table.unit]
    most = np.iinfo(np.int64).max // factor
    return np.clip(_integers(column, 0), -most, most) * factor, null


def _integers(column: pa.Array, missing: int) -> Integers:
    filled = column.cast(pa.int64(), safe=False).fill_null(missing)
    return np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.int64)


def _floats(column: pa.Array) -> Floats:
    return np.asarray(pl.Series(column).cast(pl.Float64, strict=False).to_numpy(), dtype=np.float64)


def _sides(column: pa.Array, table: VendorTable) -> Codes:
    field = table.field("side")
    assert field is not None
    assert field.values is not None, "a side is told by values"
    codes = {value: SIDE_CODES.get(word, UNKNOWN) for value, word in field.values.items()}
    texts = pl.Series(column).cast(pl.String)
    return np.asarray(texts.replace_strict(codes, default=UNKNOWN, return_dtype=pl.UInt8).to_numpy(), dtype=np.uint8)


def _trade_ids(column: pa.Array) -> tuple[Keys, Integers]:
    texts = pl.Series(column).cast(pl.String)
    numbers = texts.cast(pl.Int64, strict=False).fill_null(-1)
    keys = pl.select(pl.when(texts.is_null()).then(pl.lit(0, pl.UInt64)).otherwise(texts.hash())).to_series()
    return np.asarray(keys.to_numpy()), np.asarray(numbers.to_numpy())


def _levels(columns: dict[str, pa.Array], table: VendorTable, n: int) -> tuple[Floats | None, Floats | None]:
    if table.levels is None:
        return None, None
    told = {"price": np.empty((n, 2, table.levels.depth)), "size": np.empty((n, 2, table.levels.depth))}
    for side, level, what, name in table.levels.columns():
        told[what][:, SIDE_CODES[side], level] = _floats(columns[name])
    return told["price"], told["size"]
