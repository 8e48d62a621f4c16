"""Commands that ask venues: ingest, backfill, instruments refresh."""

from typing import Annotated

import typer

from tidelake.cli.options import example, options
from tidelake.cli.times import needed_point, point

Venue = Annotated[str, typer.Argument(metavar="VENUE", help="Source id, such as coinbase or binance-spot.")]
Symbols = Annotated[list[str], typer.Argument(metavar="SYMBOL", help="Canonical symbols, such as BTC-USD.")]
BaseUrl = Annotated[
    str, typer.Option("--url", help="Ask here instead of the venue, such as a simulated one.", show_default=False)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and ask nobody.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command(epilog=example("ingest coinbase BTC-USD ETH-USD", "ingest kraken BTC-USD --since 6h"))(ingest)
    app.command(
        epilog=example(
            "backfill coinbase BTC-USD --start 2024-05-01 --end 2024-05-02 --workers 2",
            "backfill kraken BTC-USD --start 2024-05-01 --end 2024-05-02 --candles 1h",
            "backfill okx BTC-USDT --start 2024-05-01T00:00Z --end 2024-05-01T06:00Z --dry-run",
        )
    )(backfill)
    instruments = typer.Typer(
        name="instruments", no_args_is_help=True, rich_markup_mode=None,
        epilog=example("instruments refresh coinbase"),
    )  # fmt: skip
    instruments.command(epilog=example("instruments refresh coinbase kraken"))(refresh)
    instruments.callback()(_instruments)
    app.add_typer(instruments)


def _instruments() -> None:
    """Keep what venues list.

    Tick, lot, status and listing of each product, as dated facts.
    """


def ingest(
    ctx: typer.Context,
    venue: Venue,
    symbols: Symbols,
    since: Annotated[str, typer.Option(help="Start of a cold stream: a time, or a span back.")] = "90m",
    url: BaseUrl = "",
    dry_run: DryRun = False,
) -> None:
    """Fetch trades from where the last run ended.

    Closes every hole on the way; exits with 3 where one stays. A cold stream starts at --since, and the report says so.
    """
    opts = options(ctx)
    from tidelake.jobs.ingest import ingest as run
    from tidelake.jobs.report import Outcome
    from tidelake.jobs.session import Settings

    lake = opts.open_lake(make=True, dry_run=dry_run)
    with opts.progress("ingest") as progress:
        settings = Settings(mappings=lake.mappings, url=url or None, progress=progress)
        report = run(lake.store, venue, symbols, since=point(since), dry_run=dry_run, settings=settings)
    opts.finish(report, Outcome)


def backfill(
    ctx: typer.Context,
    venue: Venue,
    symbols: Symbols,
    start: Annotated[str, typer.Option(help="First event time, inclusive.")],
    end: Annotated[str, typer.Option(help="Last event time, exclusive.")],
    workers: Annotated[int, typer.Option(min=1, help="Partitions in hand at once.")] = 1,
    candles: Annotated[str, typer.Option(help="Fetch the venue's own bars of this interval instead.")] = "",
    url: BaseUrl = "",
    dry_run: DryRun = False,
) -> None:
    """Fetch the trades of a period, or the venue's own bars.

    In partitions that a later run resumes; exits with 3 where a hole stays.
    """
    opts = options(ctx)
    from tidelake.jobs.backfill import backfill as run
    from tidelake.jobs.candles import fetch_candles
    from tidelake.jobs.report import Outcome
    from tidelake.jobs.session import Settings

    first, last = needed_point(start), needed_point(end)
    if last <= first:
        raise typer.BadParameter("--end must be after --start")
    lake = opts.open_lake(make=True, dry_run=dry_run)
    with opts.progress("backfill") as progress:
        settings = Settings(mappings=lake.mappings, url=url or None, progress=progress)
        if candles:
            report = fetch_candles(
                lake.store, venue, symbols, interval=candles, start=first, end=last, dry_run=dry_run, settings=settings
            )
        else:
            report = run(lake.store, venue, symbols, first, last, workers=workers, dry_run=dry_run, settings=settings)
    opts.finish(report, Outcome)


def refresh(
    ctx: typer.Context,
    venues: Annotated[list[str], typer.Argument(metavar="VENUE", help="Source ids, such as coinbase.")],
    url: BaseUrl = "",
    dry_run: DryRun = False,
) -> None:
    """Fetch what venues list.

    Kept as dated facts: tick, lot, status and listing of each product.
    """
    opts = options(ctx)
    from tidelake.jobs.instruments import refresh as run
    from tidelake.jobs.report import Outcome
    from tidelake.jobs.session import Settings

    lake = opts.open_lake(make=True, dry_run=dry_run)
    with opts.progress("instruments") as progress:
        settings = Settings(mappings=lake.mappings, url=url or None, progress=progress)
        report = run(lake.store, venues, dry_run=dry_run, settings=settings)
    opts.finish(report, Outcome)
