"""Lending markets collected from chain data: all chains side by side, each by itself."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from tidelake.errors import ConfigError
from tidelake.jobs.collect_chain import ChainCollection, Progress
from tidelake.jobs.lending_plan import ChainPlan, Cost, plan_chain, total
from tidelake.jobs.lending_report import CollectReport, MarketReport
from tidelake.lending.contracts import contracts_of
from tidelake.lending.families.registry import family
from tidelake.lending.grid import Granularity, Moment, moments
from tidelake.lending.market import Market
from tidelake.raw.codec import key_from_environment
from tidelake.raw.store import Store
from tidelake.transport.http import Http, Patience
from tidelake.transport.rpc import RpcPool
from tidelake.transport.rpc_providers import NoProvider, Provider, providers_from_environment
from tidelake.transport.rpc_upstream import Usage

CALLS_SUPPOSED = 100  # that a market makes at a block, about, where nothing is known of it


@dataclass(frozen=True)
class CollectSettings:
    """How a run goes about it.

    Attributes:
        granularity: Of the grid.
        workers: Requests' worth of markets in hand at once, over all chains.
        retry_failed: Ask again for grid times that failed.
        final: Take only blocks that are final by their chain's policy.
        prove_logs: Hold logs that one provider alone tells against the headers of all blocks, and receipts where their
            blooms do not decide; see `jobs.log_proofs`.
        dry_run: Only plan; touches nothing and asks nobody.
        patience: Bounds of retries and of one request.
        providers: Providers of a chain by its name; by default those of the environment.
        progress: Called with a market and how many of its grid times are done more.
    """

    granularity: Granularity = "daily"
    workers: int = 8
    retry_failed: bool = False
    final: bool = True
    prove_logs: bool = False
    dry_run: bool = False
    patience: Patience | None = None
    providers: Callable[[str], Sequence[Provider]] = providers_from_environment
    progress: Progress = lambda market, done: None


def collect_lending(
    store: Store, markets: Sequence[Market], start: date, end: date, settings: CollectSettings | None = None
) -> CollectReport:
    """Bring the state and the logs of markets into the raw log, as far as they are not there.

    Args:
        store: The lake's store.
        markets: Which.
        start: First UTC day.
        end: Day after the last.
        settings: How to go about it.

    Raises:
        ConfigError: Nothing is asked for, or the address of a provider cannot be used.
        NotInLake: A market is of a family that is not read.
        StoreError: The lake's store failed; what was written until then stays.
        LedgerBroken: A lane does not hold.
    """
    chosen = settings or CollectSettings()
    if not markets:
        raise ConfigError("no market is asked for; `tidelake lending markets` lists them")
    for market in markets:
        family(market.family)
    grid = moments(start, end, chosen.granularity)
    key = key_from_environment()
    by_chain: dict[str, list[Market]] = {}
    for market in markets:
        by_chain.setdefault(market.chain, []).append(market)
    providers = {name: _providers(name, chosen) for name in by_chain}
    plans = [
        plan_chain(
            store,
            found,
            grid,
            retry_failed=chosen.retry_failed,
            agree=min(2, max(1, len(providers[name]))),
            prove=chosen.prove_logs,
            every_block=chosen.granularity == "block",
            key=key,
        )
        for name, found in by_chain.items()
    ]
    estimate = _estimate(plans, providers)
    if chosen.dry_run:
        return CollectReport([row for plan in plans for row in _planned(plan, grid)], estimate, planned=True)
    return asyncio.run(_collect(store, plans, grid, chosen, estimate, key))


async def _collect(
    store: Store,
    plans: Sequence[ChainPlan],
    grid: Sequence[Moment],
    settings: CollectSettings,
    estimate: Cost,
    key: bytes | None,
) -> CollectReport:
    started = time.monotonic()
    turns = asyncio.Semaphore(settings.workers)
    usage: list[Mapping[str, Usage]] = []
    async with Http(patience=settings.patience) as http:

        async def run(plan: ChainPlan) -> list[MarketReport]:
            try:
                providers = settings.providers(plan.chain.name)
            except NoProvider as exc:
                return [_unasked(row, str(exc)) for row in _planned(plan, grid)]
            pool = RpcPool(plan.chain.name, providers, chain_id=plan.chain.chain_id, http=http)
            usage.append(pool.usage)
            collection = ChainCollection(
                store,
                plan,
                grid,
                pool,
                turns,
                granularity=settings.granularity,
                final=settings.final,
                retry_failed=settings.retry_failed,
                prove=settings.prove_logs,
                key=key,
                progress=settings.progress,
            )
            return await collection.run()

        found = await asyncio.gather(*(run(plan) for plan in plans))
    rows = [row for reports in found for row in reports]
    return CollectReport(rows, estimate, _asked(usage), time.monotonic() - started)


def _planned(plan: ChainPlan, grid: Sequence[Moment]) -> list[MarketReport]:
    wanted = plan.wanted()
    return [
        MarketReport(
            market, plan.chain.name, len(grid), len(grid) - len(wanted.get(market, ())), len(wanted.get(market, ()))
        )
        for market in plan.markets
    ]


def _unasked(row: MarketReport, reason: str) -> MarketReport:
    row.not_reached, row.planned = row.planned, 0
    row.says(reason)
    return row


def _providers(chain: str, settings: CollectSettings) -> Sequence[Provider]:
    """Those of a chain; none where none are set."""
    try:
        return settings.providers(chain)
    except NoProvider:
        return ()


def _estimate(plans: Iterable[ChainPlan], providers: Mapping[str, Sequence[Provider]]) -> Cost:
    costs = []
    for plan in plans:
        calls = {name: _calls(market) for name, market in plan.markets.items()}
        costs.append(plan.cost(calls, next(iter(providers[plan.chain.name]), None)))
    return total(costs)


def _calls(market: Market) -> int:
    """Calls of contracts at a block, about."""
    return max(CALLS_SUPPOSED, 8 * len(contracts_of(market).known_tokens))


def _asked(usage: Iterable[Mapping[str, Usage]]) -> Cost:
    found = [one for by_name in usage for one in by_name.values()]
    return Cost(
        calls=sum(sum(one.calls.values()) for one in found),
        requests=sum(one.requests for one in found),
        units=sum(sum(one.units.values()) for one in found),
    )
