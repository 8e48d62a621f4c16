"""Mantissas and exponents as vendors write numbers: as float64, and as decimal text."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Integers = npt.NDArray[np.int64]

EXACT = 1 << 53  # integers below it, and powers of ten up to the 22nd, are doubles: one division rounds once
MOST_POWER = 22


def to_floats(mantissa: Integers, exponent: Integers) -> npt.NDArray[np.float64]:
    """The double nearest to each mantissa * 10**exponent; mantissas not negative."""
    floats = mantissa.astype(np.float64)
    power = 10.0 ** np.minimum(np.abs(exponent), MOST_POWER)
    found = np.where(exponent < 0, floats / power, floats * power)
    for at in np.flatnonzero((mantissa >= EXACT) | (np.abs(exponent) > MOST_POWER)).tolist():
        found.flat[at] = float(f"{mantissa.flat[at]}e{exponent.flat[at]}")
    return found


def to_texts(mantissa: Integers, exponent: Integers) -> pa.Array:
    """Each mantissa * 10**exponent, all digits and no zero too many: 61737.63, 0.00000001, 1200, 0; one dimension."""
    parts, order = [], []
    for power in np.unique(exponent).tolist():
        at = np.flatnonzero(exponent == power)
        parts.append(_texts_of_power(mantissa[at], power))
        order.append(at)
    if not parts:
        return pa.array([], pa.string())
    back = np.empty(len(mantissa), np.int64)
    back[np.concatenate(order)] = np.arange(len(mantissa))
    return pa.concat_arrays(parts).take(pa.array(back))


def _texts_of_power(mantissa: Integers, power: int) -> pa.Array:
    digits = pc.cast(pa.array(mantissa), pa.string())
    if power >= 0:
        return pc.if_else(pa.array(mantissa == 0), "0", pc.binary_join_element_wise(digits, "0" * power, ""))
    padded = pc.utf8_lpad(digits, 1 - power, "0")
    whole = pc.utf8_slice_codeunits(padded, 0, power)
    rest = pc.utf8_rtrim(pc.utf8_slice_codeunits(padded, power), "0")
    return pc.utf8_rtrim(pc.binary_join_element_wise(whole, rest, "."), ".")
