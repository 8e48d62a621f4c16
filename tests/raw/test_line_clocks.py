"""Receive clocks of segment lines."""

import pytest
from hypothesis import given, strategies as st

from tidelake.raw.frame import Frame, encode_line
from tidelake.raw.line_clocks import line_clocks

CLOCKS = st.one_of(st.integers(-5, 10**6), st.integers(10**18, 2**63 - 1))


@given(st.lists(CLOCKS, min_size=1, max_size=40), st.sampled_from([0, 5, 95, 999_990]))
def test_clocks_are_those_of_the_frames(clocks, first_n):
    lines = b"".join(encode_line(Frame(first_n + i, ns, 3, "frame", b'{"a":1}')) for i, ns in enumerate(clocks))
    assert line_clocks(lines, first_n).tolist() == clocks


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"{}\n",
        b'{"n":0,"recv_ns":1618677817061845000,',
        b'{"n":1,"recv_ns":1618677817061845000,"mono_ns":0}\n',
        b"\n",
    ],
)
def test_other_lines_and_other_numbers_are_refused(lines):
    with pytest.raises(ValueError):
        line_clocks(lines, 0)


def test_hole_in_the_numbers_is_refused():
    lines = [encode_line(Frame(n, 10**18, 0, "frame", b"{}")) for n in (0, 1, 3)]
    with pytest.raises(ValueError):
        line_clocks(b"".join(lines), 0)
