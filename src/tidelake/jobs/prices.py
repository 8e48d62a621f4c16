"""Prices of tokens, asked once for each token and day for all markets, and kept verbatim in lane `prices.<provider>`.

    report = fetch_prices(store, wanted_by_markets(store), ["defillama", "coingecko"])

What the raw log holds is not asked for again, so a run that was stopped goes on where it was; `refresh` asks for all of
it again, and what a source tells otherwise then becomes a revision.
"""

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from tidelake.errors import FormatDrift, SourceError
from tidelake.jobs.provider_place import place_of
from tidelake.jobs.session import Progress, run_sync, silent
from tidelake.lending.price_rows import FEED, prices_lane
from tidelake.providers.registry import PROVIDERS, provider as find_provider
from tidelake.providers.spec import PricePage, PriceProvider, Token, end_of
from tidelake.raw.codec import key_from_environment
from tidelake.raw.lane import LaneWriter
from tidelake.raw.ledger import Ledger
from tidelake.raw.sealing import claim_nothing
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.transport.http import Answer, Http, Patience
from tidelake.transport.rates import Pace

Wanted = Mapping[Token, Iterable[dt.date]]
DONE, FAILED, DONE_WITH_GAPS, STOPPED = 0, 1, 3, 130


@dataclass(frozen=True, slots=True)
class PricesOutcome:
    """What became of one source.

    Attributes:
        price_source: Its name.
        state: "nothing": the lake has all of it. "failed": requests got no answer; run again, they are asked again.
        tokens, days: What was wanted of it and is not in the lake: tokens, and (token, day) pairs.
        unserved: Tokens that the source cannot be asked for.
        requests: Answers kept; of a plan the requests it would make.
        failed: Requests without an answer.
        seconds: Time taken; of a plan the least that the source's limit allows.
        reason: Why it failed.
    """

    price_source: str
    state: Literal["done", "planned", "nothing", "failed"]
    tokens: int = 0
    days: int = 0
    unserved: int = 0
    requests: int = 0
    failed: int = 0
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PricesReport:
    """The outcomes, in the order of the sources."""

    rows: tuple[PricesOutcome, ...]

    @property
    def exit_code(self) -> int:
        """0 done, 1 a source answered nothing at all, 3 some requests got no answer."""
        failed = [row for row in self.rows if row.failed]
        if any(row.requests == 0 for row in failed):
            return FAILED
        return DONE_WITH_GAPS if failed else DONE

    @property
    def summary(self) -> str:
        """The report in a few lines for people."""
        lines = []
        for row in self.rows:
            told = f"{row.days} prices of {row.tokens} tokens in {row.requests} requests, {row.seconds:.1f} s"
            if row.failed:
                told += f"; {row.failed} requests got no answer ({row.reason}): run again"
            lines.append(f"{row.price_source}: {row.state}, {told}")
        return "\n".join(lines)


@dataclass(frozen=True)
class PriceSettings:
    """How prices are asked for and kept.

    Attributes:
        urls: Asked instead of the sources, by name; keys are sent to a source's own host alone.
        paces: Limits in place of the sources' own.
        workers: Requests to one source in hand at once.
        patience: Bounds of retries.
        seal_pages: Answers after which the lane is sealed.
        progress: Told about answers as they come.
        clock: Wall clock, ns since 1970.
    """

    urls: Mapping[str, str] = field(default_factory=dict)
    paces: Mapping[str, Pace] = field(default_factory=dict)
    workers: int = 4
    patience: Patience = field(default_factory=Patience)
    seal_pages: int = 200
    progress: Progress | None = None
    clock: Callable[[], int] = time.time_ns


def wanted_by_markets(
    store: Store, *, markets: Sequence[str] = (), start: dt.date | None = None, end: dt.date | None = None
) -> dict[Token, list[dt.date]]:
    """The tokens that markets hold, or that are liquidated in them, and the days of each, as the lake tells them now.

    Args:
        markets: Their ids; default: all.
        start, end: Days, end exclusive; default: all.
    """
    import polars as pl

    from tidelake.lending.panel.reading import assets_valued
    from tidelake.tables.lending_positions import LENDING_POSITIONS
    from tidelake.tables.read import scan

    held = scan(store, LENDING_POSITIONS).filter(pl.col("asset") != "")  # those of hours and blocks too
    told = held.select("chain", "market", "asset", date=pl.col("grid_time").dt.date()).collect()
    pairs = pl.concat([told, assets_valued(store)])
    if markets:
        pairs = pairs.filter(pl.col("market").is_in(list(markets)))
    if start is not None:
        pairs = pairs.filter(pl.col("date") >= start)
    if end is not None:
        pairs = pairs.filter(pl.col("date") < end)
    each = pairs.select("chain", "asset", "date").unique().sort("chain", "asset", "date")
    days = each.group_by("chain", "asset", maintain_order=True).agg("date")
    return {Token(chain, asset): found for chain, asset, found in days.iter_rows()}


def every_day(tokens: Iterable[Token], start: dt.date, end: dt.date) -> dict[Token, list[dt.date]]:
    """Each of these tokens on each day; `end` is exclusive."""
    days = [start + dt.timedelta(days=n) for n in range((end - start).days)]
    return {token: list(days) for token in tokens}


