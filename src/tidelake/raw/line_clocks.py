"""Ends and receive clocks of many segment lines at once; a clock is read at the place where `encode_line` writes it."""

import re

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

_START = re.compile(rb'\{"n":(-?\d+),"recv_ns":(-?\d+)')
_N, _CLOCK = b'{"n":', b',"recv_ns":'
_DIGITS = 19  # ns since 1970 have 19 digits from 2001 to 2286
_TENS = 10 ** np.arange(1, 19, dtype=np.int64)
_PLACES = 10 ** np.arange(_DIGITS - 1, -1, -1, dtype=np.int64)
_AT_ONCE = 1 << 13  # keeps the work within the processor's cache
_PIECE = 1 << 20  # one mask of all bytes costs ten times as much


def line_ends(lines: bytes) -> NDArray[np.int64]:
    """The place after each newline."""
    data = np.frombuffer(lines, np.uint8)
    pieces = [np.flatnonzero(data[at : at + _PIECE] == ord("\n")) + (at + 1) for at in range(0, len(data), _PIECE)]
    return np.concatenate(pieces) if pieces else np.empty(0, np.int64)


def line_clocks(lines: bytes, first_n: int) -> NDArray[np.int64]:
    """The receive clock of each line.

    Args:
        lines: Segment lines, each ending in a newline.
        first_n: The number of the first; the others must count on from it.

    Raises:
        ValueError: A line is not a segment line, or not numbered so.
    """
    data = np.frombuffer(lines, np.uint8)
    ends = line_ends(lines)
    if not len(ends) or not lines.endswith(b"\n"):
        raise ValueError(f"expected one or more segment lines, each ending in a newline; found {lines[:80]!r}")
    starts = np.concatenate([[0], ends[:-1]])
    clocks = np.empty(len(starts), np.int64)
    for row in range(0, len(starts), _AT_ONCE):
        some = slice(row, row + _AT_ONCE)
        clocks[some] = _clocks(lines, data, starts[some], first_n + row)
    return clocks


def _clocks(lines: bytes, data: NDArray[np.uint8], starts: NDArray[np.int64], first_n: int) -> NDArray[np.int64]:
    numbers = np.arange(first_n, first_n + len(starts), dtype=np.int64)
    widths = 1 + np.searchsorted(_TENS, numbers, side="right")
    clocks = np.empty(len(starts), np.int64)
    for width in np.unique(widths).tolist():
        rows = widths == width
        clocks[rows] = _same_width(lines, data, starts[rows], numbers[rows], width)
    return clocks


def _same_width(
    lines: bytes, data: NDArray[np.uint8], starts: NDArray[np.int64], numbers: NDArray[np.int64], width: int
) -> NDArray[np.int64]:
    """Clocks of lines whose numbers have `width` digits."""
    at = len(_N) + width + len(_CLOCK)
    shape = np.frombuffer(_N + b"0" * width + _CLOCK + b"0" * _DIGITS + b",", np.uint8)
    inside = starts <= len(data) - len(shape)
    window = sliding_window_view(data, min(len(shape), len(data)))[np.where(inside, starts, 0)]
    if window.shape[1] == len(shape):
        off = window - shape  # unsigned: what lies below wraps around to a large number
        fits = inside & (off <= np.where(shape == ord("0"), 9, 0).astype(np.uint8)).all(axis=1)
        clocks: NDArray[np.int64] = off[:, at : at + _DIGITS].astype(np.int64) @ _PLACES
        fits &= (off[:, len(_N) : len(_N) + width].astype(np.int64) @ _PLACES[_DIGITS - width :]) == numbers
    else:
        fits, clocks = np.zeros(len(starts), np.bool_), np.zeros(len(starts), np.int64)
    for row in np.flatnonzero(~fits).tolist():
        clocks[row] = _one_clock(lines, int(starts[row]), int(numbers[row]))
    return clocks


def _one_clock(lines: bytes, start: int, number: int) -> int:
    """The slow way, for clocks of another length."""
    match = _START.match(lines, start)
    if match is None or int(match[1]) != number:
        raise ValueError(f"expected the segment line numbered {number}; found {lines[start : start + 80]!r}")
    return int(match[2])
