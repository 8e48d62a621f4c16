"""Command that writes simulated histories of stablecoins: sim coins."""

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from tidelake.cli.options import options

_CRISIS = (
    "What goes wrong: seeded, or a plan such as depeg:USDC@10d+12h=0.12,reorg:ethereum@250h=32,down:coingecko@10d+40m."
)


def coins(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder to write; must be empty or missing.", file_okay=False)],
    days: Annotated[int, typer.Option(min=1, help="Length of the history.")] = 30,
    seed: Annotated[int, typer.Option(help="Same seed, same files.")] = 1,
    start: Annotated[str, typer.Option(help="First UTC day.")] = "2024-01-01",
    coins: Annotated[str, typer.Option(help="Symbols, with commas.")] = "USDC,USDT,DAI,BUSD",
    chains: Annotated[
        str, typer.Option(help="Of ethereum, arbitrum, solana; the first is the home.")
    ] = "ethereum,arbitrum",
    crisis: Annotated[str, typer.Option(help=_CRISIS, metavar="PLAN")] = "",
    changes: Annotated[float, typer.Option(min=0, help="Mints and burns a day, of each coin on each chain.")] = 120.0,
    faultless: Annotated[
        bool, typer.Option("--faultless", help="Nothing doubled, restated, late or reorganised, but for the crisis.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Only values and times, as users' own files: final facts, without blocks.")
    ] = False,
) -> None:
    """Write a simulated history of stablecoins: CSV files by chain, and the truth beside them.

    Prices, volumes, liquidity, mints and burns, sentiment, volatility, heads with their tiers, as sources told them; in
    `truth/` what they said in the end, what was true in each minute, and what was planned. A row for each file goes to
    stdout.
    """
    opts = options(ctx)
    from dataclasses import replace

    from tidelake.sim.coins.csv_files import write_folder
    from tidelake.sim.coins.history import CoinHistory
    from tidelake.sim.coins.plan import NO_FAULTS, CoinPlan, Rates, day_us

    plan = CoinPlan(
        seed=seed,
        start_us=day_us(_day(start)),
        days=days,
        coins=_names(coins),
        chains=_names(chains),
        rates=replace(NO_FAULTS if faultless else Rates(), changes=changes),
    ).with_crisis(crisis)
    written = write_folder(CoinHistory(plan), out, plain=plain)
    opts.show([{"file": name, "rows": rows} for name, rows in written.rows.items()])
    opts.say(f"{written.told:,} words told, {written.final:,} final facts; the truth is in {out / 'truth'}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--start: {text!r} is no day such as 2024-01-01") from None
