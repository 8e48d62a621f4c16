"""Part files under a key: nothing shows, what opens is kept, what does not is named, and no key is needed twice."""

import base64
import os
import random
import threading

import msgspec
import pytest
from hypothesis import given, strategies as st

from tests.raw.lanes import LANE, append, frames, ids, part_files, trade, writer
from tidelake.errors import ConfigError, FormatDrift
from tidelake.raw.codec import decode
from tidelake.raw.frame import Kind
from tidelake.raw.ledger import Ledger
from tidelake.raw.part_cipher import PartCipher
from tidelake.raw.part_file import PartFile, lanes_with_parts
from tidelake.raw.store import Store
from tidelake.raw.verify import verify

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
CANARY = b"canary-7f3a"
HEADER = b'{"part":"p"}'


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "lake")


@pytest.fixture(params=["missing", "another"])
def wrong_key(request):
    return None if request.param == "missing" else OTHER


def part_path(store):
    (name,) = part_files(store)
    return store.spool() / name


def files_with_the_canary(store):
    assert store.root is not None
    found = [path for path in store.root.rglob("*") if path.is_file()]
    assert found
    told = CANARY, base64.b64encode(CANARY)[:12]
    return [path for path in found if any(text in path.read_bytes() for text in told)]


def left_behind(store, *numbers, key=KEY):
    """A part file of a writer that is gone."""
    lane = writer(store, key=key)
    append(lane, *numbers)
    lane.abandon()
    return part_path(store)


def rewrite(path, change):
    """Change the list of records of a part file."""
    header, *records, rest = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([header, *change(records), rest]))


def damage(store):
    (name,) = store.list(f"quarantine/damaged/{LANE}")
    told, *bad = map(msgspec.json.decode, decode(store.get(name), KEY).splitlines())
    return told["remarks"], [(each["line"], each["reason"]) for each in bad]


def recovered(store):
    writer(store, key=KEY).close()
    assert part_files(store) == []
    assert verify(store, key=KEY).problems == []
    return ids(store, key=KEY)


def test_payload_shows_in_no_file_while_open_after_the_end_of_the_writer_and_after_recovery(store):
    lane = writer(store, key=KEY)
    lane.append(payload=b'{"text":"%s"}' % CANARY, kind="frame", request="GET https://" + CANARY.decode())
    heard: list[tuple[int, int, Kind, bytes]] = [
        (5, 5, "frame", b'["%s"]' % CANARY),
        (6, 6, "frame", b"not json " + CANARY),
    ]
    lane.append_heard(heard, "wss://x")
    assert files_with_the_canary(store) == []
    lane.abandon()
    with open(part_path(store), "ab") as file:
        file.write(b'"AAAA')
    assert files_with_the_canary(store) == []
    writer(store, key=KEY).close()
    assert files_with_the_canary(store) == []
    kept = frames(store, key=KEY)
    assert [frame.payload for frame in kept] == [b'{"text":"%s"}' % CANARY, *(payload for *_, payload in heard)]
    with writer(store) as plain:
        plain.append(payload=b'"%s"' % CANARY, kind="frame")
        assert len(files_with_the_canary(store)) == 1  # so the search can find it


def test_part_without_its_key_is_refused_and_stays(store, wrong_key):
    path = left_behind(store, 1, 2)
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(
            ConfigError, match=r"intact.*Set TIDELAKE_KEY to the key that it was written with"
        ) as raised:
            writer(store, key=wrong_key)
        assert str(path) in str(raised.value)
        assert KEY.hex() not in str(raised.value)
    assert path.read_bytes() == before
    assert list(Ledger(store).entries(LANE)) == []
    assert list(store.list("quarantine")) == []
    assert recovered(store) == [1, 2]


def test_sealed_part_of_a_killed_writer_goes_without_its_key(store, wrong_key):
    lane = writer(store, key=KEY)
    append(lane, 1)
    path = part_path(store)
    content = path.read_bytes()
    lane.close()
    path.write_bytes(content)  # as if killed between the ledger entry and the deletion
    writer(store, key=wrong_key).close()
    assert part_files(store) == []
    assert ids(store, key=KEY) == [1]


