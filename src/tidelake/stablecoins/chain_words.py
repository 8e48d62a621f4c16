"""What is told of a chain, in the words of coins' machines: blocks and their logs in, observations out. It asks nobody.

    words = ChainWords("ethereum", coins)
    for seen in words.take(output): ...                             # Moved, Correction or Incident of a tracker
    for seen in words.take_logs(block, logs, seen_us): ...          # all logs of a block that fit `words.wanted`

A head is told only as far as the logs of all blocks up to it are known: machines read it as "no more changes come", so
that a window whose logs are not there yet has no supply, rather than one of zero. Supply changes are known by block
hash. A correction takes back those of the blocks that went out, and lets those stand that come back with their blocks.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

import msgspec

from tidelake.chains.heads import (
    Block,
    Correction,
    Incident,
    LateLogs,
    LostLogs,
    Moved,
    Output,
    Resumed,
    Tiers,
)
from tidelake.chains.logs import LogFact
from tidelake.chains.registry import SLOT_CHAINS
from tidelake.chains.solana import skipped_share
from tidelake.chains.tracker import HOLD
from tidelake.errors import FormatDrift
from tidelake.stablecoins.coin import Coin
from tidelake.stablecoins.coin_setup import lanes_of
from tidelake.stablecoins.issuers import SupplyChange, SupplyLogs
from tidelake.stablecoins.observation import Head, Observation, Retraction, Violation

KEPT = 2 * HOLD  # blocks behind the newest whose facts are remembered: more than a tracker holds

SLOTS = 150  # a minute of Solana: of so many the share without a block is told

NO_TIERS = Tiers(-1, -1, -1)


class BlockFacts(msgspec.Struct, frozen=True):
    """What the logs of a block told.

    Attributes:
        number: Of the block.
        ids: Ids of its supply changes, each with coin and lane.
        unread: Lanes whose supply its logs do not tell any more, each with its coin and the token's address.
    """

    number: int
    ids: tuple[tuple[str, str, str], ...] = ()
    unread: tuple[tuple[str, str, str], ...] = ()


class ChainWords:
    """The words of one chain; `known_us` of what it gives never decreases, and rises with each retraction.

    Args:
        chain: Its name.
        coins: Coins whose machines hear it; those that are not on it play no part.

    Attributes:
        lanes: Coins on the chain, each with the name of its lane there.
        wanted: One filter that all telling logs of all deployments fit, others too; None where no logs tell anything,
            and then heads wait for none.
    """

    def __init__(self, chain: str, coins: Iterable[Coin]) -> None:
        there = [coin for coin in coins if any(one.chain == chain for one in coin.deployments)]
        self.chain = chain
        self._logs = SupplyLogs(there)
        self._lanes = {
            one.key[1]: (coin.symbol, lane)
            for coin in there
            for lane, one in lanes_of(coin).items()
            if one.chain == chain
        }
        self.lanes = tuple(self._lanes.values())
        self.wanted = self._logs.one_filter(chain)
        self._active: dict[int, Block] = {}
        self._awaited: dict[int, str] = {}
        self._facts: dict[str, BlockFacts] = {}
        self._unread: dict[tuple[str, str, str], set[str]] = {}
        self._late: set[str] = set()
        self._tiers = NO_TIERS
        self._told: Head | None = None
        self._told_block = -1
        self._known_us = 0

    def take(self, output: Output | LateLogs | LostLogs) -> list[Observation]:
        """What a tracker's output means, or that logs are late or lost; nothing for a provider's standing."""
        if isinstance(output, Moved):
            self._know(output.seen_us)
            self._add(output.added)
            self._tiers = output.tiers
            return self._head()
        if isinstance(output, Correction):
            return self._correct(output)
        if isinstance(output, Incident):
            return self._violate(output)
        if isinstance(output, Resumed):
            self._know(output.seen_us)
            self._told = None  # the next head is told, also where it is the last one again
            return self._to_all("resumed", output.seen_us, "heads")
        if isinstance(output, LateLogs):
            return self._be_late(output)
        if isinstance(output, LostLogs):
            return self._lose(output)
        return []

    def take_logs(self, block: Block, logs: Sequence[LogFact], seen_us: int) -> list[Observation]:
        """What the logs of an active block mean; nothing where it is not active, or they are known.

        A log that says that its contract hands over to another one, or that is of another form than the facts say,
        takes the lane's supply down (feature "source") until its block goes out: from there on nobody knows it.
        """
        if self._active.get(block.number) != block or block.hash in self._facts:
            return []
        self._know(seen_us)
        ids: list[tuple[str, str, str]] = []
        unread: list[tuple[str, str, str]] = []
        seen: list[Observation] = []
        for log in logs:
            if log.removed or log.address not in self._lanes:
                continue
            coin, lane = self._lanes[log.address]
            try:
                change = self._logs.change(log)
            except FormatDrift:
                unread.append((coin, lane, log.address))
                continue
            if change is None:
                continue
            if change.kind == "replaced":
                unread.append((coin, lane, log.address))
            elif change.change:
                found = self._supply(change, lane, block)
                ids.append((coin, lane, found.id))
                seen.append(found)
        self._facts[block.hash] = BlockFacts(block.number, tuple(ids), tuple(dict.fromkeys(unread)))
        self._awaited.pop(block.number, None)
        return [*seen, *self._take_down(block), *self._no_longer_late(block), *self._head()]

    def _know(self, seen_us: int) -> None:
        self._known_us = max(self._known_us, seen_us)

    def _add(self, blocks: Iterable[Block]) -> None:
        for block in blocks:
            self._active[block.number] = block
            if self.wanted is not None and block.hash not in self._facts:
                self._awaited[block.number] = block.hash

    def _supply(self, change: SupplyChange, lane: str, block: Block) -> Observation:
        return Observation(
            "supply",
            block.time_us,
            self._known_us,
            change.coin,
            lane,
            "logs",
            f"{self.chain}:{change.block_hash}:{change.tx_hash}:{change.log_index}",
            units=change.change,
            block_number=block.number,
        )

    def _head(self) -> list[Observation]:
        """Where the chain stands as far as its logs are known, for each lane, where that changed."""
        block = self._newest_known()
        if block is None:
            return []
        two, three = (self._active.get(min(number, block.number)) for number in (self._tiers.safe, self._tiers.final))
        told = Head(
            two.time_us if two else -1,
            three.time_us if three else -1,
            two.number if two else -1,
            three.number if three else -1,
            self._skipped(),
        )
        if told == self._told and block.number == self._told_block:
            return []
        self._told, self._told_block = told, block.number
        self._forget()
        return [
            Observation("head", block.time_us, self._known_us, "", lane, "heads", block_number=block.number, told=told)
            for lane in dict.fromkeys(lane for _, lane in self.lanes)
        ]

    def _skipped(self) -> float:
        if self.chain not in SLOT_CHAINS:
            return 0.0
        newest = list(islice(reversed(self._active.values()), SLOTS))
        return skipped_share(newest[::-1], SLOTS).share

    def _newest_known(self) -> Block | None:
        """The last active block before the first whose logs are awaited; None where there is none."""
        if not self._awaited:
            return next(reversed(self._active.values()), None)
        first = min(self._awaited)
        return next((block for block in reversed(self._active.values()) if block.number < first), None)

    def _correct(self, output: Correction) -> list[Observation]:
        self._known_us = max(self._known_us + 1, output.seen_us)
        gone = [self._facts[block.hash] for block in output.out if block.hash in self._facts]
        back = [self._facts[block.hash] for block in output.adopted if block.hash in self._facts]
        ancestor = output.ancestor
        stands = (ancestor.number, ancestor.time_us) if 3 in output.tiers_out else (-1, -1)
        seen = [
            Observation(
                "retract",
                output.out[0].time_us,
                self._known_us,
                coin,
                lane,
                "heads",
                told=Retraction(_of(coin, lane, gone), _of(coin, lane, back), "chain_reorg", *stands),
            )
            for coin, lane in self.lanes
        ]
        for block in output.out:
            self._active.pop(block.number, None)
            self._awaited.pop(block.number, None)
            seen += self._bring_back(block) + self._no_longer_late(block)
        self._add(output.adopted)
        self._tiers = _tiers_after(output, self._tiers)
        for block in output.adopted:
            seen += self._take_down(block)
        return [*seen, *self._head()]

    def _violate(self, output: Incident) -> list[Observation]:
        self._know(output.seen_us)
        facts = [self._facts[block.hash] for block in output.contradicted if block.hash in self._facts]
        return [
            Observation(
                "violation",
                output.contradicted[0].time_us if output.contradicted else output.seen_us,
                self._known_us,
                coin,
                lane,
                "heads",
                told=Violation(_of(coin, lane, facts), output.reason),
            )
            for coin, lane in self.lanes
        ]

    def _be_late(self, output: LateLogs) -> list[Observation]:
        if self._awaited.get(output.block.number) != output.block.hash:
            return []
        self._know(output.seen_us)
        first = not self._late
        self._late.add(output.block.hash)
        return self._to_all("source", output.block.time_us, "logs", 0.0) if first else []

    def _no_longer_late(self, block: Block) -> list[Observation]:
        if block.hash not in self._late:
            return []
        self._late.discard(block.hash)
        return [] if self._late else self._to_all("source", block.time_us, "logs", 1.0)

    def _lose(self, output: LostLogs) -> list[Observation]:
        """Wait for these logs no more; windows that lack them can never be FINAL."""
        self._know(output.seen_us)
        lost = [block for block in output.blocks if self._awaited.get(block.number) == block.hash]
        if not lost:
            return []
        for block in lost:
            del self._awaited[block.number]
        back = [seen for block in lost for seen in self._no_longer_late(block)]
        return [*self._to_all("lost", max(block.time_us for block in lost), "logs"), *back, *self._head()]

    def _to_all(self, feature: str, event_us: int, source: str, value: float = 0.0) -> list[Observation]:
        return [
            Observation(feature, event_us, self._known_us, coin, lane, source, value=value) for coin, lane in self.lanes
        ]

    def _take_down(self, block: Block) -> list[Observation]:
        facts = self._facts.get(block.hash)
        seen = []
        for lane in facts.unread if facts else ():
            blocks = self._unread.setdefault(lane, set())
            if not blocks:
                seen.append(self._source(lane, block, 0.0))
            blocks.add(block.hash)
        return seen

    def _bring_back(self, block: Block) -> list[Observation]:
        seen = []
        for lane, blocks in self._unread.items():
            if block.hash in blocks:
                blocks.discard(block.hash)
                if not blocks:
                    seen.append(self._source(lane, block, 1.0))
        return seen

    def _source(self, of: tuple[str, str, str], block: Block, value: float) -> Observation:
        coin, lane, address = of
        return Observation("source", block.time_us, self._known_us, coin, lane, f"logs of {address}", value=value)

    def _forget(self) -> None:
        """Let go of what no tracker can take back any more; in large pieces, because it copies the rest."""
        floor = self._told_block - KEPT
        if not self._active or next(iter(self._active)) + KEPT // 4 >= floor:
            return
        self._active = {number: block for number, block in self._active.items() if number >= floor}
        self._facts = {digest: facts for digest, facts in self._facts.items() if facts.number >= floor}


def _of(coin: str, lane: str, facts: Iterable[BlockFacts]) -> tuple[str, ...]:
    return tuple(fact_id for one in facts for of, there, fact_id in one.ids if (of, there) == (coin, lane))


def _tiers_after(output: Correction, before: Tiers) -> Tiers:
    """Tiers once a correction is made: those before it up to the ancestor, and what it says of the new blocks."""
    tiers = list(zip(output.adopted, output.tiers_in, strict=True))
    safe, final = (
        max(
            [min(number, output.ancestor.number), *(block.number for block, tier in tiers if tier >= least)],
        )
        for number, least in ((before.safe, 2), (before.final, 3))
    )
    return Tiers(output.adopted[-1].number, safe, final)
