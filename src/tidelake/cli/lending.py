"""Commands on lending markets: lending markets, collect, status, recheck, update, panel, prices."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tidelake.cli import lending_panel, lending_prices
from tidelake.cli.options import Options, example, options
from tidelake.cli.output import Format

if TYPE_CHECKING:
    from tidelake.client_lending import Lending
    from tidelake.jobs.collect_lending import CollectSettings

DAY = ["%Y-%m-%d"]
Markets = Annotated[list[str] | None, typer.Option(help="Ids, tiers, families or chains; may be given again.")]
Workers = Annotated[int, typer.Option(min=1, help="Requests' worth of markets in hand at once.")]
Prove = Annotated[
    bool, typer.Option("--prove-logs", help="Prove logs of a single provider by the headers of all blocks: dear.")
]
Grid = Annotated[str, typer.Option(help="daily, hourly, or block: every block.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    lending = typer.Typer(
        name="lending", no_args_is_help=True, rich_markup_mode=None, epilog=example("lending markets")
    )
    lending.callback()(_lending)
    lending.command(epilog=example("lending markets", "lending markets --markets ethereum --format json"))(markets)
    lending.command(
        epilog=example(
            "lending collect --start 2024-01-01 --end 2025-01-01 --dry-run",
            "lending collect --markets aave_v3 --start 2024-01-01 --end 2024-02-01 --retry-failed",
        )
    )(collect)
    lending.command(epilog=example("lending status", "lending status --markets core --format json"))(status)
    lending.command(epilog=example("lending recheck --last 400"))(recheck)
    lending.command(epilog=example("lending update"))(update)
    lending_panel.register(lending)
    lending_prices.register(lending)
    app.add_typer(lending)


def _lending() -> None:
    """Lending markets: what they hold, what is liquidated in them, and what it is worth, from chain data."""


def markets(ctx: typer.Context, markets: Markets = None) -> None:
    """List the markets of the registry, ours and yours, after it was validated."""
    from tidelake.client_lending import Lending
    from tidelake.raw.store import Store

    opts = options(ctx)
    found = Lending(Store.open("memory:///registry")).markets(markets or [])
    opts.show(
        [
            {
                "market": market.id,
                "title": market.title,
                "family": market.family,
                "version": market.version,
                "chain": market.chain,
                "tier": market.tier,
                "status": market.status,
                "deployed_block": market.deployment.block,
                "doubts": len(market.doubts),
            }
            for market in found
        ]
    )
    opts.say(f"{len(found)} markets, no problem found")


def collect(
    ctx: typer.Context,
    start: Annotated[datetime, typer.Option(formats=DAY, help="First UTC day.")],
    end: Annotated[datetime, typer.Option(formats=DAY, help="Day after the last.")],
    markets: Markets = None,
    granularity: Grid = "daily",
    workers: Workers = 8,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be asked and what it costs.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Ask again for what failed.")] = False,
    not_final: Annotated[bool, typer.Option("--not-final", help="Take blocks that are not final too.")] = False,
    prove_logs: Prove = False,
) -> None:
    """Read the state of markets at each day's last block, and their logs, into the raw log.

    Default: the markets of tier core. Providers: TIDELAKE_RPC_<CHAIN> (docs/rpc.md). Run again it goes on where it
    ended. Exits with 3 where something is missing.
    """
    opts = options(ctx)
    lending = _door(opts, make=True, dry_run=dry_run)
    asked = markets or ["core"]
    with opts.progress("lending collect") as advance:
        settings = _settings(granularity, workers, advance, retry_failed, dry_run, not_final, prove_logs)
        report = lending.collect(asked, start.date(), end.date(), settings)
    from tidelake.jobs.lending_report import MarketReport

    opts.finish(report, MarketReport)


def status(ctx: typer.Context, markets: Markets = None) -> None:
    """What is collected of each market, what failed and why, and what is stale."""
    from tidelake.jobs.lending_status import MarketStatus

    opts = options(ctx)
    rows = _door(opts).status(markets or [])
    columns = () if opts.form is Format.json else MarketStatus
    opts.show(rows, columns)
    opts.say(f"{len(rows)} markets, {sum(row.failed for row in rows):,} grid times failed")


def recheck(
    ctx: typer.Context,
    last: Annotated[int, typer.Option(min=0, help="Grid times of each chain, the newest; 0: all.")] = 40,
) -> None:
    """Look at pinned blocks again; retract what was read at those that are none of their chain any more."""
    from tidelake.jobs.lending_recheck import Rechecked

    opts = options(ctx)
    opts.finish(_door(opts).recheck(last=last), Rechecked)


def update(ctx: typer.Context, markets: Markets = None, workers: Workers = 8, prove_logs: Prove = False) -> None:
    """The daily increment: recheck, then collect up to yesterday, and try again what failed."""
    from tidelake.jobs.lending_report import MarketReport

    opts = options(ctx)
    lending = _door(opts)
    with opts.progress("lending update") as advance:
        settings = _settings("daily", workers, advance, retry_failed=True, prove_logs=prove_logs)
        rechecked, report = lending.update(markets or [], settings=settings)
    opts.say(rechecked.summary)
    opts.finish(report, MarketReport)


def _door(opts: Options, *, make: bool = False, dry_run: bool = False) -> "Lending":
    return opts.open_lake(make=make, dry_run=dry_run).lending


def _settings(
    granularity: str,
    workers: int,
    advance: "object",
    retry_failed: bool,
    dry_run: bool = False,
    not_final: bool = False,
    prove_logs: bool = False,
) -> "CollectSettings":
    from typing import get_args

    from tidelake.errors import ConfigError
    from tidelake.jobs.collect_lending import CollectSettings
    from tidelake.lending.grid import Granularity

    if granularity not in get_args(Granularity):
        raise ConfigError(f"no granularity {granularity!r}; there are {', '.join(get_args(Granularity))}")
    done = 0

    def progress(market: str, more: int) -> None:
        nonlocal done
        done += more
        if callable(advance):
            advance(done, None, market)

    return CollectSettings(
        granularity=granularity,  # type: ignore[arg-type]
        workers=workers,
        retry_failed=retry_failed,
        dry_run=dry_run,
        final=not not_final,
        prove_logs=prove_logs,
        progress=progress,
    )
