"""Ingest against simulated venues: every trade of the market is in the lake, whatever the venue does on the way."""

import json
from dataclasses import replace

import pytest

from tests.jobs.conftest import HOUR, MINUTE, NUMBERED, START
from tidelake.jobs.ingest import ingest
from tidelake.jobs.instruments import refresh
from tidelake.jobs.repair import repair
from tidelake.jobs.session import Session
from tidelake.sim.faults import FaultPlan

COLD = START - 90 * MINUTE


@pytest.mark.parametrize("source", NUMBERED)
def test_cold_start_takes_every_trade_of_the_last_90_minutes(world, source):
    w = world(source)
    report = ingest(w.store, source, [w.symbol], settings=w.settings)
    (row,) = report.rows
    assert (report.exit_code, row.state, row.cold, row.gaps, row.reason) == (0, "done", True, 0, "")
    assert "cold start at 2023-11-14 20:43:20 UTC" in report.summary
    assert len(w.truth(COLD)) > 1_200
    assert w.missing(COLD) == []
    assert w.missing(START - 5 * HOUR, START - 4 * HOUR), "older trades were not asked for"


@pytest.mark.parametrize("source", NUMBERED)
def test_next_run_goes_on_from_the_watermark_and_asks_for_little(world, source):
    w = world(source)
    first = ingest(w.store, source, [w.symbol], settings=w.settings).rows[0]
    w.now[0] += 10 * MINUTE
    report = ingest(w.store, source, [w.symbol], settings=w.settings)
    (row,) = report.rows
    assert (report.exit_code, row.cold, row.gaps) == (0, False, 0)
    assert (row.pages or 0) < (first.pages or 0)
    assert w.missing(COLD) == []
    assert len([i for i in w.coverage().intervals if i.state == "VALID"]) == 1
    assert row.watermark is not None
    assert first.watermark is not None
    assert row.watermark > first.watermark


@pytest.mark.parametrize("source", NUMBERED)
@pytest.mark.parametrize(
    "faults",
    [
        "429:#1,429-bare:#2,5xx:#4-5,429-bare:#7",
        "torn:#1,truncated:#2-3,html:#5",
        "empty:#1-2,empty:#5",
        "repeat:#2-3,repeat:#6",
    ],
)
def test_faults_on_the_way_lose_nothing(world, source, faults):
    w = world(source, faults)
    for _ in range(3):
        report = ingest(w.store, source, [w.symbol], settings=w.settings)
        assert report.exit_code == 0, report.summary
        w.now[0] += 2 * MINUTE
    assert w.server.injected, "the plan must have hit something"
    assert w.missing(COLD, w.now[0] - 4 * MINUTE) == []
    assert w.states("GAP") == []


@pytest.mark.parametrize("source", NUMBERED)
def test_late_trades_are_a_gap_until_they_show_and_then_in_the_lake(world, source):
    w = world(source, "late:0.5=60")
    first = ingest(w.store, source, [w.symbol], settings=w.settings)
    assert (first.exit_code, first.rows[0].out_of_reach, first.rows[0].absent) == (3, 0, 0)
    w.server.apis[source].injector.plan = FaultPlan()
    w.now[0] += 2 * MINUTE
    assert ingest(w.store, source, [w.symbol], settings=w.settings).exit_code == 0
    assert w.missing(COLD) == []


@pytest.mark.parametrize("source", NUMBERED)
def test_a_run_that_the_venue_lost_is_named_exactly_and_passed(world, source):
    w = world(source, "lost-run:4500-4520")
    report = ingest(w.store, source, [w.symbol], settings=w.settings)
    assert (report.exit_code, report.rows[0].state, report.rows[0].absent) == (0, "done", 1)
    assert w.states("SUSPECT") == [(4500, 4520)]
    assert w.states("GAP") == []
    assert len(w.missing(COLD)) == 21
    w.now[0] += 10 * MINUTE
    row = ingest(w.store, source, [w.symbol], settings=w.settings).rows[0]
    assert (row.pages or 0) < 6, "what the venue does not have is not asked for again"
    assert len(w.missing(COLD)) == 21


@pytest.mark.parametrize("source", NUMBERED)
def test_a_run_that_heals_while_it_is_asked_for_again_leaves_nothing(world, source):
    w = world(source, "lost-run:4500-4520@1")
    report = ingest(w.store, source, [w.symbol], settings=w.settings)
    assert report.exit_code == 0
    assert w.missing(COLD) == []
    assert w.states("SUSPECT") == []


@pytest.mark.parametrize("source", NUMBERED)
def test_numbers_that_the_venue_skips_are_suspect_and_no_trade_is_missing(world, source):
    w = world(source, "jump:4700+37")
    report = ingest(w.store, source, [w.symbol], settings=w.settings)
    assert report.exit_code == 0, report.summary
    assert w.missing(COLD) == []
    assert w.states("SUSPECT") == [(4701, 4737)]


@pytest.mark.parametrize("source", NUMBERED)
def test_a_venue_that_repeats_its_pages_for_ever_ends_soon_and_claims_nothing(world, source):
    w = world(source, "repeat:#3-100000")
    report = ingest(w.store, source, [w.symbol], since=START - 4 * HOUR, settings=w.settings)
    (row,) = report.rows
    assert row.state == "failed" or row.out_of_reach == 1 or w.missing(START - 4 * HOUR) == [], report.summary
    assert (row.pages or 0) < 25
    w.server.apis[source].injector.plan = FaultPlan()
    ingest(w.store, source, [w.symbol], settings=w.settings)
    assert repair(w.store, settings=w.settings).exit_code == 0
    assert w.missing(START - 4 * HOUR) == []
    assert w.states("GAP") == []


