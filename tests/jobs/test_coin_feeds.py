"""Polling of coins: kept verbatim, the same again from the lake, and one dead source never stops the rest."""

import asyncio
import datetime as dt
from decimal import Decimal

import pytest

import tidelake
from tests.jobs.coin_server import DAI, USDC, VirtualTime, serving_coins
from tidelake.errors import StoreError
from tidelake.jobs.coin_feeds import CoinFeeds, polled_feeds
from tidelake.jobs.coin_past import fetch_past, read_past
from tidelake.jobs.coin_polls import PolledFeed, PollSettings
from tidelake.providers.coin_source import CoinFact, CoinRef, Feature
from tidelake.providers.registry import COIN_SOURCES
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.raw.verify import verify
from tidelake.stablecoins.sources.answers import answers_lane, past_lane
from tidelake.stablecoins.sources.feed import Known, Turn
from tidelake.transport.http import Http, Patience
from tidelake.transport.rates import Pace, Rates

COINS = (
    CoinRef("DAI", "dai", "5", (("ethereum", DAI),)),
    CoinRef("USDC", "usd-coin", "2", (("ethereum", USDC),)),
)
LANES = {"coingecko": "markets", "defillama-stablecoins": "stablecoins", "defillama-pools": "pools"}
START_US = VirtualTime.START_NS // 1_000


class Ending(CoinFeeds):
    """Feeds that tell the virtual time when they have ended."""

    time: VirtualTime

    async def _run_one(self, feed, for_s):
        try:
            await super()._run_one(feed, for_s)
        finally:
            self.time.leave()


@pytest.fixture
def server():
    with serving_coins() as server:
        yield server


@pytest.fixture
def lake(tmp_path):
    return tidelake.open(tmp_path / "lake")


def settings_of(server, time, **others):
    others.setdefault("patience", Patience(attempts=2, total=1e9, timeout=0.3, first_wait=1.0, longest_wait=2.0))
    return PollSettings(
        urls=dict.fromkeys(COIN_SOURCES, server.url),
        paces=dict.fromkeys(COIN_SOURCES, Pace(1e6, 1.0)),
        clock=time.wall_ns,
        monotonic=time.monotonic,
        **others,
    )


