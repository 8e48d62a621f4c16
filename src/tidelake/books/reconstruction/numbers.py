"""Mantissas of a column or list column as the numbers that they stand for."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tidelake.errors import FormatDrift
from tidelake.tables.arrow_types import EXACT

NO_MANTISSA = np.iinfo(np.int64).min
Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]


def as_decimals(mantissas: pa.Array, exponent: int) -> pa.Array:
    """Decimal(38, 18) of int64 or list<int64> mantissas; nulls stay.

    Raises:
        FormatDrift: A number has more than 18 decimals or 20 digits before the point.
    """
    if pa.types.is_list(mantissas.type):
        mantissas = pa.concat_arrays([mantissas])  # offsets from 0
        values = as_decimals(mantissas.values, exponent)
        mask = mantissas.is_null() if mantissas.null_count else None
        return pa.ListArray.from_arrays(mantissas.offsets, values, mask=mask)
    scaled = mantissas if exponent <= 0 else pc.multiply_checked(mantissas, pa.scalar(10**exponent, pa.int64()))
    wide = np.empty((len(scaled), 2), np.int64)  # low and high word
    wide[:, 0] = pc.fill_null(scaled, 0).to_numpy(zero_copy_only=False)
    wide[:, 1] = wide[:, 0] >> 63
    kind = pa.decimal128(38, max(0, -exponent))
    exact = pa.Decimal128Array.from_buffers(kind, len(wide), [None, pa.py_buffer(wide)])
    try:
        exact = exact.cast(EXACT)
    except pa.ArrowInvalid as exc:
        raise FormatDrift(
            f"numbers with the exponent {exponent} do not fit Decimal(38, 18): {exc}. The rows are intact; ask for "
            "mantissas=True."
        ) from exc
    return pc.if_else(mantissas.is_valid(), exact, pa.scalar(None, EXACT)) if mantissas.null_count else exact


def as_numpy(mantissas: pa.Array, exponent: int, *, scaled: bool, width: int = 0) -> Numbers:
    """float64 with NaN for nulls where `scaled`, else int64 mantissas with `NO_MANTISSA`.

    Args:
        width: Of list columns: the columns of the answer, [n, width]; short lists are filled like nulls.
    """
    if pa.types.is_list(mantissas.type):
        return _as_matrix(mantissas, exponent, scaled, width)
    whole = pc.fill_null(mantissas, int(NO_MANTISSA)).to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
    return _scaled(whole, exponent) if scaled else whole


def _as_matrix(lists: pa.Array, exponent: int, scaled: bool, width: int) -> Numbers:
    counts = np.minimum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False), width)
    held = lists.flatten()
    starts = np.zeros(len(lists), np.int64)
    np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)[:-1], out=starts[1:])
    taken = np.arange(width) < counts[:, None]
    matrix = np.full((len(lists), width), NO_MANTISSA)
    values = pc.fill_null(held, int(NO_MANTISSA)).to_numpy(zero_copy_only=False)
    matrix[taken] = values[(starts[:, None] + np.arange(width))[taken]]
    return _scaled(matrix, exponent) if scaled else matrix


def _scaled(whole: npt.NDArray[np.int64], exponent: int) -> npt.NDArray[np.float64]:
    """A power of ten that is whole is exact, so one operation rounds."""
    power = 10.0 ** abs(exponent)
    values = whole / power if exponent < 0 else whole * power
    values[whole == NO_MANTISSA] = np.nan
    return np.asarray(values, np.float64)
