"""Ends and clocks of segment lines against the reading line by line."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tidelake.kernels.line_clocks import SHORTEST, find_lines
from tidelake.raw.frame import Frame, encode_line
from tidelake.raw.line_clocks import line_clocks, line_ends

CLOCKS = st.integers(10**18, 2**63 - 1)
PAYLOADS = st.sampled_from([b"", b"{}", b'{"a":"' + b"x" * 150 + b'"}', b"\n"])


def found(lines: bytes, first_n: int) -> tuple[list[int], list[int]] | None:
    ends, clocks = np.empty((2, len(lines) // SHORTEST), dtype=np.int64)
    count = find_lines(np.frombuffer(lines, dtype=np.uint8), first_n, ends, clocks)
    return None if count < 0 else (ends[:count].tolist(), clocks[:count].tolist())


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.tuples(CLOCKS, PAYLOADS), max_size=20), st.sampled_from([0, 5, 95, 999_990]))
def test_lines_are_those_of_the_frames(frames, first_n):
    made = [encode_line(Frame(first_n + i, ns, 3, "frame", body)) for i, (ns, body) in enumerate(frames)]
    lines = b"".join(made)
    assert found(lines, first_n) == (line_ends(lines).tolist(), [ns for ns, _ in frames])


@settings(deadline=None)
@given(st.lists(CLOCKS, min_size=1, max_size=3), st.data())
def test_a_changed_byte_is_left_to_the_slow_reading_or_read_alike(clocks, data):
    made = bytearray(b"".join(encode_line(Frame(9 + i, ns, 3, "frame", b"{}")) for i, ns in enumerate(clocks)))
    place = data.draw(st.integers(0, len(made) - 1))
    made[place] = data.draw(st.sampled_from(b'{",:\n059n'))
    lines = bytes(made[: data.draw(st.integers(place, len(made)))])
    if (read := found(lines, 9)) is not None and lines:
        assert read == (line_ends(lines).tolist(), line_clocks(lines, 9).tolist())


@pytest.mark.parametrize(
    "line",
    [
        b'{"n":0,"recv_ns":100,"mono_ns":0,"kind":"frame"}\n',
        b'{"n":,"recv_ns":1618677817061845000,"mono_ns":0}\n',
        b'{"n":1,"recv_ns":1618677817061845000,"mono_ns":0}\n',
        b'{"n":0,"recv_ns":16186778170618450001,"mono_ns":0}\n',
        b'{"n":0,"recv_ns":1618677817061845000,"mono_ns":0}',
        b'{"n":0,"recv_ns":1618677817061845000,',
        b'{"n":0\n',
        b"\n",
    ],
)
def test_another_form_is_left_to_the_slow_reading(line):
    assert found(line, 0) is None
