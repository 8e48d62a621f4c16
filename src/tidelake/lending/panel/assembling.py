"""The panel out of the tables it rests on: frames in, a frame out; one row for each market and day, none left out."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tidelake.lending.market import Market
from tidelake.lending.panel.columns import (
    AMOUNTS,
    HELD_AMOUNTS,
    LIQUIDATED_AMOUNTS,
    OBSERVED,
    SCHEMA,
    USD_EXACT,
)
from tidelake.lending.panel.holdings import KEY, hold_by_day, value_positions
from tidelake.lending.panel.liquidated import ALWAYS_TELL_BAD_DEBT, liquidate_by_day, value_liquidations

COLLATERAL_IN_LOGS = ("morpho_blue",)
EVENT_COUNTS = ("liquidations", "liquidations_unpriced")
KNOWN = ("known_at", "prices_known_at", "liquidations_known_at", "logs_known_at")


@dataclass(frozen=True)
class Facts:
    """What the panel rests on, as it stood at one moment.

    Attributes:
        positions: Rows of `lending_positions` of days, with `date`, the day of their grid time.
        liquidations: Rows of `lending_liquidations`, with `date`, the day of their block.
        prices: The price that counts of each `chain`, `token` and `date`: `price_usd`, `price_source`, `price_status`
            ("AGREED", "ALONE", "DISAGREE") and `known_at`.
        log_days: What is known of the logs of each `market` and `date`: `logs_state`, one of `LOG_STATES`, and
            `known_at`. A market and day without a row is NOT_COLLECTED.
        blocks: `chain`, `block_hash` and `finality` of blocks.
        collateral_days: `market` and `date` of the days on which it is known what collateral a market holds, of
            families whose contracts do not tell it; its rows are among the positions.
        decimals: `chain`, `asset` and `decimals`; `parts`: `market`, `part`, `loan` and `collateral`. See
            `liquidated.value_liquidations`.
    """

    positions: pl.DataFrame
    liquidations: pl.DataFrame
    prices: pl.DataFrame
    log_days: pl.DataFrame
    blocks: pl.DataFrame
    collateral_days: pl.DataFrame
    decimals: pl.DataFrame
    parts: pl.DataFrame


def assemble_panel(
    facts: Facts, markets: Mapping[str, Market], ids: Sequence[str], days: Sequence[dt.date]
) -> pl.DataFrame:
    """The balanced panel: each of these markets on each of these days, in the order of market and date.

    Args:
        facts: What it rests on; other markets and days in it are left out.
        markets: The registry.
        ids: The markets of the panel: each in the registry, or with a position at least.
        days: The days of the panel.
    """
    grid = pl.DataFrame({"market": sorted(set(ids))}, schema={"market": pl.String}).join(
        pl.DataFrame({"date": sorted(set(days))}, schema={"date": pl.Date}), how="cross"
    )
    positions = facts.positions.join(grid, on=list(KEY), how="semi")
    liquidations = facts.liquidations.join(grid, on=list(KEY), how="semi")
    held = hold_by_day(value_positions(positions, facts.prices))
    liquidated = liquidate_by_day(
        value_liquidations(liquidations, positions, facts.prices, facts.decimals, facts.parts)
    )
    logs = facts.log_days.select(*KEY, "logs_state", logs_known_at="known_at")
    rows = grid.join(_told(positions, facts.blocks), on=list(KEY), how="left")
    collateral = facts.collateral_days.select(*KEY, collateral_known=pl.lit(True))
    for found in (held, liquidated, logs, collateral):
        rows = rows.join(found, on=list(KEY), how="left")
    named = rows.join(_names(markets, facts.positions), on="market", how="left")
    return _finish(_with_logs(_with_total(_with_status(named))))


def unbalanced(panel: pl.DataFrame) -> pl.DataFrame:
    """The observations alone: the rows of a panel that have amounts."""
    return panel.filter(pl.col("status").is_in(OBSERVED))


def _told(positions: pl.DataFrame, blocks: pl.DataFrame) -> pl.DataFrame:
    """What each market and day was told as: its state, block and clock."""
    days = positions.group_by(KEY).agg(
        pl.col("chain").first(),
        pl.col("state").first(),
        pl.col("reason").first(),
        pl.col("block_number").first(),
        pl.col("block_hash").first(),
        pl.col("known_at").max(),
    )
    seen = blocks.select("chain", "block_hash", "finality").unique(["chain", "block_hash"], keep="first")
    return days.join(seen, on=["chain", "block_hash"], how="left").drop("chain")


def _names(markets: Mapping[str, Market], positions: pl.DataFrame) -> pl.DataFrame:
    """Protocol, version, family and chain of markets; of those that the registry does not hold, as their rows say."""
    names = ("protocol", "version", "family", "chain")
    listed = {id: [getattr(market, name) for name in names] for id, market in markets.items()}
    stored = positions.group_by("market").agg(pl.col("protocol", "family", "chain").first())
    for id, protocol, family, chain in stored.rows():
        listed.setdefault(id, [protocol, None, family, chain])
    schema = dict.fromkeys(("market", *names), pl.String)
    return pl.DataFrame([[id, *said] for id, said in listed.items()], schema=schema, orient="row")


def _with_status(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with `status` and `reason`; a market that holds nothing at all holds zero dollars."""
    state = pl.col("state")
    is_read, is_empty = state == "OK", pl.col("assets").is_null()
    unpriced = pl.col("assets_held") > pl.col("assets_priced")
    nothing = ("supplied_usd", "collateral_usd", "borrowed_usd", "available_usd")
    counts = ("assets", "assets_held", "assets_priced", "assets_disagreed")
    return rows.with_columns(
        status=pl.when(state.is_null())
        .then(pl.lit("NOT_COLLECTED"))
        .when(is_read & ~pl.col("known"))
        .then(pl.lit("NOT_PRICED"))
        .when(is_read & unpriced)
        .then(pl.lit("PARTLY_PRICED"))
        .otherwise(state),
        reason=pl.when(is_read & unpriced).then(pl.lit("no price: ") + pl.col("unpriced")).otherwise("reason"),
        **{name: pl.when(is_read & is_empty).then(pl.lit(0, USD_EXACT)).otherwise(name) for name in nothing},
        **{name: pl.when(is_read & is_empty).then(pl.lit(0, pl.Int64)).otherwise(name) for name in counts},
    )


