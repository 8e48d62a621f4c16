"""Each family reads of the simulated chains what is true, to the last unit; and the model holds what it should."""

import datetime as dt

import pytest
from eth_abi.abi import encode
from hypothesis import given, settings, strategies as st

from tests.sampling import one_in
from tests.sim.chains.driving import REGISTRY, Driven, as_row, as_true_row
from tidelake.chains.abi import function
from tidelake.chains.multicall import Call
from tidelake.lending.families import compound_v2, compound_v3, morpho_blue
from tidelake.lending.spec import NATIVE
from tidelake.sim.chains import words
from tidelake.sim.chains.chain import SimChain
from tidelake.sim.chains.families import SIMULATED
from tidelake.sim.chains.truth import Truth

DAYS = [dt.date(2025, 1, 1), dt.date(2025, 3, 30), dt.date(2025, 8, 8), dt.date(2025, 12, 31)]
MARKETS = [
    "aave_v2_polygon",
    "radiant_v2_bnb",
    "aave_v3_ethereum",
    "aave_v3_plasma",
    "spark_gnosis",
    "compound_v2_ethereum",
    "venus_ethereum",
    "benqi_avalanche",
    "compound_v3_arb_weth",
    "compound_v3_base_usdc",
    "morpho_blue_base",
    "morpho_blue_ethereum",
]
_DRIVEN = {}


@pytest.fixture(params=MARKETS)
def driven(request):
    return driven_market(request.param)


def driven_market(name):
    if name not in _DRIVEN:
        _DRIVEN[name] = Driven(name)
    return _DRIVEN[name]


def test_each_family_reads_what_is_true_to_the_last_unit(driven):
    read = 0
    for day in DAYS:
        expected = driven.truth.positions_on(driven.market, day)
        if expected is not None:
            assert driven.positions(driven.chain.last_of(day)) == expected
            read += len(expected)
    assert read > 8


def test_call_by_call_reads_the_same(driven):
    number = driven.chain.last_of(DAYS[-1])
    assert driven.positions(number, one_by_one=True) == driven.truth.positions(driven.market, number)


@pytest.mark.parametrize("market", one_in(2, MARKETS))
def test_each_family_reads_the_liquidations_that_there_were(market):
    driven = driven_market(market)
    first, last = driven.chain.clock.first_of(driven.chain.first_day), driven.chain.last_of(DAYS[-1])
    first = max(first, driven.truth.deployed(driven.market))
    expected = driven.truth.liquidations(driven.market, first, last)
    assert [as_row(found) for found in driven.liquidations(first, last)] == [as_true_row(found) for found in expected]
    assert len(expected) > 50


def test_liquidations_of_days_are_those_of_the_year():
    driven, day = driven_market("aave_v3_ethereum"), dt.date(2025, 2, 1)
    days = [day + dt.timedelta(i) for i in range(40)]
    first = driven.chain.last_of(day - dt.timedelta(1)) + 1
    expected = driven.truth.liquidations(driven.market, first, driven.chain.last_of(days[-1]))
    assert [one for day in days for one in driven.truth.liquidations_on(driven.market, day)] == expected


@pytest.mark.parametrize("market", ["morpho_blue_base", "morpho_blue_ethereum"])
def test_collateral_is_what_the_logs_moved(market):
    driven, number = driven_market(market), driven_market(market).chain.last_of(dt.date(2025, 7, 1))
    morpho, moved = REGISTRY[market].contracts["morpho"], {}
    for log in driven.logs([morpho], morpho_blue.COLLATERAL_EVENTS, 0, number):
        part, amount = morpho_blue.collateral_moved(log)
        moved[part] = moved.get(part, 0) + amount
    assert moved == driven.truth.collateral(market, number)
    assert min(moved.values()) >= 0


@pytest.mark.parametrize("market", ["morpho_blue_base", "morpho_blue_ethereum"])
def test_morpho_markets_are_made_over_time_and_most_are_empty(market):
    driven = driven_market(market)
    ends = [driven.chain.last_of(day) for day in (DAYS[0], DAYS[-1])]
    parts = [driven.truth.parts(market, number) for number in ends]
    assert parts == [driven.parts(number) for number in ends]
    assert 30 <= len(parts[0]) < len(parts[1])
    assert 0 < len(driven.truth.positions(market, ends[1])) < len(parts[1]) // 2


