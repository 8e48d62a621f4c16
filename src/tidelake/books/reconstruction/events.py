"""Reconstructed events, read in order: batch by batch, in the form that is asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from tidelake.books.reconstruction.numbers import as_decimals, as_numpy
from tidelake.books.reconstruction.partitions import Partition, windows
from tidelake.errors import NotInLake
from tidelake.raw.store import Store

EventForm = Literal["polars", "arrow", "numpy"]
Batch = "pl.DataFrame | pa.Table | dict[str, np.ndarray[Any, Any]]"
# Numbers by their name in decimals: the column of mantissas, and that of the exponent.
NUMBERS = {
    "price": ("price_mantissa", "price_exponent"),
    "size": ("size_mantissa", "size_exponent"),
    "best_bid": ("best_bid_price", "price_exponent"),
    "bid_size": ("best_bid_size", "size_exponent"),
    "best_ask": ("best_ask_price", "price_exponent"),
    "ask_size": ("best_ask_size", "size_exponent"),
    "size_left": ("model_size_left", "size_exponent"),
}
LISTS = {
    "bid_prices": "price_exponent",
    "bid_sizes": "size_exponent",
    "ask_prices": "price_exponent",
    "ask_sizes": "size_exponent",
}
DRIFT = ("drift_levels", "drift_prices", "drift_sizes", "drift_best_rms")
FIRST = ("day", "place", "event_type", "event_time", "recv_ns", "known_at", "update_id", "side")
LAST = ("bids_known", "asks_known", "imbalance", "validity", "rule", *DRIFT, "segment", "line", "item")
EXPONENTS = ("price_exponent", "size_exponent")


@dataclass(frozen=True)
class EventShape:
    """What a batch looks like.

    Attributes:
        levels: Levels of each side; None for as many as were kept, 0 for none.
        mantissas: Integers, under the table's names and with its exponents, in place of decimals or floats.
        unproven: Also levels beyond the known depth; else they are null.
        form: numpy gives a dict of arrays: numbers as float64 with NaN (or mantissas), lists as matrices, and -1 for a
            number of updates or levels that is not there.
        batch: Rows of a batch, at most.
    """

    levels: int | None = None
    mantissas: bool = False
    unproven: bool = False
    form: EventForm = "polars"
    batch: int = 1 << 16

    def __post_init__(self) -> None:
        if self.form not in ("polars", "arrow", "numpy"):
            raise NotInLake(
                f"no form {self.form!r}; expected polars, arrow or numpy", available=("polars", "arrow", "numpy")
            )
        if self.batch < 1 or (self.levels or 0) < 0:
            raise ValueError(f"batch must be 1 or more and levels 0 or more, found {self.batch} and {self.levels}")


def columns_of(shape: EventShape) -> tuple[str, ...]:
    """The columns of the table that a batch is made of."""
    lists = () if shape.levels == 0 else tuple(LISTS)
    numbers = tuple(mantissa for mantissa, _ in NUMBERS.values())
    return (*FIRST, *EXPONENTS, *numbers, "trade_id", *lists, *LAST)


def clock_between(partition: Partition, start_ns: int | None, end_ns: int | None) -> pl.Expr | None:
    """Rows whose declared clock lies in the time; the end is exclusive."""
    clock = pl.col("recv_ns") if partition.clock == "recv_ns" else pl.col("event_time").dt.timestamp("us") * 1_000
    asked = [] if start_ns is None else [clock >= start_ns]
    asked += [] if end_ns is None else [clock < end_ns]
    return pl.all_horizontal(asked) if asked else None


def event_batches(
    store: Store,
    chosen: Sequence[Partition],
    shape: EventShape,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> Iterator[Any]:
    """Batches of events of these days in order.

    Args:
        start_ns, end_ns: On the declared clock of the strategy; the end is exclusive.
    """
    for partition in chosen:
        width = partition.levels if shape.levels is None else min(shape.levels, partition.levels)
        for rows in windows(store, partition, columns_of(shape), clock_between(partition, start_ns, end_ns)):
            for part in rows.iter_slices(shape.batch):
                if part.height:
                    yield shaped(part, shape, width)


def shaped(rows: pl.DataFrame, shape: EventShape, width: int) -> Any:
    """Rows of one day, as they are asked for; lists are cut to `width`."""
    table = rows.to_arrow()
    table = table.cast(pa.schema([_small(field) for field in table.schema])).combine_chunks()
    if not shape.unproven:
        table = _without_unknown(table)
    for name in LISTS if shape.levels != 0 else ():
        table = _with(table, name, pc.list_slice(_whole(table, name), 0, max(width, 1)))
    if shape.form == "numpy":
        return _as_arrays(table, shape, width)
    if not shape.mantissas:
        table = _in_decimals(table, shape)
    return table if shape.form == "arrow" else pl.DataFrame(pl.from_arrow(table))


def _small(field: pa.Field) -> pa.Field:
    """Polars gives large lists and string views."""
    if pa.types.is_large_list(field.type):
        return field.with_type(pa.list_(field.type.value_type))
    return (
        field.with_type(pa.string())
        if pa.types.is_string_view(field.type) or pa.types.is_large_string(field.type)
        else field
    )


def _whole(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays([*column.chunks, pa.array([], column.type)])


def _with(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def _without_unknown(table: pa.Table) -> pa.Table:
    for side in ("bid", "ask"):
        known = _whole(table, f"{side}s_known")
        none = pc.fill_null(pc.less(known, 1), False)
        for name in (f"best_{side}_price", f"best_{side}_size"):
            table = _with(table, name, pc.if_else(none, pa.scalar(None, pa.int64()), _whole(table, name)))
        for name in (f"{side}_prices", f"{side}_sizes"):
            if name in table.column_names:
                table = _with(table, name, _known_levels(_whole(table, name), known))
    return table


def _known_levels(lists: pa.Array, known: pa.Array) -> pa.Array:
    lists = pa.concat_arrays([lists])
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    starts = np.cumsum(counts) - counts
    place = np.arange(int(counts.sum())) - np.repeat(starts, counts)
    most = np.repeat(pc.fill_null(known, 0).to_numpy(zero_copy_only=False), counts)
    if (place < most).all():
        return lists
    values = pc.if_else(pa.array(place < most), lists.flatten(), pa.scalar(None, pa.int64()))
    offsets = pa.array(np.append(starts, counts.sum()).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, values, mask=lists.is_null() if lists.null_count else None)


def _in_decimals(table: pa.Table, shape: EventShape) -> pa.Table:
    exponents = {name: table.column(name)[0].as_py() for name in EXPONENTS}
    numbers = {name: as_decimals(_whole(table, m), exponents[e]) for name, (m, e) in NUMBERS.items()}
    lists = {} if shape.levels == 0 else {n: as_decimals(_whole(table, n), exponents[e]) for n, e in LISTS.items()}
    columns = {name: table.column(name) for name in (*FIRST, "trade_id", *LAST)} | numbers | lists
    return pa.table({name: columns[name] for name in (*FIRST, *NUMBERS, "trade_id", *lists, *LAST)})


def _as_arrays(table: pa.Table, shape: EventShape, width: int) -> "dict[str, np.ndarray[Any, Any]]":
    exponents = {name: table.column(name)[0].as_py() for name in EXPONENTS}
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name in (*FIRST, "trade_id", *LAST):
        column = pl.Series(name, table.column(name))
        arrays[name] = (column.fill_null(-1) if column.dtype.is_integer() else column).to_numpy()
    for name, (mantissa, exponent) in NUMBERS.items():
        told = mantissa if shape.mantissas else name
        arrays[told] = as_numpy(_whole(table, mantissa), exponents[exponent], scaled=not shape.mantissas)
    for name, exponent in LISTS.items() if shape.levels != 0 else ():
        values = _whole(table, name)
        arrays[name] = as_numpy(values, exponents[exponent], scaled=not shape.mantissas, width=width)
    return arrays
