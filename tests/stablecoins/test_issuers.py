"""What logs tell of supplies: against ledgers of tokens in each issuer's manner, each unit once."""

import random
from dataclasses import replace

import pytest

from tests.stablecoins import tokens
from tests.stablecoins.tokens import NOBODY, Token
from tidelake.errors import FormatDrift
from tidelake.stablecoins.issuers import SupplyLogs, filters_of
from tidelake.stablecoins.registry import read_coins

COINS = {coin.symbol: coin for coin in read_coins()}
READER = SupplyLogs(COINS.values())
STYLES = {"USDC": "usdc", "USDT": "usdt", "BUSD": "paxos", "PYUSD": "paxos", "TUSD": "tusd", "FRAX": "frax"}
HOLDERS = ["0x" + f"{n:040x}" for n in (0x10, 0xABCDEF, 2**159 + 7)]
CCTP = "0xc4922d64a24675E16e1586e3e3Aa56C06fABe907".lower()
PLACES = [
    (coin, deployment) for coin in COINS.values() for deployment in coin.deployments if deployment.chain != "solana"
]


def token_of(coin, deployment):
    """A token that logs as the facts say of this deployment: its issuer's manner, else bare Transfers."""
    own = deployment.changes in ("events", "transfers")
    return Token(deployment.chain, deployment.address, STYLES.get(coin.symbol, "plain") if own else "plain")


def lived(token, seed):
    """The token after a mint that no burns use up, and 60 calls of all kinds."""
    dice = random.Random(seed)
    token.mint(HOLDERS[0], HOLDERS[0], 2**210)
    calls = (
        lambda who, to, units: token.mint(who, to, units),
        lambda who, to, units: token.burn(who, units),
        lambda who, to, units: token.wipe(who, units),
        lambda who, to, units: token.move(who, to, units),
        lambda who, to, units: token.approve(who, to, units),
    )
    for _ in range(60):
        units = dice.choice((0, 1, dice.randrange(10**6), dice.randrange(2**200)))
        dice.choice(calls)(dice.choice(HOLDERS), dice.choice(HOLDERS), units)
    return token


def changes(logs):
    return [change for change in map(READER.change, logs) if change is not None]


@pytest.mark.parametrize(("coin", "deployment"), PLACES, ids=lambda one: getattr(one, "address", "")[:8])
def test_changes_add_up_to_the_ledger_of_the_token(coin, deployment):
    token = lived(token_of(coin, deployment), seed=deployment.address)
    assert token.supply > 0
    told = changes(token.logs)
    assert sum(change.change for change in told) == token.supply
    assert len({(change.block_hash, change.tx_hash, change.log_index) for change in told}) == len(told)
    assert {(change.coin, change.chain, change.address) for change in told} == {
        (coin.symbol, deployment.chain, deployment.address.lower())
    }
    assert {change.assumed for change in told} == {deployment.changes == "assumed"}
    # What is asked for is enough, of the deployment alone and of its chain, and it leaves out others.
    for filters in (filters_of(coin, deployment), READER.filters(deployment.chain)):
        asked = [log for log in token.logs if any(one.matches(log) for one in filters)]
        assert changes(asked) == told
        assert len(asked) < len(token.logs)


def test_chain_is_asked_by_at_most_three_filters():
    chains = {deployment.chain for _, deployment in PLACES}
    assert {chain: len(READER.filters(chain)) for chain in chains} == {
        chain: 3 if chain in {"ethereum", "arbitrum", "base", "polygon", "optimism", "avalanche"} else 2
        for chain in chains
    }
    assert READER.filters("solana") == READER.filters("fantom") == ()
    for chain in chains:
        asked = [address for one in READER.filters(chain) for address in one.addresses]
        assert set(asked) == {deployment.address.lower() for _, deployment in PLACES if deployment.chain == chain}


def test_filter_of_usdt_asks_for_its_own_events_alone():
    usdt = COINS["USDT"]
    (asked,) = filters_of(usdt, usdt.deployments[0])
    assert asked.parameters(1, 2) == {
        "fromBlock": "0x1",
        "toBlock": "0x2",
        "address": ["0xdac17f958d2ee523a2206206994597c13d831ec7"],
        "topics": [[tokens.ISSUE, tokens.REDEEM, tokens.DESTROYED, tokens.DEPRECATE]],
    }


def on(symbol, chain="ethereum"):
    deployment = next(one for one in COINS[symbol].deployments if one.chain == chain)
    return token_of(COINS[symbol], deployment)


