"""A chain that numbers slots, followed at doubles of its nodes; what must come is what the simulated chain says."""

import time
from contextlib import contextmanager

import pytest

from tests.jobs.test_follow_heads import FAST, Listener, provider, run
from tidelake.chains.heads import Correction, Incident, Moved, Tiers
from tidelake.chains.logs import LogFilter
from tidelake.chains.solana import SOLANA, skipped_slots
from tidelake.errors import ConfigError
from tidelake.jobs.follow_heads import HeadFollower
from tidelake.sim.chains.server import ChainServer
from tidelake.sim.slots.chain import SlotChainSim
from tidelake.sim.slots.node import SlotNode
from tidelake.stablecoins.chain_words import ChainWords
from tidelake.stablecoins.coin_setup import coin_setup
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.records import IncidentRow, WindowRow
from tidelake.stablecoins.registry import coins

START_S = 1_700_000_100
S = 1_000_000


class Clock:
    """Time that goes on when it is told to; slots follow it."""

    def __init__(self, sim, slot):
        self.sim, self.slot = sim, slot

    def __call__(self):
        return self.sim.start_s + (self.slot + 0.5) * self.sim.slot_ms / 1_000


@contextmanager
def serving(sim, slot):
    """The clock, two nodes of the chain, and a provider of each."""
    clock = Clock(sim, slot)
    nodes = {name: SlotNode(sim, clock) for name in ("alpha", "beta")}
    with ChainServer(nodes) as server:
        yield clock, nodes, [provider(name, server.url_of(name)) for name in nodes]


def stands(sim, head, first):
    """Slots and hashes of the blocks that stand, from a slot on."""
    found = (sim.block(slot, head) for slot in range(first, head + 1))
    return [(block.slot, block.hash) for block in found if block is not None]


def tiers_of(sim, head):
    newest = sim.newest(head).slot
    return Tiers(newest, newest, sim.finalized(head).slot)


def of_tracker(following):
    return [(block.number, block.hash) for block in following.tracker.active()]


def test_slots_are_followed_with_their_tiers_and_those_without_a_block_are_facts():
    sim = SlotChainSim(seed=1, start_s=START_S, skipped=0.2)

    async def scenario():
        async with HeadFollower(SOLANA, providers, every_s=FAST) as following:
            listener = Listener(following)
            await listener.settled(tiers_of(sim, 300))
            assert following.tracker.base.number <= sim.finalized(300).slot - 64
            for slot in (301, 302, 340, 500):  # of several at once those between are asked for
                clock.slot = slot
                await listener.settled(tiers_of(sim, slot))
            base = following.tracker.base.number
            assert of_tracker(following) == stands(sim, 500, base)
            with_block = {slot for slot, _ in stands(sim, 500, base)}
            skipped = skipped_slots(following.tracker.active()[1:])
            newest = following.tracker.tip.number
            assert set(skipped) == set(range(base, newest + 1)) - with_block
            assert len(skipped) > 20
            added = [block.number for one in listener.of(Moved) for block in one.added]
            assert added == sorted(set(added))
            assert not listener.of(Correction)

    with serving(sim, 300) as (clock, _, providers):
        run(scenario())


def test_fork_of_confirmed_slots_is_corrected_once_two_nodes_tell_it_and_never_by_one():
    sim = SlotChainSim(seed=2, start_s=START_S, skipped=0.1, fork_every=100, depth=6)

    async def scenario():
        async with HeadFollower(SOLANA, providers, every_s=FAST) as following:
            listener = Listener(following)
            await listener.settled(tiers_of(sim, 300))
            first = following.tracker.base.number
            before = stands(sim, 300, first)
            nodes["beta"].frozen = 300
            clock.slot = 304
            await listener.until(lambda: following.tracker.state == "DISAGREE")
            asked = nodes["beta"].asked["getSlot"]
            await listener.until(lambda: nodes["beta"].asked["getSlot"] > asked + 10)
            assert not listener.of(Correction)
            assert of_tracker(following) == before
            began = time.monotonic()
            nodes["beta"].frozen = None
            await listener.until(lambda: listener.of(Correction) != [])
            assert time.monotonic() - began < 5
            (told,) = listener.of(Correction)
            after = stands(sim, 304, first)
            assert {(one.number, one.hash) for one in told.out} == set(before) - set(after)
            assert {(one.number, one.hash) for one in told.adopted} == set(after) - set(before)
            assert set(told.tiers_out) == {2}
            assert told.providers == ("alpha", "beta")
            await listener.settled(tiers_of(sim, 304))
            assert of_tracker(following) == after
            nodes["beta"].down = True
            await listener.until(lambda: following.tracker.standings["beta"] == "GONE")
            clock.slot = 320
            newest = sim.newest(320).slot
            await listener.until(lambda: following.tracker.tip.number == newest)
            assert following.tracker.tiers.safe == tiers_of(sim, 304).safe  # one alone confirms nothing
            assert not listener.of(Incident)

    with serving(sim, 300) as (clock, nodes, providers):
        run(scenario())


def windows_after(sim, slots):
    """Newest versions of the windows of USDC once these slots were heard one after another, and incidents."""
    coin = coins()["USDC"]
    setup = coin_setup(coin, START_S * S, heads={"solana"}, chains={"solana"}, expects=(), chain_expects=())
    words, fleet, records = ChainWords("solana", [coin]), Fleet({"USDC": setup}), []

    def hand_on(output):
        for seen in words.take(output):
            fleet.take(seen, records)

    async def scenario():
        async with HeadFollower(SOLANA, providers, every_s=FAST) as following:
            listener = Listener(following, hand_on)
            for slot in slots:
                clock.slot = slot
                await listener.settled(tiers_of(sim, slot))

    with serving(sim, slots[0]) as (clock, _, providers):
        run(scenario())
    rows = {(row.chain, row.window_s, row.window_start_us): row for row in records if isinstance(row, WindowRow)}
    return rows, [one for one in records if isinstance(one, IncidentRow)]


def test_windows_of_slots_become_final_after_their_grace_and_many_skipped_slots_lower_the_confidence_before():
    calm, told = windows_after(SlotChainSim(seed=3, start_s=START_S, skipped=0.02), [300, 500, 610])
    assert not told
    found = {row.window_start_us // S - START_S: row for (_, length, _), row in calm.items() if length == 60}
    final_s = SlotChainSim(seed=3, start_s=START_S, skipped=0.02).finalized(610).time_s - START_S
    until = min(final_s, 244 - 30) // 60 * 60
    assert {start for start, row in found.items() if row.window_state == "FINAL"} == set(range(0, until, 60))
    last = found[max(found)]
    troubled, told = windows_after(SlotChainSim(seed=3, start_s=START_S, skipped=0.5), [300, 500, 610])
    assert {one.kind for one in told} == {"slots_skipped"}
    other = troubled[last.chain, 60, last.window_start_us]
    assert last.finality_tier == other.finality_tier == "tier2"
    assert other.confidence_breakdown.reorg < 0.7 * last.confidence_breakdown.reorg
    assert other.temporal_confidence < 0.7 * last.temporal_confidence
    final = [row for row in troubled.values() if row.window_state == "FINAL"]
    assert {row.confidence_breakdown.reorg for row in final} == {1.0}


def test_chain_of_slots_has_no_logs_to_ask_for():
    with pytest.raises(ConfigError, match="solana has no logs"):
        HeadFollower(SOLANA, [provider("alpha", "http://127.0.0.1:1")], wanted=LogFilter(("0x" + "11" * 20,), ()))
