"""Answers of providers on stablecoins: values exact, absences and faults named, the rest of an answer kept."""

import json
from decimal import Decimal

import pytest

from tidelake.chains.registry import CHAINS
from tidelake.errors import FormatDrift
from tidelake.providers import coingecko_markets, defillama_stablecoins
from tidelake.providers.coin_answers import Amounts, Refused, SumDifference
from tidelake.stablecoins.coin import SOLANA

EVENT_US = 1_757_614_216_361_000  # 2025-09-11T18:10:16.361Z
RECV_NS = (EVENT_US + 5_000_000) * 1_000
MARKET = {
    "id": "tether",
    "symbol": "usdt",
    "name": "Tether",
    "image": "https://example.com/tether.png",
    "current_price": Decimal("0.99998765432109876543"),
    "market_cap": 169428638762,
    "total_volume": Decimal("92271016164.25"),
    "circulating_supply": Decimal("169373054462.0727"),
    "total_supply": None,
    "last_updated": "2025-09-11T18:10:16.361Z",
}


def dumped(told):
    """JSON with the digits of decimals as they are."""
    texts = {}

    def stand_in(value):
        texts[f"@{len(texts)}@"] = str(value)
        return f"@{len(texts) - 1}@"

    text = json.dumps(told, default=stand_in)
    for mark, digits in texts.items():
        text = text.replace(f'"{mark}"', digits)
    return text.encode()


def markets(*coins, recv_ns=RECV_NS):
    return coingecko_markets.read(dumped(coins), recv_ns=recv_ns)


def test_market_is_read_to_the_last_digit():
    told = markets(MARKET)
    assert told.refused == ()
    (coin,) = told.coins
    assert (coin.coin, coin.symbol, coin.name, coin.event_us) == ("tether", "usdt", "Tether", EVENT_US)
    assert str(coin.price_usd) == "0.99998765432109876543"
    assert coin.volume_usd_24h == Decimal("92271016164.25")
    assert (coin.market_cap_usd, coin.circulating) == (169428638762, Decimal("169373054462.0727"))
    assert coin.total is None


def test_market_that_is_not_traded_has_no_price_and_not_zero():
    (coin,) = markets({**MARKET, "current_price": None, "total_volume": None}).coins
    assert (coin.price_usd, coin.volume_usd_24h) == (None, None)


@pytest.mark.parametrize(
    ("field", "value", "of"),
    [
        ("current_price", 0, "price_usd"),
        ("current_price", -1, "price_usd"),
        ("current_price", Decimal("1e10"), "price_usd"),
        ("current_price", "NaN", "price_usd"),
        ("total_volume", -1, "volume_usd_24h"),
        ("total_volume", Decimal("1e19"), "volume_usd_24h"),
        ("circulating_supply", -1, "circulating"),
    ],
)
def test_value_out_of_its_range_is_refused_with_its_reason_and_the_rest_kept(field, value, of):
    told = markets({**MARKET, field: value}, {**MARKET, "id": "other"})
    assert [(one.coin, one.field) for one in told.refused] == [("tether", field)]
    assert getattr(told.coins[0], of) is None
    assert told.coins[0].market_cap_usd == 169428638762
    assert getattr(told.coins[1], of) is not None


def test_depeg_is_never_clipped():
    (coin,) = markets({**MARKET, "current_price": Decimal("0.0135")}).coins
    assert coin.price_usd == Decimal("0.0135")


@pytest.mark.parametrize("time", ["1757614216361", "2025-09-11T18:10:16.361", "2012-12-31T23:59:59Z", "soon", ""])
def test_time_in_another_unit_or_without_zone_refuses_the_coin(time):
    told = markets({**MARKET, "last_updated": time}, {**MARKET, "id": "other"})
    assert [(one.coin, one.field) for one in told.refused] == [("tether", "last_updated")]
    assert [coin.coin for coin in told.coins] == ["other"]


def test_time_after_its_receipt_is_refused():
    assert markets(MARKET, recv_ns=(EVENT_US - 599_000_000) * 1_000).refused == ()
    assert markets(MARKET, recv_ns=(EVENT_US - 601_000_000) * 1_000).coins == ()


