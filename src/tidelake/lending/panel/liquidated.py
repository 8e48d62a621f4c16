"""What was liquidated in markets, day by day: liquidations times prices."""

import polars as pl

from tidelake.lending.panel.holdings import KEY
from tidelake.lending.panel.valuing import is_held, total, whole, with_prices, worth

LOG = ("block_hash", "tx_hash", "log_index")
ACCOUNT = ("block_hash", "tx_hash", "borrower")  # what Compound v3 absorbs at once, a log for each of its assets
ALWAYS_TELL_BAD_DEBT = ("morpho_blue",)


def value_liquidations(
    liquidations: pl.DataFrame,
    positions: pl.DataFrame,
    prices: pl.DataFrame,
    decimals: pl.DataFrame,
    parts: pl.DataFrame,
) -> pl.DataFrame:
    """The liquidations, each with `debt_usd`, `seized_usd` and `unpaid_usd`; null where they are not known.

    Args:
        liquidations: Rows of `lending_liquidations` with `date`, the day of their block.
        positions: As of `holdings.value_positions`: those of a cToken tell what asset stands behind it, and how much.
        prices: See `valuing.with_prices`.
        decimals: `chain`, `asset` and `decimals`, for assets of which the row does not tell them.
        parts: `market`, `part`, and the assets `loan` and `collateral` of parts of markets whose logs do not name them.
    """
    rows = _with_decimals(_with_seized(_with_debt(liquidations, positions, parts), positions), decimals)
    rows = with_prices(rows, prices, "debt_asset", "debt_")
    rows = with_prices(rows, prices, "seized_asset", "seized_")
    debt_price = pl.col("debt_price")
    return rows.with_columns(
        debt_usd=worth(whole("debt_repaid", "debt_repaid_raw", "debt_decimals"), debt_price),
        unpaid_usd=worth(whole("bad_debt", "bad_debt_raw", "debt_decimals"), debt_price),
        seized_usd=worth(whole("seized", "seized_raw", "seized_decimals"), pl.col("seized_price")),
    )


def _with_debt(liquidations: pl.DataFrame, positions: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """The liquidations with the debt's asset, where the log names it by its part of the market alone."""
    lent = positions.filter(pl.col("part") != "", pl.col("role") == "loan")
    by_day = lent.select(*KEY, "part", pl.col("asset").alias("lent"))
    rows = liquidations.join(by_day, on=[*KEY, "part"], how="left", maintain_order="left")
    rows = rows.join(parts, on=["market", "part"], how="left", maintain_order="left")
    return rows.with_columns(debt_asset=pl.coalesce("debt_asset", "lent", "loan"))


def _with_seized(rows: pl.DataFrame, positions: pl.DataFrame) -> pl.DataFrame:
    """The liquidations with what was seized in units of an asset that has a price.

    Of Compound v2 that is what stood behind the seized cTokens at the end of the day.
    """
    shares = positions.filter(pl.col("shares_raw").is_not_null()).select(
        *KEY,
        pl.col("part").alias("collateral_asset"),
        pl.col("asset").alias("behind"),
        pl.col("supplied_raw").alias("behind_raw"),
        "shares_raw",
    )
    found = rows.join(shares, on=[*KEY, "collateral_asset"], how="left", maintain_order="left")
    is_share = pl.col("family") == "compound_v2"
    named = pl.when(pl.col("collateral_asset") != "").then("collateral_asset").otherwise("collateral")
    return found.with_columns(
        seized_asset=pl.when(is_share).then("behind").otherwise(named),
        seized_decimals=pl.when(~is_share).then("collateral_decimals"),
        seized=pl.when(~is_share).then("collateral_seized"),
        seized_raw=pl.when(is_share).then(_behind()).otherwise("collateral_seized_raw"),
    )


def _with_decimals(rows: pl.DataFrame, decimals: pl.DataFrame) -> pl.DataFrame:
    for side in ("debt", "seized"):
        told = decimals.select("chain", pl.col("asset").alias(f"{side}_asset"), pl.col("decimals").alias("told"))
        joined = rows.join(told, on=["chain", f"{side}_asset"], how="left", maintain_order="left")
        rows = joined.with_columns(pl.coalesce(f"{side}_decimals", "told").alias(f"{side}_decimals")).drop("told")
    return rows


def _behind() -> pl.Expr:
    given = pl.struct("collateral_seized_raw", "behind_raw", "shares_raw")
    return given.map_elements(
        lambda told: _share(told["collateral_seized_raw"], told["behind_raw"], told["shares_raw"]),
        return_dtype=pl.String,
        skip_nulls=False,
    )


def _share(part: str | None, behind: str | None, shares: str | None) -> str | None:
    """What stands behind a part of the shares, in the smallest unit of the asset, rounded down."""
    if part is None or behind is None or shares is None or int(shares) == 0:
        return None
    return str(int(part) * int(behind) // int(shares))


def liquidate_by_day(valued: pl.DataFrame) -> pl.DataFrame:
    """Each market and day with liquidations or unpaid debt: sums in USD, exact, and their count."""
    debt, seized, unpaid = "debt_repaid_raw", "collateral_seized_raw", "bad_debt_raw"
    each = valued.with_columns(
        event=_event(),
        liquidates=pl.col(debt).is_not_null() | pl.col(seized).is_not_null(),
        unknown=(is_held(debt) & pl.col("debt_usd").is_null())
        | (is_held(seized) & pl.col("seized_usd").is_null())
        | (is_held(unpaid) & pl.col("unpaid_usd").is_null()),
    )
    return each.group_by(KEY).agg(
        liquidations=pl.col("event").filter("liquidates").n_unique().cast(pl.Int64),
        liquidations_unpriced=pl.col("event").filter("unknown").n_unique().cast(pl.Int64),
        liquidations_usd=total(pl.col("debt_usd"), is_held(debt)),
        seized_usd=total(pl.col("seized_usd"), is_held(seized)),
        bad_debt_usd=pl.when(pl.col(unpaid).is_not_null().any()).then(total(pl.col("unpaid_usd"), is_held(unpaid))),
        liquidations_known_at=pl.max_horizontal(
            pl.col("known_at").max(), pl.col("debt_price_known_at").max(), pl.col("seized_price_known_at").max()
        ),
    )


def _event() -> pl.Expr:
    """Which liquidation a row is part of."""
    by_account = pl.concat_str(*ACCOUNT, separator=" ")
    return pl.when(pl.col("family") == "compound_v3").then(by_account).otherwise(pl.concat_str(*LOG, separator=" "))
