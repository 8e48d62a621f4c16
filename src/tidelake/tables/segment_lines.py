"""The lines of a segment as columns: where each stands and when it was received, without parsing a payload."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidelake.kernels.line_clocks import SHORTEST, find_lines
from tidelake.kernels.line_requests import find_requests
from tidelake.kernels.line_search import mark_holding
from tidelake.raw.frame import B64_MARK, decode_line
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

    @cached_property
    def _held(self) -> dict[tuple[bytes, ...], NDArray[np.bool_]]:
        """Which lines hold one of the tokens that were asked for: the mappings of a source ask for the same ones."""
        return {}

    def holding(self, tokens: tuple[bytes, ...]) -> NDArray[np.int64]:
        """Indices of the lines that hold at least one of the tokens; of all lines where there are no tokens."""
        if not tokens or b"" in tokens:
            return np.arange(len(self.recv_ns))
        return np.flatnonzero(self._marked(tokens))

    def _marked(self, tokens: tuple[bytes, ...]) -> NDArray[np.bool_]:
        if tokens not in self._held:
            held = self._held[tokens] = np.zeros(len(self.recv_ns), dtype=np.bool_)
            text = np.frombuffer(self.plain, dtype=np.uint8)
            for token in tokens:  # each is looked for in the lines that hold none of those before it
                if not any(other != token and other in token for other in tokens) and self._may_hold(token):
                    mark_holding(text, self.offsets, np.frombuffer(token, dtype=np.uint8), held)
        return self._held[tokens]

    def _may_hold(self, token: bytes) -> bool:
        """Whether each byte of a token stands somewhere: to look for one byte takes a fifth of the time."""
        return all(byte in self.plain for byte in set(token))

    @cached_property
    def _requests(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where each line's request stands, and the first line of its run of equal ones (`kernels.line_requests`)."""
        count = len(self.recv_ns)
        spans, firsts = np.empty((count, 2), dtype=np.int64), np.empty(count, dtype=np.int64)
        find_requests(np.frombuffer(self.plain, dtype=np.uint8), self.offsets, spans, firsts)
        return spans, firsts

    def _request(self, line: int) -> str:
        start, end = self._requests[0][line].tolist()
        if start < 0:
            return decode_line(self.lines[line].as_py()).request
        return msgspec.json.decode(b'"%s"' % self.plain[start:end], type=str)

    def answering(self, chosen: NDArray[np.int64], is_wanted: Callable[[str], bool]) -> NDArray[np.int64]:
        """Those of some lines, in order, whose request is wanted."""
        firsts = self._requests[1][chosen]
        starts = np.flatnonzero(np.diff(firsts, prepend=-1))
        wanted = np.array([is_wanted(self._request(line)) for line in firsts[starts].tolist()], dtype=np.bool_)
        return chosen[np.repeat(wanted, np.diff(np.append(starts, len(chosen))))]

    def wrapped(self) -> NDArray[np.int64]:
        """Indices of the lines whose payload may stand in base64: then it is the last field, so a quote ends it."""
        text = np.frombuffer(self.plain, dtype=np.uint8)
        ending = np.flatnonzero(text[self.offsets[1:] - len(b'"}\n')] == ord('"'))
        return ending[self._marked((B64_MARK,))[ending]] if len(ending) else ending


def split(plain: bytes, *, first_n: int, known_before_ns: int) -> SegmentLines:
    """The lines of a segment's plaintext; `first_n` and `known_before_ns` stand in its ledger entry."""
    text = np.frombuffer(plain, dtype=np.uint8)
    ends, recv_ns = np.empty((2, len(text) // SHORTEST), dtype=np.int64)
    count = find_lines(text, first_n, ends, recv_ns)
    if count < 0:  # a clock of another length; or it says which line is none of the lane
        ends, recv_ns = line_ends(plain), line_clocks(plain, first_n)
        count = len(ends)
    offsets = np.concatenate(([0], ends[:count]))
    recv_ns = recv_ns[:count].copy()  # lets go of the room
    lines = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(plain)]
    )
    known_ns = np.maximum(np.maximum.accumulate(recv_ns), known_before_ns) if count else recv_ns
    return SegmentLines(plain, lines, offsets, recv_ns, known_ns, first_n)
