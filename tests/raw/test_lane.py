import base64
import os
import random
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from hypothesis import given, strategies as st

from tests.raw.lanes import LANE, SOURCE, append, describe, frames, ids, part_files, seal_each, trade, writer
from tidelake.errors import LaneMoved, StoreError
from tidelake.raw.codec import decode
from tidelake.raw.entry import Note
from tidelake.raw.frame import Frame, Kind, decode_line, encode_line, encode_lines
from tidelake.raw.lane import LaneWriter, seal_lines
from tidelake.raw.ledger import Head, Ledger
from tidelake.raw.part_file import PartFile, lanes_with_parts
from tidelake.raw.store import Store
from tidelake.raw.verify import verify

KEY = bytes(range(32))


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path)


@pytest.mark.parametrize(("codec", "key"), [("zstd", None), ("gzip", None), ("zstd", KEY)])
def test_frames_come_back_as_they_were_received(store, codec, key):
    payloads = [b'{"a": 1.0}', b"", b"not json", b'{"a":\r1}', b"\xff\xfe\n\n", ' {"ä":"\u2028"}'.encode(), b"null"]
    with writer(store, codec=codec, key=key) as lane:
        sent = [lane.append(payload=payload, kind="frame", status=200, request="GET https://x") for payload in payloads]
    assert frames(store, key=key) == sent
    assert [frame.n for frame in sent] == list(range(len(payloads)))
    assert verify(store, key=key).problems == []


def test_entry_states_what_the_segment_holds(store):
    with writer(store, meta={"file": "a", "run": "1"}) as lane:
        for recv_ns in (500, 300, 400):
            lane.append(payload=b"1", kind="frame", recv_ns=recv_ns)
        first = lane.seal({"run": "2"})
        lane.append(payload=b"2", kind="frame", recv_ns=100)
    second = Ledger(store).entry(LANE, 1)
    assert first is not None
    assert (first.first_recv_ns, first.last_recv_ns, first.known_before_ns, first.known_ns) == (300, 500, 0, 500)
    assert (second.first_recv_ns, second.last_recv_ns, second.known_before_ns, second.known_ns) == (100, 100, 500, 500)
    assert first.meta == {"file": "a", "run": "2"}
    assert second.meta == {"file": "a", "run": "1"}
    assert first.segment.key.startswith(
        f"raw/{SOURCE}/{LANE}/1970-01-01/000000000000-{first.segment.sha256[:16]}.jsonl"
    )
    stored = store.get(first.segment.key)
    assert (first.segment.stored_bytes, first.segment.bytes, first.segment.lines) == (
        len(stored),
        len(decode(stored)),
        3,
    )


def test_seal_without_frames_does_nothing(store):
    with writer(store) as lane:
        assert lane.seal() is None
    assert Ledger(store).head(LANE).seq == -1


def test_note_is_a_frame_of_its_own(store):
    note = Note("wanted", since_ns=5)
    with writer(store) as lane:
        lane.note(note, "trades", "BTC-USD")
    (frame,) = frames(store)
    assert (frame.kind, frame.feed, frame.symbol) == ("note", "trades", "BTC-USD")
    assert msgspec.json.decode(frame.payload, type=Note) == note


def test_next_n_goes_on_over_seals_and_reopening(store):
    with writer(store) as lane:
        append(lane, 1, 2)
        assert lane.next_n == 2
        lane.seal()
        append(lane, 3)
    with writer(store) as lane:
        assert (lane.next_n, lane.head.seq) == (3, 1)
        append(lane, 4)
    assert [frame.n for frame in frames(store)] == [0, 1, 2, 3]


def test_left_part_is_sealed_on_the_next_opening_with_its_own_meta(store):
    first = writer(store, meta={"run": "first"})
    append(first, 1, 2)
    first.abandon()
    assert lanes_with_parts(store.spool()) == [LANE]
    with writer(store, meta={"run": "second"}) as second:
        assert [entry.meta for entry in second.recovered] == [{"run": "first"}]
        append(second, 3)
    assert ids(store) == [1, 2, 3]
    assert part_files(store) == []


