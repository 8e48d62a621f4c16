"""Commands on stablecoins: coins, backfill, replay, watch, windows, alerts, explain, page, calibrate, episodes."""

from datetime import datetime
from typing import Annotated

import typer

from tidelake.cli import (
    stablecoin_backfill,
    stablecoin_calibrate,
    stablecoin_episodes,
    stablecoin_reading,
    stablecoin_replay,
    stablecoin_watch,
)
from tidelake.cli.options import example, options

DAY = ["%Y-%m-%d"]
Names = Annotated[list[str] | None, typer.Option(help="Symbols or chains; may be given again.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    stablecoins = typer.Typer(
        name="stablecoins", no_args_is_help=True, rich_markup_mode=None, epilog=example("stablecoins coins")
    )
    stablecoins.callback()(_stablecoins)
    stablecoins.command(
        epilog=example("stablecoins coins --at 2023-03-01", "stablecoins coins --coins USDC --deployments")
    )(coins)
    stablecoin_backfill.register(stablecoins)
    stablecoin_replay.register(stablecoins)
    stablecoin_watch.register(stablecoins)
    stablecoin_reading.register(stablecoins)
    stablecoin_calibrate.register(stablecoins)
    stablecoin_episodes.register(stablecoins)
    app.add_typer(stablecoins)


def _stablecoins() -> None:
    """Stablecoins: which there are, on which chains, how their supply comes and goes, and what is believed of them."""


def coins(
    ctx: typer.Context,
    coins: Names = None,
    at: Annotated[datetime | None, typer.Option(formats=DAY, help="Only coins that are there on this UTC day.")] = None,
    deployments: Annotated[bool, typer.Option("--deployments", help="A row for each chain and contract.")] = False,
) -> None:
    """List the coins of the registry, ours and yours, after it was validated."""
    from tidelake.errors import NotInLake
    from tidelake.stablecoins.registry import coins as registry

    opts = options(ctx)
    known = registry(at.date() if at else None)
    names = {name: {name, *(deployment.chain for deployment in coin.deployments)} for name, coin in known.items()}
    for asked in coins or []:
        if not any(asked in fitting for fitting in names.values()):
            raise NotInLake(f"no coin or chain is called {asked!r}", available=tuple(known))
    found = [coin for name, coin in known.items() if not coins or names[name] & set(coins)]
    if deployments:
        opts.show(
            [
                {
                    "coin": coin.symbol,
                    "chain": deployment.chain,
                    "address": deployment.address,
                    "symbol": deployment.symbol,
                    "decimals": deployment.decimals,
                    "form": deployment.form,
                    "counted": deployment.counted,
                    "changes": deployment.changes,
                    "doubts": len(deployment.doubts),
                }
                for coin in found
                for deployment in coin.deployments
                if not coins or coin.symbol in coins or deployment.chain in coins
            ]
        )
    else:
        opts.show(
            [
                {
                    "coin": coin.symbol,
                    "issuer": coin.issuer,
                    "peg_mechanism": coin.peg_mechanism,
                    "start": coin.start.date if coin.start else None,
                    "end": coin.end.date if coin.end else None,
                    "deployments": len(coin.deployments),
                    "counted": sum(deployment.counted is True for deployment in coin.deployments),
                    "outside": len(coin.outside),
                    "doubts": len(coin.doubts),
                }
                for coin in found
            ]
        )
    opts.say(f"{len(found)} coins, no problem found")
