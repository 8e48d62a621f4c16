"""Setups of machines out of the registry, against what its facts say by hand."""

import datetime as dt
from decimal import Decimal

import pytest

from tests.stablecoins.histories import S
from tidelake.errors import ConfigError
from tidelake.stablecoins.coin_setup import coin_setup, lanes_of
from tidelake.stablecoins.machine import Machine
from tidelake.stablecoins.observation import Head, Observation
from tidelake.stablecoins.records import IncidentRow, WindowRow
from tidelake.stablecoins.registry import read_coins

COINS = {coin.symbol: coin for coin in read_coins()}
AT = 1_800_000_000 * S
DAI_SOLANA = next(one.key for one in COINS["DAI"].deployments if one.chain == "solana")


def test_usdc_on_three_chains_has_the_periods_of_its_chains_and_expects_supply_where_heads_are_followed():
    setup = coin_setup(
        COINS["USDC"], AT + 1, heads={"ethereum", "arbitrum"}, chains={"ethereum", "arbitrum", "solana", "bnb"}
    )
    found = {one.name: one for one in setup.chains}
    assert {name: (one.decimals, one.grace_us // S, one.counted, one.follows_heads) for name, one in found.items()} == {
        "ethereum": (6, 900, True, True),
        "arbitrum": (6, 120, True, True),
        "solana": (6, 30, True, False),
        "bnb": (18, 900, False, False),
    }
    assert {name: one.expects for name, one in found.items()} == {
        "ethereum": ("liquidity", "supply"),
        "arbitrum": ("liquidity", "supply"),
        "solana": ("liquidity",),
        "bnb": ("liquidity",),
    }
    assert setup.begin_us == AT + 300 * S  # 1,800,000,000 is a multiple of 300
    Machine(setup)


def test_two_deployments_on_one_chain_are_two_lanes_and_the_counted_one_has_the_name_of_the_chain():
    usdt = lanes_of(COINS["USDT"])
    assert usdt["avalanche"].address.lower() == "0x9702230a8ea53601f5cd2dc00fdbc13d4df4a8c7"
    assert usdt["avalanche/USDT.e"].address.lower() == "0xc7198437980c041c805a1edcba50c1ce5db95118"
    assert {"optimism", "optimism/USDT0"} <= set(usdt)
    setup = coin_setup(COINS["USDT"], AT, heads={"avalanche"}, chains={"avalanche"})
    assert [(one.name, one.counted, one.expects) for one in setup.chains] == [
        ("avalanche", True, ("liquidity", "supply")),
        ("avalanche/USDT.e", False, ("supply",)),
    ]
    for coin in COINS.values():
        lanes = lanes_of(coin)
        assert [one.key for one in lanes.values()] == [one.key for one in coin.deployments]
        assert {one.chain for one in coin.deployments} <= set(lanes)


def test_unknown_decimals_are_an_error_that_names_the_deployment_or_an_argument():
    with pytest.raises(ConfigError, match=f"DAI: nobody knows the decimals of DAI on solana, {DAI_SOLANA[1]}"):
        coin_setup(COINS["DAI"], AT, heads=())
    setup = coin_setup(COINS["DAI"], AT, heads=(), decimals={DAI_SOLANA: 8})
    assert {one.name: one.decimals for one in setup.chains}["solana"] == 8
    assert {one.decimals for one in setup.chains if one.name != "solana"} == {18}


def test_chain_on_which_the_coin_is_not_is_refused_and_what_is_given_goes_before_the_custom():
    with pytest.raises(ConfigError, match="USDC is not on gnosis"):
        coin_setup(COINS["USDC"], AT, heads=(), chains={"gnosis", "ethereum"})
    setup = coin_setup(
        COINS["USDC"],
        AT,
        heads=(),
        chains={"ethereum", "base"},
        grace_us={"base": 60 * S},
        exposure={"ethereum": 3.0},
        price_sources=2,
    )
    assert {one.name: (one.grace_us, one.exposure) for one in setup.chains} == {
        "ethereum": (900 * S, 3.0),
        "base": (60 * S, 1.0),
    }
    assert setup.price_sources == 2


def test_coin_has_windows_from_its_first_day_to_the_end_of_its_last():
    busd = COINS["BUSD"]
    first = int(dt.datetime(2019, 9, 5, tzinfo=dt.UTC).timestamp()) * S
    after = int(dt.datetime(2023, 2, 22, tzinfo=dt.UTC).timestamp()) * S
    assert coin_setup(busd, 1, heads=(), chains={"ethereum"}).begin_us == first
    with pytest.raises(ConfigError, match="BUSD ended on 2023-02-21"):
        coin_setup(busd, after - 299 * S, heads=(), chains={"ethereum"})

    machine = Machine(coin_setup(busd, after - 300 * S, heads={"ethereum"}, chains={"ethereum"}))

    def told(feature, at, **words):
        return machine.step(Observation(feature, at, at, chain="ethereum", id=str(at), **words))

    def passed(at):
        return told("head", at, told=Head(at, at, 1, 1))

    records = [
        *told("supply", after - 1, units=5, coin="BUSD"),
        *told("supply", after, units=7, coin="BUSD"),
        *passed(after - 30 * S),
        *passed(after + 60 * S),
    ]
    assert machine.open_rows() == []
    for minute in range(2, 40):
        records += passed(after + minute * 60 * S)
    rows = [one for one in records if isinstance(one, WindowRow)]
    assert max(row.window_end_us for row in rows) == after
    final = [row for row in rows if row.window_state == "FINAL" and row.chain == "ethereum"]
    assert sorted((row.window_s, (after - row.window_start_us) // S) for row in final) == [
        (60, 60), (60, 120), (60, 180), (60, 240), (60, 300), (300, 300),
    ]  # fmt: skip
    assert [row.minted for row in final if row.window_end_us == after] == [Decimal(5).scaleb(-18)] * 2
    (refused,) = [one for one in records if isinstance(one, IncidentRow)]
    assert (refused.kind, refused.event_us, refused.reason) == ("refused", after, "the coin has ended")
