"""What markets hold, day by day: positions times prices."""

import polars as pl

from tidelake.lending.panel.valuing import is_held, total, whole, with_prices, worth

KEY = ("market", "date")
SIDES = ("supplied", "borrowed", "available")


def value_positions(positions: pl.DataFrame, prices: pl.DataFrame) -> pl.DataFrame:
    """The positions of markets that were read, each with its price, `held`, and its sides in USD.

    Args:
        positions: Rows of `lending_positions` of one granularity, with `date`, the day of their grid time.
        prices: See `valuing.with_prices`.
    """
    read = positions.filter(pl.col("state") == "OK", pl.col("asset") != "")
    priced = with_prices(read, prices, "asset")
    return priced.with_columns(
        held=is_held("supplied_raw", "borrowed_raw"),
        **{f"{side}_usd": worth(whole(side, f"{side}_raw", "decimals"), pl.col("price")) for side in SIDES},
    ).with_columns(valued=pl.col("supplied_usd").is_not_null() & pl.col("borrowed_usd").is_not_null())


def hold_by_day(valued: pl.DataFrame) -> pl.DataFrame:
    """Each market and day that was read and holds positions: sums in USD, exact, and what is known of the prices."""
    return (
        _sums(valued)
        .join(_by_asset(valued), on=list(KEY), how="left")
        .with_columns(share_priced=_ratio(pl.col("assets_priced"), pl.col("assets_held")))
    )


def _sums(valued: pl.DataFrame) -> pl.DataFrame:
    held, is_loan = pl.col("held"), pl.col("role") == "loan"
    supplied = pl.col("supplied_usd")
    untold = held & is_loan & pl.col("valued") & pl.col("available_raw").is_null()
    sums = valued.group_by(KEY).agg(
        known=(held & pl.col("valued")).any() | ~held.any(),
        supplied_usd=total(pl.when(is_loan).then(supplied), held & is_loan),
        collateral_usd=total(pl.when(~is_loan).then(supplied), held & ~is_loan),
        borrowed_usd=total(pl.col("borrowed_usd"), held & is_loan),
        available_usd=pl.when(~untold.any()).then(
            total(pl.when(is_loan).then(pl.col("available_usd")), held & is_loan)
        ),
        owned=supplied.sum().cast(pl.Float64),
        agreed=pl.when(pl.col("price_status") == "AGREED").then(supplied).sum().cast(pl.Float64),
        price_sources=pl.col("price_source").filter(held & pl.col("valued")).unique().sort().str.join(" "),
        prices_known_at=pl.col("price_known_at").filter(held).max(),
    )
    return sums.with_columns(
        utilisation=_ratio(pl.col("borrowed_usd").cast(pl.Float64), pl.col("supplied_usd").cast(pl.Float64)),
        share_agreed=_ratio(pl.col("agreed"), pl.col("owned")),
        price_sources=pl.when(pl.col("price_sources") != "").then(pl.col("price_sources")),
    ).drop("owned", "agreed")


def _ratio(part: pl.Expr, of: pl.Expr) -> pl.Expr:
    return pl.when(of > 0).then(part / of)


def _by_asset(valued: pl.DataFrame) -> pl.DataFrame:
    """Counts of assets: an asset is priced where all positions in it that hold anything are."""
    held = pl.col("held")
    assets = valued.group_by(*KEY, "asset").agg(
        held=held.any(),
        priced=(pl.col("valued") | ~held).all(),
        disagreed=(held & (pl.col("price_status") == "DISAGREE").fill_null(False)).any(),
        symbol=pl.col("symbol").drop_nulls().first(),
    )
    unpriced = pl.col("held") & ~pl.col("priced")
    named = pl.when(pl.col("symbol").fill_null("") != "").then(pl.col("symbol")).otherwise(pl.col("asset"))
    return assets.group_by(KEY).agg(
        assets=pl.len().cast(pl.Int64),
        assets_held=pl.col("held").sum().cast(pl.Int64),
        assets_priced=(pl.col("held") & pl.col("priced")).sum().cast(pl.Int64),
        assets_disagreed=pl.col("disagreed").sum().cast(pl.Int64),
        unpriced=named.filter(unpriced).sort().str.join(", "),
    )
