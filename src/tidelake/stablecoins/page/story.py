"""What the page tells of one coin: prices and confidence, a stretch of windows, alerts, what was taken back."""

import datetime as dt
from dataclasses import dataclass
from typing import Final

import polars as pl

from tidelake.raw.store import Store
from tidelake.stablecoins.reading import (
    ALL_CHAINS,
    Asked,
    alerts,
    attestations,
    corrections,
    incidents,
    windows,
)

MOST_POINTS: Final = 1_500
LONG: Final = dt.timedelta(days=2)  # beyond it windows of five minutes are drawn, not of one
BEFORE, AFTER = dt.timedelta(minutes=25), dt.timedelta(minutes=35)  # of the stretch, around what it is about
STRETCH_S: Final = 300
RESTATED: Final = 0.0025  # of the first price: a first word that lay further off is shown


@dataclass(frozen=True)
class Story:
    """One coin of one replay.

    Attributes:
        step_s: Seconds that a row of `prices` stands for: a window, or several.
        prices: Windows over all chains in order, several of them in a row where there are many: `at`, `price`, `low`,
            `high`, `first` and `last` (the scores of the first version and of the one that stands, the lowest of the
            row), `minted`, `burned` (tokens).
        restated: `at`, `price` of what windows said at first and do not say now.
        stretch: All versions of some windows of one chain, around what was taken back or an alert.
        about: What the stretch is around, in words; "" where nothing happened.
        seen_at: When that was known.
        alerts: All steps.
        corrections, incidents: As the tables have them.
        counts: Windows over all chains of the length drawn, up to the last in which anything was told: all, FINAL,
            FINAL with a score below 0.8 (`weak`); `attested` of all.
        weakest: The factor that most often was the smallest of those FINAL windows; "" where there are none.
    """

    coin: str
    step_s: int
    prices: pl.DataFrame
    restated: pl.DataFrame
    stretch: pl.DataFrame
    about: str
    seen_at: dt.datetime | None
    alerts: pl.DataFrame
    corrections: pl.DataFrame
    incidents: pl.DataFrame
    counts: dict[str, int]
    weakest: str

    @property
    def last_steps(self) -> pl.DataFrame:
        """The last step of each alert, in the order in which they fired."""
        return self.alerts.unique("alert_id", keep="last", maintain_order=True)


FACTORS: Final = ("finality", "cross_chain", "completeness", "staleness", "reorg")


