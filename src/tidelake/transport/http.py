"""HTTP: paced per host, and free of secrets in what it tells.

`get` retries with back-off until the answer is whole JSON; `post` asks once, for callers who can ask somebody else.

async with Http() as http:
    answer = await http.get("https://api.exchange.coinbase.com/products", Pace(10, 1.0))
"""

import asyncio
import datetime as dt
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import msgspec

from tidelake.errors import SourceError, TimedOut
from tidelake.logs import redact
from tidelake.transport.logger import logger
from tidelake.transport.rates import Pace, Rates
from tidelake.transport.retry_after import retry_after_seconds

if TYPE_CHECKING:
    import httpx

BUSY = frozenset({408, 418, 425, 429})
JSON = {"Content-Type": "application/json"}
SHOWN = 200  # characters of a bad answer that an error quotes

Refusal = Callable[[bytes], tuple[str, bool] | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer.

    Attributes:
        body: The bytes of the body, after content decoding.
        status: HTTP status.
        url: What was asked, without secrets.
        recv_ns, mono_ns: Wall and monotonic clock when the body was complete.
        attempts: How often it was asked for.
        retry_after: Seconds the host asked us to wait; None where it said nothing.
    """

    body: bytes
    status: int
    url: str
    recv_ns: int
    mono_ns: int
    attempts: int
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on.

    Attributes:
        attempts: Most requests for one answer.
        total: Seconds for all of them together, waits included.
        timeout: Seconds for one.
        first_wait, longest_wait: Back-off before the second attempt, doubled each time, and its bound, in seconds; the
            wait is drawn evenly from the upper half of it.
    """

    attempts: int = 8
    total: float = 300.0
    timeout: float = 30.0
    first_wait: float = 0.5
    longest_wait: float = 60.0

    def wait(self, attempt: int, asked: float | None, draw: float) -> float:
        """Seconds before the attempt after this one; what the host asked for is never undercut."""
        backoff = min(self.longest_wait, self.first_wait * 2.0 ** (attempt - 1)) * (0.5 + 0.5 * draw)
        return backoff if asked is None else asked + 0.1 * backoff


class _RedactRecords(logging.Filter):
    """httpx logs each address as it is; what leaves its logger is redacted."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        return True


class Http:
    """An HTTP client for public data. Use it as an async context manager, in one event loop.

    Args:
        rates: Turns per host; shared between clients where given.
        patience: Bounds of retries.
        clock: Wall clock in ns.
        sleep: Waits for seconds.
        seed: Seed of the jitter; by default it differs between processes.
        transport: Replaces the network in tests.
    """

    def __init__(
        self,
        *,
        rates: Rates | None = None,
        patience: Patience | None = None,
        clock: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        seed: int | None = None,
        transport: "httpx.AsyncBaseTransport | None" = None,
    ) -> None:
        self.rates = rates or Rates(sleep=sleep)
        self.patience = patience or Patience()
        self.requests = 0
        self._clock = clock
        self._sleep = sleep
        self._draw = random.Random(seed).random
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        import httpx

        logger = logging.getLogger("httpx")
        if not any(isinstance(found, _RedactRecords) for found in logger.filters):
            logger.addFilter(_RedactRecords())
        self._client = httpx.AsyncClient(
            timeout=self.patience.timeout, transport=self._transport, headers={"User-Agent": "tidelake"}
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def get(
        self,
        url: str,
        pace: Pace,
        *,
        weight: float = 1.0,
        headers: Mapping[str, str] | None = None,
        refusal: Refusal | None = None,
        answers: frozenset[int] = frozenset(),
        heard: Callable[[Answer], None] | None = None,
        redirects: bool = False,
    ) -> Answer:
        """The answer, once it is whole, good JSON, and no refusal.

        Args:
            url: What to ask.
            pace: Limit of the host.
            weight: What this request counts against it.
            headers: Sent with it, never logged.
            refusal: Finds an error wrapped in a body, and whether asking again may help.
            answers: Statuses beside 200 that are answers.
            heard: Told each whole answer as it came, those that are asked for again included.
            redirects: Whether to go where the host points to; only without headers, which are for the host alone.

        Raises:
            SourceError: Refused for good, or patience ran out; `retryable` tells which.
        """
        log = logger().bind(url=redact(url))
        host = urlsplit(url).netloc.rpartition("@")[2]
        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            await self.rates.turn(host, pace, weight)
            try:
                follow = redirects and not headers
                answer = await self._send("GET", url, redact(url), headers=headers, attempt=attempt, follow=follow)
                if heard is not None:
                    heard(answer)
                self._check(answer, refusal, answers)
            except SourceError as exc:
                spent = time.monotonic() - started
                wait = self.patience.wait(attempt, exc.retry_after, self._draw())
                if not exc.retryable or attempt >= self.patience.attempts or spent + wait > self.patience.total:
                    raise self._final(exc, attempt, spent) from exc
                log.debug("asking again", attempt=attempt, wait=round(wait, 3), status=exc.status, reason=str(exc))
                if exc.status in BUSY:
                    self.rates.pause(host, wait)
                else:
                    await self._sleep(wait)
            else:
                log.debug("answered", status=answer.status, size=len(answer.body), attempt=attempt)
                return answer

    async def post(
        self,
        url: str,
        body: bytes,
        charges: Iterable[tuple[Pace, float]],
        *,
        name: str,
        headers: Mapping[str, str] = JSON,
    ) -> Answer:
        """The answer to one POST, whatever its status and content.

        Args:
            url: Where to; its path may be a secret, and it is told nowhere.
            body: What is sent.
            charges: Each pace that the host keeps, with what this request counts against it.
            name: Stands for the address in turns, errors and logs.
            headers: Sent with it, never logged; they say that the body is JSON, where none are given.

        Raises:
            SourceError: No whole answer came; it is not asked again here.
        """
        await self.rates.turns(name, charges)
        return await self._send("POST", url, name, headers=headers, content=body)

    async def _send(
        self,
        method: str,
        url: str,
        shown: str,
        *,
        headers: Mapping[str, str] | None,
        content: bytes | None = None,
        attempt: int = 1,
        follow: bool = False,
    ) -> Answer:
        import httpx

        assert self._client is not None, "use it as an async context manager"
        self.requests += 1
        try:
            async with asyncio.timeout(self.patience.timeout):  # httpx bounds each read, not all of them
                response = await self._client.request(
                    method, url, headers=dict(headers or {}), content=content, follow_redirects=follow
                )
        except httpx.InvalidURL:
            raise SourceError(f"{method} {shown}: not an address", retryable=False) from None
        except TimeoutError:
            raise TimedOut(
                f"{method} {shown}: no whole answer in {self.patience.timeout:g} s", retryable=True
            ) from None
        except httpx.TimeoutException as exc:
            raise TimedOut(f"{method} {shown}: no answer in time ({_told(exc)})", retryable=True) from None
        except httpx.HTTPError as exc:
            text = f"{method} {shown}: no whole answer ({_told(exc)})"
            raise SourceError(text, retryable=not isinstance(exc, httpx.UnsupportedProtocol)) from None
        now = self._clock()
        asked = retry_after_seconds(response.headers.get("retry-after"), dt.datetime.fromtimestamp(now / 1e9, dt.UTC))
        return Answer(response.content, response.status_code, shown, now, time.monotonic_ns(), attempt, asked)

    def _check(self, answer: Answer, refusal: Refusal | None, answers: frozenset[int]) -> None:
        refused = refusal(answer.body) if refusal else None
        text = refused[0] if refused else answer.body[:SHOWN].decode("utf-8", "replace")
        told = f"GET {answer.url}: status {answer.status}: {redact(text)}"
        if answer.status not in {200, *answers} or refused:
            again = answer.status in BUSY or answer.status >= 500 or (refused is not None and refused[1])
            raise SourceError(told, retryable=again, retry_after=answer.retry_after, status=answer.status)
        try:
            msgspec.json.decode(answer.body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            text = f"{told}: no whole JSON"
            raise SourceError(text, retryable=True, retry_after=answer.retry_after, status=200) from None

    def _final(self, exc: SourceError, attempts: int, seconds: float) -> SourceError:
        times = f"asked {attempts} times in {seconds:.1f} s" if attempts > 1 else "asked once"
        return SourceError(f"{exc} ({times})", retryable=exc.retryable, retry_after=exc.retry_after, status=exc.status)


def _told(exc: Exception) -> str:
    return f"{type(exc).__name__} {redact(str(exc))}"
