"""The panel of a lake: its tables read as they stand, or as they stood at a moment."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tidelake.errors import NotInLake
from tidelake.lending.market import Market
from tidelake.lending.panel.assembling import Facts, assemble_panel, unbalanced
from tidelake.lending.panel.collateral_reading import read_collateral
from tidelake.lending.panel.liquidated import value_liquidations
from tidelake.lending.panel.log_days import ChainNotes, judge_logs, read_chain_notes
from tidelake.lending.panel.logs_in_tables import refuse_unread
from tidelake.lending.panel.valuing import known_decimals
from tidelake.lending.price_judgement import judge_prices
from tidelake.lending.registry import markets as known_markets
from tidelake.raw.store import Store
from tidelake.tables.chain_blocks import CHAIN_BLOCKS
from tidelake.tables.lending_liquidations import LENDING_LIQUIDATIONS
from tidelake.tables.lending_positions import LENDING_POSITIONS
from tidelake.tables.read import scan
from tidelake.tables.token_prices import TOKEN_PRICES

PRICE_KEY = ("chain", "token", "grid_time")
SIDES = ("debt", "seized")
DAY = dt.timedelta(days=1)
FIRST_DAY = dt.date(2015, 7, 30)


@dataclass(frozen=True)
class Asked:
    """What was asked of the panel.

    Attributes:
        markets: Ids, in order; empty for all that the lake holds anything of.
        start, end: UTC days, `end` exclusive; None for the first day in the lake, and for the day after the last.
        as_of: Only what was known then, a time with zone; None for all that is known.
        balanced: A row for each market and day, else the observations alone.
    """

    markets: tuple[str, ...] = ()
    start: dt.date | None = None
    end: dt.date | None = None
    as_of: dt.datetime | None = None
    balanced: bool = True


@dataclass(frozen=True)
class Panel:
    """The panel as it was asked for.

    Attributes:
        asked: What was asked.
        rows: Its rows, with the columns of `columns.SCHEMA`, by market and date.
        balanced: A row for each market and day, whatever was asked.
        markets: What the registry says of its markets, in order; those that it does not hold are left out.
        days: Its days, in order.
        facts: What it rests on.
    """

    asked: Asked
    rows: pl.DataFrame
    balanced: pl.DataFrame
    markets: tuple[Market, ...]
    days: tuple[dt.date, ...]
    facts: Facts


def read_panel(store: Store, asked: Asked) -> Panel:
    """The panel of a lake.

    Raises:
        NotInLake: The lake holds no day of any market, a market that was asked for is neither in it nor in the
            registry, no day lies between start and end, or one is before Ethereum's first or after today.
    """
    positions = _read_positions(store, asked.as_of)
    registry = known_markets()
    ids = _ids(asked, positions, tuple(registry))
    days = _days(asked, positions)
    held = [registry[id] for id in ids if id in registry]
    notes = {chain: read_chain_notes(store, chain, asked.as_of) for chain in sorted({one.chain for one in held})}
    facts = read_facts(store, asked.as_of, positions, held, ids, days, notes)
    rows = assemble_panel(facts, registry, ids, days)
    return Panel(asked, rows if asked.balanced else unbalanced(rows), rows, tuple(held), days, facts)


def assets_valued(store: Store) -> pl.DataFrame:
    """Assets that the panel values: `chain`, `market`, `asset` and `date`, each once; none where the lake holds no day.

    They are those of positions, of collateral that only logs tell, and of liquidations.
    """
    try:
        facts = read_panel(store, Asked()).facts
    except NotInLake:
        return pl.DataFrame(schema={"chain": pl.String, "market": pl.String, "asset": pl.String, "date": pl.Date})
    valued = value_liquidations(facts.liquidations, facts.positions, facts.prices, facts.decimals, facts.parts)
    sides = [valued.select("chain", "market", pl.col(f"{side}_asset").alias("asset"), "date") for side in SIDES]
    held = facts.positions.select("chain", "market", "asset", "date")
    found = pl.concat([held, *sides]).filter(pl.col("asset").fill_null("") != "").unique()
    return found.sort("chain", "market", "asset", "date")


def read_facts(
    store: Store,
    as_of: dt.datetime | None,
    positions: pl.DataFrame,
    markets: Sequence[Market],
    ids: Sequence[str],
    days: Sequence[dt.date],
    notes: Mapping[str, ChainNotes],
) -> Facts:
    """What the panel of these markets and days rests on."""
    wanted = pl.col("date").is_between(days[0], days[-1]), pl.col("market").is_in(ids)
    told = scan(store, TOKEN_PRICES, as_of=as_of).collect()
    decimals = known_decimals(positions, told)
    collateral = read_collateral(store, as_of, positions.filter(wanted), markets, notes, decimals)
    return Facts(
        positions=pl.concat([positions.filter(wanted), collateral.positions]),
        liquidations=_read_liquidations(store, as_of).filter(wanted),
        prices=_judged_prices(told.filter(pl.col("grid_time").dt.date().is_between(days[0], days[-1]))),
        log_days=refuse_unread(judge_logs(notes, markets, days), store, as_of, markets),
        blocks=scan(store, CHAIN_BLOCKS, as_of=as_of).select("chain", "block_hash", "finality").collect(),
        collateral_days=collateral.days,
        decimals=decimals,
        parts=collateral.parts,
    )


def _read_positions(store: Store, as_of: dt.datetime | None) -> pl.DataFrame:
    held = scan(store, LENDING_POSITIONS, as_of=as_of, retracted=True)
    rows = held.filter(pl.col("granularity") == "daily")
    found = rows.with_columns(
        date=pl.col("grid_time").dt.date(),
        state=pl.when(pl.col("status") == "active").then("state").otherwise(pl.lit("RETRACTED")),
    ).collect()
    if found.is_empty():
        if others := held.select(pl.col("granularity").unique()).collect()["granularity"].sort().to_list():
            raise NotInLake(
                f"the panel is of days, and the lake holds positions of granularity {', '.join(others)} alone. "
                "`tidelake lending collect --granularity daily` collects days; the others stand in `lending_positions`."
            )
        when = f" as of {as_of.isoformat()}" if as_of else ""
        raise NotInLake(
            f"the lake holds no day of any lending market{when}. `tidelake lending collect` collects them, and "
            "`tidelake derive` makes the tables."
        )
    return found


def _read_liquidations(store: Store, as_of: dt.datetime | None) -> pl.DataFrame:
    rows = scan(store, LENDING_LIQUIDATIONS, as_of=as_of)
    return rows.with_columns(date=pl.col("event_time").dt.date()).collect()


def _judged_prices(told: pl.DataFrame) -> pl.DataFrame:
    """The price that counts of each token and day; it is known when the last price that it was judged by is."""
    known = told.group_by(PRICE_KEY).agg(pl.col("known_at").max())
    judged = judge_prices(told).join(known, on=list(PRICE_KEY), how="left")
    return judged.with_columns(date=pl.col("grid_time").dt.date())


def _ids(asked: Asked, positions: pl.DataFrame, registry: tuple[str, ...]) -> list[str]:
    held = positions["market"].unique().to_list()
    known = sorted({*held, *registry})
    if missing := [id for id in asked.markets if id not in known]:
        raise NotInLake(
            f"no market {missing[0]!r} in the registry or the lake; `tidelake lending markets` lists them",
            available=tuple(known),
        )
    return sorted(set(asked.markets or held))


def _days(asked: Asked, positions: pl.DataFrame) -> tuple[dt.date, ...]:
    first, last = positions["date"].min(), positions["date"].max()
    assert isinstance(first, dt.date), "there are rows, and their date is never null"
    assert isinstance(last, dt.date), "there are rows, and their date is never null"
    start, end = asked.start or first, asked.end or last + DAY
    latest = dt.datetime.now(dt.UTC).date() + DAY
    if start < FIRST_DAY or end > latest:
        raise NotInLake(
            f"the panel begins with {FIRST_DAY}, Ethereum's first day, at the earliest, and ends before "
            f"{latest} at the latest; asked for {start} to {end} (exclusive)"
        )
    if end <= start:
        raise NotInLake(
            f"no day lies between {start} and {end} (exclusive); the lake holds days from {first} to {last}"
        )
    return tuple(start + DAY * n for n in range((end - start).days))
