"""Reads levels of order books out of JSON lists, every digit as it was sent, straight into columns.

A value is mantissa * 10**exponent. A shape says where a level's values stand. It is one row of `shapes`, int32[s, 13]:

    FORM      LIST: the list holds lists. OBJECTS: it holds objects. SCALARS: no list; the span is the price itself, and
              the span after it is the size; no level where that is 0
    PRICE, SIZE, SIDE, ACTION, TIME
              place in the list, or number of the key among `words`; -1 where there is none. TIME: seconds
    FIXED     the side, where levels do not say it
    BID, ASK  numbers of the words for the sides
    GONE      number of the word for levels that go
    KEPT, KEPT_END   first and last + 1 of the words for levels that stay
    REMOVES   1 where every level goes

`words` are texts laid end to end, uint8[..], and `word_at` int32[w, 2] is where each starts and ends.
"""

import numpy as np

from tidelake.kernels.compiling import kernel
from tidelake.kernels.json_tokens import (
    CLOSE_LIST,
    CLOSE_OBJECT,
    COLON,
    COMMA,
    OPEN_LIST,
    OPEN_OBJECT,
    QUOTE,
    _is_space,
    _string_end,
    _token,
)

LIST, OBJECTS, SCALARS = 0, 1, 2
FORM, PRICE, SIZE, SIDE, ACTION, TIME, FIXED, BID, ASK, GONE, KEPT, KEPT_END, REMOVES = range(13)
SHAPE_WIDTH = 13
MOST_DIGITS = 18
NANOSECONDS = 9
TENS = np.array([10**i for i in range(NANOSECONDS + 1)], dtype=np.int64)
MOST_NS = (1 << 63) - 1


@kernel
def _decimal(text, at, end):
    """Mantissa and exponent of the number at `at`, quoted or not, the place after it, and whether it is plain.

    Plain is: no sign, at most 18 digits from the first that is not 0, an exponent of at most two digits.
    """
    quoted = at < end and text[at] == QUOTE
    if quoted:
        at += 1
    mantissa, count, behind = np.int64(0), 0, 0
    exponent = np.int64(0)
    point, digits = False, False
    while at < end:
        digit = np.int64(text[at]) - 48
        if 0 <= digit <= 9:
            mantissa = mantissa * 10 + digit
            digits = True
            if mantissa > 0:
                count += 1
                if count > MOST_DIGITS:
                    return mantissa, 0, at, False
            if point:
                behind += 1
        elif digit == -2 and not point:  # .
            point = True
        else:
            break
        at += 1
    if not digits or behind > 100:
        return mantissa, 0, at, False
    if at < end and (text[at] == 69 or text[at] == 101):  # E, e
        at += 1
        negative = at < end and text[at] == 45
        if at < end and (text[at] == 45 or text[at] == 43):
            at += 1
        first = at
        while at < end and 48 <= text[at] <= 57 and at - first < 3:
            exponent = exponent * 10 + np.int64(text[at]) - 48
            at += 1
        if at == first or at - first > 2:
            return mantissa, 0, at, False
        if negative:
            exponent = -exponent
    if quoted:
        if at >= end or text[at] != QUOTE:
            return mantissa, 0, at, False
        at += 1
    elif at < end:
        byte = text[at]
        if not (byte == COMMA or byte == CLOSE_LIST or byte == CLOSE_OBJECT or _is_space(byte)):
            return mantissa, 0, at, False
    exponent -= behind
    return mantissa, exponent, at, -128 <= exponent <= 127


@kernel
def _word(text, start, stop, words, word_at, first, last):
    """Number of the word from `first` to before `last` that text[start:stop] is; -1 where it is none."""
    for word in range(first, last):
        begin = word_at[word, 0]
        if word_at[word, 1] - begin != stop - start:
            continue
        same = True
        for i in range(stop - start):
            if text[start + i] != words[begin + i]:
                same = False
                break
        if same:
            return word
    return -1


