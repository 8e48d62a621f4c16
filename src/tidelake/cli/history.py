"""Commands on historical data of vendors: books acquire, books assess."""

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from tidelake.cli.options import example, options
from tidelake.cli.output import Format, write_rows
from tidelake.cli.times import span


def register(books: typer.Typer) -> None:
    """Add the commands to the group `books`."""
    books.command(
        epilog=example(
            "books acquire --vendor crypto-lake --from s3://bucket --exchange BINANCE --symbol BTC-USDT "
            "--start 2024-08-08 --end 2024-08-10",
            "books acquire --vendor tardis --exchange binance --symbol BTCUSDT --start 2024-08-01 --end 2024-08-02 "
            "--table trades --dry-run",
        )
    )(acquire)
    books.command(
        epilog=example(
            "books assess --vendor crypto-lake --symbol BTC-USDT --html report.html",
            "books assess --start 2024-08-08 --end 2024-08-15 --sample 10m --format json",
        )
    )(assess)


def day(text: str) -> dt.date:
    """The day of "2024-08-08".

    Raises:
        BadParameter: The text is no day.
    """
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day such as 2024-08-08") from None


def acquire(
    ctx: typer.Context,
    vendor: Annotated[str, typer.Option(help="crypto-lake or tardis.")],
    exchange: Annotated[str, typer.Option(help="The vendor's name of the exchange.")],
    symbol: Annotated[list[str], typer.Option(help="The vendor's symbol; may be given again.")],
    start: Annotated[str, typer.Option(help="First day, UTC.")],
    end: Annotated[str, typer.Option(help="Day after the last.")],
    place: Annotated[
        str, typer.Option("--from", help="s3://bucket/prefix, https://.. or a folder, laid out as the vendor does.")
    ] = "",
    table: Annotated[list[str] | None, typer.Option(help="Only this table; may be given again.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Files in hand at once.")] = 4,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list: what is there, what is missing.")] = False,
) -> None:
    """Fetch a vendor's files, check them, and seal what passed.

    A rerun fetches only what is missing and goes on where files were cut. What did not pass stays in staging with its
    reason. Buckets are read by the AWS_* variables, without them anonymously; HTTP by the vendor's key from the
    environment (TARDIS_API_KEY). Exits with 3 where a file failed or the vendor has no file of a day.
    """
    opts = options(ctx)
    from tidelake.jobs.acquire import AcquireSettings, acquire as run
    from tidelake.jobs.acquire_report import AcquiredFile

    first, last = day(start), day(end)
    if last <= first:
        raise typer.BadParameter("--end must be after --start")
    lake = opts.open_lake(make=True, dry_run=dry_run)
    with opts.progress("books acquire") as progress:
        report = run(
            lake.store,
            vendor,
            exchange=exchange,
            symbols=symbol,
            start=first,
            end=last,
            tables=table or (),
            place=place or None,
            settings=AcquireSettings(workers=workers, dry_run=dry_run, progress=progress),
        )
    opts.finish(report, AcquiredFile)


def assess(
    ctx: typer.Context,
    vendor: Annotated[str, typer.Option(help="Only this vendor: crypto-lake or tardis.")] = "",
    venue: Annotated[str, typer.Option(help="Only this source.")] = "",
    symbol: Annotated[str, typer.Option(help="Only this canonical symbol.")] = "",
    start: Annotated[str, typer.Option(help="From this day on, such as 2024-08-08.")] = "",
    end: Annotated[str, typer.Option(help="Days before this one.")] = "",
    sample: Annotated[
        str, typer.Option(help="Look at so much of each day from its first message on, such as 10m.", metavar="SPAN")
    ] = "",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all figures and findings to this file.", metavar="FILE")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the report as Markdown.", metavar="FILE")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as a page with charts.", metavar="FILE")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the days and read nothing.")] = False,
) -> None:
    """Say what ready files of a vendor are worth, and which way to reconstruct books from them.

    Clocks, silences, missing and doubled numbers, snapshots, prices; the deltas are replayed and compared with the
    snapshots. One row per day; findings stand in the reports. Exits with 3 where a day is not fit for a full replay or
    something serious was found.
    """
    opts = options(ctx)
    sample_ns = int(span("--sample", sample).total_seconds() * 1e9) if sample else None
    from tidelake.jobs.assess import Asked, AssessedDay, PlannedDay, assess as assess_days, planned_days

    first, last = (day(text) if text else None for text in (start, end))
    asked = Asked(vendor or None, venue or None, symbol or None, first, last)
    store = opts.open_store()
    if dry_run:
        opts.show(planned_days(store, asked), PlannedDay)
        return
    with opts.progress("books assess") as progress:
        report = assess_days(store, asked, sample_ns=sample_ns, progress=progress)
    if json_file:
        with json_file.open("w", encoding="utf-8") as out:
            write_rows(report.days, Format.json, out)
    if markdown:
        from tidelake.books.assessment.report_markdown import markdown_report

        markdown.write_text(markdown_report(report.days), encoding="utf-8")
    if html:
        from tidelake.books.assessment.report_page import write_report_page

        write_report_page(html, report.days)
    opts.finish(report, AssessedDay)