def test_coin_of_another_form_or_told_twice_is_refused_alone():
    cut = {name: value for name, value in MARKET.items() if name != "total_volume"}
    told = markets({**cut, "id": "cut"}, MARKET, "tether", {**MARKET, "current_price": True}, MARKET)
    assert [coin.coin for coin in told.coins] == ["tether"]
    assert [one.coin for one in told.refused] == ["[0]", "[2]", "[3]", "tether"]
    assert "total_volume" in told.refused[0].reason


@pytest.mark.parametrize("body", [b"", b"{}", b'{"status":{"error_code":429}}', b"[1", b"\xff"])
def test_answer_that_is_no_list_is_refused(body):
    with pytest.raises(FormatDrift, match="markets of coingecko"):
        coingecko_markets.read(body, recv_ns=RECV_NS)


def test_coins_are_asked_for_by_as_few_requests_as_can_be():
    asked = coingecko_markets.paths([f"coin-{n}" for n in range(501)])
    assert [path.count("coin-") for path in asked] == [250, 250, 1]
    assert asked[2] == "/coins/markets?vs_currency=usd&ids=coin-500&per_page=250&precision=full"
    assert coingecko_markets.paths([]) == []


def amounts(peg, now, day, week, month):
    names = ("circulating", "circulatingPrevDay", "circulatingPrevWeek", "circulatingPrevMonth")
    return {
        name: 0 if value is None else {peg: value} for name, value in zip(names, (now, day, week, month), strict=True)
    }


def of_chain(peg, *values):
    told = amounts(peg, *values)
    return {"current": told.pop("circulating"), **told}


def pegged(number="1", peg="peggedUSD", price=1, chains=None, total=None):
    """A coin whose chains are given by their four amounts; totals are their sums, or `total`."""
    chains = chains or {"Ethereum": (100, 90, 80, None), "BSC": (Decimal("0.5"), 1, 2, None)}
    parts = list(zip(*chains.values(), strict=True))
    sums = [sum(part for part in some if part is not None) if set(some) != {None} else None for some in parts]
    return {
        "id": number,
        "name": "Tether",
        "symbol": "USDT",
        "gecko_id": "tether",
        "pegType": peg,
        "priceSource": "defillama",
        "pegMechanism": "fiat-backed",
        "price": price,
        "chains": list(chains),
        "chainCirculating": {name: of_chain(peg, *values) for name, values in chains.items()},
        **amounts(peg, *(total or sums)),
    }


def stablecoins(*coins, chains=()):
    return defillama_stablecoins.read(dumped({"peggedAssets": coins, "chains": chains}))


def test_what_circulates_is_read_by_chain_and_moment():
    told = stablecoins(pegged())
    assert (told.refused, told.differences) == ((), ())
    (coin,) = told.coins
    assert (coin.coin, coin.symbol, coin.peg, coin.mechanism) == ("1", "USDT", "peggedUSD", "fiat-backed")
    assert coin.price_usd == 1
    assert coin.total == Amounts(Decimal("100.5"), Decimal(91), Decimal(82), None)
    assert [(one.name, one.chain, one.amounts) for one in coin.chains] == [
        ("Ethereum", "ethereum", Amounts(Decimal(100), Decimal(90), Decimal(80), None)),
        ("BSC", "bnb", Amounts(Decimal("0.5"), Decimal(1), Decimal(2), None)),
    ]


def test_chain_that_is_not_known_here_keeps_its_name():
    (coin,) = stablecoins(pegged(chains={"Tron": (1, 1, 1, 1)})).coins
    assert [(one.name, one.chain) for one in coin.chains] == [("Tron", None)]


@pytest.mark.parametrize(
    ("total", "difference"),
    [
        ((Decimal("100.6"), 91, 82, None), ("now", Decimal("100.6"), Decimal("100.5"))),
        ((Decimal("100.5"), 0, 82, None), ("day", Decimal(0), Decimal(91))),
        ((Decimal("100.5"), 91, None, None), ("week", None, Decimal(82))),
        ((Decimal("100.5"), 91, 82, 7), ("month", Decimal(7), Decimal(0))),
    ],
)
def test_total_that_is_not_the_sum_of_its_chains_is_said(total, difference):
    told = stablecoins(pegged(total=total), pegged("2"))
    assert told.differences == (SumDifference("1", *difference),)
    assert len(told.coins) == 2


