"""The heads of a chain as they come: each provider asked for itself, and what a tracker makes of it.

    async with HeadFollower(chain("ethereum"), providers) as follower:
        async for output in follower: ...

Providers are asked again and again, and at once where a socket rings. As long as one tells another chain all are asked
twice a second, so that a correction waits for no interval. Logs that are wanted are asked for by the hash of each block
that became active, and belong to that hash: the same transaction in another block is another fact.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from tidelake.chains.finality import agreed_number, policy_at, tags_of
from tidelake.chains.heads import Ask, Block, Correction, Head, HeldChain, LateLogs, LostLogs, Moved, Output, Standing
from tidelake.chains.logs import LogFilter
from tidelake.chains.solana import SlotChain
from tidelake.chains.spec import Chain, Tag
from tidelake.chains.tracker import HOLD, Tracker
from tidelake.errors import ConfigError, FormatDrift, SourceError
from tidelake.jobs.block_logs import BlockLogReader, BlockLogs
from tidelake.jobs.chain_log import log_output
from tidelake.jobs.held_chain import recall
from tidelake.jobs.provider_heads import Heard, ProviderHeads
from tidelake.jobs.slot_heads import SlotHeads
from tidelake.transport.head_socket import HeadSocket
from tidelake.transport.http import Http, Patience
from tidelake.transport.logger import logger
from tidelake.transport.rpc import RpcPool
from tidelake.transport.rpc_providers import Provider

PATIENCE = Patience(attempts=2, total=8.0, timeout=4.0, first_wait=0.1, longest_wait=1.0)
RECONNECT = Patience(first_wait=0.5, longest_wait=30.0)
DISAGREE_S = 0.5
BACK = 64  # blocks before the last final one to begin at, or before the newest where no tag says what is final
LAG_S = 30.0  # a provider as far behind is said to lag
LOG_BLOCKS = 32  # whose logs are asked for at once
LATE_S = 60.0  # logs that do not come for so long are late
LINKED = ("FOLLOWS", "LAGS", "DISAGREES")
STRIDE = 4_096  # blocks by which a chain that was left behind is caught up with: fewer than a tracker holds

Followed: TypeAlias = Output | BlockLogs | LateLogs | LostLogs
SettledHeads: TypeAlias = Callable[[ProviderHeads, Tracker], Awaitable[Sequence[Head]]]


class HeadSource(Protocol):
    """What one provider is asked: `ProviderHeads`, or `SlotHeads` where a chain numbers slots."""

    async def heads(self, tags: Sequence[Tag]) -> list[Head]: ...
    async def block_at(self, number: int) -> Block | None: ...
    async def blocks(self, ask: Ask) -> list[Block]: ...


class HeadFollower:
    """Follows a chain. Use it as an async context manager, in one event loop; iterate over it once.

    Args:
        chain: Which; one that numbers slots has no logs, and its nodes no socket.
        providers: At least one; two or more, so that reorganisations can be corrected.
        wanted: Logs that are wanted of each block; None for none.
        start: Where to begin; by default `BACK` blocks before the newest that as many as must agree call final.
        settled: Tells the heads "safe" and "finalized" of a provider, in place of the node's tags.
        quorum: So many must agree before anything is retracted.
        every_s: Seconds between two questions to a provider.
        with_socket_s: The same while its socket is subscribed.
        hold: As for `Tracker`; the logs of older blocks are asked for no more.
        late_s: Seconds after which logs that do not come are told to be late.
        held: What was held when it was followed last, to go on from in place of `start`.
        resume_halted: Where it was halted then, `resume` once as many are heard as must agree.
        heard: Told each answer of a provider that is looked at, before anything follows from it.
        patience: Bounds of one question.
    """

    def __init__(
        self,
        chain: Chain | SlotChain,
        providers: Sequence[Provider],
        *,
        wanted: LogFilter | None = None,
        start: Block | None = None,
        settled: SettledHeads | None = None,
        quorum: int = 2,
        every_s: float = 2.0,
        with_socket_s: float = 10.0,
        hold: int = HOLD,
        late_s: float = LATE_S,
        held: HeldChain | None = None,
        resume_halted: bool = False,
        heard: Heard | None = None,
        patience: Patience = PATIENCE,
    ) -> None:
        if not providers:
            raise ConfigError(f"{chain.name}: needs at least one provider")
        self.chain = chain
        self._providers = {provider.name: provider for provider in providers}
        self._reader: BlockLogReader | None = None
        self._held = held
        self._resumes = resume_halted and held is not None and held.halted != ""
        self._start = start if held is None else held.blocks[0]
        self._settled = settled
        self._quorum = quorum
        self._every_s = every_s
        self._with_socket_s = with_socket_s
        self._hold = hold
        self._late_s = late_s
        self._failing: dict[str, float] = {}  # block: since when its logs do not come, monotonic; infinite once told
        self._http = Http(patience=patience)
        pools = {one.name: RpcPool(chain.name, [one], chain_id=chain.chain_id, http=self._http) for one in providers}
        self._nodes: dict[str, ProviderHeads] = {}
        self._sources: Mapping[str, HeadSource] = self._nodes
        if isinstance(chain, SlotChain):
            if wanted is not None or settled is not None:
                raise ConfigError(f"{chain.name} has no logs to ask for, and tells itself what is final")
            self._sources = {name: SlotHeads(chain, pool, name, heard) for name, pool in pools.items()}
        else:
            self._nodes.update({name: ProviderHeads(chain, pool, name, heard) for name, pool in pools.items()})
            self._reader = BlockLogReader(chain, wanted, quorum) if wanted is not None else None
        self._bells = {name: asyncio.Event() for name in self._providers}
        self.sockets = {
            one.name: HeadSocket(one.socket, self._bells[one.name].set, patience=RECONNECT)
            for one in providers
            if one.socket and not isinstance(chain, SlotChain)
        }
        self._outputs: asyncio.Queue[Followed | None] = asyncio.Queue()
        self._blocks: asyncio.Queue[Block] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._tracker: Tracker | None = None

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        self._begin(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.__aexit__(kind, exc, trace)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Followed:
        output = await self._outputs.get()
        if output is None:
            for task in self._tasks:
                if task.done() and not task.cancelled():
                    task.result()
            raise StopAsyncIteration
        return output

    @property
    def tracker(self) -> Tracker:
        """The state of the chain.

        Raises:
            SourceError: No provider has told where to begin yet.
        """
        if self._tracker is None:
            raise SourceError(f"{self.chain.name}: no provider has told where to begin yet", retryable=True)
        return self._tracker

    @property
    def begun(self) -> bool:
        """Whether there is a `tracker`."""
        return self._tracker is not None

    def resume(self) -> None:
        """Go on after an incident; the outputs that follow from it come with the others."""
        self._take(self.tracker.resume(_now_us()))

    def _begin(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda _: self._outputs.put_nowait(None))  # none of them ends by itself
        self._tasks.append(task)

    async def _run(self) -> None:
        start = self._start
        while start is None:
            try:
                start = await self._find_start()
            except (SourceError, FormatDrift) as exc:
                logger().warning("cannot begin", chain=self.chain.name, reason=str(exc))
                await asyncio.sleep(self._every_s)
        self._tracker = Tracker(
            self.chain.name,
            self.chain.finality,
            start,
            providers=tuple(self._providers),
            quorum=self._quorum,
            hold=self._hold,
            lag=max(3, int(LAG_S * 1_000 / (self.chain.block_ms or 12_000))),
        )
        if self._held is not None:
            recall(self._tracker, self.chain, self._held, _now_us())
            for block in self._held.awaited:
                self._blocks.put_nowait(block)
        for name in self._providers:
            self._begin(self._watch(name))
        for socket in self.sockets.values():
            self._begin(socket.run())
        if self._reader is not None:
            self._begin(self._fetch_logs(self._reader))
        await asyncio.Event().wait()

    async def _find_start(self) -> Block:
        """A little before the last block that is final, so that a contradicted one has an ancestor that is held."""
        told = await asyncio.gather(
            *(source.heads(("latest", "finalized")) for source in self._sources.values()), return_exceptions=True
        )
        heads = [{head.tag: head.block.number for head in one} for one in told if not isinstance(one, BaseException)]
        if not heads:
            raise next(one for one in told if isinstance(one, BaseException))
        quorum = min(self._quorum, len(heads))
        newest = min(one["latest"] for one in heads)
        has_final = policy_at(self.chain.finality, newest).final is not None
        final = agreed_number([one["finalized"] for one in heads if "finalized" in one], quorum)
        number = max(0, (min(final, newest) if has_final and final >= 0 else newest) - BACK)
        found = await asyncio.gather(
            *(source.block_at(number) for source in self._sources.values()), return_exceptions=True
        )
        votes = Counter(one for one in found if isinstance(one, Block))
        if not votes or max(votes.values()) < quorum:
            text = f"{self.chain.name}: no {quorum} providers tell the same block {number}"
            raise SourceError(f"{text}: {'; '.join(map(str, found))}", retryable=True)
        return max(votes, key=votes.__getitem__)

    async def _watch(self, name: str) -> None:
        bell = self._bells[name]
        while True:
            bell.clear()
            await self._look(name)
            try:
                async with asyncio.timeout(self._interval(name)):
                    await bell.wait()
            except TimeoutError:
                pass

    def _interval(self, name: str) -> float:
        if self.tracker.state == "DISAGREE":
            return min(DISAGREE_S, self._every_s)
        socket = self.sockets.get(name)
        return self._with_socket_s if socket is not None and socket.subscribed else self._every_s

    async def _look(self, name: str) -> None:
        source, tracker = self._sources[name], self.tracker
        try:
            if self._settled is None or name not in self._nodes:
                heads = await source.heads(tags_of(policy_at(self.chain.finality, tracker.tip.number)))
            else:
                heads = [*await source.heads(("latest",)), *await self._settled(self._nodes[name], tracker)]
            self._take(tracker.hear(await self._within_stride(name, heads)))
            asked = None
            while (ask := next((one for one in tracker.asks() if one.provider == name), None)) not in (None, asked):
                assert ask is not None
                asked = ask
                self._take(tracker.link(name, await source.blocks(ask), _now_us()))
            if self._resumes and self._are_heard():
                self._resumes = False
                self.resume()
        except (SourceError, FormatDrift) as exc:
            self._take(tracker.gone(name, str(exc), _now_us()))

    def _are_heard(self) -> bool:
        """Whether as many as must agree have told a chain that is linked to what is held."""
        linked = [state for state in self.tracker.standings.values() if state in LINKED]
        return len(linked) >= min(self._quorum, len(self._providers))

    async def _within_stride(self, name: str, heads: Sequence[Head]) -> Sequence[Head]:
        """The same, but of a newest block that is too far ahead to be linked one on the way to it."""
        last = self.tracker.tip.number + STRIDE
        if all(head.tag != "latest" or head.block.number <= last for head in heads):
            return heads
        near = await self._sources[name].block_at(last)
        found = [] if near is None else [Head(name, "latest", near, _now_us())]
        return [*(head for head in heads if head.tag != "latest"), *found]

    def _take(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            log_output(output)
            self._outputs.put_nowait(output)
            if isinstance(output, Standing) and output.state == "DISAGREES":
                for bell in self._bells.values():
                    bell.set()
            if self._reader is not None and isinstance(output, (Moved, Correction)):
                for block in output.added if isinstance(output, Moved) else output.adopted:
                    self._blocks.put_nowait(block)

    async def _fetch_logs(self, reader: BlockLogReader) -> None:
        while True:
            blocks = [await self._blocks.get()]
            while not self._blocks.empty() and len(blocks) < LOG_BLOCKS:
                blocks.append(self._blocks.get_nowait())
            if old := tuple(block for block in blocks if block.number < self.tracker.base.number):
                self._outputs.put_nowait(LostLogs(self.chain.name, old, _now_us()))
            failed = await self._logs_of([block for block in blocks if self._is_active(block)], reader)
            for block in {*blocks} - {*failed}:
                self._failing.pop(block.hash, None)
            if failed:
                await asyncio.sleep(DISAGREE_S)
                for block in failed:
                    self._blocks.put_nowait(block)

    async def _logs_of(self, blocks: Sequence[Block], reader: BlockLogReader) -> list[Block]:
        """Tell the logs of blocks; returns those of which they could not be had yet."""
        silent = {name for name, state in self.tracker.standings.items() if state in ("GONE", "SILENT")}
        speaking = [source for name, source in self._nodes.items() if name not in silent]
        found = await asyncio.gather(*(reader.read(block, speaking) for block in blocks), return_exceptions=True)
        failed = []
        for block, logs in zip(blocks, found, strict=True):
            if isinstance(logs, SourceError):
                self._note_failing(block, str(logs))
                failed.append(block)
            elif isinstance(logs, BaseException):
                raise logs
            elif self._is_active(block):  # it may have gone out meanwhile
                self._outputs.put_nowait(logs)
                for source in self._nodes.values():
                    source.forget(block.hash)
        return failed

    def _note_failing(self, block: Block, reason: str) -> None:
        now = time.monotonic()
        if block.hash not in self._failing:
            self._failing[block.hash] = now
            logger().warning("no logs yet", chain=self.chain.name, block=block.number, reason=reason)
        elif now - self._failing[block.hash] >= self._late_s:
            self._failing[block.hash] = math.inf
            self._outputs.put_nowait(LateLogs(self.chain.name, block, reason, _now_us()))

    def _is_active(self, block: Block) -> bool:
        return self.tracker.tier(block.number, block.hash) is not None


def _now_us() -> int:
    return time.time_ns() // 1_000
