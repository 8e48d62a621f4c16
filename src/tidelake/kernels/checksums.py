"""CRC32 of a book's best levels, over the text that the venue says, printed from mantissas and exponents.

The polynomial is that of zlib. `text` is uint8[TEXT_BYTES], overwritten.
"""

import numpy as np

from tidelake.kernels.book_sides import (
    COUNT,
    FIRST,
    POWERS,
    PRICE_EXPONENT,
    SIZE,
    SIZE_EXPONENT,
    price_as_sent,
)
from tidelake.kernels.compiling import inner

KRAKEN_LEVELS, OKX_LEVELS = 10, 25
TEXT_BYTES = 2 * OKX_LEVELS * 2 * 150  # an int8 exponent prints at most 127 zeros
AS_SENT = -1
ZERO, POINT, COLON = 48, 46, 58


def _tables():
    """uint32[8, 256]: how each byte moves the sum when 0 to 7 bytes follow it."""
    first = np.zeros(256, np.uint32)
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
        first[byte] = crc
    tables = np.zeros((8, 256), np.uint32)
    tables[0] = first
    for i in range(1, 8):
        tables[i] = tables[i - 1] >> np.uint32(8) ^ first[tables[i - 1] & 255]
    return tables


TABLES = _tables()
PAIRS = np.array([[ZERO + i // 10, ZERO + i % 10] for i in range(100)], dtype=np.uint8)


@inner
def crc32(text, count):
    """CRC32 of text[:count], uint8, as int64 from 0 to 2**32 - 1."""
    crc = np.uint32(0xFFFFFFFF)
    at = 0
    while at + 8 <= count:
        low = crc ^ (
            np.uint32(text[at])
            | np.uint32(text[at + 1]) << np.uint32(8)
            | np.uint32(text[at + 2]) << np.uint32(16)
            | np.uint32(text[at + 3]) << np.uint32(24)
        )
        crc = (
            TABLES[7, low & np.uint32(255)]
            ^ TABLES[6, low >> np.uint32(8) & np.uint32(255)]
            ^ TABLES[5, low >> np.uint32(16) & np.uint32(255)]
            ^ TABLES[4, low >> np.uint32(24)]
            ^ TABLES[3, text[at + 4]]
            ^ TABLES[2, text[at + 5]]
            ^ TABLES[1, text[at + 6]]
            ^ TABLES[0, text[at + 7]]
        )
        at += 8
    for i in range(at, count):
        crc = crc >> np.uint32(8) ^ TABLES[0, (crc ^ np.uint32(text[i])) & np.uint32(255)]
    return np.int64(crc ^ np.uint32(0xFFFFFFFF))


@inner
def count_digits(value):
    """Digits of a whole number >= 0; 1 for 0."""
    count = 9 if value >= POWERS[8] else 1
    while count < 19 and value >= POWERS[count]:
        count += 1
    return count


@inner
def print_digits(text, at, value):
    """Writes a whole number >= 0 without leading zeros; the place behind it."""
    count = count_digits(value)
    rest = np.uint64(value)
    i = at + count - 1
    while i > at:
        quotient = rest // np.uint64(100)
        pair = rest - quotient * np.uint64(100)
        text[i - 1], text[i] = PAIRS[pair, 0], PAIRS[pair, 1]
        rest = quotient
        i -= 2
    if i == at:
        text[at] = ZERO + np.uint8(rest)
    return at + count


@inner
def print_zeros(text, at, count):
    """Writes zeros; the place behind them."""
    for i in range(at, at + count):
        text[i] = ZERO
    return at + max(count, 0)


@inner
def print_padded(text, at, mantissa, exponent, places):
    """Writes the digits without point and leading zeros, with zeros at the end up to so many decimals."""
    at = print_digits(text, at, mantissa)
    wanted = exponent if places == AS_SENT else exponent + places
    return print_zeros(text, at, wanted if mantissa else 0)


@inner
def print_decimal(text, at, mantissa, exponent):
    """Writes the decimal as it was sent: 50 with exponent -3 is 0.050."""
    if exponent >= 0:
        at = print_digits(text, at, mantissa)
        return print_zeros(text, at, exponent if mantissa else 0)
    count = count_digits(mantissa)
    if -exponent >= count:
        text[at] = ZERO
        text[at + 1] = POINT
        return print_digits(text, print_zeros(text, at + 2, -exponent - count), mantissa)
    end = print_digits(text, at + 1, mantissa)
    for i in range(at, end + exponent - 1):
        text[i] = text[i + 1]
    text[end + exponent - 1] = POINT
    return end


@inner
def kraken_checksum(levels, sides, slot, price_places, size_places, text):
    """CRC32 of the ten best asks, then the ten best bids, best first: price and size of each."""
    at = 0
    for side in (2 * slot + 1, 2 * slot):
        best = sides[side, FIRST] + sides[side, COUNT] - 1
        for i in range(min(KRAKEN_LEVELS, sides[side, COUNT])):
            price = price_as_sent(levels, sides, slot, best - i)
            at = print_padded(text, at, price, levels[best - i, PRICE_EXPONENT], price_places)
            at = print_padded(text, at, levels[best - i, SIZE], levels[best - i, SIZE_EXPONENT], size_places)
    return crc32(text, at)


@inner
def okx_checksum(levels, sides, slot, text):
    """CRC32 as signed 32-bit number of bid:size:ask:size.. of 25 levels; a shorter side ends sooner."""
    at = 0
    for i in range(OKX_LEVELS):
        for side in (2 * slot, 2 * slot + 1):
            if i < sides[side, COUNT]:
                place = sides[side, FIRST] + sides[side, COUNT] - 1 - i
                if at:
                    text[at] = COLON
                    at += 1
                at = print_decimal(text, at, price_as_sent(levels, sides, slot, place), levels[place, PRICE_EXPONENT])
                text[at] = COLON
                at = print_decimal(text, at + 1, levels[place, SIZE], levels[place, SIZE_EXPONENT])
    crc = crc32(text, at)
    return crc - 2**32 if crc >= 2**31 else crc
