"""The command that plays histories of coins: stablecoins replay."""

from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tidelake.cli.options import DONE, DONE_WITH_GAPS, example, options
from tidelake.cli.times import point, span


class Runner(StrEnum):
    """What runs the machines."""

    plain = "plain"
    pathway = "pathway"


class HistoryKind(StrEnum):
    """Where a history lies, and in which form."""

    csv = "csv"
    bars = "bars"
    lake = "lake"


def register(stablecoins: typer.Typer) -> None:
    """Add the command to the group."""
    stablecoins.command(
        epilog=example(
            "stablecoins replay historical/",
            "stablecoins replay historical/ --coins USDC,USDT --speed 600 --jsonl output",
            "stablecoins replay terra_luna_2022/ --from bars --html terra.html",
            "stablecoins replay historical/ --feature-shards --shards 2",
            "stablecoins replay --from lake --coins USDC --start 2025-09-01 --end 2025-09-08 --assume-latency 90s",
        )
    )(replay)


def replay(
    ctx: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder of the history; none for the lake.", exists=True, file_okay=False),
    ] = None,
    kind: Annotated[
        HistoryKind,
        typer.Option(
            "--from", help="csv: <chain>/price.csv and so on; bars: USDCUSDT_1m.parquet and so on; lake: what it holds."
        ),
    ] = HistoryKind.csv,
    coins: Annotated[str, typer.Option(help="Only these, such as USDC,DAI.")] = "",
    start: Annotated[str, typer.Option(help="Of the lake: what was known from then on, such as 2025-09-01.")] = "",
    end: Annotated[str, typer.Option(help="Of the lake: and before then.")] = "",
    assume_latency: Annotated[
        str,
        typer.Option(
            help="Of the lake: take the past and candles as known so long after their event, such as 90s.",
            metavar="SPAN",
        ),
    ] = "",
    watch: Annotated[
        str, typer.Option(help="Of the lake: what this watch took, as it took it, such as watch-1757614216000000.")
    ] = "",
    speed: Annotated[
        float, typer.Option(min=0.0, help="Seconds of history in a second; 0 is as fast as possible.")
    ] = 0.0,
    jump: Annotated[str, typer.Option(help="Play as fast as possible up to here, such as 2023-03-10.")] = "",
    jsonl: Annotated[Path | None, typer.Option(help="Folder for rolling files of JSON lines.")] = None,
    run: Annotated[str, typer.Option(help="Name of the run.  [default: made of the files]", show_default=False)] = "",
    shards: Annotated[
        int, typer.Option(min=0, help="Deal the coins out to so many processes; 0: all in this one. Rows are the same.")
    ] = 0,
    feature_shards: Annotated[
        bool,
        typer.Option(
            "--feature-shards", help="Read prices, liquidity, supply, volatility and sentiment in a process each."
        ),
    ] = False,
    bus: Annotated[
        str, typer.Option(help="Reach the shards over this Redis, such as redis://localhost:6379.", show_default=False)
    ] = "",
    runner: Annotated[
        Runner,
        typer.Option(help="pathway: a machine for each coin in Pathway's engine (extra `pathway`). Rows are the same."),
    ] = Runner.plain,
    exponents: Annotated[
        Path | None,
        typer.Option(
            help="Score by the fitted exponents of this report (--format json stablecoins calibrate > FILE).",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="File for a page with charts of what was told.")] = None,
) -> None:
    """Play a history to the machines of its coins: windows, scores, alerts, attestations.

    Fills the tables stablecoin_windows, _alerts, _corrections, _attestations and _incidents. A run that was killed goes
    on where it was; one that is whole writes nothing again. Alerts are told as they come, and listed at the end.
    """
    from tidelake.cli.replay_keys import keys
    from tidelake.errors import ConfigError
    from tidelake.jobs.coin_replays import open_history, open_replay
    from tidelake.stablecoins.calibration.saved import read_exponents
    from tidelake.stablecoins.replay.control import ReplayControl
    from tidelake.stablecoins.replay.report import AlertLine, Narrator, summary
    from tidelake.stablecoins.score import PRIOR

    opts = options(ctx)
    if bus and not shards and not feature_shards:
        raise ConfigError("--bus is the way to shards; ask for some with --shards or --feature-shards")
    if runner is Runner.pathway and shards:
        raise ConfigError("--runner pathway has a shard for each coin of its own: leave out --shards")
    lake = opts.open_lake() if kind is HistoryKind.lake else None
    history = open_history(
        lake.store if lake else None,
        kind.value,
        folder,
        start=point(start),
        end=point(end),
        assume_latency=span("--assume-latency", assume_latency) if assume_latency else None,
        watch=watch,
        feature_shards=feature_shards,
        bus=bus,
    )
    control = ReplayControl(speed)
    if target := point(jump):
        control.jump(int(target.timestamp()) * 1_000_000)
    names = [coin.strip() for coin in coins.split(",") if coin.strip()]
    with closing(history):
        store = (lake or opts.open_lake(make=True)).store
        name, found = open_replay(
            store,
            history,
            kind.value,
            coins=names,
            run=run,
            jsonl=jsonl,
            shards=shards,
            bus=bus,
            runner=runner.value,
            listen=Narrator(opts.say),
            powers=read_exponents(exponents) if exponents else PRIOR,
        )
        for what, why in history.refused.items():
            opts.say(f"{what}: {why}")
        with closing(found), keys(control, opts.say):
            report = found.run(history, control)
    opts.show([AlertLine.of(alert) for alert in report.alerts.values()], AlertLine)
    opts.say(summary(report))
    if html is not None:
        from tidelake.stablecoins.page.page import write_replay_page

        opts.say(f"{html}: {write_replay_page(html, store, run=name):,} bytes")
    left_out = report.unknown and not names  # those that were not asked for are no gap
    bad = report.failed or left_out or not report.done or history.refused
    raise typer.Exit(DONE_WITH_GAPS if bad else DONE)
