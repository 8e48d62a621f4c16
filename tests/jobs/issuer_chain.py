"""Issuers of both mint styles on a real node, the machines that follow them, and the count that these must come to.

The count is read from the node by plain calls, decoded by hand, and kept in dictionaries, without the product.
"""

import random
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace

from tests.jobs.chain_relay import relay
from tests.jobs.test_follow_heads import FAST, Listener
from tests.stablecoins.tokens import SIGNS
from tidelake.chains.ethereum import CHAIN as ETHEREUM
from tidelake.chains.heads import Block, Tiers
from tidelake.jobs.block_logs import BlockLogs
from tidelake.jobs.follow_heads import HeadFollower
from tidelake.sim.tokens.play import TokenPlay
from tidelake.stablecoins.chain_words import ChainWords
from tidelake.stablecoins.coin_setup import coin_setup
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.records import CorrectionRow, WindowRow
from tidelake.stablecoins.registry import coins

S = 1_000_000
GENESIS_S = 1_700_000_100
APART_S = 12
CHAIN = replace(ETHEREUM, finality=(replace(ETHEREUM.finality[1], since_block=0),))  # as it is since the merge
OPTIONS = ("--chain-id", "1", "--no-mining", "--timestamp", str(GENESIS_S), "--slots-in-an-epoch")


class IssuerChain:
    """A chain on which a seed mints and burns.

    Attributes:
        play: The tokens on the node.
    """

    def __init__(self, play, seed):
        self.play, self.draw = play, random.Random(seed)
        play.place()
        play.ask("anvil_setBlockTimestampInterval", APART_S)
        self._me = int(play.ask("eth_accounts")[0], 16)
        for name, function in (("USDC", "mint(address,uint256)"), ("USDT", "issue(uint256)")):
            play.send(name, function, *([self._me] if name == "USDC" else []), 10**15)
        self.mine()

    def mine(self, count=1):
        self.play.ask("anvil_mine", hex(count))

    def head(self):
        return int(self.play.ask("eth_blockNumber"), 16)

    def call(self, kinds=("mint", "burn", "issue", "redeem", "destroy")):
        """One change of supply, in the next block."""
        units = self.draw.randint(1, 10**9)
        kind = self.draw.choice(kinds)
        if kind == "mint":
            return self.play.send("USDC", "mint(address,uint256)", self._me, units)
        if kind == "burn":
            return self.play.send("USDC", "burn(uint256)", units)
        if kind == "destroy":
            holder = self.draw.randint(1, 2**100)
            self.play.send("USDT", "transfer(address,uint256)", holder, units)
            return self.play.send("USDT", "destroyBlackFunds(address)", holder)
        return self.play.send("USDT", f"{kind}(uint256)", units)

    def grow(self, blocks):
        """So many blocks, the first of which has changes; the hash of its first transaction."""
        first = self.call(("mint", "burn", "issue", "redeem"))  # of one transaction each
        for _ in range(self.draw.randrange(3)):
            self.call()
        done = 0
        for at in sorted(self.draw.sample(range(1, blocks), min(6, blocks - 1))):
            self.mine(at - done)
            done = at
            self.call()
        self.mine(blocks - done)
        return first

    def fork(self, depth, again):
        """Replace blocks; one transaction of the first of them stands in another block, where there is another."""
        self.play.reorganise(depth, [(again, min(1, depth - 1))])
        self.call()
        self.mine()

    def count(self):
        """Of each coin its changes by id: units, time of the block in microseconds, its number."""
        found = {}
        times = {}
        for name, signs in SIGNS.items():
            asked = {"fromBlock": "0x0", "toBlock": "latest", "address": self.play.addresses[name]}
            found[name] = {}
            for log in self.play.ask("eth_getLogs", asked):
                digest = log["blockHash"]
                if digest not in times:
                    times[digest] = int(self.play.ask("eth_getBlockByHash", digest, False)["timestamp"], 16) * S
                if sign := signs.get(log["topics"][0]):
                    place = f"ethereum:{digest}:{log['transactionHash']}:{int(log['logIndex'], 16)}"
                    units = sign * int(log["data"][-64:], 16)
                    found[name][place] = units, times[digest], int(log["blockNumber"], 16)
        return found

    def tags(self):
        """Numbers and times of the newest, the safe and the final block."""
        blocks = [self.play.ask("eth_getBlockByNumber", tag, False) for tag in ("latest", "safe", "finalized")]
        return Tiers(*(int(block["number"], 16) for block in blocks)), [
            int(block["timestamp"], 16) * S for block in blocks
        ]

    def zero(self):
        block = self.play.ask("eth_getBlockByNumber", "0x0", False)
        return Block(0, block["hash"], -1, block["parentHash"], int(block["timestamp"], 16) * S)


