"""One stream of trades being fetched: answers go verbatim into its lane, and what they cover is kept in mind."""

import asyncio
import time
from typing import Self

from tidelake.errors import FormatDrift, TidelakeError
from tidelake.jobs.extent import Extent
from tidelake.jobs.report import Outcome, State, utc
from tidelake.jobs.session import Session
from tidelake.raw.coverage import Interval, StreamCoverage, coverage
from tidelake.raw.entry import Note, NoteName
from tidelake.raw.lane import LaneWriter, lane_name
from tidelake.raw.ledger import Ledger
from tidelake.tables.describe import describe_for
from tidelake.tables.pages import PageRow, read_page
from tidelake.venues.spec import Request, TradePages, Venue

FEED = "trades"


class OtherWriter(TidelakeError):
    """Another process seals into this lane; it is not an error, and this one steps back."""


class TradeStream:
    """The trades of one symbol by REST. Use it as an async context manager: leaving it seals.

    Attributes:
        extent: Numbers that are in the lake, or given up; filled for venues that number.
        covered: Coverage when it was opened.
        pages, trades: Answers kept, and rows on them.
        refused: Why rows of the last answer could not be read.
    """

    def __init__(self, session: Session, venue: Venue, symbol: str) -> None:
        if venue.trades is None:
            raise ValueError(f"{venue.source} has no trades by REST")
        self.session = session
        self.venue = venue
        self.pager: TradePages = venue.trades
        self.symbol = symbol
        self.name = venue.venue_symbol(symbol)
        self.lane = lane_name(venue.source, FEED, symbol)
        self.extent = Extent()
        self.pages = 0
        self.trades = 0
        self.refused: list[str] = []
        self.started = time.monotonic()
        self._unsealed = 0
        self._wanted: list[Note] = []
        self._writer: LaneWriter | None = None

    async def __aenter__(self) -> Self:
        self._writer = LaneWriter(
            self.session.store,
            self.lane,
            self.venue.source,
            describe=describe_for(self.venue.source, self.session.settings.mappings),
            codec=self.session.settings.codec,
            key=self.session.key,
            meta={"job": "rest", "symbol": self.symbol},
            clock=self.session.settings.clock,
        )
        self.covered = self.coverage()
        return self

    async def __aexit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        writer = self.writer
        if kind is None or not isinstance(exc, Exception):
            writer.close()
            return
        try:
            writer.close()
        except Exception as second:
            exc.add_note(f"lane {self.lane} could not be sealed then: {second}; its part file will be recovered")
            writer.abandon()

    @property
    def writer(self) -> LaneWriter:
        """The lane's writer, while the stream is open."""
        assert self._writer is not None, "use it as an async context manager"
        return self._writer

    def coverage(self) -> StreamCoverage | None:
        """Coverage of this stream by this lane; None where it holds nothing."""
        found = coverage(Ledger(self.session.store).entries(self.lane))
        axis = "trade_seq" if self.venue.numbered else "event_time"
        return next((c for c in found if (c.feed, c.symbol, c.axis) == (FEED, self.symbol, axis)), None)

    def learn(self, covered: StreamCoverage | None, *, give_up: bool) -> None:
        """Take runs over from coverage; with `give_up` also what asking again cannot bring."""
        for interval in covered.intervals if covered else ():
            if interval.state == "VALID":
                self.extent.add(interval.first, interval.last, interval.first_ns, interval.last_ns)
        for interval in covered.intervals if covered and give_up else ():
            closed = interval.first and interval.last
            if closed and (interval.state == "SUSPECT" or interval.out_of_reach or interval.rule == "unreadable"):
                self.extent.bridge(interval.first, interval.last)

    async def ask(self, request: Request) -> list[PageRow]:
        """The trades of one page, which is in the lane when this returns.

        Raises:
            SourceError: The venue gave no good answer.
            FormatDrift: The answer is kept, but its rows cannot be read.
            OtherWriter: Another process writes this lane.
        """
        answer = await self.session.ask(self.venue, request)
        self._state_wanted()
        frame = self.writer.append(
            payload=answer.body,
            kind="page",
            request=f"GET {answer.url}",
            feed=FEED,
            symbol=self.symbol,
            status=answer.status,
            recv_ns=answer.recv_ns,
            mono_ns=answer.mono_ns,
        )
        self.pages += 1
        self._unsealed += 1
        try:
            page = read_page(self.venue.source, frame, self.session.settings.mappings)
        except ValueError as exc:
            raise FormatDrift(
                f"{self.venue.source} {self.symbol}: {exc}. The page is kept in lane {self.lane}; "
                "nothing after it was asked for."
            ) from exc
        rows, self.refused = page.rows, page.refused
        self.trades += len(rows)
        if self.venue.numbered:
            self.extent.add_rows((seq, ns) for seq, ns, _ in rows if seq is not None)
        if self._unsealed >= self.session.settings.seal_pages:
            self.seal()
        return rows

    def want(self, since_ns: int, until_ns: int = 0) -> None:
        """State what is asked for, right before the first page: a symbol unknown to the venue leaves no trace."""
        self._wanted.append(Note("wanted", since_ns=since_ns, until_ns=until_ns))

    def _state_wanted(self) -> None:
        while self._wanted:
            self.writer.note(self._wanted.pop(0), FEED, self.symbol)

    def note(self, note: NoteName, *, first: int = 0, last: int = 0, since_ns: int = 0, until_ns: int = 0) -> None:
        """Keep a statement about the stream in its lane."""
        self._state_wanted()
        self.writer.note(Note(note, first, last, since_ns, until_ns), FEED, self.symbol)

    def seal(self) -> None:
        """Seal what was kept since the last seal."""
        self._unsealed = 0
        self.writer.seal()
        if self.writer.contended:
            raise OtherWriter

    async def pause(self, strike: int) -> None:
        """Wait before a doubtful answer is asked for again."""
        await asyncio.sleep(self.session.settings.try_wait * strike)

    def outcome(self, state: State, *, since_ns: int | None, until_ns: int | None, cold: bool, reason: str) -> Outcome:
        """The report row of the stream, from what its ledger says now."""
        covered = self.coverage()
        inside = (
            [] if covered is None else [i for i in covered.intervals if i.last_ns == 0 or i.last_ns >= (since_ns or 0)]
        )
        gaps = [i for i in inside if i.state == "GAP"]
        return Outcome(
            self.venue.source,
            self.symbol,
            state,
            pages=self.pages,
            trades=self.trades,
            since=utc(since_ns),
            until=utc(until_ns),
            cold=cold,
            watermark=utc(covered.watermark_ns) if covered else None,
            gaps=len(gaps),
            out_of_reach=sum(i.out_of_reach for i in gaps),
            absent=sum(i.state == "SUSPECT" for i in inside),
            seconds=time.monotonic() - self.started,
            reason=reason or self._unreadable(inside),
        )

    def _unreadable(self, inside: list[Interval]) -> str:
        count = sum(interval.rule == "unreadable" for interval in inside)
        return f"{count} runs could not be read; see `quarantine` after derive" if count else ""
