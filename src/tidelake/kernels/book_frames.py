"""Finds the payloads of segment lines, what lists among them hold, and which messages share a name."""

import numpy as np

from tidelake.kernels.book_levels import _word
from tidelake.kernels.compiling import kernel
from tidelake.kernels.json_tokens import (
    CLOSE_LIST,
    CLOSE_OBJECT,
    COLON,
    COMMA,
    NESTED,
    OPEN_LIST,
    OPEN_OBJECT,
    QUOTE,
    _is_space,
    _string_end,
    _token,
)

PAYLOAD_KEY = np.frombuffer(b'"payload":', np.uint8)


@kernel
def find_payloads(text, offsets, starts):
    """Where the payload of each segment line starts.

    Args:
        text: uint8[..], the lines as `raw.frame.encode_line` writes them.
        offsets: int64[n + 1], start of each line, and the end.
        starts: int64[n], written: first byte of the payload; -1 where the line holds none, or one in base64.
    """
    length = len(PAYLOAD_KEY)
    for line in range(len(starts)):
        starts[line] = -1
        for at in range(offsets[line], offsets[line + 1] - length):
            if text[at] != QUOTE or text[at + 1] != PAYLOAD_KEY[1]:
                continue
            same = True
            for i in range(2, length):
                if text[at + i] != PAYLOAD_KEY[i]:
                    same = False
                    break
            if same:
                starts[line] = at + length
                break


@kernel
def group_equal(text, spans, codes, firsts):
    """Number messages by their names: equal spans, equal number.

    Args:
        text: uint8[..].
        spans: int64[n, k, 2], start and end of the k texts that name each message.
        codes: int32[n], written: from 0 in the order of first appearance.
        firsts: int64[room], written: the first message with each number.

    Returns:
        How many numbers there are; above len(firsts) not all were written: call again with more room.
    """
    size = 64
    while size < 2 * len(firsts):
        size *= 2
    table = np.full(size, -1, dtype=np.int32)
    groups = 0
    for i in range(len(spans)):
        mark = np.uint64(14695981039346656037)
        for j in range(spans.shape[1]):
            for at in range(spans[i, j, 0], spans[i, j, 1]):
                mark = (mark ^ np.uint64(text[at])) * np.uint64(1099511628211)
            mark = (mark ^ np.uint64(256)) * np.uint64(1099511628211)
        place = np.int64((mark ^ (mark >> np.uint64(29))) & np.uint64(size - 1))
        while True:
            group = table[place]
            if group < 0:
                break
            other, same = firsts[group], True
            for j in range(spans.shape[1]):
                start, begin = spans[i, j, 0], spans[other, j, 0]
                length = spans[i, j, 1] - start
                if spans[other, j, 1] - begin != length:
                    same = False
                    break
                for k in range(length):
                    if text[start + k] != text[begin + k]:
                        same = False
                        break
                if not same:
                    break
            if same:
                break
            place = (place + 1) & (size - 1)
        if table[place] < 0:
            if groups >= len(firsts):
                return groups + 1
            table[place] = groups
            firsts[groups] = i
            groups += 1
        codes[i] = table[place]
    return groups


@kernel
def first_places(numbers, out):
    """Where each number from 0 on stands first in numbers: int64[n]; out: int64[m], written, holds -1 before."""
    for i in range(len(numbers)):
        number = numbers[i]
        if number >= 0 and out[number] < 0:
            out[number] = i


@kernel
def find_elements(text, spans, keys, key_at, key_spans, key_found, last_spans, last_types, odd):
    """Find, in payloads that are lists, the wanted keys of the objects among the elements, and the last two elements.

    Args:
        text: uint8[..].
        spans: int64[n, 2], start and end of each payload.
        keys, key_at: The wanted keys laid end to end, uint8[..], and where each starts and ends, int32[w, 2].
        key_spans, key_found: int64[w, n, 2] and uint8[w, n], written: value at each key and its type, 0 (MISSING) must
            stand there before.
        last_spans, last_types: int64[2, n, 2] and uint8[2, n], written: the last element and the one before it.
        odd: bool[n], set where a wanted key stands twice or a key is escaped: a slower reader must look. What is no
            list has no element.

    Trusts: payloads are valid JSON.
    """
    for i in range(len(spans)):
        at, end = spans[i, 0], spans[i, 1]
        if end <= at or text[at] != OPEN_LIST:
            continue
        at += 1
        while at < end:
            byte = text[at]
            if byte == CLOSE_LIST:
                break
            if byte == COMMA or _is_space(byte):
                at += 1
                continue
            last_spans[1, i], last_types[1, i] = last_spans[0, i], last_types[0, i]
            if byte != OPEN_OBJECT:
                start, stop, kind, at = _token(text, at, end)
                last_spans[0, i, 0], last_spans[0, i, 1], last_types[0, i] = start, stop, kind
                continue
            last_types[0, i] = NESTED
            at += 1
            while at < end:
                byte = text[at]
                if byte == CLOSE_OBJECT:
                    at += 1
                    break
                if byte != QUOTE:
                    at += 1
                    continue
                stop, escaped = _string_end(text, at + 1, end)
                odd[i] |= escaped
                key = _word(text, at + 1, stop, keys, key_at, 0, len(key_at))
                at = stop + 1
                while at < end and (text[at] == COLON or _is_space(text[at])):
                    at += 1
                start, stop, kind, at = _token(text, at, end)
                if key >= 0:
                    odd[i] |= key_found[key, i] != 0 or kind == 0  # null: doubled or not, it is not told from absence
                    key_spans[key, i, 0], key_spans[key, i, 1], key_found[key, i] = start, stop, kind
