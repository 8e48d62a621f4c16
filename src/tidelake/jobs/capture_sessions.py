"""Captures by schedule and by regime: several sessions beside each other, each with connections and lanes of its own.

    report = run_sessions(store, read_sessions(Path("sessions.toml")))

A session that waits for a regime goes by the tags of a watched stream, which is captured as well, all the time: what a
decision was made from is in the raw log. What fails takes nothing with it: a session whose capture failed is begun
again after a minute, while it is wanted.
"""

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import polars as pl

from tidelake.jobs.capture import CaptureSettings, capture_async
from tidelake.jobs.capture_report import CaptureReport
from tidelake.jobs.capture_schedule import Window, joined, within
from tidelake.jobs.capture_sessions_file import SPECIAL, CaptureSession, RegimeRule, SessionsFile
from tidelake.jobs.live_regimes import MINUTE
from tidelake.jobs.report import DONE, DONE_WITH_GAPS, FAILED, STOPPED
from tidelake.jobs.session import Settings, synchronous
from tidelake.raw.store import Store
from tidelake.transport.rates import Rates
from tidelake.venues.registry import venue as find_venue

PLANNED = dt.timedelta(days=1)
RETRY = dt.timedelta(minutes=1)
NAP_SECONDS = 10.0  # so that a clock that is set does not make a session late by more
log = logging.getLogger(__name__)

Capture = Callable[[CaptureSession, CaptureSettings], Awaitable[CaptureReport]]


class Clock(Protocol):
    """The time by which sessions begin and end."""

    def now(self) -> dt.datetime:
        """In UTC."""

    async def until(self, moment: dt.datetime) -> None:
        """Returns at that moment, at once where it has passed."""


class WallClock:
    """Our own."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    async def until(self, moment: dt.datetime) -> None:
        while (left := (moment - self.now()).total_seconds()) > 0:
            await asyncio.sleep(min(left, NAP_SECONDS))


@dataclass(frozen=True, slots=True)
class PlannedWindow:
    """A session's next window, or, without start, what it waits for."""

    session: str
    start: dt.datetime | None
    end: dt.datetime | None
    symbols: str
    channels: str
    rule: str


@dataclass(slots=True)
class SessionOutcome:
    """What became of a session.

    Attributes:
        state: "failed" where its last capture failed; "waiting" where it was never wanted.
        runs: Captures that were begun.
        failures: Of them failed.
        seconds: Of all captures together.
        frames, bytes, rows, gaps: As captures report them, of all together.
        refused: Streams that could not be had, in the last capture.
        worst: Highest exit code of its captures.
        reason: Of the last failure.
    """

    session: str
    state: Literal["done", "waiting", "failed"] = "waiting"
    runs: int = 0
    failures: int = 0
    seconds: float = 0.0
    frames: int = 0
    bytes: int = 0
    rows: int = 0
    gaps: int = 0
    refused: int = 0
    worst: int = DONE
    reason: str = ""

    def add(self, report: CaptureReport) -> None:
        """Count a capture that ended."""
        self.seconds += report.seconds
        self.frames += sum(link.frames for link in report.links)
        self.bytes += sum(link.bytes for link in report.links)
        self.rows += sum(row.rows for row in report.rows)
        self.gaps += sum(row.gaps for row in report.rows)
        self.refused = sum(row.state == "refused" for row in report.rows)
        self.worst = max(self.worst, report.exit_code, key=(DONE, DONE_WITH_GAPS, FAILED).index)
        self.state = "failed" if report.exit_code == FAILED else "done"
        self.reason = next((row.reason for row in report.rows if row.state == "failed"), report.failed)


@dataclass(frozen=True, slots=True)
class SessionsPlan:
    """What would run when, session by session."""

    rows: tuple[PlannedWindow, ...]
    exit_code: int = DONE

    @property
    def summary(self) -> str:
        """The plan in a line for people."""
        return f"{len({row.session for row in self.rows})} sessions planned; nothing was asked"


@dataclass(frozen=True, slots=True)
class SessionsReport:
    """All sessions.

    Attributes:
        rows: One for each session, and one for each watched stream.
        seconds: Time taken.
        interrupted: Whether it was ended before its time; what was heard until then is sealed.
    """

    rows: tuple[SessionOutcome, ...]
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 done, 1 a session's last capture failed, 3 with gaps, refusals or failures before, 130 interrupted."""
        if self.interrupted:
            return STOPPED
        if any(row.state == "failed" for row in self.rows):
            return FAILED
        return DONE_WITH_GAPS if any(row.worst or row.failures for row in self.rows) else DONE

    @property
    def summary(self) -> str:
        """The report in a few lines for people."""
        lines = [
            f"{row.session}: {row.state}, {row.runs} captures ({row.failures} failed), {row.seconds:.0f} s, "
            f"{row.frames} frames, {row.bytes / 1e6:.1f} MB, {row.gaps} gaps, {row.refused} streams refused"
            + (f": {row.reason}" if row.reason else "")
            for row in self.rows
        ]
        return "\n".join([*lines, *(["stopped before its time; what was heard is sealed"] if self.interrupted else [])])


