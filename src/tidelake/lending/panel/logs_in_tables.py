"""How far the tables hold what the raw log tells of logs: what they do not hold, nobody may count as nothing."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from tidelake.lending.families.registry import FAMILIES
from tidelake.lending.liquidation_facts import TOPICS
from tidelake.lending.market import Market
from tidelake.lending.recorded import logs_lane
from tidelake.raw.marks import seq_of
from tidelake.raw.store import Store
from tidelake.tables import quarantine
from tidelake.tables.chain_events import CHAIN_EVENTS
from tidelake.tables.delta import TableHandle, open_table
from tidelake.tables.lending_liquidations import LENDING_LIQUIDATIONS
from tidelake.tables.read import scan


@dataclass(frozen=True)
class LogsInTables:
    """What `chain_events` and `lending_liquidations` hold of the log lane of a chain.

    Attributes:
        until: Number of the last entry that both hold; -1 for none.
        refused: Number of the entry, and line of the note, of sections of which a log is in neither table.
    """

    until: int
    refused: frozenset[tuple[int, int]]

    def hold(self, entry: int, line: int) -> bool:
        """Whether the logs of a section are in the tables, each of them in `chain_events` at least."""
        return entry <= self.until and (entry, line) not in self.refused


def logs_in_tables(store: Store, chain: str) -> LogsInTables:
    """What the tables hold now of a chain's logs."""
    lane = logs_lane(chain)
    until = []
    for table in (CHAIN_EVENTS, LENDING_LIQUIDATIONS):
        found = open_table(store, table.name)
        until.append(-1 if found is None else seq_of(TableHandle(found, table.partition_by).done(lane)))
    filed = open_table(store, quarantine.NAME)
    if filed is None:
        return LogsInTables(min(until), frozenset())
    of_lane = pl.col("table") == CHAIN_EVENTS.name, pl.col("lane") == lane
    places = pl.scan_delta(filed).filter(*of_lane).select("seq", "line").collect()
    return LogsInTables(min(until), frozenset(places.iter_rows()))


def refuse_unread(
    log_days: pl.DataFrame, store: Store, as_of: dt.datetime | None, markets: Iterable[Market]
) -> pl.DataFrame:
    """The days of `log_days.judge_logs`, REFUSED where a log that tells a liquidation is none of its table.

    That is so where its market is not known, as it belongs to several, or where it has another form than its event.
    All markets of the chain that tell the event are then without a sum of the day.
    """
    lost = _unread(store, as_of)
    if lost.is_empty():
        return log_days
    speak = [(market.id, market.chain, topic) for market in markets for topic in _topics(market)]
    names = pl.DataFrame(speak, schema=dict.fromkeys(("market", "chain", "topic0"), pl.String), orient="row")
    days = lost.join(names, on=["chain", "topic0"]).group_by("market", "date").agg(lost_at=pl.col("known_at").max())
    return log_days.join(days, on=["market", "date"], how="left", maintain_order="left").select(
        "market",
        "date",
        logs_state=pl.when(pl.col("lost_at").is_null()).then("logs_state").otherwise(pl.lit("REFUSED")),
        known_at=pl.max_horizontal("known_at", "lost_at"),
    )


def _topics(market: Market) -> Iterable[str]:
    return FAMILIES[market.family].by_topic if market.family in FAMILIES else ()


def _unread(store: Store, as_of: dt.datetime | None) -> pl.DataFrame:
    """`chain`, `date`, `topic0` and `known_at` of logs that tell liquidations and have no row that does."""
    key = list(CHAIN_EVENTS.key)
    logs = scan(store, CHAIN_EVENTS, as_of=as_of).filter(pl.col("topic0").is_in(list(TOPICS)))
    rows = scan(store, LENDING_LIQUIDATIONS, as_of=as_of).select(key)
    lost = logs.join(rows, on=key, how="anti")
    return lost.select("chain", "topic0", "known_at", date=pl.col("event_time").dt.date()).collect()
