"""Commands on tables: derive, candles, sql."""

import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidelake.cli.options import DONE, DONE_WITH_GAPS, Options, example, options
from tidelake.cli.output import as_row
from tidelake.cli.progress import Advance
from tidelake.cli.times import point

if TYPE_CHECKING:
    from tidelake.raw.store import Store


class Origin(StrEnum):
    """Where bars come from."""

    trades = "trades"
    venue = "venue"


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command(epilog=example("derive", "derive trades --dry-run"))(derive)
    app.command(epilog=example("candles BTC-USD 1h", "candles ETH-USD --origin venue --format csv"))(candles)
    app.command(epilog=example("conflicts", "conflicts trades --format json"))(conflicts)
    app.command(
        epilog=example(
            'sql "select source, count(*) n, max(price) high from trades group by source"',
            "sql --as-of 2024-08-01T12:00Z --format csv \"select * from trades where symbol = 'BTC-USD'\"",
            "sql - < query.sql",
        )
    )(sql)


def derive(
    ctx: typer.Context,
    tables: Annotated[
        list[str] | None, typer.Argument(metavar="TABLE", help="Tables to derive; all by default.")
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Drop the tables first; raw is not touched.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be read; touch nothing.")] = False,
) -> None:
    """Turn what is new in the raw log into rows.

    Exactly once: a run that was killed goes on where it was. Exits with 3 where rows went to quarantine.
    """
    opts = options(ctx)
    lake = opts.open_lake()
    if dry_run:
        opts.show(lake.pending(tables or ()))
        return
    with opts.progress("derive") as advance:
        run = lake.rebuild if rebuild else lake.derive
        reports = run(tables or (), progress=_bytes_done(advance))
    opts.show([_totals(report) for report in reports], REPORT_COLUMNS)
    if rebuild:
        _say_not_derived(opts, lake.store, tables or ())
    raise typer.Exit(DONE_WITH_GAPS if any(getattr(report, "rejected", 0) for report in reports) else DONE)


def _say_not_derived(opts: Options, store: "Store", tables: Sequence[str]) -> None:
    """What became of the tables that other commands fill."""
    from tidelake.tables.delta import exists
    from tidelake.tables.registry import TABLES

    for table in TABLES.values():
        if table.filled_by and table.name in tables:
            opts.say(f"{table.name} was dropped; `tidelake {table.filled_by}` fills it again")
        elif table.filled_by and not tables and exists(store, table.name):
            opts.say(f"{table.name} was left as it is: `tidelake {table.filled_by}` fills it; name it to drop it")


REPORT_COLUMNS = (
    "table", "entries", "lines_read", "rows_read", "rows_added", "repeats", "contested", "rejected", "commits",
    "merged", "merge_ms",
)  # fmt: skip


def _totals(report: object) -> dict[str, Any]:
    row = dict(as_row(report))
    return {"table": "candles from trades", "rows_added": row["bars"]} if "bars" in row else row


def _bytes_done(advance: Advance) -> Callable[[str, int], None]:
    done = 0

    def add(table: str, size: int) -> None:
        nonlocal done
        done += size
        advance(done, None, table)

    return add


def candles(
    ctx: typer.Context,
    symbol: Annotated[str, typer.Argument(help="Canonical symbol, such as BTC-USD.")],
    interval: Annotated[str, typer.Argument(help="Length of a bar: 1s to 1d and multiples.")] = "1m",
    source: Annotated[str, typer.Option(help="Only this source.")] = "",
    origin: Annotated[Origin, typer.Option(help="Built from trades, or the venue's own bars.")] = Origin.trades,
    as_of: Annotated[str, typer.Option(help="Only what was known at this time.")] = "",
) -> None:
    """Show the bars of a symbol.

    Built from its trades, or as the venue says them; the two are never mixed.
    """
    opts = options(ctx)
    lake = opts.open_lake()
    opts.show(lake.candles(symbol, interval, source=source or None, origin=origin.value, as_of=point(as_of)))


def conflicts(
    ctx: typer.Context,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A table whose rows may not be restated.")] = "trades",
) -> None:
    """List rows that contradict the one that stands.

    The earliest version of a trade stands; later different ones are reported here, and exit with 3.
    """
    opts = options(ctx)
    found = opts.open_lake().conflicts(table)
    opts.show(found)
    raise typer.Exit(DONE_WITH_GAPS if found.height else DONE)


def sql(
    ctx: typer.Context,
    query: Annotated[str, typer.Argument(help='A query in the dialect of DuckDB; "-" reads it from stdin.')],
    as_of: Annotated[str, typer.Option(help="Only what was known at this time.")] = "",
) -> None:
    """Ask the tables in SQL.

    The answer is DuckDB's. Views carry DOUBLE price, size and notional beside the exact columns.
    """
    opts = options(ctx)
    text = sys.stdin.read() if query == "-" else query
    opts.show(opts.open_lake().sql(text, as_of=point(as_of)))
