import random

import pytest

from tests.raw.lanes import LANE, seal_each, trade, writer
from tidelake.errors import LedgerBroken, NotInLake
from tidelake.raw.explain import explain
from tidelake.raw.segments import iter_blocks, iter_frames, read_lines, read_sealed
from tidelake.raw.store import Store


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path)


def test_explain_gives_the_frame_the_entry_and_the_chain(store):
    entries = seal_each(store, 3)
    digits = entries[1].segment.sha256[:16]
    found = explain(store, digits, 2, 0)
    assert found["frame"]["payload"] == trade(5).decode()
    assert (found["frame"]["n"], found["frame"]["recv_ns"]) == (5, 5000)
    assert (found["entry"]["lane"], found["entry"]["seq"]) == (LANE, 1)
    chain = found["chain"]
    assert chain["prev"] == entries[1].prev
    assert (chain["prev_holds"], chain["next_holds"], chain["hash"]) == (True, True, entries[2].prev)


def test_explain_shows_bytes_that_are_no_text(store):
    with writer(store) as lane:
        lane.append(payload=b"\xff\x00", kind="frame")
        entry = lane.seal()
    assert entry is not None
    found = explain(store, entry.segment.sha256[:16], 0)
    assert found["frame"]["payload"] == "base64:/wA="
    assert "prev_holds" not in found["chain"]


def test_unknown_segment_or_line_is_named(store):
    entry = seal_each(store, 1)[0]
    with pytest.raises(NotInLake, match="0000000000000000") as raised:
        explain(store, "0" * 16, 0)
    assert raised.value.available == (entry.segment.sha256[:16],)
    with pytest.raises(NotInLake, match="lines 0 to 2"):
        explain(store, entry.segment.sha256[:16], 3)


def test_changed_or_missing_segment_is_named_on_reading(store):
    entry = seal_each(store, 1)[0]
    data = bytearray(store.get(entry.segment.key))
    data[len(data) // 2] ^= 1
    store.delete(entry.segment.key)
    for state in ("missing", "hash"):
        for read in (
            read_sealed,
            read_lines,
            lambda *args: list(iter_frames(*args)),
            lambda *args: list(iter_blocks(*args)),
        ):
            with pytest.raises(LedgerBroken, match=rf"{entry.segment.sha256[:16]}.*entry 0 of lane {LANE}") as raised:
                read(store, entry.segment, None)
            assert (raised.value.lane, raised.value.seq) == (LANE, 0)
        store.put_new(entry.segment.key, bytes(data))
        assert state


@pytest.mark.parametrize("key", [None, bytes(32)], ids=["plain", "encrypted"])
def test_blocks_of_a_long_segment_are_whole_lines_and_equal_its_text(store, key):
    rng = random.Random(3)
    with writer(store, key=key) as lane:
        for number in range(20_000):
            lane.append(
                payload=b'{"id":%d,"text":"%s"}' % (number, rng.randbytes(number % 40).hex().encode()),
                kind="frame",
                recv_ns=number,
            )
        entry = lane.seal()
    assert entry is not None
    blocks = list(iter_blocks(store, entry.segment, key))
    assert len(blocks) > 1
    assert all(block.endswith(b"\n") for block in blocks)
    assert b"".join(blocks) == read_lines(store, entry.segment, key)
