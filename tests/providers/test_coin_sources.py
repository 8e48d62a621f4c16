"""Sources of facts about coins: one contract, values exact, what cannot be is refused with its reason."""

import json
from decimal import Decimal

import pytest

from tests.jobs.coin_server import DAI, DAYS, POOLS, USDC, market, pool, stablecoins
from tidelake.errors import FormatDrift, NotInLake
from tidelake.providers.coin_source import CoinRef
from tidelake.providers.registry import COIN_SOURCES, coin_source
from tidelake.stablecoins.registry import coins
from tidelake.stablecoins.sources.refs import coin_refs

NOW_S = 1_757_614_216
RECV_NS = NOW_S * 1_000_000_000 + 1
RECV_US = NOW_S * 1_000_000 + 1  # rounded up
COINS = (
    CoinRef("DAI", "dai", "5", (("ethereum", DAI), ("bnb", DAI))),
    CoinRef("USDC", "usd-coin", "2", (("ethereum", USDC), ("solana", "EPjF"))),
)
BODIES = {
    "coingecko": [market("usd-coin", 0.9991, NOW_S - 60), market("tether", 1, NOW_S)],
    "defillama-stablecoins": stablecoins(100.5),
    "defillama-pools": POOLS,
    "defillama-current": {"coins": {"coingecko:usd-coin": {"price": 0.9991, "timestamp": NOW_S - 60}}},
}


def read(name, body, request=None, coins=COINS):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    source = coin_source(name)
    return source.read(f"GET {source.url}{request or source.live(coins)[0]}", raw, RECV_NS, coins)


@pytest.mark.parametrize("name", list(COIN_SOURCES))
def test_source_keeps_the_contract(name):
    source = coin_source(name)
    assert source.url.startswith("https://")
    assert source.name == name
    assert source.live(()) == []
    assert all(path.startswith("/") for path in source.live(COINS))
    answer = read(name, BODIES[name])
    assert answer.facts
    assert {fact.feature for fact in answer.facts} <= set(source.features)
    assert {fact.source for fact in answer.facts} == {source.witness or source.source}
    assert {fact.coin for fact in answer.facts} <= {"DAI", "USDC"}
    assert all(RECV_US - 3_600_000_000 < fact.event_us <= RECV_US for fact in answer.facts)
    assert read(name, BODIES[name]) == answer
    past = source.history(COINS, NOW_S - 86_400, NOW_S)
    assert bool(past) != bool(source.no_history)


@pytest.mark.parametrize("name", list(COIN_SOURCES))
@pytest.mark.parametrize("body", [b"", b"7", b"[1", b'"word"', b'{"error":"busy"}', b"\xff", b'{"coins":7}'])
def test_answer_of_another_form_is_refused(name, body):
    with pytest.raises(FormatDrift):
        read(name, body)


@pytest.mark.parametrize("name", list(COIN_SOURCES))
def test_body_cut_short_is_refused(name):
    with pytest.raises(FormatDrift):
        read(name, json.dumps(BODIES[name]).encode()[:-3])


def test_unknown_source_is_told_with_those_that_exist():
    with pytest.raises(NotInLake) as told:
        coin_source("kaiko")
    assert told.value.available == tuple(COIN_SOURCES)


def test_all_coins_of_the_registry_are_asked_for_in_one_request_and_ids_tell_of_one_coin():
    refs = coin_refs(coins().values())
    assert len(refs) == 15
    (path,) = coin_source("coingecko").live(refs)
    assert path.count(",") == 13  # USDC.e has no id of its own
    by_symbol = {ref.symbol: ref for ref in refs}
    assert (by_symbol["USDC"].coingecko, by_symbol["USDC"].defillama) == ("usd-coin", "2")
    assert (by_symbol["USDC.e"].coingecko, by_symbol["USDC.e"].defillama) == ("", "")
    assert len(by_symbol["USDC.e"].tokens) == 5
    assert ("ethereum", USDC) in by_symbol["USDC"].tokens
    for source in COIN_SOURCES.values():
        assert len(source.live(refs)) == 1


def pools(*told):
    return read("defillama-pools", {"status": "success", "data": list(told)})


def liquidity(answer):
    return {(fact.coin, fact.chain): fact.value for fact in answer.facts}


