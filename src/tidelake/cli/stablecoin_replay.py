"""The command that plays histories of coins: stablecoins replay."""

from contextlib import closing
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from tidelake.cli.options import DONE, DONE_WITH_GAPS, example, options
from tidelake.cli.times import point


class HistoryKind(StrEnum):
    """What a folder of history holds."""

    csv = "csv"
    bars = "bars"


def register(stablecoins: typer.Typer) -> None:
    """Add the command to the group."""
    stablecoins.command(
        epilog=example(
            "stablecoins replay historical/",
            "stablecoins replay historical/ --coins USDC,USDT --speed 600 --jsonl output",
            "stablecoins replay terra_luna_2022/ --from bars --html terra.html",
            "stablecoins replay historical/ --feature-shards --shards 2",
        )
    )(replay)


def replay(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder of the history.", exists=True, file_okay=False)],
    kind: Annotated[
        HistoryKind,
        typer.Option("--from", help="csv: <chain>/price.csv and so on; bars: USDCUSDT_1m.parquet and so on."),
    ] = HistoryKind.csv,
    coins: Annotated[str, typer.Option(help="Only these, such as USDC,DAI.")] = "",
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
    html: Annotated[Path | None, typer.Option(help="File for a page with charts of what was told.")] = None,
) -> None:
    """Play a history to the machines of its coins: windows, scores, alerts, attestations.

    Fills the tables stablecoin_windows, _alerts, _corrections, _attestations and _incidents. A run that was killed goes
    on where it was; one that is whole writes nothing again. Alerts are told as they come, and listed at the end.
    """
    from tidelake.cli.replay_keys import keys
    from tidelake.errors import ConfigError
    from tidelake.live.redis_shards import RedisLink
    from tidelake.stablecoins.fleet import Fleet
    from tidelake.stablecoins.replay.bars import BarsFolder
    from tidelake.stablecoins.replay.control import ReplayControl
    from tidelake.stablecoins.replay.csv_folder import CsvFolder
    from tidelake.stablecoins.replay.csv_rows import CsvRows
    from tidelake.stablecoins.replay.report import AlertLine, Narrator, summary
    from tidelake.stablecoins.replay.run import Replay
    from tidelake.stablecoins.shards.coordinator import ShardedFleet
    from tidelake.stablecoins.shards.features import FeatureShards
    from tidelake.stablecoins.shards.links import OpenLink, ProcessLink

    opts = options(ctx)
    if bus and not shards and not feature_shards:
        raise ConfigError("--bus is the way to shards; ask for some with --shards or --feature-shards")
    if feature_shards and kind is HistoryKind.bars:
        raise ConfigError("--feature-shards read the files of --from csv; bars tell of prices alone")
    link: OpenLink = partial(RedisLink, bus) if bus else ProcessLink
    read = partial(FeatureShards, open_link=link) if feature_shards else CsvRows
    history = BarsFolder(folder) if kind is HistoryKind.bars else CsvFolder(folder, read=read)
    for name, why in getattr(history, "refused", {}).items():
        opts.say(f"{name}: {why}")
    setups = history.setups(tuple(coin.strip() for coin in coins.split(",") if coin.strip()))
    control = ReplayControl(speed)
    if target := point(jump):
        control.jump(int(target.timestamp()) * 1_000_000)
    store = opts.open_lake(make=True).store
    name = run or f"{kind.value}-{history.fingerprint}-{'-'.join(sorted(setups))}"
    found = Replay(
        store,
        name,
        setups,
        jsonl=jsonl,
        listen=Narrator(opts.say),
        open_fleet=partial(ShardedFleet, shards=shards, open_link=link) if shards else Fleet,
    )
    with closing(history), closing(found), keys(control, opts.say):
        report = found.run(history, control)
    opts.show([AlertLine.of(alert) for alert in report.alerts.values()], AlertLine)
    opts.say(summary(report))
    if html is not None:
        from tidelake.stablecoins.page.page import write_replay_page

        opts.say(f"{html}: {write_replay_page(html, store, run=name):,} bytes")
    bad = report.failed or report.unknown or not report.done or getattr(history, "refused", {})
    raise typer.Exit(DONE_WITH_GAPS if bad else DONE)