def test_plain_part_is_recovered_with_a_key_and_sealed_under_it(store):
    left_behind(store, 1, 2, key=None)
    assert recovered(store) == [1, 2]
    (entry,) = Ledger(store).entries(LANE)
    assert entry.segment.key.endswith(".enc")


def test_plain_part_of_an_earlier_version_is_recovered(store):
    path = left_behind(store, 1, 2, key=None)
    path.write_bytes(path.read_bytes().replace(b',"key":""', b"", 1))
    assert recovered(store) == [1, 2]


def test_part_cut_at_any_byte_keeps_every_whole_record(store):
    lane = writer(store, key=KEY)
    append(lane, 1, 2, 3)
    content, name = part_path(store).read_bytes(), part_files(store)[0]
    lane.close()
    ends = [at + 1 for at, byte in enumerate(content) if byte == ord("\n")]
    for cut in range(len(content) + 1):
        other = Store.open(f"memory:///cut-encrypted-{cut}")
        (other.spool() / name).write_bytes(content[:cut])
        assert recovered(other) == [1, 2, 3][: max(sum(end <= cut for end in ends) - 1, 0)]
        torn = b"".join(decode(other.get(key), KEY) for key in other.list("quarantine/torn"))
        assert torn == content[max((end for end in ends if end <= cut), default=0) : cut]
        assert list(other.list("quarantine/damaged")) == []


def test_tampered_record_is_named_and_those_after_it_are_kept(store):
    path = left_behind(store, *range(6))
    rewrite(path, lambda records: [*records[:2], records[2].replace(records[2][30:31], b"/", 1), *records[3:]])
    assert recovered(store) == [0, 1, 3, 4, 5]
    assert [frame.n for frame in frames(store, key=KEY)] == list(range(5))
    remarks, bad = damage(store)
    assert remarks == ["records that are missing or do not open: 2"]
    assert bad == [(2, "record 2 does not decrypt: it or the header was changed")]


def test_removed_repeated_and_moved_records_are_told(store):
    path = left_behind(store, *range(8))
    rewrite(path, lambda r: [r[0], r[3], r[1], r[3], r[6], r[7]])
    assert recovered(store) == [0, 1, 3, 6, 7]
    remarks, bad = damage(store)
    assert "put back" in remarks[0]
    assert remarks[1] == "records that are missing or do not open: 2, 4 to 5"
    assert bad == [(3, "record 3 stands here again")]


def test_record_of_another_part_does_not_open(store):
    other = Store.open("memory:///another-part")
    foreign = left_behind(other, 9).read_bytes().split(b"\n")[1]
    path = left_behind(store, 1, 2)
    rewrite(path, lambda records: [foreign, records[1]])
    assert recovered(store) == [2]
    assert damage(store)[1] == [(0, "record 0 does not decrypt: it or the header was changed")]


def test_changed_header_is_noticed_and_every_record_is_kept_as_it_was_found(store):
    path = left_behind(store, 1, 2)
    records = path.read_bytes().splitlines()[1:]
    path.write_bytes(path.read_bytes().replace(b'"base_n":0', b'"base_n":7', 1))
    assert recovered(store) == []
    (name,) = store.list("quarantine/damaged")
    told, *bad = map(msgspec.json.decode, decode(store.get(name), KEY).splitlines())
    assert told["header"]["base_n"] == 7
    assert [base64.b64decode(each["b64"]) for each in bad] == records


def test_part_that_was_changed_under_its_writer_is_not_sealed_and_recovered_later(store):
    lane = writer(store, key=KEY)
    append(lane, 1, 2, 3)
    path = part_path(store)
    whole = path.read_bytes()
    header, first, second, third, _ = whole.split(b"\n")
    for records in (
        [first, third],
        [first, third, second],
        [first, second],
        [first, b'"x"', third],
        [first, b"", third],
    ):
        path.write_bytes(b"\n".join([header, *records, b""]))
        with pytest.raises(FormatDrift, match="It stays"):
            lane.seal()
    path.write_bytes(b"\n".join([header, first, second[:40] + b'A"', third, b""]))
    with pytest.raises(FormatDrift, match="record 1 does not decrypt"):
        lane.seal()
    lane.abandon()
    assert recovered(store) == [1, 3]
    assert damage(store)[1] == [(1, "record 1 does not decrypt: it or the header was changed")]