def held_prices(store: Store, provider: PriceProvider) -> set[tuple[Token, dt.date]]:
    """Tokens and days that the lane of a source has an answer for, whether or not it told a price."""
    found: set[tuple[Token, dt.date]] = set()
    for entry in Ledger(store).entries(prices_lane(provider.name)):
        for frame in iter_frames(store, entry.segment, key_from_environment()):
            if frame.kind == "page":
                page = _asked(provider, frame.request)
                found |= {(token, day) for token in page.tokens for day in page.days}
    return found


def _asked(provider: PriceProvider, request: str) -> PricePage:
    try:
        return provider.asked(request)
    except FormatDrift:  # kept by another version, which asked otherwise: derive says so
        return PricePage("", (), ())


@dataclass(frozen=True, slots=True)
class _Plan:
    provider: PriceProvider
    missing: dict[Token, list[dt.date]]
    unserved: int
    pages: list[PricePage]

    def outcome(self) -> PricesOutcome:
        return PricesOutcome(
            self.provider.name,
            "planned" if self.pages else "nothing",
            tokens=len(self.missing),
            days=sum(map(len, self.missing.values())),
            unserved=self.unserved,
        )


def _plan(store: Store, provider: PriceProvider, wanted: Wanted, now_s: float, refresh: bool) -> _Plan:
    held = set() if refresh else held_prices(store, provider)
    served = {token: days for token, days in wanted.items() if provider.serves(token)}
    missing: dict[Token, list[dt.date]] = {}
    for token, days in served.items():
        if left := sorted(day for day in set(days) if end_of(day) <= now_s and (token, day) not in held):
            missing[token] = left
    return _Plan(provider, missing, len(wanted) - len(served), provider.pages(missing))


async def fetch_prices_async(
    store: Store,
    wanted: Wanted,
    sources: Sequence[str] = tuple(PROVIDERS),
    *,
    refresh: bool = False,
    dry_run: bool = False,
    settings: PriceSettings | None = None,
) -> PricesReport:
    """Ask each source for what the raw log does not hold of it.

    Args:
        wanted: Tokens, and the days of each; days that have not ended are left out.
        sources: Names, in the order in which they are asked.
        refresh: Ask also for what the lake holds.
        dry_run: Only plan; asks nobody and writes nothing.

    Raises:
        NotInLake: No such source.
    """
    settings = settings or PriceSettings()
    found = [find_provider(name) for name in sources]
    plans = [_plan(store, each, wanted, settings.clock() / 1e9, refresh) for each in found]
    if dry_run:
        return PricesReport(tuple(_planned(plan, settings) for plan in plans))
    async with Http(patience=settings.patience, clock=settings.clock) as http:
        return PricesReport(tuple([await _fetch(store, http, plan, settings) for plan in plans]))


def fetch_prices(
    store: Store,
    wanted: Wanted,
    sources: Sequence[str] = tuple(PROVIDERS),
    *,
    refresh: bool = False,
    dry_run: bool = False,
    settings: PriceSettings | None = None,
) -> PricesReport:
    """`fetch_prices_async` for callers that wait for it."""
    return run_sync(fetch_prices_async(store, wanted, sources, refresh=refresh, dry_run=dry_run, settings=settings))


def _planned(plan: _Plan, settings: PriceSettings) -> PricesOutcome:
    pace = place_of(plan.provider, settings.urls, settings.paces).pace
    requests = len(plan.pages)
    return replace(plan.outcome(), requests=requests, seconds=round(requests * pace.seconds / pace.weight, 1))


async def _fetch(store: Store, http: Http, plan: _Plan, settings: PriceSettings) -> PricesOutcome:
    """Answers are kept in the order of the plan, whatever the order in which they come."""
    started = time.monotonic()
    outcome = plan.outcome()
    kept, reasons = 0, list[str]()
    if not plan.pages:
        return outcome
    lane = prices_lane(plan.provider.name)
    with LaneWriter(store, lane, plan.provider.name, describe=claim_nothing, key=key_from_environment()) as writer:
        for some in _at_once(plan.pages, settings.workers):
            asked = (_ask(http, plan.provider, page, settings) for page in some)
            for answer in await asyncio.gather(*asked):
                if isinstance(answer, str):
                    reasons.append(answer)
                    continue
                _keep(writer, answer)
                kept += 1
                if kept % settings.seal_pages == 0:
                    writer.seal()
            (settings.progress or silent)(kept + len(reasons), len(plan.pages), plan.provider.name)
    return replace(
        outcome,
        state="failed" if reasons else "done",
        requests=kept,
        failed=len(reasons),
        seconds=time.monotonic() - started,
        reason=reasons[0] if reasons else "",
    )


def _at_once(pages: Sequence[PricePage], workers: int) -> Iterator[Sequence[PricePage]]:
    for at in range(0, len(pages), max(workers, 1)):
        yield pages[at : at + max(workers, 1)]


async def _ask(http: Http, provider: PriceProvider, page: PricePage, settings: PriceSettings) -> Answer | str:
    """The answer, or why there is none."""
    at = place_of(provider, settings.urls, settings.paces)
    try:
        return await http.get(at.url + page.path, at.pace, headers=at.headers, answers=provider.answers)
    except SourceError as exc:
        return str(exc)


def _keep(writer: LaneWriter, answer: Answer) -> None:
    writer.append(
        payload=answer.body,
        kind="page",
        request=f"GET {answer.url}",
        feed=FEED,
        status=answer.status,
        recv_ns=answer.recv_ns,
        mono_ns=answer.mono_ns,
    )