def test_liquidity_is_what_lies_in_pools_of_exchanges_that_hold_the_coin():
    answer = read("defillama-pools", POOLS)
    assert answer.refused == ()
    assert liquidity(answer) == {
        ("DAI", "ethereum"): Decimal("1000000.5"),
        ("USDC", "ethereum"): Decimal("1200000.5"),
    }


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"project": "aave-v3"}, {}),
        ({"underlyingTokens": [USDC]}, {}),
        ({"underlyingTokens": [USDC, USDC.upper().replace("0X", "0x")]}, {}),
        ({"underlyingTokens": []}, {}),
        ({"underlyingTokens": [None, USDC]}, {}),
        ({"chain": "Nowhere"}, {}),
        ({"chain": "Base"}, {}),
        ({"tvlUsd": None}, {}),
        ({"tvlUsd": 0}, {("USDC", "ethereum"): 0}),
        ({"chain": "Binance", "underlyingTokens": [DAI, "0x1"]}, {("DAI", "bnb"): 100}),
        ({"chain": "BSC", "underlyingTokens": [DAI, "0x1"]}, {("DAI", "bnb"): 100}),
        ({"chain": "Solana", "underlyingTokens": ["EPjF", "So11"]}, {("USDC", "solana"): 100}),
        ({"chain": "Solana", "underlyingTokens": ["epjf", "So11"]}, {}),
    ],
)
def test_pool_counts_by_its_exchange_chain_and_tokens(changed, expected):
    answer = pools({**pool("one", "curve-dex", 100, [USDC, "0x1"]), **changed})
    assert liquidity(answer) == expected
    assert answer.refused == ()


@pytest.mark.parametrize("usd", [-1, "NaN", True, 1e19])
def test_pool_that_tells_what_cannot_be_is_refused_alone(usd):
    good = pool("good", "curve-dex", 100, [USDC, DAI])
    answer = pools({**good, "pool": "bad", "tvlUsd": usd}, good)
    assert liquidity(answer) == {("USDC", "ethereum"): 100, ("DAI", "ethereum"): 100}
    assert len(answer.refused) == 1


def test_pool_told_twice_counts_once():
    good = pool("good", "curve-dex", 100, [USDC, DAI])
    answer = pools(good, good)
    assert liquidity(answer)["USDC", "ethereum"] == 100
    assert [one.coin for one in answer.refused] == ["good"]


def test_answer_of_pools_that_is_no_success_is_refused():
    with pytest.raises(FormatDrift, match="status 'error'"):
        read("defillama-pools", {"status": "error", "data": []})


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"price": 0, "timestamp": NOW_S}, "price"),
        ({"price": -1, "timestamp": NOW_S}, "price"),
        ({"price": 1, "timestamp": NOW_S * 1000}, "timestamp"),
        ({"price": 1, "timestamp": 12}, "timestamp"),
        ({"price": 1}, ""),
    ],
)
def test_current_price_that_cannot_be_is_refused_alone(told, field):
    good = {"price": 0.9, "timestamp": NOW_S}
    answer = read("defillama-current", {"coins": {"coingecko:usd-coin": told, "coingecko:dai": good}})
    assert [(fact.coin, fact.value) for fact in answer.facts] == [("DAI", Decimal("0.9"))]
    assert [(one.coin, one.field) for one in answer.refused] == [("usd-coin", field)]


def test_span_is_told_point_by_point_with_what_cannot_be_left_out():
    at_ms = NOW_S * 1000 - 7_200_000
    body = {
        "prices": [[at_ms, 1.0001], [at_ms + 3_600_000, 0], [at_ms + 7_200_000 + 700_000, 1]],
        "market_caps": [],
        "total_volumes": [[at_ms, 5_000_000_000.25], [at_ms + 3_600_000, None], [5, 1]],
    }
    (request,) = coin_source("coingecko").history(COINS[1:], NOW_S - 7_200, NOW_S)
    answer = read("coingecko", body, request)
    assert [(fact.feature, fact.event_us, fact.value) for fact in answer.facts] == [
        ("price", at_ms * 1000, Decimal("1.0001")),
        ("volume", at_ms * 1000, Decimal("5000000000.25")),
    ]
    assert [one.field for one in answer.refused] == ["prices", "time", "time"]


def test_spans_are_cut_so_that_each_is_told_by_the_hour():
    day = 86_400
    spans = coin_source("coingecko").history(COINS[1:], 0, 200 * day)
    ends = [(int(path.split("from=")[1].split("&")[0]), int(path.split("to=")[1].split("&")[0])) for path in spans]
    assert ends == [(0, 90 * day - 1), (90 * day, 180 * day - 1), (180 * day, 200 * day)]


def test_days_of_a_coin_are_told_by_chain_and_together():
    answer = read("defillama-stablecoins", DAYS, "/stablecoin/2")
    assert [(fact.chain, fact.event_us, fact.value) for fact in answer.facts] == [
        ("", 1_700_000_000_000_000, 50),
        ("", 1_700_086_400_000_000, 51),
        ("", 1_700_172_800_000_000, 52),
        ("ethereum", 1_700_000_000_000_000, Decimal("49.5")),
    ]
    with pytest.raises(FormatDrift):
        read("defillama-stablecoins", {**DAYS, "tokens": [{"date": 1, "circulating": 5}]}, "/stablecoin/2")
    missing = {**DAYS, "tokens": [{"date": 1_700_000_000, "circulating": 0}], "chainBalances": {}}
    assert read("defillama-stablecoins", missing, "/stablecoin/2").facts == ()
