"""The command that tags minutes: regimes."""

from pathlib import Path
from typing import Annotated

import typer

from tidelake.cli.options import example, options
from tidelake.cli.times import span


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command(
        epilog=example(
            "regimes", "regimes --window 7d --low 0.1 --high 0.9 --calendar events.toml", "regimes --captured"
        )
    )(regimes)


def regimes(
    ctx: typer.Context,
    window: Annotated[str, typer.Option(help="How far back a minute is compared.", metavar="SPAN")] = "1d",
    low: Annotated[float, typer.Option(min=0.0, max=1.0, help="Quantile below which a measure is low.")] = 0.2,
    high: Annotated[float, typer.Option(min=0.0, max=1.0, help="Quantile above which a measure is high.")] = 0.8,
    least_minutes: Annotated[int, typer.Option(min=1, help="Minutes that there must be to compare with.")] = 60,
    votes: Annotated[int, typer.Option(min=1, max=4, help="Measures that must agree.")] = 2,
    calendar: Annotated[
        Path | None, typer.Option(help="TOML file of special events: [[event]] name, start, end, symbols.")
    ] = None,
    captured: Annotated[
        bool, typer.Option("--captured", help="Show the tags that captures kept as they ran, and build nothing.")
    ] = False,
) -> None:
    """Tag each minute of each stream by what kind of market it was.

    high-volume, low-volume, special-event, normal, or unknown; by trades, volume, volatility and spread against the
    minutes before. Replaces the table `regimes`.
    """
    opts = options(ctx)
    if captured:
        from tidelake.jobs.live_regimes import kept_regimes
        from tidelake.raw.ledger import Ledger

        ledger = Ledger(opts.open_store())
        opts.show(kept_regimes(entry for lane in ledger.lanes() for entry in ledger.entries(lane)))
        return
    from tidelake.jobs.regimes import RegimeSettings, build_regimes, read_calendar

    events = read_calendar(calendar) if calendar else ()
    settings = RegimeSettings(span("--window", window), low, high, least_minutes, votes, events)
    opts.show(build_regimes(opts.open_lake().store, settings))
