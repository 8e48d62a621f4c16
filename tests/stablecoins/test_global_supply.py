"""The supply over all chains: each unit once, exact, and what is missing named."""

import random
from fractions import Fraction

import pytest

from tidelake.stablecoins.global_supply import account_of, global_supply
from tidelake.stablecoins.registry import read_coins

COINS = {coin.symbol: coin for coin in read_coins()}


def everything(coin, dice):
    """Supplies, balances and decimals of a whole coin, balances within the supplies."""
    decimals = {one.key: 6 + dice.randrange(13) for one in coin.deployments if one.decimals is None}
    supplies = {one.key: dice.randrange(10**40, 10**41) for one in coin.deployments}
    balances = {account_of(one): dice.randrange(10**39) for one in coin.not_counted}
    return supplies, balances, decimals


@pytest.mark.parametrize("symbol", COINS)
def test_each_unit_is_counted_once_in_fractions(symbol):
    coin = COINS[symbol]
    supplies, balances, decimals = everything(coin, random.Random(symbol))
    found = global_supply(coin, supplies, balances, decimals)
    expected, places = Fraction(0), {}
    for one in coin.deployments:
        places[one.chain, one.counted] = decimals.get(one.key, one.decimals)
        if one.form in ("native", "issuer_burn_mint"):
            expected += Fraction(supplies[one.key], 10 ** places[one.chain, True])
    for balance in coin.not_counted:
        expected -= Fraction(balances[account_of(balance)], 10 ** places[balance.chain, True])
    assert Fraction(found.units, 10**found.decimals) == expected
    assert found.missing == ()
    assert len(found.counted) + len(found.apart) == len(coin.deployments)
    assert found.complete is (symbol not in ("USDT", "TUSD", "frxUSD", "crvUSD", "DAI", "USDC.e"))


def test_backed_tokens_are_shown_apart_and_change_nothing():
    usdc = COINS["USDC"]
    supplies, balances, _ = everything(usdc, random.Random(1))
    whole = global_supply(usdc, supplies, balances)
    peg = next(key for key in supplies if key[0] == "bnb")
    assert [(share.chain, share.what, share.units, share.decimals) for share in whole.apart] == [
        ("bnb", "binance_peg", supplies[peg], 18)
    ]
    without = global_supply(usdc, {key: units for key, units in supplies.items() if key != peg}, balances)
    assert (without.units, without.missing) == (whole.units, ())
    assert whole.decimals == 6


def test_mixed_decimals_are_exact():
    frxusd = COINS["frxUSD"]
    ethereum, arbitrum = frxusd.deployments[:2]
    found = global_supply(frxusd, {ethereum.key: 10**40 + 1, arbitrum.key: 3}, {}, {arbitrum.key: 6})
    assert (found.units, found.decimals) == (10**40 + 1 + 3 * 10**12, 18)


def test_what_was_not_told_is_missing_and_never_zero():
    usdt = COINS["USDT"]
    ethereum = usdt.deployments[0].key
    found = global_supply(usdt, {ethereum: 100}, {})
    assert found.units == 100
    assert not found.complete
    assert {text for text in found.missing if text.startswith("supply")} == {"supply on avalanche", "supply on solana"}
    assert len([text for text in found.missing if text.startswith("balance")]) == 4
    assert global_supply(COINS["LUSD"], {COINS["LUSD"].deployments[0].key: 5}, {}).complete
    nothing = global_supply(usdt, {}, {})
    assert (nothing.units, nothing.counted) == (0, ())
    assert "supply on ethereum" in nothing.missing


def test_balance_of_a_chain_that_was_not_told_is_not_taken_from_the_others():
    usdt = COINS["USDT"]
    ethereum, avalanche = usdt.deployments[0].key, usdt.deployments[1].key
    treasury = next(account_of(one) for one in usdt.not_counted if one.chain == "avalanche")
    assert global_supply(usdt, {ethereum: 100}, {treasury: 40}).units == 100
    assert global_supply(usdt, {ethereum: 100, avalanche: 50}, {treasury: 40}).units == 110


@pytest.mark.parametrize(
    ("supplies", "balances", "decimals", "says"),
    [
        ({0: -1}, {}, {}, "below 0"),
        ({0: 5}, {0: -1}, {}, "below 0"),
        ({0: 5}, {0: 6}, {}, "6 units are taken out of 5 on ethereum"),
        ({("ethereum", "0x12"): 5}, {}, {}, "no supply of 0x12 on ethereum"),
        ({}, {("ethereum", "0x12"): 5}, {}, "no balance of 0x12 on ethereum"),
        ({0: 5}, {}, {0: 18}, "18 decimals were given, the registry says 6"),
    ],
)
def test_what_cannot_be_is_refused(supplies, balances, decimals, says):
    usdc = COINS["USDC"]
    keys = {0: usdc.deployments[0].key}
    accounts = {0: account_of(usdc.not_counted[0])}
    with pytest.raises(ValueError, match=says):
        global_supply(
            usdc,
            {keys.get(key, key): units for key, units in supplies.items()},
            {accounts.get(key, key): units for key, units in balances.items()},
            {keys.get(key, key): places for key, places in decimals.items()},
        )


def test_unknown_decimals_are_asked_for():
    frxusd = COINS["frxUSD"]
    with pytest.raises(ValueError, match="frxUSD on arbitrum: its decimals are not known"):
        global_supply(frxusd, {frxusd.deployments[1].key: 5}, {})