def test_one_bad_symbol_never_stops_the_others(world):
    w = world("coinbase")
    report = ingest(w.store, "coinbase", ["NO-SUCH", "BTC-USD-PERP", "BTC-USD"], settings=w.settings)
    assert [row.state for row in report.rows] == ["failed", "failed", "done"]
    assert report.exit_code == 1
    assert w.missing(COLD) == []
    assert {entry.lane for entry in w.entries()} == {"coinbase.trades.BTC-USD"}, "a bad symbol leaves no lane"


def test_trades_beyond_bybits_newest_page_stay_a_gap_out_of_reach(world):
    w = world("bybit")
    report = ingest(w.store, "bybit", [w.symbol], settings=w.settings)
    (row,) = report.rows
    assert (report.exit_code, row.gaps, row.out_of_reach) == (3, 1, 1)
    assert set(w.truth(COLD)[-1000:]) <= set(w.kept())
    w.now[0] += 10 * MINUTE
    again = ingest(w.store, "bybit", [w.symbol], settings=w.settings).rows[0]
    assert again.gaps == 1, "pages that overlap in time leave no new hole"
    w.now[0] += 2 * HOUR
    late = ingest(w.store, "bybit", [w.symbol], settings=w.settings).rows[0]
    assert (late.gaps, late.out_of_reach) == (2, 2)


def test_a_dry_run_asks_nobody_and_writes_nothing(world):
    w = world("kraken")
    report = ingest(w.store, "kraken", [w.symbol, "BTC-USD-PERP"], dry_run=True, settings=w.settings)
    assert [(row.state, row.cold) for row in report.rows] == [("planned", True), ("failed", False)]
    assert report.summary.startswith("ingest: 1 of 2 streams planned, nothing asked for and nothing written\n")
    assert list(w.store.list("")) == []
    assert w.server.apis["kraken"].injector.record.injected == []


def test_since_says_where_a_cold_stream_starts(world):
    w = world("deribit")
    report = ingest(w.store, "deribit", [w.symbol], since=START - 3 * HOUR, settings=w.settings)
    assert report.exit_code == 0
    assert w.missing(START - 3 * HOUR) == []


def test_pages_are_kept_verbatim_with_their_request(world):
    w = world("coinbase")
    ingest(w.store, "coinbase", [w.symbol], settings=w.settings)
    pages = [frame for frame in w.frames() if frame.kind == "page"]
    assert all(frame.status == 200 and frame.symbol == "BTC-USD" and frame.feed == "trades" for frame in pages)
    first = pages[0]
    assert first.request == f"GET {w.server.url}/products/BTC-USD/trades?limit=1000"
    assert first.payload == w.server.apis["coinbase"].get("/products/BTC-USD/trades?limit=1000").body
    assert first.recv_ns == START


def test_a_row_that_cannot_be_read_is_named_so_and_stops_nothing(world, monkeypatch):
    w = world("coinbase")
    seqs = [int(trade_id) for trade_id in w.truth(START - 90 * MINUTE)]
    bad = seqs[len(seqs) // 2]
    ask = Session.ask

    async def damaged(self, venue, request):
        answer = await ask(self, venue, request)
        rows = json.loads(answer.body)
        for row in rows:
            if row["trade_id"] == bad:
                row["size"] = "nothing"
        return replace(answer, body=json.dumps(rows).encode())

    monkeypatch.setattr(Session, "ask", damaged)
    report = ingest(w.store, "coinbase", [w.symbol], settings=w.settings)
    (row,) = report.rows
    assert (report.exit_code, row.state, row.gaps, row.absent) == (3, "done", 1, 0)
    assert "1 runs could not be read" in row.reason
    (gap,) = [i for i in w.coverage().intervals if i.state != "VALID"]
    assert (gap.state, gap.rule, gap.first, gap.last) == ("GAP", "unreadable", bad, bad)
    w.now[0] += 10 * MINUTE
    (row,) = ingest(w.store, "coinbase", [w.symbol], settings=w.settings).rows
    assert row.state == "done"
    assert row.pages == 1
    assert w.missing(START - 90 * MINUTE) == [str(bad)]


@pytest.mark.parametrize("source", ["coinbase", "okx"])
def test_every_time_in_the_lane_is_that_of_the_one_clock(world, source):
    w = world(source)
    ingest(w.store, source, [w.symbol], settings=w.settings)
    refresh(w.store, [source], settings=w.settings)
    assert {frame.kind for frame in w.frames()} == {"page", "note"}
    assert {frame.recv_ns for frame in w.frames()} == {w.now[0]}
    assert {(entry.sealed_ns, entry.known_ns) for entry in w.entries()} == {(w.now[0], w.now[0])}
    w.now[0] += MINUTE
    ingest(w.store, source, [w.symbol], settings=w.settings)
    assert max(entry.sealed_ns for entry in w.entries()) == w.now[0]
    assert {frame.recv_ns for frame in w.frames()} == {w.now[0] - MINUTE, w.now[0]}