def test_market_is_not_there_before_its_first_block():
    driven = driven_market("aave_v3_plasma")
    first = driven.truth.deployed("aave_v3_plasma")
    assert driven.chain.clock.first_of(driven.chain.first_day) < first < driven.chain.last_of(DAYS[-1])
    assert driven.truth.positions("aave_v3_plasma", first - 1) is None
    pool = REGISTRY["aave_v3_plasma"].contracts["pool"]
    assert [driven.node.ask("eth_getCode", pool, hex(at)) for at in (first - 1, first)] == ["0x", "0x6080604052"]
    assert driven.positions(first) == driven.truth.positions("aave_v3_plasma", first) != []


def test_reserves_come_freeze_pause_and_go():
    driven = driven_market("aave_v3_ethereum")
    seen = [driven.truth.positions_on("aave_v3_ethereum", DAYS[0] + dt.timedelta(i)) for i in range(0, 365, 2)]
    assets = [{position.asset for position in positions} for positions in seen]
    assert assets[0] - assets[-1]
    assert assets[-1] - assets[0]
    for flag in ("active", "frozen", "paused"):
        assert {getattr(position, flag) for positions in seen for position in positions} == {True, False}


def test_market_that_dies_is_frozen_and_runs_empty():
    driven = driven_market("aave_v2_polygon")
    before, after = (driven.truth.positions_on("aave_v2_polygon", day) for day in (DAYS[0], DAYS[-1]))
    assert all(position.supplied > 0 and not position.frozen for position in before)
    assert all(position.supplied == position.borrowed == 0 and position.frozen for position in after)


def test_comptroller_that_cannot_list_yet_refuses_and_its_known_markets_stand():
    driven, market = driven_market("compound_v2_ethereum"), "compound_v2_ethereum"
    early, late = (driven.chain.last_of(day) for day in (DAYS[0], DAYS[-1]))
    asked = Call(REGISTRY[market].contracts["comptroller"], compound_v2.ALL_MARKETS.encode())
    assert [driven.call(asked, number).success for number in (early, late)] == [False, True]
    assert len(driven.truth.positions(market, early)) < len(driven.truth.positions(market, late))
    assert NATIVE in {position.asset for position in driven.truth.positions(market, early)}


def test_amounts_pass_what_a_float_holds_and_change_from_block_to_block():
    driven = driven_market("aave_v3_ethereum")
    number = driven.chain.last_of(DAYS[1])
    one, other = (driven.truth.positions("aave_v3_ethereum", at) for at in (number, number + 1))
    assert max(position.supplied for position in one) > 2**70
    assert sum(a.supplied != b.supplied for a, b in zip(one, other, strict=True)) > len(one) * 3 // 4
    assert all(position.borrowed <= position.supplied for position in one)
    assert any(position.supplied % 10**9 for position in one if position.decimals == 18)


def test_symbols_are_told_as_text_as_bytes32_and_not_at_all():
    driven = driven_market("aave_v3_ethereum")
    maker = next(p for p in driven.truth.positions_on("aave_v3_ethereum", DAYS[0]) if p.symbol == "MKR")
    asked = {"to": maker.asset, "data": "0x95d89b41"}
    assert driven.node.ask("eth_call", asked, "latest") == "0x" + b"MKR".ljust(32, b"\0").hex()
    symbols = {p.symbol for p in driven.truth.positions_on("aave_v3_ethereum", DAYS[0])}
    assert "WETH" in symbols
    silent = driven_market("morpho_blue_base").chain
    assert "" in {token.symbol for token in next(iter(silent.markets.values())).place.tokens.common}


def test_absorption_takes_several_collaterals_and_bad_debt_is_told():
    absorbed = driven_market("compound_v3_arb_weth")
    rows = absorbed.truth.liquidations(absorbed.market, 0, absorbed.chain.head)
    by_transaction = {}
    for row in rows:
        by_transaction.setdefault(row.tx_hash, []).append(row.what.event)
    assert {tuple(sorted(events)).count("AbsorbCollateral") for events in by_transaction.values()} == {1, 2, 3}
    for market in ("aave_v3_ethereum", "morpho_blue_ethereum"):
        driven = driven_market(market)
        assert any(row.what.bad_debt for row in driven.truth.liquidations(market, 0, driven.chain.head))


