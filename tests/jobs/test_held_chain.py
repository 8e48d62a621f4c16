"""Chains gone on with from what was held: nothing told twice, forks of meanwhile seen, what is far behind reached."""

from dataclasses import replace

import pytest

from tests.jobs.chain_relay import mine, rpc
from tests.jobs.test_follow_heads import CHAIN, Listener, follower, provider, run
from tidelake.chains.heads import Block, Correction, Head, HeldChain, Moved, Tiers
from tidelake.chains.logs import LogFact, LogFilter
from tidelake.chains.tracker import Tracker
from tidelake.jobs import follow_heads
from tidelake.jobs.held_chain import recall
from tidelake.stablecoins.sources.chain_lane import ChainMemory, ChainNote, LogsTold, digest_of


def line(first, count, branch="a", parent="a"):
    """Blocks of a branch that leaves another before the first."""
    names = [f"0x{parent}{first - 1}", *(f"0x{branch}{at}" for at in range(first, first + count))]
    return tuple(Block(first + at, names[at + 1], first + at - 1, names[at], first + at) for at in range(count))


def test_recalled_tracker_stands_where_it_stood_and_corrects_what_two_providers_tell_otherwise():
    blocks = line(10, 20)
    tracker = Tracker("anvil", CHAIN.finality, blocks[0], providers=("alpha", "beta"))
    recall(tracker, CHAIN, HeldChain(blocks, Tiers(29, 20, 15), ()), 1)
    assert tracker.active() == blocks
    assert tracker.tiers == Tiers(29, 20, 15)
    assert set(tracker.standings.values()) == {"GONE"}
    fork = line(27, 5, "b")
    outputs = []
    for name in ("alpha", "beta"):
        outputs += tracker.hear([Head(name, "latest", fork[-1], 2)])
        outputs += tracker.link(name, fork, 2)
    (found,) = (one for one in outputs if isinstance(one, Correction))
    assert (found.out, found.adopted, found.ancestor) == (blocks[-3:], fork, blocks[-4])


@pytest.mark.parametrize("providers", [1, 2])
def test_chain_left_far_behind_is_reached_in_strides(start_anvil, monkeypatch, providers):
    monkeypatch.setattr(follow_heads, "STRIDE", 16)
    url = start_anvil().url
    mine(url, 100)
    told = [rpc(url, "eth_getBlockByNumber", hex(at), False) for at in range(8, 11)]
    blocks = tuple(
        Block(at, one["hash"], at - 1, one["parentHash"], int(one["timestamp"], 16) * 1_000_000)
        for at, one in enumerate(told, start=8)
    )

    async def scenario():
        names = [provider(name, url) for name in ("alpha", "beta")[:providers]]
        async with follower(*names, held=HeldChain(blocks, Tiers(10, 8, 8), ())) as following:
            listener = Listener(following)
            await listener.settled(Tiers(100, 98, 96))
            return listener

    added = [block for moved in run(scenario()).of(Moved) for block in moved.added]
    assert [block.number for block in added] == list(range(11, 101))


def note(place, **what):
    return ChainNote("run", place, **what)


def test_memory_holds_what_may_still_go_out_and_awaits_logs_that_were_not_told():
    memory = ChainMemory(back=5, hold=100)
    blocks = line(1, 30)
    memory.take(note(1, moved=Moved("anvil", blocks, Tiers(30, -1, -1), 7)))
    held = memory.held()
    assert held is not None
    assert held.blocks == held.awaited == blocks
    memory.take(note(2, logs=LogsTold(blocks[28], (), digest_of(()), "logs bloom", 8)))
    memory.take(note(3, logs=LogsTold(blocks[29], (), digest_of(()), "logs bloom", 8)), with_logs=False)
    memory.take(note(4, moved=Moved("anvil", (), Tiers(30, 28, 26), 9)))
    held = memory.held()
    assert held is not None
    assert held.blocks == blocks  # the logs of the first are not told
    for block in blocks[:20]:
        memory.take(note(4, logs=LogsTold(block, (), digest_of(()), "logs bloom", 9)))
    held = memory.held()
    assert held is not None
    assert [block.number for block in held.blocks] == list(range(21, 31))
    assert [block.number for block in held.awaited] == [*range(21, 29), 30]
    fork = line(29, 3, "b")
    out = blocks[28:]
    memory.take(
        note(5, correction=Correction("anvil", blocks[27], out, fork, (1, 1), (1, 1, 1), ("x", "y"), "", 10, 10))
    )
    held = memory.held()
    assert held is not None
    assert (held.blocks[-3:], held.tiers) == (fork, Tiers(28, 28, 26))
    assert memory.hash_of(29) == "0xb29"
    assert (memory.place, memory.base_us) == (5, 7)


def test_joined_filter_fits_what_fits_one_of_the_two():
    one, two = LogFilter(("0xA1",), (("0xt1", "0xt2"),)), LogFilter(("0xb2",), ("0xT3",))
    both = one.joined(two)
    log = LogFact("anvil", 1, "0x01", "0x02", 0, 0, "0xa1", ("0xt2",), "0x")
    assert one.matches(log)
    assert both.matches(log)
    assert both.matches(replace(log, address="0xb2", topics=("0xt3",)))
    assert not both.matches(replace(log, topics=("0xt4",)))
    for wide in (LogFilter((), ("0xt1",)), LogFilter(("0xa1",)), LogFilter(("0xa1",), ("0xt1", "0xt2"))):
        with pytest.raises(ValueError, match="cannot be joined"):
            one.joined(wide)
