"""Regimes against a naive judge that sees nothing but the minutes before."""

import datetime as dt
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

import tidelake
from tests.tables.lakes import START_US, Lane, Received, seal_lane, trade
from tidelake.cli.app import run
from tidelake.errors import ConfigError
from tidelake.jobs.regimes import RegimeSettings, SpecialEvent, measure_minutes, read_calendar, tag_minutes
from tidelake.raw.store import Store

START = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
MEASURES = ("trades", "volume", "volatility", "spread_bps")


def minute_rows(values, source="coinbase", symbol="BTC-USD"):
    """Measured minutes: (minute, trades, volume, volatility, spread)."""
    return pl.DataFrame(
        [
            {
                "source": source, "symbol": symbol, "event_time": START + at * MINUTE, "trades": trades,
                "volume": Decimal(volume), "volatility": volatility, "spread_bps": spread,
                "known_at": START + at * MINUTE, "recv_ns": at,
            }
            for at, trades, volume, volatility, spread in values
        ],
        schema={
            "source": pl.String, "symbol": pl.String, "event_time": pl.Datetime("us", "UTC"), "trades": pl.Int64,
            "volume": pl.Decimal(38, 18), "volatility": pl.Float64, "spread_bps": pl.Float64,
            "known_at": pl.Datetime("us", "UTC"), "recv_ns": pl.Int64,
        },
    )  # fmt: skip


def naive_level(rows, i, measure, how):
    value = rows[i][measure]
    before = [r[measure] for r in rows[:i] if rows[i]["event_time"] - r["event_time"] <= how.window]
    known = [float(v) for v in before if v is not None]
    if value is None or len(known) < how.least_minutes:
        return None
    low, high = np.quantile(known, [how.low, how.high])
    return "low" if float(value) < low else "high" if float(value) > high else "normal"


def naive_regime(levels, special, votes):
    if special:
        return "special-event"
    if levels["trades"] is None and levels["volume"] is None:
        return "unknown"
    *activity, spread = (levels[measure] for measure in MEASURES)
    busy = activity.count("high") + (spread == "low")
    quiet = activity.count("low") + (spread == "high")
    if busy >= votes and busy > quiet:
        return "high-volume"
    return "low-volume" if quiet >= votes and quiet > busy else "normal"


small = st.integers(0, 4)
measured = st.lists(
    st.tuples(st.integers(0, 40), small, small, st.none() | small.map(float), st.none() | small.map(float)),
    max_size=25, unique_by=lambda row: row[0],
).map(sorted)  # fmt: skip


@hypothesis_settings(deadline=None)
@given(measured, measured, st.integers(1, 20), st.integers(1, 3), st.integers(1, 4), st.sampled_from([0.0, 0.25, 0.5]))
def test_each_minute_is_judged_by_those_before_it(one, two, window, least, votes, low):
    event = SpecialEvent("halving", START + 5 * MINUTE, START + 7.5 * MINUTE, ("BTC-USD",))
    how = RegimeSettings(window * MINUTE, low, 1 - low, least, votes, (event,))
    both = [minute_rows(one), minute_rows(two, symbol="ETH-USD")]
    found = tag_minutes(pl.concat(both), how)
    for frame in both:
        rows = frame.to_dicts()
        tagged = found.filter(pl.col("symbol") == (rows[0]["symbol"] if rows else "")).to_dicts()
        assert len(tagged) == len(rows)
        for i, row in enumerate(tagged):
            levels = {measure: naive_level(rows, i, measure, how) for measure in MEASURES}
            assert {m: row[f"{m.removesuffix('_bps')}_level"] for m in MEASURES} == levels
            special = row["symbol"] == "BTC-USD" and START + 4 * MINUTE < row["event_time"] < START + 7.5 * MINUTE
            assert row["special_event"] == ("halving" if special else None)
            assert row["regime"] == naive_regime(levels, special, votes)
            assert row["known_at"] == row["event_time"]


@hypothesis_settings(deadline=None, max_examples=30)
@given(measured, st.integers(0, 40))
def test_what_comes_later_changes_no_tag(rows, until):
    how = RegimeSettings(10 * MINUTE, 0.25, 0.75, 2)
    whole = tag_minutes(minute_rows(rows), how).filter(pl.col("event_time") <= START + until * MINUTE)
    assert whole.equals(tag_minutes(minute_rows([row for row in rows if row[0] <= until]), how))