def test_torn_last_line_goes_to_quarantine_and_whole_lines_are_kept(store):
    lane = writer(store)
    append(lane, 1, 2)
    path = store.spool() / part_files(store)[0]
    with open(path, "ab") as file:
        file.write(b'{"n":2,"recv_ns":3')
    lane.abandon()
    writer(store).close()
    assert ids(store) == [1, 2]
    (torn,) = store.list(f"quarantine/torn/{LANE}")
    assert decode(store.get(torn)) == b'{"n":2,"recv_ns":3'
    assert verify(store).problems == []


def test_part_cut_at_any_byte_keeps_every_whole_line(tmp_path):
    source = Store.open(tmp_path / "source")
    lane = writer(source)
    append(lane, 1, 2, 3)
    name = part_files(source)[0]
    content = (source.spool() / name).read_bytes()
    header = content.index(b"\n") + 1
    whole = [i for i in range(header, len(content) + 1) if content[:i].endswith(b"\n")]
    lane.abandon()
    for cut in range(len(content) + 1):
        store = Store.open(f"memory:///cut-{cut}")
        (store.spool() / name).write_bytes(content[:cut])
        writer(store).close()
        kept = sum(1 for end in whole if end <= cut) - 1
        assert ids(store) == [1, 2, 3][: max(kept, 0)]
        torn = b"".join(decode(store.get(key)) for key in store.list("quarantine"))
        start = max((end for end in whole if end <= cut), default=0)
        assert torn == content[start:cut]
        assert part_files(store) == []


def test_bad_block_in_the_middle_of_a_part_costs_only_its_lines(store):
    lane = writer(store)
    append(lane, 1, 2, 3, 4)
    path = store.spool() / part_files(store)[0]
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b"\0" * (len(lines[2]) - 1) + b"\n"
    lane.abandon()
    path.write_bytes(b"".join(lines))
    writer(store).close()
    assert ids(store) == [1, 3, 4]
    assert [frame.n for frame in frames(store)] == [0, 1, 2]
    assert list(store.list("quarantine/torn")) == []
    (damaged,) = store.list(f"quarantine/damaged/{LANE}")
    told, bad = map(msgspec.json.decode, decode(store.get(damaged)).splitlines())
    assert told["header"]["lane"] == LANE
    assert bad["line"] == 1  # of those behind the header
    assert "not a segment line" in bad["reason"]
    assert base64.b64decode(bad["b64"]) == lines[2][:-1]


def test_part_that_could_not_take_its_first_line_leaves_nothing(store, monkeypatch):
    lane = writer(store)
    with monkeypatch.context() as patch:
        patch.setattr(PartFile, "append", _full)
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                append(lane, 1)
    assert not lane.detach()
    assert lane.seal() is None
    assert part_files(store) == []
    append(lane, 1)
    lane.close()
    assert ids(store) == [1]


def test_part_whose_header_cannot_be_written_leaves_no_file(store, monkeypatch):
    lane = writer(store)
    with monkeypatch.context() as patch:
        patch.setattr(PartFile, "_write", _full)
        with pytest.raises(OSError, match="No space"):
            append(lane, 1)
    assert part_files(store) == []


def _full(self, lines):
    raise OSError(28, "No space left on device")


def test_torn_lines_are_encrypted_where_segments_are(store):
    lane = writer(store, key=KEY)
    append(lane, 1)
    with open(store.spool() / part_files(store)[0], "ab") as file:
        file.write(b'{"n":1,"canary')
    lane.abandon()
    writer(store, key=KEY).close()
    (torn,) = store.list("quarantine")
    assert torn.endswith(".enc")
    assert b"canary" not in store.get(torn)
    assert decode(store.get(torn), KEY) == b'{"n":1,"canary'


