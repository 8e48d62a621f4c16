"""Compound v2 and its forks: Venus, Moonwell, Benqi.

Source: compound-finance/compound-protocol (CTokenInterfaces.sol, ComptrollerG7.sol); VenusProtocol/venus-protocol at
        ce5c8be, VTokenInterfaces.sol; VenusProtocol/isolated-pools
Quirks: The first comptroller of Compound could not list its markets: those that are known to belong to it are asked
        then, and those without a contract at the block are left out.
        The market of a chain's own coin has no `underlying`. Amounts hold interest up to the last accrual alone.
        What is seized is counted in units of the cToken. Parameters of the log are indexed in Venus' isolated pools.
"""

from collections.abc import Sequence

from tidelake.chains.abi import Event, event, function
from tidelake.chains.logs import LogFact
from tidelake.chains.multicall import Call, CallResult
from tidelake.errors import FormatDrift
from tidelake.lending.erc20 import DECIMALS, SYMBOL, symbol_of
from tidelake.lending.spec import (
    NATIVE,
    Asking,
    Contracts,
    Family,
    Liquidation,
    Position,
    address as one_address,
    addresses as listed_addresses,
    number,
)

ALL_MARKETS = function("getAllMarkets()", "address[]")
TOTAL_SUPPLY = function("totalSupply()", "uint256")
EXCHANGE_RATE = function("exchangeRateStored()", "uint256")
BORROWS = function("totalBorrows()", "uint256")
CASH = function("getCash()", "uint256")
UNDERLYING = function("underlying()", "address")
LIQUIDATE = event(
    "LiquidateBorrow(address liquidator, address borrower, uint256 repayAmount, address cTokenCollateral, "
    "uint256 seizeTokens)"
)
LIQUIDATE_INDEXED = event(
    "LiquidateBorrow(address indexed liquidator, address indexed borrower, uint256 repayAmount, "
    "address indexed cTokenCollateral, uint256 seizeTokens)"
)
ONE = 10**18
NATIVE_DECIMALS = 18
ASKED = (TOTAL_SUPPLY, EXCHANGE_RATE, BORROWS, CASH, UNDERLYING)


def positions(market: Contracts, parts: Sequence[str]) -> Asking[list[Position]]:
    """One position for each cToken, which is its `part`."""
    c_tokens = yield from _markets(market)
    if not c_tokens:
        return []
    results = list((yield [Call(token, one.encode()) for token in c_tokens for one in ASKED]))
    rows = {token: results[i * len(ASKED) : (i + 1) * len(ASKED)] for i, token in enumerate(c_tokens)}
    standing = {token: row for token, row in rows.items() if not _is_missing(row)}
    assets = {token: _underlying(row[-1], token) for token, row in standing.items()}
    named = sorted({asset for asset in assets.values() if asset != NATIVE})
    asked = [Call(asset, one.encode()) for asset in named for one in (SYMBOL, DECIMALS)]
    answers = (yield asked) if asked else []
    facts = {
        asset: (symbol_of(answers[2 * i]), number(DECIMALS, answers[2 * i + 1], asset)) for i, asset in enumerate(named)
    } | {NATIVE: ("", NATIVE_DECIMALS)}
    return [_position(token, row, assets[token], *facts[assets[token]]) for token, row in standing.items()]


def _markets(market: Contracts) -> Asking[list[str]]:
    comptrollers = [value for name, value in market.contracts.items() if name.startswith("comptroller")]
    answers = yield [Call(one, ALL_MARKETS.encode()) for one in comptrollers]
    found: dict[str, None] = {}
    for comptroller, answer in zip(comptrollers, answers, strict=True):
        if answer.success and answer.data:
            found |= dict.fromkeys(listed_addresses(ALL_MARKETS, answer, comptroller))
        elif comptroller == market.contracts["comptroller"]:
            if not market.known_tokens:
                raise FormatDrift(f"{ALL_MARKETS.signature} of {comptroller} failed, and no market of it is known")
            found |= dict.fromkeys(token.lower() for token in market.known_tokens)
    return list(found)


def _is_missing(row: Sequence[CallResult]) -> bool:
    """Whether no contract stood there: each call then succeeds and returns nothing."""
    return all(result.success and not result.data for result in row)


def _underlying(result: CallResult, token: str) -> str:
    return one_address(UNDERLYING, result, token) if result.success and result.data else NATIVE


def _position(token: str, row: Sequence[CallResult], asset: str, symbol: str, decimals: int) -> Position:
    supply, rate, borrows, cash = (
        number(function, result, token) for function, result in zip(ASKED[:-1], row[:-1], strict=True)
    )
    return Position(
        asset=asset,
        symbol=symbol,
        decimals=decimals,
        role="loan",
        supplied=supply * rate // ONE,
        borrowed=borrows,
        available=cash,
        part=token,
        shares=supply,
    )


def addresses(market: Contracts, positions: Sequence[Position]) -> list[str]:
    """Its cTokens: each tells the liquidations of its own borrowers."""
    return sorted({position.part for position in positions})


def _form(log: LogFact) -> Event:
    return LIQUIDATE if len(log.topics) == 1 else LIQUIDATE_INDEXED


def liquidation(market: Contracts, log: LogFact) -> Liquidation:
    """A liquidation; the debt is in units of the asset behind the cToken that logged it, its `part`."""
    found = _form(log).decode(log.topics, log.data)
    return Liquidation(
        log=log,
        borrower=found["borrower"],
        liquidator=found["liquidator"],
        debt_repaid=found["repayAmount"],
        collateral_token=found["cTokenCollateral"],
        collateral_seized=found["seizeTokens"],
        part=log.address,
    )


FAMILY = Family("compound_v2", positions, addresses, (LIQUIDATE,), liquidation)
