"""A chain that was halted stays so in the watch that goes on, and is gone on with where that is asked for."""

import asyncio
from itertools import pairwise

import tidelake
from tests.jobs.chain_relay import relay, rpc
from tests.jobs.test_coin_watched import rows
from tests.jobs.test_follow_coins import HOLDER, Chain, coin_at
from tests.jobs.test_follow_heads import CHAIN, FAST, provider
from tests.stablecoins.tokens import NOBODY
from tidelake.jobs.coin_watched import WatchedHistory
from tidelake.jobs.watch_coins import CoinWatch
from tidelake.stablecoins.records import IncidentRow
from tidelake.stablecoins.replay.run import Replay

WITHIN_S = 60.0
FOLLOWED = {"anvil:alpha": "FOLLOWS", "anvil:beta": "FOLLOWS"}
HALTED = {"anvil": "HALTED", "anvil:alpha": "DISAGREES", "anvil:beta": "DISAGREES"}
DEEP = 8  # more than the four blocks after which one is final


def watch(lake, nodes, coin, until, **options):
    """Watch until it holds of the watch; its records and its report."""
    told = []

    async def watching():
        coin_watch = CoinWatch(
            lake.store,
            [coin],
            nodes,
            every_s=FAST,
            listen=told.extend,
            **options,
        )
        task = asyncio.ensure_future(coin_watch.run())
        async with asyncio.timeout(WITHIN_S):
            while not task.done() and not until(coin_watch):
                await asyncio.sleep(FAST)
        task.cancel()
        return await task

    report = asyncio.run(watching())
    return told, report


def states(watching):
    return {line.source: line.state for line in watching.sources()}


def is_level(chain, coin):
    """Tells whether a watch follows both nodes and has taken the logs of all blocks."""

    def found(watching):
        lane = watching._fleet.machines[coin.symbol].state.lanes["anvil"]
        return lane.head_block == int(rpc(chain.url, "eth_blockNumber"), 16) and states(watching) == FOLLOWED

    return found


def is_halted(watching):
    return states(watching) == HALTED


def kinds(told):
    return [record.kind for record in told if isinstance(record, IncidentRow)]


def test_halted_chain_stays_halted_when_its_watch_goes_on_until_it_is_resumed(tmp_path, start_anvil, caplog):
    chain = Chain(start_anvil("--no-mining").url)
    lake, coin = tidelake.open(tmp_path / "lake"), coin_at(chain.token)
    chain.mine(DEEP)
    with relay(chain.url) as beside:
        nodes = [(CHAIN, (provider("alpha", chain.url), provider("beta", beside.url)))]

        chain.move(NOBODY, HOLDER, 7_000_000)
        chain.mine(DEEP)
        watch(lake, nodes, coin, is_level(chain, coin))
        rpc(chain.url, "anvil_reorg", DEEP + 1, [])
        chain.mine(1)
        told, first = watch(lake, nodes, coin, is_halted)
        assert kinds(told) == ["finality_violated"]
        (line,) = (one for one in first.sources if one.source == "anvil")
        assert "--resume-halted" in line.detail

        told, second = watch(lake, nodes, coin, is_halted)
        assert kinds(told) == []
        chain.mine(2)
        told, third = watch(lake, nodes, coin, is_level(chain, coin), resume_halted=True)
        assert kinds(told)[:1] == ["resumed"]
        chain.mine(2)
        told, fourth = watch(lake, nodes, coin, is_level(chain, coin))
        assert kinds(told) == []
    reports = [first, second, third, fourth]
    assert all(one.resumed and one.run == other.run for one, other in pairwise(reports))
    stands = {fact.id for fact in chain.facts()[0]}
    corrected = lake.scan("stablecoin_corrections").collect()
    assert len(corrected) == 1
    assert corrected["event_id"][0] not in stands
    history = WatchedHistory(lake.store, fourth.run, coins=[coin])
    replayed = Replay(lake.store, "again", history.setups(), passes_time=False).run(history)
    assert (history.refused, replayed.counts) == ({}, fourth.counts)
    assert rows(lake, "again") == rows(lake, fourth.run)
    assert caplog.text.count("chain stays halted") == 1
