"""What each family reads of logs that eth-abi encoded."""

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.lending.contracts import Market, address
from tidelake.chains.logs import LogFact
from tidelake.errors import FormatDrift
from tidelake.lending.families import morpho_blue
from tidelake.lending.families.registry import family

LIQUIDATOR, BORROWER, DEBT, COLLATERAL = (address(n) for n in (0xA1, 0xB2, 0xC3, 0xD4))
MARKET_ID = "0x" + "5a" * 32


def log(signature, indexed, types, values, at="0x" + "77" * 20):
    topics = ["0x" + keccak(signature.encode()).hex(), *("0x" + one[2:].rjust(64, "0") for one in indexed)]
    data = "0x" + encode(types, values).hex()
    return LogFact("ethereum", 1, "0x" + "01" * 32, "0x" + "02" * 32, 0, 3, at, tuple(topics), data)


def read(name, found):
    return family(name).liquidation(Market({}), found)


CALL = "LiquidationCall(address,address,address,uint256,uint256,address,bool)"


@pytest.mark.parametrize("name", ["aave_v2", "aave_v3"])
def test_aave_liquidation(name):
    told = log(
        CALL, [COLLATERAL, DEBT, BORROWER], ["uint256", "uint256", "address", "bool"], [7, 2**90, LIQUIDATOR, True]
    )
    row = read(name, told)
    assert (row.debt_token, row.debt_repaid, row.collateral_token, row.collateral_seized) == (
        DEBT,
        7,
        COLLATERAL,
        2**90,
    )
    assert (row.borrower, row.liquidator, row.bad_debt) == (BORROWER, LIQUIDATOR, None)


def test_radiant_liquidation_has_one_address_more():
    signature = CALL.replace(",bool)", ",bool,address)")
    types = ["uint256", "uint256", "address", "bool", "address"]
    row = read("aave_v2", log(signature, [COLLATERAL, DEBT, BORROWER], types, [7, 8, LIQUIDATOR, False, address(9)]))
    assert (row.debt_repaid, row.collateral_seized, row.liquidator) == (7, 8, LIQUIDATOR)


def test_aave_v3_deficit_is_bad_debt_without_a_liquidator():
    row = read("aave_v3", log("DeficitCreated(address,address,uint256)", [BORROWER, DEBT], ["uint256"], [2**77]))
    assert (row.borrower, row.debt_token, row.bad_debt, row.debt_repaid) == (BORROWER, DEBT, 2**77, None)


def test_compound_v3_absorbs_debt_and_each_collateral_in_a_row_of_its_own():
    debt = read("compound_v3", log("AbsorbDebt(address,address,uint256,uint256)", [LIQUIDATOR, BORROWER],
                                   ["uint256", "uint256"], [5, 6]))  # fmt: skip
    taken = read("compound_v3", log("AbsorbCollateral(address,address,address,uint256,uint256)",
                                    [LIQUIDATOR, BORROWER, COLLATERAL], ["uint256", "uint256"], [8, 9]))  # fmt: skip
    assert (debt.debt_repaid, debt.collateral_seized) == (5, None)
    assert (taken.debt_repaid, taken.collateral_token, taken.collateral_seized) == (None, COLLATERAL, 8)


def test_the_later_sale_of_collateral_is_no_liquidation():
    topic = "0x" + keccak(b"BuyCollateral(address,address,uint256,uint256)").hex()
    assert topic not in family("compound_v3").by_topic


@pytest.mark.parametrize("indexed", [False, True])
def test_compound_v2_liquidation_with_plain_and_with_indexed_parameters(indexed):
    signature = "LiquidateBorrow(address,address,uint256,address,uint256)"
    if indexed:
        told = log(signature, [LIQUIDATOR, BORROWER, COLLATERAL], ["uint256", "uint256"], [4, 5], at=DEBT)
    else:
        types = ["address", "address", "uint256", "address", "uint256"]
        told = log(signature, [], types, [LIQUIDATOR, BORROWER, 4, COLLATERAL, 5], at=DEBT)
    row = read("compound_v2", told)
    assert (row.part, row.debt_repaid, row.collateral_token, row.collateral_seized) == (DEBT, 4, COLLATERAL, 5)


def test_morpho_liquidation_tells_its_bad_debt():
    signature = "Liquidate(bytes32,address,address,uint256,uint256,uint256,uint256,uint256)"
    told = log(signature, [MARKET_ID, LIQUIDATOR, BORROWER], ["uint256"] * 5, [11, 12, 13, 14, 15])
    row = read("morpho_blue", told)
    assert (row.part, row.debt_repaid, row.collateral_seized, row.bad_debt) == (MARKET_ID, 11, 13, 14)
    assert morpho_blue.collateral_moved(told) == (MARKET_ID, -13)


def test_morpho_collateral_grows_and_shrinks_by_its_logs():
    grown = log(
        "SupplyCollateral(bytes32,address,address,uint256)", [MARKET_ID, LIQUIDATOR, BORROWER], ["uint256"], [9]
    )
    shrunk = log("WithdrawCollateral(bytes32,address,address,address,uint256)", [MARKET_ID, BORROWER, BORROWER],
                 ["address", "uint256"], [LIQUIDATOR, 4])  # fmt: skip
    assert morpho_blue.collateral_moved(grown) == (MARKET_ID, 9)
    assert morpho_blue.collateral_moved(shrunk) == (MARKET_ID, -4)


def test_a_log_cut_short_is_refused():
    told = log(CALL, [COLLATERAL, DEBT, BORROWER], ["uint256", "uint256", "address"], [7, 8, LIQUIDATOR])
    with pytest.raises(FormatDrift):
        read("aave_v3", told)
