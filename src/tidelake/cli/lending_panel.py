"""The command that makes the panel of lending markets: lending panel."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from tidelake.cli.options import DONE, DONE_WITH_GAPS, example, options
from tidelake.cli.output import Format
from tidelake.cli.times import point

DAY = ["%Y-%m-%d"]
FIRST_COLUMNS = (
    "date market status total_value_usd supplied_usd collateral_usd borrowed_usd utilisation assets share_priced "
    "liquidations_status liquidations liquidations_usd"
)


def register(lending: typer.Typer) -> None:
    """Add the command to the group."""
    lending.command(
        epilog=example(
            "lending panel --out panel",
            "lending panel --start 2024-01-01 --end 2025-01-01 --unbalanced --out panel --html panel.html",
            "lending panel --as-of 2024-06-01T12:00Z --out panel-of-june",
        )
    )(panel)


def panel(
    ctx: typer.Context,
    markets: Annotated[
        list[str] | None, typer.Option(help="Ids, tiers, families or chains; may be given again.")
    ] = None,
    start: Annotated[datetime | None, typer.Option(formats=DAY, help="First UTC day.")] = None,
    end: Annotated[datetime | None, typer.Option(formats=DAY, help="Day after the last.")] = None,
    as_of: Annotated[str, typer.Option(help="Only what was known then, such as 2024-06-01T12:00Z.")] = "",
    balanced: Annotated[
        bool, typer.Option("--balanced/--unbalanced", help="A row for each market and day, or the observations alone.")
    ] = True,
    out: Annotated[Path | None, typer.Option(help="Folder for panel.parquet, panel.csv and metadata.json.")] = None,
    html: Annotated[Path | None, typer.Option(help="File for a page with charts.")] = None,
) -> None:
    """What lending markets hold and what is liquidated in them, in USD: a row for each market and UTC day.

    Writes files, or without --out and --html the rows themselves (all columns in JSON and CSV). Exits with 3 where days
    were not collected, failed or have no price, or where their liquidations are not known.
    """
    from tidelake.lending.panel.columns import GAPS, LOG_GAPS

    opts = options(ctx)
    lake = opts.open_lake()
    days = (None if day is None else day.date() for day in (start, end))
    ids = [market.id for market in lake.lending.markets(markets)] if markets else []
    found = lake.lending_panel(ids, start=next(days), end=next(days), as_of=point(as_of), balanced=balanced)
    if out is not None:
        from tidelake.lending.panel.files import PanelFile, write_panel

        opts.show(write_panel(lake.store, found, out), PanelFile)
    if html is not None:
        from tidelake.lending.panel.page import write_panel_page

        opts.say(f"{html}: {write_panel_page(html, found):,} bytes")
    if out is None and html is None:
        opts.show(found.rows, columns=FIRST_COLUMNS.split() if opts.form is Format.table else ())
    missing = sum(status in GAPS for status in found.balanced["status"])
    unknown = sum(status in LOG_GAPS for status in found.balanced["liquidations_status"])
    opts.say(
        f"{found.rows.height:,} rows, {len(found.days):,} days; {missing:,} market days without an amount, "
        f"{unknown:,} whose liquidations are not known"
    )
    raise typer.Exit(DONE_WITH_GAPS if missing or unknown else DONE)
