"""Which prices the page draws, and their points: the last price of each short stretch of time, per stream."""

from dataclasses import dataclass

import polars as pl

from tidelake.client import Lake

STRETCHES_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
POINTS = 150
MOST_STREAMS = 6


@dataclass(frozen=True)
class Prices:
    """Points of a chart.

    Attributes:
        asset: The base asset that all streams share; "" where no venues were heard at the same time.
        stretch: Length of a stretch, such as "1 min".
        points: source, symbol, at, price, apart_bp (distance from the median of all streams in that stretch, or null).
    """

    asset: str
    stretch: str
    points: pl.DataFrame

    @property
    def streams(self) -> list[tuple[str, str]]:
        """Source and symbol, in order."""
        return self.points.select("source", "symbol").unique().sort("source", "symbol").rows()


def choose_prices(lake: Lake, asset: str = "") -> Prices:
    """One asset at all venues heard at the same time, or else the busiest stream of each venue."""
    trades = (
        lake.scan("trades")
        .select("source", "symbol", "event_time", "trade_seq", "price", pl.col("known_at").dt.date().alias("day"))
        .with_columns(base=pl.col("symbol").str.split("-").list.first())
        .collect()
    )
    if asset:
        trades = trades.filter(pl.col("base") == asset)
    counts = trades.group_by("base", "day", "source", "symbol").len().sort("len", "symbol", descending=[True, False])
    best = counts.unique(["base", "day", "source"], keep="first", maintain_order=True)
    shared = best.group_by("base", "day").agg(n=pl.len(), trades=pl.col("len").sum())
    base, day, venues, _ = shared.sort("n", "trades", "base", descending=True).row(0)
    if venues > 1:
        kept = best.filter(pl.col("base") == base, pl.col("day") == day)
    else:
        kept = best.sort("len", descending=True).unique("source", keep="first", maintain_order=True).head(MOST_STREAMS)
    rows = trades.join(kept.select("source", "symbol", "day"), on=["source", "symbol", "day"])
    if not asset:
        rows = rows.filter(pl.col("event_time").dt.date() >= pl.col("day"))  # a venue's first frame may tell old trades
    return _points(rows, str(base) if venues > 1 else "")


def _points(rows: pl.DataFrame, asset: str) -> Prices:
    at = pl.col("event_time")
    if asset:  # pages reach back differently far; begin where all venues are heard
        begins = rows.group_by("source").agg(at.min())["event_time"].max()
        common = rows.filter(at >= begins)
        rows = common if 2 * common.height > rows.height else rows
    stretch_s = next((s for s in STRETCHES_S if _most_points(rows, s) <= POINTS), STRETCHES_S[-1])
    last = (
        rows.sort("event_time", "trade_seq")
        .group_by("source", "symbol", at.dt.truncate(f"{stretch_s}s").alias("at"))
        .agg(pl.col("price").cast(pl.Float64).last())
    )
    median = pl.col("price").median().over("at")
    apart = pl.when(pl.len().over("at") > 2).then(1e4 * (pl.col("price") / median - 1))
    points = last.with_columns(apart_bp=apart).sort("source", "symbol", "at")
    return Prices(asset, f"{stretch_s} s" if stretch_s < 60 else f"{stretch_s // 60} min", points)


def _most_points(rows: pl.DataFrame, stretch_s: int) -> int:
    stretch = pl.col("event_time").dt.truncate(f"{stretch_s}s")
    counts = rows.group_by("source", "symbol").agg(stretch.n_unique().alias("points"))["points"]
    return int(counts.max())  # type: ignore[arg-type]
