"""What all jobs share: one HTTP client, where to ask, how to seal, and how several streams run beside each other."""

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar
from urllib.parse import urlsplit

from tidelake.errors import TidelakeError
from tidelake.jobs.report import Outcome, Report
from tidelake.raw.codec import Codec, key_from_environment
from tidelake.raw.store import Store
from tidelake.tables.mapping import Mapping as FieldMapping
from tidelake.transport.http import Answer, Http, Patience
from tidelake.transport.rates import Pace, Rates
from tidelake.venues.spec import Rate, Request, Venue

T = TypeVar("T")
P = ParamSpec("P")
Urls = str | Mapping[str, str] | None

STREAMS_PER_HOST = 8


class Progress(Protocol):
    """Called as work goes on: how much is done, of how much where that is known, and what is in hand."""

    def __call__(self, done: int, total: int | None = None, what: str = "") -> None: ...


def silent(done: int, total: int | None = None, what: str = "") -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Settings:
    """How a job asks and writes; every job takes these beside its own arguments.

    Attributes:
        url: Asked instead of the venues: one address, or one for each source id.
        rates: Limits in place of the documented ones, by source id.
        patience: Bounds of retries.
        progress: Told about pages as they come.
        clock: Wall clock, ns since 1970.
        mappings: Field mappings; by default those that ship.
        codec: How segments are compressed.
        seal_pages: Pages after which a stream is sealed.
        tries: How often a doubtful answer (empty, a hole, another page) is asked for before it is believed.
        try_wait: Seconds before the first of these; each later one waits that much longer.
        settle_ns: A hole before a trade younger than this may be filled by late trades, and is not called absent yet.
    """

    url: Urls = None
    rates: Mapping[str, Rate] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)
    progress: Progress | None = None
    clock: Callable[[], int] = time.time_ns
    mappings: Sequence[FieldMapping] | None = None
    codec: Codec = "zstd"
    seal_pages: int = 50
    tries: int = 5
    try_wait: float = 0.5
    settle_ns: int = 300_000_000_000


class Session:
    """A running job: use it as an async context manager.

    Args:
        store: The lake's store.
        settings: How to ask and write.
        rates: Turns that it shares with others; its own where it shares none.
    """

    def __init__(self, store: Store, settings: Settings, rates: Rates | None = None) -> None:
        self.store = store
        self.settings = settings
        self.key = key_from_environment()
        self.http = Http(rates=rates or Rates(), patience=settings.patience, clock=settings.clock)
        self.pages = 0
        self._turns: dict[str, asyncio.Semaphore] = {}

    async def __aenter__(self) -> "Session":
        await self.http.__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self.http.__aexit__(*exc)

    def base_url(self, venue: Venue) -> str:
        """Where the venue is asked."""
        url = self.settings.url
        found = url if isinstance(url, str) else (url or {}).get(venue.source)
        return (found or venue.rest_url).rstrip("/")

    def turn(self, venue: Venue) -> asyncio.Semaphore:
        """Bounds how many streams of a host are in hand at once."""
        return self._turns.setdefault(self.base_url(venue), asyncio.Semaphore(STREAMS_PER_HOST))

    async def ask(self, venue: Venue, request: Request) -> Answer:
        """One good answer of a venue."""
        base = self.base_url(venue)
        rate = self.settings.rates.get(venue.source, venue.rate)
        answer = await self.http.get(
            base + request.path,
            Pace(rate.weight, rate.seconds),
            weight=request.weight,
            headers=_key_header(venue, base),
            refusal=venue.refusal,
        )
        self.pages += 1
        (self.settings.progress or silent)(self.pages, None, venue.source)
        return answer


def _key_header(venue: Venue, base: str) -> dict[str, str]:
    """An API key goes to the venue's own host alone."""
    if venue.key_header is None or urlsplit(base)[:2] != urlsplit(venue.rest_url)[:2]:
        return {}
    name, variable = venue.key_header
    value = os.environ.get(variable, "")
    return {name: value} if value else {}


async def run_all(
    job: str, session: Session, streams: Sequence[tuple[Venue, str, Callable[[], Awaitable[Outcome]]]]
) -> Report:
    """Run streams beside each other, each for itself: one that fails leaves the others alone.

    An interrupt ends them all; each seals what it holds.
    """
    started = time.monotonic()
    tasks = [asyncio.ensure_future(_guarded(session, *stream)) for stream in streams]
    stopped = False
    try:
        await asyncio.gather(*tasks)
    except asyncio.CancelledError:
        stopped = True
        if (current := asyncio.current_task()) is not None:
            current.uncancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    rows = [
        Outcome(venue.source, symbol, "stopped") if task.cancelled() else task.result()
        for task, (venue, symbol, _) in zip(tasks, streams, strict=True)
    ]
    stopped = stopped or any(row.state == "stopped" for row in rows)
    return Report(job, tuple(rows), time.monotonic() - started, stopped)


async def _guarded(session: Session, venue: Venue, symbol: str, work: Callable[[], Awaitable[Outcome]]) -> Outcome:
    try:
        async with session.turn(venue):
            return await work()
    except (TidelakeError, ValueError, OSError) as exc:
        return Outcome(venue.source, symbol, "failed", reason=f"{type(exc).__name__}: {exc}")


def run_sync(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, also where an event loop runs already (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(asyncio.run(work))
        except BaseException as exc:
            failed.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


def synchronous(work: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """The same job for callers that wait for it: `backfill` of `backfill_async`, with its arguments and docstring."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return run_sync(work(*args, **kwargs))

    run.__name__ = run.__qualname__ = work.__name__.removesuffix("_async")
    return run
