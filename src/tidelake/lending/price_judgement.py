"""What several sources say of one price, judged: which price is taken, and whether another source bears it out.

`judge` is the rule; `judge_prices` applies it to rows of `token_prices`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Any, Literal

import polars as pl

PriceStatus = Literal["AGREED", "ALONE", "DISAGREE", "NOT_PRICED"]
ORDER = ("defillama", "coingecko", "oracle")
TOLERANCE = Decimal("0.02")  # of the price that is taken: daily prices of two averages of venues, minutes apart
KEY = ("chain", "token", "grid_time")


@dataclass(frozen=True, slots=True)
class Judged:
    """A price, and what bears it out.

    Attributes:
        status: AGREED: another source tells it within the tolerance. ALONE: no other source tells one. DISAGREE:
            others do, and none within the tolerance. NOT_PRICED: none tells one.
        price, source: That of the first source in order that tells one; None and "" where none does.
        sources: How many tell one; the oracles of all markets count as one, as they share their feeds.
        apart: Least distance to another source's price, as a part of the one taken; None where there is no other.
    """

    status: PriceStatus
    price: Decimal | None = None
    source: str = ""
    sources: int = 0
    apart: Decimal | None = None


def judge(
    told: Sequence[tuple[str, Decimal | None]], *, order: Sequence[str] = ORDER, tolerance: Decimal = TOLERANCE
) -> Judged:
    """The judgement of one token's prices of one day.

    Args:
        told: Source and its price, None where it has none; a source that is not in `order` is left out.
        order: Whose price is taken first; "oracle" stands for the oracles of all markets, by name.
        tolerance: How far apart two prices that agree may be, inclusive, as a part of the one taken.
    """
    priced = [(_kind(source), source, price) for source, price in told if price and _kind(source) in order]
    if not priced:
        return Judged("NOT_PRICED")
    kind, source, taken = min(priced, key=lambda one: (order.index(one[0]), one[1]))
    others = [price for other, _, price in priced if other != kind]
    sources = len({other for other, _, _ in priced})
    if not others:
        return Judged("ALONE", taken, source, sources)
    least = min(abs(other - taken) for other in others)
    status: PriceStatus = "AGREED" if least <= tolerance * taken else "DISAGREE"
    return Judged(status, taken, source, sources, least / taken)


def _kind(source: str) -> str:
    """The source without the market whose oracle it is."""
    return source.partition(":")[0]


def judge_prices(prices: pl.DataFrame, *, order: Sequence[str] = ORDER, tolerance: Decimal = TOLERANCE) -> pl.DataFrame:
    """The judgement of each token and day.

    Args:
        prices: Standing rows of `token_prices`.
        order, tolerance: As for `judge`.

    Returns:
        One row for each chain, token and grid_time, in that order: price_status, price_usd Decimal(38, 18),
        price_source, price_time (the clock of the price that is taken), confidence, price_sources and price_apart
        (Float64); nulls where there is none.
    """
    kind = pl.col("price_source").str.split(":").list.first()
    wanted = prices.filter(kind.is_in(list(order))).sort(KEY)
    columns = [*KEY, "price_source", "price_usd", "event_time", "confidence"]
    groups = groupby(wanted.select(columns).iter_rows(), key=lambda row: row[: len(KEY)])
    judged = [_judged(key, list(rows), order, tolerance) for key, rows in groups]
    types = {name: prices.schema[name] for name in (*KEY, "price_source", "price_usd", "event_time", "confidence")}
    schema = {name: types[name] for name in KEY} | {
        "price_status": pl.String(),
        "price_usd": types["price_usd"],
        "price_source": pl.String(),
        "price_time": types["event_time"],
        "confidence": types["confidence"],
        "price_sources": pl.Int32(),
        "price_apart": pl.Float64(),
    }
    return pl.DataFrame(judged, schema=schema, orient="row")


def _judged(
    key: tuple[Any, ...], rows: Sequence[tuple[Any, ...]], order: Sequence[str], tolerance: Decimal
) -> tuple[Any, ...]:
    found = judge([(row[3], row[4]) for row in rows], order=order, tolerance=tolerance)
    time, confidence = next((row[5:7] for row in rows if row[3] == found.source), (None, None))
    apart = None if found.apart is None else float(found.apart)
    return (*key, found.status, found.price, found.source or None, time, confidence, found.sources, apart)
