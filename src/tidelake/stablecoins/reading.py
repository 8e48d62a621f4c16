"""What replays wrote, read back: windows, the life of alerts, corrections, as they stand or stood at a time."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from tidelake.errors import NotInLake
from tidelake.raw.store import Store
from tidelake.tables.read import scan
from tidelake.tables.schema import Table
from tidelake.tables.stablecoins import (
    STABLECOIN_ALERTS,
    STABLECOIN_ATTESTATIONS,
    STABLECOIN_CORRECTIONS,
    STABLECOIN_INCIDENTS,
    STABLECOIN_WINDOWS,
)

ALL_CHAINS: Final = "all"  # as ids of windows and alerts name what is said over all chains
VERSION: Final = ("run", "window_id", "event_version")
STEP: Final = ("run", "alert_id", "event_version")


@dataclass(frozen=True)
class Asked:
    """What is read of.

    Attributes:
        coin: Canonical symbol; "" for all.
        chain: A chain, ALL_CHAINS for what is said over all of them, None for everything.
        run: One replay; "" for all, side by side.
        start, end: Event time, [start, end).
        as_of: What was known then, by the clock of the history (`known_at`); None for all that is.
    """

    coin: str = ""
    chain: str | None = None
    run: str = ""
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    as_of: dt.datetime | None = None


def windows(store: Store, asked: Asked, *, window_s: int | None = None, versions: bool = False) -> pl.DataFrame:
    """Windows in order of time, each by the version that stands, or each version in a row.

    Raises:
        NotInLake: No replay told such a coin, chain, run or length.
    """
    rows = _rows(store, STABLECOIN_WINDOWS, asked)
    if window_s is not None:
        rows = rows.filter(pl.col("window_s") == window_s)
    found = rows.sort(*VERSION).collect()
    if found.is_empty():
        _refuse_unknown(store, asked, window_s)
    if not versions:
        found = found.unique(VERSION[:2], keep="last")
    return found.sort("run", "coin", "chain", "window_s", "event_time", "event_version")


def alerts(store: Store, asked: Asked, *, last: bool = False) -> pl.DataFrame:
    """Steps of alerts, alert by alert in the order in which they fired; with `last` the last step of each alone.

    Raises:
        NotInLake: No replay told such a coin, chain or run.
    """
    found = _rows(store, STABLECOIN_ALERTS, asked).sort(*STEP).collect()
    if found.is_empty():
        _refuse_unknown(store, asked)
    if last:
        found = found.unique(STEP[:2], keep="last")
    return found.sort("run", "fired_at", "alert_id", "event_version")


def corrections(store: Store, asked: Asked) -> pl.DataFrame:
    """Facts that chains took back or gave back, in the order in which that was known."""
    return (
        _rows(store, STABLECOIN_CORRECTIONS, asked).sort("run", "known_at", "chain", "event_time", "event_id").collect()
    )


def incidents(store: Store, asked: Asked) -> pl.DataFrame:
    """What should not have been, in the order in which it was known."""
    return _rows(store, STABLECOIN_INCIDENTS, asked).sort("run", "known_at", "coin", "event_time", "event_id").collect()


def attestations(store: Store, asked: Asked) -> pl.DataFrame:
    """Entries of the chains of hashes, in their order."""
    return _rows(store, STABLECOIN_ATTESTATIONS, asked).sort("run", "coin", "chain", "window_s", "sequence").collect()


def runs(store: Store, coins: Sequence[str] = ()) -> list[str]:
    """Names of the replays that told windows (of one of these coins), in the order of their first event."""
    rows = scan(store, STABLECOIN_WINDOWS)
    if coins:
        rows = rows.filter(pl.col("coin").is_in(coins))
    return rows.group_by("run").agg(pl.col("event_time").min()).sort("event_time", "run").collect()["run"].to_list()


def coins_told(store: Store, asked: Asked) -> list[str]:
    """The coins whose windows were told, by name.

    Raises:
        NotInLake: No replay told such a coin, chain or run.
    """
    found = _rows(store, STABLECOIN_WINDOWS, asked).select(pl.col("coin").unique()).collect()["coin"]
    if found.is_empty():
        _refuse_unknown(store, asked)
    return sorted(found)


def _rows(store: Store, table: Table, asked: Asked) -> pl.LazyFrame:
    rows = scan(store, table, as_of=asked.as_of)
    wanted = {"coin": asked.coin, "run": asked.run}
    for name, value in wanted.items():
        if value:
            rows = rows.filter(pl.col(name) == value)
    if asked.chain is not None:
        rows = rows.filter(pl.col("chain") == ("" if asked.chain == ALL_CHAINS else asked.chain))
    if asked.start is not None:
        rows = rows.filter(pl.col("event_time") >= asked.start)
    if asked.end is not None:
        rows = rows.filter(pl.col("event_time") < asked.end)
    return rows


def _refuse_unknown(store: Store, asked: Asked, window_s: int | None = None) -> None:
    """Raise where what was asked for was never told; a time without rows is none's fault."""
    known = scan(store, STABLECOIN_WINDOWS).select("run", "coin", "chain", "window_s").unique().collect()
    if known.is_empty():
        raise NotInLake("no windows of stablecoins in this lake: `tidelake stablecoins replay FOLDER` makes them")
    chains = {ALL_CHAINS if name == "" else name for name in known["chain"]}
    for what, name, there in (
        ("coin", asked.coin, set(known["coin"])),
        ("run", asked.run, set(known["run"])),
        ("chain", asked.chain or "", chains),
        ("length in seconds", "" if window_s is None else str(window_s), set(map(str, known["window_s"]))),
    ):
        if name and name not in there:
            names = sorted(there)
            raise NotInLake(f"no replay told of a {what} {name!r}; there are {', '.join(names)}", available=names)