def test_sums_may_lose_what_doubles_lose():
    chains = {"Ethereum": (Decimal("75122450423.07858"),) * 4, "Tron": (Decimal("78196245521.9643"),) * 4}
    near, far = Decimal("153318695945.0429"), Decimal("153318695946.0429")
    assert stablecoins(pegged(chains=chains, total=(near,) * 4)).differences == ()
    assert len(stablecoins(pegged(chains=chains, total=(near, far, near, near))).differences) == 1


@pytest.mark.parametrize("price", [0, "0", "NaN", "Infinity", "one", -1, Decimal("1e12"), True, [1]])
def test_price_that_is_none_is_refused_and_the_amounts_kept(price):
    told = stablecoins(pegged(price=price))
    assert [(one.coin, one.field) for one in told.refused] == [("1", "price")]
    assert told.coins[0].price_usd is None
    assert told.coins[0].total.now == Decimal("100.5")


def test_price_may_be_a_text_or_absent():
    told = stablecoins(pegged(price="1.24470998"), pegged("2", price=None))
    assert [coin.price_usd for coin in told.coins] == [Decimal("1.24470998"), None]
    assert told.refused == ()


def test_negative_amount_is_refused_and_makes_a_difference():
    told = stablecoins(pegged(chains={"Ethereum": (-5, 1, 1, 1), "BSC": (8, 1, 1, 1)}))
    assert told.refused == (Refused("1", "Ethereum.current", "-5 is not from 0 and at most 1000000000000000000"),)
    assert told.differences == (SumDifference("1", "now", Decimal(3), Decimal(8)),)


@pytest.mark.parametrize(
    "changes",
    [
        {"pegType": "peggedEUR"},
        {"circulating": 7},
        {"circulating": {}},
        {"circulating": {"peggedUSD": 1, "peggedEUR": 1}},
        {"circulating": False},
        {"circulatingPrevDay": None},
        {"chainCirculating": {"Ethereum": {"current": {"peggedUSD": 1}}}},
        {"chainCirculating": []},
        {"id": 1},
    ],
)
def test_coin_of_another_form_is_refused_alone(changes):
    told = stablecoins({**pegged(), **changes}, pegged("2"))
    assert [one.coin for one in told.refused] == ["[0]"]
    assert [coin.coin for coin in told.coins] == ["2"]


def test_coin_told_twice_is_refused_the_second_time():
    told = stablecoins(pegged(), pegged(price=2))
    assert [coin.price_usd for coin in told.coins] == [1]
    assert [one.coin for one in told.refused] == ["1"]


def test_totals_of_chains_are_held_against_that_of_all():
    def chain(name, **usd):
        return {"name": name, "gecko_id": None, "tokenSymbol": None, "tvl": 0, "totalCirculatingUSD": usd}

    parts = [chain("Ethereum", peggedUSD=5, peggedEUR=2), chain("Tron", peggedUSD=Decimal("0.25"))]
    told = stablecoins(chains=[*parts, chain("TotalCirculating", peggedUSD=Decimal("5.25"), peggedEUR=2)])
    assert [(one.name, one.chain, one.peg, one.usd) for one in told.chains] == [
        ("Ethereum", "ethereum", "peggedUSD", 5),
        ("Ethereum", "ethereum", "peggedEUR", 2),
        ("Tron", None, "peggedUSD", Decimal("0.25")),
    ]
    assert told.differences == ()
    told = stablecoins(chains=[*parts, chain("TotalCirculating", peggedUSD=6), "Base", chain("Ethereum", peggedUSD=1)])
    assert told.differences == (
        SumDifference("peggedUSD", "now", Decimal(6), Decimal("5.25")),
        SumDifference("peggedEUR", "now", None, Decimal(2)),
    )
    assert [(one.coin, one.field) for one in told.refused] == [("chains[3]", ""), ("Ethereum", "peggedUSD")]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"peggedAssets":[]}', b'{"peggedAssets":{},"chains":[]}', b"\xff"]
)
def test_answer_without_its_lists_is_refused(body):
    with pytest.raises(FormatDrift, match="stablecoins of defillama"):
        defillama_stablecoins.read(body)


def test_names_of_chains_lead_to_chains_that_are_known():
    ours = list(defillama_stablecoins.CHAIN_NAMES.values())
    assert set(ours) <= {*CHAINS, SOLANA}
    assert len(set(ours)) == len(ours)
