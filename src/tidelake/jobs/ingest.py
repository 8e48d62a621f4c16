"""Trades by REST, from where the last run ended: every hole on the way is closed or stated.

    report = ingest(store, "coinbase", ["BTC-USD", "ETH-USD"])

The watermark is never stored: it follows from the ledger. A stream that is not in the lake begins 90 minutes back (or
at `since`), and the report says so. What a venue no longer answers stays a GAP out of reach, and the exit code is 3.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from tidelake.jobs.finish import finish
from tidelake.jobs.latest import take_latest
from tidelake.jobs.report import Outcome, Report, to_ns, utc
from tidelake.jobs.session import Session, Settings, run_all, synchronous
from tidelake.jobs.stream import TradeStream
from tidelake.jobs.walk import Walk
from tidelake.raw.coverage import StreamCoverage, coverage
from tidelake.raw.lane import lane_name
from tidelake.raw.ledger import Ledger
from tidelake.raw.store import Store
from tidelake.venues.registry import venue as find_venue
from tidelake.venues.spec import Venue

COLD_START = dt.timedelta(minutes=90)


@dataclass(frozen=True, slots=True)
class Start:
    """Where an ingest begins.

    Attributes:
        since_ns: Event time from which on everything is wanted.
        cold: The stream is not in the lake yet.
        wanted: Whether that must be stated; False where an open-ended period is wanted already.
        resume: Number up to which nothing can be missing any more; None where there is none.
    """

    since_ns: int
    cold: bool
    wanted: bool
    resume: int | None


def start_of(covered: StreamCoverage | None, cold_since_ns: int) -> Start:
    """Where to begin, from what the ledger says."""
    if covered is None or not covered.wanted:
        return Start(cold_since_ns, cold=True, wanted=True, resume=None)
    last = covered.wanted[-1]
    if last.until_ns == 0:
        return Start(last.since_ns, cold=False, wanted=False, resume=covered.resume)
    if covered.resume_ns is None:
        return Start(last.since_ns, cold=False, wanted=True, resume=None)
    return Start(covered.resume_ns, cold=False, wanted=True, resume=covered.resume)


async def ingest_async(
    store: Store,
    source: str,
    symbols: Sequence[str],
    *,
    since: dt.datetime | int | None = None,
    dry_run: bool = False,
    settings: Settings | None = None,
) -> Report:
    """Fetch trades of a venue up to now. One bad symbol never stops the others.

    Args:
        store: The lake's store.
        source: Source id.
        symbols: Canonical symbols.
        since: Start of a stream that is not in the lake; default: 90 minutes ago. Others go on where they are.
        dry_run: Only say where each stream would begin; asks nobody and writes nothing.
        settings: Where and how to ask and write, and who is told about pages as they come.

    Raises:
        NotInLake: No such venue.
    """
    venue = find_venue(source)
    given = settings or Settings()
    now_ns = given.clock()
    cold_ns = to_ns(since) if since is not None else now_ns - COLD_START // dt.timedelta(microseconds=1) * 1_000
    if dry_run:
        return Report("ingest", tuple(_plan(store, venue, symbol, cold_ns) for symbol in symbols))
    async with Session(store, given) as session:
        work = [(venue, s, partial(_ingest_one, session, venue, s, cold_ns)) for s in dict.fromkeys(symbols)]
        return await run_all("ingest", session, work)


ingest = synchronous(ingest_async)


def _plan(store: Store, venue: Venue, symbol: str, cold_ns: int) -> Outcome:
    lane = lane_name(venue.source, "trades", symbol)
    try:
        venue.venue_symbol(symbol)
    except ValueError as exc:
        return Outcome(venue.source, symbol, "failed", reason=str(exc))
    found = next((c for c in coverage(Ledger(store).entries(lane)) if c.symbol == symbol), None)
    start = start_of(found, cold_ns)
    resume_ns = found.resume_ns if found and start.resume is not None else None
    since = utc(resume_ns or start.since_ns)
    return Outcome(venue.source, symbol, "planned", pages=None, since=since, cold=start.cold)


async def _ingest_one(session: Session, venue: Venue, symbol: str, cold_ns: int) -> Outcome:
    async with TradeStream(session, venue, symbol) as stream:
        start = start_of(stream.covered, cold_ns)
        if start.wanted:
            stream.want(start.since_ns)
        return await finish(stream, _fetch(stream, start), since_ns=start.since_ns, until_ns=None, cold=start.cold)


async def _fetch(stream: TradeStream, start: Start) -> None:
    now_ns = stream.session.settings.clock()
    if stream.pager.order == "latest":
        await take_latest(stream, start.since_ns)
        return
    stream.learn(stream.covered, give_up=True)
    walk = Walk(stream)
    if start.resume is not None:
        await walk.go_on(start.resume, now_ns)
    else:
        await walk.fill(start.since_ns, now_ns, now_ns)
