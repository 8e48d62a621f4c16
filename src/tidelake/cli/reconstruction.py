"""The command that replays a vendor's files: books reconstruct."""

import datetime as dt
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tidelake.cli.options import DONE, DONE_WITH_GAPS, example, options


class StrategyName(StrEnum):
    """How a day is replayed."""

    full_event_replay = "full_event_replay"
    snapshot_anchored = "snapshot_anchored"
    origin_time_sort = "origin_time_sort"


def register(books: typer.Typer) -> None:
    """Add the command to the group `books`."""
    books.command(
        epilog=example(
            "books reconstruct --vendor crypto-lake --venue binance-spot --symbol BTC-USDT --start 2024-08-08 "
            "--end 2024-08-09",
            "books reconstruct --every event --workers 4 --dry-run",
        )
    )(reconstruct)


def reconstruct(
    ctx: typer.Context,
    vendor: Annotated[str, typer.Option(help="Only this vendor: crypto-lake or tardis.")] = "",
    venue: Annotated[str, typer.Option(help="Only this source.")] = "",
    symbol: Annotated[str, typer.Option(help="Only this canonical symbol.")] = "",
    start: Annotated[str, typer.Option(help="First day, UTC; default: the first that is ready.")] = "",
    end: Annotated[str, typer.Option(help="Day after the last; default: after the last that is ready.")] = "",
    strategy: Annotated[StrategyName | None, typer.Option(help="Default: what the assessment recommends.")] = None,
    levels: Annotated[int, typer.Option(min=1, max=5000, help="Levels of each side that rows show.")] = 20,
    every: Annotated[str, typer.Option(help="Rows that show levels: a distance such as 100ms, or event.")] = "100ms",
    workers: Annotated[int, typer.Option(min=1, help="Days at once, each in a process of its own.")] = 1,
    model_consumption: Annotated[
        bool, typer.Option("--model-consumption", help="With snapshot_anchored: model what trades leave of a level.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page about what was reconstructed.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan; touch nothing.")] = False,
) -> None:
    """Replay a vendor's files that are ready into `market_events`.

    Books and trades, merged into one stream of events, with what is known of the book at each. Snapshots are compared
    with the book before they set it. A run that was killed goes on where it was; a day with other files or options is
    replaced. Exits with 3 where days are not ready, messages are missing, or snapshots differ from the book.
    """
    opts = options(ctx)
    from tidelake.jobs.reconstruct import ReconstructSettings, plan_days, reconstruct as run, with_what_stands
    from tidelake.jobs.reconstruct_report import ReconstructedDay

    store = opts.open_lake().store
    planned = plan_days(
        store,
        vendor=vendor or None,
        source=venue or None,
        symbol=symbol or None,
        start=_day(start),
        end=_day(end),
        strategy=strategy.value if strategy else None,
    )
    settings = ReconstructSettings(levels, _every_ns(every), model_consumption, workers)
    if dry_run:
        opts.show(with_what_stands(store, planned, settings))
        raise typer.Exit(DONE if all(day.strategy for day in planned) else DONE_WITH_GAPS)
    with opts.progress("books reconstruct") as progress:
        report = run(store, planned, replace(settings, progress=progress))
    if html:
        from tidelake.jobs.reconstruct_page import write_reconstruction_page

        size = write_reconstruction_page(html, store, report)
        opts.say(f"wrote {html}, {size:,} bytes")
    opts.finish(report, ReconstructedDay)


def _day(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day such as 2024-08-08") from None


def _every_ns(text: str) -> int:
    """0 for "event"."""
    from tidelake.durations import parse_duration

    if text == "event":
        return 0
    try:
        ns = parse_duration(text) // dt.timedelta(microseconds=1) * 1_000
    except ValueError:
        ns = 0
    if ns <= 0:
        raise typer.BadParameter(f"--every: {text!r} is neither event nor a distance such as 100ms")
    return ns
