"""Backfill and repair against simulated venues."""

import datetime as dt

import pytest

from tests.jobs.conftest import HOUR, MINUTE, NUMBERED, START
from tests.tables import lakes
from tidelake.jobs.backfill import backfill, partitions
from tidelake.jobs.ingest import ingest
from tidelake.jobs.repair import repair
from tidelake.sim.faults import FaultPlan

SINCE, UNTIL = START - 5 * HOUR, START - 3 * HOUR
HALF_HOUR = dt.timedelta(minutes=30)


@pytest.mark.parametrize("source", NUMBERED)
def test_backfill_takes_the_period_and_little_more(world, source):
    w = world(source)
    report = backfill(w.store, source, [w.symbol], SINCE, UNTIL, workers=3, partition=HALF_HOUR, settings=w.settings)
    assert (report.exit_code, report.rows[0].state, report.rows[0].gaps) == (0, "done", 0), report.summary
    assert w.missing(SINCE, UNTIL) == []
    assert w.states("GAP") == w.states("SUSPECT") == []
    assert len(w.kept()) < 5 * len(w.truth(SINCE, UNTIL)), "no need to fetch the whole history"


@pytest.mark.parametrize("source", NUMBERED)
def test_backfill_again_asks_nobody(world, source):
    w = world(source)
    for pages in (True, False):
        report = backfill(w.store, source, [w.symbol], SINCE, UNTIL, partition=HALF_HOUR, settings=w.settings)
        assert report.exit_code == 0
        assert bool(report.rows[0].pages) is pages


@pytest.mark.parametrize("source", NUMBERED)
def test_backfill_through_faults_loses_nothing(world, source):
    w = world(source, "5xx:#1,empty:#2-3,repeat:#5,torn:#4,html:#7,lost-run:1500-1510@1")
    report = backfill(w.store, source, [w.symbol], SINCE, UNTIL, workers=2, partition=HALF_HOUR, settings=w.settings)
    assert report.exit_code == 0, report.summary
    assert w.missing(SINCE, UNTIL) == []


def test_backfill_of_the_time_before_the_first_trade_reaches_the_first(world):
    w = world("coinbase", hours=2)
    report = backfill(w.store, "coinbase", [w.symbol], START - 5 * HOUR, START - HOUR, settings=w.settings)
    assert report.exit_code == 0, report.summary
    assert w.missing(0, START - HOUR) == []


def test_backfill_plan_lists_partitions_and_writes_nothing(world):
    w = world("okx")
    report = backfill(
        w.store, "okx", [w.symbol, "NO"], SINCE, UNTIL, partition=HALF_HOUR, dry_run=True, settings=w.settings
    )
    assert [row.state for row in report.rows] == ["planned"] * 5 + ["failed"]  # 14:13 to 19:13 UTC cuts five half hours
    assert list(w.store.list("")) == []
    backfill(w.store, "okx", [w.symbol], SINCE, SINCE + HOUR, partition=HALF_HOUR, settings=w.settings)
    rest = backfill(w.store, "okx", [w.symbol], SINCE, UNTIL, partition=HALF_HOUR, dry_run=True, settings=w.settings)
    assert {row.pages for row in rest.rows[:-1]} <= {4, 5, 6}, "450 trades in half an hour, 100 on a page"
    assert len(rest.rows) < len(report.rows) - 1


def test_backfill_past_the_reach_of_okx_is_out_of_reach(world):
    w = world("okx", hours=100 * 24, rate=0.002)
    old = START - 95 * 24 * HOUR
    report = backfill(w.store, "okx", [w.symbol], old, old + HOUR, settings=w.settings)
    (row,) = report.rows
    assert (report.exit_code, row.gaps, row.out_of_reach) == (3, 1, 1), report.summary
    assert (row.pages or 0) < 20


def test_partitions_are_cut_at_multiples_of_their_length():
    assert partitions(15, 47, 10) == [(15, 20), (20, 30), (30, 40), (40, 47)]
    assert partitions(20, 30, 10) == [(20, 30)]
    assert partitions(1, 2, 10) == [(1, 2)]


def test_an_empty_period_or_a_time_without_zone_is_refused(world):
    w = world("kraken")
    with pytest.raises(ValueError, match="empty"):
        backfill(w.store, "kraken", [w.symbol], UNTIL, SINCE)
    with pytest.raises(ValueError, match="no time zone"):
        backfill(w.store, "kraken", [w.symbol], dt.datetime(2023, 1, 1), dt.datetime(2023, 1, 2))


@pytest.mark.parametrize("source", NUMBERED)
def test_repair_fills_what_the_venue_has_again(world, source):
    w = world(source, "lost-run:4500-4520,lost-run:4800-4800")
    ingest(w.store, source, [w.symbol], settings=w.settings)
    assert w.states("SUSPECT") == [(4500, 4520), (4800, 4800)]
    still = repair(w.store, settings=w.settings)
    assert (still.exit_code, still.rows[0].absent) == (0, 2)
    assert w.states("SUSPECT") == [(4500, 4520), (4800, 4800)]
    listed = repair(w.store, source, [w.symbol], dry_run=True, settings=w.settings)
    assert [row.reason for row in listed.rows] == ["absent-at-venue: 4500 to 4520", "absent-at-venue: 4800 to 4800"]
    w.server.apis[source].injector.plan = FaultPlan()
    report = repair(w.store, source, [w.symbol], settings=w.settings)
    assert (report.exit_code, report.rows[0].absent) == (0, 0)
    assert w.missing(START - 90 * MINUTE) == []
    assert w.states("SUSPECT") == []
    assert repair(w.store, settings=w.settings).rows == ()


@pytest.mark.parametrize("source", NUMBERED)
def test_repair_closes_a_hole_between_two_recordings_of_wanted_time(world, source):
    w = world(source)
    ingest(w.store, source, [w.symbol], since=START - 30 * MINUTE, settings=w.settings)
    backfill(w.store, source, [w.symbol], START - 3 * HOUR, START - 2 * HOUR, settings=w.settings)
    assert w.states("GAP") == [], "nobody asked for the time between"
    report = backfill(w.store, source, [w.symbol], START - 3 * HOUR, START, settings=w.settings)
    assert report.exit_code == 0
    assert w.missing(START - 3 * HOUR) == []
    assert len(w.coverage().intervals) <= 3


def test_repair_leaves_a_broken_lane_alone_and_names_it(world):
    w = world("coinbase", "lost-run:4500-4520")
    ingest(w.store, "coinbase", [w.symbol], settings=w.settings)
    told = tuple(lakes.Received(START, lakes.trade("deribit", n, START // 1_000, "1")) for n in (1, 2, 9))
    lakes.seal_lane(w.store, lakes.Lane("deribit.capture.0", "deribit", told, 1))
    w.store.delete("ledger/deribit.capture.0/000000000001.json")
    w.server.apis["coinbase"].injector.plan = FaultPlan()
    planned = repair(w.store, dry_run=True, settings=w.settings)
    assert [(row.source, row.symbol, row.state) for row in planned.rows] == [
        ("deribit", "BTC-USD-PERP", "failed"), ("coinbase", w.symbol, "planned"),
    ]  # fmt: skip
    report = repair(w.store, settings=w.settings)
    assert [(row.source, row.state) for row in report.rows] == [("deribit", "failed"), ("coinbase", "done")]
    assert "lane deribit.capture.0 is broken" in report.rows[0].reason
    assert report.exit_code == 1
    w.store.delete("ledger/deribit.capture.0/000000000002.json")  # what is left is a lane that ends
    assert w.missing(START - 90 * MINUTE) == []
