"""Live capture: every frame of a venue's sockets verbatim into the raw log, and its rows to whoever listens.

    report = capture(store, {"binance-spot": ["BTC-USDT"]}, channels=["trades", "book"], seconds=60)

Raw comes first: a frame is in the part file before anything reads it, and a disk that is slow makes the sockets wait,
not the frames vanish. Each connection has a lane, `capture.<source>.<run>.<number>`; a reconnection goes on in it.
Before a venue ends a connection for its age, a second one with the same streams is opened, and the first is closed one
second after the second is in step: in that second both publish, a row may come to the bus twice, and none is missing.
"""

import asyncio
import contextlib
import datetime as dt
import itertools
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from tidelake.errors import ConfigError, SourceError
from tidelake.jobs.capture_flow import QUEUE_BYTES, BookCounts, Flow, Publish, Unverified, Verifier
from tidelake.jobs.capture_lane import CaptureLane, Visits
from tidelake.jobs.capture_plan import LeftOut, PlannedLink, plan_links
from tidelake.jobs.capture_report import CapturedStream, CaptureReport, LinkReport
from tidelake.jobs.capture_rounds import Rounds
from tidelake.jobs.live_regimes import Judged, LiveRegimes, known_minutes, minute_of
from tidelake.jobs.regimes import RegimeSettings
from tidelake.jobs.session import Session, Settings, synchronous
from tidelake.logs import redact
from tidelake.raw.codec import key_from_environment
from tidelake.raw.coverage import coverage
from tidelake.raw.entry import Entry
from tidelake.raw.lane import LaneWriter
from tidelake.raw.part_file import lanes_with_parts
from tidelake.raw.store import Store
from tidelake.tables.describe import describe_for
from tidelake.tables.registry import TABLES
from tidelake.transport.link import Link
from tidelake.transport.rates import Rates
from tidelake.transport.sntp import ClockOffset, clock_offset
from tidelake.venues.registry import venue as find_venue

CHANNELS = ("trades", "book", "quotes")
TABLES_OF = {"book": ("book_deltas", "book_snapshots")}  # other channels have the table of their name
TICK_SECONDS = 0.01
SLOW_TICKS = 20  # of which one looks after rotation, renewal and books
OVERLAP_SECONDS = 1.0
IN_STEP_SECONDS = 60.0
NTP_SECONDS = 3_600.0


@dataclass(frozen=True)
class CaptureSettings:
    """How a capture keeps and judges.

    Attributes:
        rotate_seconds, rotate_bytes: A part file is sealed when it is so old or so long.
        publish: Takes the rows of each table; None where nobody listens, and then nothing but trades is decoded.
        book_levels: Best levels of each side that `publish` gets as `book` rows after each change of a book; 0: none.
        verifier: Makes the judge of a connection's books, from its plan; by default that of `books verify`.
        queue_bytes: Lines that may wait to be published; beyond it they are shed.
        ntp: Time server asked once an hour; "" leaves the clock's offset unknown.
        regimes: How the minutes of the streams are judged; None: no regimes are kept.
        judged: Told the tags of minutes as they end, where there are `regimes`.
        audit_seconds: Each book is compared with a REST page once in so long, where its venue has one; 0: never.
    """

    rotate_seconds: float = 3_600.0
    rotate_bytes: int = 64 << 20
    publish: Publish | None = None
    book_levels: int = 10
    verifier: Callable[[PlannedLink], Verifier] | None = None
    queue_bytes: int = QUEUE_BYTES
    ntp: str = ""
    regimes: RegimeSettings | None = None
    judged: Judged | None = None
    audit_seconds: float = 600.0


