"""Providers of a simulated history over HTTP: read as real answers are, they say what the generator says is true."""

import datetime as dt
import json
import urllib.error
import urllib.request
from decimal import Decimal

import pytest

from tidelake.providers import coingecko, coingecko_markets, defillama_stablecoins
from tidelake.providers.spec import Token
from tidelake.sim.coins.clock import HistoryClock
from tidelake.sim.coins.events import DAY_US, HOUR_US, MICROS, MINUTE_US, Fact
from tidelake.sim.coins.history import CoinHistory
from tidelake.sim.coins.plan import NO_FAULTS, CoinPlan, Rates
from tidelake.sim.coins.providers import CoinProviders, CoinServer
from tidelake.sim.coins.told_so_far import ToldSoFar

IDS = {"USDC": "usd-coin", "USDT": "tether", "DAI": "dai", "BUSD": "binance-usd"}
MARKETS = coingecko_markets.paths(list(IDS.values()))[0]
# Of the answers recorded in 2025-09.
COIN_KEYS = (
    "id symbol name image current_price market_cap market_cap_rank fully_diluted_valuation total_volume high_24h "
    "low_24h price_change_24h price_change_percentage_24h market_cap_change_24h market_cap_change_percentage_24h "
    "circulating_supply total_supply max_supply ath ath_change_percentage ath_date atl atl_change_percentage atl_date "
    "roi last_updated price_change_percentage_24h_in_currency"
)
ASSET_KEYS = (
    "id name symbol gecko_id pegType priceSource pegMechanism circulating circulatingPrevDay circulatingPrevWeek "
    "circulatingPrevMonth chainCirculating chains price"
)


@pytest.fixture
def plan():
    return CoinPlan(seed=4, days=2, rates=NO_FAULTS).with_crisis("depeg:USDC@6h+8h=0.12,down:coingecko@20h+1h")


@pytest.fixture
def history(plan):
    return CoinHistory(plan)


