"""The lines of a segment as columns: where each stands and when it was received, without parsing a payload."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from tidelake.raw.frame import decode_line

CLOCK_DIGITS = 19  # ns since 1970 have 19 digits from 2001 to 2286
PIECE = 1 << 20
PREFIX = len(b'{"n":,"recv_ns":')


@dataclass(frozen=True)
class SegmentLines:
    """The plaintext of one segment.

    Attributes:
        plain: The bytes, each line ending in a newline.
        lines: large_binary[n], the lines with their newline, without a copy.
        offsets: int64[n + 1], place of each line's first byte, and of the end.
        recv_ns: int64[n], receive clock of each line.
        known_ns: int64[n], largest receive clock of the lane up to each line: `known_at` in ns.
        first_n: Place in the lane of line 0.
    """

    plain: bytes
    lines: pa.LargeBinaryArray
    offsets: NDArray[np.int64]
    recv_ns: NDArray[np.int64]
    known_ns: NDArray[np.int64]
    first_n: int

    def holding(self, tokens: tuple[bytes, ...]) -> NDArray[np.int64]:
        """Indices of the lines that hold at least one of the tokens; of all lines where there are no tokens."""
        if not tokens:
            return np.arange(len(self.lines))
        series = pl.Series(pl.from_arrow(self.lines))
        mask = np.zeros(len(self.lines), dtype=bool)
        for token in tokens:
            if not any(other != token and other in token for other in tokens):
                mask |= series.bin.contains(token).to_numpy()
        return np.flatnonzero(mask)


def _clock(plain: NDArray[np.uint8], starts: NDArray[np.int64], first_n: int) -> NDArray[np.int64]:
    """Receive clocks, read at the place where `encode_line` writes them; slow for lines that differ."""
    places = np.arange(first_n, first_n + len(starts), dtype=np.int64)
    at = starts + PREFIX + 1 + np.searchsorted(10 ** np.arange(1, 19, dtype=np.int64), places, side="right")
    ends = np.append(starts[1:], len(plain))
    windows = np.lib.stride_tricks.sliding_window_view(plain, CLOCK_DIGITS + 1)
    found = windows[np.minimum(at, len(windows) - 1)]
    digits = found[:, :CLOCK_DIGITS]
    plainly = (found[:, CLOCK_DIGITS] == ord(",")) & ((digits >= ord("0")) & (digits <= ord("9"))).all(axis=1)
    clocks = np.zeros(len(starts), dtype=np.int64)
    texts = np.ascontiguousarray(digits[plainly]).view(f"S{CLOCK_DIGITS}").ravel()
    clocks[plainly] = texts.astype(np.int64)
    for i in np.flatnonzero(~plainly):
        clocks[i] = decode_line(plain[starts[i] : ends[i]].tobytes()).recv_ns
    return clocks


def _ends(plain: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Places after each newline; looked for in pieces, since one mask of all bytes costs ten times as much."""
    pieces = [np.flatnonzero(plain[at : at + PIECE] == ord("\n")) + (at + 1) for at in range(0, len(plain), PIECE)]
    return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)


def split(plain: bytes, *, first_n: int, known_before_ns: int) -> SegmentLines:
    """The lines of a segment's plaintext; `first_n` and `known_before_ns` stand in its ledger entry."""
    array = np.frombuffer(plain, dtype=np.uint8)
    ends = _ends(array)
    offsets = np.concatenate(([0], ends)).astype(np.int64)
    lines = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(plain)]
    )
    recv_ns = _clock(array, offsets[:-1], first_n) if len(ends) else np.empty(0, dtype=np.int64)
    known_ns = np.maximum(np.maximum.accumulate(recv_ns), known_before_ns) if len(ends) else recv_ns
    return SegmentLines(plain, lines, offsets, recv_ns, known_ns, first_n)
