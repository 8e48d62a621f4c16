"""What Aave v2 and v3 have in common: reserves with an aToken and debt tokens, and the log of a liquidation.

Source: aave-dao/aave-v3-origin at fd1fbd9 (IPool.sol, DataTypes.sol, ReserveConfiguration.sol); aave/protocol-v2
        (ILendingPool.sol, DataTypes.sol)
Quirks: What accrues to the treasury and is not minted yet is in no aToken.
        The liquidated amount is what the liquidator gets, without the fee that the protocol keeps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tidelake.chains.abi import Event, Function, event, function
from tidelake.chains.logs import LogFact
from tidelake.chains.multicall import Call
from tidelake.errors import FormatDrift
from tidelake.lending.erc20 import BALANCE_OF, SYMBOL, TOTAL_SUPPLY, symbol_of
from tidelake.lending.spec import ZERO_ADDRESS, Asking, Contracts, Liquidation, Position, addresses, number, told

RESERVES = function("getReservesList()", "address[]")
LIQUIDATION = event(
    "LiquidationCall(address indexed collateralAsset, address indexed debtAsset, address indexed user, "
    "uint256 debtToCover, uint256 liquidatedCollateralAmount, address liquidator, bool receiveAToken)"
)
# Places in the bits of a reserve's configuration (ReserveConfiguration.sol).
DECIMALS_AT, ACTIVE_AT, FROZEN_AT, PAUSED_AT = 48, 56, 57, 60


@dataclass(frozen=True, slots=True)
class ReserveForm:
    """How a version of the pool tells a reserve.

    Attributes:
        data: `getReserveData`: one tuple, which begins with the bits of the configuration.
        a_token: Place in it of the token of suppliers.
        debt_tokens: Places of the tokens of borrowers; a zero address there is no token.
        can_pause: Whether the configuration has a bit for a paused reserve.
    """

    data: Function
    a_token: int
    debt_tokens: tuple[int, ...]
    can_pause: bool

    def reserve(self, asset: str, words: Sequence[Any]) -> "Reserve":
        """The reserve that the words of an answer tell.

        Raises:
            FormatDrift: It has no token of suppliers: the pool does not list it.
        """
        supplied = _tokens(words[self.a_token])
        if not supplied:
            raise FormatDrift(f"{self.data.signature} of {asset} tells no token of its suppliers")
        return Reserve(asset, words[0][0], supplied[0], _tokens(*(words[place] for place in self.debt_tokens)))


@dataclass(frozen=True, slots=True)
class Reserve:
    """One reserve of a pool.

    Attributes:
        configuration: Its bits.
        a_token: Token of its suppliers.
        debt_tokens: Tokens of its borrowers.
    """

    asset: str
    configuration: int
    a_token: str
    debt_tokens: tuple[str, ...]

    def is_set(self, place: int) -> bool:
        """Whether a bit of the configuration is set."""
        return bool(self.configuration >> place & 1)


def read_pool(form: ReserveForm, market: Contracts, parts: Sequence[str]) -> Asking[list[Position]]:
    """The positions of a pool in three rounds: its reserves, what each is, and what its tokens count.

    Args:
        form: Of the version.
        market: Of which "pool" is asked.
        parts: None: the pool lists its reserves.
    """
    pool = market.contracts["pool"]
    (listed,) = yield [Call(pool, RESERVES.encode())]
    assets = addresses(RESERVES, listed, pool)
    answers = yield [Call(pool, form.data.encode(asset)) for asset in assets]
    reserves = [
        form.reserve(asset, told(form.data, answer, pool)[0]) for asset, answer in zip(assets, answers, strict=True)
    ]
    positions = []
    asked = [_calls(reserve) for reserve in reserves]
    results = list((yield [call for calls in asked for call in calls]))
    for reserve, calls in zip(reserves, asked, strict=True):
        counted, results = results[: len(calls)], results[len(calls) :]
        supplied = number(TOTAL_SUPPLY, counted[1], reserve.a_token)
        owed = zip(counted[3:], reserve.debt_tokens, strict=True)
        positions.append(
            Position(
                asset=reserve.asset,
                symbol=symbol_of(counted[0]),
                decimals=reserve.configuration >> DECIMALS_AT & 0xFF,
                role="loan",
                supplied=supplied,
                borrowed=sum(number(TOTAL_SUPPLY, answer, token) for answer, token in owed),
                available=number(BALANCE_OF, counted[2], reserve.asset),
                active=reserve.is_set(ACTIVE_AT),
                frozen=reserve.is_set(FROZEN_AT),
                paused=reserve.is_set(PAUSED_AT) if form.can_pause else None,
            )
        )
    return positions


def _calls(reserve: Reserve) -> list[Call]:
    return [
        Call(reserve.asset, SYMBOL.encode()),
        Call(reserve.a_token, TOTAL_SUPPLY.encode()),
        Call(reserve.asset, BALANCE_OF.encode(reserve.a_token)),
        *(Call(token, TOTAL_SUPPLY.encode()) for token in reserve.debt_tokens),
    ]


def _tokens(*found: object) -> tuple[str, ...]:
    """Those addresses that are not zero, in small letters."""
    return tuple(text for one in found if (text := str(one).lower()) != ZERO_ADDRESS)


def pool_addresses(market: Contracts, positions: Sequence[Position]) -> list[str]:
    """The pool, which tells all liquidations of the market."""
    return [market.contracts["pool"].lower()]


def read_liquidation(form: Event, log: LogFact) -> Liquidation:
    """What a `LiquidationCall` of this form tells.

    Raises:
        FormatDrift: The log is none.
    """
    found = form.decode(log.topics, log.data)
    return Liquidation(
        log=log,
        borrower=found["user"],
        liquidator=found["liquidator"],
        debt_token=found["debtAsset"],
        debt_repaid=found["debtToCover"],
        collateral_token=found["collateralAsset"],
        collateral_seized=found["liquidatedCollateralAmount"],
    )
