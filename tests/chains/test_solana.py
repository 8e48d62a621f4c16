"""Blocks by slot: the recorded one, tiers by commitment, and slots that were skipped."""

import json

import pytest

from tests.chains.block_trees import genesis, grow
from tests.recorded.independent_reader import DATA
from tidelake.chains.heads import Correction, Head, Tiers
from tidelake.chains.solana import SOLANA, SkippedShare, parse_block, skipped_share, skipped_slots
from tidelake.chains.tracker import Tracker
from tidelake.errors import FormatDrift

RECORDED = DATA / "chains" / "blocks" / "block_241043141_v2.json"


def answer(**changed):
    told = {"blockhash": "B", "previousBlockhash": "A", "parentSlot": 7, "blockTime": 1_700_000_000}
    return json.dumps({**told, "blockHeight": 5, **changed}).encode()


@pytest.mark.skipif(not RECORDED.is_file(), reason="needs the recorded block in ../shared/data/chains/blocks")
def test_the_recorded_block_is_read():
    found = parse_block(241_043_141, RECORDED.read_bytes())
    assert found is not None
    assert found.hash == "7UVhKXDoFXfQWHRRMNaXiEXiQsabDvU7oz4TRLHFuzd8"
    assert (found.parent_number, found.parent_hash) == (241_043_140, "8KrXYfWrGMBJg6owJ5U5X1c6rxh3iVxbybvSK5hbTZtA")
    assert found.time_us == 1_704_919_455_000_000


def test_blocks_that_are_none_or_not_of_their_form():
    assert parse_block(9, b"null") is None
    found = parse_block(10, answer())
    assert found is not None
    assert skipped_slots([found]) == (8, 9)
    for bad in (answer(parentSlot=10), answer(blockTime=None), answer(blockhash=3), b"[]", b"\xff"):
        with pytest.raises(FormatDrift):
            parse_block(10, bad)


def test_commitments_give_tiers_and_a_fork_changes_which_slots_were_skipped():
    start = genesis(1_000)
    tracker = Tracker("solana", SOLANA.finality, start, providers=("a", "b"))
    one = grow(start, "one", number=1_001)
    two = grow(one, "two", number=1_004)
    three = grow(two, "three", number=1_005)
    for name in "ab":
        tracker.link(name, (one, two), 1)
        tracker.hear([Head(name, "latest", three, 1), Head(name, "safe", two, 1), Head(name, "finalized", one, 1)])
    assert tracker.tiers == Tiers(1_005, 1_004, 1_001)
    assert [tracker.tier(block.number, block.hash) for block in (one, two, three)] == [3, 2, 1]
    assert skipped_slots(tracker.active()[1:]) == (1_002, 1_003)
    assert skipped_share(tracker.active(), 4) == SkippedShare(1_002, 1_005, 2)
    assert skipped_share(tracker.active(), 4).share == 0.5
    assert skipped_share(tracker.active(), 100) == SkippedShare(1_000, 1_005, 2)  # no more are held
    other = grow(one, "other", number=1_006)
    outputs = [found for name in "ab" for found in tracker.hear([Head(name, "latest", other, 2)])]
    (found,) = [each for each in outputs if isinstance(each, Correction)]
    assert (sorted(found.hashes_out), sorted(found.hashes_in)) == (["three", "two"], ["other"])
    assert found.tiers_out == (2, 1)
    assert skipped_slots(tracker.active()[1:]) == (1_002, 1_003, 1_004, 1_005)
