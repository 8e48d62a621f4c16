"""Bars as the venue tells them, by REST; they are marked by their origin and never mixed with ours.

report = fetch_candles(store, "kraken", ["BTC-USD"], interval="1m", start=start, end=end)
"""

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from functools import partial

from tidelake.errors import NotInLake
from tidelake.jobs.listing import Keep, keep_pages
from tidelake.jobs.report import Outcome, Report, to_ns, utc
from tidelake.jobs.session import Session, Settings, run_all, synchronous
from tidelake.raw.store import Store
from tidelake.venues.payloads import INTERVAL_SECONDS
from tidelake.venues.registry import venue as find_venue
from tidelake.venues.spec import CandlePages, Venue


async def fetch_candles_async(
    store: Store,
    source: str,
    symbols: Sequence[str],
    *,
    interval: str = "1m",
    start: dt.datetime | int,
    end: dt.datetime | int | None = None,
    dry_run: bool = False,
    settings: Settings | None = None,
) -> Report:
    """Fetch the venue's bars that start in start <= t < end (default: now).

    Args:
        store: The lake's store.
        source: Source id.
        symbols: Canonical symbols.
        interval: "1m", "5m", "15m", "1h" or "1d", as far as the venue has it.
        start, end: Datetimes with a zone, or ns since 1970.
        dry_run: Only say how many pages would be asked for.
        settings: Where and how to ask and write, and who is told about pages as they come.

    Raises:
        NotInLake: No such venue, or it has no bars of this interval.
    """
    venue = find_venue(source)
    pages = venue.candles
    if pages is None or interval not in pages.intervals:
        known = pages.intervals if pages else ()
        raise NotInLake(f"{source} has no bars of {interval!r}", available=known)
    given = settings or Settings()
    starts = _page_starts(pages, interval, to_ns(start), to_ns(end) if end is not None else given.clock())
    names = list(dict.fromkeys(symbols))
    if dry_run:
        rows = (Outcome(source, s, "planned", pages=len(starts), since=utc(to_ns(start))) for s in names)
        return Report("candles", tuple(rows))
    async with Session(store, given) as session:
        work = [(venue, s, partial(_fetch_one, session, venue, s, pages, interval, starts)) for s in names]
        return await run_all("candles", session, work)


fetch_candles = synchronous(fetch_candles_async)


def _page_starts(pages: CandlePages, interval: str, since_ns: int, until_ns: int) -> list[int]:
    step_ns = INTERVAL_SECONDS[interval] * 1_000_000_000
    return list(range(since_ns // step_ns * step_ns, until_ns, step_ns * pages.page_size))


async def _fetch_one(
    session: Session, venue: Venue, symbol: str, pages: CandlePages, interval: str, starts: Sequence[int]
) -> Outcome:
    name = venue.venue_symbol(symbol)

    async def work(keep: Keep) -> AsyncIterator[None]:
        for start_ns in starts:
            await keep(pages.page(name, interval, start_ns))
            yield

    return await keep_pages(session, venue, f"candles-{interval}", symbol, work)