def test_part_of_a_live_writer_is_left_alone(store):
    live = writer(store)
    append(live, 1)
    with writer(store) as other:
        assert other.recovered == []
        append(other, 2)
    assert ids(store) == [2]
    live.close()
    assert ids(store) == [2, 1]
    assert live.contended


def test_lane_whose_name_begins_alike_is_not_recovered_by_mistake(store):
    one = writer(store, lane="toy.trades")
    append(one, 1)
    one.abandon()
    writer(store, lane="toy").close()
    assert lanes_with_parts(store.spool()) == ["toy.trades"]


def test_loser_of_a_race_seals_after_the_winner_under_append(store):
    loser, winner = writer(store), writer(store)
    append(loser, 1, 2)
    append(winner, 3)
    winner.close()
    entry = loser.seal()
    assert entry is not None
    assert (entry.seq, entry.first_n) == (1, 1)
    assert (loser.contended, winner.contended) == (True, False)
    assert ids(store) == [3, 1, 2]
    assert [frame.n for frame in frames(store)] == [0, 1, 2]
    assert verify(store).problems == []  # also no segment left behind by the lost attempt


def test_loser_stops_under_stop_and_its_lines_are_beside_the_lake(store):
    loser, winner = writer(store, on_conflict="stop"), writer(store)
    append(loser, 1, 2)
    append(winner, 3)
    winner.close()
    with pytest.raises(LaneMoved, match="another writer") as raised:
        loser.seal()
    assert (raised.value.lane, raised.value.head) == (LANE, 0)
    loser.close()
    assert ids(store) == [3]
    assert part_files(store) == []
    (moved,) = store.list(f"quarantine/moved/{LANE}")
    assert decode(store.get(moved)).count(b"\n") == 2
    assert verify(store).problems == []


def test_dead_part_of_a_moved_lane_is_not_sealed_under_stop(store):
    dead = writer(store, on_conflict="stop")
    append(dead, 1)
    dead.abandon()
    winner = LaneWriter(store, LANE, SOURCE, describe=describe, on_conflict="stop")
    assert ids(store) == [1]  # nobody sealed in between, so the part goes on where it was
    append(winner, 2)
    winner.abandon()
    seal_lines(store, LANE, SOURCE, encode_line(Frame(1, 5, 0, "frame", trade(3))), describe=describe, head=winner.head)
    writer(store, on_conflict="stop").close()
    assert ids(store) == [1, 3]
    assert len(list(store.list("quarantine/moved"))) == 1


def test_interleaved_writers_lose_and_double_nothing(store):
    rng = random.Random(5)
    lanes = [writer(store) for _ in range(4)]
    numbers = iter(range(400))
    for number in numbers:
        lane = rng.choice(lanes)
        append(lane, number)
        if rng.random() < 0.2:
            lane.seal()
        if rng.random() < 0.05:
            lanes.remove(lane)
            lane.abandon()
            lanes.append(writer(store))
    for lane in lanes:
        lane.close()
    assert sorted(ids(store)) == list(range(400))
    assert [frame.n for frame in frames(store)] == list(range(400))
    assert verify(store).problems == []


def test_lost_acknowledgement_of_the_commit_is_not_a_second_entry(store, monkeypatch):
    put = store.put_new

    def lose_answer(key, data):
        done = put(key, data)
        if key.startswith("ledger/") and done:
            return False  # as an S3 API answers a retry of a put that was applied
        return done

    monkeypatch.setattr(store, "put_new", lose_answer)
    with writer(store) as lane:
        append(lane, 1)
    assert not lane.contended
    assert ids(store) == [1]


def test_frames_survive_a_store_that_fails_at_the_seal(store, monkeypatch):
    lane = writer(store)
    append(lane, 1)

    def fail(key, data):
        raise StoreError("no answer", key=key)

    monkeypatch.setattr(store, "put_new", fail)
    with pytest.raises(StoreError):
        lane.seal()
    append(lane, 2)
    monkeypatch.undo()
    lane.close()
    assert ids(store) == [1, 2]


