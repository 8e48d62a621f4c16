"""Aave v3 and its forks: Spark, Seamless, Kinza, ZeroLend.

Source: aave-dao/aave-v3-origin at fd1fbd9, src/contracts: interfaces/IPool.sol, protocol/libraries/types/DataTypes.sol
Quirks: The data provider was replaced at v3.1, v3.2, v3.3 and v3.4 (2024-07 to 2025-07), and for days the old ones did
        not answer: the pool and its tokens tell the same at every block, so they are asked.
        `getReserveData` of the pool has the same 15 words in v3.0 and, as a legacy, since v3.1. A dropped reserve
        leaves the list. From v3.2 on there is no stable debt, and its token's address is zero.
        From v3.3 on debt that no collateral covers is told by `DeficitCreated` in the transaction of the liquidation.
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
    "((uint256),uint128,uint128,uint128,uint128,uint128,uint40,uint16,address,address,address,address,uint128,uint128,"
    "uint128)",
)
DEFICIT = event("DeficitCreated(address indexed user, address indexed debtAsset, uint256 amountCreated)")
RESERVE = ReserveForm(RESERVE_DATA, a_token=8, debt_tokens=(10, 9), can_pause=True)


def liquidation(market: Contracts, log: LogFact) -> Liquidation:
    """A liquidation, or the debt that one left unpaid."""
    if log.topics[0] == LIQUIDATION.topic0:
        return read_liquidation(LIQUIDATION, log)
    found = DEFICIT.decode(log.topics, log.data)
    return Liquidation(log, found["user"], "", debt_token=found["debtAsset"], bad_debt=found["amountCreated"])


FAMILY = Family("aave_v3", partial(read_pool, RESERVE), pool_addresses, (LIQUIDATION, DEFICIT), liquidation)
