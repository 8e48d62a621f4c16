import datetime as dt
import inspect
import json

import pytest

from tests.tables.lakes import START_US, Lane, Received, iso, page, seal_lane, standing_rows, trade
from tidelake.client import Lake, TradesAsked, open as open_lake
from tidelake.errors import LedgerBroken
from tidelake.raw.lake_coverage import CoverageBroken
from tidelake.tables.read import conflicts, scan
from tidelake.tables.trades import TRADES

NS = START_US * 1_000
SECOND = 1_000_000_000
PAGE = "GET https://api.exchange.coinbase.com/products/BTC-USD/trades?limit=5"


def lane(name, *frames, source="coinbase"):
    return Lane(name, source, frames, len(frames))


def heard(number, recv_s, price="5.00"):
    return Received(NS + recv_s * SECOND, trade("coinbase", number, START_US + number, price, size="0.10", side="buy"))


@pytest.fixture
def lake(tmp_path):
    return open_lake(tmp_path / "lake")


def test_scan_that_is_held_does_not_see_what_is_committed_later(lake):
    seal_lane(lake.store, lane("a", heard(1, 10), heard(2, 11)))
    lake.derive(["trades"])
    held = lake.scan("trades")
    seal_lane(lake.store, lane("b", heard(2, 12, price="9.99"), heard(3, 13)))
    lake.derive(["trades"])
    assert sorted(held.collect()["trade_id"]) == ["1", "2"]
    assert sorted(lake.scan("trades").collect()["trade_id"]) == ["1", "2", "3"]


def test_very_same_segment_in_another_lane_adds_no_row(lake):
    frames = [heard(n, n) for n in range(1, 41)]
    seal_lane(lake.store, lane("plain", *frames))
    lake.derive(["trades"])
    seal_lane(lake.store, lane("again", *frames))
    [done] = [d for d in lake.derive(["trades"]) if d.table == "trades"]
    assert (done.rows_read, done.rows_added, done.repeats, done.contested) == (40, 0, 40, 0)


def test_trade_heard_and_asked_for_is_no_conflict_and_known_from_the_first(lake):
    asked = page([1, 2], {1: "5.00", 2: "5.00"}, {1: START_US + 1, 2: START_US + 2})
    seal_lane(lake.store, lane("heard", heard(1, 10), heard(2, 70)))
    seal_lane(lake.store, lane("asked", Received(NS + 60 * SECOND, asked, "page", PAGE, "BTC-USD")))
    lake.derive(["trades"])
    assert conflicts(lake.store, TRADES).is_empty()
    rows = standing_rows(lake.store)
    assert rows["transport"].to_list() == ["ws", "rest"]
    at = dt.datetime.fromtimestamp(START_US / 1e6 + 30, dt.UTC)
    assert lake.trades(as_of=at)["trade_id"].to_list() == ["1"]
    assumed = lake.trades(as_of=at, assume_latency="2s")
    assert assumed["trade_id"].to_list() == ["1", "2"]
    start = dt.datetime.fromtimestamp(START_US / 1e6, dt.UTC)
    asked_for = start + dt.timedelta(seconds=2, microseconds=2)
    assert assumed["assumed_known_at"].to_list() == [start + dt.timedelta(seconds=10), asked_for]
    early = lake.trades(as_of=start + dt.timedelta(seconds=5), assume_latency="2s")
    assert early["transport"].to_list() == ["rest", "rest"]


def test_negative_latency_and_missing_as_of_are_refused(lake):
    with pytest.raises(ValueError, match="before they happened"):
        scan(lake.store, TRADES, as_of=dt.datetime.now(dt.UTC), assume_latency=dt.timedelta(seconds=-1))
    with pytest.raises(ValueError, match="needs as_of"):
        scan(lake.store, TRADES, assume_latency=dt.timedelta(seconds=1))


def product(status):
    facts = {"id": "BTC-USD", "base_currency": "BTC", "quote_currency": "USD", "quote_increment": "0.01"}
    return json.dumps([facts | {"base_increment": "0.00000001", "status": status}]).encode()


