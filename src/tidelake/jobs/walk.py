"""Walks through a venue's trade pages until every trade of a period is in the lake, or its absence is stated.

Numbered venues only. The walk never trusts an answer that leaves out what must be there: it asks again, and only then
notes that the venue does not have a run ("absent": the page holds both neighbours), or no longer answers it
("unreachable"). The way is found by what is known already, so that nothing is asked for twice.
"""

from collections.abc import Sequence
from datetime import timedelta

from tidelake.errors import SourceError, TidelakeError
from tidelake.jobs.extent import Run
from tidelake.jobs.stream import TradeStream
from tidelake.raw.entry import NoteName
from tidelake.tables.pages import PageRow
from tidelake.venues.spec import Request

MARGINS_NS = tuple(8**power * 1_000_000_000 for power in range(9))  # 1 s to half a year
SEARCH_STEPS = 80
OLDER_NS = 1_000_000  # a page may begin with trades of the very moment that it was asked for


class NoTrades(TidelakeError):
    """The venue answers no trade at all for the symbol."""


Seqs = list[tuple[int, int]]


def _numbered(rows: Sequence[PageRow]) -> Seqs:
    return sorted((seq, ns) for seq, ns, _ in rows if seq is not None)


class Walk:
    """The walk over one stream."""

    def __init__(self, stream: TradeStream) -> None:
        self.stream = stream
        self.pager = stream.pager
        self.extent = stream.extent
        self.tries = stream.session.settings.tries

    async def fill(self, since_ns: int, until_ns: int, now_ns: int) -> None:
        """Have every trade with since_ns <= time < until_ns; `until_ns` at or after now asks up to the newest."""
        if until_ns < now_ns and self.extent.covers(since_ns, until_ns):
            return
        if self.pager.order == "forward":
            start = await self.locate(since_ns, bound=True)
            await self.up(start, until_ns=min(until_ns, now_ns))
        elif until_ns >= now_ns:
            await self.down((await self.newest())[-1][0], since_ns=since_ns)
        elif top := await self.locate(until_ns):
            await self.down(top, since_ns=since_ns)
        else:
            self.stream.note("unreachable", since_ns=since_ns, until_ns=until_ns)

    async def go_on(self, resume: int, now_ns: int) -> None:
        """Have every trade from a number that is complete up to now."""
        if self.pager.order == "forward":
            await self.up(resume, until_ns=now_ns)
        else:
            await self.down((await self.newest())[-1][0], since_ns=0, floor=resume)

    def state_end(self, until_ns: int) -> None:
        """After a fill: where the newest trade known is older than the time, the venue has none in between."""
        newest = self.extent.runs[-1] if self.extent.runs else None
        if newest is not None and newest.last_ns < until_ns:
            self.stream.note("reached", last=newest.last, until_ns=until_ns)

    async def newest(self) -> Seqs:
        """The newest page in order; asked for again while it is empty."""
        return await self._some(self.pager.newest(self.stream.name))

    async def _some(self, request: Request) -> Seqs:
        for strike in range(1, self.tries + 1):
            if rows := _numbered(await self.stream.ask(request)):
                return rows
            await self.stream.pause(strike)
        raise NoTrades

    def _run(self, seq: int) -> Run:
        run = self.extent.at(seq)
        assert run is not None, "the number was on a page"
        return run

    async def down(self, top: int, *, since_ns: int, floor: int = 0) -> None:
        """Walk down from a known number until its run begins before the time, or reaches `floor`."""
        assert self.pager.below is not None
        strikes = 0
        while True:
            run = self._run(top)
            if run.first_ns < since_ns or run.first <= max(floor, 1):
                return
            rows = _numbered(await self.stream.ask(self.pager.below(self.stream.name, run.first)))
            lower = [row for row in rows if row[0] < run.first]
            if lower and lower[-1] == rows[-1] and lower[-1][0] == run.first - 1:
                strikes = 0
                continue
            strikes += 1
            if strikes < self.tries:
                await self.stream.pause(strikes)
                continue
            strikes = 0
            if not rows:
                self.stream.note("unreachable", first=0, last=run.first - 1)
                return
            if not lower or lower[-1] != rows[-1]:
                raise self._misanswered(f"trades below {run.first}", rows)
            self._give_up(self._missing("absent"), lower[-1][0] + 1, run.first - 1, run.first_ns)

    async def up(self, start: int, *, until_ns: int, ceiling: int = 0) -> None:
        """Walk up from a known number until its run reaches the time or `ceiling`, or the venue has nothing newer."""
        assert self.pager.above is not None
        strikes = 0
        while True:
            run = self._run(start)
            if run.last_ns >= until_ns or (ceiling and run.last >= ceiling):
                return
            rows = _numbered(await self.stream.ask(self.pager.above(self.stream.name, run.last, run.last_ns)))
            held = any(seq == run.last for seq, _ in rows)
            newer = [row for row in rows if row[0] > run.last]
            older = any(seq < run.last and ns < run.last_ns - OLDER_NS for seq, ns in rows)
            if not older and newer and newer[0][0] == run.last + 1:
                strikes = 0
                continue
            if not older and held and not newer and len(rows) < self.pager.page_size:
                return
            strikes += 1
            if strikes < self.tries:
                await self.stream.pause(strikes)
                continue
            strikes = 0
            if older or not newer:
                raise self._misanswered(f"trades above {run.last}", rows)
            missing = self._missing("absent" if held else "unreachable")
            self._give_up(missing, run.last + 1, newer[0][0] - 1, newer[0][1])

    def _missing(self, note: NoteName) -> NoteName:
        """What to say of a run that the last page lacks: rows that we refused are no proof that the venue has none."""
        return "unreadable" if self.stream.refused else note

    def _give_up(self, note: NoteName, first: int, last: int, event_ns: int) -> None:
        """Pass a run that the venue leaves out. One so new that its trades may only be late stays a plain gap."""
        settled_ns = self.stream.session.settings.clock() - self.stream.session.settings.settle_ns
        if note == "unreadable" or event_ns < settled_ns:
            self.stream.note(note, first=first, last=last)
        self.extent.bridge(first, last)

    def _misanswered(self, asked: str, rows: Seqs) -> SourceError:
        found = f"{rows[0][0]} to {rows[-1][0]}" if rows else "none"
        return SourceError(
            f"{self.stream.venue.source} {self.stream.symbol}: asked {self.tries} times for {asked}, the page held "
            f"{found}. What was fetched is kept; run again to go on.",
            retryable=True,
        )

    async def locate(self, event_ns: int, *, bound: bool = False) -> int:
        """A known number whose run begins before the time and reaches it, or the nearest to that; 0 where all is later.

        With `bound`, a venue that answers nothing before the time is noted not to reach it.
        """
        if found := self.extent.spanning(event_ns):
            return found.first
        if self.pager.since is not None:
            return await self._from_before(event_ns, bound)
        if self.pager.below_time is not None:
            return await self._from_after(event_ns)
        return await self._search(event_ns)

    async def _from_before(self, event_ns: int, bound: bool) -> int:
        assert self.pager.since is not None
        first = 0
        for margin in MARGINS_NS:
            first, _ = (await self._some(self.pager.since(self.stream.name, event_ns - margin)))[0]
            if self._run(first).first_ns < event_ns:
                return first
        if bound and self._run(first).first > 1:  # numbers begin at 1, so there was something before
            self.stream.note("unreachable", first=0, last=self._run(first).first - 1)
        return first

    async def _from_after(self, event_ns: int) -> int:
        assert self.pager.below_time is not None
        reach = self.pager.reach
        if reach and event_ns < self.stream.session.settings.clock() - reach // timedelta(microseconds=1) * 1_000:
            return 0
        last = 0
        for margin in MARGINS_NS:
            rows = _numbered(await self.stream.ask(self.pager.below_time(self.stream.name, event_ns + margin)))
            if rows and rows[-1][1] >= event_ns:
                return rows[-1][0]
            last = rows[-1][0] if rows else last
        return last

    async def _search(self, event_ns: int) -> int:
        """Asks for pages between a trade before the time and one after it, by rule of three and by halves."""
        newest = await self.newest()
        if newest[-1][1] < event_ns:
            return newest[-1][0]
        low, high = self._bracket(event_ns, newest)
        for step in range(SEARCH_STEPS):
            if found := self.extent.spanning(event_ns):
                return found.first
            if high[0] - low[0] <= 1:
                break
            guess = _guess(low, high, event_ns, step, newest)
            rows = _numbered(await self.stream.ask(self._near(guess)))
            before = [row for row in rows if low[0] < row[0] < high[0] and row[1] < event_ns]
            after = [row for row in rows if low[0] < row[0] < high[0] and row[1] >= event_ns]
            if before:
                low = before[-1]
            if after:
                high = after[0]
            if not before and not after:  # nothing on this side of the guess: the venue skips these numbers
                low = (guess, low[1])
        return high[0]

    def _bracket(self, event_ns: int, newest: Seqs) -> tuple[tuple[int, int | None], tuple[int, int]]:
        low: tuple[int, int | None] = (0, None)
        high = next(row for row in newest if row[1] >= event_ns)
        for run in self.extent.runs:
            if run.last_ns < event_ns:
                low = (run.last, run.last_ns)
            elif run.first_ns >= event_ns and run.first < high[0]:
                high = (run.first, run.first_ns)
        return low, high

    def _near(self, seq: int) -> Request:
        """A page with the number in its middle."""
        half = self.pager.page_size // 2
        if self.pager.below is not None:
            return self.pager.below(self.stream.name, seq + half)
        assert self.pager.above is not None
        return self.pager.above(self.stream.name, max(seq - half, 0), 0)


def _guess(low: tuple[int, int | None], high: tuple[int, int], event_ns: int, step: int, newest: Seqs) -> int:
    low_seq, low_ns = low
    if step % 3 == 2:
        guess = (low_seq + high[0]) // 2
    elif low_ns is not None:
        guess = low_seq + (high[0] - low_seq) * (event_ns - low_ns) // max(high[1] - low_ns, 1)
    else:
        span_ns = max(newest[-1][1] - newest[0][1], 1)
        guess = high[0] - (high[1] - event_ns) * (newest[-1][0] - newest[0][0]) // span_ns
    return min(max(guess, low_seq + 1), high[0] - 1)
