"""What a lake holds of coins, replayed: polled answers, the past, candles and texts, as they were known."""

import asyncio
import datetime as dt
import random
import sys
from itertools import chain

import pytest

import tidelake
from tests.jobs.coin_server import VirtualTime, serving_coins
from tests.jobs.test_coin_feeds import COINS, poll, settings_of
from tests.stablecoins.test_sentiment import Clock, feed_of, follow, polarity
from tests.stablecoins.test_volatility import keep, walk
from tidelake.errors import NotInLake
from tidelake.jobs.coin_lake import LakeHistory
from tidelake.jobs.coin_past import fetch_past
from tidelake.stablecoins.sources.observations import observations
from tidelake.stablecoins.sources.volatility import CandleFeed
from tidelake.tables.read import scan
from tidelake.tables.stablecoins import STABLECOIN_ALERTS, STABLECOIN_WINDOWS
from tidelake.transport.http import Patience

START_US = VirtualTime.START_NS // 1_000
SURE = Patience(attempts=2, total=1e9, timeout=10.0, first_wait=1.0, longest_wait=2.0)


@pytest.fixture
def server():
    with serving_coins() as server:
        yield server


@pytest.fixture
def lake(tmp_path):
    return tidelake.open(tmp_path / "lake")


def told(history):
    return list(chain.from_iterable(history.batches()))


def when(us):
    return dt.datetime.fromtimestamp(us / 1e6, dt.UTC)


def test_lake_replays_what_was_heard_with_its_clocks_and_turns_of_sources(lake, server):
    def fall(now, feeds):
        server.prices["usd-coin"] = 0.9 if 300 <= now < 420 else 1.0
        server.dead = {"stablecoins"} if 500 < now < 1300 else set()

    heard, _ = poll(lake, server, 2400.0, during=fall, patience=SURE)
    live = [*observations(known for _, known in heard)]
    history = LakeHistory(lake.store)
    again = told(history)
    assert len(history) == len(again) == len(live) > 100
    assert {seen.value for seen in again if seen.feature == "source"} == {0.0, 1.0}
    assert sorted(map(repr, again)) == sorted(map(repr, live))
    assert [seen.known_us for seen in again] == sorted(seen.known_us for seen in again)
    setups = history.setups()
    assert sorted(setups) == ["DAI", "USDC"]
    assert setups["USDC"].expects == ("circulating", "price", "volume")
    assert {one.name: (one.expects, one.follows_heads) for one in setups["USDC"].chains} == {
        "ethereum": (("circulating", "liquidity"), False)
    }
    report = lake.stablecoins.replay(kind="lake", coins=["USDC"]).wait(120)
    assert (report.done, report.failed) == (True, {})
    assert {alert.kind for alert in report.alerts.values()} == {"depeg"}
    rows = scan(lake.store, STABLECOIN_WINDOWS).collect().filter(chain="", window_s=60, window_state="FINAL")
    assert (rows["price_low"].min(), rows["circulating_supply"].max()) == (0.9, 100.5)
    assert scan(lake.store, STABLECOIN_ALERTS).collect().height


def test_bounds_are_of_what_was_known_and_the_rest_does_not_show(lake, server):
    poll(lake, server, 600.0, patience=SURE)
    whole = told(LakeHistory(lake.store))
    start, end = START_US + 120 * 1_000_000, START_US + 400 * 1_000_000
    part = LakeHistory(lake.store, start_us=start, end_us=end)
    assert told(part) == [seen for seen in whole if start <= seen.known_us < end]
    assert 0 < len(part) < len(whole)
    assert part.fingerprint != LakeHistory(lake.store).fingerprint == LakeHistory(lake.store).fingerprint
    with pytest.raises(NotInLake, match="known then"):
        LakeHistory(lake.store, end_us=START_US)
    with pytest.raises(NotInLake, match="USDX"):
        part.setups(("USDX",))


def test_past_is_known_from_when_it_was_asked_unless_a_latency_is_assumed(lake, server):
    start = when(START_US) - dt.timedelta(days=2)
    given = settings_of(server, VirtualTime(tasks=1))
    fetch_past(lake.store, COINS, ("coingecko", "defillama-stablecoins"), start, when(START_US), settings=given)
    assert {seen.known_us for seen in told(LakeHistory(lake.store))} == {START_US}
    assumed = LakeHistory(lake.store, start_us=START_US - 2 * 86_400_000_000, assume_latency=dt.timedelta(seconds=90))
    prices = [seen for seen in told(assumed) if seen.feature == "price" and seen.coin == "USDC"]
    assert len(prices) == 49
    assert {seen.known_us - seen.event_us for seen in prices} == {90_000_000}
    begin = assumed.setups()["USDC"].begin_us
    assert prices[0].known_us - 300_000_000 < begin <= prices[0].known_us
    report = lake.stablecoins.replay(
        kind="lake", start=start, end=when(START_US), assume_latency=dt.timedelta(seconds=90)
    ).wait(120)
    assert (report.done, report.counts["WindowRow"] > 1000) == (True, True)


def test_candles_and_texts_are_replayed_beside_what_was_polled(lake, server, tmp_path):
    poll(lake, server, 300.0, patience=SURE)
    closes = walk(90)
    keep(lake, closes, START_US)
    folder, clock = tmp_path / "texts", Clock()
    folder.mkdir()
    texts = feed_of(lake, folder, clock)
    scores, _ = follow(texts, folder, clock, 8, random.Random(1))
    asyncio.run(texts.close())
    again = told(LakeHistory(lake.store, polarity=polarity))
    sentiment, volatility = ([seen for seen in again if seen.feature == name] for name in ("sentiment", "volatility"))
    assert sentiment[: len(scores)] == [*observations(scores)] != []
    assert volatility == [*observations(CandleFeed(lake.store).history())] != []
    assert [seen.known_us for seen in again] == sorted(seen.known_us for seen in again)
    history = LakeHistory(lake.store, polarity=polarity)
    assert {"sentiment", "volatility"} <= set(history.setups()["USDC"].expects)


def test_texts_that_cannot_be_scored_are_told_and_left_out(lake, server, tmp_path, monkeypatch):
    poll(lake, server, 0.0, patience=SURE)
    folder, clock = tmp_path / "texts", Clock()
    folder.mkdir()
    texts = feed_of(lake, folder, clock)
    follow(texts, folder, clock, 8, random.Random(1))
    asyncio.run(texts.close())
    monkeypatch.setitem(sys.modules, "vaderSentiment.vaderSentiment", None)
    history = LakeHistory(lake.store)
    assert "tidelake[sentiment]" in history.refused["coins.texts"]
    assert not [seen for seen in told(history) if seen.feature == "sentiment"]
