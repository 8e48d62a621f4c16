"""Coins watched live: chains followed and providers polled, all to one machine for each coin, records to the lake.

What providers answer is kept verbatim in their lanes. What nodes answer is not kept: chains can be asked for it again.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tidelake.chains.solana import SlotChain
from tidelake.chains.spec import Chain
from tidelake.errors import SourceError, TidelakeError
from tidelake.jobs.block_logs import BlockLogs
from tidelake.jobs.coin_feeds import CoinFeeds, polled_feeds
from tidelake.jobs.coin_polls import PollSettings
from tidelake.jobs.follow_heads import HeadFollower
from tidelake.jobs.record_writer import RecordWriter
from tidelake.jobs.watch_order import WatchOrder
from tidelake.raw.store import Store
from tidelake.stablecoins.chain_words import ChainWords
from tidelake.stablecoins.coin import Coin
from tidelake.stablecoins.coin_setup import coin_setup
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.observation import MICROS, Observation
from tidelake.stablecoins.outputs import DeltaOutput, JsonLines
from tidelake.stablecoins.records import Record
from tidelake.stablecoins.sources.feed import Known
from tidelake.stablecoins.sources.observations import observations
from tidelake.stablecoins.sources.refs import coin_refs
from tidelake.transport.http import Http
from tidelake.transport.logger import logger
from tidelake.transport.rpc_providers import Provider

if TYPE_CHECKING:
    from tidelake.jobs.watch_metrics import WatchMetrics

TOLD_OF_NO_CHAIN = ("price", "volume")  # by providers that are polled


class SourceLine(msgspec.Struct, frozen=True):
    """How a source is: a provider of facts, or one of a chain's nodes.

    Attributes:
        source: Its id; of a node "chain:name".
        state: `Condition` of a provider, `StandingState` of a node.
        detail: What it told last, or why it does not.
    """

    source: str
    state: str
    detail: str


@dataclass(frozen=True)
class WatchReport:
    """What a watch did.

    Attributes:
        run: Its name in the tables.
        observations: How many the machines were given.
        counts: Records by kind.
        failed: Coins whose machine stopped, and why.
        sources: How each source was at the end.
    """

    run: str
    observations: int
    counts: Counter[str]
    failed: dict[str, str]
    sources: list[SourceLine]


class CoinWatch:
    """One watch; run it once.

    Windows begin with that of five minutes which holds the start. A machine begins anew with each watch: it knows
    nothing of one before.

    Args:
        coins: Which.
        chains: On which chains, each with its nodes; two or more of a chain correct its reorganisations. Tiers are
            those of the tags that nodes tell.
        jsonl: Folder that gets a folder of JSON lines of the run's name; None for none.
        polls: How providers are polled; None: none is.
        decimals: By `Deployment.key`, where the registry has none.
        every_s: Seconds between two questions to a node.
        clock: Wall clock, ns since 1970, by which windows begin and time passes.
        listen: Gets records as they are made.
        metrics: Told what is done, and once a second how things stand; None: nobody is.

    Raises:
        ConfigError: As for `coin_setup`.
    """

    def __init__(
        self,
        store: Store,
        coins: Sequence[Coin],
        chains: Sequence[tuple[Chain | SlotChain, Sequence[Provider]]],
        *,
        jsonl: Path | None = None,
        polls: PollSettings | None = None,
        decimals: Mapping[tuple[str, str], int] | None = None,
        every_s: float = 2.0,
        clock: Callable[[], int] = time.time_ns,
        listen: Callable[[list[Record]], None] | None = None,
        metrics: "WatchMetrics | None" = None,
    ) -> None:
        self._store, self._coins, self._chains, self._polls = store, tuple(coins), chains, polls
        self._every_s, self._listen, self._clock = every_s, listen, clock
        begin_us = clock() // 1_000
        self.run_name = f"watch-{begin_us}"
        names = [chain.name for chain, _ in chains]
        self._setups = {
            coin.symbol: coin_setup(
                coin,
                begin_us - begin_us % (300 * MICROS),
                heads=names,
                chains=names,
                expects=() if polls is None else TOLD_OF_NO_CHAIN,
                chain_expects=() if polls is None else ("liquidity",),
                decimals=decimals or {},
            )
            for coin in coins
        }
        self._fleet = Fleet(self._setups)
        self._lanes = {(name, lane.name) for name, setup in self._setups.items() for lane in setup.chains}
        lines = None if jsonl is None else JsonLines(jsonl / self.run_name)
        self._metrics, stored = metrics, metrics.stored if metrics else None
        self._writer = RecordWriter(DeltaOutput(store, self.run_name), lines, stored=stored)
        self._taken = 0
        self._feeds: CoinFeeds | None = None
        self._followers: list[HeadFollower] = []
        self._ended: dict[str, str] = {}

    async def run(self, for_s: float | None = None) -> WatchReport:
        """Watch until interrupted, or for so many seconds. A chain that cannot be followed any more stops no other.

        Raises:
            StoreError, TableMoved: The lake could not be written.
        """
        async with AsyncExitStack() as stack:
            self._order = WatchOrder(self._store, self.run_name, 0, self._setups, clock=self._clock)
            stack.callback(self._order.close)
            works = [self._writer.run(), self._pass_time()]
            if self._polls is not None:
                http = await stack.enter_async_context(Http(patience=self._polls.patience, clock=self._polls.clock))
                feeds = polled_feeds(self._store, http, coin_refs(self._coins), self._polls)
                self._feeds = CoinFeeds(feeds, self._hear)
                works.append(self._feeds.run())
            for chain, providers in self._chains:
                words = ChainWords(chain.name, self._coins)
                follower = HeadFollower(chain, providers, wanted=words.wanted, every_s=self._every_s)
                self._followers.append(await stack.enter_async_context(follower))
                works.append(self._follow(follower, words))
            tasks = [asyncio.ensure_future(work) for work in works]
            try:
                await asyncio.wait(tasks, timeout=for_s, return_when=asyncio.FIRST_EXCEPTION)
            except asyncio.CancelledError:
                if (current := asyncio.current_task()) is not None:
                    current.uncancel()
            finally:
                sources = self.sources()
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
                self._writer.close()
        for one in ended:
            if isinstance(one, Exception):
                raise one
        return WatchReport(self.run_name, self._taken, self._writer.counts, self._fleet.failed, sources)

    def sources(self) -> list[SourceLine]:
        """How each source is now."""
        lines = [
            SourceLine(one.name, one.condition, one.reason or f"{one.answers} answers, {one.failures} failures")
            for one in (self._feeds.health() if self._feeds else ())
        ]
        for follower in self._followers:
            name = follower.chain.name
            if name in self._ended:
                lines.append(SourceLine(name, "GONE", self._ended[name]))
                continue
            try:
                tracker = follower.tracker
            except SourceError as exc:
                lines.append(SourceLine(name, "SILENT", str(exc)))
                continue
            tiers = tracker.tiers
            detail = f"block {tiers.head}, safe {tiers.safe}, final {tiers.final}"
            lines += [SourceLine(f"{name}:{node}", state, detail) for node, state in tracker.standings.items()]
        return lines

    async def _follow(self, follower: HeadFollower, words: ChainWords) -> None:
        name = follower.chain.name
        try:
            async for output in follower:
                if isinstance(output, BlockLogs):
                    self._take(words.take_logs(output.block, output.logs, output.seen_us))
                else:
                    self._take(words.take(output))
        except TidelakeError as exc:
            logger().error("chain is followed no more", chain=name, reason=str(exc))
            self._ended[name] = str(exc)
            now_us = self._clock() // 1_000
            self._take(Observation("source", now_us, now_us, coin, lane, "heads") for coin, lane in words.lanes)

    def _hear(self, known: Sequence[Known]) -> None:
        """Take what providers told, but for chains that are not watched."""
        self._take(seen for seen in observations(known) if not seen.chain or (seen.coin, seen.chain) in self._lanes)

    async def _pass_time(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            now_us = self._clock() // 1_000
            self._take([Observation("clock", now_us, now_us)])
            if self._metrics is not None:
                states = {line.source: line.state for line in self.sources()}
                health = self._feeds.health() if self._feeds else []
                self._metrics.look(self._fleet.machines, self._fleet.failed, states, health)

    def _take(self, told: Iterable[Observation]) -> None:
        records: list[Record] = []
        anew = True
        for seen in told:
            self._fleet.take(seen, records)
            self._order.take(seen, anew=anew)
            self._taken += 1
            anew = False
            if self._metrics is not None:
                self._metrics.took(seen)
        if records:
            self._order.write()  # before what followed from it is stored
        self._writer.put(records)
        if self._listen and records:
            self._listen(records)
