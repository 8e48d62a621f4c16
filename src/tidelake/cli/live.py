"""Commands on fresh rows: live tail."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tidelake.cli.options import Options, example, options
from tidelake.cli.output import write_line

if TYPE_CHECKING:
    from tidelake.live.bus import Subscription


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    live = typer.Typer(
        name="live",
        no_args_is_help=True,
        rich_markup_mode=None,
        epilog=example("live tail BTC-USD:trades --bus redis://localhost:6379"),
    )
    live.callback()(_live)
    live.command(
        epilog=example(
            "live tail BTC-USD:trades --bus redis://localhost:6379 --format json",
            "live tail BTC-USD:price_difference --bus redis://localhost:6379 --after 0",
        )
    )(tail)
    app.add_typer(live)


def _live() -> None:
    """Read the bus that captures publish to."""


def tail(
    ctx: typer.Context,
    stream: Annotated[
        str,
        typer.Argument(
            metavar="SYMBOL:FEED",
            help="Feeds: trades, quotes, book, candles, funding, open_interest, liquidations; derived: spread, "
            "imbalance, order_flow, price_difference, latency_difference.",
        ),
    ],
    bus: Annotated[
        str, typer.Option(help="Address of Redis. Else: TIDELAKE_BUS, then tidelake.toml.", show_default=False)
    ] = "",
    after: Annotated[str, typer.Option(help="Go on after this id; 0 gives all that is kept.", metavar="ID")] = "",
    over: Annotated[str, typer.Option(help="What a derived feed is made from: book or quotes.")] = "book",
    count: Annotated[int, typer.Option(min=0, help="End after so many rows; 0: until Ctrl-C.")] = 0,
) -> None:
    """Print rows of the bus as they come.

    JSON has one object a line. The bus inside a process is not seen from outside, so this reads Redis.
    """
    opts = options(ctx)
    import asyncio

    from tidelake.client_live import subscribe_to
    from tidelake.config import setting

    asyncio.run(_tail(opts, subscribe_to(stream, setting("bus", bus), after=after or None, over=over), count))


async def _tail(opts: Options, rows: "Subscription", count: int) -> None:
    given = 0
    async with rows:
        async for row in rows:
            write_line(row, opts.form, sys.stdout, first=not given)
            sys.stdout.flush()
            given += 1
            if given == count:
                break
    if rows.shed:
        opts.say(f"{rows.shed} rows were trimmed before they were read")