def poll(lake, server, for_s, *, during=None, kill=False, **others):
    """What was heard, as (virtual second, known), and the feeds after it."""
    time = VirtualTime(tasks=3)
    server.now_s = lambda: int(time.wall_ns() // 1_000_000_000)
    heard = []

    async def run():
        given = settings_of(server, time, **others)
        rates = Rates(clock=time.monotonic, sleep=time.sleep)
        async with Http(rates=rates, patience=given.patience, clock=given.clock, sleep=time.sleep, seed=1) as http:
            polled = polled_feeds(lake.store, http, COINS, given)

            def take(known):
                heard.extend((time.now, one) for one in known)
                if during is not None:
                    during(time.now, feeds)

            feeds = Ending(polled, take, monotonic=time.monotonic, sleep=time.sleep)
            feeds.time = time
            await feeds.run(for_s)
            return feeds

    return heard, asyncio.run(run())


def facts(heard, feature=None):
    told = [(at, known.told) for at, known in heard if isinstance(known.told, CoinFact)]
    return [(at, fact) for at, fact in told if feature in (None, fact.feature)]


def prices(heard, *, stood_in):
    """Prices by CoinGecko, or in its stead: those speak of half a minute ago."""
    return [
        (at, fact)
        for at, fact in facts(heard, "price")
        if (fact.event_us < START_US + int(at) * 1_000_000 - 20_000_000) is stood_in
    ]


def turns(heard):
    return [(at, known.told.name, known.told.is_up) for at, known in heard if isinstance(known.told, Turn)]


def frames(lake, lane):
    return [frame for entry in Ledger(lake.store).entries(lane) for frame in iter_frames(lake.store, entry.segment)]


def test_each_source_is_asked_in_its_interval_for_all_coins_at_once(lake, server):
    heard, feeds = poll(lake, server, 360.0)
    assert server.asked == {"markets": 7, "stablecoins": 3, "pools": 1}
    assert [at for at, fact in facts(heard, "price") if fact.coin == "USDC"] == [0.0, 60, 120, 180, 240, 300, 360]
    first = {
        (fact.feature, fact.coin, fact.chain): (fact.source, fact.event_us, fact.value)
        for at, fact in facts(heard)
        if at == 0
    }
    assert first == {
        ("price", "DAI", ""): ("coingecko", START_US, Decimal("0.999")),
        ("volume", "DAI", ""): ("coingecko", START_US, Decimal("5000000000.0")),
        ("price", "USDC", ""): ("coingecko", START_US, Decimal("1.0")),
        ("volume", "USDC", ""): ("coingecko", START_US, Decimal("5000000000.0")),
        ("circulating", "USDC", ""): ("defillama", START_US, Decimal("100.5")),
        ("circulating", "USDC", "ethereum"): ("defillama", START_US, Decimal("100.0")),
        ("liquidity", "DAI", "ethereum"): ("defillama", START_US, Decimal("1000000.5")),
        ("liquidity", "USDC", "ethereum"): ("defillama", START_US, Decimal("1200000.5")),
    }
    up = {health.name: (health.condition, health.answers, health.failures) for health in feeds.health()}
    assert up == {
        "coingecko": ("up", 7, 0),
        "defillama-current": ("waiting", 0, 0),
        "defillama-stablecoins": ("up", 3, 0),
        "defillama-pools": ("up", 1, 0),
    }


def test_lake_tells_what_was_heard_live(lake, server):
    server.faults = {"markets": [None, 429, 500, "words", None], "stablecoins": ["cut", "other", None]}
    server.dead = set()
    heard, feeds = poll(lake, server, 900.0, during=lambda now, _: server.dead.update({"markets"} if now > 200 else ()))
    again = list(feeds.history())
    live = [known for _, known in heard]
    assert len(live) > 40
    assert any(isinstance(known.told, Turn) for known in live)
    assert sorted(map(repr, again)) == sorted(map(repr, live))
    assert [known.known_us for known in again] == sorted(known.known_us for known in live)
    assert len(list(Ledger(lake.store).entries(answers_lane("coingecko")))) > 1  # sealed as it ran


def test_every_answer_is_kept_as_it_came_those_refused_included(lake, server):
    server.faults = {"markets": [429, None, 500, "words", "other"], "stablecoins": ["words", None]}
    poll(lake, server, 180.0, failures=2)
    for lane, name in LANES.items():
        kept = [(frame.status, frame.payload) for frame in frames(lake, answers_lane(lane)) if frame.kind == "page"]
        assert kept == server.told[name], lane
    statuses = [frame.status for frame in frames(lake, answers_lane("coingecko")) if frame.kind == "page"]
    assert statuses[:5] == [429, 200, 500, 200, 200]


@pytest.mark.parametrize("fault", [429, 500, 503, 404, "hang", "cut", "words", "other"])
def test_failed_round_is_told_by_health_and_the_stand_in_is_asked(lake, server, fault):
    server.faults = {"markets": [fault] if fault in (404, "other") else [fault, fault]}  # those are asked once
    seen = []
    heard, feeds = poll(lake, server, 60.0, during=lambda now, feeds: seen.append((now, feeds.health()[0])))
    assert [fact.coin for at, fact in prices(heard, stood_in=True)] == ["DAI", "USDC"]
    at, fact = prices(heard, stood_in=True)[0]
    assert at < 10
    assert fact.event_us == START_US + (int(at) - 30) * 1_000_000
    failing = next(health for _, health in seen if health.failures)
    assert (failing.condition, failing.in_a_row, failing.breaker) == ("failing", 1, "closed")
    assert failing.reason
    health = feeds.health()[0]
    assert (health.condition, health.answers, health.failures, health.reason) == ("up", 1, 1, "")
    assert turns(heard) == []


def test_source_that_is_dead_for_long_is_left_alone_and_stops_nobody(lake, server):
    def life(now, _):
        server.dead = {"markets"} if 30 < now < 5400 else set()  # first seen at 60 s, after that round

    heard, feeds = poll(lake, server, 7200.0, during=life)
    assert [at for at, fact in facts(heard, "circulating") if not fact.chain] == [180.0 * n for n in range(41)]
    (down_at, _, was_up), (back_at, _, is_up) = turns(heard)
    assert (was_up, is_up) == (False, True)
    assert 240 <= down_at < 250  # the third round in a row, with its second attempt
    assert 5400 <= back_at <= 5400 + 660  # an open breaker tries again within ten minutes, at the next tick
    assert {int(at // 60) for at, _ in facts(heard, "price")} == set(range(121))  # in each minute, by whomever
    # Good at 0 and 60 s, failed at 120, 180 and 240 s; pauses of 60, 120, 240, 480 and then 600 s, each to the next
    # tick; each failure is of two attempts. Then once a minute.
    failed = (120, 180, 240, 360, 480, 780, 1320, *range(1980, 5400, 660))
    assert server.asked["markets"] == 2 + 2 * len(failed) + (7200 - back_at // 60 * 60) // 60 + 1
    assert feeds.health()[0].condition == "up"
    assert feeds.health()[1].condition in {"up", "waiting"}


def test_host_that_asks_for_a_pause_gets_it(lake, server):
    server.faults = {"markets": [429]}
    server.retry_after = 150
    heard, _ = poll(lake, server, 300.0, patience=Patience(attempts=1, timeout=1.0))
    own = [at for at, fact in prices(heard, stood_in=False) if fact.coin == "USDC"]
    assert own == [180.0, 240.0, 300.0]
    assert server.asked["markets"] == 4
    assert prices(heard, stood_in=True)[0][0] == 0.0


def test_coins_that_no_source_knows_make_it_absent_with_the_reason(lake, server):
    async def run():
        async with Http() as http:
            feed = PolledFeed(lake.store, http, COIN_SOURCES["defillama-pools"], (CoinRef("X", "x", "9"),))
            known = await feed.tick()
            await feed.close()
            return known, feed.health()

    known, (health,) = asyncio.run(run())
    assert known == []
    assert (health.condition, health.reason) == ("absent", "no coin that is followed has an id or token there")


def test_key_of_the_environment_goes_to_its_own_host_and_into_no_lane(lake, server, monkeypatch):
    monkeypatch.setenv("TIDELAKE_COINGECKO_DEMO_KEY", "CG-secret-123456")
    poll(lake, server, 0.0)
    assert not any("CG-secret" in str(value) for value in server.headers["markets"].values())
    kept = frames(lake, answers_lane("coingecko"))
    assert not any("CG-secret" in str(frame) for frame in kept)


def test_poll_that_was_killed_loses_nothing_and_goes_on_in_its_lane(lake, server):
    time = VirtualTime(tasks=1)
    server.now_s = lambda: int(time.wall_ns() // 1_000_000_000)
    given = settings_of(server, time)

    async def run():
        heard = list[Known]()
        async with Http(patience=given.patience, clock=given.clock) as http:
            feed = PolledFeed(lake.store, http, COIN_SOURCES["coingecko"], COINS, settings=given)
            for last in (False, False, True):
                heard += await feed.tick()
                time.now += 60
                if last:
                    await feed.close()
                else:  # as kill -9 leaves it: the part file stays
                    feed._polls[0]._lane.abandon()
                    feed = PolledFeed(lake.store, http, COIN_SOURCES["coingecko"], COINS, settings=given)
        return heard, list(feed.history())

    heard, again = asyncio.run(run())
    assert len(heard) == 12
    assert again == heard
    assert [frame.n for frame in frames(lake, answers_lane("coingecko"))] == [0, 1, 2]


def test_feed_that_raises_stops_nobody_and_is_closed(lake, server):
    class Broken:
        name, interval_s = "broken", 60.0
        features: tuple[Feature, ...] = ("price",)
        ticks = closed = 0

        async def tick(self):
            self.ticks += 1
            raise StoreError("no space left", key="part")

        def history(self, since_us=0):
            return iter(())

        def health(self):
            return []

        async def close(self):
            self.closed += 1
            raise StoreError("no space left", key="part")

    time, heard, broken = VirtualTime(tasks=2), list[Known](), Broken()
    given = settings_of(server, time)

    async def run():
        async with Http(patience=given.patience, clock=given.clock, sleep=time.sleep) as http:
            good = PolledFeed(lake.store, http, COIN_SOURCES["coingecko"], COINS, settings=given)
            feeds = Ending([broken, good], heard.extend, monotonic=time.monotonic, sleep=time.sleep)
            feeds.time = time
            with pytest.raises(StoreError, match="no space"):
                await feeds.run(180.0)

    asyncio.run(run())
    assert (broken.ticks, broken.closed) == (4, 1)
    assert len(heard) == 16
    assert len(frames(lake, answers_lane("coingecko"))) == 4  # the good one was sealed all the same


def test_past_is_asked_in_spans_and_known_from_when_it_was_asked(lake, server):
    time = VirtualTime(tasks=1)
    given = settings_of(server, time)
    start = dt.datetime(2023, 11, 14, tzinfo=dt.UTC)
    sources = ("coingecko", "defillama-stablecoins", "defillama-pools")
    end = start + dt.timedelta(days=100)
    plan = fetch_past(lake.store, COINS, sources, start, end, dry_run=True, settings=given)
    assert [(one.source, one.state, one.requests) for one in plan.rows] == [
        ("coingecko", "planned", 4), ("defillama-stablecoins", "planned", 2), ("defillama-pools", "absent", 0),
    ]  # fmt: skip
    assert server.asked == {}
    done = fetch_past(lake.store, COINS, sources, start, end, settings=given)
    assert [(one.state, one.requests, one.failed) for one in done.rows] == [
        ("done", 4, 0),
        ("done", 2, 0),
        ("absent", 0, 0),
    ]
    assert "pool by pool" in done.rows[2].reason
    known = list(read_past(lake.store, COINS, sources[:2]))
    assert {one.known_us for one in known} == {START_US}
    found = [one.told for one in known if isinstance(one.told, CoinFact)]
    told_prices = [fact for fact in found if fact.feature == "price" and fact.coin == "USDC"]
    assert [fact.event_us for fact in told_prices] == [
        int(start.timestamp() + n * 3600) * 1_000_000 for n in range(2401)
    ]
    circulating = [(fact.chain, fact.event_us, fact.value) for fact in found if fact.feature == "circulating"]
    day_us = 86_400_000_000
    first_us = 1_700_000_000_000_000
    assert sorted(set(circulating)) == [
        ("", first_us, 50), ("", first_us + day_us, 51), ("", first_us + 2 * day_us, 52),
        ("ethereum", first_us, Decimal("49.5")),
    ]  # fmt: skip
    assumed = list(read_past(lake.store, COINS, sources[:2], assume_latency=dt.timedelta(seconds=90)))
    late = {one.known_us - one.told.event_us for one in assumed if isinstance(one.told, CoinFact)}
    assert late == {90_000_000}
    assert [known.known_us for known in assumed] == sorted(known.known_us for known in assumed)
    assert frames(lake, past_lane("coingecko"))


def test_past_that_the_lake_holds_is_not_asked_for_again_and_what_failed_is(lake, server):
    given = settings_of(server, VirtualTime(tasks=1))
    end = dt.datetime.fromtimestamp(START_US / 1e6, dt.UTC) - dt.timedelta(days=1)
    start, sources = end - dt.timedelta(days=100), ("coingecko", "defillama-stablecoins")
    shown = []

    def fetch(**others):
        report = fetch_past(lake.store, COINS, sources, start, end, settings=given, **others)
        return [(one.state, one.requests, one.held, one.failed) for one in report.rows], report

    server.faults = {"past": [None, 404, "other"]}
    told, report = fetch(progress=lambda *done: shown.append(done))
    assert told == [("failed", 2, 0, 2), ("done", 2, 0, 0)]
    assert (report.exit_code, "run again" in report.summary) == (3, True)
    assert shown[:2] == [(0, 4, "coingecko"), (1, 4, "coingecko")]
    assert fetch(dry_run=True)[0] == [("planned", 2, 2, 0), ("held", 0, 2, 0)]
    asked = server.asked["past"]
    assert fetch()[0] == [("done", 2, 2, 0), ("held", 0, 2, 0)]
    assert server.asked["past"] == asked + 2
    told, report = fetch()
    assert told == [("held", 0, 4, 0), ("held", 0, 2, 0)]
    assert (report.exit_code, server.asked["past"]) == (0, asked + 2)
    later = VirtualTime.START_NS // 10**9 + 5
    whole = dt.datetime.fromtimestamp(later, dt.UTC)  # answers of before this end may lack what came since
    again = fetch_past(lake.store, COINS, sources[1:], start, whole, settings=given)
    assert [(one.state, one.requests) for one in again.rows] == [("done", 2)]


def test_past_without_zone_or_order_is_refused(lake):
    day = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
    with pytest.raises(ValueError, match="time zone"):
        fetch_past(lake.store, COINS, ("coingecko",), day.replace(tzinfo=None), day)
    with pytest.raises(ValueError, match="before the start"):
        fetch_past(lake.store, COINS, ("coingecko",), day, day - dt.timedelta(days=1))


def test_lanes_of_sources_are_whole_and_no_table_takes_them_for_its_own(lake, server):
    poll(lake, server, 120.0)
    assert verify(lake.store).problems == []
    reports = lake.derive()
    assert reports
    assert lake.sql("SELECT count(*) AS n FROM quarantine")["n"].item() == 0
