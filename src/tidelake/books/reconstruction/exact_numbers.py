"""Prices and sizes of vendor files as exact integers: mantissa * 10**exponent.

Of a double the decimal is meant that is the shortest to read back as the same double, as Python's `repr` writes it.
Texts are read as they stand, never through doubles; other types through their text. Trailing zeros mean nothing.
"""

from decimal import Context, Decimal, InvalidOperation

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tidelake.errors import FormatDrift
from tidelake.kernels.decimal_numbers import (
    DIGITS,
    float_exponent,
    float_mantissas,
    text_exponent,
    text_mantissas,
)

EVERY_DIGIT = Context(prec=1_000)  # texts are not rounded as they are looked at
LARGEST_EXPONENT = 127  # where the search begins, and ends where all numbers are 0


def exponent_of(column: pa.Array, exponent: int = LARGEST_EXPONENT) -> int:
    """The largest exponent up to `exponent` by which all numbers of a column are whole; nulls and NaN count nothing.

    Raises:
        FormatDrift: A text is no number, or has more than 18 digits; `line` is its place in the column.
    """
    refused = np.empty(len(column), np.int64)
    if pa.types.is_float64(column.type):
        values = _doubles(column)
        exponent, count = float_exponent(values, exponent, refused)
        for place in refused[:count].tolist():
            exponent = min(exponent, _parts(_decimal(column, place))[1])
        return int(exponent)
    text, offsets, missing = _texts(column)
    exponent, count = text_exponent(text, offsets, missing, exponent, refused)
    if count:
        raise _refusal(column, int(refused[0]))
    return int(exponent)


def mantissas_of(column: pa.Array, exponent: int) -> npt.NDArray[np.int64]:
    """int64[n], the numbers of a column in units of 10**exponent; 0 for nulls and NaN.

    Raises:
        FormatDrift: A number is not whole in these units, has more than 18 digits in them, or is no number; `line` is
            its place in the column.
    """
    out, refused = np.empty(len(column), np.int64), np.empty(len(column), np.int64)
    if pa.types.is_float64(column.type):
        count = float_mantissas(_doubles(column), exponent, out, refused)
        for place in refused[:count].tolist():
            out[place] = _mantissa(column, place, exponent)
        return out
    text, offsets, missing = _texts(column)
    count = text_mantissas(text, offsets, missing, exponent, out, refused)
    if count:
        _mantissa(column, int(refused[0]), exponent)
        raise _refusal(column, int(refused[0]))
    return out


def is_number(column: pa.Array) -> npt.NDArray[np.bool_]:
    """bool[n], False where a column has a null or NaN."""
    return ~np.asarray(pc.is_null(column, nan_is_null=pa.types.is_floating(column.type)))


def _doubles(column: pa.Array) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float64] = column.to_numpy(zero_copy_only=False)  # null becomes NaN
    return values


def _texts(column: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """Bytes, int32[n + 1] offsets into them, and bool[n], True where a number is missing."""
    column = column if pa.types.is_string(column.type) else column.cast(pa.string())
    _, offsets, data = column.buffers()
    text = np.frombuffer(data, np.uint8) if data is not None and data.size else np.empty(0, np.uint8)
    if not len(column):
        return text, np.zeros(1, np.int32), np.empty(0, np.bool_)
    places = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    return text, places, np.asarray(column.is_null())


def _decimal(column: pa.Array, place: int) -> Decimal:
    value = column[place].as_py()
    try:
        number = Decimal(repr(value) if isinstance(value, float) else str(value))
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise FormatDrift(f"{value!r} is no number", line=place)
    return number


def _parts(number: Decimal) -> tuple[int, int]:
    """Mantissa without zeros at its end, and exponent."""
    sign, digits, exponent = number.normalize(EVERY_DIGIT).as_tuple()
    assert isinstance(exponent, int)  # it is a letter where the number is not finite
    mantissa = int("".join(map(str, digits)))
    return -mantissa if sign else mantissa, exponent


def _mantissa(column: pa.Array, place: int, exponent: int) -> int:
    mantissa, power = _parts(_decimal(column, place))
    if mantissa and (power < exponent or len(str(abs(mantissa))) + power - exponent > DIGITS):
        raise _refusal(column, place, exponent)
    return mantissa * 10 ** (power - exponent) if mantissa else 0


def _refusal(column: pa.Array, place: int, exponent: int | None = None) -> FormatDrift:
    number = _decimal(column, place)
    units = "" if exponent is None else f" in units of 10**{exponent}, which numbers of the day need"
    return FormatDrift(
        f"{number} has more than {DIGITS} digits{units}: it cannot be held exactly, and nothing of the day was taken",
        line=place,
    )
