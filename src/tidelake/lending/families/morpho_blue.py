"""Morpho Blue: one contract that holds any number of markets, each of one loan asset and one collateral.

Source: morpho-org/morpho-blue (IMorpho.sol, EventsLib.sol); addresses morpho-org/sdks at cdff8c4
Quirks: Nothing on the chain lists the markets: `CreateMarket` tells each once. Anybody makes them, so most are empty:
        those without supply and debt are no position.
        `market(id)` holds interest up to its last accrual alone. How much collateral a market holds is not stored: it
        is the sum of what was supplied, less what was withdrawn and what was seized (`collateral_moved`).
"""

from collections.abc import Sequence

from tidelake.chains.abi import event, function
from tidelake.chains.logs import LogFact
from tidelake.chains.multicall import Call
from tidelake.lending.erc20 import DECIMALS, SYMBOL, symbol_of
from tidelake.lending.spec import Asking, Contracts, Family, Liquidation, Position, number, told

MARKET = function("market(bytes32)", "uint128,uint128,uint128,uint128,uint128,uint128")
PARAMETERS = function("idToMarketParams(bytes32)", "address,address,address,address,uint256")
CREATE = event("CreateMarket(bytes32 indexed id, (address,address,address,address,uint256) marketParams)")
LIQUIDATE = event(
    "Liquidate(bytes32 indexed id, address indexed caller, address indexed borrower, uint256 repaidAssets, "
    "uint256 repaidShares, uint256 seizedAssets, uint256 badDebtAssets, uint256 badDebtShares)"
)
SUPPLY_COLLATERAL = event(
    "SupplyCollateral(bytes32 indexed id, address indexed caller, address indexed onBehalf, uint256 assets)"
)
WITHDRAW_COLLATERAL = event(
    "WithdrawCollateral(bytes32 indexed id, address caller, address indexed onBehalf, address indexed receiver, "
    "uint256 assets)"
)
COLLATERAL_EVENTS = (SUPPLY_COLLATERAL, WITHDRAW_COLLATERAL, LIQUIDATE)
SUPPLY_ASSETS, BORROW_ASSETS = 0, 2


def positions(market: Contracts, parts: Sequence[str]) -> Asking[list[Position]]:
    """The loan side of each of these market ids that holds anything."""
    morpho = market.contracts["morpho"]
    if not parts:
        return []
    ids = [bytes.fromhex(part[2:]) for part in parts]
    answers = yield [Call(morpho, MARKET.encode(one)) for one in ids]
    states = [told(MARKET, answer, morpho) for answer in answers]
    held = [i for i, state in enumerate(states) if state[SUPPLY_ASSETS] or state[BORROW_ASSETS]]
    if not held:
        return []
    loans = [
        str(told(PARAMETERS, answer, morpho)[0]).lower()
        for answer in (yield [Call(morpho, PARAMETERS.encode(ids[i])) for i in held])
    ]
    tokens = sorted(set(loans))
    facts = list((yield [Call(token, one.encode()) for token in tokens for one in (SYMBOL, DECIMALS)]))
    symbols = {token: symbol_of(facts[2 * i]) for i, token in enumerate(tokens)}
    decimals = {token: number(DECIMALS, facts[2 * i + 1], token) for i, token in enumerate(tokens)}
    found = []
    for i, token in zip(held, loans, strict=True):
        supplied, borrowed = states[i][SUPPLY_ASSETS], states[i][BORROW_ASSETS]
        left = supplied - borrowed
        found.append(Position(token, symbols[token], decimals[token], "loan", supplied, borrowed, left, part=parts[i]))
    return found


def addresses(market: Contracts, positions: Sequence[Position]) -> list[str]:
    """The one contract."""
    return [market.contracts["morpho"].lower()]


def liquidation(market: Contracts, log: LogFact) -> Liquidation:
    """A liquidation, in units of the loan asset and the collateral of its market, its `part`."""
    found = LIQUIDATE.decode(log.topics, log.data)
    return Liquidation(
        log=log,
        borrower=found["borrower"],
        liquidator=found["caller"],
        debt_repaid=found["repaidAssets"],
        collateral_seized=found["seizedAssets"],
        bad_debt=found["badDebtAssets"],
        part=log.topics[1],
    )


def collateral_moved(log: LogFact) -> tuple[str, int]:
    """The market id that a log of `COLLATERAL_EVENTS` speaks of, and by how much its collateral grew.

    Raises:
        FormatDrift: It is no such log.
    """
    moved = {SUPPLY_COLLATERAL.topic0: (SUPPLY_COLLATERAL, "assets", 1)}
    moved |= {WITHDRAW_COLLATERAL.topic0: (WITHDRAW_COLLATERAL, "assets", -1)}
    form, name, sign = moved.get(log.topics[0], (LIQUIDATE, "seizedAssets", -1))
    found = form.decode(log.topics, log.data)
    return log.topics[1], sign * found[name]


FAMILY = Family(
    "morpho_blue",
    positions,
    addresses,
    (LIQUIDATE,),
    liquidation,
    parts=(CREATE, "id"),
    state_events=COLLATERAL_EVENTS,
)
