"""One provider at work: it sends batches and judges what comes back. Whom else to ask is the pool's business."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from tidelake.errors import FormatDrift, SourceError, TimedOut
from tidelake.logs import hide, redact
from tidelake.transport.breaker import Breaker
from tidelake.transport.http import BUSY, SHOWN, Answer, Http
from tidelake.transport.logger import logger
from tidelake.transport.rpc_calls import (
    OF_STATE,
    Response,
    RpcAnswer,
    RpcCall,
    RpcError,
    block_of,
    blocks_wide,
    encode_calls,
    read_responses,
)
from tidelake.transport.rpc_errors import Meaning, meaning_of, speaks_of_size, widest_range
from tidelake.transport.rpc_providers import Provider

NO_ENTRY = frozenset({401, 402, 403, 404})
UNSPOKEN = frozenset({401, 402})  # whatever the JSON beside them says
HEAD = RpcCall("eth_blockNumber")
CHAIN_ID = RpcCall("eth_chainId")
# Null from these is what a node says of a block or transaction that it does not know; another may.
NULL_IS_DOUBTFUL = ("eth_getBlock", "eth_getTransaction", "eth_getUncle", "eth_getLogs")

# done: this is the answer      perhaps: the answer if no other provider has a better one
# again: ask anybody again      split: the same, in smaller batches
# behind, pruned, toomuch: this provider cannot answer it
State = Literal["done", "perhaps", "again", "split", "behind", "pruned", "toomuch"]
STATES: dict[Meaning, State] = {
    "answer": "done",
    "elsewhere": "perhaps",
    "results": "toomuch",
    "range": "toomuch",
    "behind": "behind",
    "pruned": "pruned",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one call.

    Attributes:
        state: See `State`.
        answer: What the provider said; None where it said nothing of this call.
        reason: Why it is not done, without secrets.
        widest: Blocks that the provider says it takes at once; None where it said none.
        status: HTTP status; None where there was no answer.
        retry_after: Seconds that the provider asked us to wait.
    """

    state: State
    answer: RpcAnswer | None
    reason: str = ""
    widest: int | None = None
    status: int | None = None
    retry_after: float | None = None


@dataclass(slots=True)
class Usage:
    """What was asked of a provider, refused and failed requests included.

    Attributes:
        requests: HTTP requests.
        sent_bytes, received_bytes: Bodies, after content decoding.
        calls, units: Calls, and units billed for them, by method.
    """

    requests: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)


