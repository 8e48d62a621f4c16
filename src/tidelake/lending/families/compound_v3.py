"""Compound v3: one base asset that is lent, and collateral that is not.

Source: compound-finance/comet at d5a30b0, contracts/CometMainInterface.sol, CometCore.sol, CometExtInterface.sol
Quirks: `totalSupply` and `totalBorrow` hold the interest up to the block. Collateral earns none.
        One `absorb` logs one AbsorbDebt, and one AbsorbCollateral for each collateral of the account; the later sale of
        what was absorbed, BuyCollateral, is no liquidation. `usdValue` is in the base asset where that is WETH-like, so
        it is not read. What `AbsorbDebt` pays out is paid by the reserves of the market, not by a liquidator.
"""

from collections.abc import Sequence
from typing import Any

from tidelake.chains.abi import event, function
from tidelake.chains.logs import LogFact
from tidelake.chains.multicall import Call
from tidelake.lending.erc20 import BALANCE_OF, DECIMALS, SYMBOL, symbol_of
from tidelake.lending.spec import Asking, Contracts, Family, Liquidation, Position, address, number, told

BASE_TOKEN = function("baseToken()", "address")
TOTAL_SUPPLY = function("totalSupply()", "uint256")
TOTAL_BORROW = function("totalBorrow()", "uint256")
ASSETS = function("numAssets()", "uint8")
ASSET_INFO = function("getAssetInfo(uint8)", "(uint8,address,address,uint64,uint64,uint64,uint64,uint128)")
COLLATERAL = function("totalsCollateral(address)", "uint128,uint128")
ABSORB_DEBT = event(
    "AbsorbDebt(address indexed absorber, address indexed borrower, uint256 basePaidOut, uint256 usdValue)"
)
ABSORB_COLLATERAL = event(
    "AbsorbCollateral(address indexed absorber, address indexed borrower, address indexed asset, "
    "uint256 collateralAbsorbed, uint256 usdValue)"
)
ASSET, SCALE = 1, 3


def positions(market: Contracts, parts: Sequence[str]) -> Asking[list[Position]]:
    """The base asset, then each collateral."""
    comet = market.contracts["comet"]
    asked = [Call(comet, one.encode()) for one in (BASE_TOKEN, TOTAL_SUPPLY, TOTAL_BORROW, ASSETS)]
    base, supplied, borrowed, count = yield asked
    token = address(BASE_TOKEN, base, comet)
    infos = [Call(comet, ASSET_INFO.encode(i)) for i in range(number(ASSETS, count, comet))]
    of_base = [
        Call(token, SYMBOL.encode()),
        Call(token, DECIMALS.encode()),
        Call(token, BALANCE_OF.encode(comet)),
    ]
    symbol, decimals, balance, *answers = yield of_base + infos
    loan = Position(
        asset=token,
        symbol=symbol_of(symbol),
        decimals=number(DECIMALS, decimals, token),
        role="loan",
        supplied=number(TOTAL_SUPPLY, supplied, comet),
        borrowed=number(TOTAL_BORROW, borrowed, comet),
        available=number(BALANCE_OF, balance, token),
    )
    found: list[Any] = [told(ASSET_INFO, answer, comet)[0] for answer in answers]
    return [loan, *(yield from _collaterals(comet, found))]


def _collaterals(comet: str, infos: Sequence[Any]) -> Asking[list[Position]]:
    tokens = [str(info[ASSET]).lower() for info in infos]
    calls = [(Call(token, SYMBOL.encode()), Call(comet, COLLATERAL.encode(token))) for token in tokens]
    results = (yield [call for pair in calls for call in pair]) if calls else []
    return [
        Position(
            asset=token,
            symbol=symbol_of(results[2 * i]),
            decimals=len(str(info[SCALE])) - 1,  # a power of ten
            role="collateral",
            supplied=number(COLLATERAL, results[2 * i + 1], comet),
            borrowed=0,
            available=None,
        )
        for i, (token, info) in enumerate(zip(tokens, infos, strict=True))
    ]


def addresses(market: Contracts, positions: Sequence[Position]) -> list[str]:
    """The market itself."""
    return [market.contracts["comet"].lower()]


def liquidation(market: Contracts, log: LogFact) -> Liquidation:
    """The debt that was absorbed, or one collateral that was."""
    if log.topics[0] == ABSORB_DEBT.topic0:
        found = ABSORB_DEBT.decode(log.topics, log.data)
        return Liquidation(log, found["borrower"], found["absorber"], debt_repaid=found["basePaidOut"])
    found = ABSORB_COLLATERAL.decode(log.topics, log.data)
    return Liquidation(
        log=log,
        borrower=found["borrower"],
        liquidator=found["absorber"],
        collateral_token=found["asset"],
        collateral_seized=found["collateralAbsorbed"],
    )


FAMILY = Family("compound_v3", positions, addresses, (ABSORB_DEBT, ABSORB_COLLATERAL), liquidation)