async def capture_async(
    store: Store,
    symbols: Mapping[str, Sequence[str]],
    *,
    channels: Sequence[str] = CHANNELS,
    seconds: float | None = None,
    dry_run: bool = False,
    settings: Settings | None = None,
    capturing: CaptureSettings | None = None,
    rates: Rates | None = None,
) -> CaptureReport:
    """Capture until the time is over or it is interrupted; what was heard is then sealed.

    Args:
        store: The lake's store.
        symbols: Canonical symbols by source id.
        channels: Our channel words: trades, book, quotes, candles, funding, open_interest, liquidations.
        seconds: How long; None until interrupted.
        dry_run: Only say what would be subscribed over which connections.
        settings: Addresses, limits, mappings and codec, as for every job.
        capturing: Rotation, bus, verification.
        rates: Turns that captures beside each other share; its own where it shares none.

    Raises:
        NotInLake: No such venue.
        ConfigError: A venue has no such channel, or nothing that was asked for can be captured.
    """
    given = settings or Settings()
    links: list[PlannedLink] = []
    left: list[LeftOut] = []
    for source, names in symbols.items():
        more, refused = plan_links(find_venue(source), names, channels, given.url)
        links, left = links + more, left + refused
    if dry_run:
        return _planned(links, left)
    if not links:
        raise ConfigError(f"nothing to capture: {'; '.join(each.reason for each in left) or 'no symbols'}")
    await asyncio.to_thread(_recover, store, list(symbols), given)
    if any(stream.channel == "book" for link in links for stream in link.streams):
        from tidelake.jobs.capture_books import warm_up  # loads the kernels

        await asyncio.to_thread(warm_up)
    async with Session(store, given, rates) as session:
        chosen = capturing or CaptureSettings()
        regimes = None
        if chosen.regimes is not None:
            regimes = await asyncio.to_thread(_regimes, store, list(symbols), chosen.regimes, given)
            regimes.judged = chosen.judged
        running = _Capture(session, links, left, channels, chosen, regimes)
        return await running.run(seconds)


capture = synchronous(capture_async)


def _regimes(store: Store, sources: Sequence[str], judging: RegimeSettings, settings: Settings) -> LiveRegimes:
    """Regimes that go on from what the lake knows."""
    return LiveRegimes(judging, known_minutes(store, sources, minute_of(settings.clock()) - judging.window))


def _recover(store: Store, sources: Sequence[str], settings: Settings) -> None:
    """Seal what killed captures of these venues left in part files on this machine."""
    for source in sources:
        for lane in lanes_with_parts(store.spool()):
            if lane.startswith(f"capture.{source}."):
                describe = describe_for(source, settings.mappings)
                LaneWriter(
                    store,
                    lane,
                    source,
                    describe=describe,
                    codec=settings.codec,
                    key=key_from_environment(),
                    clock=settings.clock,
                ).abandon()


