"""Reads values at known places of a text: numbers, times and strings, straight into column buffers.

`tokens` is int64[n, 2], start and end of each value in `text`; `types` is uint8[n] as `json_tokens` writes it. `good`
is bool[n], written: False where the value is missing, of another form, or too long for the fast way; a slower reader
must then look, and what was written for it means nothing.
"""

import numpy as np

from tidelake.kernels.compiling import kernel
from tidelake.kernels.json_tokens import NUMBER, STRING, byte_at

ZERO, NINE, PLUS, MINUS, POINT = 48, 57, 43, 45, 46
SMALL_E, LARGE_E = 101, 69
LOW = np.uint64(0xFFFFFFFF)
POWERS = np.array([10**i for i in range(20)], dtype=np.uint64)
MONTH_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)


@kernel
def _digits(text, start, end):
    """Value of text[start:end] as digits; -1 where there are none, more than 18, or another byte."""
    if end <= start or end - start > 18:
        return -1
    value = 0
    for at in range(start, end):
        digit = byte_at(text, at) - ZERO
        if byte_at(text, at) < ZERO or byte_at(text, at) > NINE:
            return -1
        value = value * 10 + digit
    return value


@kernel
def read_integers(text, tokens, types, out, good):
    """Whole numbers of at most 18 digits, as JSON number or string, into out: int64[n]."""
    for i in range(len(tokens)):
        start, end = tokens[i, 0], tokens[i, 1]
        good[i] = False
        if types[i] != NUMBER and types[i] != STRING:
            continue
        negative = start < end and byte_at(text, start) == MINUS
        value = _digits(text, start + 1 if negative else start, end)
        if value >= 0:
            out[i] = -value if negative else value
            good[i] = True


@kernel(inline="always")
def wide_product(one, other):
    """The 128 bits of the product of two uint64, low word first."""
    a_high, a_low = one >> np.uint64(32), one & LOW
    b_high, b_low = other >> np.uint64(32), other & LOW
    low, mid, cross, high = a_low * b_low, a_high * b_low, a_low * b_high, a_high * b_high
    carry = (low >> np.uint64(32)) + (mid & LOW) + (cross & LOW)
    high_word = high + (mid >> np.uint64(32)) + (cross >> np.uint64(32)) + (carry >> np.uint64(32))
    return (low & LOW) | ((carry & LOW) << np.uint64(32)), high_word


@kernel
def _exponent(text, start, end):
    """Value of text[start:end] as an exponent of one or two digits; 100 where it is none."""
    sign = 1
    if start < end and (byte_at(text, start) == MINUS or byte_at(text, start) == PLUS):
        sign = -1 if byte_at(text, start) == MINUS else 1
        start += 1
    value = _digits(text, start, end)
    return sign * value if 0 <= value < 100 else 100


@kernel
def read_decimals(text, tokens, types, out, good):
    """Decimals of at most 18 digits in all, as Decimal(38, 18); an exponent has one or two digits.

    out: uint64[n, 2], written: the value times 10**18 as a 128-bit number in two's complement, low word first, which is
    Arrow's and Parquet's own form.
    """
    for i in range(len(tokens)):
        start, end = tokens[i, 0], tokens[i, 1]
        good[i] = False
        if types[i] != NUMBER and types[i] != STRING:
            continue
        negative = start < end and byte_at(text, start) == MINUS
        if negative:
            start += 1
        mantissa, count, behind, point = np.uint64(0), 0, 0, False
        plain = True
        for at in range(start, end):
            byte = byte_at(text, at)
            if byte == POINT and not point:
                point = True
                continue
            if (byte == SMALL_E or byte == LARGE_E) and count:
                exponent = _exponent(text, at + 1, end)
                plain = exponent < 100
                behind -= exponent
                break
            if byte < ZERO or byte > NINE:
                plain = False
                break
            mantissa = mantissa * np.uint64(10) + np.uint64(byte - ZERO)
            count += 1
            behind += point
        if not plain or count == 0 or count > 18 or behind < 0 or behind > 18:
            continue
        low_word, high_word = wide_product(mantissa, POWERS[18 - behind])
        if negative:
            low_word = ~low_word + np.uint64(1)
            high_word = ~high_word + np.uint64(low_word == 0)
        out[i, 0], out[i, 1] = low_word, high_word
        good[i] = True


