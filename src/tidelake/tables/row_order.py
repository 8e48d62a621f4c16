"""The order of rows within a file."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def _places(values: pa.Array) -> NDArray[np.integer]:
    """Whole numbers in the order of the column's values; of texts small ones, which numpy sorts by radix."""
    places: NDArray[np.integer]
    if not pa.types.is_string(values.type):
        whole = pa.int32() if values.type.bit_width == 32 else pa.int64()
        places = values.view(whole).to_numpy(zero_copy_only=False)
        return places
    coded = values.dictionary_encode()
    words = coded.dictionary.to_pylist()
    rank: NDArray[np.integer] = np.empty(len(words), dtype=np.uint16 if len(words) < 1 << 16 else np.int64)
    rank[sorted(range(len(words)), key=words.__getitem__)] = np.arange(len(words))
    places = rank[coded.indices.to_numpy(zero_copy_only=False)]
    return places


def sort_rows(rows: pa.Table, by: Sequence[str]) -> pa.Table:
    """The rows in the order of some columns, those of equal ones in the order in which they come.

    Column after column, the last one first, each stable: rows mostly come in order of time, and of few symbols.

    Args:
        rows: The columns of `by` are texts, dates or times, without nulls.
        by: Columns to sort by, ascending; texts by their code points.
    """
    if len(rows) < 2:
        return rows
    whole = rows.combine_chunks()  # of many chunks each row would be looked for
    order = np.arange(len(rows))
    for name in reversed(by):
        places = _places(whole[name].chunk(0))[order]
        if (places[1:] < places[:-1]).any():
            order = order[places.argsort(kind="stable")]
    if (order[1:] > order[:-1]).all():
        return rows
    return whole.take(pa.array(order))