def plan_sessions(file: SessionsFile, now: dt.datetime) -> SessionsPlan:
    """What would run when in the day from now on; a session that waits for the market says for what."""
    rows = []
    for session in file.sessions:
        symbols = " ".join(f"{source}:{name}" for source, names in session.symbols.items() for name in names)
        shown = PlannedWindow(session.name, None, None, symbols, " ".join(session.channels), session.rule.words())
        windows = within(_windows(session, now), now, now + PLANNED)
        rows += [replace(shown, start=start, end=end) for start, end in windows]
        if not windows or (isinstance(session.rule, RegimeRule) and session.rule.by_market):
            rows.append(shown)
    return SessionsPlan(tuple(rows))


async def run_sessions_async(
    store: Store,
    file: SessionsFile,
    *,
    seconds: float | None = None,
    settings: Settings | None = None,
    capturing: CaptureSettings | None = None,
    clock: Clock | None = None,
    capture: Capture | None = None,
) -> SessionsReport:
    """Run all sessions until the time is over, nothing can come any more, or it is interrupted; all is then sealed.

    Args:
        store: The lake's store.
        file: What is captured when.
        seconds: How long; None until interrupted.
        settings: As for every job.
        capturing: Of every capture; how minutes are judged is the file's.
        clock: The time by which sessions begin and end; by default ours.
        capture: Runs one capture until it is cancelled, and then reports; by default a real one.
    """
    rates, began, time_given = Rates(), time.monotonic(), clock or WallClock()

    async def real(session: CaptureSession, chosen: CaptureSettings) -> CaptureReport:
        return await capture_async(
            store, session.symbols, channels=session.channels, settings=settings, capturing=chosen, rates=rates
        )

    chosen = replace(capturing or CaptureSettings(), regimes=file.regimes)
    running = _Sessions(file, chosen, time_given, capture or real)
    ending = None if seconds is None else time_given.now() + dt.timedelta(seconds=seconds)
    interrupted = await running.run(ending)
    return SessionsReport(tuple(running.outcomes), time.monotonic() - began, interrupted)


run_sessions = synchronous(run_sessions_async)


@dataclass
class _Watched:
    """The regime of a stream as it stands, and whoever waits for it to change."""

    regime: str = "unknown"
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def told(self, regime: str) -> None:
        self.regime = regime
        self.changed.set()


