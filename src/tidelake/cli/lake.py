"""Commands on a lake as a whole: init, status, verify, maintain, explain."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from tidelake.cli.options import DONE, FAILED, example, options


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command(epilog=example("init ./lake", "init s3://bucket/lake --dry-run"))(init)
    app.command(epilog=example("status", "--lake ./lake status --format json"))(status)
    app.command(epilog=example("verify", "verify --shallow --format json"))(verify)
    app.command(epilog=example("maintain", "maintain --dry-run"))(maintain)
    app.command(epilog=example("explain 9f2c41d0a1b2c3d4:17", "explain 9f2c41d0a1b2c3d4:17:3 --format json"))(explain)


def init(
    ctx: typer.Context,
    where: Annotated[str, typer.Argument(metavar="PATH_OR_URL", help="Where the lake shall be.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be made and touch nothing.")] = False,
) -> None:
    """Make an empty lake.

    Writes a tidelake.toml into this folder that points to it, unless there is one.
    """
    opts = options(ctx)
    from tidelake.config import FILE_NAME

    url = where or opts.lake_url()
    file = Path.cwd() / FILE_NAME
    keeps = file.exists()
    if not dry_run:
        from tidelake.raw.store import Store

        next(iter(Store.open(url).list("ledger/")), None)  # asks the store once, so that a wrong address shows now
        if not keeps:
            file.write_text(f"lake = {_toml_text(url)}\n", encoding="utf-8")
    opts.show({"lake": url, "settings": str(file), "settings_written": not (keeps or dry_run), "dry_run": dry_run})


def status(ctx: typer.Context) -> None:
    """Say what the lake holds.

    Each table with its rows, files, bytes and commits; on stderr the lanes and frames of the raw log.
    """
    opts = options(ctx)
    from tidelake.raw.ledger import Ledger

    lake = opts.open_lake()
    ledger = Ledger(lake.store)
    lanes = ledger.lanes()
    frames = sum(ledger.head(lane).next_n for lane in lanes)
    opts.say(f"{lake.store.url}: {len(lanes)} lanes, {frames} sealed frames")
    opts.show(lake.tables())


def verify(
    ctx: typer.Context,
    shallow: Annotated[
        bool, typer.Option("--shallow", help="Check the chains and the names; read no segment.")
    ] = False,
) -> None:
    """Check the raw log against its hashes.

    Reads every segment, finds again what it claims, and walks every chain; names each problem and exits with 1 where
    there is one.
    """
    opts = options(ctx)
    from tidelake.raw.verify import verify as run
    from tidelake.tables.describe import describe_again

    lake = opts.open_lake()
    with opts.progress("verify") as progress:
        report = run(lake.store, deep=not shallow, progress=progress, describe_for=describe_again(lake.mappings))
    opts.show(report.problems, columns=("kind", "key", "lane", "seq", "message"))
    counts = ", ".join(f"{count} {name}" for name, count in report.counts.items())
    opts.say(f"verified {counts}: {len(report.problems)} problems")
    if others := report.counts["claims_not_compared"]:
        opts.say(f"{others} entries: claims made under another parser or mapping, not compared")
    raise typer.Exit(FAILED if report.problems else DONE)


def maintain(
    ctx: typer.Context,
    tables: Annotated[
        list[str] | None, typer.Argument(metavar="TABLE", help="Tables to maintain; all by default.")
    ] = None,
    keep_days: Annotated[float, typer.Option(help="Files written within these days stay.")] = 7.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be compacted and touch nothing.")] = False,
) -> None:
    """Compact the files of tables.

    Also removes files that no recent version of a table needs. Drops no version of a row.
    """
    opts = options(ctx)
    from tidelake.tables.maintain import SHORTEST_KEEP, Maintained

    if not SHORTEST_KEEP / timedelta(days=1) <= keep_days <= timedelta.max.days:
        raise typer.BadParameter(f"--keep-days: {keep_days:g} is too little or too much; at least an hour, 1/24, stays")
    with opts.progress("maintain"):
        rows = opts.open_lake().maintain(tables or (), keep_days=keep_days, dry_run=dry_run)
    opts.show(rows, Maintained)


def explain(
    ctx: typer.Context,
    row: Annotated[
        str,
        typer.Argument(metavar="SEGMENT:LINE[:ITEM]", help="The row's columns `segment`, `line` and `item`."),
    ],
) -> None:
    """Show where a row comes from.

    Its raw frame, the ledger entry that sealed it, and the chain that holds the entry.
    """
    opts = options(ctx)
    from tidelake.raw.explain import explain as run

    segment, line, item = parse_row(row)
    opts.show(run(opts.open_store(), segment, line, item))


def parse_row(text: str) -> tuple[str, int, int]:
    """Segment, line and item of "SEGMENT:LINE[:ITEM]"; the item is 0 where it is not given.

    Raises:
        BadParameter: The text has another form.
    """
    segment, _, place = text.partition(":")
    line, _, item = place.partition(":")
    if len(segment) != 16 or not line.isdecimal() or not (item or "0").isdecimal():
        raise typer.BadParameter(f"{text!r} is not SEGMENT:LINE or SEGMENT:LINE:ITEM, with 16 digits of segment")
    return segment, int(line), int(item or 0)


def _toml_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
