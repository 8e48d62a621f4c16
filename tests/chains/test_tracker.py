"""Tiers by dated policy, what halts a chain, and how providers stand; the numbers are worked out by hand."""

from typing import Any, cast

import pytest

from tests.chains.block_trees import genesis, grow
from tidelake.chains.ethereum import CHAIN
from tidelake.chains.finality import confirmations
from tidelake.chains.heads import Ask, Correction, Head, Incident, Moved, Standing, Tiers
from tidelake.chains.spec import Tag
from tidelake.chains.tracker import Tracker
from tidelake.errors import ConfigError, FormatDrift

MERGE = 15_537_394  # https://github.com/ethereum/EIPs/blob/master/EIPS/eip-6953.md


def line(start, names):
    found = [start]
    for name in names:
        found.append(grow(found[-1], name))
    return found


def tracked(start=None, providers=("a", "b"), **options):
    return Tracker("ethereum", CHAIN.finality, start or genesis(MERGE), providers=providers, **options)


def say(tracker, provider, at=1, /, **tags: Any):
    return tracker.hear([Head(provider, cast("Tag", tag), block, at) for tag, block in tags.items()])


def linked(tracker, provider, blocks, at=1, /, **tags):
    """A head whose blocks were all told."""
    return [*tracker.link(provider, blocks, at), *say(tracker, provider, at, **(tags or {"latest": blocks[-1]}))]


def only(outputs, kind):
    (found,) = [one for one in outputs if isinstance(one, kind)]
    return found


def test_tiers_follow_the_tags_that_two_providers_tell():
    tracker = tracked()
    chain = line(tracker.tip, "123456789")
    moved = only(linked(tracker, "a", chain, latest=chain[9], safe=chain[7], finalized=chain[4]), Moved)
    assert moved.added == tuple(chain[1:])
    assert moved.tiers == Tiers(MERGE + 9, -1, -1)  # one provider's word
    moved = only(say(tracker, "b", latest=chain[8], safe=chain[6], finalized=chain[5]), Moved)
    assert moved == Moved("ethereum", (), Tiers(MERGE + 9, MERGE + 6, MERGE + 4), 1)
    assert [tracker.tier(block.number, block.hash) for block in chain] == [3, 3, 3, 3, 3, 2, 2, 1, 1, 1]
    assert tracker.tier(MERGE + 3, "another") is None


def test_tier_3_never_falls_and_tier_2_falls_when_fewer_than_two_tell_it():
    tracker = tracked()
    chain = line(tracker.tip, "123456")
    for name in "ab":
        linked(tracker, name, chain, latest=chain[6], safe=chain[4], finalized=chain[2])
    assert only(say(tracker, "a", latest=chain[6], safe=chain[3], finalized=chain[1]), Moved).tiers.safe == MERGE + 3
    tracker.gone("b", "down", 2)  # its last word stands
    assert tracker.tiers == Tiers(MERGE + 6, MERGE + 3, MERGE + 2)
    assert only(say(tracker, "b", latest=chain[6], safe=chain[1], finalized=chain[1]), Moved).tiers.safe == MERGE + 2
    assert tracker.tiers.final == MERGE + 2


def test_before_the_merge_nothing_is_final_however_many_blocks_stand_above_it():
    tracker = tracked(genesis(1_000))
    chain = line(tracker.tip, [f"{at}" for at in range(100)])
    for name in "ab":
        linked(tracker, name, chain, latest=chain[-1], safe=chain[-1], finalized=chain[-1])
    assert tracker.tiers == Tiers(1_100, -1, -1)
    assert confirmations(1_000, 1_100).count == 101
    assert [confirmations(at, 1_100).reached for at in (1_101, 1_100, 1_089, 1_037)] == [(), (1,), (1, 12), (1, 12, 64)]


def test_of_a_single_provider_the_tags_count_and_a_fork_stops_the_chain():
    tracker = tracked(providers=("a",))
    chain = line(tracker.tip, "123")
    linked(tracker, "a", chain, latest=chain[3], safe=chain[2], finalized=chain[1])
    assert tracker.tiers == Tiers(MERGE + 3, MERGE + 2, MERGE + 1)
    fork = line(chain[1], "xyz")
    (standing,) = linked(tracker, "a", fork)
    assert standing.state == "DISAGREES"
    assert standing.reason == f"block {MERGE + 2} is x there, and block {MERGE + 2} is 2 here"
    assert (tracker.state, tracker.tip) == ("DISAGREE", chain[3])


def test_a_correction_says_tiers_before_and_after_and_when_the_fork_was_seen():
    tracker = tracked()
    chain = line(tracker.tip, "1234")
    for name in "ab":
        linked(tracker, name, chain, latest=chain[4], safe=chain[3], finalized=chain[1])
    fork = line(chain[2], "xyz")
    (standing,) = linked(tracker, "a", fork, 10)
    assert (standing.provider, standing.state, tracker.tip) == ("a", "DISAGREES", chain[4])
    outputs = linked(tracker, "b", fork, 12, latest=fork[2], safe=fork[1], finalized=chain[1])
    found = only(outputs, Correction)
    assert found.ancestor == chain[2]
    assert found.hashes_out == {"3", "4"}
    assert found.hashes_in == {"x", "y", "z"}  # the last on the word of one provider, as any new block
    assert (found.tiers_out, found.tiers_in) == ((2, 1), (1, 1, 1))
    assert (found.providers, found.fork_seen_us, found.seen_us) == (("a", "b"), 10, 12)
    assert only(outputs, Standing) == Standing("ethereum", "a", "FOLLOWS", only(outputs, Standing).reason, 12)
    assert tracker.state == "FOLLOWING"
    assert tracker.tiers == Tiers(MERGE + 5, MERGE + 2, MERGE + 1)


