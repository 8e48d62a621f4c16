"""A token on a real node, followed to its coin's machine through a reorganisation.

What must come is read from the node itself, after all, by plain calls, and decoded here by hand.
"""

import time

import msgspec
import pytest

from tests.anvil_node import SLOTS
from tests.chains.evm_code import STAGE, emitting, script
from tests.jobs.chain_relay import relay, rpc
from tests.jobs.test_follow_heads import Listener, block_zero, chain_of, follower, provider, run
from tests.stablecoins.tokens import NOBODY, TRANSFER, word
from tidelake.jobs.block_logs import BlockLogs
from tidelake.sim.tokens.assembler import deploying
from tidelake.stablecoins.chain_words import ChainWords
from tidelake.stablecoins.coin_setup import coin_setup
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.observation import Head, Observation
from tidelake.stablecoins.records import CorrectionRow, IncidentRow, WindowRow
from tidelake.stablecoins.registry import read_coins

S = 1_000_000
GENESIS_S = 1_700_000_100
HOLDER = "0x" + "11" * 20
HOW_IT_WAS_LEARNT = {"known_us", "event_version", "confirmation_count"}


def coin_at(address):
    usdc = next(coin for coin in read_coins() if coin.symbol == "USDC")
    one = msgspec.structs.replace(usdc.deployments[0], chain="anvil", address=address, decimals=6, changes="transfers")
    return msgspec.structs.replace(usdc, deployments=(one,), start=None)


class Chain:
    """A node without a will of its own: blocks come when they are asked for, twelve seconds apart."""

    def __init__(self, url):
        self.url = url
        self.sender = rpc(url, "eth_accounts")[0]
        created = self.send({"data": "0x" + deploying(STAGE).hex()})
        self.mine()
        self.token = rpc(url, "eth_getTransactionReceipt", created)["contractAddress"].lower()

    def send(self, transaction):
        return rpc(self.url, "eth_sendTransaction", {"from": self.sender, "gas": hex(3_000_000), **transaction})

    def move(self, sender, receiver, units):
        event = (
            "Transfer(address,address,uint256)",
            [("address", sender), ("address", receiver)],
            [("uint256", units)],
        )
        return self.send({"to": self.token, "data": "0x" + script(emitting(*event)).hex()})

    def mine(self, count=1):
        for _ in range(count):
            last = int(rpc(self.url, "eth_getBlockByNumber", "latest", False)["timestamp"], 16)
            rpc(self.url, "evm_setNextBlockTimestamp", last + 12)
            rpc(self.url, "anvil_mine", "0x1")

    def facts(self):
        """Mints and burns of the chain as it is now, oldest first, and the times of its blocks."""
        head = int(rpc(self.url, "eth_blockNumber"), 16)
        blocks = [rpc(self.url, "eth_getBlockByNumber", hex(at), False) for at in range(head + 1)]
        times = [int(block["timestamp"], 16) * S for block in blocks]
        found = []
        asked = {"fromBlock": "0x0", "toBlock": "latest", "address": self.token, "topics": [TRANSFER]}
        for log in rpc(self.url, "eth_getLogs", asked):
            number, units = int(log["blockNumber"], 16), int(log["data"], 16)
            place = f"anvil:{log['blockHash']}:{log['transactionHash']}:{int(log['logIndex'], 16)}"
            nobody = "0x" + word(NOBODY)
            if nobody in log["topics"][1:]:
                units = units if log["topics"][1] == nobody else -units
                known = 2 * times[-1]
                found.append(
                    Observation("supply", times[number], known, "USDC", "anvil", "logs", place, 0.0, units, number)
                )
        return found, times


def final(records):
    rows = [one for one in records if isinstance(one, WindowRow) and one.window_state == "FINAL"]
    return {
        (row.chain, row.window_s, row.window_start_us): {
            name: value for name, value in msgspec.structs.asdict(row).items() if name not in HOW_IT_WAS_LEARNT
        }
        for row in rows
    }


@pytest.mark.parametrize("depth", [3, 12])
def test_reorg_of_a_real_chain_ends_in_the_rows_of_its_final_chain_and_is_corrected_in_five_seconds(start_anvil, depth):
    chain = Chain(start_anvil(SLOTS, "16", "--no-mining", "--timestamp", str(GENESIS_S)).url)
    for at in range(20):
        chain.move(NOBODY, HOLDER, 1_000_000 + at)
        chain.move(HOLDER, "0x" + "22" * 20, 5)  # changes nothing
        chain.mine()
    sent = [chain.move(NOBODY, HOLDER, 7_000_000), chain.move(HOLDER, NOBODY, 2_000_000)]
    chain.mine()
    stays = rpc(chain.url, "eth_getRawTransactionByHash", sent[0])
    chain.mine(depth - 1)
    coin = coin_at(chain.token)
    setup = coin_setup(coin, GENESIS_S * S, heads={"anvil"}, expects=(), grace_us={"anvil": 24 * S})
    words, fleet, records = ChainWords("anvil", [coin]), Fleet({"USDC": setup}), []
    corrected = []

    def hand_on(output):
        logs = isinstance(output, BlockLogs)
        for seen in words.take_logs(output.block, output.logs, output.seen_us) if logs else words.take(output):
            known = len(records)
            fleet.take(seen, records)
            if any(isinstance(one, CorrectionRow) for one in records[known:]):
                corrected.append(time.process_time())

    def machine():
        return fleet.machines["USDC"].state

    async def scenario(second):
        providers = provider("alpha", chain.url), provider("beta", second.url)
        async with follower(*providers, wanted=words.wanted, start=block_zero(chain.url)) as following:
            listener = Listener(following, hand_on)
            before, times = chain.facts()
            await listener.until(lambda: machine().clock_us >= times[-1])
            gone = {fact.id for fact in before[-2:]}  # the two of the first block that goes out
            began = time.process_time()  # of this process, not of others that the machine runs beside it
            rpc(chain.url, "anvil_reorg", depth, [[stays, 1]])  # the mint again, a block later; the burn never
            chain.mine()
            await listener.until(lambda: corrected != [])
            assert corrected[0] - began < 5
            assert {one.event_id for one in records if isinstance(one, CorrectionRow)} == gone
            chain.move(HOLDER, NOBODY, 3_000_000)
            chain.mine(60)
            truth, times = chain.facts()
            await listener.settled(chain_of(chain.url)[1])
            await listener.until(lambda: machine().lanes["anvil"].head_block == len(times) - 1)
            return truth, times

    with relay(chain.url) as second:
        truth, times = run(scenario(second))
    assert [fact.units for fact in truth[-2:]] == [7_000_000, -3_000_000]
    assert not [one for one in records if isinstance(one, IncidentRow)]

    clean = Fleet({"USDC": setup})
    told = []
    for fact in truth:
        clean.take(fact, told)
    tiers = chain_of(chain.url)[1]
    heads = Head(times[tiers.safe], times[tiers.final], tiers.safe, tiers.final)
    clean.take(
        Observation("head", times[-1], 2 * times[-1], "", "anvil", "heads", block_number=len(times) - 1, told=heads),
        told,
    )
    assert final(records) == final(told)
    for length in (60, 300):  # the windows that the reorganisation changed are among them
        assert max(start + length * S for _, each, start in final(records) if each == length) > truth[-1].event_us
    for (_, length, start), row in final(records).items():
        inside = [fact.units for fact in truth if start <= fact.event_us < start + length * S]
        assert int(row["minted"].scaleb(6)) == sum(units for units in inside if units > 0)
        assert int(row["burned"].scaleb(6)) == -sum(units for units in inside if units < 0)
