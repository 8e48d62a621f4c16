"""The command that watches coins live: stablecoins watch."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from tidelake.cli.options import DONE, DONE_WITH_GAPS, example, options
from tidelake.cli.times import span


def register(stablecoins: typer.Typer) -> None:
    """Add the command to the group."""
    stablecoins.command(
        epilog=example(
            "stablecoins watch USDC USDT --for 10m",
            "stablecoins watch USDC USDT --metrics 9464 --log-json",
            "stablecoins watch DAI --chains ethereum,base --no-polls",
        )
    )(watch)


def watch(
    ctx: typer.Context,
    coins: Annotated[list[str], typer.Argument(help="Symbols, such as USDC.")],
    chains: Annotated[str, typer.Option(help="Chains to follow, each by two nodes or more.")] = "ethereum",
    duration: Annotated[
        str, typer.Option("--for", help="How long, such as 60s or 2h; else until Ctrl-C.", metavar="SPAN")
    ] = "",
    polls: Annotated[bool, typer.Option(help="Ask providers for prices, volumes, liquidity, what circulates.")] = True,
    jsonl: Annotated[Path | None, typer.Option(help="Folder for rolling files of JSON lines.")] = None,
    metrics: Annotated[
        str,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Serve metrics to Prometheus here, such as 9464: to this machine alone where no host is named.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Watch coins live: windows, scores, alerts and attestations, from chains and providers.

    Fills the tables stablecoin_windows, _alerts, _corrections, _attestations and _incidents. Nodes of a chain stand in
    TIDELAKE_RPC_<CHAIN>. Answers of providers are kept in lanes `coins.<source>`; those of nodes are not kept. Each
    watch begins anew, and tells at the end how each source was. Tiers are those that nodes tell. Alerts,
    reorganisations, halts, sources that go down and what is attested are logged; with --log-json each as an object.
    """
    from tidelake.chains.registry import followed_chain
    from tidelake.errors import NotInLake
    from tidelake.jobs.coin_polls import PollSettings
    from tidelake.jobs.session import run_sync
    from tidelake.jobs.watch_coins import CoinWatch, SourceLine
    from tidelake.jobs.watch_log import log_records
    from tidelake.jobs.watch_metrics import WatchMetrics
    from tidelake.metrics import serving_metrics
    from tidelake.stablecoins.registry import coins as registry
    from tidelake.transport.rpc_providers import providers_from_environment

    opts = options(ctx)
    known = registry()
    for asked in coins:
        if asked not in known:
            raise NotInLake(f"no coin is called {asked!r}", available=tuple(known))
    wanted = [name.strip() for name in chains.split(",") if name.strip()]
    nodes = [(followed_chain(name), providers_from_environment(name)) for name in dict.fromkeys(wanted)]
    measured = WatchMetrics() if metrics else None
    watching = CoinWatch(
        opts.open_lake(make=True).store,
        [known[name] for name in dict.fromkeys(coins)],
        nodes,
        jsonl=jsonl,
        polls=PollSettings() if polls else None,
        listen=log_records,
        metrics=measured,
    )
    with ExitStack() as stack:
        if measured is not None:
            opts.say(f"metrics: {stack.enter_context(serving_metrics(measured.registry, metrics))}")
        report = run_sync(watching.run(span("--for", duration).total_seconds() if duration else None))
    opts.show(report.sources, SourceLine)
    for coin, why in report.failed.items():
        opts.say(f"{coin}: {why}")
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(report.counts.items())) or "no record"
    opts.say(f"{report.run}: {report.observations} observations, {told}")
    good = not report.failed and all(line.state in ("up", "waiting", "FOLLOWS") for line in report.sources)
    raise typer.Exit(DONE if good else DONE_WITH_GAPS)