def test_all_markets_of_the_registry_that_are_core_are_simulated():
    core = [market for market in REGISTRY.values() if market.tier == "core"]
    assert len(core) == 43
    assert {market.family for market in core} <= set(SIMULATED)
    for name in ("optimism", "celo"):
        assert set(SimChain(name).markets) == {
            market.id for market in REGISTRY.values() if market.chain == name and market.family in SIMULATED
        }


@pytest.mark.parametrize("market", ["compound_v3_linea_usdc", "spark_gnosis", "moonwell_optimism"])
@given(seed=st.integers(2, 10**6), day=st.integers(0, 364))
@settings(max_examples=6, deadline=None)
def test_any_seed_and_day_is_read_as_it_is_true(market, seed, day):
    driven = Driven(market, seed)
    number = driven.chain.last_of(DAYS[0] + dt.timedelta(day))
    expected = driven.truth.positions(market, number)
    if expected is not None:
        assert driven.positions(number) == expected


def test_span_may_begin_on_any_day():
    driven = Driven("spark_gnosis", start=dt.date(2024, 2, 1), days=40)
    number = driven.chain.last_of(dt.date(2024, 2, 29))
    assert driven.positions(number) == driven.truth.positions("spark_gnosis", number) != []
    rows = driven.truth.liquidations("spark_gnosis", 0, driven.chain.head)
    days = {dt.datetime.fromtimestamp(driven.chain.clock.time_of(row.block_number), dt.UTC).date() for row in rows}
    assert dt.date(2024, 2, 1) <= min(days) <= max(days) <= dt.date(2024, 3, 12)


def test_oracle_of_a_pool_tells_the_prices():
    driven = driven_market("aave_v3_ethereum")
    number, oracle = driven.chain.last_of(DAYS[2]), REGISTRY["aave_v3_ethereum"].contracts["oracle"]
    assets = [position.asset for position in driven.positions(number)]
    expected = [driven.truth.price(asset, number) for asset in assets]
    one, several = function("getAssetPrice(address)", "uint256"), function("getAssetsPrices(address[])", "uint256[]")
    told = driven.call(Call(oracle, several.encode(assets)), number)
    assert several.decode(told.data) == (tuple(expected),)
    assert [one.decode(driven.call(Call(oracle, one.encode(asset)), number).data)[0] for asset in assets] == expected
    assert not driven.call(Call(oracle, one.encode("0x" + "9" * 40)), number).success
    assert driven.truth.price(assets[0], number + 40_000) != expected[0]


def test_comet_tells_the_prices_of_its_feeds():
    driven = driven_market("compound_v3_arb_weth")
    number, comet = driven.chain.last_of(DAYS[2]), REGISTRY["compound_v3_arb_weth"].contracts["comet"]
    base, price = function("baseTokenPriceFeed()", "address"), function("getPrice(address)", "uint256")
    (feed,) = base.decode(driven.call(Call(comet, base.encode()), number).data)
    (told,) = price.decode(driven.call(Call(comet, price.encode(feed)), number).data)
    assert told == driven.truth.price(driven.positions(number)[0].asset, number)
    info = compound_v3.ASSET_INFO.decode(driven.call(Call(comet, compound_v3.ASSET_INFO.encode(0)), number).data)[0]
    (told,) = price.decode(driven.call(Call(comet, price.encode(info[2])), number).data)
    assert told == driven.truth.price(info[1], number)


def test_truth_knows_the_last_block_of_a_day():
    chain = SimChain("gnosis", markets=[])
    number, digest = Truth(chain).day_block(dt.date(2025, 5, 5))
    midnight = dt.datetime(2025, 5, 6, tzinfo=dt.UTC).timestamp()
    assert chain.clock.time_of(number) < midnight <= chain.clock.time_of(number + 1)
    assert chain.block(number).hash == digest


def test_words_are_those_of_an_encoder():
    address = "0x" + "ab" * 20
    assert words.words(0, 7, 2**255) == encode(["uint256"] * 3, [0, 7, 2**255])
    assert words.address_word(address) == encode(["address"], [address])
    assert words.address_list([address, words.ZERO]) == encode(["address[]"], [[address, words.ZERO]])
    assert words.octets_answer(b"abc") == encode(["string"], ["abc"])
    assert words.octets_answer(b"x" * 64) == encode(["bytes"], [b"x" * 64])
