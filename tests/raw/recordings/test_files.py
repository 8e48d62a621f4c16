"""Blocks of whole lines from plain, compressed, cut and damaged files."""

import gzip
import hashlib
import io

import pytest
from hypothesis import given, strategies as st

from tidelake.errors import FormatDrift
from tidelake.raw.recordings import FORMATS, files, recording_format
from tidelake.raw.recordings.files import RecordingFile
from tidelake.raw.recordings.sniff import check_format


def opened(data: bytes, size: int | None = None) -> RecordingFile:
    return RecordingFile(io.BytesIO(data), len(data) if size is None else size)


@given(
    st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"")), max_size=30),
    st.integers(1, 30),
    st.booleans(),
)
def test_blocks_are_whole_lines_and_lose_nothing(lines, size, zipped):
    text = b"\n".join(lines)
    if text[:2] == b"\x1f\x8b":
        return
    recording = opened(gzip.compress(text) if zipped else text)
    blocks = list(recording.blocks(size))
    assert b"".join(blocks) == text
    assert all(block.endswith(b"\n") for block in blocks[:-1])
    assert recording.damage == ""
    assert recording.text_sha256() == hashlib.sha256(text).hexdigest()


def test_blocks_end_in_the_same_places_however_the_file_is_compressed():
    text = b"".join(b"line %d\n" % n for n in range(5000))
    two_members = gzip.compress(text[:11111]) + gzip.compress(text[11111:])
    plain = list(opened(text).blocks(1000))
    assert list(opened(two_members).blocks(1000)) == plain
    assert max(map(len, plain)) <= 1000


def test_cut_gzip_gives_what_can_be_read_and_says_so():
    text = b"".join(b"%d %s\n" % (n, hashlib.sha256(b"%d" % n).hexdigest().encode()) for n in range(2000))
    data = gzip.compress(text)
    recording = opened(data[: len(data) // 2])
    read = b"".join(recording.blocks())
    assert text.startswith(read)
    assert len(read) > len(text) // 3
    assert "ends early" in recording.damage


def test_damaged_gzip_gives_what_stands_before_and_hashes_the_whole_file():
    text = b"".join(b"%d %s\n" % (n, hashlib.sha256(b"%d" % n).hexdigest().encode()) for n in range(60000))
    data = bytearray(gzip.compress(text))
    data[-100_000:-99_000] = bytes(1000)
    recording = opened(bytes(data))
    read = b"".join(recording.blocks())
    assert text[:1000] == read[:1000]
    assert recording.damage
    assert recording.sha256() == hashlib.sha256(data).hexdigest()


def test_what_is_appended_while_reading_is_left_out():
    assert b"".join(opened(b"one\ntwo\nthree\n", size=8).blocks()) == b"one\ntwo\n"


def test_endless_line_is_refused_in_bounded_memory(monkeypatch):
    monkeypatch.setattr(files, "LONGEST_LINE", 100)
    with pytest.raises(FormatDrift, match="a line of more than 100 bytes"):
        list(opened(b"x" * 10_000).blocks(50))


@pytest.mark.parametrize(
    ("name", "block", "said"),
    [
        ("cryptofeed", b'1723161256172216566 {"stream":"a"}\n' * 3, "looks like hftbacktest: try --from hftbacktest"),
        ("hftbacktest", b'1618677817.079762: {"a":1}\n' * 3, "looks like cryptofeed: try --from cryptofeed"),
        ("cryptofeed", b"exchange,symbol,timestamp,price\nx,y,1,2\n", "looks like CSV"),
        ("hftbacktest", b'{"a":1}\n{"a":2}\n', "looks like JSON without receive clocks"),
        ("cryptofeed", b"PAR1\x15\x04\x15", "looks like a Parquet file"),
        ("cryptofeed", b"\n\n\n", "blank lines only"),
        ("cryptofeed", b"configuration: {}\n", "expected lines like"),
    ],
)
def test_wrong_format_is_named(name, block, said):
    with pytest.raises(FormatDrift, match=said):
        check_format(recording_format(name), block, FORMATS.values())


def test_damaged_first_line_does_not_make_it_another_format():
    block = b"~~~~\n" + b'1618677817.079762: {"a":1}\n' * 3
    assert check_format(recording_format("cryptofeed"), block, FORMATS.values()) == 1618677817079762000
