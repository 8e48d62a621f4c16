"""What amounts of assets are worth on their day, exactly, or null where that is not known."""

from decimal import Decimal, localcontext

import polars as pl

from tidelake.lending.panel.columns import USD_EXACT

PRICE_KEY = ("chain", "token", "date")
MOST_USD = 10**15  # more than all there is: a position worth more has a price that cannot be true, or no real amount
MOST_WHOLE = 10**20  # what has more digits before the point fits no exact column
PLACES = Decimal("1e-18")


def with_prices(rows: pl.DataFrame, prices: pl.DataFrame, asset: str, prefix: str = "") -> pl.DataFrame:
    """The rows with what is known of the price of the asset that a column names.

    Args:
        rows: `chain`, `date`, and the column `asset`.
        prices: At most one row for each chain, token and date: `price_usd`, `price_source`, `price_status`, `known_at`.
        prefix: Set before the names of the four columns, which come as `price`, `price_source`, `price_status`,
            `price_known_at`.
    """
    told = prices.select(
        "chain",
        "date",
        pl.col("token").alias(asset),
        pl.col("price_usd").alias(f"{prefix}price"),
        pl.col("price_source").alias(f"{prefix}price_source"),
        pl.col("price_status").alias(f"{prefix}price_status"),
        pl.col("known_at").alias(f"{prefix}price_known_at"),
    )
    return rows.join(told, on=["chain", "date", asset], how="left", maintain_order="left")


def worth(amount: pl.Expr, price: pl.Expr) -> pl.Expr:
    """Amount times price, rounded to 18 places; null where either is, or where it is more than `MOST_USD`."""
    about = amount.cast(pl.Float64) * price.cast(pl.Float64)
    good = about.abs() <= MOST_USD
    return (pl.when(good).then(amount) * pl.when(good).then(price)).cast(USD_EXACT)


def whole(amount: str, raw: str, decimals: str) -> pl.Expr:
    """An amount in whole assets: the exact column, or where it is null the integer beside it, rounded to 18 places.

    Null where neither is told, and where it has more than 20 digits before the point.
    """
    given = pl.struct(raw, decimals)
    rounded = given.map_elements(
        lambda told: _whole(told[raw], told[decimals]), return_dtype=USD_EXACT, skip_nulls=False
    )
    return pl.when(pl.col(amount).is_not_null() | pl.col(raw).is_null()).then(pl.col(amount)).otherwise(rounded)


def _whole(raw: str | None, decimals: int | None) -> Decimal | None:
    if raw is None or decimals is None:
        return None
    with localcontext(prec=120):
        amount = Decimal(raw).scaleb(-decimals)
        return amount.quantize(PLACES) if abs(amount) < MOST_WHOLE else None


def is_held(*raws: str) -> pl.Expr:
    """Whether any of these raw integers is told and not zero."""
    return pl.any_horizontal((pl.col(raw) != "0").fill_null(False) for raw in raws)


def total(value: pl.Expr, needed: pl.Expr) -> pl.Expr:
    """The sum of the values that are known; null where values are needed and none is known."""
    return pl.when((needed & value.is_not_null()).any() | ~needed.any()).then(value.sum())


def known_decimals(positions: pl.DataFrame, prices: pl.DataFrame) -> pl.DataFrame:
    """The decimals of assets by `chain` and `asset`: as contracts tell them, else as all price sources do."""
    told = [
        positions.select("chain", "asset", "decimals", rank=0),
        prices.select("chain", pl.col("token").alias("asset"), "decimals", rank=1),
    ]
    each = pl.concat(told).drop_nulls("decimals").unique()
    best = each.filter(pl.col("rank") == pl.col("rank").min().over("chain", "asset"))
    return best.filter(pl.len().over("chain", "asset") == 1).select("chain", "asset", "decimals")