def _with_total(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with the total value; neither it nor the collateral is known where only logs tell of the latter."""
    is_known = ~pl.col("family").is_in(COLLATERAL_IN_LOGS) | pl.col("collateral_known").fill_null(False)
    rows = rows.with_columns(collateral_usd=pl.when(is_known).then("collateral_usd"))
    return rows.with_columns(total_value_usd=pl.col("supplied_usd") + pl.col("collateral_usd") - pl.col("borrowed_usd"))


def _with_logs(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with what was liquidated: nothing is zero where all logs of the day are known, and null elsewhere."""
    status = (
        pl.when(pl.col("status") == "NOT_DEPLOYED")
        .then(pl.lit("NOT_DEPLOYED"))
        .otherwise(pl.col("logs_state").fill_null("NOT_COLLECTED"))
    )
    is_known = pl.col("liquidations_status").is_in(["OK", "UNPROVEN"])
    always = pl.col("family").is_in(ALWAYS_TELL_BAD_DEBT) | pl.col("bad_debt_usd").is_not_null()
    none = pl.col("liquidations").is_null()
    zero = pl.lit(0, USD_EXACT)
    return rows.with_columns(liquidations_status=status).with_columns(
        liquidations_known_at=pl.when(is_known).then("liquidations_known_at"),
        **{name: pl.when(is_known).then(pl.col(name).fill_null(0)) for name in EVENT_COUNTS},
        **{
            name: pl.when(is_known & none).then(zero).when(is_known).then(name)
            for name in ("liquidations_usd", "seized_usd")
        },
        bad_debt_usd=pl.when(is_known & always & none).then(zero).when(is_known).then("bad_debt_usd"),
    )


def _finish(rows: pl.DataFrame) -> pl.DataFrame:
    """The columns of the panel, amounts in both forms."""
    exact = rows.with_columns(
        known_at=pl.max_horizontal(KNOWN),
        **{f"{column.name}_exact": pl.col(column.name) for column in AMOUNTS},
    )
    amounts = [pl.col(name).cast(pl.Float64) for name in (*HELD_AMOUNTS, *LIQUIDATED_AMOUNTS)]
    told = exact.with_columns(amounts).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    return told.sort(KEY)
