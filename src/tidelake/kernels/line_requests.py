"""Finds the request in each line of a segment, at the place where `raw.frame.encode_line` writes it."""

import numpy as np

from tidelake.kernels.compiling import kernel
from tidelake.kernels.line_search import is_at

QUOTE, BACKSLASH = 34, 92
KIND = np.frombuffer(b'"kind":"', dtype=np.uint8)
REQUEST = np.frombuffer(b'","request":"', dtype=np.uint8)
PAYLOAD = np.frombuffer(b'","payload":', dtype=np.uint8)


@kernel
def _is_within(text, at, end, word):
    return at + len(word) <= end and is_at(text, at, word)


@kernel
def find_requests(text, offsets, spans, firsts):
    """Where each line's request stands, and which lines follow one another with the same one.

    Args:
        text: uint8[..], segment lines.
        offsets: int64[n + 1], start of each line, and the end.
        spans: int64[n, 2], written: start and end of the request inside its quotes, equal where there is none; start
            -1 where the line has another form and must be decoded.
        firsts: int64[n], written: the first of the lines up to this one that have the same bytes there.

    Trusts: `request` stands behind `kind`. Stays inside a line whatever it holds.
    Cost: one look at each byte up to the payload. Oracle: `raw.frame.decode_line`, under tests.
    """
    for line in range(len(firsts)):
        at, end = offsets[line], offsets[line + 1]
        spans[line, 0] = spans[line, 1] = -1
        firsts[line] = line
        while at < end and not (text[at] == QUOTE and _is_within(text, at, end, KIND)):
            at += 1
        at += len(KIND)
        while at < end and text[at] != QUOTE:
            at += 1
        if _is_within(text, at, end, PAYLOAD):
            spans[line, 0] = spans[line, 1] = at
        elif _is_within(text, at, end, REQUEST):
            start = stop = at + len(REQUEST)
            while stop < end and text[stop] != QUOTE:
                stop += 1 + (text[stop] == BACKSLASH)
            spans[line, 0], spans[line, 1] = start, stop
        if line == 0 or spans[line, 0] < 0 or spans[line - 1, 0] < 0:
            continue
        length = spans[line, 1] - spans[line, 0]
        same = length == spans[line - 1, 1] - spans[line - 1, 0]
        for i in range(length if same else 0):
            same &= text[spans[line, 0] + i] == text[spans[line - 1, 0] + i]
        if same:
            firsts[line] = firsts[line - 1]
