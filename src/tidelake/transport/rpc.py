"""A pool of JSON-RPC providers of one chain: it moves calls and answers, and knows nothing of what they mean.

async with RpcPool("ethereum", providers_from_environment("ethereum"), chain_id=1) as pool:
    answers = await pool.ask([RpcCall("eth_call", [{"to": to, "data": data}, hex(block)])])

Calls go out in batches within each provider's limits. What one provider cannot answer another is asked; a provider that
fails is left alone for a while. An error that answers a call (a revert) is an answer.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import NoReturn, Self

from tidelake.errors import AskedTooMuch, ConfigError, NotServed, ProvidersDisagree, SourceError
from tidelake.transport.http import Http, Patience
from tidelake.transport.logger import logger
from tidelake.transport.rpc_agreement import difference
from tidelake.transport.rpc_cache import RpcCache, never_changes
from tidelake.transport.rpc_calls import RpcAnswer, RpcCall, blocks_wide
from tidelake.transport.rpc_errors import NO_SUCH_METHOD
from tidelake.transport.rpc_providers import Provider, variable_of
from tidelake.transport.rpc_upstream import Outcome, Upstream, Usage

ERROR_ROUNDS = 3  # so often every provider must give an error of unknown meaning until it is the answer


@dataclass(slots=True)
class _Ask:
    """A call on its way.

    Attributes:
        call: The call.
        head: Its provider must know the chain up to this block; None where that does not matter.
        apart: Providers that are not to be asked, because they have answered already.
        cannot: What each provider said that has no final answer to it.
        attempts: How often it was sent.
        failures: How often that came to nothing.
        rounds: How often all providers had no answer to it that is one.
        failing_since: When it first failed, monotonic seconds.
        last: The last failure.
        answer: The answer, at last.
    """

    call: RpcCall
    head: int | None = None
    apart: frozenset[str] = frozenset()
    cannot: dict[str, Outcome] = field(default_factory=dict)
    attempts: int = 0
    failures: int = 0
    rounds: int = 0
    failing_since: float | None = None
    last: Outcome | None = None
    answer: RpcAnswer | None = None


class RpcPool:
    """Providers of one chain. Use it as an async context manager, in one event loop.

    Args:
        chain: Name of the chain.
        providers: The providers; of those that are free the one listed first is asked.
        chain_id: What `eth_chainId` must say, checked once for each provider; one that says something else is asked no
            more. None leaves it unchecked.
        http: Client to share; pools that share one also share the paces of providers of the same name.
        patience: Bounds of retries, of a call and of one request, where no client is shared.
        cache: Answers that cannot change; none by default.
        clock: Monotonic seconds.
        sleep: Waits for seconds.
        seed: Seed of the jitter.
    """

    def __init__(
        self,
        chain: str,
        providers: Sequence[Provider],
        *,
        chain_id: int | None = None,
        http: Http | None = None,
        patience: Patience | None = None,
        cache: RpcCache | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        seed: int | None = None,
    ) -> None:
        if len({provider.name for provider in providers}) < max(1, len(providers)):
            raise ConfigError(f"{chain}: needs at least one provider, each with a name of its own")
        self.chain = chain
        self._chain_id = chain_id
        self._owns_http = http is None
        self._http = http or Http(patience=patience, sleep=sleep)
        self._cache = cache
        self._clock = clock
        self._sleep = sleep
        self._draw = random.Random(seed).random
        self._upstreams = [Upstream(one, self._http, clock=clock, sleep=sleep, draw=self._draw) for one in providers]

    async def __aenter__(self) -> Self:
        if self._owns_http:
            await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owns_http:
            await self._http.__aexit__(kind, exc, trace)

    @property
    def usage(self) -> Mapping[str, Usage]:
        """What was asked of each provider so far, by its name."""
        return {upstream.name: upstream.usage for upstream in self._upstreams}

    @property
    def barred(self) -> Mapping[str, str]:
        """The providers that are asked no more, and why."""
        return {upstream.name: upstream.barred for upstream in self._upstreams if upstream.barred}

    def widest_logs(self) -> int | None:
        """Blocks that one `eth_getLogs` may span, as far as known; None where no provider has told a limit."""
        limits = [upstream.log_blocks for upstream in self._upstreams if not upstream.barred]
        return max((limit for limit in limits if limit), default=None) if all(limits) else None

    def most_logs(self, provider: str) -> int | None:
        """Logs at which a provider cuts an answer without a word; None where it is not known to."""
        return next((one.provider.max_logs for one in self._upstreams if one.name == provider), None)

    def room(self, calls: Sequence[RpcCall]) -> int:
        """How many of these calls every provider takes in one request, as far as is known now: at least one."""
        rooms = [upstream.room(calls) for upstream in self._upstreams if not upstream.barred]
        return min(rooms, default=1)

    async def ask(
        self,
        calls: Sequence[RpcCall],
        *,
        agree: int = 1,
        final: int | None = None,
        head: int | None = None,
        apart: frozenset[str] = frozenset(),
    ) -> list[RpcAnswer]:
        """The answers to calls, in their order.

        Args:
            calls: Any number; they are sent in batches.
            agree: So many providers must give equal answers.
            final: Blocks up to and with this one cannot change: answers about them are cached.
            head: Providers whose newest block is lower are not asked.
            apart: Providers that are not asked. Answers that came in one response share provider and clock.

        Returns:
            One answer each. An error that would be the same everywhere, or that every provider gives, is an answer.

        Raises:
            SourceError: No provider answers; it names them.
            ProvidersDisagree: Two that had to agree do not; it names them.
            NotServed: No provider has the block, or the state at that block.
            AskedTooMuch: An `eth_getLogs` of several blocks was too much for every provider.
            ConfigError: There are fewer providers than must agree.
        """
        if agree > len(self._upstreams):
            text = f"{self.chain}: {agree} providers must agree, and there are {len(self._upstreams)}"
            raise ConfigError(f"{text}: add to {variable_of(self.chain)}", tried=(variable_of(self.chain),))
        found = [self._cached(call, final, agree) for call in calls]
        missing = [call for call, answer in zip(calls, found, strict=True) if answer is None]
        fresh = iter(await self._agreed(missing, agree, head, apart))
        return [answer or self._kept(next(fresh), final) for answer in found]

    def _cached(self, call: RpcCall, final: int | None, agree: int) -> RpcAnswer | None:
        if self._cache is None or not never_changes(call, final):
            return None
        return self._cache.find(call, agree=agree)

    def _kept(self, answer: RpcAnswer, final: int | None) -> RpcAnswer:
        if self._cache is not None and never_changes(answer.call, final):
            self._cache.keep(answer)
        return answer

    async def _agreed(
        self, calls: Sequence[RpcCall], agree: int, head: int | None, apart: frozenset[str]
    ) -> list[RpcAnswer]:
        answers = await self._answers([_Ask(call, head, apart) for call in calls])
        for _ in range(agree - 1):
            said = [apart | {one.provider, *one.agreed} for one in answers]
            asks = [_Ask(call, head, others) for call, others in zip(calls, said, strict=True)]
            others = await self._answers(asks)
            answers = [self._joined(one, other) for one, other in zip(answers, others, strict=True)]
        return answers

    def _joined(self, one: RpcAnswer, other: RpcAnswer) -> RpcAnswer:
        if found := difference(one, other):
            text = f"{self.chain}: {one.provider} and {other.provider} do not agree on {_shown(one.call)}: {found}"
            raise ProvidersDisagree(text, retryable=True)
        return replace(one, agreed=(*one.agreed, other.provider))

    async def _answers(self, asks: list[_Ask]) -> list[RpcAnswer]:
        queue = deque(asks)
        smallest = min(upstream.batch for upstream in self._upstreams)
        slots = sum(upstream.provider.parallel for upstream in self._upstreams)
        workers = min(slots, -(-len(asks) // smallest))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._work(queue))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [ask.answer for ask in asks if ask.answer is not None]

    async def _work(self, queue: deque[_Ask]) -> None:
        while queue:
            upstream = self._choose(queue[0])
            if upstream is None:
                await self._conclude(queue.popleft(), queue)
            elif (wait := upstream.breaker.wait()) > 0:
                await self._sleep(wait)
            elif upstream.breaker.enter():
                try:
                    await self._send(upstream, self._take(queue, upstream), queue)
                except BaseException:
                    upstream.breaker.abandoned()
                    raise

    def _choose(self, ask: _Ask) -> Upstream | None:
        """The provider to ask next; None where all have said that they cannot answer."""
        able = [one for one in self._upstreams if one.name not in ask.apart and not one.barred]
        if not able:
            self._give_up(ask, " ".join(["no provider", *_beside(ask.apart), "can be asked"]))
        wide = blocks_wide(ask.call)
        for one in able:
            if wide and one.log_blocks and wide > one.log_blocks:
                reason = f"takes {one.log_blocks} blocks at once"
                ask.cannot.setdefault(one.name, Outcome("toomuch", None, reason, one.log_blocks))
        able = [one for one in able if one.name not in ask.cannot]
        if not able:
            return None
        best = min(able, key=lambda one: (one.lacks(ask.call), one.wait() + one.full, one.under_way))
        patience = self._http.patience
        spent = 0.0 if ask.failing_since is None else self._clock() - ask.failing_since
        if ask.failures >= patience.attempts or spent + (wait := best.wait()) > patience.total:
            asked = f"asked {ask.attempts} times in {spent:.1f} s"
            self._give_up(ask, asked if ask.attempts else f"{best.name} is to be left alone for {wait:.0f} s")
        return best

    def _take(self, queue: deque[_Ask], upstream: Upstream) -> list[_Ask]:
        """Take from the queue what fits into one request to this provider, the first included."""
        fit: list[_Ask] = []
        others: list[_Ask] = []
        while queue and len(fit) < upstream.batch:
            ask = queue.popleft()
            (fit if self._may_take(ask, upstream) else others).append(ask)
        room = upstream.room([ask.call for ask in fit])
        queue.extendleft(reversed(others + fit[room:]))
        return fit[:room]

    def _may_take(self, ask: _Ask, upstream: Upstream) -> bool:
        wide = blocks_wide(ask.call) or 0
        return (
            upstream.name not in ask.apart and upstream.name not in ask.cannot and wide <= (upstream.log_blocks or wide)
        )

    async def _send(self, upstream: Upstream, asks: list[_Ask], queue: deque[_Ask]) -> None:
        if self._chain_id is not None and (outcome := await upstream.check_chain(self._chain_id)) is not None:
            self._note(upstream, asks, [outcome] * len(asks), queue)
            return
        if upstream.barred:
            queue.extend(asks)
            return
        highest = max((ask.head for ask in asks if ask.head is not None), default=-1)
        if upstream.head < highest and (outcome := await upstream.look_at_head()) is not None:
            self._note(upstream, asks, [outcome] * len(asks), queue)
            return
        low = Outcome("behind", None, f"its newest block is {upstream.head}")
        reached = [ask for ask in asks if ask.head is None or ask.head <= upstream.head]
        behind = [ask for ask in asks if ask.head is not None and ask.head > upstream.head]
        self._note(upstream, behind, [low] * len(behind), queue)
        if reached:
            self._note(upstream, reached, await upstream.send([ask.call for ask in reached]), queue)

    def _note(self, upstream: Upstream, asks: Sequence[_Ask], outcomes: Sequence[Outcome], queue: deque[_Ask]) -> None:
        for ask, outcome in zip(asks, outcomes, strict=True):
            ask.attempts += outcome.state != "split"
            if outcome.state == "done" and outcome.answer is not None:
                ask.answer = replace(outcome.answer, attempts=ask.attempts)
                continue
            if outcome.state == "again":
                ask.failures += 1
                ask.last = outcome
                ask.failing_since = self._clock() if ask.failing_since is None else ask.failing_since
            elif outcome.state != "split":
                ask.cannot[upstream.name] = outcome
            queue.appendleft(ask)

    async def _conclude(self, ask: _Ask, queue: deque[_Ask]) -> None:
        """Every provider has spoken, and none has a sure answer."""
        said = ask.cannot
        states = {outcome.state for outcome in said.values()}
        told = f"{self.chain}: {_shown(ask.call)}: " + "; ".join(f"{name}: {one.reason}" for name, one in said.items())
        if "toomuch" in states:
            limits = [one.widest for one in said.values() if one.state == "toomuch"]
            raise AskedTooMuch(told, widest=max((limit for limit in limits if limit), default=None))
        if "behind" in states:
            await self._wait_for_block(ask, told)
            queue.appendleft(ask)
        elif "pruned" in states:
            raise NotServed(f"{told}. It takes a provider with an archive", what="history", retryable=False)
        else:
            answer = next(one.answer for one in reversed(said.values()) if one.answer is not None)
            if ask.rounds + 1 < ERROR_ROUNDS and answer.error and answer.error.code != NO_SUCH_METHOD:
                ask.rounds += 1
                await self._sleep(self._http.patience.wait(ask.rounds, None, self._draw()))
                ask.cannot = {}
                queue.appendleft(ask)
            else:
                ask.answer = replace(answer, attempts=ask.attempts)

    async def _wait_for_block(self, ask: _Ask, told: str) -> None:
        ask.rounds += 1
        patience = self._http.patience
        ask.failing_since = self._clock() if ask.failing_since is None else ask.failing_since
        wait = patience.wait(ask.rounds, None, self._draw())
        if ask.rounds >= patience.attempts or self._clock() - ask.failing_since + wait > patience.total:
            text = f"{told}. They lag, or the block is none of this chain any more"
            raise NotServed(text, what="block", retryable=True)
        logger().debug("waiting for a block", chain=self.chain, round=ask.rounds, wait=round(wait, 3))
        await self._sleep(wait)
        ask.cannot = {name: one for name, one in ask.cannot.items() if one.state != "behind"}

    def _give_up(self, ask: _Ask, why: str) -> NoReturn:
        parts = [f"{name}: {one.reason}" for name, one in ask.cannot.items()]
        parts += [f"{name}: {reason}" for name, reason in self.barred.items()]
        parts += [f"at last: {ask.last.reason}"] if ask.last else []
        last = ask.last or Outcome("again", None)
        raise SourceError(
            f"{self.chain}: {_shown(ask.call)}: {why}; {'; '.join(parts)}",
            retryable=any(not upstream.barred for upstream in self._upstreams),
            retry_after=last.retry_after,
            status=last.status,
        )


def _beside(apart: frozenset[str]) -> list[str]:
    """Who was asked already, or is not to be: where two must agree, one alone is not enough."""
    return [f"beside {' and '.join(sorted(apart))}"] if apart else []


def _shown(call: RpcCall, longest: int = 160) -> str:
    text = f"{call.method} {list(call.params)}"
    return text if len(text) <= longest else f"{text[:longest]}.."