@kernel
def read_seconds(text, tokens, types, out, good):
    """Seconds with or without digits behind the point into out: int64[n] microseconds; further digits are cut."""
    for i in range(len(tokens)):
        start, end = tokens[i, 0], tokens[i, 1]
        good[i] = False
        if types[i] != NUMBER and types[i] != STRING:
            continue
        point = start
        while point < end and byte_at(text, point) != POINT:
            point += 1
        whole = _digits(text, start, point)
        if whole < 0 or point - start > 12:
            continue
        micros, scale = 0, 100_000
        plain = True
        for at in range(point + 1, end):
            if byte_at(text, at) < ZERO or byte_at(text, at) > NINE:
                plain = False
                break
            micros += (byte_at(text, at) - ZERO) * scale
            scale //= 10
        if plain:
            out[i] = whole * 1_000_000 + micros
            good[i] = True


@kernel
def _days(year, month, day):
    """Days since 1970-01-01 of a date of the Gregorian calendar (era and day-of-era, all in whole numbers)."""
    shifted = year - (month <= 2)
    era = shifted // 400
    year_of_era = shifted - era * 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


@kernel
def read_iso_times(text, tokens, types, out, good):
    """YYYY-MM-DDTHH:MM:SS[.fraction]Z into out: int64[n] microseconds since 1970; digits past the sixth are cut."""
    for i in range(len(tokens)):
        start, end = tokens[i, 0], tokens[i, 1]
        good[i] = False
        if types[i] != STRING or end - start < 20 or end - start > 30 or byte_at(text, end - 1) != 90:  # Z
            continue
        year, month, day = (
            _digits(text, start, start + 4),
            _digits(text, start + 5, start + 7),
            _digits(text, start + 8, start + 10),
        )
        hour, minute, second = (
            _digits(text, start + 11, start + 13),
            _digits(text, start + 14, start + 16),
            _digits(text, start + 17, start + 19),
        )
        marks = (
            byte_at(text, start + 4) == MINUS
            and byte_at(text, start + 7) == MINUS
            and byte_at(text, start + 13) == 58
            and byte_at(text, start + 16) == 58
        )
        between = byte_at(text, start + 10) == 84 or byte_at(text, start + 10) == 32  # T or a space
        if (
            not (marks and between)
            or year < 1
            or month < 1
            or month > 12
            or day < 1
            or hour < 0
            or minute < 0
            or second < 0
        ):
            continue
        leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        if day > MONTH_DAYS[month - 1] + leap or hour > 23 or minute > 59 or second > 59:
            continue
        micros, scale = 0, 100_000
        plain = True
        if end - start > 20:
            plain = byte_at(text, start + 19) == POINT and end - start > 21
            for at in range(start + 20, end - 1):
                if byte_at(text, at) < ZERO or byte_at(text, at) > NINE:
                    plain = False
                    break
                micros += (byte_at(text, at) - ZERO) * scale
                scale //= 10
        if plain:
            seconds = _days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second
            out[i] = seconds * 1_000_000 + micros
            good[i] = True


@kernel
def measure(tokens, types, wanted, offsets):
    """Offsets of the values of type `wanted` laid end to end: int32[n + 1], written; others take no room."""
    total = 0
    offsets[0] = 0
    for i in range(len(tokens)):
        if types[i] == wanted:
            total += tokens[i, 1] - tokens[i, 0]
        offsets[i + 1] = total


@kernel
def gather(text, tokens, types, wanted, offsets, out):
    """Lay the values of type `wanted` end to end into out: uint8[offsets[-1]]."""
    for i in range(len(tokens)):
        if types[i] == wanted:
            start, length = tokens[i, 0], offsets[i + 1] - offsets[i]
            for j in range(length):
                out[offsets[i] + j] = byte_at(text, start + j)


@kernel
def mark_equal(text, tokens, types, wanted, word, out):
    """Sets out: bool[n] to True where a value of type `wanted` is the bytes of word: uint8[..]; leaves the others."""
    for i in range(len(tokens)):
        start = tokens[i, 0]
        if types[i] != wanted or tokens[i, 1] - start != len(word):
            continue
        same = True
        for j in range(len(word)):
            if byte_at(text, start + j) != word[j]:
                same = False
                break
        if same:
            out[i] = True