def read_story(store: Store, coin: str, run: str, as_of: dt.datetime | None = None) -> Story:
    """What a replay told of a coin, as it stands or stood.

    Raises:
        NotInLake: It told nothing of it.
    """
    asked = Asked(coin, None, run, as_of=as_of)
    over = Asked(coin, ALL_CHAINS, run, as_of=as_of)
    versions, window_s = windows(store, over, window_s=300, versions=True), 300
    if versions["event_time"].max() - versions["event_time"].min() <= LONG:  # type: ignore[operator]
        versions, window_s = windows(store, over, window_s=60, versions=True), 60
    versions = _until_nothing_was_told(versions)
    steps, taken = alerts(store, asked), corrections(store, asked)
    standing = versions.unique("window_id", keep="last", maintain_order=True)
    weak = standing.filter(pl.col("window_state") == "FINAL", pl.col("temporal_confidence") < 0.8)
    stretch, about, seen_at = _stretch(store, asked, steps, taken)
    prices = _prices(versions)
    together = -(-prices.height // MOST_POINTS)
    return Story(
        coin=coin,
        step_s=window_s * max(together, 1),
        prices=_thinned(prices, together),
        restated=_restated(versions),
        stretch=stretch,
        about=about,
        seen_at=seen_at,
        alerts=steps,
        corrections=taken,
        incidents=incidents(store, asked).filter(pl.col("kind") != "refused"),
        counts={
            "windows": standing.height,
            "final": standing.filter(pl.col("window_state") == "FINAL").height,
            "weak": weak.height,
            "attested": attestations(store, asked).height,
        },
        weakest=_weakest(weak),
    )


def _until_nothing_was_told(versions: pl.DataFrame) -> pl.DataFrame:
    """Without the windows at the end of a history in which blocks went on and nobody told anything of the coin."""
    told = versions.filter((pl.col("price_sources") > 0) | (pl.col("supply_events") > 0))
    return versions if told.is_empty() else versions.filter(pl.col("event_time") <= told["event_time"].max())


def _prices(versions: pl.DataFrame) -> pl.DataFrame:
    first = pl.col("temporal_confidence").first()
    return (
        versions.group_by("event_time", maintain_order=True)
        .agg(
            pl.col("price").last(),
            low=pl.col("price_low").last(),
            high=pl.col("price_high").last(),
            first=first,
            last=pl.col("temporal_confidence").last(),
            minted=pl.col("minted").last().cast(pl.Float64),
            burned=pl.col("burned").last().cast(pl.Float64),
        )
        .rename({"event_time": "at"})
        .sort("at")
    )


def _thinned(rows: pl.DataFrame, together: int) -> pl.DataFrame:
    """So many windows in a row made one; of prices the extremes are kept, of scores the least."""
    if together <= 1:
        return rows
    return (
        rows.with_columns(group=pl.int_range(pl.len()) // together)
        .group_by("group", maintain_order=True)
        .agg(
            pl.col("at").first(),
            pl.col("price").drop_nulls().last(),
            pl.col("low").min(),
            pl.col("high").max(),
            pl.col("first").min(),
            pl.col("last").min(),
            pl.col("minted", "burned").sum(),
        )
        .drop("group")
    )


def _restated(versions: pl.DataFrame) -> pl.DataFrame:
    """The furthest word of windows whose range became narrower."""
    spans = versions.group_by("event_time").agg(
        a=pl.col("price_low").min(),
        b=pl.col("price_high").max(),
        low=pl.col("price_low").last(),
        high=pl.col("price_high").last(),
    )
    lower = spans.filter(pl.col("low") - pl.col("a") > RESTATED * pl.col("low")).select(at="event_time", price="a")
    upper = spans.filter(pl.col("b") - pl.col("high") > RESTATED * pl.col("high")).select(at="event_time", price="b")
    return pl.concat([lower, upper]).sort("at")


def _stretch(
    store: Store, asked: Asked, steps: pl.DataFrame, taken: pl.DataFrame
) -> tuple[pl.DataFrame, str, dt.datetime | None]:
    """The windows around the greatest amount that was taken back, else around the first of the worst alerts."""
    gone = taken.filter(pl.col("correction") == "invalidated")
    if not gone.is_empty():
        told_anew = pl.col("windows_reopened") > 0
        amount = pl.col("net_supply_change").abs()
        worst = gone.sort(told_anew, amount, descending=True, maintain_order=True).row(0, named=True)
        chain, at, seen_at = worst["chain"], worst["event_time"], worst["known_at"]
        about = f"a reorganisation of {chain} that was seen at {worst['known_at']:%Y-%m-%d %H:%M:%S}"
    elif not steps.is_empty():
        first = steps.sort("threshold", descending=True, maintain_order=True).row(0, named=True)
        chain, at, seen_at = first["chain"] or ALL_CHAINS, first["event_time"], first["fired_at"]
        about = f"an alert ({first['kind']}) that fired at {first['fired_at']:%Y-%m-%d %H:%M:%S}"
    else:
        return pl.DataFrame(), "", None
    near = Asked(asked.coin, chain, asked.run, at - BEFORE, at + AFTER, asked.as_of)
    return windows(store, near, window_s=STRETCH_S, versions=True), about, seen_at


def _weakest(rows: pl.DataFrame) -> str:
    if rows.is_empty():
        return ""
    factors = rows.select(pl.col(f"confidence_{name}").alias(name) for name in FACTORS)
    smallest = factors.select(at=pl.concat_list(pl.all()).list.arg_min())["at"].to_list()
    return FACTORS[max(range(len(FACTORS)), key=smallest.count)]
