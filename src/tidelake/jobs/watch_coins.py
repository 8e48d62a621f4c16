"""Coins watched live: chains followed and sources asked, all to one machine for each coin, records to the lake.

What nodes and providers answer is kept verbatim in lanes `coins.<chain>` and `coins.<source>` before a machine hears of
it. A watch that ended, or was killed, is gone on with by the next one of the same coins and chains: from the state that
was written last, and what the lanes hold since then (`jobs/watch_state.py`).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING

from tidelake.chains.solana import SlotChain
from tidelake.chains.spec import Chain
from tidelake.errors import TidelakeError
from tidelake.jobs.coin_feeds import CoinFeeds, polled_feeds
from tidelake.jobs.coin_polls import PollSettings
from tidelake.jobs.record_writer import RecordWriter
from tidelake.jobs.watch_order import WatchOrder
from tidelake.jobs.watch_state import FORM, WatchFile, WatchState
from tidelake.jobs.watched_chain import ChainPlace, SourceLine, WatchedChain
from tidelake.raw.store import Store
from tidelake.stablecoins.coin import Coin
from tidelake.stablecoins.coin_setup import coin_setup
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.observation import MICROS, Observation
from tidelake.stablecoins.outputs import DeltaOutput, JsonLines
from tidelake.stablecoins.records import Record
from tidelake.stablecoins.sources.feed import Feed, Known
from tidelake.stablecoins.sources.observations import observation
from tidelake.stablecoins.sources.refs import coin_refs
from tidelake.transport.http import Http
from tidelake.transport.logger import logger
from tidelake.transport.rpc_providers import Provider

if TYPE_CHECKING:
    from tidelake.jobs.watch_metrics import WatchMetrics

TOLD_OF_NO_CHAIN = ("price", "volume")  # by providers that are polled


@dataclass(frozen=True)
class WatchReport:
    """What a watch did.

    Attributes:
        run: Its name in the tables.
        resumed: Whether it went on with a run of before.
        observations: How many the machines were given, since the run began.
        counts: Records by kind, since the run began.
        failed: Coins whose machine stopped, and why.
        sources: How each source was at the end.
    """

    run: str
    resumed: bool
    observations: int
    counts: Counter[str]
    failed: dict[str, str]
    sources: list[SourceLine]


class CoinWatch:
    """One watch; run it once.

    Windows begin with that of five minutes which holds the start. Where a watch of the same coins and chains was there
    before, its run goes on, with the features that it expected.

    Args:
        coins: Which.
        chains: On which chains, each with its nodes; two or more of a chain correct its reorganisations. Tiers are
            those of the tags that nodes tell; of a rollup whose parent is among the chains those of its batches.
        jsonl: Folder that gets a folder of JSON lines of the run's name; None for none.
        polls: How providers are polled; None: none is.
        feeds: Sources beside the providers, such as `CandleFeed`. What they tell is expected where they are not absent.
        decimals: By `Deployment.key`, where the registry has none.
        every_s: Seconds between two questions to a node.
        anew: Begin a run of its own in any case.
        resume_halted: Go on with chains that were halted: what their nodes agree on is taken, tier 3 or not.
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
        feeds: Sequence[Feed] = (),
        decimals: Mapping[tuple[str, str], int] | None = None,
        every_s: float = 2.0,
        anew: bool = False,
        resume_halted: bool = False,
        clock: Callable[[], int] = time.time_ns,
        listen: Callable[[list[Record]], None] | None = None,
        metrics: "WatchMetrics | None" = None,
    ) -> None:
        self._store, self._coins, self._nodes, self._polls = store, tuple(coins), chains, polls
        self._every_s, self._listen, self._clock, self._resume_halted = every_s, listen, clock, resume_halted
        self._own_feeds, self._anew, self._lines = tuple(feeds), anew, jsonl
        begun_us = clock() // 1_000
        names = [chain.name for chain, _ in chains]
        there = [one.features for feed in feeds for one in feed.health() if one.condition != "absent"]
        own = tuple(feature for features in there for feature in features)
        setups = {
            coin.symbol: coin_setup(
                coin,
                begun_us - begun_us % (300 * MICROS),
                heads=names,
                chains=names,
                expects=(*(() if polls is None else TOLD_OF_NO_CHAIN), *own),
                chain_expects=() if polls is None else ("liquidity",),
                decimals=decimals or {},
            )
            for coin in coins
        }
        self._fleet = Fleet(setups)
        self._state = WatchState(
            form=FORM,
            run=f"watch-{begun_us}",
            begun_us=begun_us,
            setups=setups,
            number=0,
            taken=0,
            fleet=self._fleet.save(),
            counts={},
            sizes={},
            heard={},
            chains={},
            records=[],
        )
        self._metrics = metrics
        self._feeds: CoinFeeds | None = None
        self._chains: list[WatchedChain] = []

    async def run(self, for_s: float | None = None) -> WatchReport:
        """Watch until interrupted, or for so many seconds. A chain that cannot be followed any more stops no other.

        Raises:
            ConfigError: A watch of the same coins and chains runs already.
            StoreError, TableMoved: The lake could not be written.
        """
        async with AsyncExitStack() as stack:
            names = [coin.symbol for coin in self._coins], [chain.name for chain, _ in self._nodes]
            file = stack.enter_context(WatchFile(self._store, *names, polls=self._polls is not None))
            resumed = self._begin(file)
            state = self._state
            self._order = WatchOrder(self._store, state.run, state.taken, state.setups, clock=self._clock)
            stack.callback(self._order.close)
            feeds = list(self._own_feeds)
            if self._polls is not None:
                http = await stack.enter_async_context(Http(patience=self._polls.patience, clock=self._polls.clock))
                feeds += polled_feeds(self._store, http, coin_refs(self._coins), self._polls)
            self._feeds = CoinFeeds(feeds, self._hear)
            self._open_chains(resumed=resumed)
            if resumed:
                self._catch_up(feeds)
            for one in self._chains:
                await stack.enter_async_context(one)
            works = [self._writer.run(), self._pass_time(), self._feeds.run(), *map(self._follow, self._chains)]
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
        for error in ended:
            if isinstance(error, Exception):
                raise error
        return WatchReport(state.run, resumed, state.taken, self._writer.counts, self._fleet.failed, sources)

    def sources(self) -> list[SourceLine]:
        """How each source is now."""
        lines = [
            SourceLine(one.name, one.condition, one.reason or f"{one.answers} answers, {one.failures} failures")
            for one in (self._feeds.health() if self._feeds else ())
        ]
        return lines + [line for one in self._chains for line in one.lines()]

    def _begin(self, file: WatchFile) -> bool:
        """Begin a run, or go on with that of before; whether it was that."""
        saved = None if self._anew else file.load(self._state.setups)
        if saved is not None:
            self._state = saved
            self._fleet = Fleet(saved.setups, saved=saved.fleet)
        state = self._state
        self._lanes = {(name, lane.name) for name, setup in state.setups.items() for lane in setup.chains}
        delta = DeltaOutput(self._store, state.run)
        self._jsonl = None if self._lines is None else JsonLines(self._lines / state.run, state.sizes)
        if saved is None:
            file.save(file.written(state))
        else:
            if self._jsonl is not None:
                self._jsonl.append(saved.records)
            delta.commit(saved.number, saved.records)
        self._writer = RecordWriter(
            delta,
            self._jsonl,
            stored=self._metrics.stored if self._metrics else None,
            before=partial(self._before, file),
            number=state.number,
        )
        self._writer.counts.update(state.counts)
        return saved is not None

    def _open_chains(self, *, resumed: bool) -> None:
        state = self._state
        self._chains = [
            WatchedChain(
                self._store,
                chain,
                providers,
                self._coins,
                state.run,
                saved=state.chains.get(chain.name, ChainPlace(0, state.begun_us)) if resumed else None,
                every_s=self._every_s,
                resume_halted=self._resume_halted,
                clock=self._clock,
            )
            for chain, providers in self._nodes
        ]
        for one in self._chains:
            one.settle(self._chains)

    def _catch_up(self, feeds: Sequence[Feed]) -> None:
        """Take what lanes hold and no machine has heard, in the order in which it was known."""
        state = self._state
        missed = [one.recall() for one in self._chains]
        missed += [self._heard(list(feed.history(state.heard.get(feed.name, state.begun_us)))) for feed in feeds]
        self._take(merge(*missed, key=lambda seen: seen.known_us))
        now_us = self._clock() // 1_000
        for one in self._chains:  # one that could not be followed any more is followed again
            self._take(one.standing(now_us, 1.0))

    async def _follow(self, one: WatchedChain) -> None:
        try:
            async for seen in one.told():
                self._take(seen)
        except TidelakeError as exc:
            logger().error("chain is followed no more", chain=one.chain.name, reason=str(exc))
            one.ended = str(exc)
            self._take(one.standing(self._clock() // 1_000, 0.0))

    def _hear(self, known: Sequence[Known]) -> None:
        self._take(self._heard(known))

    def _heard(self, known: Sequence[Known]) -> list[Observation]:
        """What sources told, but for chains that are not watched."""
        assert self._feeds is not None
        heard = self._state.heard
        for one in known:
            feed = self._feeds.teller(one)
            heard[feed] = max(one.known_us, heard.get(feed, 0))
        told = map(observation, known)
        return [seen for seen in told if not seen.chain or (seen.coin, seen.chain) in self._lanes]

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
            self._state.taken += 1
            anew = False
            if self._metrics is not None:
                self._metrics.took(seen)
        self._writer.put(records)
        if self._listen and records:
            self._listen(records)

    def _before(self, file: WatchFile, number: int, records: Sequence[Record]) -> Callable[[], None]:
        """Take down where the watch stands with a batch; what writes it to the file, before the batch is stored.

        The order is kept first: a watch that goes on from the file goes on where a part of the order ends.
        """
        self._order.write()
        state = self._state
        state.number, state.records = number, list(records)
        state.counts = dict(Counter(state.counts) + Counter(type(record).__name__ for record in records))
        state.fleet = self._fleet.save()
        state.sizes = dict(self._jsonl.sizes) if self._jsonl is not None else {}
        state.chains = {one.chain.name: one.place for one in self._chains}
        written = file.written(state)

        def begin() -> None:
            file.save(written)
            self._order.seal_when_due()

        return begin
