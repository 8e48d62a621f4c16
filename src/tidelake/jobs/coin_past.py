"""The past of coins, asked of providers and kept verbatim in lane `coins.<source>.past`.

It is known from when it was asked, not from when it was so: a study over it says itself how soon after the event it
takes a fact as known (`read_past`). A request that the lake holds a whole answer to is not made again: a run that was
stopped, or in which some failed, goes on when it is run again.
"""

import contextlib
import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit

import msgspec

from tidelake.errors import FormatDrift, SourceError
from tidelake.jobs.coin_polls import PollSettings
from tidelake.jobs.provider_place import place_of
from tidelake.jobs.report import DONE, DONE_WITH_GAPS, FAILED
from tidelake.jobs.session import Progress, run_sync, silent
from tidelake.providers.coin_source import CoinFact, CoinRef, CoinSource
from tidelake.providers.registry import coin_source
from tidelake.raw.codec import key_from_environment
from tidelake.raw.lane import LaneWriter
from tidelake.raw.ledger import Ledger
from tidelake.raw.sealing import claim_nothing
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.stablecoins.sources.answers import FEED, AnswerReader, past_lane, read_answers
from tidelake.stablecoins.sources.feed import Known
from tidelake.transport.http import Http

State: TypeAlias = Literal["done", "held", "planned", "failed", "absent"]


@dataclass(frozen=True, slots=True)
class PastOutcome:
    """What became of one source.

    Attributes:
        source: Its name.
        state: "absent": it cannot be asked for the past, `reason` says why. "held": the lake holds all of it.
        requests: Answers kept; of a plan the requests it would make.
        held: Requests that the lake holds an answer to, received after the time that it was asked for.
        failed: Requests without an answer that could be read; `reason` is that of the first.
        facts: Facts that the answers tell.
    """

    source: str
    state: State
    requests: int = 0
    held: int = 0
    failed: int = 0
    facts: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PastReport:
    """The outcomes, in the order of the sources."""

    rows: tuple[PastOutcome, ...]

    @property
    def exit_code(self) -> int:
        """0 done, 1 no request was answered, 3 some were not."""
        failed = [row for row in self.rows if row.failed]
        if failed and not any(row.requests for row in self.rows):
            return FAILED
        return DONE_WITH_GAPS if failed else DONE

    @property
    def summary(self) -> str:
        """The report in a few lines for people."""
        lines = []
        for row in self.rows:
            told = f"{row.source}: {row.state}, {row.requests} requests, {row.held} held, {row.facts} facts"
            told += f"; {row.failed} were not answered: run again" if row.failed else ""
            lines.append(f"{told} ({row.reason})" if row.reason else told)
        return "\n".join(lines)


async def fetch_past_async(
    store: Store,
    coins: Sequence[CoinRef],
    sources: Sequence[str],
    start: dt.datetime,
    end: dt.datetime,
    *,
    dry_run: bool = False,
    settings: PollSettings | None = None,
    progress: Progress | None = None,
) -> list[PastOutcome]:
    """Ask each source what it tells of start <= t <= end; one that cannot be asked for a span tells all it has.

    Args:
        dry_run: Say what would be asked, and ask nobody.
        progress: Told about answers as they come.

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
                left = _left(store, source, coins, paths, span[1])
                state: State = "planned" if left else "held"
                found.append(PastOutcome(name, state, requests=len(left), held=len(paths) - len(left)))
            else:
                asked = _Asked(paths, coins, span[1])
                found.append(await _fetch(store, http, source, asked, given, progress or silent))
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
    progress: Progress | None = None,
) -> PastReport:
    """`fetch_past_async` for callers that wait for it, as a report."""
    work = fetch_past_async(store, coins, sources, start, end, dry_run=dry_run, settings=settings, progress=progress)
    return PastReport(tuple(run_sync(work)))


def _left(store: Store, source: CoinSource, coins: Sequence[CoinRef], paths: Sequence[str], until_s: int) -> list[str]:
    """The requests to which the lake holds no whole answer that was received after the time that it was asked for."""
    received_s = dict.fromkeys(paths, -1.0)
    reader = AnswerReader(source, coins)
    for entry in Ledger(store).entries(past_lane(source.name)):
        for frame in iter_frames(store, entry.segment, key_from_environment()):
            path = next((path for path in paths if frame.request.endswith(path)), None)
            if path is None or frame.status != 200:
                continue
            with contextlib.suppress(FormatDrift):
                reader.read(frame)
                received_s[path] = frame.recv_ns / 1e9
    return [path for path in paths if received_s[path] <= _until_s(path, until_s)]


def _until_s(path: str, until_s: int) -> int:
    """The last moment that a request asks for, seconds since 1970; of one that names none that of the whole span."""
    told = parse_qs(urlsplit(path).query).get("to")
    return int(told[0]) if told else until_s


@dataclass(frozen=True, slots=True)
class _Asked:
    """The requests of a source, its coins, and the last moment of the span in seconds since 1970."""

    paths: Sequence[str]
    coins: Sequence[CoinRef]
    until_s: int


async def _fetch(
    store: Store, http: Http, source: CoinSource, asked: _Asked, settings: PollSettings, progress: Progress
) -> PastOutcome:
    at = place_of(source, settings.urls, settings.paces)
    key, name = key_from_environment(), source.name
    facts, reasons = 0, list[str]()
    with LaneWriter(store, past_lane(name), source.source, describe=claim_nothing, key=key) as lane:
        left = _left(store, source, asked.coins, asked.paths, asked.until_s)  # once what a killed run left is sealed
        held = len(asked.paths) - len(left)
        if not left:
            return PastOutcome(name, "held", held=held)
        reader = AnswerReader(source, asked.coins)
        for done, path in enumerate(left):
            progress(done, len(left), name)
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
        progress(len(left), len(left), name)
    failed = len(reasons)
    state: State = "failed" if failed else "done"
    return PastOutcome(name, state, len(left) - failed, held, failed, facts, reasons[0] if failed else "")


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
