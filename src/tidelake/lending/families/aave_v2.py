"""Aave v2 and its forks: Radiant v2, whose liquidation log has one address more.

Source: aave/protocol-v2, contracts/interfaces/ILendingPool.sol and protocol/libraries/types/DataTypes.sol; of Radiant
        messari/subgraphs at 2711ac9, subgraphs/aave-forks/abis/radiant-capital/LendingPoolRadiant.json
Quirks: The pool as a whole is paused, not a reserve. Debt is of two kinds, each with a token.
"""

from functools import partial

from tidelake.chains.abi import event, function
from tidelake.chains.logs import LogFact
from tidelake.lending.families.aave_reserves import (
    LIQUIDATION,
    ReserveForm,
    pool_addresses,
    read_liquidation,
    read_pool,
)
from tidelake.lending.spec import Contracts, Family, Liquidation

RESERVE_DATA = function(
    "getReserveData(address)",
    "((uint256),uint128,uint128,uint128,uint128,uint128,uint40,address,address,address,address,uint8)",
)
RADIANT = event(
    "LiquidationCall(address indexed collateralAsset, address indexed debtAsset, address indexed user, "
    "uint256 debtToCover, uint256 liquidatedCollateralAmount, address liquidator, bool receiveAToken, "
    "address liquidationFeeTo)"
)
RESERVE = ReserveForm(RESERVE_DATA, a_token=7, debt_tokens=(9, 8), can_pause=False)


def liquidation(market: Contracts, log: LogFact) -> Liquidation:
    """A liquidation, in the form of Aave or of Radiant."""
    return read_liquidation(LIQUIDATION if log.topics[0] == LIQUIDATION.topic0 else RADIANT, log)


FAMILY = Family("aave_v2", partial(read_pool, RESERVE), pool_addresses, (LIQUIDATION, RADIANT), liquidation)
