"""What a market's own oracle says its assets are worth, at the block at which the market is read. No I/O.

Source: aave-dao/aave-v3-origin at fd1fbd9, src/contracts/interfaces/IAaveOracle.sol, IPriceOracleGetter.sol
Quirks: Only oracles that price in US dollars are read: their base currency is the zero address. The oracles of Aave v2
        on Ethereum price in ether, and early ones tell no base currency. Today's oracle is asked at every block: where
        another stood then, or none, there is no price. A price of 0 means that no feed is set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidelake.chains.abi import function
from tidelake.chains.addresses import ZERO_ADDRESS
from tidelake.chains.multicall import Call
from tidelake.errors import FormatDrift
from tidelake.lending.spec import Asking, Position

BASE_CURRENCY = function("BASE_CURRENCY()", "address")
UNIT = function("BASE_CURRENCY_UNIT()", "uint256")
PRICE = function("getAssetPrice(address)", "uint256")
FAMILIES = ("aave_v2", "aave_v3")


@dataclass(frozen=True, slots=True)
class OraclePrice:
    """The price of a whole token is `price / unit` US dollars; both are None where the oracle has none."""

    asset: str
    price: int | None = None
    unit: int | None = None


def has_oracle(family: str, contracts: Mapping[str, str]) -> bool:
    """Whether the market's oracle is known, and one that is read."""
    return family in FAMILIES and "oracle" in contracts


def held_prices(contracts: Mapping[str, str], positions: Sequence[Position]) -> Asking[list[OraclePrice]]:
    """The price of each asset that a market holds; returns and raises as `oracle_prices` does."""
    return oracle_prices(contracts["oracle"], sorted({position.asset for position in positions}))


def oracle_prices(oracle: str, assets: Sequence[str]) -> Asking[list[OraclePrice]]:
    """The price of each asset; none at all where the oracle prices in something else than US dollars.

    Raises:
        FormatDrift: An answer is of another form.
    """
    calls = [Call(oracle, BASE_CURRENCY.encode()), Call(oracle, UNIT.encode())]
    base, unit, *answers = yield calls + [Call(oracle, PRICE.encode(asset)) for asset in assets]
    if not (base.success and base.data) or BASE_CURRENCY.decode(base.data)[0] != ZERO_ADDRESS:
        return []
    (scale,) = UNIT.decode(unit.data)
    if scale <= 0:
        raise FormatDrift(f"oracle {oracle} tells a unit of {scale}")
    found = []
    for asset, answer in zip(assets, answers, strict=True):
        price = PRICE.decode(answer.data)[0] if answer.success and answer.data else 0
        found.append(OraclePrice(asset, price, scale) if price else OraclePrice(asset))
    return found