@kernel
def _seconds(mantissa, exponent):
    """Seconds as nanoseconds; -1 where they do not fit or have more than nine decimals."""
    shift = exponent + NANOSECONDS
    if shift < 0 or shift > NANOSECONDS or mantissa > MOST_NS // TENS[shift]:
        return np.int64(-1)
    return mantissa * TENS[shift]


@kernel
def _read_list(text, at, end, shape, words, word_at, fixed, side, price, price_exponent, size, size_exponent, level):
    """One level that is a list and opens at `at`: the place after it, whether it is plain, and its time in ns."""
    place, needed, read, gone, newest = 0, 0, 0, shape[REMOVES] == 1, np.int64(0)
    side[level] = fixed
    needed += 1 if gone else 2
    needed += shape[SIDE] >= 0
    needed += shape[ACTION] >= 0
    needed += shape[TIME] >= 0
    at += 1
    while at < end:
        byte = text[at]
        if byte == CLOSE_LIST:
            if gone:
                size[level], size_exponent[level] = 0, 0
            return at + 1, read == needed, newest
        if byte == COMMA or _is_space(byte):
            at += 1
            continue
        if place == shape[PRICE]:
            price[level], exponent, at, plain = _decimal(text, at, end)
            price_exponent[level] = exponent
            read += plain
        elif place == shape[SIZE]:
            size[level], exponent, at, plain = _decimal(text, at, end)
            size_exponent[level] = exponent
            read += plain
        elif place == shape[TIME]:
            mantissa, exponent, at, plain = _decimal(text, at, end)
            newest = _seconds(mantissa, exponent)
            read += plain and newest >= 0
        elif place == shape[SIDE] or place == shape[ACTION]:
            if byte != QUOTE:
                return at, False, newest
            stop, _ = _string_end(text, at + 1, end)
            if place == shape[SIDE]:
                bid = _word(text, at + 1, stop, words, word_at, shape[BID], shape[BID] + 1) >= 0
                read += bid or _word(text, at + 1, stop, words, word_at, shape[ASK], shape[ASK] + 1) >= 0
                side[level] = 0 if bid else 1
            else:
                gone = _word(text, at + 1, stop, words, word_at, shape[GONE], shape[GONE] + 1) >= 0
                read += gone or _word(text, at + 1, stop, words, word_at, shape[KEPT], shape[KEPT_END]) >= 0
            at = stop + 1
        else:
            _, _, _, at = _token(text, at, end)
        place += 1
        if at < end and not (text[at] == COMMA or text[at] == CLOSE_LIST or _is_space(text[at])):
            return at, False, newest
    return at, False, newest


@kernel
def _read_object(text, at, end, shape, words, word_at, fixed, side, price, price_exponent, size, size_exponent, level):
    """One level that is an object and opens at `at`: the place after it, and whether it is plain."""
    prices, sizes, sides = 0, 0, 0
    side[level] = fixed
    at += 1
    while at < end:
        byte = text[at]
        if byte == CLOSE_OBJECT:
            whole = prices == 1 and sides == (1 if shape[SIDE] >= 0 else 0)
            if shape[REMOVES] == 1:
                size[level], size_exponent[level] = 0, 0
            else:
                whole = whole and sizes == 1
            return at + 1, whole
        if byte == COMMA or _is_space(byte):
            at += 1
            continue
        if byte != QUOTE:
            return at, False
        stop, escaped = _string_end(text, at + 1, end)
        if escaped:
            return at, False
        key = _word(text, at + 1, stop, words, word_at, 0, len(word_at))
        at = stop + 1
        while at < end and (text[at] == COLON or _is_space(text[at])):
            at += 1
        if at >= end:
            break
        plain = True
        if key >= 0 and key == shape[PRICE]:
            price[level], exponent, at, plain = _decimal(text, at, end)
            price_exponent[level] = exponent
            prices += 1
        elif key >= 0 and key == shape[SIZE]:
            size[level], exponent, at, plain = _decimal(text, at, end)
            size_exponent[level] = exponent
            sizes += 1
        elif key >= 0 and key == shape[SIDE]:
            plain = text[at] == QUOTE
            stop, _ = _string_end(text, at + 1, end)
            bid = _word(text, at + 1, stop, words, word_at, shape[BID], shape[BID] + 1) >= 0
            plain = plain and (bid or _word(text, at + 1, stop, words, word_at, shape[ASK], shape[ASK] + 1) >= 0)
            side[level] = 0 if bid else 1
            sides += 1
            at = stop + 1
        else:
            _, _, _, at = _token(text, at, end)
        if not plain:
            return at, False
    return at, False


