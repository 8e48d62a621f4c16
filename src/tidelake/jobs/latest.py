"""The newest page of a venue that answers no other and numbers nothing: overlap in time is the only continuity."""

from urllib.parse import parse_qs, urlsplit

from tidelake.jobs.stream import TradeStream
from tidelake.jobs.walk import NoTrades
from tidelake.tables.pages import PageRow


async def take_latest(stream: TradeStream, since_ns: int) -> None:
    """Keep the newest page, and state which of the times from `since_ns` on it leaves out of reach.

    Raises:
        NoTrades: The venue answers no trade at all.
    """
    request = stream.pager.newest(stream.name)
    rows = await _some(stream)
    limit = int(parse_qs(urlsplit(request.path).query).get("limit", ["0"])[0])
    first_ns = min(ns for _, ns, _ in rows)
    stream.note("reached", last=max(ns for _, ns, _ in rows), until_ns=stream.session.settings.clock())
    reached_ns = stream.covered.resume_ns if stream.covered else None
    start_ns = max(since_ns, (reached_ns or 0) + 1)
    if first_ns < start_ns:
        return
    if reached_ns is None and len(rows) < limit:
        stream.note("reached", first=first_ns, since_ns=since_ns)
    else:
        stream.note("unreachable", first=start_ns, last=first_ns)


async def _some(stream: TradeStream) -> list[PageRow]:
    for strike in range(1, stream.session.settings.tries + 1):
        if rows := await stream.ask(stream.pager.newest(stream.name)):
            return rows
        await stream.pause(strike)
    raise NoTrades
