"""Commands on order books: books verify."""

from typing import Annotated

import typer

from tidelake.cli import history, reconstruction
from tidelake.cli.options import DONE, DONE_WITH_GAPS, example, options
from tidelake.cli.output import Format

FIRST_COLUMNS = (
    "source symbol channel frames updates out_of_order breaks checksums_right checksums_wrong quotes_compared "
    "quotes_equal crossed gaps_per_million state"
)


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    books = typer.Typer(name="books", no_args_is_help=True, rich_markup_mode=None, epilog=example("books verify"))
    books.callback()(_books)
    books.command(
        epilog=example("books verify", "books verify --venue kraken --symbol BTC-USD --format json"),
    )(verify)
    history.register(books)
    reconstruction.register(books)
    app.add_typer(books)


def _books() -> None:
    """Order books: what is proven of them."""


def verify(
    ctx: typer.Context,
    venue: Annotated[str, typer.Option(help="Only this source.")] = "",
    symbol: Annotated[str, typer.Option(help="Only this canonical symbol.")] = "",
    lane: Annotated[str, typer.Option(help="Only this lane of the raw log.")] = "",
    start: Annotated[str, typer.Option(help="Count from this receive time on, such as 2024-08-09T00:00Z.")] = "",
    end: Annotated[str, typer.Option(help="Read up to this receive time, exclusive.")] = "",
) -> None:
    """Check every book by every rule that its venue offers.

    Sequence, checksum, quotes with the same update id, audit pages. One row per stream; its intervals by state stand in
    JSON. Exits with 3 where a book is not proven.
    """
    opts = options(ctx)
    lake = opts.open_lake()
    with opts.progress("books verify") as progress:
        reports = lake.verify_books(
            venue or None, symbol or None, lane=lane or None, start=start or None, end=end or None, progress=progress
        )
    opts.show(reports, columns=() if opts.form is Format.json else FIRST_COLUMNS.split())
    unproven = [report for report in reports if not report.proven]
    for report in unproven[:10]:
        why = sorted({i.reason for i in report.intervals if i.state == report.state and i.reason})
        opts.say(f"{report.source} {report.symbol} {report.channel}: {report.state}, {', '.join(why) or 'no snapshot'}")
    for report in reports:
        if report.before_event:
            opts.say(
                f"{report.source} {report.symbol} {report.channel}: {report.before_event} messages were received "
                f"before their event, by up to {-(report.clock_least_ms or 0):.0f} ms: a clock is wrong"
            )
    opts.say(f"{len(reports)} books, {len(reports) - len(unproven)} proven, {len(unproven)} not")
    raise typer.Exit(DONE_WITH_GAPS if unproven else DONE)
