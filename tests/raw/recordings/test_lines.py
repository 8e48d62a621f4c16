"""Recorded lines to frames and back; the fast way equals the slow one."""

import json

import pytest
from hypothesis import example, given, strategies as st

from tidelake.raw.frame import Frame, decode_line, encode_line
from tidelake.raw.recordings import FORMATS, RecordingFormat
from tidelake.raw.recordings.bulk import encode_block, is_damaged
from tidelake.raw.recordings.lines import NO_ENDING, frame_of_line, frames_of_block, line_of_frame
from tidelake.raw.recordings.spec import ANY_TIME

CRYPTOFEED, HFTBACKTEST = FORMATS["cryptofeed"], FORMATS["hftbacktest"]
BEFORE = 1_600_000_000_000_000_000


@pytest.mark.parametrize(
    ("line", "kind", "recv_ns", "head", "payload", "request_", "status"),
    [
        (b'1633998512.0633569: {"a":1}', "frame", 1633998512063356900, "1633998512.0633569: ", b'{"a":1}', "", 0),
        (b"1633998512: [1]", "frame", 1633998512000000000, "1633998512: ", b"[1]", "", 0),
        (b'wss://h/ws <- 1618677817.5: {"op":1}', "sent", 1618677817500000000, None, b'{"op":1}', "wss://h/ws", 0),
        (b"wss://h/ws?a=b@c <-> 1618677817.25", "open", 1618677817250000000, None, b"", "wss://h/ws?a=b@c", 0),
        (
            b'https://h/d?s=X -> 1.000000001: {"b":[]}',
            "page",
            1000000001,
            None,
            b'{"b":[]}',
            "GET https://h/d?s=X",
            200,
        ),
        (b'configuration: {"trades":["A"]}', "note", BEFORE, 'configuration: {"trades":["A"]}', b"", "", 0),
        (b"", "note", BEFORE, "", b"", "", 0),
    ],
)
def test_cryptofeed_line_is_read_exactly(line, kind, recv_ns, head, payload, request_, status):
    frame = frame_of_line(CRYPTOFEED, line + b"\n", 7, BEFORE)
    assert (frame.n, frame.kind, frame.recv_ns, frame.mono_ns) == (7, kind, recv_ns, 0)
    assert (frame.payload, frame.request, frame.status, frame.tail) == (payload, request_, status, "")
    assert head is None or frame.head == head
    assert not is_damaged(frame)


def test_hftbacktest_frame_and_inline_snapshot_are_told_apart():
    frame = frame_of_line(HFTBACKTEST, b'1723161253937085768 {"stream":"s@depth","data":{"lastUpdateId":1}}\n', 0, 0)
    page = frame_of_line(HFTBACKTEST, b'1723161254206652067 {"lastUpdateId":500,"bids":[]}\n', 1, 0)
    assert (frame.kind, frame.recv_ns, frame.status) == ("frame", 1723161253937085768, 0)
    assert (page.kind, page.recv_ns, page.status) == ("page", 1723161254206652067, 200)
    assert page.request
    assert page.payload == b'{"lastUpdateId":500,"bids":[]}'


@pytest.mark.parametrize(
    ("line", "tail"),
    [
        (b"1.5: {}\n", ""),
        (b"1.5: {}\r\n", "\r\n"),
        (b"1.5: {}", NO_ENDING),
        (b"1.5: {} \n", " \n"),
        (b"1.5: {}  ", "  "),
        (b"1.5: \n", " \n"),
        (b"   \n", "   \n"),
    ],
)
def test_every_line_ending_comes_back(line, tail):
    frame = frame_of_line(CRYPTOFEED, line, 0, 0)
    assert frame.tail == tail
    assert line_of_frame(decode_line(encode_line(frame))) == line


@pytest.mark.parametrize(
    "line", [b"garbage\n", b'{"note":"reached","first":1}\n', b"\xff\xfe broken\n", b"\0\n", b"\xff"]
)
def test_damaged_line_is_kept_as_a_note_without_a_json_payload(line):
    frame = frame_of_line(CRYPTOFEED, line, 3, BEFORE)
    assert is_damaged(frame)
    assert (frame.kind, frame.recv_ns) == ("note", BEFORE)
    with pytest.raises(ValueError):
        json.loads(frame.payload)
    assert line_of_frame(decode_line(encode_line(frame))) == line


