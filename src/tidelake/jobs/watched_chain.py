"""One chain of a watch of coins: followed, kept in its lane, and told in the words of coins' machines."""

from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Self

import msgspec

from tidelake.chains.heads import Head, Standing
from tidelake.chains.logs import LogFilter
from tidelake.chains.solana import SlotChain
from tidelake.chains.spec import Chain
from tidelake.chains.tracker import Tracker
from tidelake.errors import FormatDrift, SourceError
from tidelake.jobs.block_logs import BlockLogs
from tidelake.jobs.chain_keeper import ChainKeeper
from tidelake.jobs.follow_heads import Followed, HeadFollower
from tidelake.jobs.provider_heads import ProviderHeads
from tidelake.jobs.rollup_heads import RollupHeads
from tidelake.raw.store import Store
from tidelake.stablecoins.chain_words import ChainWords
from tidelake.stablecoins.coin import Coin
from tidelake.stablecoins.observation import Observation
from tidelake.stablecoins.sources.chain_lane import ChainTold, read_chain
from tidelake.stablecoins.sources.chain_told import observations_of
from tidelake.transport.logger import logger
from tidelake.transport.rpc_providers import Provider

HOW_TO_GO_ON = "end the watch and begin it with --resume-halted to go on with what its nodes agree on, or with --anew"


class SourceLine(msgspec.Struct, frozen=True):
    """How a source is: a provider of facts, or one of a chain's nodes.

    Attributes:
        source: Its id; of a node "chain:name"; "chain:finality" tells by what blocks of a rollup are final.
        state: `Condition` of a provider, `StandingState` of a node; a chain is HALTED, or GONE: followed no more.
        detail: What it told last, or why it does not.
    """

    source: str
    state: str
    detail: str


class ChainPlace(msgspec.Struct, frozen=True):
    """How far the machines have taken a chain.

    Attributes:
        place: The last note that they took.
        base_us: Notes before this time are of blocks that stay, us UTC.
    """

    place: int = 0
    base_us: int = 0


