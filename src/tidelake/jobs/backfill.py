"""Trades of a period by REST, in partitions of time that a later run need not ask for again.

    report = backfill(store, "kraken", ["BTC-USD"], start=start, end=end, workers=2)

What coverage proves is not asked for again, so a stopped backfill goes on where it was. All partitions of a stream go
through one lane writer; `workers` of them are in hand at once.
"""

import asyncio
import datetime as dt
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

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

PARTITION = dt.timedelta(hours=6)

Period = tuple[int, int]  # since_ns, until_ns


def partitions(start_ns: int, end_ns: int, length_ns: int) -> list[Period]:
    """The period cut at multiples of the length, so that two runs over overlapping periods cut alike."""
    cuts = [start_ns, *range((start_ns // length_ns + 1) * length_ns, end_ns, length_ns), end_ns]
    return list(pairwise(cuts))


async def backfill_async(
    store: Store,
    source: str,
    symbols: Sequence[str],
    start: dt.datetime | int,
    end: dt.datetime | int,
    *,
    workers: int = 1,
    partition: dt.timedelta = PARTITION,
    dry_run: bool = False,
    settings: Settings | None = None,
) -> Report:
    """Fetch the trades with start <= event time < end.

    Args:
        store: The lake's store.
        source: Source id.
        symbols: Canonical symbols.
        start, end: Event times; datetimes with a zone, or ns since 1970.
        workers: Partitions in hand at once, over all symbols.
        partition: Length of a partition.
        dry_run: Only list the partitions that are not covered, with the pages that are to be expected where the lake
            knows the stream's rate; asks nobody and writes nothing.
        settings: Where and how to ask and write, and who is told about pages as they come.

    Raises:
        NotInLake: No such venue.
        ValueError: The period is empty, or a time has no zone.
    """
    venue = find_venue(source)
    since_ns, until_ns = to_ns(start), to_ns(end)
    if until_ns <= since_ns:
        raise ValueError(f"the period is empty: {start} to {end}")
    parts = partitions(since_ns, until_ns, partition // dt.timedelta(microseconds=1) * 1_000)
    names = list(dict.fromkeys(symbols))
    if dry_run:
        return Report("backfill", tuple(row for symbol in names for row in _plan(store, venue, symbol, parts)))
    async with Session(store, settings or Settings()) as session:
        turns = asyncio.Semaphore(max(workers, 1))
        work = [(venue, s, partial(_backfill_one, session, venue, s, parts, turns)) for s in names]
        return await run_all("backfill", session, work)


backfill = synchronous(backfill_async)


def _plan(store: Store, venue: Venue, symbol: str, parts: Sequence[Period]) -> list[Outcome]:
    try:
        venue.venue_symbol(symbol)
    except ValueError as exc:
        return [Outcome(venue.source, symbol, "failed", reason=str(exc))]
    entries = Ledger(store).entries(lane_name(venue.source, "trades", symbol))
    covered = next((c for c in coverage(entries) if c.symbol == symbol), None)
    per_ns = _trades_per_ns(covered)
    size = venue.trades.page_size if venue.trades else 1
    return [
        Outcome(
            venue.source,
            symbol,
            "planned",
            pages=None if per_ns is None else int((until - since) * per_ns / size) + 1,
            since=utc(since),
            until=utc(until),
        )
        for since, until in parts
        if not _is_covered(covered, since, until)
    ]


def _is_covered(covered: StreamCoverage | None, since_ns: int, until_ns: int) -> bool:
    runs = [i for i in covered.intervals if i.state in ("VALID", "UNPROVABLE")] if covered else []
    return any(run.first_ns < since_ns and run.last_ns >= until_ns for run in runs)


def _trades_per_ns(covered: StreamCoverage | None) -> float | None:
    runs = [i for i in covered.intervals if i.count > 1 and i.last_ns > i.first_ns] if covered else []
    return sum(run.count for run in runs) / sum(run.last_ns - run.first_ns for run in runs) if runs else None


async def _backfill_one(
    session: Session, venue: Venue, symbol: str, parts: Sequence[Period], turns: asyncio.Semaphore
) -> Outcome:
    since_ns, until_ns = parts[0][0], min(parts[-1][1], session.settings.clock())
    async with TradeStream(session, venue, symbol) as stream:
        stream.learn(stream.covered, give_up=True)
        wanted = stream.covered.wanted if stream.covered else ()
        if not any(p.since_ns <= since_ns and (p.until_ns == 0 or p.until_ns >= until_ns) for p in wanted):
            stream.want(since_ns, until_ns)
        return await finish(stream, _fetch(stream, parts, turns), since_ns=since_ns, until_ns=until_ns)


async def _fetch(stream: TradeStream, parts: Sequence[Period], turns: asyncio.Semaphore) -> None:
    now_ns = stream.session.settings.clock()
    if stream.pager.order == "latest":
        await take_latest(stream, parts[0][0])
        return
    walk = Walk(stream)

    async def one(since_ns: int, until_ns: int) -> None:
        async with turns:
            await walk.fill(since_ns, until_ns, now_ns)
            walk.state_end(min(until_ns, now_ns))

    try:
        async with asyncio.TaskGroup() as group:
            for since_ns, until_ns in parts:
                if since_ns < now_ns:
                    group.create_task(one(since_ns, until_ns))
    except* Exception as failed:
        raise failed.exceptions[0] from None
