"""The lines of a segment as columns: where each stands and when it was received, without parsing a payload."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidelake.raw.frame import decode_line

CLOCK_DIGITS = 19  # ns since 1970 have 19 digits from 2001 to 2286
PREFIX = len(b'{"n":,"recv_ns":')


@dataclass(frozen=True)
class SegmentLines:
    """The plaintext of one segment.

    Attributes:
        plain: The bytes, each line ending in a newline.
        lines: large_binary[n], the lines with their newline, without a copy.
        recv_ns: int64[n], receive clock of each line.
        known_ns: int64[n], largest receive clock of the lane up to each line: `known_at` in ns.
        first_n: Place in the lane of line 0.
    """

    plain: bytes
    lines: pa.LargeBinaryArray
    recv_ns: NDArray[np.int64]
    known_ns: NDArray[np.int64]
    first_n: int

    def holding(self, tokens: tuple[bytes, ...], within: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Indices of the lines that hold at least one token; all of `within` (default: all lines) without tokens."""
        chosen = np.arange(len(self.lines)) if within is None else within
        if not tokens:
            return chosen
        lines = self.lines if within is None else self.lines.take(pa.array(within))
        mask = np.zeros(len(lines), dtype=bool)
        for token in tokens:
            mask |= pc.match_substring(lines, token).to_numpy(zero_copy_only=False)
        return chosen[mask]

    def text(self, indices: NDArray[np.int64]) -> pa.Buffer:
        """These lines, one after the other, as JSON lines."""
        if len(indices) == len(self.lines):
            return pa.py_buffer(self.plain)
        taken = self.lines.take(pa.array(indices))
        _, offsets, data = taken.buffers()
        ends = np.frombuffer(offsets, dtype=np.int64)[taken.offset : taken.offset + len(taken) + 1]
        return data.slice(int(ends[0]), int(ends[-1] - ends[0]))


def _clock(plain: NDArray[np.uint8], starts: NDArray[np.int64], first_n: int) -> NDArray[np.int64]:
    """Receive clocks, read at the place where `encode_line` writes them; slow for lines that differ."""
    count = len(starts)
    places = np.arange(first_n, first_n + count, dtype=np.int64)
    widths = np.ones(count, dtype=np.int64)
    for power in range(1, 19):
        widths += places >= 10**power
    at = starts + PREFIX + widths
    window = plain[np.minimum(at[:, None] + np.arange(CLOCK_DIGITS + 1), len(plain) - 1)]
    digits = window[:, :CLOCK_DIGITS].astype(np.int64) - ord("0")
    clocks: NDArray[np.int64] = digits @ (10 ** np.arange(CLOCK_DIGITS - 1, -1, -1, dtype=np.int64))
    odd = (window[:, CLOCK_DIGITS] != ord(",")) | (digits < 0).any(axis=1) | (digits > 9).any(axis=1)
    for i in np.flatnonzero(odd):
        end = starts[i + 1] if i + 1 < count else len(plain)
        clocks[i] = decode_line(plain[starts[i] : end].tobytes()).recv_ns
    return clocks


def split(plain: bytes, *, first_n: int, known_before_ns: int) -> SegmentLines:
    """The lines of a segment's plaintext; `first_n` and `known_before_ns` stand in its ledger entry."""
    array = np.frombuffer(plain, dtype=np.uint8)
    ends = np.flatnonzero(array == ord("\n")) + 1
    offsets = np.concatenate(([0], ends)).astype(np.int64)
    lines = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(plain)]
    )
    recv_ns = _clock(array, offsets[:-1], first_n) if len(ends) else np.empty(0, dtype=np.int64)
    known_ns = np.maximum(np.maximum.accumulate(recv_ns), known_before_ns) if len(ends) else recv_ns
    return SegmentLines(plain, lines, recv_ns, known_ns, first_n)