def test_statement_repeated_is_one_revision_and_a_change_is_the_next(lake):
    request = "GET https://api.exchange.coinbase.com/products"
    said = [Received(NS + s * SECOND, product(status), "page", request) for s, status in enumerate(("online",) * 3)]
    seal_lane(lake.store, lane("first", *said))
    lake.derive(["instruments"])
    [row] = lake.scan("instruments").collect().rows(named=True)
    assert (row["revision"], row["trading_status"]) == (1, "trading")
    assert iso(int(row["known_at"].timestamp() * 1e6)) == iso(START_US)
    seal_lane(lake.store, lane("second", Received(NS + 9 * SECOND, product("delisted"), "page", request)))
    lake.derive(["instruments"])
    [row] = lake.scan("instruments").collect().rows(named=True)
    assert (row["revision"], row["trading_status"]) == (2, "delisted")


def test_derive_brings_the_index_of_the_ledger(lake):
    seal_lane(lake.store, lane("a", heard(1, 10), heard(2, 11)))
    lake.derive()
    lake.derive()
    asked = lake.sql("SELECT lane, seq, count, symbol FROM ledger")
    assert asked.rows() == [("a", 0, 2, "BTC-USD")]


def test_broken_lane_stops_alone_in_every_table_and_is_told_by_the_plan(lake):
    seal_lane(lake.store, Lane("hole", "coinbase", (heard(1, 10), heard(2, 11), heard(3, 12)), 1))
    seal_lane(lake.store, lane("whole", heard(5, 20)))
    lake.store.delete("ledger/hole/000000000001.json")
    assert [(p.lanes, p.entries, p.broken) for p in lake.pending(["trades"])] == [(2, 2, 1)]
    with pytest.raises(LedgerBroken, match="is missing"):
        lake.derive()
    assert sorted(lake.scan("trades").collect()["trade_id"]) == ["1", "5"]
    assert lake.candles("BTC-USD")["trades"].sum() == 2


def test_sql_as_of_holds_for_quarantine_too(lake):
    torn = Received(NS + 60 * SECOND, b'{"type":"match","trade_id":7,')
    seal_lane(lake.store, lane("a", heard(1, 10), torn))
    lake.derive(["trades"])
    at = dt.datetime.fromtimestamp(START_US / 1e6 + 30, dt.UTC)
    assert lake.sql("SELECT count(*) n FROM quarantine")["n"].to_list() == [1]
    assert lake.sql("SELECT count(*) n FROM quarantine", as_of=at)["n"].to_list() == [0]


def test_coverage_of_other_sources_is_given_and_a_broken_lane_is_named(lake):
    seal_lane(lake.store, Lane("hole", "coinbase", (heard(1, 10), heard(2, 11), heard(3, 12)), 1))
    seal_lane(lake.store, lane("whole", heard(5, 20)))
    told = Received(NS, trade("deribit", 7, START_US, "1", size="0.10", side="buy"))
    seal_lane(lake.store, lane("other", told, source="deribit"))
    lake.store.delete("ledger/hole/000000000001.json")
    for asked in (None, "coinbase"):
        with pytest.raises(CoverageBroken, match=r"000000000001.json is missing.*all other lanes are") as raised:
            lake.coverage(asked)
        assert (raised.value.lane, raised.value.seq, raised.value.lanes) == ("hole", 1, ("hole",))
        seen = [(s.source, [(i.first, i.last) for i in s.intervals if i.state == "VALID"]) for s in raised.value.found]
        assert seen == [("coinbase", [(1, 1), (5, 5)]), *([("deribit", [(7, 7)])] if asked is None else [])]
    assert [s.source for s in lake.coverage("deribit")] == ["deribit"]
    lake.store.delete("ledger/hole/000000000000.json")
    with pytest.raises(CoverageBroken, match=r"000000000000.json is missing"):  # it may be of any source
        lake.coverage("deribit")


def test_the_types_of_trades_name_every_argument_that_it_takes():
    taken = set(inspect.signature(Lake.trades).parameters)
    assert taken == {"self", "symbol", "form", *TradesAsked.__annotations__}
