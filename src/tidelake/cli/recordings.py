"""Commands on recordings: import, export."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tidelake.cli.options import DONE, DONE_WITH_GAPS, Options, example, options
from tidelake.cli.times import point


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command(
        "import",
        epilog=example(
            "import ./captures --from cryptofeed --dry-run", "import btcusdt.gz --from hftbacktest --venue binance-usdm"
        ),
    )(import_files)
    app.command(
        "export",
        epilog=example(
            "export ./out",
            "export ./out --lane import.coinbase.cryptofeed.9f2c41d0a1b2c3d4",
            "export ./out --to crypto-lake --venue binance-spot --symbol BTC-USDT",
        ),
    )(export_files)


def import_files(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE_OR_FOLDER", help="Recordings, plain or gzip.")],
    form: Annotated[str, typer.Option("--from", help="Format: cryptofeed or hftbacktest.", metavar="FORMAT")],
    venue: Annotated[str, typer.Option(help="Venue of all files; else told by their names.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be imported and touch nothing.")] = False,
) -> None:
    """Keep recordings in the raw log, verbatim.

    A file that is already there changes nothing. Exits with 3 where lines are damaged or a file is cut off.
    """
    opts = options(ctx)
    from tidelake.jobs.imports import import_recordings
    from tidelake.raw.codec import key_from_environment
    from tidelake.tables.describe import describe_for

    lake = opts.open_lake(make=True, dry_run=dry_run)
    with opts.progress("import") as progress:
        report = import_recordings(
            lake.store,
            files,
            format=form,
            source=venue or None,
            describe_for=lambda source: describe_for(source, lake.mappings),
            progress=progress,
            dry_run=dry_run,
            key=key_from_environment(),
        )
    opts.show(report.files, ("file", "state", "source", "lines", "new_lines", "segments", "damaged", "lane", "reason"))
    raise typer.Exit(report.exit_code)


def export_files(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder to write to; made where it is missing.")],
    lane: Annotated[str, typer.Option(help="Only the recording of this lane.")] = "",
    to: Annotated[str, typer.Option(help="Vendor's layout: crypto-lake or tardis.", metavar="VENDOR")] = "",
    venue: Annotated[str, typer.Option(help="With --to: only this source.")] = "",
    symbol: Annotated[str, typer.Option(help="With --to: only this canonical symbol.")] = "",
    channel: Annotated[str, typer.Option(help="With --to: books of this channel; else the deepest.")] = "",
    start: Annotated[str, typer.Option(help="With --to: from this receive time on, such as 2024-08-09T00:00Z.")] = "",
    end: Annotated[str, typer.Option(help="With --to: up to this receive time, exclusive.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be read and write nothing.")] = False,
) -> None:
    """Write imported recordings as they were, or trades and books in the layout of a vendor of historical data.

    Without --to: imported recordings byte for byte, gzip undone; exits with 3 where an import was not finished. With
    --to: what was captured and what was imported, a day a file, books only where they are proven or their venue offers
    nothing to prove them by; exits with 3 where something else was left out.
    """
    opts = options(ctx)
    if to:
        if lane:
            raise typer.BadParameter("--lane is for recordings as they were; with --to name --venue and --symbol")
        _export_to(opts, folder, to, venue, symbol, channel, (start, end), dry_run=dry_run)
    if venue or symbol or channel or start or end:
        raise typer.BadParameter("--venue, --symbol, --channel, --start and --end need --to")
    from tidelake.jobs.exports import export_recording, export_recordings, import_lanes
    from tidelake.raw.codec import key_from_environment

    store, key = opts.open_store(), key_from_environment()
    if dry_run:
        opts.show([{"lane": name} for name in import_lanes(store) if lane in ("", name)], ("lane",))
        return
    if lane:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / lane).open("wb") as out:
            done = [export_recording(store, lane, out, key=key)]
    else:
        done = export_recordings(store, folder, key=key)
    opts.show(done, ("lane", "file", "lines", "bytes", "complete"))
    raise typer.Exit(DONE if all(recording.complete for recording in done) else DONE_WITH_GAPS)


def _export_to(
    opts: Options,
    folder: Path,
    to: str,
    venue: str,
    symbol: str,
    channel: str,
    times: tuple[str, str],
    *,
    dry_run: bool,
) -> NoReturn:
    """The export in a vendor's layout."""
    from tidelake.books.judging import HORIZON_NS
    from tidelake.jobs.report import to_ns
    from tidelake.jobs.vendor_exports import PlannedExport, VendorExport, export_to_vendor, plan_export
    from tidelake.raw.codec import key_from_environment

    first, last = (point(time) for time in times)
    start_ns, end_ns = to_ns(first) if first else 0, to_ns(last) if last else HORIZON_NS
    lake = opts.open_lake()
    if dry_run:
        plans = plan_export(lake.store, to, source=venue or None, start_ns=start_ns, end_ns=end_ns)
        opts.show(plans, PlannedExport)
        raise typer.Exit(DONE)
    with opts.progress("export") as progress:
        report = export_to_vendor(
            lake.store,
            folder,
            to,
            source=venue or None,
            symbol=symbol or None,
            channel=channel or None,
            start_ns=start_ns,
            end_ns=end_ns,
            mappings=lake.mappings,
            key=key_from_environment(),
            progress=progress,
        )
    opts.finish(report, VendorExport)
