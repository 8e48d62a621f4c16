"""The command that asks providers for the past of coins: stablecoins backfill."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from tidelake.cli.options import example, options
from tidelake.cli.times import needed_point, point


def register(stablecoins: typer.Typer) -> None:
    """Add the command to the group."""
    stablecoins.command(
        epilog=example(
            "stablecoins backfill USDC USDT --start 2025-06-01 --end 2025-09-01",
            "stablecoins backfill DAI --start 30d --sources coingecko --dry-run",
        )
    )(backfill)


def backfill(
    ctx: typer.Context,
    coins: Annotated[list[str], typer.Argument(help="Symbols, such as USDC.")],
    start: Annotated[str, typer.Option(help="First moment, such as 2025-06-01 or 30d.")],
    end: Annotated[str, typer.Option(help="Last moment.  [default: now]", show_default=False)] = "",
    sources: Annotated[
        str, typer.Option(help="Whom to ask, with commas.  [default: all that can be asked]", show_default=False)
    ] = "",
    url: Annotated[str, typer.Option(help="Ask here instead of the sources.", show_default=False)] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and ask nobody.")] = False,
) -> None:
    """Fetch the past of coins: prices and volumes by the hour, what circulated by the day.

    Answers are kept in lanes coins.<source>.past; `replay --from lake --assume-latency` plays them. What the
    lake holds is not asked for again, and a run that was stopped goes on. Exits with 3 where a request got no answer.
    """
    opts = options(ctx)
    from tidelake.errors import NotInLake
    from tidelake.jobs.coin_past import PastOutcome, fetch_past
    from tidelake.jobs.coin_polls import PollSettings
    from tidelake.providers.registry import COIN_SOURCES
    from tidelake.stablecoins.registry import coins as registry
    from tidelake.stablecoins.sources.refs import coin_refs

    known = registry()
    for asked in coins:
        if asked not in known:
            raise NotInLake(f"no coin is called {asked!r}", available=tuple(known))
    names = [name.strip() for name in sources.split(",") if name.strip()]
    names = names or [one.name for one in COIN_SOURCES.values() if not one.no_history]
    wanted = [ref for ref in coin_refs(known.values()) if ref.symbol in coins]
    since, until = needed_point(start), point(end) or datetime.now(UTC)
    if until < since:
        raise typer.BadParameter(f"--end: {until:%Y-%m-%dT%H:%M} lies before --start")
    lake = opts.open_lake(make=True, dry_run=dry_run)
    with opts.progress("stablecoins backfill") as progress:
        settings = PollSettings(urls=dict.fromkeys(names, url) if url else {})
        report = fetch_past(
            lake.store, wanted, names, since, until, dry_run=dry_run, settings=settings, progress=progress
        )
    opts.finish(report, PastOutcome)