def test_mint_of_usdc_is_told_by_one_of_its_two_logs():
    token = on("USDC")
    token.mint(HOLDERS[0], HOLDERS[1], 7)
    assert [READER.change(log) is None for log in token.logs] == [False, True]
    (change,) = changes(token.logs)
    assert (change.kind, change.units, change.why, change.event, change.by) == ("mint", 7, "issuer", "Mint", HOLDERS[0])


def test_what_moves_between_chains_is_told_from_what_is_issued_where_the_facts_allow():
    whys = {}
    for chain, mover in (("ethereum", CCTP), ("base", "0xe45B133ddc64bE80252b0e9c75A8E74EF280eEd6")):
        token = on("USDC", chain)
        token.mint(mover, HOLDERS[0], 5)
        token.burn(mover, 5)
        token.mint(HOLDERS[0], HOLDERS[0], 5)
        whys[chain] = [change.why for change in changes(token.logs)]
    assert whys == {"ethereum": ["mover", "mover", "issuer"], "base": ["mover", "mover", "unknown"]}


@pytest.mark.parametrize(
    ("symbol", "chain", "why", "assumed"),
    [
        ("DAI", "ethereum", "issuer", False),
        ("DAI", "arbitrum", "backing", True),
        ("USDC", "bnb", "backing", True),
        ("USDC.e", "arbitrum", "backing", True),
        ("BUSD", "ethereum", "issuer", False),
        ("PYUSD", "ethereum", "unknown", False),  # it is moved between chains, by contracts that were not read
        ("FDUSD", "bnb", "unknown", True),
        ("frxUSD", "base", "unknown", True),
        ("TUSD", "avalanche", "unknown", True),
        ("FRAX", "polygon", "backing", True),
    ],
)
def test_who_changed_a_supply_is_told_as_far_as_the_facts_go(symbol, chain, why, assumed):
    token = on(symbol, chain)
    token.mint(HOLDERS[0], HOLDERS[1], 3)
    (change,) = changes(token.logs)
    assert (change.why, change.assumed) == (why, assumed)


def test_usdt_tells_issues_redemptions_and_destroyed_funds():
    token = on("USDT")
    token.mint(NOBODY, NOBODY, 100)
    token.burn(NOBODY, 30)
    token.wipe(HOLDERS[2], 20)
    token.move(NOBODY, HOLDERS[0], 9)  # does not exist there: it is never counted
    assert [(one.kind, one.units, one.why, one.event, one.by) for one in changes(token.logs)] == [
        ("mint", 100, "issuer", "Issue", None),
        ("burn", 30, "issuer", "Redeem", None),
        ("burn", 20, "wipe", "DestroyedBlackFunds", HOLDERS[2]),
    ]


def test_contract_that_hands_over_says_so_and_changes_nothing():
    token = on("USDT")
    token.log(tokens.DEPRECATE, data=(HOLDERS[1],))
    (change,) = changes(token.logs)
    assert (change.kind, change.change, change.by) == ("replaced", 0, HOLDERS[1])


def test_transfer_from_nobody_to_nobody_changes_nothing():
    token = on("DAI")
    token.move(NOBODY, NOBODY, 5)
    assert changes(token.logs) == []


@pytest.mark.parametrize("symbol", ["USDC", "USDT", "BUSD", "DAI", "TUSD"])
def test_log_of_another_form_is_refused(symbol):
    token = on(symbol)
    token.mint(HOLDERS[0], HOLDERS[1], 3)
    token.wipe(HOLDERS[0], 1)
    telling = [log for log in token.logs if READER.change(log)]
    assert len(telling) == 2
    for log in telling:
        wrong = [
            replace(log, data=log.data[:-2]),
            replace(log, data=log.data + "00" * 32),
            replace(log, data="0x"),
            replace(log, topics=(*log.topics, "0x" + tokens.word(1))),
            *([replace(log, topics=log.topics[:-1])] if len(log.topics) > 1 else []),
            *([replace(log, topics=(*log.topics[:-1], "0x" + "ff" * 32))] if len(log.topics) > 1 else []),
        ]
        for one in wrong:
            with pytest.raises(FormatDrift):
                READER.change(one)


def test_log_without_topics_tells_nothing():
    token = on("USDC")
    token.approve(HOLDERS[0], HOLDERS[1], 3)
    assert READER.change(replace(token.logs[0], topics=())) is None


def test_log_of_no_deployment_is_refused():
    token = on("USDC")
    token.mint(HOLDERS[0], HOLDERS[1], 3)
    for wrong in (replace(token.logs[0], chain="polygon"), replace(token.logs[0], address=HOLDERS[0])):
        with pytest.raises(ValueError, match="is no deployment whose logs tell a supply"):
            READER.change(wrong)
