"""Marks the lines that hold a text, many bytes at a time."""

import numpy as np

from tidelake.kernels.compiling import kernel

BLOCK = 64  # bytes that are looked at at once


@kernel
def mark_holding(text, offsets, token, held):
    """Sets `held` where a line holds the token.

    Args:
        text: uint8[..].
        offsets: int64[n + 1], start of each line, and the end.
        token: uint8[k], k > 0.
        held: bool[n], set to True; others are left, and lines that are marked already are not searched.

    Cost: three looks at each byte up to the first place, 64 bytes at once. Oracle: `bytes.find`, under tests.
    """
    span, half = len(token) - 1, len(token) // 2
    first, middle, last = token[0], token[half], token[-1]
    for line in range(len(held)):
        at, end = offsets[line], offsets[line + 1] - span
        while at < end and not held[line]:
            stop = at + BLOCK
            if stop <= end:
                near = False
                for i in range(BLOCK):  # without a way out, so that it becomes one comparison of all bytes
                    ends = (text[np.uint64(at + i)] == first) & (text[np.uint64(at + i + span)] == last)
                    near |= ends & (text[np.uint64(at + i + half)] == middle)
                if not near:
                    at = stop
                    continue
            for place in range(at, min(stop, end)):
                if text[place] == first and text[place + span] == last and is_at(text, place, token):
                    held[line] = True
                    break
            at = stop


@kernel
def is_at(text, at, token):
    """Whether the token stands at a place of a text that reaches at least as far."""
    same = True
    for i in range(len(token)):
        same &= text[at + i] == token[i]
    return same
