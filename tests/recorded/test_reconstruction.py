"""Recorded books, written in the vendors' layouts and reconstructed, against dicts of what was received."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tidelake
from tests.recorded.independent_reader import HFTBACKTEST, MARKETS
from tests.recorded.slow_books import Message, binance_messages
from tests.sampling import one_in
from tidelake.books.reconstruction.day import reconstruct_day
from tidelake.books.reconstruction.task import DayReport, DayTask, Strategy
from tidelake.client import Lake
from tidelake.jobs.acquire import acquire
from tidelake.jobs.reconstruct import plan_days
from tidelake.jobs.vendor_exports import export_to_vendor
from tidelake.raw.store import Store
from tidelake.vendors.registry import vendor as find_vendor

pytestmark = [
    pytest.mark.skipif(not HFTBACKTEST.is_dir(), reason="needs the recorded data in ../shared/data/captures"),
    pytest.mark.slow,
]

DAY_NS = 86_400 * 10**9
LEVELS = 20
CASES = [("spot", "btcusdt", "BTC-USDT"), ("usdm", "ethusdt", "ETH-USDT-PERP"), ("cm", "btcusd_perp", "BTC-USD-PERP")]
each_recording = pytest.mark.parametrize(("folder", "name", "symbol"), one_in(2, CASES))
by_turns = [("crypto-lake", CASES[0]), ("tardis", CASES[0]), ("tardis", CASES[1]), ("crypto-lake", CASES[1])]
by_turns += [("crypto-lake", CASES[2]), ("tardis", CASES[2])]
each_export = pytest.mark.parametrize(
    ("vendor", "folder", "name", "symbol"), one_in(2, [(vendor, *case) for vendor, case in by_turns])
)


@cache
def told(folder: str, name: str) -> tuple[Message, ...]:
    paths = sorted((HFTBACKTEST / folder).glob(f"{name}_*"))
    return tuple(binance_messages(paths, futures=folder != "spot"))


def by_day(messages: tuple[Message, ...]) -> list[tuple[dt.date, list[Message]]]:
    return [
        (dt.date(1970, 1, 1) + dt.timedelta(days=day), list(each))
        for day, each in groupby(messages, lambda message: message.recv_ns // DAY_NS)
    ]


class Reconstructed:
    """Lakes of what was exported, each made once."""

    def __init__(self, recorded: Store, folder: Path) -> None:
        self.recorded, self.folder = recorded, folder
        self.exports: set[tuple[str, str]] = set()
        self.reports: dict[tuple[Any, ...], DayReport] = {}
        self.lake: Lake = tidelake.open(folder / "lake")

    def day(self, vendor: str, source: str, symbol: str, day: dt.date, strategy: Strategy) -> DayReport:
        if (vendor, source) not in self.exports:
            export_to_vendor(self.recorded, self.folder / vendor, vendor, source=source)
            self.exports.add((vendor, source))
        key = vendor, source, symbol, day, strategy
        if key not in self.reports:
            self.acquire(vendor, source, symbol, day)
            self.reports[key] = reconstruct_day(DayTask(self.lake.store.url, *key, levels=LEVELS, every_ns=0))
        return self.reports[key]

    def acquire(self, vendor: str, source: str, symbol: str, day: dt.date) -> None:
        words = find_vendor(vendor)
        report = acquire(
            self.lake.store,
            vendor,
            exchange=words.exchange(source, symbol),
            symbols=[words.vendor_symbol(source, symbol)],
            start=day,
            end=day + dt.timedelta(days=1),
            place=str(self.folder / vendor),
        )
        assert {row.state for row in report.rows} <= {"acquired", "already ready"}, report.rows

    def rows(
        self, vendor: str, source: str, symbol: str, day: dt.date, strategy: Strategy, **asked: Any
    ) -> pl.DataFrame:
        self.day(vendor, source, symbol, day, strategy)
        start = dt.datetime.combine(day, dt.time(), dt.UTC)
        batches = self.lake.book(source, symbol).events(
            start, start + dt.timedelta(days=1), vendor=vendor, strategy=strategy, **asked
        )
        return pl.DataFrame(pl.concat(batches))


@pytest.fixture(scope="module")
def reconstructed(recorded_folder, tmp_path_factory) -> Reconstructed:
    return Reconstructed(Store.open(recorded_folder), tmp_path_factory.mktemp("reconstructed"))


def shown(row: dict[str, Any], side: str) -> tuple[tuple[Decimal | None, Decimal | None], ...]:
    return tuple(zip(row[f"{side}_prices"], row[f"{side}_sizes"], strict=True))


def books(rows: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """The last row of each message of the book, which shows its levels."""
    yield from rows.filter(pl.col("event_type") == "delta", pl.col("bid_prices").is_not_null()).iter_rows(named=True)


@each_export
def test_every_level_after_every_message_is_that_of_the_frames(reconstructed, vendor, folder, name, symbol):
    source = MARKETS[folder]
    for day, messages in by_day(told(folder, name)):
        rows = reconstructed.rows(vendor, source, symbol, day, "full_event_replay", unproven=True)
        whole = 1 if vendor == "tardis" else 0  # the day's first message is told as a whole book, so as a snapshot
        expected = [message for message in messages[whole:] if message.sent]
        compared = 0
        for row, message in zip(books(rows), expected, strict=True):
            assert row["update_id"] == (message.update_id if vendor == "crypto-lake" else None)
            assert row["recv_ns"] == (message.recv_ns if vendor == "crypto-lake" else message.recv_ns // 1_000 * 1_000)
            assert shown(row, "bid") == message.bids[:LEVELS]
            assert shown(row, "ask") == message.asks[:LEVELS]
            best = (row["best_bid"], row["bid_size"]), (row["best_ask"], row["ask_size"])
            assert best == (message.bids[0], message.asks[0])
            compared += 1
        assert compared > 100


@each_export
def test_books_are_proven_but_before_the_first_and_after_the_last_snapshot(reconstructed, vendor, folder, name, symbol):
    source = MARKETS[folder]
    for day, _ in by_day(told(folder, name)):
        report = reconstructed.day(vendor, source, symbol, day, "full_event_replay")
        assert (report.figures.breaks, report.figures.drifted) == (0, 0)
        assert report.figures.agreed == report.figures.snapshots - report.figures.began > 10
        rows = reconstructed.rows(vendor, source, symbol, day, "full_event_replay")
        told_of = rows.group_by("validity", "rule").len()
        assert set(told_of.select("validity", "rule").rows()) <= {
            ("VALID", "snapshot+snapshot"),
            ("INVALID", "no snapshot yet"),
            ("UNPROVABLE", "no later snapshot"),
            ("INVALID", "past the known depth"),
        }
        valid = rows.filter(pl.col("validity") == "VALID")
        assert valid.height > 0.9 * rows.height
        known = valid.select("bids_known", "asks_known", hole=pl.col("bid_prices").list.get(0, null_on_oob=True))
        assert known.filter(pl.col("hole").is_not_null(), pl.col("bids_known") < 1).is_empty()


@each_export
def test_the_assessment_of_each_day_recommends_a_full_replay(reconstructed, vendor, folder, name, symbol):
    source = MARKETS[folder]
    days = [day for day, _ in by_day(told(folder, name))]
    for day in days:
        reconstructed.day(vendor, source, symbol, day, "full_event_replay")
    planned = plan_days(reconstructed.lake.store, vendor=vendor, source=source, symbol=symbol)
    assert [(one.day, one.strategy) for one in planned] == [(day, "full_event_replay") for day in days]
    assert {one.why for one in planned} == {"deltas tell every event, and snapshots prove what they give"}


@each_recording
def test_snapshots_alone_are_true_when_taken_and_drift_until_the_next(reconstructed, folder, name, symbol, capsys):
    source = MARKETS[folder]
    for day, messages in by_day(told(folder, name)):
        rows = reconstructed.rows("crypto-lake", source, symbol, day, "snapshot_anchored", unproven=True)
        assert set(rows["validity"]) <= {"UNPROVABLE", "INVALID"}
        by_id = {message.update_id: message for message in messages}
        taken = rows.filter(pl.col("event_type") == "snapshot", pl.col("bid_prices").is_not_null())
        for row in taken.iter_rows(named=True):
            message = by_id[row["update_id"]]
            assert (shown(row, "bid"), shown(row, "ask")) == (message.bids[:LEVELS], message.asks[:LEVELS])
        drift = drift_of(taken, messages)
        with capsys.disabled():
            print(f"\n{source} {symbol} {day}: {drift}")
        assert drift["messages"] > 100
        assert 0 < drift["other best"] < drift["messages"] / 2


def drift_of(taken: pl.DataFrame, messages: list[Message]) -> dict[str, float]:
    """How far the last snapshot is from the book, after each message since the first snapshot."""
    best = pl.DataFrame(
        [(m.recv_ns, float(m.bids[0][0]), float(m.asks[0][0])) for m in messages],
        schema=["recv_ns", "true_bid", "true_ask"],
        orient="row",
    )
    held = taken.select("recv_ns", bid=pl.col("best_bid").cast(pl.Float64), ask=pl.col("best_ask").cast(pl.Float64))
    both = best.join_asof(held, on="recv_ns").drop_nulls()
    off = pl.concat([both["bid"] - both["true_bid"], both["ask"] - both["true_ask"]])
    mid = both.select((pl.col("true_bid") + pl.col("true_ask")).mean() / 2).item()
    other = both.filter((pl.col("bid") != pl.col("true_bid")) | (pl.col("ask") != pl.col("true_ask"))).height
    rms = float((off**2).mean() ** 0.5)  # type: ignore[operator]
    return {"messages": both.height, "other best": other, "rms bp": round(rms / mid * 1e4, 4)}
