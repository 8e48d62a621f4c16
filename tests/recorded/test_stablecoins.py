"""Recorded logs and answers of providers on stablecoins: read whole, each unit once."""

import datetime as dt
import json
from decimal import Decimal
from fractions import Fraction

import pytest

from tests.recorded.independent_reader import DATA
from tests.recorded.linked_blocks import linked
from tidelake.providers import coingecko_markets, defillama_stablecoins
from tidelake.providers.registry import coin_source
from tidelake.stablecoins.issuers import SupplyLogs
from tidelake.stablecoins.registry import read_coins
from tidelake.stablecoins.sources.refs import coin_refs

BURNT = 0xCB972400  # USDC, in smallest units, as the data of the log has it: 3,415.68 USDC
CIRCLE = "0x55fe002aeff02f77364de339a1292923a15844b8"


def test_burn_of_usdc_is_found_exactly_once_among_all_logs_of_five_blocks():
    _, logs = linked()
    coins = read_coins()
    reader = SupplyLogs(coins)
    known = {one.key[1] for coin in coins for one in coin.deployments if one.chain == "ethereum"}
    found = [change for log in logs if log.address in known if (change := reader.change(log)) is not None]
    (burn,) = found
    assert (burn.coin, burn.kind, burn.units, burn.change) == ("USDC", "burn", BURNT, -BURNT)
    assert (burn.event, burn.by, burn.why, burn.assumed) == ("Burn", CIRCLE, "issuer", False)
    assert (burn.block_number, burn.log_index) == (15_000_003, 207)
    assert burn.tx_hash == "0x7b818a049bdbef3f6f2fe7a6ad35805cde1bf21a0e7533b956364ce382d8c9b0"
    # The Transfer to nobody that the same call logged is the next log, and tells the same amount.
    (echo,) = [log for log in logs if log.tx_hash == burn.tx_hash and log.log_index == 208]
    assert int(echo.data, 16) == BURNT
    assert reader.change(echo) is None


def test_filters_of_ethereum_ask_for_the_burn_and_for_little_else():
    _, logs = linked()
    reader = SupplyLogs(read_coins())
    filters = reader.filters("ethereum")
    asked = [log for log in logs if any(one.matches(log) for one in filters)]
    assert [(log.block_number, log.log_index) for log in asked] == [(15_000_003, 207)]


def answer(name):
    file = DATA / "stablecoins" / "providers-2025-09" / f"{name}_raw_output.json"
    if not file.is_file():
        pytest.skip("needs the answers in ../shared/data/stablecoins/providers-2025-09")
    return file.read_bytes()


def test_answer_of_coingecko_is_parsed_whole():
    body = answer("coingecko")
    expected = json.loads(body, parse_float=Decimal)
    # The newest change that the answer tells; it was received no earlier.
    recv_ns = int(dt.datetime.fromisoformat(max(coin["last_updated"] for coin in expected)).timestamp()) * 10**9
    told = coingecko_markets.read(body, recv_ns=recv_ns)
    assert told.refused == ()
    assert len(told.coins) == len(expected) == 250
    for coin, fact in zip(told.coins, expected, strict=True):
        assert (coin.coin, coin.symbol, coin.name) == (fact["id"], fact["symbol"], fact["name"])
        assert (coin.price_usd, coin.volume_usd_24h) == (fact["current_price"], fact["total_volume"])
        assert (coin.market_cap_usd, coin.total) == (fact["market_cap"], fact["total_supply"])
        assert coin.circulating == fact["circulating_supply"]
        assert (
            f"{dt.datetime.fromtimestamp(coin.event_us / 1e6, dt.UTC):%Y-%m-%dT%H:%M:%S}" == fact["last_updated"][:19]
        )
    assert {coin.ids.coingecko for coin in read_coins()} <= {coin.coin for coin in told.coins}


def test_recorded_answers_tell_facts_of_the_coins_of_the_registry_alone():
    refs = coin_refs(read_coins())
    symbols = {ref.coingecko: ref.symbol for ref in refs if ref.coingecko}
    body = answer("coingecko")
    markets = [coin for coin in json.loads(body, parse_float=Decimal) if coin["id"] in symbols]
    recv_ns = int(max(dt.datetime.fromisoformat(coin["last_updated"]) for coin in markets).timestamp()) * 10**9
    source = coin_source("coingecko")
    told = source.read(f"GET {source.live(refs)[0]}", body, recv_ns, refs)
    assert {(fact.feature, fact.coin): fact.value for fact in told.facts} == {
        (feature, symbols[coin["id"]]): coin[name]
        for coin in markets
        for feature, name in (("price", "current_price"), ("volume", "total_volume"))
    }
    assert len(told.facts) == 28
    body = answer("defillama")
    assets = {asset["id"]: asset for asset in json.loads(body, parse_float=Decimal)["peggedAssets"]}
    told = coin_source("defillama-stablecoins").read("GET /stablecoins", body, recv_ns, refs)
    found = {(fact.coin, fact.chain): fact.value for fact in told.facts}
    assert found["USDC", ""] == assets["2"]["circulating"]["peggedUSD"]
    assert found["USDC", "bnb"] == assets["2"]["chainCirculating"]["BSC"]["current"]["peggedUSD"]
    assert {coin for coin, chain in found if not chain} == {ref.symbol for ref in refs if ref.defillama}


def test_answer_of_defillama_is_parsed_whole_and_its_chains_add_up_but_once():
    body = answer("defillama")
    expected = json.loads(body, parse_float=Decimal)
    told = defillama_stablecoins.read(body)
    assert len(told.coins) == len(expected["peggedAssets"]) == 289
    # The price of USTC is told as 0, which is none.
    assert [(one.coin, one.field) for one in told.refused] == [("3", "price")]
    names = ("circulating", "circulatingPrevDay", "circulatingPrevWeek", "circulatingPrevMonth")
    unequal = set()
    for coin, fact in zip(told.coins, expected["peggedAssets"], strict=True):
        assert (coin.coin, coin.symbol, coin.name) == (fact["id"], fact["symbol"], fact["name"])
        assert [chain.name for chain in coin.chains] == list(fact["chainCirculating"])
        for moment, name in zip(("now", "day", "week", "month"), names, strict=True):
            total = fact[name][fact["pegType"]] if fact[name] else None
            assert getattr(coin.total, moment) == total
            summed = Fraction(0)
            for chain in coin.chains:
                part = fact["chainCirculating"][chain.name][name if moment != "now" else "current"]
                amount = part[fact["pegType"]] if part else None
                assert getattr(chain.amounts, moment) == amount
                summed += Fraction(amount or 0)
            whole = Fraction(total or 0)
            if abs(summed - whole) > max(Fraction(1), whole) / 10**9:
                unequal.add((coin.coin, moment))
    # A month before, the chains of USDT lack 464 million of its total: the answer's own difference, and told as such.
    assert unequal == {("1", "month")}
    assert [(one.of, one.moment, one.told) for one in told.differences] == [
        ("1", "month", Decimal("165053491593.16507"))
    ]
    assert 164_589_424_280 < told.differences[0].summed < 164_589_424_281
    assert len(told.chains) == 266
    assert {chain.name for chain in told.chains} >= defillama_stablecoins.CHAIN_NAMES.keys()
    assert {coin.ids.defillama for coin in read_coins()} <= {coin.coin for coin in told.coins}