def test_failed_block_seals_what_it_appended(store):
    with pytest.raises(RuntimeError, match="boom"), writer(store) as lane:  # noqa: PT012
        append(lane, 1)
        raise RuntimeError("boom")
    assert ids(store) == [1]


def test_failed_block_with_a_failing_store_keeps_the_part_and_the_first_error(store, monkeypatch):
    def fail(key, data):
        raise StoreError("no answer", key=key)

    with pytest.raises(RuntimeError, match="boom") as raised, writer(store) as lane:  # noqa: PT012
        append(lane, 1)
        monkeypatch.setattr(store, "put_new", fail)
        raise RuntimeError("boom")
    assert "will be recovered" in raised.value.__notes__[0]
    monkeypatch.undo()
    writer(store).close()
    assert ids(store) == [1]


def test_half_written_frame_is_taken_back(store, monkeypatch):
    lane = writer(store)
    append(lane, 1)
    write, answers = os.write, [10]

    def fill(handle: int, data: bytes) -> int:
        if answers:
            return write(handle, bytes(data)[: answers.pop()])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", fill)
    with pytest.raises(OSError, match="No space"):
        append(lane, 2)
    monkeypatch.undo()
    append(lane, 3)
    lane.close()
    assert ids(store) == [1, 3]


def test_segment_left_by_a_killed_writer_is_taken_over(store, tmp_path):
    lines = b"".join(encode_line(Frame(n, n, 0, "frame", trade(n))) for n in range(3))
    other = Store.open(tmp_path / "other")
    done = seal_lines(other, LANE, SOURCE, lines, describe=describe, head=Head())
    store.put_new(done.segment.key, other.get(done.segment.key))
    entry = seal_lines(store, LANE, SOURCE, lines, describe=describe, head=Head())
    assert entry.segment == done.segment
    assert verify(store).problems == []


def test_damaged_object_in_the_segments_place_does_not_stop_the_lane(store, tmp_path):
    lines = encode_line(Frame(0, 1, 0, "frame", trade(1)))
    other = Store.open(tmp_path / "other")
    done = seal_lines(other, LANE, SOURCE, lines, describe=describe, head=Head())
    store.put_new(done.segment.key, b"damaged")
    seal_lines(store, LANE, SOURCE, lines, describe=describe, head=Head())
    assert ids(store) == [1]
    assert [problem.key for problem in verify(store).problems] == [done.segment.key]


@pytest.mark.parametrize(
    "lines",
    [b"", b"\n", b"{}\n", encode_line(Frame(1, 1, 0, "frame", b"1")), encode_line(Frame(0, 1, 0, "frame", b"1"))[:-1]],
    ids=["empty", "blank", "foreign", "numbered-wrong", "no-newline"],
)
def test_lines_that_are_not_the_lanes_next_are_refused(store, lines):
    with pytest.raises(ValueError, match=r"segment line|expected"):
        seal_lines(store, LANE, SOURCE, lines, describe=describe, head=Head())
    assert list(store.list("")) == []


def test_payload_that_looks_like_a_line_is_not_renumbered(store):
    loser, winner = writer(store), writer(store)
    payload = b'{"n":0,"recv_ns":1}'
    loser.append(payload=payload, kind="frame")
    append(winner, 1)
    winner.close()
    loser.close()
    assert frames(store)[1].payload == payload
    assert decode_line(encode_line(frames(store)[1])) == frames(store)[1]


def test_describe_sees_the_context_of_all_earlier_entries(store):
    seal_each(store, 3)
    assert Ledger(store).head(LANE).context == {"seen": "9"}
    with writer(store) as lane:
        lane.append(payload=b"quiet", kind="frame")
    last = Ledger(store).entry(LANE, 3)
    assert (last.context, last.context_after, last.next_context()) == ({"seen": "9"}, None, {"seen": "9"})