class Watch:
    """The whole path: what a follower tells goes to the machines of both coins.

    Attributes:
        records: All that they said.
        corrected_at: When each correction of a fact was said, monotonic seconds.
    """

    def __init__(self):
        known = coins()
        both = [known[name] for name in SIGNS]
        self.words = ChainWords("ethereum", both)
        setups = {
            coin.symbol: coin_setup(
                coin,
                GENESIS_S * S,
                heads={"ethereum"},
                chains={"ethereum"},
                expects=(),
                chain_expects=(),
                grace_us={"ethereum": 2 * APART_S * S},
            )
            for coin in both
        }
        self.fleet = Fleet(setups)
        self.records = []
        self.corrected_at = []

    def hand_on(self, output):
        known = len(self.records)
        logs = isinstance(output, BlockLogs)
        told = self.words.take_logs(output.block, output.logs, output.seen_us) if logs else self.words.take(output)
        for seen in told:
            self.fleet.take(seen, self.records)
        now = time.monotonic()
        self.corrected_at += [now for one in self.records[known:] if isinstance(one, CorrectionRow)]

    def of(self, kind):
        return [one for one in self.records if isinstance(one, kind)]

    def lane(self, name):
        return self.fleet.machines[name].state.lanes["ethereum"]

    def knows(self, tags):
        """Whether the machines know the chain up to these blocks, its tiers too."""
        tiers, times = tags
        return all(
            lane.head_block >= tiers.head
            and lane.passed_us[1:] == (times[1], times[2])
            and lane.passed_us[0] >= times[0]
            for lane in map(self.lane, SIGNS)
        )

    def final(self):
        """FINAL windows, by what they are of."""
        return {key: row for key, row in self.windows().items() if row.window_state == "FINAL"}

    def windows(self):
        """The newest version of each window."""
        return {
            (row.coin, row.chain, row.window_s, row.window_start_us): row for row in self.records if _is_window(row)
        }


def _is_window(row):
    return isinstance(row, WindowRow)


def assert_windows_say(windows, count, times):
    """Each window says what the dictionaries come to, and has the tier of its blocks.

    Args:
        times: Of the newest, the safe and the final block.
    """
    sums = defaultdict(lambda: [0, 0, 0])
    for name, changes in count.items():
        for units, time_us, _ in changes.values():
            for length in (60, 300):
                start = time_us - (time_us - GENESIS_S * S) % (length * S)
                found = sums[name, length, start]
                found[0] += max(units, 0)
                found[1] += max(-units, 0)
                found[2] += 1
    assert windows
    for (name, chain, length, start), row in windows.items():
        minted, burned, events = sums[name, length, start]
        said = int(row.minted.scaleb(6)), int(row.burned.scaleb(6)), row.supply_events
        assert said == (minted, burned, events), (name, chain, length, start)
        assert row.net_supply_change == row.minted - row.burned
        end = start + length * S
        tier = 3 if times[2] >= end else 2 if times[1] >= end else 1
        assert row.finality_tier == f"tier{tier}"
        assert (row.window_state == "FINAL") <= (tier == 3)


@contextmanager
def issuers(start_anvil, slots, seed=1):
    """The chain, its node's address and that of a second provider of it."""
    node = start_anvil(*OPTIONS, str(slots)).url
    with TokenPlay(node, "ethereum") as play, relay(node) as second:
        yield IssuerChain(play, seed), node, second


async def followed(chain, watch, providers, scenario, every_s=FAST, **options):
    """Follow the chain while the scenario goes on; it gets the listener and the follower."""
    options |= {"wanted": watch.words.wanted, "start": chain.zero(), "every_s": every_s}
    async with HeadFollower(CHAIN, providers, **options) as following:
        return await scenario(Listener(following, watch.hand_on), following)
