"""Heads of a real node followed through reorganisations; a second provider agrees, lags or tells another chain.

What must come is read from the node itself, before and after, by plain calls.
"""

import asyncio
import time
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.anvil_node import CHAIN_ID, SLOTS
from tests.jobs.chain_relay import mine, relay, reorganise, rpc
from tests.transport.test_rpc_anvil import EMITTER, TOPIC
from tidelake.chains.ethereum import CHAIN as ETHEREUM
from tidelake.chains.heads import Block, Correction, Incident, Moved, Standing, Tiers
from tidelake.chains.logs import LogFilter
from tidelake.jobs.block_logs import BlockLogReader, BlockLogs
from tidelake.jobs.follow_heads import HeadFollower
from tidelake.transport.rates import Pace
from tidelake.transport.rpc_providers import Provider

# Ethereum since the merge, as anvil plays it.
CHAIN = replace(ETHEREUM, name="anvil", chain_id=CHAIN_ID, finality=(replace(ETHEREUM.finality[1], since_block=0),))
FAST = 0.05


def provider(name, url, **options):
    return Provider(name, url, requests=Pace(1e6, 1.0), **options)


def follower(*providers, **options):
    return HeadFollower(CHAIN, providers, **{"every_s": FAST, **options})


def chain_of(url, first=0):
    """Hash of each block by number, and the blocks of the tags."""
    head = int(rpc(url, "eth_blockNumber"), 16)
    hashes = {at: rpc(url, "eth_getBlockByNumber", hex(at), False)["hash"] for at in range(first, head + 1)}
    tags = [int(rpc(url, "eth_getBlockByNumber", tag, False)["number"], 16) for tag in ("latest", "safe", "finalized")]
    return hashes, Tiers(*tags)


def block_zero(url):
    block = rpc(url, "eth_getBlockByNumber", "0x0", False)
    return Block(0, block["hash"], -1, block["parentHash"], int(block["timestamp"], 16) * 1_000_000)


class Listener:
    """All that a follower has told so far; it is handed on too, where somebody wants it."""

    def __init__(self, follower, hand_on=lambda told: None):
        self.follower = follower
        self.hand_on = hand_on
        self.told = []
        self._task = asyncio.create_task(self._listen())

    async def _listen(self):
        async for one in self.follower:
            self.hand_on(one)
            self.told.append(one)

    async def until(self, done, seconds=120.0):
        async with asyncio.timeout(seconds):
            while not done():
                assert not self._task.done(), self._task.result()
                await asyncio.sleep(0.005)

    async def settled(self, tiers):
        """Until the chain is followed so far, and all that was said of it was heard."""
        follower = self.follower
        await self.until(
            lambda: follower._tracker is not None and follower.tracker.tiers == tiers and follower._outputs.empty()
        )

    def of(self, kind):
        return [one for one in self.told if isinstance(one, kind)]


def run(work):
    return asyncio.run(asyncio.wait_for(work, 300))


@pytest.fixture
def relayed():
    with ExitStack() as stack:
        yield lambda url: stack.enter_context(relay(url))


def test_corrections_of_1_2_12_and_64_blocks_are_exact_and_within_five_seconds(start_anvil, relayed):
    url = start_anvil(SLOTS, "32").url
    second = relayed(url)
    mine(url, 150)

    async def scenario():
        async with follower(provider("alpha", url), provider("beta", second.url)) as following:
            listener = Listener(following)
            await listener.settled(chain_of(url)[1])
            for depth in (1, 2, 12, 64):
                before, tiers = chain_of(url, 80)
                began, worked = time.time_ns() // 1_000, time.process_time()
                reorganise(url, depth)
                mine(url, 1)  # a fork of the same length alone would be one too; this one grows as it is seen
                after, later = chain_of(url, 80)
                known = len(listener.of(Correction))
                await listener.until(lambda known=known: len(listener.of(Correction)) > known)
                found = listener.of(Correction)[-1]
                gone = [number for number in before if after[number] != before[number]]
                assert gone == list(range(tiers.head - depth + 1, tiers.head + 1))
                assert [(block.number, block.hash) for block in found.out] == [(at, before[at]) for at in gone]
                new = [block.hash for block in found.adopted]  # a node tells them as it makes them: more may follow
                assert new
                assert new == [after[at] for at in (*gone, later.head)][: len(new)]
                assert (found.ancestor.number, found.ancestor.hash) == (gone[0] - 1, before[gone[0] - 1])
                assert found.tiers_out == tuple(3 if at <= tiers.final else 2 if at <= tiers.safe else 1 for at in gone)
                assert found.providers == ("alpha", "beta")
                assert began <= found.fork_seen_us <= found.seen_us
                assert time.process_time() - worked < 5  # this process, not others that the machine runs beside it
                await listener.settled(later)
                tracker = following.tracker
                assert {block.number: block.hash for block in tracker.active() if block.number >= 80} == after
                assert [tracker.tier(at, after[at]) for at in gone] == [
                    3 if at <= later.final else 2 if at <= later.safe else 1 for at in gone
                ]
            assert not listener.of(Incident)

    run(scenario())


