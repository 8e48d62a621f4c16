"""The lines of a segment as columns: where each stands and when it was received, without parsing a payload."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from tidelake.raw.line_clocks import line_clocks, line_ends


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


def split(plain: bytes, *, first_n: int, known_before_ns: int) -> SegmentLines:
    """The lines of a segment's plaintext; `first_n` and `known_before_ns` stand in its ledger entry."""
    ends = line_ends(plain)
    offsets = np.concatenate(([0], ends)).astype(np.int64)
    lines = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(plain)]
    )
    recv_ns = line_clocks(plain, first_n) if len(ends) else np.empty(0, dtype=np.int64)
    known_ns = np.maximum(np.maximum.accumulate(recv_ns), known_before_ns) if len(ends) else recv_ns
    return SegmentLines(plain, lines, offsets, recv_ns, known_ns, first_n)
