"""Commands on recordings: import, export."""

from pathlib import Path
from typing import Annotated

import typer

from tidelake.cli.options import DONE, DONE_WITH_GAPS, example, options


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command(
        "import",
        epilog=example(
            "import ./captures --from cryptofeed --dry-run", "import btcusdt.gz --from hftbacktest --venue binance-usdm"
        ),
    )(import_files)
    app.command(
        "export", epilog=example("export ./out", "export ./out --lane import.coinbase.cryptofeed.9f2c41d0a1b2c3d4")
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the recordings and write nothing.")] = False,
) -> None:
    """Write imported recordings as they were.

    Byte for byte, gzip undone. Exits with 3 where an import was not finished.
    """
    opts = options(ctx)
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
