"""What each family reads of a pretended chain whose answers are encoded by eth-abi."""

from dataclasses import dataclass, field

import pytest

from tests.lending.contracts import Market, PretendedChain, address
from tidelake.errors import FormatDrift, NotInLake
from tidelake.lending.families import aave_v2, aave_v3, compound_v2, compound_v3, morpho_blue
from tidelake.lending.families.registry import family
from tidelake.lending.spec import NATIVE, ZERO_ADDRESS, Position

POOL, USDC, WETH, MKR = address(1), address(2), address(3), address(4)
V3 = (
    "((uint256),uint128,uint128,uint128,uint128,uint128,uint40,uint16,address,address,address,address,uint128,uint128,"
    "uint128)"
)
V2 = "((uint256),uint128,uint128,uint128,uint128,uint128,uint40,address,address,address,address,uint8)"


def bits(decimals, *, active=True, frozen=False, paused=False):
    return 8500 | decimals << 48 | active << 56 | frozen << 57 | paused << 60


def token(chain, at, symbol=None, decimals=None, supply=None):
    chain.exists(at)
    if symbol is not None:
        chain.says(at, "symbol()", ["string"], [symbol])
    if decimals is not None:
        chain.says(at, "decimals()", ["uint8"], [decimals])
    if supply is not None:
        chain.says(at, "totalSupply()", ["uint256"], [supply])


def holds(chain, asset, holder, amount):
    chain.says(asset, "balanceOf(address)", ["uint256"], [amount], (["address"], [holder]))


def aave_pool(chain, form, data_of):
    chain.says(POOL, "getReservesList()", ["address[]"], [[USDC, WETH]])
    for i, (asset, symbol, decimals) in enumerate(((USDC, "USDC", 6), (WETH, "WETH", 18))):
        a_token, stable, variable = address(100 + i), address(200 + i) if i else ZERO_ADDRESS, address(300 + i)
        words = data_of(bits(decimals, frozen=bool(i), paused=bool(i)), a_token, stable, variable)
        chain.says(POOL, "getReserveData(address)", [form], [words], (["address"], [asset]))
        token(chain, asset, symbol)
        token(chain, a_token, supply=10**30 + i)
        token(chain, variable, supply=500 + i)
        if i:
            token(chain, stable, supply=70)
        holds(chain, asset, a_token, 9 + i)


def test_aave_v3_reserve_holds_what_its_tokens_count_to_the_last_unit():
    chain = PretendedChain()
    aave_pool(chain, V3, lambda c, a, s, v: ((c,), 1, 2, 3, 4, 5, 6, 7, a, s, v, address(9), 1, 2, 3))
    found = chain.drive(aave_v3.FAMILY.positions(Market({"pool": POOL}), ()))
    assert found == [
        Position(USDC, "USDC", 6, "loan", 10**30, 500, 9, active=True, frozen=False, paused=False),
        Position(WETH, "WETH", 18, "loan", 10**30 + 1, 501 + 70, 10, active=True, frozen=True, paused=True),
    ]
    assert chain.rounds == [1, 2, 9]


def test_aave_v2_reserve_has_no_pause_of_its_own():
    chain = PretendedChain()
    aave_pool(chain, V2, lambda c, a, s, v: ((c,), 1, 2, 3, 4, 5, 6, a, s, v, address(9), 1))
    found = chain.drive(aave_v2.FAMILY.positions(Market({"pool": POOL}), ()))
    assert [(p.supplied, p.borrowed, p.frozen, p.paused) for p in found] == [
        (10**30, 500, False, None),
        (10**30 + 1, 571, True, None),
    ]


def test_pool_whose_answer_has_another_form_is_refused_and_is_not_zero():
    chain = PretendedChain()
    aave_pool(chain, V2, lambda c, a, s, v: ((c,), 1, 2, 3, 4, 5, 6, a, s, v, address(9), 1))
    with pytest.raises(FormatDrift, match="getReserveData"):
        chain.drive(aave_v3.FAMILY.positions(Market({"pool": POOL}), ()))


@pytest.mark.parametrize(("version", "form"), [(aave_v2, V2), (aave_v3, V3)])
def test_listed_reserve_that_the_pool_does_not_know_is_refused(version, form):
    chain, words = PretendedChain(), {V2: 12, V3: 15}[form]
    chain.says(POOL, "getReservesList()", ["address[]"], [[USDC]])
    chain.says(POOL, "getReserveData(address)", ["uint256"] * words, [0] * words, (["address"], [USDC]))
    with pytest.raises(FormatDrift, match="no token of its suppliers"):
        chain.drive(version.FAMILY.positions(Market({"pool": POOL}), ()))


def test_pool_that_does_not_exist_yet_is_refused_and_is_not_empty():
    with pytest.raises(FormatDrift, match="no contract"):
        PretendedChain().drive(aave_v3.FAMILY.positions(Market({"pool": POOL}), ()))