class _Sessions:
    """All sessions of a file, running."""

    def __init__(self, file: SessionsFile, capturing: CaptureSettings, clock: Clock, capture: Capture) -> None:
        self._file = file
        self._capturing = capturing
        self._clock = clock
        self._capture = capture
        self._watched: dict[tuple[str, str], _Watched] = {}
        self.outcomes: list[SessionOutcome] = []

    async def run(self, ending: dt.datetime | None) -> bool:
        """Until nothing can come any more, `ending`, or a cancellation; whether that one came before its time."""
        rules = [session.rule for session in self._file.sessions]
        streams = {(r.source, r.symbol): None for r in rules if isinstance(r, RegimeRule) and r.by_market}
        watching = [asyncio.create_task(self._watch(*stream)) for stream in streams]
        sessions = [asyncio.create_task(self._session(session)) for session in self._file.sessions]
        interrupted = False
        try:
            everything = asyncio.gather(*sessions, return_exceptions=True)
            await _first(everything, self._clock.until(ending) if ending else _never())
        except asyncio.CancelledError:
            interrupted = ending is not None
            if (current := asyncio.current_task()) is not None:
                current.uncancel()
        for task in (*sessions, *watching):
            task.cancel()
        await asyncio.gather(*sessions, *watching, return_exceptions=True)
        for task in (*sessions, *watching):
            if not task.cancelled() and (failed := task.exception()) is not None:
                raise failed
        return interrupted

    async def _watch(self, source: str, symbol: str) -> None:
        """Capture a stream for its regimes, all the time."""
        watched, loop = self._watched.setdefault((source, symbol), _Watched()), asyncio.get_running_loop()

        def judged(tags: pl.DataFrame) -> None:
            newest = tags.filter(pl.col("symbol") == symbol).sort("event_time").tail(1)
            for regime in newest["regime"]:
                loop.call_soon_threadsafe(watched.told, regime)

        has = {channel for sockets in find_venue(source).sockets for channel in sockets.channels}
        channels = tuple(channel for channel in ("trades", "quotes") if channel in has)
        name = f"watch {source}:{symbol}"
        session = CaptureSession(
            name, {source: (symbol,)}, channels, RegimeRule(source, symbol, frozenset(), frozenset())
        )
        await self._run_until(session, replace(self._capturing, judged=judged), self._outcome(name), _never())

    def _outcome(self, name: str) -> SessionOutcome:
        self.outcomes.append(SessionOutcome(name))
        return self.outcomes[-1]

    async def _session(self, session: CaptureSession) -> None:
        outcome = self._outcome(session.name)
        if isinstance(session.rule, RegimeRule):
            rule = session.rule
            watched = self._watched.setdefault((rule.source, rule.symbol), _Watched())
            while rule.by_market or self._next_turn(rule) is not None:
                await self._regime(rule, watched, wanted=True)
                await self._run_until(session, self._capturing, outcome, self._regime(rule, watched, wanted=False))
            return
        for start, end in joined(session.rule.windows(self._clock.now())):
            await self._clock.until(start)
            if end is None or self._clock.now() < end:
                closing = self._clock.until(end) if end else _never()
                await self._run_until(session, self._capturing, outcome, closing)

    async def _regime(self, rule: RegimeRule, watched: _Watched, *, wanted: bool) -> None:
        """Returns when the session is to run, or, with `wanted` False, to end."""
        while self._is_wanted(rule, watched.regime, before=not wanted) != wanted:
            watched.changed.clear()
            turn = self._next_turn(rule)
            await _first(watched.changed.wait(), self._clock.until(turn) if turn else _never())

    def _is_wanted(self, rule: RegimeRule, regime: str, *, before: bool) -> bool:
        now = self._clock.now()
        if any(start <= now and (end is None or now < end) for start, end in _on(rule)):
            return True
        if not rule.by_market:
            return False
        return regime in rule.when or (before and regime not in rule.until)

    def _next_turn(self, rule: RegimeRule) -> dt.datetime | None:
        """When the next event of the calendar begins or ends."""
        turns = [turn for window in _on(rule) for turn in window if turn is not None]
        return min((turn for turn in turns if turn > self._clock.now()), default=None)

    async def _run_until(
        self, session: CaptureSession, capturing: CaptureSettings, outcome: SessionOutcome, closing: Awaitable[None]
    ) -> None:
        """Capture until it is to end; what fails is begun again."""
        closed = asyncio.ensure_future(closing)
        try:
            while not closed.done():
                await self._run_once(session, capturing, outcome, closed)
                if not closed.done():
                    await _first(asyncio.shield(closed), self._clock.until(self._clock.now() + RETRY))
        finally:
            closed.cancel()

    async def _run_once(
        self,
        session: CaptureSession,
        capturing: CaptureSettings,
        outcome: SessionOutcome,
        closed: "asyncio.Future[None]",
    ) -> None:
        outcome.runs += 1
        log.info("session %s begins", session.name)
        work = asyncio.ensure_future(self._capture(session, capturing))
        try:
            await _first(asyncio.shield(work), asyncio.shield(closed))
        finally:
            await self._end(work, outcome)

    async def _end(self, work: "asyncio.Future[CaptureReport]", outcome: SessionOutcome) -> None:
        """End a capture and note its report; an interrupt that comes meanwhile waits until all is sealed."""
        work.cancel()
        interrupt: asyncio.CancelledError | None = None
        while not work.done():
            try:
                await asyncio.wait([work])
            except asyncio.CancelledError as exc:
                interrupt = exc
        (result,) = await asyncio.gather(work, return_exceptions=True)
        self._note(outcome, result)
        if interrupt is not None:
            raise interrupt

    def _note(self, outcome: SessionOutcome, result: CaptureReport | BaseException) -> None:
        if isinstance(result, CaptureReport):
            outcome.add(result)
            log.info("session %s ends: %d frames so far", outcome.session, outcome.frames)
        elif isinstance(result, asyncio.CancelledError):
            outcome.state = "done"  # it ended before its first connection was begun
        else:
            outcome.state, outcome.reason = "failed", f"{type(result).__name__}: {result}"
            outcome.failures += 1
            log.error("session %s failed: %s", outcome.session, result)


def _windows(session: CaptureSession, since: dt.datetime) -> Iterator[Window]:
    rule = session.rule
    if isinstance(rule, RegimeRule):
        return iter(_on(rule))
    return rule.windows(since)


def _on(rule: RegimeRule) -> list[Window]:
    """When an event of the calendar is on, in whole minutes, as `tag_minutes` judges them."""
    found = []
    for event in rule.calendar if SPECIAL in rule.when else ():
        first = event.start.astimezone(dt.UTC).replace(second=0, microsecond=0)
        end = event.end.astimezone(dt.UTC)
        last = end.replace(second=0, microsecond=0)
        found.append(Window(first, last if last == end else last + MINUTE))
    return sorted(found)


async def _first(*waits: Awaitable[object]) -> None:
    """Returns when one of them does; the others are ended."""
    tasks: list[asyncio.Future[object]] = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _never() -> None:
    await asyncio.get_running_loop().create_future()
