"""Closes the holes that coverage names, of recordings as well as of streams by REST.

    report = repair(store, "coinbase", ["BTC-USD"])

Runs that the venue did not have when it was last asked are asked for again. What stays is told, out of reach or not.
"""

from collections.abc import Sequence
from functools import partial

from tidelake.jobs.finish import finish
from tidelake.jobs.latest import take_latest
from tidelake.jobs.report import Outcome, Report, merged, utc
from tidelake.jobs.session import Session, Settings, run_all, synchronous
from tidelake.jobs.stream import FEED, TradeStream
from tidelake.jobs.walk import Walk
from tidelake.raw.coverage import Interval, StreamCoverage
from tidelake.raw.lake_coverage import BrokenLane, cover_lake
from tidelake.raw.store import Store
from tidelake.venues.registry import venue as find_venue, venues
from tidelake.venues.spec import Venue


async def repair_async(
    store: Store,
    source: str | None = None,
    symbols: Sequence[str] | None = None,
    *,
    dry_run: bool = False,
    settings: Settings | None = None,
) -> Report:
    """Ask venues for what is missing.

    Args:
        store: The lake's store.
        source: Only this venue's streams.
        symbols: Only these symbols.
        dry_run: Only list the holes; asks nobody and writes nothing.
        settings: Where and how to ask and write, and who is told about pages as they come.

    A stream of a broken lane is left alone and told as failed; a lane that cannot be read at all is told under "all".

    Raises:
        NotInLake: No such venue.
    """
    if source is not None:
        find_venue(source)
    lake = cover_lake(store)
    failed = [row for lane in lake.broken if source in (None, lane.source) or not lane.source for row in _failed(lane)]
    left_alone = {(row.source, row.symbol) for row in failed}
    open_ = [c for c in lake.streams if _asked_for(c, source, symbols) and _missing(c)]
    open_ = [c for c in open_ if (c.source, c.symbol) not in left_alone]
    rows = tuple(row for row in failed if symbols is None or row.symbol in ("all", *symbols))
    if dry_run:
        return Report("repair", (*rows, *(_listed(c, hole) for c in open_ for hole in _missing(c))))
    async with Session(store, settings or Settings()) as session:
        work = [(find_venue(c.source), c.symbol, partial(_repair_one, session, find_venue(c.source), c)) for c in open_]
        return merged("repair", (Report("repair", rows), await run_all("repair", session, work)))


repair = synchronous(repair_async)


def _failed(lane: BrokenLane) -> list[Outcome]:
    """A row for each stream of a broken lane: its holes may lie within what cannot be read."""
    symbols = sorted({symbol for feed, symbol in lane.streams if feed == FEED}) or ["all"]
    reason = f"lane {lane.lane} is broken, nothing was asked for: {lane.error}"
    return [Outcome(lane.source, symbol, "failed", reason=reason) for symbol in symbols]


def _asked_for(covered: StreamCoverage, source: str | None, symbols: Sequence[str] | None) -> bool:
    known = venues().get(covered.source)
    return (
        known is not None
        and known.trades is not None
        and covered.feed == FEED
        and covered.axis == ("trade_seq" if known.numbered else "event_time")
        and source in (None, covered.source)
        and (symbols is None or covered.symbol in symbols)
    )


def _missing(covered: StreamCoverage) -> list[Interval]:
    return [interval for interval in covered.intervals if interval.state in ("GAP", "SUSPECT")]


def _listed(covered: StreamCoverage, hole: Interval) -> Outcome:
    return Outcome(
        covered.source,
        covered.symbol,
        "planned",
        pages=None,
        since=utc(hole.first_ns),
        until=utc(hole.last_ns),
        gaps=int(hole.state == "GAP"),
        out_of_reach=int(hole.out_of_reach),
        absent=int(hole.state == "SUSPECT"),
        reason=f"{hole.rule}: {hole.first or '?'} to {hole.last or '?'}",
    )


async def _repair_one(session: Session, venue: Venue, covered: StreamCoverage) -> Outcome:
    async with TradeStream(session, venue, covered.symbol) as stream:
        stream.learn(covered, give_up=False)
        return await finish(stream, _fetch(stream, _missing(covered)), since_ns=None, until_ns=None)


async def _fetch(stream: TradeStream, missing: Sequence[Interval]) -> None:
    if stream.pager.order == "latest":
        await take_latest(stream, min(hole.first_ns for hole in missing))
        return
    walk = Walk(stream)
    now_ns = stream.session.settings.clock()
    for hole in missing:
        if hole.last and stream.pager.order == "backward":
            await walk.down(hole.last + 1, since_ns=hole.first_ns, floor=hole.first - 1)
        elif hole.first and stream.pager.order == "forward":
            until_ns = hole.last_ns + 2 if hole.last_ns else now_ns
            await walk.up(hole.first - 1, until_ns=until_ns, ceiling=hole.last + 1 if hole.last else 0)
        else:
            await walk.fill(hole.first_ns, hole.last_ns + 1 if hole.last_ns else now_ns, now_ns)
        if hole.rule == "end-not-reached":
            walk.state_end(hole.last_ns + 1)