@kernel
def read_levels(
    text,
    spans,
    span_shape,
    shapes,
    words,
    word_at,
    level_from,
    newest_ns,
    good,
    side,
    price,
    price_exponent,
    size,
    size_exponent,
):
    """Read the levels of many messages, those of a message in the order of its spans.

    Args:
        text: uint8[..].
        spans: int64[n, k, 2], start and end of each list with its brackets, or of a scalar inside its quotes.
        span_shape: int8[n, k], row of `shapes`, -1 where a message has fewer spans.
        shapes, words, word_at: See above.
        level_from: int64[n + 1], written: first level of each message, and the number of all.
        newest_ns: int64[n], written where levels hold times: the newest one.
        good: bool[n], set to False where a slower reader must look; the message then has no levels.
        side, price, price_exponent, size, size_exponent: uint8, int64, int8, int64, int8[m], written: side (0 bid,
            1 ask), mantissas and exponents; room for one level for every five bytes of the spans and one for each span.

    Trusts: spans are valid JSON values. Cost: one look at each byte. Oracle: `books.slow_frames`, see tests/property.
    """
    level = 0
    for i in range(len(spans)):
        level_from[i] = level
        first_level, fine = level, True
        newest = np.int64(0)
        for j in range(spans.shape[1]):
            if span_shape[i, j] < 0 or not fine:
                continue
            shape = shapes[span_shape[i, j]]
            at, end = spans[i, j, 0], spans[i, j, 1]
            fixed = shape[FIXED]
            if shape[FORM] == SCALARS:
                mantissa, exponent, stop, plain = _decimal(text, at, end)
                fine = plain and stop == end
                side[level], price[level], price_exponent[level] = fixed, mantissa, exponent
                mantissa, exponent, stop, plain = _decimal(text, spans[i, j + 1, 0], spans[i, j + 1, 1])
                fine = fine and plain and stop == spans[i, j + 1, 1]
                size[level], size_exponent[level] = mantissa, exponent
                level += mantissa > 0  # a quote's side without size is empty
                continue
            if end <= at or text[at] != OPEN_LIST:
                fine = False
                continue
            at += 1
            while fine and at < end:
                byte = text[at]
                if byte == CLOSE_LIST:
                    break
                if byte == COMMA or _is_space(byte):
                    at += 1
                    continue
                if shape[FORM] == LIST and byte == OPEN_LIST:
                    at, fine, time_ns = _read_list(
                        text,
                        at,
                        end,
                        shape,
                        words,
                        word_at,
                        fixed,
                        side,
                        price,
                        price_exponent,
                        size,
                        size_exponent,
                        level,
                    )
                    newest = max(newest, time_ns)
                elif shape[FORM] == OBJECTS and byte == OPEN_OBJECT:
                    at, fine = _read_object(
                        text,
                        at,
                        end,
                        shape,
                        words,
                        word_at,
                        fixed,
                        side,
                        price,
                        price_exponent,
                        size,
                        size_exponent,
                        level,
                    )
                else:
                    fine = False
                level += 1
        if not fine:
            good[i] = False
            level = first_level
        if newest > 0:
            newest_ns[i] = newest
    level_from[len(spans)] = level
