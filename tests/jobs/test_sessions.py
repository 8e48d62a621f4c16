"""What a job does when it is stopped, raced, killed, or holds secrets; and the lists of products and bars."""

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.jobs.conftest import MINUTE, START, SYMBOLS
from tidelake.jobs.backfill import backfill, backfill_async
from tidelake.jobs.candles import fetch_candles, fetch_candles_async
from tidelake.jobs.capture import capture, capture_async
from tidelake.jobs.ingest import ingest, ingest_async
from tidelake.jobs.instruments import refresh, refresh_async
from tidelake.jobs.repair import repair, repair_async
from tidelake.jobs.report import Report
from tidelake.raw.lane import LaneWriter, lane_name
from tidelake.raw.store import Store
from tidelake.tables.describe import describe_for

COLD = START - 90 * MINUTE

CHILD = """
import sys
from tidelake.jobs.ingest import ingest
from tidelake.jobs.session import Settings
from tidelake.raw.store import Store
from tidelake.venues.spec import Rate
settings = Settings(url=sys.argv[2], rates={"okx": Rate(1e6, 1.0)}, clock=lambda: int(sys.argv[3]), seal_pages=4)
report = ingest(Store.open(sys.argv[1]), "okx", ["BTC-USDT"], settings=settings)
print(report.rows[0].state)
sys.exit(report.exit_code)
"""


