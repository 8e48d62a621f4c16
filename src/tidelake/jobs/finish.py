"""How the work on one stream ends: sealed, and told in one row, whatever stopped it."""

import asyncio
from collections.abc import Awaitable

from tidelake.errors import TidelakeError
from tidelake.jobs.report import Outcome, State
from tidelake.jobs.stream import OtherWriter, TradeStream
from tidelake.jobs.walk import NoTrades


async def finish(
    stream: TradeStream, work: Awaitable[None], *, since_ns: int | None, until_ns: int | None, cold: bool = False
) -> Outcome:
    """Do the work on an open stream, seal, and say what became of it."""
    state: State = "done"
    reason = ""
    try:
        await work
        stream.seal()
    except OtherWriter:
        state, reason = "other writer", "another process writes this stream; it goes on there, this one stepped back"
    except NoTrades:
        state, reason = "nothing", "the venue answers no trade"
    except asyncio.CancelledError:
        state, reason = "stopped", "interrupted"
    except (TidelakeError, OSError) as exc:
        state, reason = "failed", f"{type(exc).__name__}: {exc}"
    try:
        stream.writer.seal()
    except TidelakeError as exc:
        state, reason = "failed", f"{reason + '; ' if reason else ''}not sealed: {exc}; run again to recover it"
        stream.writer.abandon()
    return stream.outcome(state, since_ns=since_ns, until_ns=until_ns, cold=cold, reason=reason)
