"""Regimes of a running capture: the tags of `regimes` for each whole minute, kept with what was sealed."""

import asyncio
import datetime as dt
import json
import random

import polars as pl
import pytest

import tidelake
from tests.jobs.test_capture import QUICK, SOURCE, ok, trade
from tests.transport.socket_server import SocketServer
from tidelake.cli.app import run
from tidelake.jobs.capture import CaptureSettings, capture_async
from tidelake.jobs.live_regimes import in_runs, kept_regimes
from tidelake.jobs.regimes import RegimeSettings, build_regimes
from tidelake.jobs.session import Settings
from tidelake.raw.ledger import Ledger
from tidelake.raw.store import Store
from tidelake.tables.read import scan
from tidelake.tables.regimes import REGIMES

MINUTE_MS = 60_000
START_MS = 1_700_000_000_000 // MINUTE_MS * MINUTE_MS
JUDGING = RegimeSettings(window=dt.timedelta(minutes=30), least_minutes=5)


def quote(number, bid, ask):
    data = {"u": number, "s": "BTCUSDT", "b": f"{bid:.2f}", "B": "1", "a": f"{ask:.2f}", "A": "2"}
    return json.dumps({"stream": "btcusdt@bookTicker", "data": data}, separators=(",", ":")).encode()


class Market:
    """Minutes that pass as fast as their frames are heard, busy and quiet by turns; `lose` ends the connection."""

    def __init__(self, minutes, lose=(), may_go_on=lambda minute: True):
        self.minutes, self.may_go_on = minutes, may_go_on
        self.lose = set(lose)
        self.minute = self.number = 0
        self.now_ms = START_MS
        self.draw = random.Random(5)

    def clock(self):
        return self.now_ms * 1_000_000

    async def rest(self):
        await asyncio.sleep(0.012)  # so that the minutes are heard apart
        while not self.may_go_on(self.minute):
            await asyncio.sleep(0.012)

    async def script(self, peer):
        await self.go_on(peer, await peer.read())

    async def go_on(self, peer, message):
        await peer.send(ok(message))
        while self.minute < self.minutes:
            busy = 20 if self.minute % 12 in (8, 9) else 2 if self.minute % 12 in (3, 4) else 6
            for nth in range(busy):
                self.now_ms = START_MS + self.minute * MINUTE_MS + (nth + 1) * MINUTE_MS // (busy + 2)
                self.number += 1
                await peer.send(trade("btcusdt", self.number, self.now_ms))
                half = self.draw.uniform(0.5, 3) * (6 / busy)
                await peer.send(quote(self.number, 60_000 - half, 60_000 + half))
            if self.minute in self.lose:
                self.lose.remove(self.minute)
                peer.drop()
                return
            self.minute += 1
            await self.rest()
        await peer.read()


def captured(store, market, seconds, channels=("trades", "quotes"), **capturing):
    async def work():
        async with SocketServer(market.script) as server:
            given = Settings(url=f"http://localhost:{server.port}", patience=QUICK, clock=market.clock)
            chosen = CaptureSettings(regimes=JUDGING, **capturing)
            words = {"channels": channels, "seconds": seconds, "settings": given, "capturing": chosen}
            return await capture_async(store, {SOURCE: ["BTC-USDT"]}, **words)

    return asyncio.run(asyncio.wait_for(work(), 60))


def entries(store):
    ledger = Ledger(store)
    return [entry for lane in ledger.lanes() for entry in ledger.entries(lane)]


def minute(number):
    return dt.datetime.fromtimestamp(START_MS / 1000, dt.UTC) + number * dt.timedelta(minutes=1)


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "lake")


def derived(store):
    """The table `regimes` from the same raw log."""
    tidelake.open(store.root).derive()
    build_regimes(store, JUDGING)
    return scan(store, REGIMES).sort("event_time").collect()


def test_every_sealed_part_keeps_the_tags_that_the_table_has(store):
    market = Market(40, may_go_on=lambda minute: len(entries(store)) >= minute // 13)  # three parts while it speaks
    captured(store, market, 8.0, rotate_bytes=20_000)
    kept = kept_regimes(entries(store))
    assert sum("regimes" in entry.meta for entry in entries(store)) > 1
    assert kept["event_time"].to_list() == [minute(n) for n in range(1, 39)]  # the first and the last are not whole
    assert set(kept["settings"]) == {JUDGING.words()}
    assert {"high-volume", "low-volume", "unknown"} <= set(kept["regime"])
    table = derived(store).filter(pl.col("event_time").is_in(kept["event_time"].to_list()))
    # The table also holds the first minute, of which the capture says nothing since it does not know it to be whole.
    told = [(at, tag) for at, tag in kept.select("event_time", "regime").rows() if at >= minute(31)]
    assert told == [row for row in table.select("event_time", "regime").rows() if row[0] >= minute(31)]


def test_a_minute_in_which_the_connection_was_lost_has_no_tag(store):
    captured(store, Market(20, lose=[10]), 5.0)
    kept = kept_regimes(entries(store))["event_time"].to_list()
    assert kept == [minute(n) for n in range(1, 19) if n != 10]


def test_minutes_of_the_table_are_what_the_first_ones_are_held_against(store):
    captured(store, Market(20), 3.0)
    derived(store)
    later = Market(26)
    later.minute, later.number = 20, 10_000
    captured(store, later, 3.0)
    tags = dict(kept_regimes(entries(store)).select("event_time", "regime").rows())
    assert tags[minute(1)] == "unknown"
    assert tags[minute(21)] == "high-volume"


def test_trades_alone_are_enough_and_the_command_shows_what_was_kept(store, capsys):
    captured(store, Market(8), 2.5, channels=("trades",))
    kept = kept_regimes(entries(store))
    assert kept["event_time"].to_list() == [minute(n) for n in range(1, 7)]
    assert run(["--lake", store.root, "--format", "json", "regimes", "--captured"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [(row["symbol"], row["regime"]) for row in shown] == list(kept.select("symbol", "regime").rows())


def test_runs_end_where_a_minute_is_missing():
    found = in_runs([(minute(0), "normal"), (minute(1), "normal"), (minute(3), "normal"), (minute(4), "low-volume")])
    assert [row[1:] for row in found] == [["normal", 2], ["normal", 1], ["low-volume", 1]]
    assert found[1][0] == f"{minute(3):%Y-%m-%dT%H:%MZ}"