def child(w, **environment):
    arguments = [sys.executable, "-c", CHILD, str(w.store.root), w.server.url, str(w.now[0])]
    return subprocess.Popen(arguments, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("point", ["frame-written:7", "part-synced:2", "before-ledger-put:2", "after-ledger-put:3"])
def test_a_killed_ingest_loses_nothing_and_the_next_run_completes_it(world, point):
    w = world("okx")
    killed = child(w, TIDELAKE_CRASH=point)
    killed.communicate(timeout=300)
    assert killed.returncode == -signal.SIGKILL
    report = ingest(w.store, "okx", [w.symbol], settings=w.settings)
    assert (report.exit_code, report.rows[0].gaps) == (0, 0), report.summary
    assert w.missing(COLD) == []


def test_an_interrupted_ingest_seals_what_it_has_and_says_so(world):
    w = world("okx", "slow:1=0.15")
    stopped = child(w)
    while w.server.apis["okx"].injector.record.injected[3:] == []:
        assert stopped.poll() is None
        time.sleep(0.01)
    stopped.send_signal(signal.SIGINT)
    told, _ = stopped.communicate(timeout=300)
    assert (stopped.returncode, told.strip()) == (130, "stopped")
    assert w.kept(), "what was fetched is sealed"
    assert not any(w.store.spool().rglob("*.part"))


def test_a_cancelled_task_reports_and_seals(world):
    w = world("okx", "slow:1=0.1")

    async def run():
        task = asyncio.create_task(ingest_async(w.store, "okx", [w.symbol], settings=w.settings))
        while len(w.server.apis["okx"].injector.record.injected) < 3:
            await asyncio.sleep(0.01)
        task.cancel()
        return await task

    report = asyncio.run(run())
    assert (report.stopped, report.exit_code, report.rows[0].state) == (True, 130, "stopped")
    assert w.kept()


def test_the_loser_of_a_race_says_so_and_ends_clean(world):
    lane = lane_name("okx", "trades", SYMBOLS["okx"])
    raced = []

    def progress(done, total=None, what=""):
        if done == 3 and not raced:
            raced.append(done)
            with LaneWriter(w.store, lane, "okx", describe=describe_for("okx")) as other:
                other.append(payload=b'{"code":"0","data":[]}', kind="page", request="GET http://elsewhere/")

    w = world("okx", seal_pages=5, progress=progress)
    report = ingest(w.store, "okx", [w.symbol], settings=w.settings)
    (row,) = report.rows
    assert (report.exit_code, row.state) == (0, "other writer")
    assert "another process" in row.reason
    assert row.pages == 5
    assert len(w.kept()) == 500, "its own pages are in the lake, after the winner's"
    assert ingest(w.store, "okx", [w.symbol], settings=w.settings).exit_code == 0
    assert w.missing(COLD) == []


def test_secrets_stand_in_no_frame_entry_or_report(world, monkeypatch, capfd):
    monkeypatch.setenv("BINANCE_API_KEY", "canary-key-6021")
    w = world("binance-spot", "5xx:#2-3")
    host = w.server.url.removeprefix("http://")
    settings = {"url": f"http://user:canary-word-77@{host}"}
    from dataclasses import replace

    report = ingest(w.store, "binance-spot", [w.symbol, "NO-USDT"], settings=replace(w.settings, **settings))
    assert report.rows[0].state == "done"
    assert report.rows[1].state == "failed"
    told = report.summary + repr(report) + "".join(capfd.readouterr())
    stored = b"".join(frame.payload + frame.request.encode() for frame in w.frames()) + repr(w.entries()).encode()
    assert "canary" not in told
    assert b"canary" not in stored


def test_an_api_key_goes_to_the_venues_own_host_alone(monkeypatch):
    from tidelake.jobs.session import _key_header
    from tidelake.venues.registry import venue

    monkeypatch.setenv("BINANCE_API_KEY", "canary-key-6021")
    binance = venue("binance-spot")
    assert _key_header(binance, "https://api.binance.com") == {"X-MBX-APIKEY": "canary-key-6021"}
    assert _key_header(binance, "http://api.binance.com") == {}
    assert _key_header(binance, "https://api.binance.com.evil.example") == {}
    assert _key_header(venue("kraken"), "https://api.kraken.com") == {}


@pytest.mark.parametrize("source", list(SYMBOLS))
def test_instruments_and_candles_become_rows(world, source):
    from tidelake.raw.segments import read_lines
    from tidelake.tables.decode import decode
    from tidelake.tables.registry import TABLES
    from tidelake.tables.segment_lines import split

    w = world(source)
    assert refresh(w.store, [source], settings=w.settings).exit_code == 0
    start = START - 120 * MINUTE
    report = fetch_candles(w.store, source, [w.symbol], interval="1m", start=start, settings=w.settings)
    assert report.exit_code == 0, report.summary
    rows = {"instruments": [], "candles": []}
    for entry in w.entries():
        lines = split(read_lines(w.store, entry.segment, None), first_n=entry.first_n, known_before_ns=0)
        for name, found in rows.items():
            decoded = decode(TABLES[name], source, lines, "", {})
            assert decoded.rejected == []
            found += decoded.rows.to_pylist()
    listed = {row["symbol"]: row for row in rows["instruments"]}
    market = w.server.market
    assert set(listed) == {listing.symbol for listing in market.listings(source)}
    assert listed[w.symbol]["tick_size"] == market.listing(source, w.symbol).tick
    bars = {row["event_time"].timestamp(): row for row in rows["candles"] if row["interval"] == "1m"}
    trades = market.truth(source, w.symbol, since_ns=start, until_ns=START)
    prices = {}
    for time_ns, price in zip(trades.time_ns.tolist(), trades.prices(), strict=True):
        prices.setdefault(time_ns // 60_000_000_000 * 60, []).append(float(price))
    whole = {minute: p for minute, p in prices.items() if start // 10**9 <= minute and minute + 60 <= START // 10**9}
    assert len(whole) > 100
    for minute, told in whole.items():
        bar = bars[minute]
        assert (float(bar["high"]), float(bar["low"])) == (max(told), min(told))
        assert (bar["origin"], bar["symbol"]) == ("venue", w.symbol)


@pytest.mark.parametrize(
    ("job", "work"),
    [
        (ingest, ingest_async),
        (backfill, backfill_async),
        (repair, repair_async),
        (refresh, refresh_async),
        (fetch_candles, fetch_candles_async),
        (capture, capture_async),
    ],
)
def test_a_job_that_blocks_is_the_one_for_event_loops_under_its_own_name(job, work):
    assert job.__name__ + "_async" == work.__name__
    assert (job.__doc__, inspect.signature(job)) == (work.__doc__, inspect.signature(work))
    assert inspect.iscoroutinefunction(work)
    assert not inspect.iscoroutinefunction(job)


def test_a_job_that_blocks_runs_also_where_an_event_loop_does(tmp_path):
    async def within():
        return repair(Store.open(tmp_path), dry_run=True)

    assert asyncio.run(within()) == repair(Store.open(tmp_path), dry_run=True) == Report("repair", ())