class WatchedChain:
    """One chain; use it as an async context manager.

    Args:
        store: The lake's store.
        chain: Which.
        providers: Its nodes; two or more correct its reorganisations.
        coins: Whose machines are told.
        run: Names its notes.
        saved: How far they were taken before; None for a run that begins.
        every_s: Seconds between two questions to a node.
        resume_halted: Go on with it where it was halted.
        clock: Wall clock, ns since 1970.
    """

    def __init__(
        self,
        store: Store,
        chain: Chain | SlotChain,
        providers: Sequence[Provider],
        coins: Sequence[Coin],
        run: str,
        *,
        saved: ChainPlace | None,
        every_s: float,
        resume_halted: bool,
        clock: Callable[[], int],
    ) -> None:
        self.chain, self.ended = chain, ""
        self.words = ChainWords(chain.name, coins)
        self._store, self._providers, self._run, self._saved = store, providers, run, saved
        self._every_s, self._resume_halted = every_s, resume_halted
        self._keeper = ChainKeeper(store, chain.name, run, clock=clock)
        self._parent: WatchedChain | None = None
        self._rollups: dict[str, RollupHeads] = {}  # that settle on this chain
        self._broken: dict[str, str] = {}  # those of them whose batches cannot be read, and why
        self._batches: RollupHeads | None = None
        self._lacks = ""  # the parent of a rollup that is not among the chains
        self._follower: HeadFollower | None = None
        self._wanted = self.words.wanted
        self._keeper.memory.awaits = self._wanted is not None

    def _await_logs(self, wanted: LogFilter) -> None:
        self._wanted = wanted if self._wanted is None else self._wanted.joined(wanted)
        self._keeper.memory.awaits = True

    def settle(self, chains: Sequence["WatchedChain"]) -> None:
        """Take the tiers of a rollup's blocks from batches, where its parent is one of the chains that are watched."""
        chain = self.chain
        rollup = None if isinstance(chain, SlotChain) else chain.rollup
        if isinstance(chain, SlotChain) or rollup is None or "node_interface" not in rollup.system:
            return
        self._parent = next((one for one in chains if one.chain.name == rollup.parent), None)
        if (parent := self._parent) is None:
            self._lacks = rollup.parent
        else:
            self._batches = parent._rollups[self.chain.name] = RollupHeads(chain, lambda: parent.tracker)
            parent._await_logs(self._batches.wanted)

    def recall(self) -> list[Observation]:
        """What the lane holds that the machines have not taken; the chain is followed on from there."""
        if self._saved is None:
            return []
        found: list[Observation] = []
        for told in read_chain(self._store, self.chain.name, self._run, self._saved.base_us):
            self._keeper.memory.take(told.note, with_logs=told.logs is not None)
            self._hear_batches(_followed(self.chain.name, told))
            seen = observations_of(self.words, told)
            if told.note.place > self._saved.place:
                found += seen
        return found

    @property
    def place(self) -> ChainPlace:
        """How far it was told."""
        memory = self._keeper.memory
        return ChainPlace(memory.place, memory.base_us)

    @property
    def is_known(self) -> bool:
        """Whether a provider has told where to begin."""
        return self._follower is not None and self._follower.begun

    @property
    def tracker(self) -> Tracker:
        """The state of the chain.

        Raises:
            SourceError: No provider has told where to begin yet.
        """
        if self._follower is None:
            raise SourceError(f"{self.chain.name} is not followed yet", retryable=True)
        return self._follower.tracker

    async def __aenter__(self) -> Self:
        held = self._keeper.memory.held()
        if held is not None and held.halted and not self._resume_halted:
            logger().error("chain stays halted", chain=self.chain.name, reason=held.halted, next=HOW_TO_GO_ON)
        self._follower = HeadFollower(
            self.chain,
            self._providers,
            wanted=self._wanted,
            settled=None if self._batches is None else self._settled,
            every_s=self._every_s,
            held=held,
            resume_halted=self._resume_halted,
            heard=self._keeper.heard,
        )
        await self._follower.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._follower is not None:
            await self._follower.__aexit__(kind, exc, trace)
        self._keeper.close()

    async def told(self) -> AsyncIterator[list[Observation]]:
        """What is told of the chain, each kept before it is told.

        Raises:
            SourceError, FormatDrift: The chain cannot be followed any more.
        """
        assert self._follower is not None
        async for output in self._follower:
            if isinstance(output, Standing):
                continue
            self._keeper.conclude(output)
            self._hear_batches(output)
            if isinstance(output, BlockLogs):
                yield self.words.take_logs(output.block, output.logs, output.seen_us)
            else:
                yield self.words.take(output)
            await self._keeper.seal_when_due()

    def standing(self, now_us: int, value: float) -> list[Observation]:
        """That the chain is followed no more (0), or again (1), for each machine that hears it."""
        lanes = self.words.lanes
        return [Observation("source", now_us, now_us, coin, lane, "heads", value=value) for coin, lane in lanes]

    def lines(self) -> list[SourceLine]:
        """How its nodes are now, and by what its blocks become final where that is not their tags alone."""
        name = self.chain.name
        if self.ended:
            return [SourceLine(name, "GONE", self.ended)]
        try:
            tracker = self.tracker
        except SourceError as exc:
            return [SourceLine(name, "SILENT", str(exc))]
        tiers = tracker.tiers
        detail = f"block {tiers.head}, safe {tiers.safe}, final {tiers.final}"
        halt = [SourceLine(name, "HALTED", f"{tracker.halted}; {HOW_TO_GO_ON}")] if tracker.halted else []
        nodes = [SourceLine(f"{name}:{node}", state, detail) for node, state in tracker.standings.items()]
        return halt + nodes + self._finality_line()

    def _hear_batches(self, output: Followed | None) -> None:
        """Tell the rollups that settle here; one whose batches are of another form gets no more tiers from them."""
        for name, batches in self._rollups.items():
            if output is None or name in self._broken:
                continue
            try:
                batches.hear(output)
            except FormatDrift as exc:
                self._broken[name] = str(exc)
                logger().error("batches are read no more", chain=name, reason=str(exc))

    async def _settled(self, source: ProviderHeads, tracker: Tracker) -> Sequence[Head]:
        """The heads of tiers 2 and 3 by batches; none as long as the parent's chain is not known."""
        if self._batches is None or self._parent is None or not self._parent.is_known:
            return []
        return await self._batches.heads(source, tracker)

    def _finality_line(self) -> list[SourceLine]:
        """By what blocks of a rollup become final."""
        source = f"{self.chain.name}:finality"
        if self._lacks:
            told = f"by the tags of its own nodes: {self._lacks} is not followed, where its batches are posted"
            return [SourceLine(source, "up", told)]
        if self._batches is None or self._parent is None:
            return []
        if reason := self._parent._broken.get(self.chain.name):
            return [SourceLine(source, "down", reason)]
        if not self._parent.is_known:
            return [SourceLine(source, "waiting", f"{self._parent.chain.name} has told no block yet")]
        tier = self._parent.tracker.tier
        posted, final = (self._batches.posted.newest(tier, least) for least in (1, 3))
        told = f"batch {posted} is posted" if posted >= 0 else "no batch was seen yet"
        told += f", batch {final} in a final block" if final >= 0 else ""
        return [SourceLine(source, "up", f"{told}, of {self._parent.chain.name}")]


def _followed(chain: str, told: ChainTold) -> Followed | None:
    """What a note tells, as the follower told it."""
    note = told.note
    if note.logs is not None:
        found = told.logs
        return None if found is None else BlockLogs(chain, note.logs.block, found, note.logs.proof, note.seen_us)
    return note.output
