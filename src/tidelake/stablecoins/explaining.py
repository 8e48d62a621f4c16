"""Why a window says what it says, and why an alert is in its state: what was told, how sure it is, what changed it."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec
import polars as pl

from tidelake.errors import NotInLake
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

Row = dict[str, Any]

# What a window says, the column of its age, and its unit.
GAUGES: Final = (
    ("price", "price_age_us", ""),
    ("volume", "volume_age_us", " USD"),
    ("liquidity_depth", "liquidity_age_us", " USD"),
    ("circulating_supply", "circulating_age_us", " tokens"),
    ("market_volatility", "volatility_age_us", ""),
    ("sentiment_score", "sentiment_age_us", ""),
)
# What can change from version to version, besides the score.
TOLD: Final = (
    *(name for name, _, _ in GAUGES),
    "price_sources",
    "net_supply_change",
    "minted",
    "burned",
    "supply_events",
    "uncounted_supply_change",
)
MOST_IDS: Final = 3
TIERS: Final = {
    "tier1": "blocks are new and may be replaced",
    "tier2": "blocks are unlikely to be replaced, or it is the word of a source that may still restate it",
    "tier3": "nothing in it is expected to change",
}
FACTORS: Final = {
    "finality": "how far the blocks are settled: 0.3, 0.8 or 1",
    "cross_chain": "less than 1 where one chain is behind the others, by its share of the coin",
    "completeness": "share of the expected values that are there",
    "staleness": "falls with the age of the oldest value beyond its interval",
    "reorg": "1 less the chance that a minute of these chains is reorganised; 1 once final",
}


class Line(msgspec.Struct, frozen=True):
    """One thing that explains.

    Attributes:
        part: "window", "fact", "score", "version", "correction", "incident", "attestation", "alert", "step" or "trace".
        at: When it was known, UTC; of a fact, when its source told it happened. None where no time belongs to it.
        name, value: What is said.
        why: The reason, or what it means.
    """

    part: str
    at: dt.datetime | None
    name: str
    value: str
    why: str


def explain(store: Store, name: str, *, run: str = "", as_of: dt.datetime | None = None) -> list[Line]:
    """What stands behind a window or an alert; of several replays, run by run.

    Args:
        name: `window_id` ("USDC:ethereum:60:1678492800") or `alert_id` ("USDC:all:depeg:1678492800").
        run: One replay; "" for all.
        as_of: What was known then.

    Raises:
        NotInLake: The name is none, or no replay told of it by then.
    """
    coin, chain, kind, start = parse_name(name)
    asked = Asked(coin, chain, run, as_of=as_of)
    if kind.isdecimal():
        return list(_windows(store, asked, int(kind), start))
    steps = alerts(store, asked).filter(pl.col("alert_id") == name)
    if steps.is_empty():
        raise NotInLake(f"no replay told of an alert {name!r}; `tidelake stablecoins alerts {coin}` lists them")
    lines: list[Line] = []
    for (of_run,), found in steps.group_by("run", maintain_order=True):
        told = found.to_dicts()
        lines += [_alert(told[-1]), *map(_step, told)]
        mine = Asked(coin, chain, str(of_run), as_of=as_of)
        lines += _windows(store, mine, told[-1]["window_s"], told[-1]["window_start"])
    return lines


def parse_name(name: str) -> tuple[str, str, str, dt.datetime]:
    """Coin, chain (or "all"), kind of the alert or seconds of the window, and start, of an id.

    Raises:
        NotInLake: The name is none.
    """
    parts = name.split(":")
    if len(parts) != 4 or not parts[3].isdecimal() or not all(parts):
        shapes = "USDC:ethereum:60:1678492800 (coin, chain or all, seconds, start) or USDC:all:depeg:1678492800"
        raise NotInLake(f"{name!r} names no window and no alert: such as {shapes}")
    coin, chain, kind, start_s = parts
    return coin, chain, kind, dt.datetime.fromtimestamp(int(start_s), dt.UTC)


def _windows(store: Store, asked: Asked, window_s: int, start: dt.datetime) -> Iterator[Line]:
    end = start + dt.timedelta(seconds=window_s)
    inside = Asked(asked.coin, asked.chain, asked.run, start, end, asked.as_of)
    found = windows(store, inside, window_s=window_s, versions=True).filter(pl.col("event_time") == start)
    if found.is_empty():
        raise NotInLake(f"no replay told of a window of {window_s} s of {asked.coin} at {start:%Y-%m-%d %H:%M} by then")
    everywhere = asked.chain == ALL_CHAINS
    near = Asked(asked.coin, None if everywhere else asked.chain, asked.run, start, end, asked.as_of)
    taken = corrections(store, near)
    for (run,), versions in found.group_by("run", maintain_order=True):
        rows = versions.to_dicts()
        mine = taken.filter(pl.col("run") == run).to_dicts()
        yield _window(rows[-1])
        yield from _facts(rows[-1])
        yield from _score(rows[-1])
        yield from _versions(rows, mine)
        yield from map(_correction, mine)
        for row in incidents(store, near).filter(pl.col("run") == run).to_dicts():
            yield Line("incident", row["known_at"], row["kind"], row["event_id"], row["reason"])
        sealed = attestations(store, inside).filter(pl.col("run") == run, pl.col("window_s") == window_s)
        for row in sealed.to_dicts():
            told = f"entry {row['sequence']} of its chain"
            yield Line("attestation", row["known_at"], told, row["sha256"], "FINAL with a score of 0.8 or more")


def _window(row: Row) -> Line:
    told = f"{row['window_state']}, version {row['event_version']}"
    return Line("window", row["known_at"], row["window_id"], told, f"{row['finality_tier']}: {tier_words(row)}")


def tier_words(row: Row) -> str:
    """What the tier of a row means."""
    return TIERS[row["finality_tier"]]


def _facts(row: Row) -> Iterator[Line]:
    """Each value, and from when it is: one from before the window is a fill."""
    for name, age, unit in GAUGES:
        value = row[name]
        if value is None:
            yield Line("fact", None, name, "none", "nobody told one")
            continue
        at = row["window_end"] - dt.timedelta(microseconds=row[age])
        unit = f" {row['price_quote']}" if name == "price" else unit
        yield Line("fact", at, name, f"{value:,.10g}{unit}", _origin(row, name, at))
    net = row["net_supply_change"]
    told = f"{row['supply_events']} mints and burns were heard"
    if row["tx_hash"]:
        told += f"; the last in block {row['block_number']}, transaction {row['tx_hash']}"
    if net is None:
        yield Line("fact", None, "net_supply_change", "unknown", f"{told}, and not all blocks")
    else:
        split = f"{plain(row['minted'])} minted, {plain(row['burned'])} burned"
        yield Line("fact", None, "net_supply_change", f"{plain(net)} tokens", f"{split}; {told}")
    yield Line("fact", None, "sources", row["sources"] or "none", "who told the values, besides chains")


def _origin(row: Row, name: str, at: dt.datetime) -> str:
    if at < row["event_time"]:
        return f"a fill: told {seconds((row['window_end'] - at).total_seconds())} before the window's end"
    if name != "price":
        return "told in the window"
    said = f"median of {row['price_sources']} sources" if row["price_sources"] > 1 else "of one source"
    said += f", {row['price_agreeing']} within 0.25 %" if row["price_sources"] > 1 else ""
    return f"{said}; from {row['price_low']:.10g} to {row['price_high']:.10g} in the window"


def _score(row: Row) -> Iterator[Line]:
    yield Line(
        "score", None, "temporal_confidence", f"{row['temporal_confidence']:.4g}", "the product of these factors"
    )
    for name, means in FACTORS.items():
        yield Line("score", None, f"confidence_{name}", f"{row[f'confidence_{name}']:.4g}", means)


def _versions(rows: list[Row], taken: list[Row]) -> Iterator[Line]:
    before: Row | None = None
    for row in rows:
        told = f"{row['window_state']}, confidence {row['temporal_confidence']:.4g}"
        yield Line("version", row["known_at"], str(row["event_version"]), told, "; ".join(changes(before, row, taken)))
        before = row


def changes(before: Row | None, row: Row, taken: list[Row]) -> list[str]:
    """Why a version of a window differs from the one before, in words.

    Args:
        before: The version before; None for the first.
        row: The version.
        taken: Corrections of facts within the window, of the same run.
    """
    if before is None:
        return ["the window closed"]
    told = [
        f"{each['reason']} {each['correction']} {plain(each['net_supply_change'])} tokens"
        for each in taken
        if before["known_at"] < each["known_at"] <= row["known_at"]
    ]
    told += [f"{name} was {_value(before[name])}, is {_value(row[name])}" for name in TOLD if before[name] != row[name]]
    if before["net_supply_change"] is None and row["net_supply_change"] is not None:
        told.append("the chains' heads passed its end: all mints and burns in it were heard")
    elif told and not any(each["known_at"] == row["known_at"] for each in taken):
        told.append("by facts that came late, were restated or replaced others")
    if before["finality_tier"] != row["finality_tier"]:
        told.append(f"{before['finality_tier']} became {row['finality_tier']}")
    if before["window_state"] != row["window_state"]:
        told.append("the grace has passed, and all its blocks are final")
    if not told:
        factors = [name for name in FACTORS if before[f"confidence_{name}"] != row[f"confidence_{name}"]]
        told.append(f"the score moved: {', '.join(factors)}" if factors else "ages or confirmations moved")
    return told


def _correction(row: Row) -> Line:
    ids = row["replacement_event_ids"].split()
    by = f", replaced by {' '.join(ids[:MOST_IDS])}" if ids else ""
    by += f" and {len(ids) - MOST_IDS} more" if len(ids) > MOST_IDS else ""
    why = f"{row['reason']}: {row['windows_reopened']} closed windows were read anew{by}"
    told = f"{row['correction']} {plain(row['net_supply_change'])} tokens"
    return Line("correction", row["known_at"], row["event_id"], told, why)


def _alert(row: Row) -> Line:
    over = f", over at {row['ended_at']:%H:%M:%S}" if row["ended_at"] else ", not over"
    told = f"{row['severity']} {row['state']}{'' if row['state'] == 'WITHDRAWN' else over}"
    agreed = "a second source or final blocks say so too" if row["corroborated"] else "nobody else says so yet"
    why = f"{row['kind']} of {row['measure']:.4g}, level {row['threshold']:.4g}; {agreed}"
    return Line("alert", row["known_at"], row["alert_id"], told, why)


def _step(row: Row) -> Line:
    told = f"{row['severity']} {row['state']}, confidence {row['confidence']:.4g}"
    return Line("step", row["known_at"], str(row["event_version"]), told, row["reason"])


def _value(value: object) -> str:
    if value is None:
        return "none"
    return plain(value) if isinstance(value, Decimal) else f"{value:.10g}"


def plain(value: Decimal) -> str:
    """A number of tokens with all its digits, and none that say nothing."""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def seconds(count: float) -> str:
    """A span in words."""
    return f"{count:.0f} s" if count < 120 else f"{count / 60:.0f} min" if count < 7200 else f"{count / 3600:.1f} h"
