from typing import Any

import msgspec
import pytest

from tests.raw.lanes import LANE, append, seal_each, writer
from tidelake.raw.entry import Entry, encode_entry, entry_hash, with_checksum
from tidelake.raw.ledger import Ledger, entry_key
from tidelake.raw.store import Store
from tidelake.raw.verify import VerifyReport, verify

KEY = bytes(range(32))


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path)


def named(report: VerifyReport) -> list[tuple[str, str]]:
    return [(problem.kind, problem.key) for problem in report.problems]


def replace(store: Store, key: str, data: bytes) -> None:
    store.delete(key)
    assert store.put_new(key, data)


def forged(entry: Entry, **changes: Any) -> Entry:
    """Another entry in its place, by somebody who knows of the checksum."""
    return with_checksum(msgspec.structs.replace(entry, **changes))


def swap(store: Store, one: str, two: str) -> None:
    first, second = store.get(one), store.get(two)
    replace(store, one, second)
    replace(store, two, first)


def test_intact_lake_has_no_problems_and_counts_what_it_read(store):
    entries = seal_each(store, 4) + seal_each(store, 2, lane="toy.other")
    seen: list[tuple[int, int]] = []
    report = verify(store, progress=lambda done, total: seen.append((done, total)))
    assert report.problems == []
    assert (report.counts["lanes"], report.counts["entries"], report.counts["segments"]) == (2, 6, 6)
    assert report.counts["lines"] == 18
    assert report.counts["bytes"] == sum(entry.segment.stored_bytes for entry in entries)
    assert seen == [(done, 6) for done in range(1, 7)]
    assert verify(Store.open("memory:///empty-lake")).problems == []


@pytest.mark.parametrize("codec", ["zstd", "gzip"])
@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])
def test_any_flipped_bit_of_a_segment_is_named(store, codec, key):
    entries = seal_each(store, 3, codec=codec, key=key)
    segment = entries[1].segment
    data = store.get(segment.key)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << (position % 8)
        replace(store, segment.key, bytes(changed))
        report = verify(store, key=key)
        assert named(report) == [("changed-segment", segment.key)]
        assert (report.problems[0].lane, report.problems[0].seq) == (LANE, 1)
    replace(store, segment.key, data)
    assert verify(store, key=key).problems == []


def test_flipped_bit_of_an_encrypted_segment_is_named_without_the_key(store, monkeypatch):
    monkeypatch.delenv("TIDELAKE_KEY", raising=False)
    segment = seal_each(store, 2, key=KEY)[0].segment
    assert verify(store).problems == []
    assert verify(store).counts["not_decrypted"] == 2
    data = bytearray(store.get(segment.key))
    data[-1] ^= 1
    replace(store, segment.key, bytes(data))
    assert named(verify(store)) == [("changed-segment", segment.key)]


@pytest.mark.parametrize("cut", [0, 1, -1])
def test_segment_cut_or_emptied_is_named(store, cut):
    segment = seal_each(store, 2)[0].segment
    replace(store, segment.key, store.get(segment.key)[:cut])
    assert named(verify(store)) == [("changed-segment", segment.key)]


@pytest.mark.parametrize("deep", [True, False])
def test_missing_segment_is_named(store, deep):
    segment = seal_each(store, 3)[1].segment
    store.delete(segment.key)
    assert named(verify(store, deep=deep)) == [("missing-segment", segment.key)]


def test_swapped_segments_are_both_named(store):
    entries = seal_each(store, 3)
    swap(store, entries[0].segment.key, entries[2].segment.key)
    assert named(verify(store)) == [("changed-segment", entries[i].segment.key) for i in (0, 2)]


@pytest.mark.parametrize("deep", [True, False])
@pytest.mark.parametrize("dropped", [0, 1, 3])
def test_dropped_entry_is_named_with_the_segment_it_leaves_behind(store, dropped, deep):
    entries = seal_each(store, 5)
    store.delete(entry_key(LANE, dropped))
    assert named(verify(store, deep=deep)) == [
        ("missing-entry", entry_key(LANE, dropped)),
        ("unnamed-object", entries[dropped].segment.key),
    ]


def test_dropped_last_entry_shows_by_the_segment_it_leaves_behind(store):
    entries = seal_each(store, 3)
    store.delete(entry_key(LANE, 2))
    (problem,) = verify(store).problems
    assert (problem.kind, problem.key, problem.lane, problem.seq) == (
        "unnamed-object", entries[2].segment.key, LANE, 2,
    )  # fmt: skip
    assert "was removed" in problem.message


@pytest.mark.parametrize("pair", [(0, 1), (1, 3), (2, 4)])
def test_swapped_pair_of_entries_is_named(store, pair):
    entries = seal_each(store, 5)
    swap(store, *(entry_key(LANE, seq) for seq in pair))
    report = verify(store)
    assert [p.key for p in report.problems if p.kind == "misplaced-entry"] == [entry_key(LANE, seq) for seq in pair]
    # What the two entries named cannot be trusted, and is shown beside them; nothing else is.
    left = {entries[seq].segment.key for seq in pair}
    assert {p.key for p in report.problems if p.kind != "misplaced-entry"} == left