def test_payload_that_is_not_json_keeps_its_clock_and_its_bytes():
    frame = decode_line(encode_line(frame_of_line(CRYPTOFEED, b'1618677817.5: {"type":"ma\n', 0, 0)))
    assert (frame.kind, frame.recv_ns, frame.payload) == ("frame", 1618677817500000000, b'{"type":"ma')


def test_clock_past_int64_is_damage_and_not_another_time():
    assert is_damaged(frame_of_line(CRYPTOFEED, b"9999999999.5: {}\n", 0, 0))
    assert is_damaged(frame_of_line(HFTBACKTEST, b'9999999999999999999 {"stream":1}\n', 0, 0))


PAYLOADS = st.sampled_from(
    [
        b'{"a":1}',
        b"[1,2]",
        b'{"a":"\xc3\xa9"}',
        b'{"a":"\xff"}',
        b'{"a":1',
        b"[1",
        b"2]",
        b'{"a":{}',
        b"{}}",
        b"1",
        b"{} {}",
        b'{"a":1e999}',
        b'{"a":NaN}',
        b'{"a":1,"a":2}',
        b'{"stream":1}',
        b'{"lastUpdateId":1}',
        b"",
        b"{}\t",
        b'{"b":"}\\"]"}',
    ]
)
CLOCKS = st.sampled_from(
    [
        b"1618677817.061845: ",
        b"1618677817.0618458: ",
        b"1618677817.1: ",
        b"1618677817: ",
        b"9999999999.1: ",
        b"1.: ",
        b"1618677817.1234567890: ",
        b"1618677817.1:",
        b"1618677817.1:  ",
        b"1723161256172216566 ",
        b"9723161256172216566 ",
        b"1723161256172216566  ",
        b"172316125617221656 ",
        b"wss://h <- 1618677817.5: ",
        b"https://h -> 1.5: ",
        b"",
        b"x",
    ]
)
ENDINGS = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b" \n"])
LINES = st.one_of(
    st.tuples(CLOCKS, PAYLOADS, ENDINGS).map(b"".join),
    st.sampled_from([b'1618677817.061845: {"a":1}\n', b'1723161256172216566 {"stream":"a"}\n']),
    st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"") + b"\n"),
)


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
@given(
    lines=st.lists(LINES, max_size=40),
    last=st.one_of(st.just(b""), st.binary(max_size=30)),
    n=st.integers(0, 2000),
    latest_ns=st.sampled_from([ANY_TIME, 1618677817061845000, 1723161256172216566, BEFORE]),
)
@example(lines=[b'1618677817.1: {"a":1} {"b":2}\n', b"1618677817.1: [1\n"], last=b"", n=0, latest_ns=ANY_TIME)
@example(lines=[b"1618677817.1: {}\n"] * 30 + [b"\n"], last=b"", n=998, latest_ns=ANY_TIME)
@example(
    lines=[b'1723161256172216566 {"stream":1}\n'] * 30, last=b'1723161256172216566 {"s":1}', n=9, latest_ns=ANY_TIME
)
@example(
    lines=[b"1618677817.1: {}\n"] * 9 + [b"4102444800.0: {}\n"] + [b"1618677817.2: {}\n"] * 9,
    last=b"", n=0, latest_ns=1618677817200000000,
)  # fmt: skip
def test_bulk_equals_line_by_line_and_every_byte_comes_back(form: RecordingFormat, lines, last, n, latest_ns):
    block = b"".join(lines) + last.replace(b"\n", b"")
    if not block:
        return
    frames = list(frames_of_block(form, block, n, BEFORE, latest_ns))
    encoded = encode_block(form, block, n, BEFORE, latest_ns)
    assert encoded.lines == b"".join(map(encode_line, frames))
    assert (encoded.count, encoded.last_ns) == (len(frames), frames[-1].recv_ns)
    assert all(frame.recv_ns <= max(latest_ns, BEFORE) for frame in frames)
    assert encoded.damaged == tuple(frame.n for frame in frames if is_damaged(frame))
    assert b"".join(line_of_frame(decode(line)) for line in encoded.lines.splitlines(keepends=True)) == block


def decode(line: bytes) -> Frame:
    return decode_line(line)


def test_line_without_a_clock_takes_that_of_the_line_before():
    block = b"\n" + b'1618677817.5: {"a":1}\n' * 30 + b"\n\nconfiguration: {}\n"
    clocks = [decode_line(line).recv_ns for line in encode_block(CRYPTOFEED, block, 0, 5).lines.splitlines()]
    assert clocks == [5] + [1618677817500000000] * 33
