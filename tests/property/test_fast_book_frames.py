"""The columnar reading of book messages gives what the slow reading gives, whatever the frames hold."""

import base64
import random
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tests.books.segments import FILES, as_segment, recorded
from tests.recorded.independent_reader import HFTBACKTEST
from tidelake.books.fast_frames import FastReader, Found
from tidelake.books.frames import read_book_frames
from tidelake.books.messages import PER_LEVEL, PER_MESSAGE, BookFrames
from tidelake.raw.frame import Frame, decode_line, encode_line

VALUES = (
    b"null|true|[]|{}|0|-1|1.|5e-3|1E2|1e200|1e-130|12345678901234567890|9223372036854775807|9223372036854775808000|"
    b'""|"-1"|"-0"|"+2.50"|"1_0"|" 1"|"0.0000000000000000000001"|"123456789012345678"|"1234567890123456789"|"1e-7"|'
    b'"0.000000000000000000000000"|"99999999999999999999"|"abc"|"\\u0061"|[["1","2"]]|[["1"]]|[[1,2,"3"]]|[[]]|[1]|'
    b'[{"price":1,"qty":2}]|[{"price":1}]|"buy"|"delete"|"2021-04-17T16:43:37.075687Z"|1e3|1652459225393|"1652459225393.5"'
).split(b"|")
TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|\[\]')
PAIR = re.compile(rb'("[A-Za-z_]+"):("(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|\[\])')
MARK = re.compile(rb"[,:\[\]{}]")
LEVEL = re.compile(rb"\[[^\[\]{}]*\],?|\{[^\[\]{}]*\},?")


def mutated(payload: bytes, rng: random.Random) -> bytes:
    """The payload with one thing changed."""
    pattern = rng.choice([TOKEN, TOKEN, TOKEN, PAIR, MARK, LEVEL])
    spans = [match.span() for match in pattern.finditer(payload[:4_000])]
    if not spans:
        return payload
    start, stop = rng.choice(spans)
    held = payload[start:stop]
    if pattern is TOKEN:
        change = rng.choice(["value", "value", "escape", "other", "key"])
        if change == "value" or len(held) < 3:
            held = rng.choice(VALUES)
        elif change == "escape":
            held = b'"\\u%04x%s' % (held[1], held[2:]) if held.startswith(b'"') else held
        elif change == "other":
            held = payload[slice(*rng.choice(spans))]
        else:
            held = held[:-1] + b'x"' if held.startswith(b'"') else held + b"0"
    elif pattern is PAIR:
        held = rng.choice([held + b"," + held, b'"x":1', held + b',"more":[1,{"a":[]}]', b'"n":null,' + held])
    elif pattern is MARK:
        held = rng.choice([b" " + held + b" ", held + b"\t", b""])
    else:
        held = rng.choice([b"", held * 2, held.rstrip(b",") + b"," + held])
    return payload[:start] + held + payload[stop:]


def frames_of(source: str, plain: bytes, context: dict[str, str] | None = None) -> BookFrames:
    return read_book_frames(source, as_segment(plain), {} if context is None else context)


def read_nothing(reader, layout, chosen):
    """Leaves every line to the slow reading."""
    return Found(left=[chosen])


def assert_equal(one: BookFrames, other: BookFrames) -> None:
    assert one.streams == other.streams
    for name in (*PER_MESSAGE, "level_from", *PER_LEVEL):
        left, right = getattr(one, name), getattr(other, name)
        assert left.dtype == right.dtype, name
        np.testing.assert_array_equal(left, right, err_msg=name)
    assert one.refused == other.refused


def assert_same(source: str, plain: bytes) -> BookFrames:
    fast_context: dict[str, str] = {}
    slow_context: dict[str, str] = {}
    fast = frames_of(source, plain, fast_context)
    with patch.object(FastReader, "read", read_nothing):
        slow = frames_of(source, plain, slow_context)
    assert_equal(fast, slow)
    assert fast_context == slow_context
    return fast


def samples(path: Path, rng: random.Random, count: int) -> list[Frame]:
    """Frames of a recording, the rarer forms among them."""
    lines = recorded(path).splitlines()
    short = sorted({rng.randrange(len(lines)) for _ in range(count)} | set(range(min(len(lines), 30))))
    return [decode_line(lines[n]) for n in short if len(lines[n]) < 50_000]


def check_changed(path: Path, seed: int) -> None:
    rng = random.Random(seed)
    rate = rng.choice([0.05, 0.3, 1.0])
    frames = [
        replace(frame, n=n, payload=mutated(frame.payload, rng) if rng.random() < rate else frame.payload)
        for n, frame in enumerate(samples(path, rng, 60))
    ]
    assert_same(FILES[path], b"".join(map(encode_line, frames)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@settings(deadline=None, derandomize=True, max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_fast_reads_what_slow_reads_of_changed_frames(path: Path, seed: int):
    check_changed(path, seed)


@pytest.mark.soak
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@settings(deadline=None, derandomize=True, max_examples=400)
@given(seed=st.integers(0, 2**32 - 1))
def test_fast_reads_what_slow_reads_of_frames_changed_many_times(path: Path, seed: int):
    check_changed(path, seed)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_fast_reads_what_slow_reads_of_recordings(path: Path):
    found = assert_same(FILES[path], recorded(path))
    assert not found.refused


def test_fast_reads_what_slow_reads_of_a_combined_stream():
    path = HFTBACKTEST / "spot" / "btcusdt_20240808.gz"
    plain = b"".join(recorded(path).splitlines(keepends=True)[:3_000])
    assert not assert_same("binance-spot", plain).refused


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@settings(deadline=None, derandomize=True, max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_cutting_a_lane_changes_no_message(path: Path, seed: int):
    rng = random.Random(seed)
    frames = [replace(f, n=n, payload=mutated(f.payload, rng)) for n, f in enumerate(samples(path, rng, 40))]
    lines = [encode_line(frame) for frame in frames]
    whole = frames_of(FILES[path], b"".join(lines))
    cuts = sorted({0, len(lines), *(rng.randrange(len(lines) + 1) for _ in range(4))})
    context: dict[str, str] = {}
    said = []
    for start, stop in pairwise(cuts):
        part = read_book_frames(FILES[path], as_segment(b"".join(lines[start:stop]), start), context)
        said += list(rows(part, start))
    assert said == list(rows(whole, 0))


def rows(frames: BookFrames, start: int):
    """Each message as a tuple, with its stream spelled out and its levels."""
    for i in range(len(frames)):
        stream = frames.streams[frames.stream[i]] if frames.stream[i] >= 0 else None
        values = [int(getattr(frames, name)[i]) for name in PER_MESSAGE if name not in ("line", "stream")]
        first, last = frames.level_from[i], frames.level_from[i + 1]
        levels = [tuple(int(getattr(frames, name)[at]) for name in PER_LEVEL) for at in range(first, last)]
        yield int(frames.line[i]) + start, stream, values, levels


def test_a_frame_in_base64_is_read():
    payload = b'{"e":"depthUpdate","E":1700000000000,"s":"BTCUSDT","U":1,"u":2,\n"b":[["1.50","2"]],"a":[]}'
    frame = Frame(0, 1_700_000_000_000_000_000, 0, "frame", payload)
    assert base64.b64encode(payload) in encode_line(frame)
    found = assert_same("binance-spot", encode_line(frame))
    assert found.price.tolist() == [150]
    assert found.price_exponent.tolist() == [-2]