def test_one_provider_alone_never_retracts_and_two_do_once_the_second_has_moved(start_anvil, relayed):
    url = start_anvil().url
    second = relayed(url)
    mine(url, 20)

    async def scenario():
        async with follower(provider("alpha", url), provider("beta", second.url)) as following:
            listener = Listener(following)
            before, tiers = chain_of(url)
            await listener.settled(tiers)
            second.freeze()
            reorganise(url, 2)
            mine(url, 3)
            await listener.until(lambda: following.tracker.state == "DISAGREE")
            await asyncio.sleep(1.2)
            assert not listener.of(Correction)
            assert {block.number: block.hash for block in following.tracker.active()}.items() <= before.items()
            assert listener.of(Standing)[-1].provider == "alpha"
            second.thaw()
            await listener.until(lambda: listener.of(Correction) != [])
            (found,) = listener.of(Correction)
            assert [block.hash for block in found.out] == [before[19], before[20]]
            assert following.tracker.state == "FOLLOWING"

        async with follower(provider("alpha", url)) as following:
            listener = Listener(following)
            await listener.settled(chain_of(url)[1])
            reorganise(url, 1)
            mine(url, 1)
            await listener.until(lambda: following.tracker.state == "DISAGREE")
            await asyncio.sleep(0.5)
            assert following.tracker.state == "DISAGREE"
            assert not listener.of(Correction)

    run(scenario())


def test_a_provider_that_lags_or_is_down_or_lies_takes_nothing_back(start_anvil, relayed):
    genesis = ("--no-mining", "--timestamp", "1700000000")
    url, liar = start_anvil(*genesis).url, start_anvil(*genesis).url
    second = relayed(url)
    mine(url, 10)
    payer = rpc(liar, "eth_accounts")[1]
    rpc(liar, "eth_sendTransaction", {"from": payer, "to": payer})
    mine(liar, 30)  # another chain upon the same genesis, each of its headers with a right hash
    assert (
        rpc(url, "eth_getBlockByNumber", "0x0", False)["hash"]
        == rpc(liar, "eth_getBlockByNumber", "0x0", False)["hash"]
    )

    async def scenario():
        providers = (provider("alpha", url), provider("beta", second.url), provider("liar", liar))
        async with follower(*providers, start=block_zero(url)) as following:
            listener = Listener(following)
            await listener.settled(chain_of(url)[1])  # whatever the liar told first is put right by two
            corrected = len(listener.of(Correction))
            second.behind = 6
            mine(url, 8)
            true, _ = chain_of(url)
            await listener.until(lambda: following.tracker.tip.number == 18)
            second.behind = 0
            second.down = True
            await listener.until(lambda: following.tracker.standings["beta"] == "GONE")
            mine(url, 5)
            await listener.until(lambda: following.tracker.tip.number == 23)
            second.down = False
            true, tiers = chain_of(url)
            await listener.settled(tiers)
            assert {block.number: block.hash for block in following.tracker.active()} == true
            assert len(listener.of(Correction)) == corrected
            assert following.tracker.standings["liar"] == "DISAGREES"
            assert not listener.of(Incident)

    run(scenario())


def test_a_final_block_contradicted_by_two_halts_until_told_to_go_on(start_anvil, relayed):
    url = start_anvil().url  # final after four blocks
    second = relayed(url)
    mine(url, 30)

    async def scenario():
        async with follower(provider("alpha", url), provider("beta", second.url)) as following:
            listener = Listener(following)
            before, tiers = chain_of(url)
            await listener.settled(tiers)
            reorganise(url, 12)
            await listener.until(lambda: listener.of(Incident) != [])
            (found,) = listener.of(Incident)
            assert [block.hash for block in found.contradicted] == [before[at] for at in range(19, tiers.final + 1)]
            assert following.tracker.state == "HALTED"
            mine(url, 2)
            await asyncio.sleep(0.3)
            assert following.tracker.tip.hash == before[30]
            following.resume()
            await listener.until(lambda: listener.of(Correction) != [])
            (corrected,) = listener.of(Correction)
            assert [block.hash for block in corrected.out] == [before[at] for at in range(19, 31)]
            assert corrected.tiers_out == (3,) * (tiers.final - 18) + (2, 2, 1, 1)
            after, later = chain_of(url)
            await listener.settled(later)
            assert following.tracker.tip.hash == after[32]

    run(scenario())


