"""The command `lending prices`."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from tidelake.cli.options import example, options

if TYPE_CHECKING:
    from tidelake.providers.spec import Token


def register(lending: typer.Typer) -> None:
    """Add the command to the group."""
    lending.command(
        epilog=example(
            "lending prices --start 2024-01-01 --end 2024-02-01",
            "lending prices --start 2024-01-01 --end 2024-02-01 --sources coingecko --refresh",
            "lending prices --token ethereum:0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48 --start 2024-01-01 "
            "--end 2024-01-08 --dry-run",
        )
    )(prices)


def prices(
    ctx: typer.Context,
    start: Annotated[str, typer.Option(help="First UTC day, inclusive.")] = "",
    end: Annotated[str, typer.Option(help="Last UTC day, exclusive.")] = "",
    markets: Annotated[
        list[str] | None, typer.Option(help="Ids, tiers, families or chains; may be given again.")
    ] = None,
    token: Annotated[
        list[str] | None, typer.Option(help="This token instead, as chain:address; may be repeated.")
    ] = None,
    sources: Annotated[str, typer.Option(help="Whom to ask, in order, with commas.")] = "defillama,coingecko",
    refresh: Annotated[bool, typer.Option("--refresh", help="Ask again for what the lake holds.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Requests to one source in hand at once.")] = 4,
    url: Annotated[str, typer.Option(help="Ask here instead of the sources.", show_default=False)] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and ask nobody.")] = False,
) -> None:
    """Fetch prices of the tokens that markets hold or that are liquidated in them.

    Each token and day once, for all markets; what the lake holds is not asked for again. Restated prices become
    revisions. Exits with 3 where a request got no answer.
    """
    opts = options(ctx)
    from tidelake.jobs.prices import PriceSettings, PricesOutcome, every_day, fetch_prices, wanted_by_markets

    first, last = _day(start, "--start"), _day(end, "--end")
    lake = opts.open_lake(make=bool(token), dry_run=dry_run)
    if token:
        if first is None or last is None:
            raise typer.BadParameter("--token needs --start and --end")
        wanted = every_day([_token(one) for one in token], first, last)
    else:
        ids = [one.id for one in lake.lending.markets(markets)] if markets else []
        wanted = wanted_by_markets(lake.store, markets=ids, start=first, end=last)
        if not wanted:
            opts.say("no market of the lake holds a token then: collect markets and `tidelake derive` first")
    names = [name.strip() for name in sources.split(",") if name.strip()]
    with opts.progress("lending prices") as progress:
        settings = PriceSettings(urls=dict.fromkeys(names, url) if url else {}, workers=workers, progress=progress)
        report = fetch_prices(lake.store, wanted, names, refresh=refresh, dry_run=dry_run, settings=settings)
    opts.finish(report, PricesOutcome)


def _day(text: str, option: str) -> dt.date | None:
    if not text:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError as exc:
        raise typer.BadParameter(f"{option}: {text!r} is no day such as 2024-01-31") from exc


def _token(text: str) -> "Token":
    from tidelake.chains.addresses import checksummed
    from tidelake.chains.registry import CHAINS
    from tidelake.providers.spec import Token

    chain, _, address = text.partition(":")
    if chain not in CHAINS:
        raise typer.BadParameter(f"--token: {text!r} is no chain:address of a chain such as {', '.join(CHAINS)}")
    try:
        return Token(chain, checksummed(address).lower())
    except ValueError as exc:
        raise typer.BadParameter(f"--token: {exc}") from None