class Upstream:
    """A provider, what was learned of it, and what it was asked.

    Args:
        provider: What was set of it.
        http: Sends.
        clock: Monotonic seconds.
        sleep: Waits for seconds.
        draw: Jitter, 0 to 1.
    """

    def __init__(
        self,
        provider: Provider,
        http: Http,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        draw: Callable[[], float],
    ) -> None:
        for secret in provider.secrets():
            hide(secret)
        self.provider = provider
        self.name = provider.name
        self.usage = Usage()
        self.breaker = Breaker(clock=clock)
        self.barred = ""
        self.batch = provider.max_batch
        self.log_blocks = provider.max_log_blocks
        self.head = -1
        self.under_way = 0
        self._pruned_to = -1
        self._busy_in_a_row = 0
        self._batch_is_told = False
        self._rests_until = 0.0
        self._http = http
        self._clock = clock
        self._sleep = sleep
        self._draw = draw
        self._slots = asyncio.Semaphore(provider.parallel)
        self._right_chain: bool | None = None
        self._checking = asyncio.Lock()
        self._secrets = [secret.encode() for secret in provider.secrets()]

    @property
    def full(self) -> bool:
        return self.under_way >= self.provider.parallel

    def wait(self) -> float:
        """Seconds until it can be asked."""
        turn = self._http.rates.wait(self.name, filter(None, (self.provider.requests, self.provider.load)))
        return max(self.breaker.wait(), turn, self._rests_until - self._clock())

    def lacks(self, call: RpcCall) -> bool:
        """Whether it will hardly have the state that the call asks for."""
        if call.method not in OF_STATE:
            return False
        block = block_of(call)
        return isinstance(block, int) and (not self.provider.archive or block <= self._pruned_to)

    def room(self, calls: Sequence[RpcCall]) -> int:
        """How many of these calls go into one request: at least one."""
        most = self.provider.load.weight * self.provider.load.seconds / 2 if self.provider.load else float("inf")
        load = 0
        for count, call in enumerate(calls[: self.batch]):
            load += self.provider.units.load(call)
            if load > most and count:
                return count
        return min(len(calls), self.batch)

    async def check_chain(self, chain_id: int) -> Outcome | None:
        """Make sure, once, that it is of this chain; one of another chain is barred.

        Returns:
            None where it is known; else why it could not be asked.
        """
        async with self._checking:
            if self._right_chain is None:
                (outcome,) = await self.send([CHAIN_ID])
                if (found := self._number(outcome)) is None:
                    return replace(outcome, state="again", answer=None)
                self._right_chain = found == chain_id
                if not self._right_chain:
                    self._bar(f"it is of chain {found}, not of {chain_id}")
            return None

    async def look_at_head(self) -> Outcome | None:
        """Ask for the number of its newest block.

        Returns:
            None where it told; else why not.
        """
        (outcome,) = await self.send([HEAD])
        if (number := self._number(outcome)) is None:
            return replace(outcome, state="again", answer=None)
        self.head = max(self.head, number)
        return None

    def _number(self, outcome: Outcome) -> int | None:
        """The number that it told; one that answers, and tells none, is of no use."""
        if outcome.state == "again" or outcome.answer is None:
            return None
        try:
            return int(outcome.answer.value(str), 16)
        except (SourceError, FormatDrift, ValueError):
            self._bar(f"{outcome.answer.call.method}: no number: {outcome.answer.payload[:SHOWN].decode()}")
            return None

    async def send(self, calls: Sequence[RpcCall]) -> list[Outcome]:
        """Ask in one request, when it is our turn; one outcome for each call, in order."""
        async with self._slots:
            self.under_way += 1
            try:
                if (wait := self._rests_until - self._clock()) > 0:
                    await self._sleep(wait)
                answer = await self._post(calls)
            except TimedOut as exc:
                return [self._silent(calls, str(exc))] * len(calls)
            except SourceError as exc:
                self._failed(str(exc))
                return [Outcome("again", None, str(exc))] * len(calls)
            finally:
                self.under_way -= 1
        return self._judge(calls, answer)

    async def _post(self, calls: Sequence[RpcCall]) -> Answer:
        body = encode_calls(calls)
        units = self.provider.units
        charges = [(self.provider.requests, 1.0)]
        if self.provider.load is not None:
            charges.append((self.provider.load, float(sum(units.load(call) for call in calls))))
        self.usage.requests += 1
        self.usage.sent_bytes += len(body)
        for call in calls:
            self.usage.calls[call.method] += 1
            self.usage.units[call.method] += units.price(call)
        answer = await self._http.post(self.provider.url, body, charges, name=self.name)
        self.usage.received_bytes += len(answer.body)
        return answer

    def _judge(self, calls: Sequence[RpcCall], answer: Answer) -> list[Outcome]:
        body = self._without_secrets(answer.body)
        reading = read_responses(body, len(calls))
        pairs = list(zip(calls, reading.responses, strict=True))
        refused = answer.status in BUSY | UNSPOKEN or answer.status >= 500
        errors = [found.error for found in reading.responses if found and found.error]
        if reading.whole is not None or not any(self._speaks(call, found, refused) for call, found in pairs):
            error = reading.whole or next(iter(errors), None)
            return [self._whole(calls, answer, body, error, reading.fault)] * len(calls)
        if told := next((error for error in errors if self._too_many(calls, error)), None):
            return [self._smaller(calls, str(told), told=True)] * len(calls)
        self.breaker.succeeded()
        self._learn_size(calls, reading.fault)
        outcomes = [
            self._one(call, found, answer) if found else Outcome("again", None, reading.fault, status=answer.status)
            for call, found in pairs
        ]
        self._learn_pace(outcomes, answer)
        return outcomes

    def _whole(
        self, calls: Sequence[RpcCall], answer: Answer, body: bytes, error: RpcError | None, fault: str
    ) -> Outcome:
        """The request failed as a whole."""
        text = str(error) if error else redact(body[:SHOWN].decode("utf-8", "replace"))
        reason = f"status {answer.status}: {text}" + (f" ({fault})" if fault else "")
        if len(calls) > 1 and (answer.status == 413 or self._too_many(calls, error)):
            return self._smaller(calls, reason, told=True)
        meaning = meaning_of(error, calls[0]) if error else None
        if answer.status in NO_ENTRY or meaning == "spent":
            self._bar(reason)
        elif answer.status in BUSY or meaning == "busy":
            self._pause(answer.retry_after)
        elif answer.status in (413, 504, 524):
            return self._silent(calls, reason)
        elif len(calls) > 1 and answer.status == 200:
            return self._smaller(calls, reason)
        else:
            self._failed(reason)
        return Outcome("again", None, reason, status=answer.status, retry_after=answer.retry_after)

    def _silent(self, calls: Sequence[RpcCall], reason: str) -> Outcome:
        """It took too long, which says nothing of the provider where logs of many blocks were asked for."""
        if _is_wide(calls):
            self.breaker.abandoned()
            return Outcome("toomuch", None, reason)
        self._failed(reason)
        return Outcome("again", None, reason)

    def _speaks(self, call: RpcCall, found: Response | None, refused: bool) -> bool:
        """Whether a response is about its call, and no more than the words beside a refusal of the request."""
        if found is None or found.error is None or not refused:
            return found is not None
        return meaning_of(found.error, call) not in ("elsewhere", "busy", "spent", "failed")

    def _one(self, call: RpcCall, found: Response, answer: Answer) -> Outcome:
        said = RpcAnswer(
            call=call,
            result=found.result,
            error=found.error,
            payload=found.payload,
            provider=self.name,
            recv_ns=answer.recv_ns,
            mono_ns=answer.mono_ns,
            attempts=1,
        )
        if found.error is None:
            null = bytes(found.result or b"") == b"null" and call.method.startswith(NULL_IS_DOUBTFUL)
            return Outcome("perhaps" if null else "done", said, "null" if null else "")
        meaning = meaning_of(found.error, call)
        self._learn(meaning, call, found.error)
        widest = widest_range(found.error) if meaning in ("results", "range") else None
        state = STATES.get(meaning, "again")
        return Outcome(state, said, str(found.error), widest, answer.status, answer.retry_after)

    def _learn(self, meaning: Meaning, call: RpcCall, error: RpcError) -> None:
        block = block_of(call)
        if meaning == "range" and (widest := widest_range(error)) is not None:
            self.log_blocks = min(widest, self.log_blocks or widest)
        elif meaning == "pruned" and call.method in OF_STATE and isinstance(block, int):
            self._pruned_to = max(self._pruned_to, block)
        elif meaning == "spent":
            self._bar(str(error))

    def _learn_pace(self, outcomes: Sequence[Outcome], answer: Answer) -> None:
        errors = [(one.answer.call, one.answer.error) for one in outcomes if one.answer and one.answer.error]
        meanings = {meaning_of(error, call) for call, error in errors}
        if "busy" in meanings or answer.status in BUSY:
            self._pause(answer.retry_after)
        elif "failed" in meanings:
            self._failed("; ".join(sorted({str(error) for _, error in errors})))
        else:
            self._busy_in_a_row = 0

    def _too_many(self, calls: Sequence[RpcCall], error: RpcError | None) -> bool:
        return error is not None and len(calls) > 1 and speaks_of_size(error) and not _is_wide(calls)

    def _smaller(self, calls: Sequence[RpcCall], reason: str, *, told: bool = False) -> Outcome:
        """Ask for half as many at a time from now on; for good where the provider has told its limit."""
        self.breaker.succeeded()
        self.batch = max(1, min(self.batch, len(calls) // 2))
        self._batch_is_told |= told
        logger().debug("smaller batches", provider=self.name, batch=self.batch, reason=reason)
        return Outcome("split", None, reason)

    def _learn_size(self, calls: Sequence[RpcCall], fault: str) -> None:
        if fault and len(calls) > 1:
            self._smaller(calls, fault)
        elif len(calls) >= self.batch and not self._batch_is_told:
            self.batch = min(self.provider.max_batch, 2 * self.batch)

    def _pause(self, asked: float | None) -> None:
        self._busy_in_a_row += 1
        self.breaker.succeeded()
        self._http.rates.pause(self.name, self._http.patience.wait(self._busy_in_a_row, asked, self._draw()))

    def _failed(self, reason: str) -> None:
        was_closed = self.breaker.closed
        self.breaker.failed()
        if was_closed and not self.breaker.closed:
            logger().warning("a provider is left alone for a while", provider=self.name, reason=reason)
        wait = self._http.patience.wait(self.breaker.in_a_row, None, self._draw())
        self._rests_until = self._clock() + wait
        logger().debug("failed", provider=self.name, in_a_row=self.breaker.in_a_row, reason=reason)

    def _bar(self, reason: str) -> None:
        self.barred = reason
        logger().warning("a provider is asked no more", provider=self.name, reason=reason)

    def _without_secrets(self, body: bytes) -> bytes:
        """Some gateways repeat the address in their errors."""
        for secret in self._secrets:
            body = body.replace(secret, b"***")
        return body


def _is_wide(calls: Sequence[RpcCall]) -> bool:
    return any((blocks_wide(call) or 1) > 1 for call in calls)
