"""One captured connection and the lane that keeps it: all that passed, in order, sealed beside while more comes in."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from tidelake.errors import FormatDrift, SourceError, StoreError
from tidelake.jobs.capture_flow import Flow, Piece, Wanted
from tidelake.jobs.capture_plan import PlannedLink
from tidelake.jobs.capture_rounds import Rounds
from tidelake.jobs.live_regimes import LiveRegimes
from tidelake.jobs.session import Session
from tidelake.logs import redact
from tidelake.raw.entry import Entry
from tidelake.raw.frame import Kind, encode_line
from tidelake.raw.lane import LaneWriter
from tidelake.transport.link import Link
from tidelake.transport.websocket import Heard
from tidelake.venues.spec import Request

log = logging.getLogger(__name__)
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds between two attempts to synchronise one book, doubled each time
STUCK_SECONDS = 60.0  # without a successful write


@dataclass
class _Attempt:
    due: float = 0.0
    wait: float = FIRST_WAIT
    task: "asyncio.Task[None] | None" = None

    @property
    def running(self) -> bool:
        return self.task is not None and not self.task.done()


@dataclass
class Visits:
    """Pages of one channel that are asked for from time to time; `tasks` by symbol, for one may be long in coming."""

    channel: str
    page: Callable[[str], Request]
    rounds: Rounds
    tasks: "dict[str, asyncio.Task[None]]" = field(default_factory=dict)


@dataclass
class CaptureLane:
    """A link, its lane and its place in the flow.

    Attributes:
        number: Of the link; also the last part of the lane's name.
        plan: What the link carries.
        pages: REST snapshots kept.
        sealed: Entries of the lane.
        visits: Pages that are asked for from time to time: those of books are compared with the book that stands.
        visited: How many pages were kept by channel and symbol, 0 where one was asked and none came.
        regimes: What it seals tells the tags of the minutes of its streams; None: it tells none.
        retiring: Another lane takes over; its books are not synchronised again.
    """

    number: int
    plan: PlannedLink
    link: Link
    writer: LaneWriter
    flow: Flow
    session: Session
    visits: list[Visits]
    visited: Counter[tuple[str, str]] = field(default_factory=Counter)
    regimes: LiveRegimes | None = None
    pages: int = 0
    sealed: list[Entry] = field(default_factory=list)
    retiring: bool = False
    task: "asyncio.Task[None] | None" = None
    _part_since: float = field(default_factory=time.monotonic)
    _attempts: dict[str, _Attempt] = field(default_factory=dict)
    _held: list[Heard] = field(default_factory=list)
    _stuck_since: float = 0.0
    _sealing: "Future[list[Entry]] | None" = None

    def start(self) -> None:
        """Begin to connect."""
        self.task = asyncio.create_task(self.link.run())

    def move(self) -> int:
        """Keep all that was heard, hand it on, and return how many lines that were."""
        heard = self._held + self.link.drain()
        if not heard:
            return 0
        first = self.writer.next_n
        try:
            lines = self.writer.append_heard(heard, redact(self.plan.url))
        except OSError as exc:
            self._hold(heard, exc)
            return 0
        if self._held:
            self._held = []
            self.link.resume()
        self.flow.put(Piece(self.number, lines, len(heard), first))
        return len(heard)

    def _hold(self, heard: list[Heard], exc: OSError) -> None:
        """The disk takes nothing: let the socket wait, and try again at the next turn, for a minute at most."""
        if not self._held:
            self._stuck_since = time.monotonic()
            log.warning("lane %s cannot be written: %s; its socket waits", self.writer.lane, exc)
        self._held = heard
        self.link.pause()
        if time.monotonic() - self._stuck_since > STUCK_SECONDS or self.retiring:
            self._held = []
            raise StoreError(
                f"lane {self.writer.lane} cannot be written: {exc}. {len(heard)} lines that were received are lost, "
                "those before are in its part file. Make room, and capture again.",
                key=self.writer.lane,
            ) from exc

    def keep(self, payload: bytes, kind: Kind, *, request: str = "", feed: str = "", symbol: str = "", status: int = 0,
             recv_ns: int | None = None, mono_ns: int | None = None) -> None:  # fmt: skip
        """Keep one line that did not come over the socket, after all that came before it."""
        self.move()
        frame = self.writer.append(
            payload=payload, kind=kind, request=request, feed=feed, symbol=symbol, status=status,
            recv_ns=recv_ns, mono_ns=mono_ns, sync=False,
        )  # fmt: skip
        self.flow.put(Piece(self.number, encode_line(frame), 1, frame.n))

    def rotate_when_due(self, pool: ThreadPoolExecutor, seconds: float, size: int) -> None:
        """Seal what was written in a thread of the pool, where it is old or large enough."""
        due = self.writer.part_bytes >= size or time.monotonic() - self._part_since >= seconds
        if not self.writer.part_bytes:
            self._part_since = time.monotonic()
        elif due and (self._sealing is None or self._sealing.done()):
            self._take_sealed()
            self.writer.detach()
            self._part_since = time.monotonic()
            self._sealing = pool.submit(self._seal_detached)

    def _seal_detached(self) -> list[Entry]:
        if self.regimes is None:
            return self.writer.seal_detached()
        meta, ends = self.regimes.unkept(self.plan.venue.source, self.plan.symbols())
        entries = self.writer.seal_detached(meta)
        self.regimes.kept(ends)
        return entries

    def synchronise(self) -> None:
        """Fetch pages, or subscribe again, for the books that the verifier wants; each more rarely when it fails."""
        wanted = () if self.retiring or not self.link.ready else self.flow.wanted(self.number)
        names = {want.symbol for want in wanted}
        self._attempts = {symbol: at for symbol, at in self._attempts.items() if symbol in names or at.running}
        for want in wanted:
            attempt = self._attempts.setdefault(want.symbol, _Attempt())
            if not attempt.running and time.monotonic() >= attempt.due:
                attempt.due = time.monotonic() + attempt.wait
                attempt.wait = min(LONGEST_WAIT, attempt.wait * 2)
                self._synchronise_one(want, attempt)

    def _synchronise_one(self, want: Wanted, attempt: _Attempt) -> None:
        if want.by == "page":
            if (page := self.plan.sockets.book_page) is not None:
                attempt.task = asyncio.create_task(self._page("book", want.symbol, page))
        else:
            found = [s.name for s in self.plan.streams if s.symbol == want.symbol and s.channel == "book"]
            self.link.resubscribe(found)

    def visit(self) -> None:
        """Ask for the pages whose turn it is; the engine compares those of books at their update ids."""
        for each in self.visits:
            if self.retiring or (each.channel == "book" and not self.link.ready):
                continue
            each.tasks = {symbol: task for symbol, task in each.tasks.items() if not task.done()}
            symbol = each.rounds.due(time.monotonic())
            if symbol is not None and symbol not in each.tasks:
                self.visited[each.channel, symbol] += 0
                each.tasks[symbol] = asyncio.create_task(self._page(each.channel, symbol, each.page))

    async def _page(self, channel: str, symbol: str, page: Callable[[str], Request]) -> None:
        try:
            answer = await self.session.ask(self.plan.venue, page(self.plan.venue.venue_symbol(symbol)))
        except SourceError:
            return  # logged where it was asked; a book stays invalid and is wanted again
        self.keep(answer.body, "page", request=f"GET {answer.url}", feed=channel, symbol=symbol, status=answer.status,
                  recv_ns=answer.recv_ns, mono_ns=answer.mono_ns)  # fmt: skip
        self.pages += 1
        self.visited[channel, symbol] += 1

    @property
    def synchronised(self) -> bool:
        """Whether it hears everything that it is to hear, with every book in step."""
        return self.link.ready and self.flow.in_step(self.number)

    def left_out(self) -> Sequence[tuple[str, str, str]]:
        """Symbol, channel and reason of each stream that the venue refused."""
        refused = self.link.subscriptions.refused
        return [(s.symbol, s.channel, refused[s.name]) for s in self.plan.streams if s.name in refused]

    async def stop(self) -> None:
        """End the link and keep what it had heard until then."""
        self.retiring = True
        await self.link.stop()
        visits = [task for each in self.visits for task in each.tasks.values()]
        attempts = [each.task for each in self._attempts.values()]
        for task in (*visits, *attempts):
            if task is not None:
                task.cancel()
        self.move()

    def seal(self) -> None:
        """Seal all; blocks. Raises as `LaneWriter.seal` does, and then the part files are recovered by the next run."""
        try:
            self._take_sealed()
            self.writer.detach()
            self.sealed += self._seal_detached()
        except BaseException:
            self.writer.abandon()
            raise

    def _take_sealed(self) -> None:
        if self._sealing is not None:
            done, self._sealing = self._sealing, None
            try:
                self.sealed += done.result()
            except (StoreError, FormatDrift) as exc:  # the part file stays; the next seal, or run, takes it along
                log.warning("a part of lane %s could not be sealed yet: %s", self.writer.lane, exc)