def test_swapped_entries_that_were_renumbered_break_the_chain(store):
    entries = seal_each(store, 4)
    one, two = (forged(entries[a], seq=b) for a, b in ((1, 2), (2, 1)))
    for entry in (one, two):
        replace(store, entry_key(LANE, entry.seq), encode_entry(entry))
    kinds = {problem.kind for problem in verify(store).problems}
    assert {"broken-chain", "wrong-sums"} <= kinds


@pytest.mark.parametrize("field", ["source", "known_ns", "first_n", "sealed_ns", "meta", "claims"])
def test_changed_field_of_an_entry_breaks_the_chain(store, field):
    entries = seal_each(store, 3)
    other: dict[str, object] = {"source": "x", "meta": {"a": "b"}, "claims": ()}
    changed: Entry = forged(entries[1], **{field: other.get(field, 7)})
    replace(store, entry_key(LANE, 1), encode_entry(changed))
    assert ("broken-chain", entry_key(LANE, 1)) in named(verify(store))


@pytest.mark.parametrize("seq", [1, 2])
def test_any_flipped_bit_of_an_entry_is_named_whether_others_follow_or_not(store, seq):
    with writer(store, meta={"file": "a", "of": "run"}) as lane:
        for number in range(3):
            append(lane, number)
            lane.seal()
    key = entry_key(LANE, seq)
    data = store.get(key)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << (position % 7)
        replace(store, key, bytes(changed))
        assert key in {problem.key for problem in verify(store, deep=False).problems}, position


def test_last_entry_whose_sums_do_not_fit_its_segment_is_named(store):
    last = seal_each(store, 2)[-1]
    changes: tuple[dict[str, Any], ...] = (
        {"first_n": 9},
        {"known_ns": 1},
        {"last_recv_ns": 10**9},
        {"known_before_ns": 0},
        {"context": {}},
    )
    for change in changes:
        changed = forged(last, **change)
        replace(store, entry_key(LANE, 1), encode_entry(changed))
        assert ("wrong-sums", entry_key(LANE, 1)) in named(verify(store))


def test_last_entry_that_names_another_source_than_its_segment_is_named(store):
    entry = seal_each(store, 2)[1]
    replace(store, entry_key(LANE, 1), encode_entry(forged(entry, source="other")))
    assert named(verify(store)) == [("wrong-sums", entry_key(LANE, 1))]


@pytest.mark.parametrize(
    "change",
    [{"writer": "0" * 32}, {"part": ""}, {"meta": {}}, {"sealed_ns": 1}, {"claimed_by": "x"}, {"checksum": "0" * 64}],
)
def test_changed_field_of_the_last_entry_is_named_by_its_checksum(store, change):
    last = seal_each(store, 2, meta={"file": "a"})[-1]
    replace(store, entry_key(LANE, 1), encode_entry(msgspec.structs.replace(last, **change)))
    (problem,) = verify(store, deep=False).problems[:1]
    assert (problem.kind, problem.key) == ("changed-entry", entry_key(LANE, 1))
    assert "does not fit its checksum" in problem.message


def test_entries_from_before_there_were_checksums_are_read(store):
    old = msgspec.structs.replace(seal_each(store, 1)[0], checksum="")
    replace(store, entry_key(LANE, 0), encode_entry(old))
    assert b"checksum" not in store.get(entry_key(LANE, 0))
    with writer(store) as lane:
        append(lane, 9)
    assert verify(store).problems == []
    assert [bool(entry.checksum) for entry in Ledger(store).entries(LANE)] == [False, True]


def test_forged_lane_from_the_middle_on_is_seen_where_it_begins(store):
    entries = seal_each(store, 4)
    false = forged(entries[1], claims=())
    replace(store, entry_key(LANE, 1), encode_entry(false))
    following = forged(entries[2], prev=entry_hash(encode_entry(false)))
    replace(store, entry_key(LANE, 2), encode_entry(following))
    assert named(verify(store)) == [("broken-chain", entry_key(LANE, 2))]  # entry 3 still follows the true entry 2


@pytest.mark.parametrize("key", ["raw/stray", "raw/toy/x/2020-01-01/000000000000-abc.jsonl.zst", "ledger/x/readme.txt"])
def test_foreign_object_is_named(store, key):
    seal_each(store, 2)
    store.put_new(key, b"?")
    assert named(verify(store)) == [("unnamed-object", key)]


def test_unsealed_part_is_not_a_problem(store):
    lane = writer(store)
    append(lane, 1)
    assert verify(store).problems == []
    lane.abandon()


def test_two_entries_that_name_one_segment_are_named(store):
    entries = seal_each(store, 2)
    changed = forged(entries[1], segment=entries[0].segment)
    replace(store, entry_key(LANE, 1), encode_entry(changed))
    assert ("wrong-sums", entry_key(LANE, 1)) in named(verify(store))


def test_verify_works_on_s3(s3_lake_url):
    store = Store.open(s3_lake_url)
    entries = seal_each(store, 3)
    assert verify(store).problems == []
    store.delete(entry_key(LANE, 1))
    swap(store, entries[0].segment.key, entries[2].segment.key)
    assert sorted({problem.kind for problem in verify(store).problems}) == [
        "changed-segment", "missing-entry", "unnamed-object",
    ]  # fmt: skip