def test_the_same_transaction_in_another_block_is_another_fact(start_anvil, relayed):
    url = start_anvil(SLOTS, "32", "--no-mining").url  # mining by itself it answers before a transaction has its block
    second = relayed(url)
    sender = rpc(url, "eth_accounts")[0]
    created = rpc(url, "eth_sendTransaction", {"from": sender, "data": EMITTER})
    mine(url, 1)
    contract = rpc(url, "eth_getTransactionReceipt", created)["contractAddress"].lower()
    mine(url, 3)
    sent = rpc(url, "eth_sendTransaction", {"from": sender, "to": contract, "gas": hex(100_000)})
    mine(url, 2)
    old = rpc(url, "eth_getTransactionReceipt", sent)
    raw = rpc(url, "eth_getRawTransactionByHash", sent)

    async def scenario():
        providers = provider("alpha", url), provider("beta", second.url)
        async with follower(*providers, wanted=LogFilter((contract,), (TOPIC,))) as following:
            listener = Listener(following)

            def with_logs():
                return [one for one in listener.of(BlockLogs) if one.logs]

            await listener.until(lambda: len(with_logs()) == 1)
            rpc(url, "anvil_reorg", 2, [[raw, 1]])  # it stood in the first of the two blocks
            await listener.until(lambda: len(with_logs()) == 2)
            new = rpc(url, "eth_getTransactionReceipt", sent)
            first, again = (one.logs[0] for one in with_logs())
            assert (first.tx_hash, again.tx_hash) == (sent, sent)
            assert (first.block_hash, again.block_hash) == (old["blockHash"], new["blockHash"])
            assert first.key != again.key
            assert {one.proof for one in with_logs()} <= {"two providers", "receipts root"}
            (found,) = listener.of(Correction)
            assert old["blockHash"] in found.hashes_out
            # Every block that became active has its logs told, those without any too.
            added = [block for one in listener.of(Moved) for block in one.added] + list(found.adopted)
            assert new["blockHash"] in {block.hash for block in added}
            await listener.until(lambda: len(listener.of(BlockLogs)) == len(added))
            assert {one.block.hash for one in listener.of(BlockLogs)} == {block.hash for block in added}
            empty = {one.proof for one in listener.of(BlockLogs) if not one.logs}
            assert empty == {"logs bloom"}
            # How they are shown to be all, by who speaks and whether they say the same.
            reader = BlockLogReader(CHAIN, LogFilter((contract,), (TOPIC,)), 2)
            sources = list(following._sources.values())
            block = with_logs()[1].block
            for source in sources:  # the headers of blocks whose logs are read were let go
                source.headers.clear()
                await source.block_at(block.number)
            both = await reader.read(block, sources)
            one = await reader.read(block, sources[:1])
            second.hides_logs = True
            unequal = await reader.read(block, sources)
            assert [each.proof for each in (both, one, unequal)] == ["two providers", "receipts root", "receipts root"]
            assert both.logs == one.logs == unequal.logs == (again,)

    run(scenario())


def test_a_socket_brings_heads_at_once_and_polling_goes_on_without_it(start_anvil):
    url = start_anvil().url
    socket = url.replace("http://", "ws://")
    mine(url, 3)

    async def scenario():
        slow = {"every_s": 0.3, "with_socket_s": 600.0}
        async with follower(provider("alpha", url, socket=socket), **slow) as following:
            listener = Listener(following)
            await listener.until(lambda: following.sockets["alpha"].subscribed)
            await listener.settled(chain_of(url)[1])
            mine(url, 1)
            await listener.until(lambda: following.tracker.tip.number == 4)  # not the 600 s between two questions
            await listener.settled(chain_of(url)[1])
            following.sockets["alpha"]._connection.end("lost")
            await listener.until(lambda: not following.sockets["alpha"].subscribed)
            mine(url, 5)
            await listener.until(lambda: following.tracker.tip.number == 9)
            assert {block.number: block.hash for block in following.tracker.active()}.items() <= chain_of(url)[
                0
            ].items()
            await listener.until(lambda: following.sockets["alpha"].subscribed)

    run(scenario())