def test_nonce_of_a_failed_write_is_not_used_again(store, monkeypatch):
    lane = writer(store, key=KEY)
    append(lane, 0)
    real, on_disk = os.write, []

    def half(handle, data):
        if on_disk:
            raise OSError(28, "No space left on device")
        on_disk.append(bytes(data[: len(data) // 2]))
        return real(handle, data[: len(data) // 2])

    with monkeypatch.context() as patch:
        patch.setattr("tidelake.raw.part_file.os.write", half)
        with pytest.raises(OSError, match="No space"):
            append(lane, 1)
    append(lane, 2, 3)
    nonces = [line[1:17] for line in part_path(store).read_bytes().splitlines()[1:]]
    assert on_disk[0][1:17] not in nonces
    assert len(set(nonces)) == 3
    lane.close()
    assert ids(store, key=KEY) == [0, 2, 3]


def test_two_parts_of_one_lane_share_no_key(store):
    lane = writer(store, key=KEY)
    seen = []
    for _ in range(2):
        lane.append(payload=trade(1), kind="frame", recv_ns=1, mono_ns=1)
        seen.append(base64.b64decode(msgspec.json.decode(part_path(store).read_bytes().splitlines()[1])))
        lane.seal()
    assert seen[0][:12] == seen[1][:12]
    assert seen[0][12:] != seen[1][12:]


def test_parts_that_are_detached_are_sealed_in_another_thread_while_more_comes_in(store):
    lane = writer(store, key=KEY)
    for start in range(0, 400, 20):
        lane.append_heard([(n, n, "frame", trade(n)) for n in range(start, start + 20)], "wss://x")
        if start % 100 == 80:
            lane.detach()
            sealing = threading.Thread(target=lane.seal_detached)
            sealing.start()
            lane.sync()
            sealing.join()
    lane.close()
    assert ids(store, key=KEY) == list(range(400))
    assert lanes_with_parts(store.spool()) == []


texts = st.lists(st.binary(max_size=40).filter(lambda text: b"\n" not in text), min_size=1, max_size=12)


@given(texts, st.randoms(use_true_random=False))
def test_what_is_untouched_opens_in_order_whatever_was_done_to_the_rest(lines, rng):
    cipher = PartCipher(KEY, "p", HEADER)
    records = []
    for line in lines:
        records += cipher.seal(line + b"\n").splitlines()
        cipher.wrote(line + b"\n")
    plain = b"".join(line + b"\n" for line in lines)
    assert PartCipher(KEY, "p", HEADER).seal(plain).splitlines() == records
    assert cipher.open_all(b"\n".join([*records, b""])) == plain
    kept, found = {}, []
    for number, record in enumerate(records):
        fate = rng.choice(["keep", "keep", "drop", "flip", "cut", "twice"])
        if fate in ("keep", "twice"):
            kept[number] = lines[number]
        found += {"keep": [record], "drop": [], "twice": [record, record]}.get(fate, [])
        if fate == "flip":
            at = rng.randrange(1, len(record) - 3)
            found.append(record[:at] + bytes([record[at] ^ 1]) + record[at + 1 :])
        if fate == "cut":
            found.append(record[: rng.randrange(len(record))])
    if rng.random() < 0.5:
        rng.shuffle(found)
    opened = PartCipher(KEY, "p", HEADER).open_each(found)
    assert opened.lines == list(kept.values())
    assert len(opened.bad) == len(found) - len(kept)
    if found != records:
        with pytest.raises(FormatDrift):
            cipher.open_all(b"\n".join([*found, b""]))


def test_part_file_of_a_live_writer_reads_back_what_was_appended(tmp_path):
    rng = random.Random(3)
    lines = b"".join(b"%d %s\n" % (n, rng.randbytes(30).hex().encode()) for n in range(5_000))  # several blocks
    part = PartFile.create(tmp_path, "lane", "toy", base_n=0, base_seq=-1, meta={}, key=KEY)
    assert part.read() == b""
    part.append(lines)
    assert part.read() == lines
    part.delete()
