"""Pages that are no trades: kept verbatim in the lane of their feed, sealed at the end."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable

from tidelake.errors import TidelakeError
from tidelake.jobs.report import Outcome, State
from tidelake.jobs.session import Session
from tidelake.raw.lane import LaneWriter, lane_name
from tidelake.tables.describe import describe_for
from tidelake.venues.spec import Request, Venue

Keep = Callable[[Request], Awaitable[bytes]]


async def keep_pages(
    session: Session, venue: Venue, feed: str, symbol: str, work: Callable[[Keep], AsyncIterator[None]]
) -> Outcome:
    """Run `work`, which asks by the function that it is given; every answer is kept before it is returned.

    Args:
        session: The running job.
        venue: Who is asked.
        feed: Feed of the pages, such as "instruments".
        symbol: Canonical symbol of the pages; "all" for lists.
        work: Asks; yields after each answer.
    """
    started = time.monotonic()
    pages = 0
    lane = lane_name(venue.source, feed, symbol)
    describe = describe_for(venue.source, session.settings.mappings)
    meta = {"job": "rest", "symbol": symbol}
    state: State = "done"
    reason = ""
    with LaneWriter(
        session.store,
        lane,
        venue.source,
        describe=describe,
        codec=session.settings.codec,
        key=session.key,
        meta=meta,
        clock=session.settings.clock,
    ) as writer:

        async def keep(request: Request) -> bytes:
            nonlocal pages
            answer = await session.ask(venue, request)
            writer.append(
                payload=answer.body,
                kind="page",
                request=f"GET {answer.url}",
                feed=feed,
                symbol=symbol,
                status=answer.status,
                recv_ns=answer.recv_ns,
                mono_ns=answer.mono_ns,
            )
            pages += 1
            return answer.body

        try:
            async for _ in work(keep):
                pass
        except (TidelakeError, ValueError) as exc:
            state, reason = "failed", f"{type(exc).__name__}: {exc}"
    return Outcome(venue.source, symbol, state, pages=pages, seconds=time.monotonic() - started, reason=reason)