def test_measures_of_a_minute(tmp_path):
    at = [START + dt.timedelta(seconds=second) for second in (1, 2, 3, 61)]
    plain = {"source": "a", "symbol": "BTC-USD", "trade_seq": None, "segment": "", "line": 0, "item": 0}
    trades = pl.LazyFrame(
        [
            plain | {"grain": grain, "event_time": time, "price": Decimal(price), "size": Decimal(size),
                     "known_at": time, "recv_ns": n}
            for n, (grain, time, price, size) in enumerate(
                [("trade", at[0], 100, 1), ("trade", at[1], 110, 2), ("aggregate", at[1], 1, 50),
                 ("trade", at[2], 99, 3)]
            )
        ],
        schema_overrides={"price": pl.Decimal(38, 18), "size": pl.Decimal(38, 18), "trade_seq": pl.Int64},
    )  # fmt: skip
    quotes = pl.LazyFrame(
        [
            {"source": "a", "symbol": "BTC-USD", "event_time": time, "validity": state, "bid_price": Decimal(bid),
             "ask_price": None if ask is None else Decimal(ask), "known_at": at[3], "recv_ns": 9}
            for time, state, bid, ask in [
                (at[0], "VALID", 99, 101), (at[1], "INVALID", 1, 50), (at[1], "VALID", 99, None),
                (at[2], "UNPROVABLE", 98, 102), (at[3], "VALID", 99, 101),
            ]
        ],
        schema_overrides={"bid_price": pl.Decimal(38, 18), "ask_price": pl.Decimal(38, 18)},
    )  # fmt: skip
    first, second = measure_minutes(trades, quotes).to_dicts()
    assert (first["trades"], first["volume"], first["event_time"]) == (3, 6, START)
    assert first["volatility"] == pytest.approx(np.hypot(np.log(1.1), np.log(0.9)))
    assert first["spread_bps"] == pytest.approx((200 + 400) / 2)
    assert (second["trades"], second["volume"], second["volatility"]) == (0, 0, None)
    assert second["spread_bps"] == pytest.approx(200)
    assert second["known_at"] == at[3]


def test_table_is_built_from_a_lake_and_built_anew(tmp_path, capsys):
    url = str(tmp_path / "lake")
    times = [START_US + minute * 60_000_000 for minute in range(6)]
    frames = [Received(us * 1_000, trade("coinbase", n, us, "60000")) for n, us in enumerate(times, 1)]
    seal_lane(Store.open(url), Lane("l", "coinbase", tuple(frames), 6))
    assert run(["--lake", url, "derive", "trades"]) == 0
    calendar = tmp_path / "events.toml"
    at = dt.datetime.fromtimestamp(START_US / 1e6, dt.UTC)
    calendar.write_text(f'[[event]]\nname = "FOMC"\nstart = {at.isoformat()}\nend = {(at + MINUTE).isoformat()}\n')
    for _ in range(2):
        assert run(["--lake", url, "regimes", "--least-minutes", "2", "--calendar", str(calendar)]) == 0
    rows = tidelake.open(url).scan("regimes").collect().sort("event_time")
    assert rows["regime"].to_list() == ["special-event", "unknown", "normal", "normal", "normal", "normal"]
    assert rows["special_event"].to_list()[0] == "FOMC"
    assert rows["trades"].to_list() == [1] * 6


EVENT = '[[event]]\nname = "a"\nstart = 2024-01-01T00:00:00Z\nend = 2024-01-02T00:00:00Z\n'


@pytest.mark.parametrize(
    "text",
    [
        "[[event]]\nname = 1",
        "x",
        "event = 1",
        EVENT.replace("[[event]]", "[event]"),
        EVENT.replace("[[event]]", "[[events]]"),
        EVENT + 'symbol = ["BTC-USDT"]',
        EVENT + 'symbols = "BTC-USDT"',
        EVENT + "symbols = [1]",
        '[[event]]\nname = "a"\nstart = 2024-01-01T00:00:00\nend = 2024-01-02T00:00:00Z',
    ],
)
def test_wrong_calendars_are_refused(tmp_path, text):
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"c\.toml"):
        read_calendar(tmp_path / "c.toml")


def test_wrong_settings_are_refused():
    with pytest.raises(ConfigError, match="low <= high"):
        RegimeSettings(low=0.9, high=0.1)
    with pytest.raises(ConfigError, match="votes"):
        RegimeSettings(votes=5)
