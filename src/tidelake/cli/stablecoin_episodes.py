"""The command that plays recorded crises of stablecoins: stablecoins episodes."""

from pathlib import Path
from typing import Annotated

import typer

from tidelake.cli.options import DONE, DONE_WITH_GAPS, example, options
from tidelake.cli.output import Format

COLUMNS = (
    "episode pair kind severity fired_at measure price worst_at worst_price lead_s became alerts calm_days "
    "false_alarms false_alarms_a_day"
)


def register(stablecoins: typer.Typer) -> None:
    """Add the command to the group."""
    stablecoins.command(
        epilog=example(
            "stablecoins episodes depeg-1m --html episodes.html",
            "stablecoins episodes my-bars --facts my-episodes --levels",
            "--format json stablecoins episodes depeg-1m > episodes.json",
        )
    )(episodes)


def episodes(
    ctx: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(
            help="Bars such as USDCUSDT_1m.parquet, or a folder for each episode.", exists=True, file_okay=False
        ),
    ],
    facts: Annotated[
        Path | None, typer.Option(help="Folder of TOML files with episodes of yours, beside ours.", file_okay=False)
    ] = None,
    levels: Annotated[
        bool, typer.Option("--levels", help="Also: false alarms of volatility by level and by memory of its median.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="File for a page with a chart of each episode.")] = None,
) -> None:
    """When alerts fired in recorded crises, how early, what became of them, and how many fired on calm days.

    Plays bars of one minute, bar by bar, to the machines that replay and watch run; no lake is needed. A row for each
    episode, kind of alert and severity: the first alert that reached it, by when it was known, and its lead before the
    worst price of the episode was known. Days outside the episodes are calm: what fires there is a false alarm. JSON is
    the whole report, with each step of each alert.
    """
    from tidelake.stablecoins.episodes.lead_times import EpisodeLine
    from tidelake.stablecoins.episodes.playing import bar_folders, play_bars
    from tidelake.stablecoins.episodes.registry import episodes as registry
    from tidelake.stablecoins.episodes.report import episodes_report

    opts = options(ctx)
    known = registry(facts)
    played = []
    for each in bar_folders(folder):
        played += (found := play_bars(each, known))
        for coin in found:
            opts.say(f"{each.name}: {coin.coin}, {len(coin.lives)} alerts, {coin.calm_days:.3g} calm days")
    report = episodes_report(played)
    if opts.form is Format.json:
        opts.show(report)
    else:
        opts.show(report.lines, COLUMNS.split() if opts.form is Format.table else EpisodeLine)
        if levels and opts.form is Format.table:
            for rows in (report.levels, report.halves):
                print()  # noqa: T201
                opts.show(rows)
    if html is not None:
        from tidelake.stablecoins.episodes.page import write_episodes_page

        opts.say(f"{html}: {write_episodes_page(html, played, report):,} bytes")
    for why in report.failed:
        opts.say(why)
    raise typer.Exit(DONE_WITH_GAPS if report.failed else DONE)
