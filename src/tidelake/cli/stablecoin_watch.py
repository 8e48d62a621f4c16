"""The command that watches coins live: stablecoins watch."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from tidelake.cli.options import DONE, DONE_WITH_GAPS, example, options
from tidelake.cli.times import span

GOOD = ("up", "waiting", "absent", "FOLLOWS")  # what is absent was told at the begin, and nothing expects it


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
    polls: Annotated[bool, typer.Option(help="Ask providers for facts, and Reddit and X where keys are set.")] = True,
    texts: Annotated[
        Path | None, typer.Option(help="Folder of texts that are scored for sentiment; default: setting `texts`.")
    ] = None,
    bars: Annotated[
        str, typer.Option(help="Whose bars of one minute tell volatility, and of which pair.", metavar="VENUE:SYMBOL")
    ] = "binance-spot:BTC-USDT",
    jsonl: Annotated[Path | None, typer.Option(help="Folder for rolling files of JSON lines.")] = None,
    metrics: Annotated[
        str,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Serve metrics to Prometheus here, such as 9464: to this machine alone where no host is named.",
            show_default=False,
        ),
    ] = "",
    anew: Annotated[bool, typer.Option("--anew", help="Begin a new run, where one could be gone on with.")] = False,
    resume_halted: Annotated[
        bool, typer.Option("--resume-halted", help="Go on with a halted chain, with what its nodes agree on now.")
    ] = False,
) -> None:
    """Watch coins live: windows, scores, alerts and attestations, from chains, providers, bars and texts.

    Fills the tables stablecoin_windows, _alerts, _corrections, _attestations and _incidents. Nodes of a chain stand in
    TIDELAKE_RPC_<CHAIN>. What they and providers answer is kept in lanes `coins.<chain>` and `coins.<source>`. A watch
    that ended or was killed is gone on with by the next one of the same coins and chains. Tiers of Arbitrum are those
    of its batches where ethereum is among the chains, else those of the tags that nodes tell, as on other chains.
    Alerts, reorganisations, halts, sources that go down and what is attested are logged; with --log-json each as an
    object.
    """
    from tidelake.chains.registry import followed_chain
    from tidelake.errors import NotInLake
    from tidelake.jobs.coin_polls import PollSettings
    from tidelake.jobs.coin_texts import TextFeed
    from tidelake.jobs.session import run_sync
    from tidelake.jobs.watch_coins import CoinWatch
    from tidelake.jobs.watch_log import log_records
    from tidelake.jobs.watch_metrics import WatchMetrics
    from tidelake.jobs.watched_chain import SourceLine
    from tidelake.metrics import serving_metrics
    from tidelake.providers.registry import TEXT_SOURCES
    from tidelake.stablecoins.registry import coins as registry
    from tidelake.stablecoins.sources.refs import coin_refs
    from tidelake.stablecoins.sources.volatility import CandleFeed
    from tidelake.transport.rpc_providers import providers_from_environment

    opts = options(ctx)
    known = registry()
    for asked in coins:
        if asked not in known:
            raise NotInLake(f"no coin is called {asked!r}", available=tuple(known))
    wanted = [name.strip() for name in chains.split(",") if name.strip()]
    nodes = [(followed_chain(name), providers_from_environment(name)) for name in dict.fromkeys(wanted)]
    measured = WatchMetrics() if metrics else None
    watched = [known[name] for name in dict.fromkeys(coins)]
    venue, _, symbol = bars.partition(":")
    if not venue or not symbol:
        raise typer.BadParameter(f"{bars!r} is no VENUE:SYMBOL", param_hint="--bars")
    store = opts.open_lake(make=True).store
    spoken = TextFeed(store, coin_refs(watched), folder=texts, sources=tuple(TEXT_SOURCES.values()) if polls else ())
    watching = CoinWatch(
        store,
        watched,
        nodes,
        jsonl=jsonl,
        polls=PollSettings() if polls else None,
        listen=log_records,
        metrics=measured,
        feeds=[CandleFeed(store, venue=venue, symbol=symbol), spoken],
        anew=anew,
        resume_halted=resume_halted,
    )
    with ExitStack() as stack:
        if measured is not None:
            opts.say(f"metrics: {stack.enter_context(serving_metrics(measured.registry, metrics))}")
        report = run_sync(watching.run(span("--for", duration).total_seconds() if duration else None))
    opts.show(report.sources, SourceLine)
    for coin, why in report.failed.items():
        opts.say(f"{coin}: {why}")
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(report.counts.items())) or "no record"
    opts.say(f"{report.run}{' (gone on with)' if report.resumed else ''}: {report.observations} observations, {told}")
    good = not report.failed and all(line.state in GOOD for line in report.sources)
    raise typer.Exit(DONE if good else DONE_WITH_GAPS)
