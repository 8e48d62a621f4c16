"""The past of coins, asked of providers and kept verbatim in lane `coins.<source>.past`.

It is known from when it was asked, not from when it was so: a study over it says itself how soon after the event it
takes a fact as known (`read_past`).
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from tidelake.errors import FormatDrift, SourceError
from tidelake.jobs.coin_polls import PollSettings
from tidelake.jobs.provider_place import place_of
from tidelake.jobs.session import run_sync
from tidelake.providers.coin_source import CoinFact, CoinRef
from tidelake.providers.registry import coin_source
from tidelake.raw.codec import key_from_environment
from tidelake.raw.lane import LaneWriter
from tidelake.raw.sealing import claim_nothing
from tidelake.raw.store import Store
from tidelake.stablecoins.sources.answers import FEED, AnswerReader, past_lane, read_answers
from tidelake.stablecoins.sources.feed import Known
from tidelake.transport.http import Http


@dataclass(frozen=True, slots=True)
class PastOutcome:
    """What became of one source.

    Attributes:
        source: Its name.
        state: "absent": it cannot be asked for the past, `reason` says why.
        requests: Answers kept; of a plan the requests it would make.
        failed: Requests without an answer that could be read; `reason` is that of the first.
        facts: Facts that the answers tell.
    """

    source: str
    state: Literal["done", "planned", "failed", "absent"]
    requests: int = 0
    failed: int = 0
    facts: int = 0
    reason: str = ""


async def fetch_past_async(
    store: Store,
    coins: Sequence[CoinRef],
    sources: Sequence[str],
    start: dt.datetime,
    end: dt.datetime,
    *,
    dry_run: bool = False,
    settings: PollSettings | None = None,
) -> list[PastOutcome]:
    """Ask each source what it tells of start <= t <= end; one that cannot be asked for a span tells all it has.

    Raises:
        NotInLake: No such source.
        ValueError: A time has no zone, or the end is before the start.
    """
    if start.tzinfo is None or end.tzinfo is None or end < start:
        raise ValueError(f"from {start} to {end}: both need a time zone, and the end must not be before the start")
    given = settings or PollSettings()
    span = int(start.timestamp()), int(end.timestamp())
    found = []
    async with Http(patience=given.patience, clock=given.clock) as http:
        for name in sources:
            source = coin_source(name)
            paths = source.history(coins, *span)
            if source.no_history or not paths:
                reason = source.no_history or "no coin that is asked for has an id there"
                found.append(PastOutcome(name, "absent", reason=reason))
            elif dry_run:
                found.append(PastOutcome(name, "planned", requests=len(paths)))
            else:
                found.append(await _fetch(store, http, name, paths, coins, given))
    return found


def fetch_past(
    store: Store,
    coins: Sequence[CoinRef],
    sources: Sequence[str],
    start: dt.datetime,
    end: dt.datetime,
    *,
    dry_run: bool = False,
    settings: PollSettings | None = None,
) -> list[PastOutcome]:
    """`fetch_past_async` for callers that wait for it."""
    return run_sync(fetch_past_async(store, coins, sources, start, end, dry_run=dry_run, settings=settings))


async def _fetch(
    store: Store, http: Http, name: str, paths: Sequence[str], coins: Sequence[CoinRef], settings: PollSettings
) -> PastOutcome:
    source = coin_source(name)
    at = place_of(source, settings.urls, settings.paces)
    key = key_from_environment()
    facts, reasons = 0, list[str]()
    with LaneWriter(store, past_lane(name), source.source, describe=claim_nothing, key=key) as lane:
        reader = AnswerReader(source, coins)
        for path in paths:
            try:
                answer = await http.get(at.url + path, at.pace, headers=at.headers, redirects=True)
                frame = lane.append(
                    payload=answer.body,
                    kind="page",
                    request=f"GET {answer.url}",
                    feed=FEED,
                    status=answer.status,
                    recv_ns=answer.recv_ns,
                    mono_ns=answer.mono_ns,
                )
                facts += len(reader.read(frame))
            except (SourceError, FormatDrift) as exc:
                reasons.append(str(exc))
    state: Literal["done", "failed"] = "failed" if reasons else "done"
    return PastOutcome(name, state, len(paths) - len(reasons), len(reasons), facts, reasons[0] if reasons else "")


def read_past(
    store: Store, coins: Sequence[CoinRef], sources: Sequence[str], *, assume_latency: dt.timedelta | None = None
) -> Iterator[Known]:
    """What was told of the past, in the order in which it was known.

    Args:
        assume_latency: Take facts as known so long after their event, as if they had been polled live; of facts told
            several times the last one stands. None: they are known from when they were asked for.

    Raises:
        ValueError: `assume_latency` is negative.
    """
    if assume_latency is not None and assume_latency < dt.timedelta(0):
        raise ValueError(f"assume_latency={assume_latency} would make facts known before they happened")
    told = [known for name in sources for known in read_answers(store, past_lane(name), coin_source(name), coins)]
    if assume_latency is None:
        return iter(sorted(told, key=lambda known: known.known_us))
    late_us = assume_latency // dt.timedelta(microseconds=1)
    last = {}
    for known in told:
        fact = known.told
        if not isinstance(fact, CoinFact):
            continue
        last[fact.source, fact.coin, fact.chain, fact.feature, fact.event_us] = known
    assumed = [msgspec.structs.replace(known, known_us=key[-1] + late_us) for key, known in last.items()]
    return iter(sorted(assumed, key=lambda known: known.known_us))
