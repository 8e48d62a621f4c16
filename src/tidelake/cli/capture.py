"""The command that listens to venues: capture."""

import datetime as dt
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tidelake.cli.options import example, options
from tidelake.cli.times import span

DEFAULT_NTP = "time.cloudflare.com"


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command(
        epilog=example(
            "capture coinbase BTC-USD ETH-USD --channels trades,book,quotes --for 60s",
            "capture binance-spot BTC-USDT kraken:BTC-USD okx:BTC-USDT --channels trades",
            "capture kraken BTC-USD --bus redis://localhost:6379",
            "capture binance-spot BTC-USDT --dry-run",
            "capture --sessions docs/sessions.toml --dry-run",
        )
    )(capture)


def capture(
    ctx: typer.Context,
    venue: Annotated[
        str, typer.Argument(metavar="VENUE", help="Source id, such as coinbase or binance-spot.", show_default=False)
    ] = "",
    symbols: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SYMBOL", help="Canonical symbols; VENUE:SYMBOL is one of another venue.", show_default=False
        ),
    ] = None,
    sessions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file of capture sessions, by schedule or regime, instead of VENUE and SYMBOL; see below.",
        ),
    ] = None,
    channels: Annotated[
        str,
        typer.Option(help="Of: trades, book, quotes, candles, funding, open_interest, liquidations."),
    ] = "trades,book,quotes",
    duration: Annotated[
        str, typer.Option("--for", help="How long, such as 60s or 2h; else until Ctrl-C.", metavar="SPAN")
    ] = "",
    rotate: Annotated[str, typer.Option(help="Seal what is older than so long.", metavar="SPAN")] = "1h",
    rotate_mb: Annotated[int, typer.Option(min=1, help="Seal what is longer, before it is compressed.")] = 64,
    codec: Annotated[str, typer.Option(help="zstd or gzip.")] = "zstd",
    ntp: Annotated[
        str, typer.Option(help="Time server asked once an hour; empty: our clock's offset stays unknown.")
    ] = DEFAULT_NTP,
    audit_every: Annotated[
        str,
        typer.Option(help="Compare each book with a REST page once in so long, where there is one; 0s: never."),
    ] = "10m",
    regimes: Annotated[
        bool,
        typer.Option("--regimes/--no-regimes", help="Keep with each sealed part what kind of minutes it holds."),
    ] = True,
    bus: Annotated[
        str,
        typer.Option(
            help="Publish rows to this Redis, such as redis://localhost:6379. Else: TIDELAKE_BUS, then tidelake.toml; "
            "empty: nowhere.",
            show_default=False,
        ),
    ] = "",
    keep: Annotated[str, typer.Option(help="Age at which rows leave the bus: 5m to 15m.", metavar="SPAN")] = "10m",
    url: Annotated[
        str, typer.Option("--url", help="Ask here instead of the venues, such as a simulated one.", show_default=False)
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and ask nobody.")] = False,
) -> None:
    """Keep what venues say over WebSocket, live.

    Every frame verbatim, with the clocks of its receipt; sealed by age and size, and at the end. Exits with 3 where
    something is missing or was refused. Ctrl-C ends it in good order.

    A file of sessions has a [[session]] for each: name, symbols (VENUE:SYMBOL, or with a venue), channels, and when:
    days, start, end (UTC), or every and for, or when = ["high-volume", "special-event", ..] with watch and until,
    judged on a stream that is captured as well; [regimes] holds the options of `tidelake regimes`. docs/sessions.toml
    is one. With --dry-run: what would run when in the next 24 hours.
    """
    opts = options(ctx)
    from tidelake.config import setting
    from tidelake.jobs.capture import CaptureSettings, capture as run
    from tidelake.jobs.capture_report import CapturedStream, CaptureReport
    from tidelake.jobs.capture_sessions import (
        PlannedWindow,
        SessionOutcome,
        SessionsReport,
        plan_sessions,
        run_sessions,
    )
    from tidelake.jobs.capture_sessions_file import read_sessions
    from tidelake.jobs.regimes import RegimeSettings
    from tidelake.jobs.session import Settings
    from tidelake.live.redis_bus import RedisBus

    if codec not in ("zstd", "gzip"):
        raise typer.BadParameter("--codec is zstd or gzip")
    if bool(sessions) == bool(venue) or bool(venue) != bool(symbols):
        raise typer.BadParameter("give VENUE and SYMBOL, or --sessions FILE, which says them")
    if sessions and getattr(ctx.get_parameter_source("channels"), "name", "DEFAULT") != "DEFAULT":
        raise typer.BadParameter("--channels does not go with --sessions: each session says its own")
    lake = opts.open_lake(make=True, dry_run=dry_run)
    length = span("--for", duration).total_seconds() if duration else None
    address = "" if dry_run else setting("bus", bus, default="")
    redis = RedisBus(address, keep=span("--keep", keep)) if address else None
    capturing = CaptureSettings(
        rotate_seconds=span("--rotate", rotate).total_seconds(),
        rotate_bytes=rotate_mb << 20,
        publish=redis.publish if redis else None,
        ntp="" if dry_run else ntp,
        regimes=RegimeSettings() if regimes else None,
        audit_seconds=span("--audit-every", audit_every).total_seconds(),
    )
    settings = Settings(mappings=lake.mappings, url=url or None, codec="gzip" if codec == "gzip" else "zstd")
    if sessions and dry_run:
        opts.finish(plan_sessions(read_sessions(sessions), dt.datetime.now(dt.UTC)), PlannedWindow)
    report: CaptureReport | SessionsReport
    with opts.progress("capture") as progress, closing(redis) if redis else nullcontext():
        settings = replace(settings, progress=progress)
        if sessions:
            file = read_sessions(sessions)
            report = run_sessions(lake.store, file, seconds=length, settings=settings, capturing=capturing)
        else:
            report = run(
                lake.store,
                by_venue(venue, symbols or []),
                channels=[word.strip() for word in channels.split(",") if word.strip()],
                seconds=length,
                dry_run=dry_run,
                settings=settings,
                capturing=capturing,
            )
    if redis is not None:
        shed = f"; {redis.shed} were shed: Redis was too slow or away" if redis.shed else ""
        opts.say(f"bus: {redis.published} rows published{shed}")
    opts.finish(report, SessionOutcome if sessions else CapturedStream)


def by_venue(venue: str, symbols: list[str]) -> dict[str, list[str]]:
    """Symbols by source id; one with a colon names its own."""
    found: dict[str, list[str]] = {}
    for symbol in symbols:
        source, colon, name = symbol.rpartition(":")
        found.setdefault(source if colon else venue, []).append(name)
    return found
