"""Candles against bars counted by hand: any interval, late trades, any time; venues' own bars stay apart."""

import datetime as dt
import json
from collections import defaultdict
from decimal import Decimal

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import tidelake
from tests.tables import lakes
from tests.tables.lakes import START_US, Lane, Received
from tidelake.client import Lake
from tidelake.tables.candle_building import build_candles, interval_us, scan_candles
from tidelake.tables.derive import derive_table
from tidelake.tables.maintain import drop_tables, maintain
from tidelake.tables.read import scan
from tidelake.tables.trades import TRADES

MINUTE, DAY = 60_000_000, 86_400_000_000
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
ORDER = ("event_time", "trade_seq", "recv_ns", "segment", "line", "item")
FACTS = ["source", "symbol", "event_time", "open", "high", "low", "close", "volume", "trades", "known_at"]


def utc(us: int) -> dt.datetime:
    return EPOCH + dt.timedelta(microseconds=us)


def naive_bars(trades: pl.DataFrame, us: int) -> list[tuple[object, ...]]:
    grouped = defaultdict(list)
    for row in trades.filter(pl.col("grain") == "trade").to_dicts():
        at = (row["event_time"] - EPOCH) // dt.timedelta(microseconds=1)
        grouped[row["source"], row["symbol"], utc(at // us * us)].append(row)
    bars = []
    for key, rows in grouped.items():
        rows.sort(key=lambda r: tuple((r[name] is None, r[name]) for name in ORDER))
        prices, known = [r["price"] for r in rows], max(r["known_at"] for r in rows)
        size = sum(r["size"] for r in rows)
        bars.append((*key, prices[0], max(prices), min(prices), prices[-1], size, len(rows), known))
    return sorted(bars)


def kept(lake: Lake, **options) -> list[tuple[object, ...]]:
    built = scan_candles(lake.store, **options).filter(pl.col("origin") == "trades", pl.col("interval") == "1m")
    return sorted(built.select(FACTS).collect().rows())


def assert_right(lake: Lake, at: dt.datetime | None = None) -> None:
    trades = scan(lake.store, TRADES, as_of=at).collect()
    assert kept(lake, as_of=at) == naive_bars(trades, MINUTE)
    for interval in ("1s", "30s", "1m", "5m", "1h", "1d"):
        for source, symbol in trades.select("source", "symbol").unique().rows():
            found = lake.candles(symbol, interval, source=source, as_of=at).select(FACTS).rows()
            mine = trades.filter(pl.col("source") == source, pl.col("symbol") == symbol)
            assert sorted(found) == naive_bars(mine, interval_us(interval))


@pytest.fixture
def lake(tmp_path) -> Lake:
    return tidelake.open(tmp_path)


def capture(lake: Lake, *trades: tuple[int, int, int, str], name: str = "coinbase.capture.0", source: str = "coinbase"):
    """Seal trades (received us, number, event us, price) as a lane's next entry, and derive."""
    frames = tuple(Received(r * 1_000, lakes.trade(source, n, us, price)) for r, n, us, price in trades)
    lakes.seal_lane(lake.store, Lane(name, source, frames, 99))
    derive_table(lake.store, TRADES)
    return build_candles(lake.store)


def test_bars_of_all_sources_are_those_counted_by_hand(lake):
    lanes = lakes.make_lanes(20, ("coinbase", "kraken", "binance-spot"), trades=10)
    for lane in lanes:
        lakes.seal_lane(lake.store, lane)
        derive_table(lake.store, TRADES)
        build_candles(lake.store)
    assert_right(lake)
    known = sorted(us for lane in lanes for us in lane.known_us())
    for at in known[5 :: len(known) // 3]:
        assert_right(lake, utc(at))


def test_only_days_with_new_trades_are_built_again(lake):
    first = capture(lake, (START_US + 5, 1, START_US, "10"), (START_US + DAY, 2, START_US + DAY, "20"))
    assert (first.days, first.bars) == (2, 2)
    again = build_candles(lake.store)
    assert (again.days, again.bars) == (0, 0)
    late = capture(lake, (START_US + DAY + 9, 3, START_US + 7, "30"))
    assert (late.days, late.bars) == (1, 1)
    assert_right(lake)


def test_a_late_trade_changes_its_bar_from_when_it_was_known(lake):
    capture(lake, (START_US + 5, 1, START_US + 1, "10"), (START_US + 6, 2, START_US + 2, "11"))
    capture(lake, (START_US + DAY, 3, START_US + 3, "99"))

    def close(us: int) -> list[str]:
        return [f"{p:.0f}" for p in lake.candles("BTC-USD", as_of=utc(us))["close"]]

    assert close(START_US) == []
    assert close(START_US + 5) == ["10"]
    assert close(START_US + DAY - 1) == ["11"]
    assert close(START_US + DAY) == ["99"]
    for us in (START_US, START_US + 5, START_US + DAY - 1, START_US + DAY):
        assert_right(lake, utc(us))


def test_a_trade_moved_to_another_day_leaves_the_old_bar(lake):
    capture(lake, (START_US + DAY + 9, 1, START_US + DAY, "10"), (START_US + DAY + 9, 2, START_US + DAY + 1, "12"))
    moved = (START_US + DAY + 5, 1, START_US + 7, "10")
    capture(lake, (START_US + DAY + 20, 5, START_US + 5 * MINUTE, "7"), moved, name="coinbase.import.0")
    assert [bar[2] for bar in kept(lake)] == [utc(START_US), utc(START_US + 5 * MINUTE), utc(START_US + DAY)]
    for at in (None, utc(START_US + DAY + 9), utc(START_US + DAY + 20)):
        assert_right(lake, at)


def test_candles_follow_a_trades_table_that_was_made_again(lake):
    for n in range(6):
        capture(lake, (START_US + n, n + 1, START_US + n, f"{10 + n}"))
    drop_tables(lake.store, ["trades"])
    derive_table(lake.store, TRADES)
    build_candles(lake.store)
    capture(lake, (START_US + 90, 50, START_US + 50, "77"))
    assert_right(lake)


def test_maintenance_between_builds_changes_no_bar(lake):
    for n in range(4):
        capture(lake, (START_US + n, n + 1, START_US + n * MINUTE, f"{10 + n}"))
    before = kept(lake)
    assert maintain(lake.store)[0].partitions == 1
    assert build_candles(lake.store).days == 0
    assert kept(lake) == before
    assert_right(lake)


def candle_page(start_us: int, made_us: int, close: str) -> Received:
    request = "GET https://api.exchange.coinbase.com/products/BTC-USD/candles?granularity=60"
    body = json.dumps([[start_us // 10**6, 1, 500, 2, float(close), 3]]).encode()
    return Received(made_us * 1_000, body, "page", request, "BTC-USD")


def test_bars_of_the_venue_are_never_mixed_with_ours(lake):
    capture(lake, (START_US + 5, 1, START_US, "10"))
    pages = (candle_page(START_US, START_US + MINUTE, "5"), candle_page(START_US, START_US + 2 * MINUTE, "6"))
    lakes.seal_lane(lake.store, Lane("coinbase.candles-1m.BTC-USD", "coinbase", pages, 9))
    lake.derive()
    (ours,) = lake.candles("BTC-USD").to_dicts()
    (theirs,) = lake.candles("BTC-USD", origin="venue").to_dicts()
    assert (float(ours["close"]), float(theirs["close"])) == (10, 6)
    assert lake.candles("BTC-USD", "5m", origin="venue").is_empty()
    assert float(lake.candles("BTC-USD", "5m")["high"].item()) == 10
    (earlier,) = lake.candles("BTC-USD", origin="venue", as_of=utc(START_US + MINUTE)).to_dicts()
    assert float(earlier["close"]) == 5
    assert lake.scan("candles").collect().height == 2
    before = lake.scan("candles").collect().sort("origin")
    capture(lake, (START_US + 9, 2, START_US + 3, "10"))
    after = lake.scan("candles").collect().sort("origin")
    assert_frame_equal(after.filter(pl.col("origin") == "venue"), before.filter(pl.col("origin") == "venue"))


def test_a_bar_of_the_venue_is_not_known_before_it_ends(lake):
    capture(lake, (START_US + 5, 1, START_US, "10"))
    page = candle_page(START_US, START_US + DAY, "5")
    lakes.seal_lane(lake.store, Lane("coinbase.candles-1m.BTC-USD", "coinbase", (page,), 9))
    lake.derive()

    def known(us: int) -> dict[str, dt.datetime]:
        bars = scan_candles(lake.store, as_of=utc(us), assume_latency=dt.timedelta(seconds=2)).collect()
        return dict(bars.select("origin", "assumed_known_at").rows())

    end = START_US + MINUTE + 2_000_000
    assert known(START_US + 4) == {}
    assert known(end - 1) == {"trades": utc(START_US + 5)}
    assert known(end) == {"trades": utc(START_US + 5), "venue": utc(end)}
    assert "assumed_known_at" not in lake.scan("candles").collect_schema()
    for at, latency in ((utc(end), dt.timedelta(seconds=-1)), (None, dt.timedelta(seconds=1))):
        with pytest.raises(ValueError, match="assume_latency"):
            scan_candles(lake.store, as_of=at, assume_latency=latency)


def test_sizes_whose_sum_does_not_fit_leave_the_volume_out_and_no_bar(lake):
    sizes = {1: (0, "6e19"), 2: (1, "6e19"), 3: (MINUTE, "6e19"), 4: (10 * MINUTE, "0.25"), 5: (10 * MINUTE, "0.5")}
    frames = tuple(
        Received((START_US + n) * 1_000, lakes.trade("coinbase", n, START_US + us, "10", f"{Decimal(size):f}"))
        for n, (us, size) in sizes.items()
    )
    lakes.seal_lane(lake.store, Lane("coinbase.capture.0", "coinbase", frames, 9))
    lake.derive()
    assert lake.candles("BTC-USD")["volume"].to_list() == [None, Decimal("6e19"), Decimal("0.75")]
    assert lake.candles("BTC-USD", "5m")["volume"].to_list() == [None, Decimal("0.75")]
    assert lake.candles("BTC-USD", "1d")["trades"].to_list() == [5]


def test_deriving_trades_brings_the_kept_bars_along(lake):
    capture(lake, (START_US + 5, 1, START_US, "10"))
    frame = Received((START_US + 9) * 1_000, lakes.trade("coinbase", 2, START_US + 1, "500"))
    lakes.seal_lane(lake.store, Lane("coinbase.capture.1", "coinbase", (frame,), 9))
    assert [report.table for report in lake.derive(["trades"])] == ["trades", "candles"]
    assert_right(lake)


@pytest.mark.parametrize("interval", ["", "m", "0m", "1w", "7m", "1.5h", "-1m", "25h", "5M"])
def test_intervals_that_are_none_or_do_not_divide_a_day_are_refused(interval):
    with pytest.raises(ValueError, match=r"interval|divide"):
        interval_us(interval)


def test_a_derive_with_nothing_new_commits_nothing_to_any_table(tmp_path):
    lake = tidelake.open(tmp_path / "lake")
    lakes.seal_all(lake.store, lakes.make_lanes(2, ("coinbase", "kraken"), trades=20))
    lake.derive()
    before = lake.tables().select("table", "commits")
    assert {"candles", "instruments", "trades"} <= set(before["table"])
    lake.derive()
    lake.derive(["instruments", "candles"])
    assert_frame_equal(lake.tables().select("table", "commits"), before)
