"""The order of rows within a file."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray


def _one_value(column: pl.Series) -> bool:
    if column.null_count():
        return column.null_count() == len(column)
    return column[0] == column[-1] and bool((column == column[0]).all())


def _places(column: pl.Series) -> NDArray[np.integer]:
    """Whole numbers in the order of the column's values; of texts small ones, which numpy sorts by radix."""
    if column.dtype == pl.String:
        words = sorted(column.unique().to_list())
        places = column.cast(pl.Enum(words)).to_physical()
        return places.cast(pl.UInt16).to_numpy() if len(words) < 1 << 16 else places.to_numpy()
    return column.to_physical().to_numpy()


def sort_rows(rows: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """The rows, sorted as `rows.sort(by, maintain_order=True)` sorts them, in a third of the time.

    Column after column, the last one first, each stable: rows mostly come in order of time, and of few symbols. Columns
    of one value are neither compared nor moved.

    Args:
        rows: The columns of `by` are texts, dates or times, without nulls.
        by: Columns to sort by, ascending.
    """
    if rows.height < 2:
        return rows
    moved = [column.name for column in rows if not _one_value(column)]
    order = np.arange(rows.height)
    for name in reversed(by):
        if name in moved:
            order = order[_places(rows[name])[order].argsort(kind="stable")]
    return rows.with_columns(rows.select(moved)[order]) if moved else rows