def test_compound_v3_lends_its_base_and_holds_its_collateral():
    chain, comet = PretendedChain(), address(50)
    for name, kind, value in (
        ("baseToken()", "address", USDC), ("totalSupply()", "uint256", 2**70), ("totalBorrow()", "uint256", 2**69 + 1),
        ("numAssets()", "uint8", 1),
    ):  # fmt: skip
        chain.says(comet, name, [kind], [value])
    info = "(uint8,address,address,uint64,uint64,uint64,uint64,uint128)"
    chain.says(comet, "getAssetInfo(uint8)", [info], [(0, WETH, address(8), 10**18, 1, 2, 3, 4)], (["uint8"], [0]))
    chain.says(comet, "totalsCollateral(address)", ["uint128", "uint128"], [2**100, 5], (["address"], [WETH]))
    token(chain, USDC, "USDC", 6)
    token(chain, WETH, "WETH")
    holds(chain, USDC, comet, 77)
    found = chain.drive(compound_v3.FAMILY.positions(Market({"comet": comet}), ()))
    assert found == [
        Position(USDC, "USDC", 6, "loan", 2**70, 2**69 + 1, 77),
        Position(WETH, "WETH", 18, "collateral", 2**100, 0, None),
    ]


@dataclass
class CompoundV2:
    chain: PretendedChain = field(default_factory=PretendedChain)
    comptroller: str = address(60)

    def lists(self, *c_tokens):
        self.chain.says(self.comptroller, "getAllMarkets()", ["address[]"], [list(c_tokens)])

    def c_token(self, at, underlying, *, supply, rate, borrows, cash):
        for name, value in (
            ("totalSupply()", supply),
            ("exchangeRateStored()", rate),
            ("totalBorrows()", borrows),
            ("getCash()", cash),
        ):
            self.chain.says(at, name, ["uint256"], [value])
        if underlying:
            self.chain.says(at, "underlying()", ["address"], [underlying])


def test_compound_v2_converts_its_tokens_by_the_rate_and_rounds_down_as_the_contract_does():
    compound = CompoundV2()
    c_mkr, c_eth = address(71), address(72)
    compound.lists(c_mkr, c_eth)
    compound.c_token(c_mkr, MKR, supply=3, rate=5 * 10**17, borrows=11, cash=12)
    compound.c_token(c_eth, None, supply=10**9, rate=2 * 10**26, borrows=21, cash=22)
    compound.chain.says(MKR, "symbol()", ["bytes32"], [b"MKR".ljust(32, b"\0")])
    compound.chain.says(MKR, "decimals()", ["uint8"], [18])
    found = compound.chain.drive(compound_v2.FAMILY.positions(Market({"comptroller": compound.comptroller}), ()))
    assert found == [
        Position(MKR, "MKR", 18, "loan", 1, 11, 12, part=c_mkr, shares=3),
        Position(NATIVE, "", 18, "loan", 2 * 10**17, 21, 22, part=c_eth, shares=10**9),
    ]


def test_compound_v2_before_its_list_asks_the_known_markets_that_stand():
    compound = CompoundV2()
    compound.chain.exists(compound.comptroller)
    standing, later = address(81), address(82)
    compound.c_token(standing, USDC, supply=10, rate=10**18, borrows=1, cash=2)
    token(compound.chain, USDC, "USDC", 6)
    market = Market({"comptroller": compound.comptroller}, known_tokens=(standing, later))
    found = compound.chain.drive(compound_v2.FAMILY.positions(market, ()))
    assert [(p.part, p.supplied) for p in found] == [(standing, 10)]


def test_compound_v2_without_list_and_known_markets_is_refused():
    compound = CompoundV2()
    compound.chain.exists(compound.comptroller)
    with pytest.raises(FormatDrift, match="no market of it is known"):
        compound.chain.drive(compound_v2.FAMILY.positions(Market({"comptroller": compound.comptroller}), ()))


def test_morpho_leaves_out_the_empty_markets_that_anybody_made():
    chain, morpho = PretendedChain(), address(90)
    full, empty = "0x" + "11" * 32, "0x" + "22" * 32
    words = ["uint128"] * 6
    chain.says(morpho, "market(bytes32)", words, [1000, 900, 400, 300, 5, 0], (["bytes32"], [bytes.fromhex(full[2:])]))
    chain.says(morpho, "market(bytes32)", words, [0] * 6, (["bytes32"], [bytes.fromhex(empty[2:])]))
    chain.says(
        morpho, "idToMarketParams(bytes32)", ["address", "address", "address", "address", "uint256"],
        [USDC, WETH, address(1), address(2), 86 * 10**16], (["bytes32"], [bytes.fromhex(full[2:])]),
    )  # fmt: skip
    token(chain, USDC, "USDC", 6)
    found = chain.drive(morpho_blue.FAMILY.positions(Market({"morpho": morpho}), (full, empty)))
    assert found == [Position(USDC, "USDC", 6, "loan", 1000, 400, 600, part=full)]


def test_family_that_nobody_reads_is_named_with_those_that_are():
    with pytest.raises(NotInLake, match="aave_v3"):
        family("euler_v2")