class _Capture:
    """A running capture."""

    def __init__(
        self,
        session: Session,
        links: Sequence[PlannedLink],
        left: Sequence[LeftOut],
        channels: Sequence[str],
        settings: CaptureSettings,
        regimes: LiveRegimes | None,
    ) -> None:
        self.session = session
        self.settings = settings
        self.channels = list(channels)
        self.left = list(left)
        self.regimes = regimes
        begun = dt.datetime.fromtimestamp(session.settings.clock() / 1e9, dt.UTC)
        self.run_id = f"{begun:%Y%m%dT%H%M%S}-{random.getrandbits(32):08x}"
        self.offset: ClockOffset | None = None
        tables = [name for channel in channels for name in TABLES_OF.get(channel, (channel,)) if name in TABLES]
        needed = ("trades", *(regimes.tables if regimes else ()))
        self.flow = Flow(
            tables if settings.publish else [name for name in tables if name in needed],
            settings.publish,
            session.settings.mappings,
            settings.queue_bytes,
            regimes,
            session.settings.clock,
        )
        self._numbers = itertools.count(1)
        self._seals = ThreadPoolExecutor(1, "tidelake-seal")
        self._syncs = ThreadPoolExecutor(1, "tidelake-sync")
        self._lanes = [self._open(plan) for plan in links]
        self._ended: list[CaptureLane] = []
        self._renewals: dict[int, asyncio.Task[None]] = {}
        self._ntp: asyncio.Task[None] | None = None

    def _open(self, plan: PlannedLink, *, published: bool = True) -> CaptureLane:
        number, venue, given = next(self._numbers), plan.venue, self.session.settings
        names = [stream.name for stream in plan.streams if not stream.polled]
        link = Link(
            number, plan.sockets, plan.url, names, self.session.http.rates, patience=given.patience, clock=given.clock
        )
        symbols = sorted(plan.symbols())
        meta = {"job": "capture", "run": self.run_id, "link": str(number), "url": redact(plan.url)}
        meta |= {"channels": " ".join(self.channels), "symbols": " ".join(symbols)}
        writer = LaneWriter(
            self.session.store,
            f"capture.{venue.source}.{self.run_id}.{number}",
            venue.source,
            describe=describe_for(venue.source, given.mappings),
            codec=given.codec,
            key=self.session.key,
            meta=meta,
            clock=given.clock,
        )
        levels = self.settings.book_levels if self.settings.publish else 0
        make = self.settings.verifier or partial(_judge, levels=levels)
        judged = plan.symbols(*self.regimes.tables) if self.regimes else []
        self.flow.add(number, venue.source, judged, lambda: make(plan), published=published)
        return CaptureLane(
            number, plan, link, writer, self.flow, self.session, self._visits(plan), regimes=self.regimes
        )

    def _visits(self, plan: PlannedLink) -> list[Visits]:
        """What is asked by REST from time to time: pages that audit books, and channels that are polled."""
        now, sockets = time.monotonic(), plan.sockets
        found = []
        for channel, poll in sockets.polled.items():
            if symbols := plan.symbols(channel):
                at_once = now - poll.seconds / len(symbols)
                found.append(Visits(channel, poll.page, Rounds(symbols, poll.seconds, at_once)))
        if sockets.audit_page is not None:
            rounds = Rounds(plan.symbols("book"), self.settings.audit_seconds, now)
            found.append(Visits("book", sockets.audit_page, rounds))
        return found

    async def run(self, seconds: float | None) -> CaptureReport:
        """Until the time is over or the task is cancelled."""
        began, interrupted = time.monotonic(), False
        self._ntp = asyncio.create_task(self._ask_time()) if self.settings.ntp else None
        try:
            for lane in self._lanes:
                lane.start()
            for tick in itertools.count():
                if seconds is not None and time.monotonic() - began >= seconds:
                    break
                await asyncio.sleep(TICK_SECONDS)
                for lane in self._lanes:
                    lane.move()
                if tick % SLOW_TICKS == 0:
                    self._look_after(began)
        except asyncio.CancelledError:
            interrupted = seconds is not None
            if (current := asyncio.current_task()) is not None:
                current.uncancel()
        finally:
            await self._end()
        return self._report(time.monotonic() - began, interrupted)

    def _look_after(self, began: float) -> None:
        for lane in list(self._lanes):
            self._syncs.submit(lane.writer.sync)
            lane.rotate_when_due(self._seals, self.settings.rotate_seconds, self.settings.rotate_bytes)
            lane.synchronise()
            lane.visit()
            if lane.link.renewal_due and lane.number not in self._renewals:
                self._renewals[lane.number] = asyncio.create_task(self._renew(lane))
        if self.session.settings.progress is not None:
            frames = sum(lane.link.heard for lane in (*self._lanes, *self._ended))
            still = sum(not lane.link.is_open for lane in self._lanes)
            text = f"{len(self._lanes) - still} of {len(self._lanes)} connections"
            self.session.settings.progress(frames, None, text)

    async def _renew(self, old: CaptureLane) -> None:
        """A second connection; the first is closed when the second is in step, or has had a minute for it."""
        new = self._open(old.plan, published=False)
        self._lanes.append(new)
        new.start()
        waited_from = time.monotonic()
        while not new.synchronised and time.monotonic() - waited_from < IN_STEP_SECONDS:
            await asyncio.sleep(TICK_SECONDS)
        self.flow.publish_lane(new.number)
        await asyncio.sleep(OVERLAP_SECONDS)
        await old.stop()
        self._lanes.remove(old)
        self._ended.append(old)
        await asyncio.get_running_loop().run_in_executor(self._seals, old.seal)
        self.flow.drop(old.number)
        del self._renewals[old.number]

    async def _ask_time(self) -> None:
        while True:
            try:
                self.offset = await asyncio.to_thread(clock_offset, self.settings.ntp)
                told = {"clock": "ntp", "server": self.offset.server, "offset_ns": self.offset.offset_ns}
                told["delay_ns"] = self.offset.delay_ns
            except SourceError as exc:
                told = {"clock": "unknown", "reason": str(exc)}
            for lane in self._lanes:
                lane.keep(json.dumps(told).encode(), "note")
            await asyncio.sleep(NTP_SECONDS)

    async def _end(self) -> None:
        tasks = [*self._renewals.values(), *([self._ntp] if self._ntp else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        cut_short = [lane for lane in self._ended if lane.number in self._renewals]  # it may not be sealed yet
        stopped = await asyncio.gather(*(lane.stop() for lane in self._lanes), return_exceptions=True)
        for lane in self._lanes:
            if lane.task is not None:
                with contextlib.suppress(asyncio.CancelledError):
                    await lane.task
        await asyncio.to_thread(self.flow.close)
        self._syncs.shutdown()
        loop = asyncio.get_running_loop()
        sealed = [loop.run_in_executor(self._seals, lane.seal) for lane in (*self._lanes, *cut_short)]
        results = await asyncio.gather(*sealed, return_exceptions=True)
        self._seals.shutdown()
        for failed in (result for result in (*stopped, *results) if isinstance(result, BaseException)):
            raise failed

    def _report(self, seconds: float, interrupted: bool) -> CaptureReport:
        lanes = [*self._ended, *self._lanes]
        entries = [entry for lane in lanes for entry in lane.sealed]
        streams = [stream for lane in lanes for stream in self._streams(lane, entries)]
        merged = list({(row.source, row.symbol, row.channel): row for row in streams}.values())
        merged += [CapturedStream(each.source, each.symbol, each.channel, "refused", reason=each.reason)
                   for each in self.left]  # fmt: skip
        links = tuple(
            LinkReport(
                lane.plan.venue.source,
                lane.writer.lane,
                lane.link.heard,
                lane.link.bytes,
                lane.link.opens,
                tuple(lane.link.losses),
                lane.pages,
                len(lane.sealed),
                *self._latency(lane.plan.venue.source),
            )
            for lane in lanes
        )
        offset = None if self.offset is None else self.offset.offset_ns / 1e6
        shed, failed = self.flow.shed, self.flow.failed
        return CaptureReport(tuple(merged), links, seconds, interrupted, shed, failed, offset)

    def _streams(self, lane: CaptureLane, entries: Sequence[Entry]) -> list[CapturedStream]:
        source = lane.plan.venue.source
        mine = coverage(entry for entry in entries if entry.source == source)
        gaps = {(each.feed, each.symbol): each.gaps for each in mine}
        refused = {(symbol, channel): reason for symbol, channel, reason in lane.left_out()}
        states, counts = self.flow.states(), self.flow.counts()
        rows = []
        for symbol, channel in dict.fromkeys((stream.symbol, stream.channel) for stream in lane.plan.streams):
            polled = channel in lane.plan.sockets.polled
            there = lane.visited.get((channel, symbol), 1) if polled else lane.link.opens
            row = CapturedStream(source, symbol, channel, "captured" if there else "failed")
            tables = TABLES_OF.get(channel, (channel,))
            counted = counts.get((source, symbol), BookCounts()) if channel == "book" else BookCounts()
            row = replace(
                row,
                rows=sum(self.flow.rows[source, table, symbol] for table in tables),
                gaps=gaps.get((channel, symbol), 0)
                + (len(lane.link.losses) if channel != "trades" and not polled else 0)
                + counted.breaks,
                book=states.get((source, symbol), "") if channel == "book" else "",
                falls=counted.falls,
                audits=counted.audits,
                audits_equal=counted.audits_equal,
            )
            if not there:
                row = replace(row, reason="no page was answered" if polled else "no connection was made")
            if (symbol, channel) in refused:
                row = replace(row, state="refused", reason=refused[symbol, channel])
            rows.append(row)
        return rows

    def _latency(self, source: str) -> tuple[float | None, float | None, float | None]:
        """Median, 99th and 99.9th percentile in ms; the clock's offset is taken out where it is known."""
        found = self.flow.latency(source)
        if not len(found):
            return None, None, None
        ahead = 0 if self.offset is None else self.offset.offset_ns
        p50, p99, p999 = (np.percentile(found, (50, 99, 99.9)) + ahead) / 1e6
        return float(p50), float(p99), float(p999)


def _judge(plan: PlannedLink, *, levels: int) -> Verifier:
    """The books of a connection by the rules of their venue."""
    from tidelake.jobs.capture_books import BookVerifier  # loads the kernels

    symbols, pages = plan.symbols("book"), plan.sockets.book_page is not None
    if not symbols:
        return Unverified([], pages=False)
    return BookVerifier(plan.venue.source, symbols, pages=pages, levels=levels)


def _planned(links: Sequence[PlannedLink], left: Sequence[LeftOut]) -> CaptureReport:
    rows = [
        CapturedStream(link.venue.source, stream.symbol, stream.channel, "planned", reason=stream.name)
        for link in links
        for stream in link.streams
    ]
    rows += [CapturedStream(each.source, each.symbol, each.channel, "refused", reason=each.reason) for each in left]
    found = tuple(LinkReport(link.venue.source, redact(link.url)) for link in links)
    return CaptureReport(tuple(rows), found)
