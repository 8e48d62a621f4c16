"""Commands on what is covered: coverage, repair."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidelake.cli.options import DONE, DONE_WITH_GAPS, example, options

if TYPE_CHECKING:
    from tidelake.raw.coverage import StreamCoverage


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command(epilog=example("coverage", "coverage --intervals --symbol BTC-USD --format json"))(coverage)
    app.command(epilog=example("repair", "repair coinbase --dry-run"))(repair)


def coverage(
    ctx: typer.Context,
    source: Annotated[str, typer.Option(help="Only this source.")] = "",
    symbol: Annotated[str, typer.Option(help="Only this canonical symbol.")] = "",
    feed: Annotated[str, typer.Option(help="Only this feed, such as trades.")] = "",
    intervals: Annotated[bool, typer.Option("--intervals", help="One row per interval, not per stream.")] = False,
) -> None:
    """Say what is complete and name each hole; of a book each interval by its state, as derive proved it.

    Exits with 3 where there is a hole or a book was lost, with 1 where a lane is broken: it is named, and all others
    are counted.
    """
    opts = options(ctx)
    from tidelake.raw.coverage import INTERVAL_COLUMNS, interval_rows
    from tidelake.raw.lake_coverage import CoverageBroken

    broken: CoverageBroken | None = None
    try:
        found = opts.open_lake().coverage(source or None, symbol or None)
    except CoverageBroken as exc:
        broken, found = exc, list(exc.found)
    found = [stream for stream in found if feed in ("", stream.feed)]
    if intervals:
        opts.show([row for stream in found for row in interval_rows(stream)], INTERVAL_COLUMNS)
    else:
        opts.show(map(stream_row, found), STREAM_COLUMNS)
    gaps = sum(stream.gaps for stream in found)
    opts.say(f"{len(found)} streams, {gaps} gaps")
    if broken is not None:
        raise broken
    raise typer.Exit(DONE_WITH_GAPS if gaps else DONE)


STREAM_COLUMNS = ("source", "feed", "symbol", "axis", "states", "watermark", "messages", "gaps", "gaps_per_million")


def stream_row(stream: "StreamCoverage") -> dict[str, Any]:
    """One stream in one row: its states, how far it is complete, its gap rate."""
    states = ",".join(sorted({interval.state for interval in stream.intervals}))
    return {name: states if name == "states" else getattr(stream, name) for name in STREAM_COLUMNS}


def repair(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="VENUE", help="Only holes of this venue.")] = "",
    symbols: Annotated[list[str] | None, typer.Argument(metavar="SYMBOL", help="Only these symbols.")] = None,
    url: Annotated[
        str, typer.Option("--url", help="Ask here instead of the venue, such as a simulated one.", show_default=False)
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the holes and ask nobody.")] = False,
) -> None:
    """Fill the holes that coverage names.

    A hole that the venue no longer answers stays, marked out of reach; the exit code is then 3.
    """
    opts = options(ctx)
    from tidelake.jobs.repair import repair as run
    from tidelake.jobs.report import Outcome
    from tidelake.jobs.session import Settings

    lake = opts.open_lake()
    with opts.progress("repair") as progress:
        settings = Settings(mappings=lake.mappings, url=url or None, progress=progress)
        report = run(lake.store, source or None, symbols or None, dry_run=dry_run, settings=settings)
    opts.finish(report, Outcome)
