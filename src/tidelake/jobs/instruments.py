"""What venues list, kept as dated facts: each refresh is one more statement, and derive finds what changed.

report = refresh(store, ["coinbase", "okx"])
"""

from collections.abc import AsyncIterator, Sequence
from functools import partial

from tidelake.errors import FormatDrift
from tidelake.jobs.listing import Keep, keep_pages
from tidelake.jobs.report import Outcome, Report
from tidelake.jobs.session import Session, Settings, run_all, synchronous
from tidelake.raw.store import Store
from tidelake.venues.registry import venue as find_venue
from tidelake.venues.spec import Request, Venue

FEED = "instruments"
ALL = "all"
MOST_PAGES = 100  # of one list; more than that is a cursor that never ends


async def refresh_async(
    store: Store,
    sources: Sequence[str],
    *,
    dry_run: bool = False,
    settings: Settings | None = None,
) -> Report:
    """Fetch the lists of products.

    Args:
        store: The lake's store.
        sources: Source ids.
        dry_run: Only say how many lists would be asked for.
        settings: Where and how to ask and write, and who is told about pages as they come.

    Raises:
        NotInLake: No such venue.
    """
    asked = [find_venue(source) for source in dict.fromkeys(sources)]
    if dry_run:
        return Report(FEED, tuple(Outcome(v.source, ALL, "planned", pages=len(v.instruments)) for v in asked))
    async with Session(store, settings or Settings()) as session:
        work = [(venue, ALL, partial(_refresh_one, session, venue)) for venue in asked]
        return await run_all(FEED, session, work)


refresh = synchronous(refresh_async)


async def _refresh_one(session: Session, venue: Venue) -> Outcome:
    if not venue.instruments:
        return Outcome(venue.source, ALL, "nothing", reason="no list of products is described for this venue")
    return await keep_pages(session, venue, FEED, ALL, partial(_lists, venue))


async def _lists(venue: Venue, keep: Keep) -> AsyncIterator[None]:
    for first in venue.instruments:
        request: Request | None = first
        for _ in range(MOST_PAGES):
            assert request is not None
            body = await keep(request)
            yield
            request = venue.instruments_next(request, body) if venue.instruments_next else None
            if request is None:
                break
        else:
            raise FormatDrift(f"{venue.source}: the list at {first.path} has more than {MOST_PAGES} pages")
