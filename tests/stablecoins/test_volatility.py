"""Volatility of BTC against a slow account of it, and what missing, late and restated bars do."""

import asyncio
import datetime as dt
import json
import math
import random
from decimal import Decimal

import pytest

import tidelake
from tests.stablecoins.told import fact
from tidelake.raw.lane import LaneWriter, lane_name
from tidelake.raw.sealing import claim_nothing
from tidelake.stablecoins.sources.feed import merge_known
from tidelake.stablecoins.sources.volatility import Bar, CandleFeed, Volatility, realised_volatility
from tidelake.venues.registry import venue

MINUTE = 60_000_000
START = 1_700_000_400 * 1_000_000  # a whole number of five minutes


def walk(count, seed=1):
    """Closes of so many minutes, by number of the minute."""
    draw, price, closes = random.Random(seed), 40_000.0, {}
    for n in range(count):
        price *= math.exp(draw.gauss(0, 0.0005))
        closes[START // MINUTE + n] = round(price, 2)
    return closes


def slow(closes, upto):
    """Event time -> volatility, from a dictionary of closes, for all ends of five minutes up to `upto` (minutes)."""
    told = {}
    for end in range(min(closes) // 5 * 5, upto + 1, 5):
        there = [minute for minute in range(end - 60, end) if minute in closes and minute - 1 in closes]
        returns = [math.log(closes[minute]) - math.log(closes[minute - 1]) for minute in there]
        if len(returns) >= 54:
            hourly_variance = sum(r * r for r in returns) / len(returns) * 60
            told[end * MINUTE - 1] = math.sqrt(hourly_variance * 24 * 365)
    return told


def bars(closes, late=1_000_000):
    """As they are told live: known a second after their end."""
    return [Bar(minute * MINUTE, close, (minute + 1) * MINUTE + late) for minute, close in sorted(closes.items())]


def last_told(known):
    return {fact(one).event_us: float(fact(one).value) for one in known}


def test_known_hours():
    assert realised_volatility([100.0] * 61) == (0.0, 60)
    up_and_down: list[float | None] = [100.0 * (1.001 if n % 2 else 1.0) for n in range(61)]
    value, returns = realised_volatility(up_and_down)
    assert returns == 60
    assert value == pytest.approx(math.log(1.001) * math.sqrt(60 * 8760))
    # With 54 returns of the same size the hour is taken to have gone on like that; with 53 nothing is told.
    value, returns = realised_volatility([None] * 6 + up_and_down[6:])
    assert returns == 54
    assert value == pytest.approx(math.log(1.001) * math.sqrt(60 * 8760))
    assert realised_volatility([None] * 7 + up_and_down[7:]) == (None, 53)
    assert realised_volatility([None] * 61) == (None, 0)


def test_hours_are_told_at_each_end_of_five_minutes_as_bars_come():
    closes = walk(200)
    known = Volatility().take(bars(closes))
    expected = slow(closes, START // MINUTE + 200)
    assert last_told(known) == pytest.approx(expected)
    assert len(known) == len(expected) == (200 - 55) // 5 + 1
    for one in known:
        told = fact(one)
        assert (told.feature, told.coin, told.chain, told.source) == ("volatility", "", "", "candles")
        assert one.known_us == fact(one).event_us + 1 + 1_000_000


def test_missing_bars_are_missing_and_never_zero():
    closes = walk(300)
    for minute in [START // MINUTE + n for n in (100, 101, 130, *range(180, 200))]:
        del closes[minute]
    known = Volatility().take(bars(closes))
    expected = slow(closes, START // MINUTE + 300)
    assert last_told(known) == pytest.approx(expected)
    silent = {START + n * MINUTE - 1 for n in range(190, 250, 5)}
    assert silent.isdisjoint(last_told(known))


def test_bar_that_is_not_over_tells_no_hour():
    closes = walk(120)
    early = [Bar(bar.start_us, bar.close, bar.start_us + 5) for bar in bars(closes)]
    known = Volatility().take(early)
    assert all(one.known_us > fact(one).event_us for one in known)
    assert max(last_told(known)) == START + 115 * MINUTE - 1


def test_late_and_restated_bars_restate_what_they_touch():
    closes = walk(200)
    first = bars(closes)
    late, again = first.pop(150), first[100]
    whole = max(bar.known_us for bar in first)
    volatility = Volatility()
    volatility.take(first)
    more = volatility.take(
        [Bar(late.start_us, late.close, whole + 1), Bar(again.start_us, again.close + 40, whole + 2)]
    )
    assert {one.known_us for one in more} == {whole + 1, whole + 2}
    closes[again.start_us // MINUTE] += 40
    told = last_told(Volatility().take([*first, Bar(late.start_us, late.close, whole + 1)])) | last_told(more)
    assert told == pytest.approx(slow(closes, START // MINUTE + 200))
    touched = {fact(one).event_us for one in more if one.known_us == whole + 1}
    assert touched == {START + n * MINUTE - 1 for n in range(155, 201, 5)}


@pytest.mark.parametrize("seed", range(5))
def test_order_within_what_is_known_together_does_not_matter(seed):
    draw = random.Random(seed)
    closes = walk(180, seed)
    for minute in draw.sample(sorted(closes), 6):
        del closes[minute]
    together = [Bar(bar.start_us, bar.close, START + 10**12) for bar in bars(closes)]
    draw.shuffle(together)
    assert last_told(Volatility().take(together)) == pytest.approx(slow(closes, START // MINUTE + 180))


def test_live_feed_does_not_grow():
    volatility = Volatility(keep=200)
    volatility.take(bars(walk(3_000)))
    assert len(volatility._bars) <= 201
    assert len(volatility._told) <= 42


@pytest.fixture
def lake(tmp_path):
    return tidelake.open(tmp_path / "lake")


def keep(lake, closes, known_us):
    """A page of the venue's bars, received then, and derived."""
    pages = venue("binance-spot").candles
    assert pages is not None
    rows = [
        [minute * 60_000, "1", "90000", "1", str(close), "1", minute * 60_000 + 59_999, "1", 1, "1", "1", "0"]
        for minute, close in sorted(closes.items())
    ]
    request = pages.page("BTCUSDT", "1m", START * 1_000)
    lane = lane_name("binance-spot", "candles-1m", "BTC-USDT")
    with LaneWriter(lake.store, lane, "binance-spot", describe=claim_nothing) as writer:
        writer.append(
            payload=json.dumps(rows).encode(), kind="page", request=f"GET https://api.binance.com{request.path}",
            feed="candles-1m", symbol="BTC-USDT", status=200, recv_ns=known_us * 1_000,
        )  # fmt: skip
    lake.derive(["candles"])


def test_ticks_over_the_lake_give_what_its_history_gives(lake):
    feed = CandleFeed(lake.store)
    (health,) = feed.health()
    assert (health.condition, "no bars" in health.reason, health.features) == ("absent", True, ("volatility",))
    assert asyncio.run(feed.tick()) == []
    assert feed.health()[0].condition == "absent"
    closes = walk(90)
    first = START // MINUTE
    live = []
    for upto in (30, 62, 75, 90):
        page = {minute: close for minute, close in closes.items() if minute < first + upto}
        page.pop(first + 64, None)
        if upto == 90:
            page[first + 64] = closes[first + 64]  # comes late
            page[first + 70] = closes[first + 70] = closes[first + 70] + 25  # and one is restated
        keep(lake, page, START + upto * MINUTE + 1_500_000)
        live += asyncio.run(feed.tick())
        if upto == 30:
            assert feed.health()[0].reason == "29 of 60 returns of the last hour are there, fewer than 54"
    assert asyncio.run(feed.tick()) == []
    assert feed.health()[0].condition == "up"
    assert list(feed.history()) == live
    assert list(merge_known([feed.history()])) == live
    assert last_told(live) == pytest.approx(slow(closes, first + 90))
    assert isinstance(fact(live[0]).value, Decimal)


def test_bars_of_before_the_first_tick_are_history_alone(lake):
    keep(lake, walk(90), START + 90 * MINUTE)
    feed = CandleFeed(lake.store)
    assert asyncio.run(feed.tick()) == []
    assert len(list(feed.history())) == 8
    assert feed.health()[0].condition == "up"


def test_bars_fetched_later_can_be_taken_as_known_when_they_ended(lake):
    closes = walk(90)
    keep(lake, closes, START + 10**13)
    assert {one.known_us for one in CandleFeed(lake.store).history()} == {START + 10**13}
    assumed = list(CandleFeed(lake.store, assume_latency=dt.timedelta(seconds=2)).history())
    assert [one.known_us - fact(one).event_us for one in assumed] == [2_000_001] * len(assumed)
    assert last_told(assumed) == pytest.approx(slow(closes, START // MINUTE + 90))