def test_nodes_that_lag_retract_nothing_and_are_said_to_lag():
    tracker = tracked(providers=("a", "b", "c"))
    chain = line(tracker.tip, "123456")
    linked(tracker, "a", chain)
    outputs = [*say(tracker, "b", latest=chain[2]), *say(tracker, "c", latest=chain[3])]
    assert [(one.provider, one.state) for one in outputs] == [("b", "LAGS"), ("c", "FOLLOWS")]
    assert tracker.tip == chain[6]


def test_more_providers_on_our_side_than_on_the_other_keep_the_chain():
    tracker = tracked(providers=("a", "b", "c", "d"))
    chain = line(tracker.tip, "12")
    fork = line(tracker.tip, "xy")
    for name in "ab":
        linked(tracker, name, chain)
    for name in "cd":
        linked(tracker, name, fork)
    assert tracker.tip == chain[2]  # two against two
    outputs = tracker.gone("b", "timed out", 7)
    assert only(outputs, Correction).providers == ("c", "d")
    assert tracker.tip == fork[2]


def test_two_providers_against_a_final_block_halt_the_chain_until_it_is_told_to_go_on():
    tracker = tracked()
    chain = line(tracker.tip, "1234")
    for name in "ab":
        linked(tracker, name, chain, latest=chain[4], safe=chain[3], finalized=chain[2])
    fork = line(chain[1], "wxyz")
    linked(tracker, "a", fork, 5)
    incident = only(linked(tracker, "b", fork, 6), Incident)
    assert (incident.ancestor, incident.contradicted) == (chain[1], (chain[2],))
    assert (incident.providers, incident.fork_seen_us, incident.seen_us) == (("a", "b"), 5, 6)
    assert (tracker.state, tracker.halted) == ("HALTED", incident.reason)
    later = grow(fork[-1], "later")
    assert not any(not isinstance(one, Standing) for one in say(tracker, "a", 7, latest=later))
    assert tracker.active() == tuple(chain)
    found = only(tracker.resume(8), Correction)
    assert (found.tiers_out, found.hashes_in) == ((3, 2, 1), {"w", "x", "y", "z", "later"})
    assert (tracker.state, tracker.tip, tracker.tiers.final) == ("FOLLOWING", later, MERGE + 1)


def test_a_fork_older_than_what_is_held_is_an_incident_without_an_ancestor():
    tracker = tracked()
    chain = line(tracker.tip, "123")
    linked(tracker, "a", chain)
    other = line(genesis(MERGE - 1), ["q", "r", "s", "t", "u"])
    outputs = [one for name in "ab" for one in linked(tracker, name, other)]
    incident = only(outputs, Incident)
    assert (incident.ancestor, incident.contradicted) == (None, ())
    assert tracker.state == "HALTED"
    assert not any(isinstance(one, Correction) for one in tracker.resume(9))


def test_missing_headers_are_asked_for_back_to_the_ancestor_twice_as_far_each_time():
    tracker = tracked(providers=("a",))
    chain = line(tracker.tip, [f"m{at}" for at in range(100)])
    linked(tracker, "a", chain)
    fork = line(chain[10], [f"f{at}" for at in range(90)])
    say(tracker, "a", latest=fork[-1])
    asked = []
    while found := tracker.asks():
        asked += found
        tracker.link("a", [block for block in fork if found[0].first <= block.number <= found[0].last], 2)
    tops = [MERGE + 99, MERGE + 91, MERGE + 73, MERGE + 19]
    assert [(ask.first, ask.last) for ask in asked] == list(
        zip([MERGE + 92, MERGE + 74, MERGE + 20, MERGE + 1], tops, strict=True)
    )
    assert asked[0] == Ask("a", MERGE + 92, MERGE + 99, fork[-2].hash)
    assert tracker.state == "DISAGREE"


def test_heads_missed_are_asked_for_down_to_the_last_one_held():
    tracker = tracked()
    chain = line(tracker.tip, [f"{at}" for at in range(50)])
    assert not say(tracker, "a", latest=chain[-2])
    assert only(say(tracker, "a", latest=chain[-1]), Standing).state == "UNLINKED"
    (ask,) = tracker.asks()
    assert (ask.first, ask.last) == (MERGE + 1, MERGE + 48)
    moved = only(tracker.link("a", chain[1:-2], 3), Moved)
    assert moved.added == tuple(chain[1:])


def test_blocks_are_held_as_far_as_is_set_behind_what_both_providers_tell():
    tracker = tracked(hold=100)
    chain = line(tracker.tip, [f"{at}" for at in range(1_000)])
    for at in range(1, 1_001):
        say(tracker, "a", latest=chain[at])
    assert len(tracker.active()) == 1_001  # one provider alone moves nothing out of reach
    say(tracker, "b", latest=chain[900])
    assert tracker.base == chain[800]
    assert tracker.active() == tuple(chain[800:])
    assert tracker.tier(MERGE + 799, chain[799].hash) is None


def test_a_parent_above_its_child_and_providers_of_one_name_are_refused():
    tracker = tracked()
    with pytest.raises(FormatDrift, match="says that its parent is block"):
        tracker.link("a", [grow(tracker.tip, "x", number=MERGE)], 1)
    with pytest.raises(ConfigError):
        tracked(providers=("a", "a"))
