"""Reads numbers as whole multiples of a power of ten: doubles by the decimal that was meant, texts as they stand.

The decimal that a double means is the shortest that reads back as the same double. Of at most 15 digits there is never
more than one that does, and it is found by trial: `round(value * 10**places)` is its mantissa, and dividing that again
is the reading back, for a whole number below 2**53 divided by a power of ten up to 10**22 is rounded once, as a text
would be. What is not found so is named in `refused`: the caller looks with slower means, or refuses it.
"""

import numpy as np

from tidelake.kernels.compiling import kernel

MOST_PLACES = 22  # powers of ten up to this are exact as doubles
DIGITS = 18
SHORT = 1e15  # below it no two decimals of as many places are the same double
NOT_FOUND = -10_000
TENS = np.array([10.0**places for places in range(MOST_PLACES + 1)])
WHOLE_TENS = np.array([10**places for places in range(DIGITS + 1)], dtype=np.int64)
ZERO, NINE, PLUS, MINUS, POINT, SMALL_E, LARGE_E = 48, 57, 43, 45, 46, 101, 69


@kernel
def _shortest(value):
    """Mantissa and exponent (<= 0) of the decimal of at most 15 digits; exponent NOT_FOUND where there is none."""
    for places in range(MOST_PLACES + 1):
        scaled = value * TENS[places]
        if not abs(scaled) < SHORT:
            break
        mantissa = np.rint(scaled)
        if mantissa / TENS[places] == value:
            return np.int64(mantissa), -places
    return np.int64(0), NOT_FOUND


@kernel
def _rescaled(mantissa, exponent, wanted):
    """The mantissa at the wanted exponent and True; False where it is not whole or has more than 18 digits."""
    shift = exponent - wanted
    if shift < 0:
        if -shift > DIGITS or mantissa % WHOLE_TENS[-shift]:
            return np.int64(0), mantissa == 0
        return mantissa // WHOLE_TENS[-shift], True
    if mantissa == 0:
        return mantissa, True
    if shift > DIGITS or abs(mantissa) > (WHOLE_TENS[DIGITS] - 1) // WHOLE_TENS[shift]:
        return np.int64(0), False
    return mantissa * WHOLE_TENS[shift], True


@kernel
def _lower(exponent, mantissa, found):
    """The largest exponent up to `exponent` by which mantissa * 10**found is whole."""
    while 0 <= found < exponent and mantissa % 10 == 0:
        mantissa //= 10
        found += 1
    return min(exponent, found)


@kernel
def float_exponent(values, exponent, refused):
    """The largest exponent up to `exponent` by which all values are whole, and how many were refused.

    Args:
        values: float64[n]; 0 and NaN are whole by any.
        exponent: Where to begin.
        refused: int64[n], written: places of the values that are not looked at; see the module.

    Cost: a product and a division each. Oracle: `Decimal(repr(value))`, under tests.
    """
    count = 0
    for i in range(len(values)):
        value = values[i]
        if value == 0 or np.isnan(value):
            continue
        if -MOST_PLACES <= exponent <= 0:
            scaled = value * TENS[-exponent]
            if abs(scaled) < SHORT and np.rint(scaled) / TENS[-exponent] == value:
                continue
        mantissa, found = _shortest(value)
        if found == NOT_FOUND:
            refused[count] = i
            count += 1
        else:
            exponent = _lower(exponent, mantissa, found)
    return exponent, count


@kernel
def float_mantissas(values, exponent, out, refused):
    """Values as multiples of 10**exponent; returns how many were refused.

    Args:
        values: float64[n]; NaN becomes 0.
        exponent: One by which all are whole.
        out: int64[n], written.
        refused: int64[n], written: places of the values that are not written, or have more than 18 digits so.
    """
    count = 0
    fast = -MOST_PLACES <= exponent <= 0
    ten = TENS[-exponent] if fast else 1.0
    for i in range(len(values)):
        value = values[i]
        out[i] = 0
        if fast:
            scaled = value * ten
            if abs(scaled) < SHORT:
                mantissa = np.rint(scaled)
                if mantissa / ten == value:
                    out[i] = np.int64(mantissa)
                    continue
        if value == 0 or np.isnan(value):
            continue
        mantissa, found = _shortest(value)
        good = found != NOT_FOUND
        if good:
            out[i], good = _rescaled(mantissa, found, exponent)
        if not good:
            refused[count] = i
            count += 1
    return count


@kernel
def _read_power(text, start, end):
    """The number behind an `e`, of at most four digits; NOT_FOUND where it is none."""
    negative = start < end and text[start] == MINUS
    if start < end and (text[start] == MINUS or text[start] == PLUS):
        start += 1
    if start == end or end - start > 4:
        return NOT_FOUND
    power = 0
    for at in range(start, end):
        if text[at] < ZERO or text[at] > NINE:
            return NOT_FOUND
        power = power * 10 + (int(text[at]) - ZERO)
    return -power if negative else power


@kernel
def _read_number(text, start, end):
    """Mantissa without zeros at its end, and exponent, of text[start:end]; NOT_FOUND where it is no number, or of more
    than 18 digits.
    """
    negative = start < end and text[start] == MINUS
    if start < end and (text[start] == MINUS or text[start] == PLUS):
        start += 1
    mantissa, point = np.int64(0), False
    digits, zeros, exponent, length = 0, 0, 0, 0
    for at in range(start, end):
        byte = text[at]
        if byte == POINT and not point:
            point = True
            continue
        if (byte == SMALL_E or byte == LARGE_E) and digits:
            power = _read_power(text, at + 1, end)
            if power == NOT_FOUND:
                return np.int64(0), NOT_FOUND
            exponent += power
            break
        if byte < ZERO or byte > NINE:
            return np.int64(0), NOT_FOUND
        digits += 1
        exponent -= point
        if byte == ZERO:
            zeros += mantissa != 0
            continue
        length += zeros + 1
        if length > DIGITS:
            return np.int64(0), NOT_FOUND
        mantissa = np.int64(mantissa * WHOLE_TENS[zeros + 1] + (np.int64(byte) - ZERO))
        zeros = 0
    if digits == 0:
        return np.int64(0), NOT_FOUND
    return -mantissa if negative else mantissa, exponent + zeros


@kernel
def text_exponent(text, offsets, missing, exponent, refused):
    """The largest exponent up to `exponent` by which all numbers are whole, and how many were refused.

    Args:
        text: uint8[..].
        offsets: int32[n + 1] or int64[n + 1], where each number begins.
        missing: bool[n], True where there is none.
        exponent: Where to begin.
        refused: int64[n], written: places of texts that are no numbers, or have more than 18 digits.
    """
    count = 0
    for i in range(len(missing)):
        if missing[i]:
            continue
        mantissa, found = _read_number(text, offsets[i], offsets[i + 1])
        if found == NOT_FOUND:
            refused[count] = i
            count += 1
        elif mantissa:
            exponent = min(exponent, found)
    return exponent, count


@kernel
def text_mantissas(text, offsets, missing, exponent, out, refused):
    """Numbers as multiples of 10**exponent into out: int64[n], 0 where missing; returns how many were refused."""
    count = 0
    for i in range(len(missing)):
        out[i] = 0
        if missing[i]:
            continue
        mantissa, found = _read_number(text, offsets[i], offsets[i + 1])
        good = found != NOT_FOUND
        if good:
            out[i], good = _rescaled(mantissa, found, exponent)
        if not good:
            refused[count] = i
            count += 1
    return count