def get(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read()


def body(providers, name, target):
    path, _, query = target.partition("?")
    answer = providers.respond(name, path, dict(part.split("=") for part in query.split("&") if part))
    assert answer.status == 200, answer.body
    return answer.body


def known_by(history, now_us, feature, chain):
    """The last fact of each coin that is known by a time."""
    found = {}
    for told in history.told():
        if told.known_us > now_us:
            return found
        if isinstance(told, Fact) and (told.feature, told.chain) == (feature, chain):
            found[told.coin] = told
    raise AssertionError("the history ended before")


def test_markets_over_http_tell_price_volume_and_the_time_of_each_coin(history, plan):
    now_us = plan.start_us + 9 * HOUR_US
    with CoinServer(history, HistoryClock(now_us)) as server:
        raw = get(server.url_of("coingecko") + MARKETS)
        again = get(server.url_of("coingecko") + MARKETS)
    assert raw == again  # the clock stands
    assert [tuple(row) for row in json.loads(raw)] == [tuple(COIN_KEYS.split())] * 4
    told = coingecko_markets.read(raw, recv_ns=now_us * 1_000)
    assert not told.refused
    prices, volumes = (known_by(history, now_us, feature, "ethereum") for feature in ("price", "volume"))
    for coin, market in zip(IDS, told.coins, strict=True):
        assert (market.coin, market.symbol) == (IDS[coin], coin.lower())
        assert market.price_usd == Decimal(repr(prices[coin].value))
        assert market.volume_usd_24h == int(volumes[coin].value)
        assert market.event_us == prices[coin].event_us // 1_000 * 1_000
        assert now_us - market.event_us < 2 * MINUTE_US
    assert Decimal("0.8") < (told.coins[0].price_usd or 0) < Decimal("0.9")  # it is off its peg


def test_stablecoins_over_http_tell_what_circulates_now_and_before(history, plan):
    now_us = plan.start_us + 30 * HOUR_US
    with CoinServer(history, HistoryClock(now_us)) as server:
        raw = get(server.url_of("defillama") + defillama_stablecoins.PATH)
    answer = json.loads(raw)
    assert [tuple(row) for row in answer["peggedAssets"]] == [tuple(ASSET_KEYS.split())] * 4
    assert [tuple(row) for row in answer["chains"]] == [
        ("gecko_id", "totalCirculatingUSD", "tokenSymbol", "tvl", "name")
    ] * 3
    told = defillama_stablecoins.read(raw)
    assert not told.refused
    assert not told.differences
    truths = {(true.start_us, true.coin, true.chain): true for true in history.truths()}
    for coin, found in zip(IDS, told.coins, strict=True):
        assert found.symbol == coin
        assert [chain.chain for chain in found.chains] == ["ethereum", "arbitrum"]
        for chain in found.chains:
            fact = known_by(history, now_us, "circulating", chain.chain)[coin]
            true = truths[fact.event_us - fact.event_us % MINUTE_US, coin, chain.chain]
            assert chain.amounts.now == Decimal(repr(true.circulating))
            day = [
                Decimal(repr(truths[plan.start_us + 6 * HOUR_US - back * MINUTE_US, coin, chain.chain].circulating))
                for back in range(1, 5)
            ]
            assert chain.amounts.day in day  # the last that was told before that hour
            assert chain.amounts.week is chain.amounts.month is None
        assert found.price_usd is not None
        assert 0.99 < found.price_usd < 1.01
    assert {chain.chain for chain in told.chains} == {"ethereum", "arbitrum"}


def test_prices_of_a_contract_over_a_span_come_hour_by_hour(history, plan):
    usdc = Token("ethereum", "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48")
    day = dt.date(2024, 1, 1)
    (page,) = coingecko.pages({usdc: [day]})
    clock = HistoryClock(plan.start_us + DAY_US + 2 * HOUR_US)
    raw = body(CoinProviders(history, clock), "coingecko", page.path)
    (told,) = coingecko.read(page.path, raw)
    near = {true.start_us: true.price for true in history.truths() if (true.coin, true.chain) == ("USDC", "ethereum")}
    assert told.moment_s is not None
    assert told.price == repr(near[told.moment_s * MICROS // MINUTE_US * MINUTE_US])
    points = json.loads(raw)["prices"]
    first, last = (int(part.split("=")[1]) * MICROS for part in page.path.split("&")[1:])
    hours = {
        fact.event_us // HOUR_US
        for fact in history.facts()
        if (fact.feature, fact.coin, fact.chain) == ("price", "USDC", "ethereum")
        and first <= fact.event_us <= last
        and fact.known_us <= clock.now_us()
    }
    assert [time_ms * 1_000 // HOUR_US for time_ms, _ in points] == sorted(hours)
    nobody = page.path.replace("0xa0b8", "0xdead")
    path, _, query = nobody.partition("?")
    answer = CoinProviders(history, clock).respond("coingecko", path, dict(p.split("=") for p in query.split("&")))
    assert answer.status == 404


def test_nothing_is_told_before_it_is_known(history, plan):
    clock = HistoryClock(plan.start_us)
    providers = CoinProviders(history, clock)
    assert json.loads(body(providers, "coingecko", MARKETS)) == []
    for minutes in (1, 3, 60):
        clock.set(plan.start_us + minutes * MINUTE_US)
        told = coingecko_markets.read(body(providers, "coingecko", MARKETS), recv_ns=clock.now_us() * 1_000)
        wanted = known_by(history, clock.now_us(), "price", "ethereum")
        assert {market.symbol.upper(): market.event_us for market in told.coins} == {
            coin: fact.event_us // 1_000 * 1_000 for coin, fact in wanted.items()
        }
    with pytest.raises(ValueError, match="never goes back"):
        clock.set(plan.start_us)


def test_what_was_restated_is_told_wrong_first_and_right_then(plan):
    history = CoinHistory(CoinPlan(seed=4, days=1, rates=Rates(restated=0.3, late=0.0, doubled=0.0)))
    final = {
        fact.event_us // 1_000: fact.value for fact in history.facts() if (fact.feature, fact.coin) == ("price", "DAI")
    }
    clock = HistoryClock(plan.start_us)
    providers = CoinProviders(history, clock)
    told = []
    for second in range(0, 7_200, 20):
        clock.set(plan.start_us + second * MICROS)
        found = coingecko_markets.read(body(providers, "coingecko", MARKETS), recv_ns=clock.now_us() * 1_000).coins
        told += [(m.event_us // 1_000, m.price_usd) for m in found if m.symbol == "dai"]
    wrong = sum(Decimal(repr(final[time_ms])) != price for time_ms, price in told)
    assert 0.1 * len(told) < wrong < 0.4 * len(told)


def test_what_was_told_in_the_end_is_the_last_of_the_final_facts_also_of_each_hour():
    history = CoinHistory(CoinPlan(seed=4, days=1, rates=Rates(restated=0.3, late=0.1, doubled=0.1, reorgs=0.0)))
    told = ToldSoFar(history)
    told.follow(history.plan.end_us + DAY_US)
    last, hours = {}, {}
    for fact in history.facts():
        key = fact.feature, fact.coin, fact.chain
        last[key] = fact.value
        hours.setdefault(key, {})[fact.event_us // HOUR_US] = fact.value
    assert {key: fact.value for key, fact in told.last.items()} == {k: v for k, v in last.items() if k[0] != "supply"}
    for key, kept in told.hours.items():
        assert {fact.event_us // HOUR_US: fact.value for fact in kept} == hours[key]
        assert len(kept) == 24


def test_a_provider_that_is_down_answers_503_and_the_other_goes_on(history, plan):
    clock = HistoryClock(plan.start_us + 20 * HOUR_US + 5 * MINUTE_US)
    with CoinServer(history, clock) as server:
        with pytest.raises(urllib.error.HTTPError) as failed:
            get(server.url_of("coingecko") + MARKETS)
        assert failed.value.code == 503
        failed.value.close()
        assert get(server.url_of("defillama") + defillama_stablecoins.PATH)
        clock.set(plan.start_us + 21 * HOUR_US + 2 * MINUTE_US)
        assert len(json.loads(get(server.url_of("coingecko") + MARKETS))) == 4


def test_who_asks_too_often_is_refused_until_the_minute_of_the_history_ends(history, plan):
    clock = HistoryClock(plan.start_us + HOUR_US + 15 * MICROS)
    providers = CoinProviders(history, clock, limits=True)
    answers = [providers.respond("coingecko", "/ping", {}, "one") for _ in range(31)]
    assert [answer.status for answer in answers] == [200] * 30 + [429]
    assert answers[-1].headers["retry-after"] == "45"
    assert providers.respond("coingecko", "/ping", {}, "other").status == 200
    clock.set(plan.start_us + HOUR_US + MINUTE_US)
    assert providers.respond("coingecko", "/ping", {}, "one").status == 200
    free = CoinProviders(history, clock)
    assert {free.respond("coingecko", "/ping", {}, "one").status for _ in range(100)} == {200}


@pytest.mark.parametrize(
    ("name", "target", "status"),
    [
        ("coingecko", "/coins/markets?vs_currency=eur", 422),
        ("coingecko", "/coins/list", 404),
        ("defillama", "/protocols", 404),
    ],
)
def test_what_is_not_there_is_refused(history, plan, name, target, status):
    path, _, query = target.partition("?")
    asked = dict(part.split("=") for part in query.split("&") if part)
    assert CoinProviders(history, HistoryClock(plan.start_us)).respond(name, path, asked).status == status


def test_a_clock_runs_as_many_times_faster_as_it_is_told():
    wall = [100.0]
    clock = HistoryClock(1_000 * MICROS, speed=60.0, wall=lambda: wall[0])
    wall[0] = 102.5
    assert clock.now_us() == 1_150 * MICROS
    clock.set(2_000 * MICROS)
    wall[0] = 103.5
    assert clock.now_us() == 2_060 * MICROS
    assert HistoryClock(7).now_us() == 7