def heard(*numbers) -> list[tuple[int, int, Kind, bytes]]:
    return [(1_000 + number, number, "frame", trade(number)) for number in numbers]


def test_a_batch_is_kept_with_one_write_as_single_frames_are(store, monkeypatch):
    odd = [b"{}", b" {}", b"", b"\xff", b'{"a":\n1}', b"1,2", b"[3", b"4]", '"ä"'.encode(), b'{"a":1},{"b":2}', b"nope"]
    kinds: list[Kind] = ["frame", "sent", "open"]
    clocks = [(10 + n, 5 + n, kind, payload) for n, payload in enumerate(odd) for kind in kinds]
    writes = []
    with writer(store) as lane:
        lane.append(payload=b"0", kind="frame")
        real = os.write

        def count(handle, data):
            writes.append(len(data))
            return real(handle, data)

        monkeypatch.setattr(os, "write", count)
        lines = lane.append_heard(clocks, "wss://x/y")
        monkeypatch.undo()
    assert writes == [len(lines)]
    alone = [Frame(n, *one, request="wss://x/y") for n, one in enumerate(clocks, 1)]
    assert lines == b"".join(map(encode_line, alone))
    assert frames(store)[1:] == alone


@given(
    st.lists(st.tuples(st.sampled_from(["frame", "sent"]), st.sampled_from([b"{}", b"[", b"]", b"1", b",", b"1,1"])))
)
def test_lines_of_a_batch_equal_those_of_its_frames(drawn):
    clocks = [(n, n, kind, payload) for n, (kind, payload) in enumerate(drawn)]
    expected = b"".join(encode_line(Frame(n + 3, *one, request="wss://x")) for n, one in enumerate(clocks))
    assert encode_lines(3, clocks, "wss://x") == expected


def test_appending_goes_on_while_another_thread_seals(store):
    with ThreadPoolExecutor(1) as thread, writer(store) as lane:
        sealing = []
        for start in range(0, 400, 10):
            lane.append_heard(heard(*range(start, start + 10)), "wss://x")
            assert lane.next_n == start + 10
            if start % 50 == 40:
                assert lane.detach()
                assert lane.part_bytes == 0
                sealing.append(thread.submit(lane.seal_detached))
            thread.submit(lane.sync)
        assert sum(len(seal.result()) for seal in sealing) == 8
    assert ids(store) == list(range(400))
    assert verify(store).problems == []
    assert part_files(store) == []


def test_detached_parts_of_a_killed_writer_are_recovered_in_order(store):
    lane = writer(store)
    for start in (0, 10, 20):
        lane.append_heard(heard(*range(start, start + 10)), "wss://x")
        lane.detach()
    lane.append_heard(heard(30), "wss://x")
    lane.abandon()
    with writer(store) as again:
        assert [entry.segment.lines for entry in again.recovered] == [10, 10, 10, 1]
    assert ids(store) == list(range(31))
    assert verify(store).problems == []


def test_parts_detached_before_another_writer_sealed_are_numbered_after_it(store):
    first, second = writer(store), writer(store)
    first.append_heard(heard(0, 1), "wss://x")
    first.detach()
    first.append_heard(heard(2), "wss://x")
    with second:
        second.append(payload=trade(9), kind="frame")
    assert len(first.seal_detached()) == 1
    first.close()
    assert first.contended
    assert ids(store) == [9, 0, 1, 2]
    assert verify(store).problems == []


def test_a_failing_store_leaves_detached_parts_for_the_next_seal(store, monkeypatch):
    with writer(store) as lane:
        lane.append_heard(heard(0), "wss://x")
        lane.detach()

        def fail(*_):
            raise StoreError("no space", key="k")

        monkeypatch.setattr(Store, "put_new", fail)
        with pytest.raises(StoreError):
            lane.seal_detached()
        monkeypatch.undo()
        lane.append_heard(heard(1), "wss://x")
    assert ids(store) == [0, 1]
