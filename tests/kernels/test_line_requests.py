"""Requests of segment lines against the reading line by line."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tidelake.kernels.line_requests import find_requests
from tidelake.raw.frame import Frame, decode_line, encode_line
from tidelake.tables.segment_lines import split

ADDRESSES = ["", "wss://a", "wss://b", "/", '"', "\\", "ä", '","payload":', "GET https://a/b?c=1"]
REQUESTS = st.sampled_from(ADDRESSES) | st.text('/"\\ä,:', max_size=4)
KINDS = st.sampled_from(["frame", "page", "open"])
PAYLOADS = st.sampled_from([b"", b"{}", b'{"request":"wss://a"}', b"\n"])
MORE = st.sampled_from([{}, {"feed": "wss://a", "status": 200}, {"head": '","request":"wss://b'}])
CLOCK = 1_618_677_817_061_845_000


def found(lines: list[bytes]) -> tuple[list[list[int]], list[int]]:
    text = np.frombuffer(b"".join(lines), dtype=np.uint8)
    spans, firsts = np.empty((len(lines), 2), dtype=np.int64), np.empty(len(lines), dtype=np.int64)
    find_requests(text, np.cumsum([0, *map(len, lines)]), spans, firsts)
    return spans.tolist(), firsts.tolist()


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.tuples(REQUESTS, KINDS, PAYLOADS, MORE), max_size=12), st.sampled_from(ADDRESSES))
def test_lines_answer_what_their_frames_say(frames, word):
    made = [encode_line(Frame(i, CLOCK, 3, k, body, r, **more)) for i, (r, k, body, more) in enumerate(frames)]
    requests = [decode_line(line).request for line in made]
    assert requests == [request for request, *_ in frames]
    _, firsts = found(made)
    assert all(requests[first] == requests[line] for line, first in enumerate(firsts))
    lines = split(b"".join(made), first_n=0, known_before_ns=0)
    for chosen in (np.arange(len(made)), np.arange(0, len(made), 2)):
        wanted = [line for line in chosen.tolist() if word in requests[line]]
        assert lines.answering(chosen, lambda request: word in request).tolist() == wanted


def test_equal_requests_in_a_row_are_one_run():
    made = [encode_line(Frame(i, CLOCK, 3, "frame", b"{}", request)) for i, request in enumerate("aabba")]
    assert found(made)[1] == [0, 0, 2, 2, 4]


@pytest.mark.parametrize(
    "line",
    [
        b'{"n":0,"recv_ns":1618677817061845000,"mono_ns":0,"kind":"frame", "request":"a","payload":{}}\n',
        b'{"n":0}\n',
        b"\n",
    ],
)
def test_another_form_is_left_to_be_decoded(line):
    assert found([line, line])[1] == [0, 1]
