"""The event that a score predicts: all that a row states equals what its FINAL window says, within these tolerances."""

from decimal import Decimal
from typing import Final, NamedTuple

from tidelake.stablecoins.records import WindowRow


class Tolerance(NamedTuple):
    """How far a value may be from the final one, the bound itself included.

    Attributes:
        relative: Share of the final value.
        absolute: In the value's own unit.
    """

    relative: float = 0.0
    absolute: float = 0.0


# All our choice: a fraction of the least distance at which something is said to have happened (docs/stablecoins.md).
TOLERANCES: Final = {
    "price": Tolerance(absolute=0.001),  # a fifth of the first level of a depeg
    "volume": Tolerance(relative=0.05),
    "liquidity_depth": Tolerance(relative=0.01),  # a tenth of the first level of a drain
    "circulating_supply": Tolerance(relative=0.001),  # a fifth of the first level of a mint
    "market_volatility": Tolerance(relative=0.1),
    "sentiment_score": Tolerance(absolute=0.1),  # the step by which a score is told anew
}
EXACT: Final = ("minted", "burned")  # and by them the net change

Stated = tuple[float | Decimal | None, ...]


def stated(row: WindowRow) -> Stated:
    """What a row states: the values of `TOLERANCES`, then of `EXACT`."""
    return (
        row.price,
        row.volume,
        row.liquidity_depth,
        row.circulating_supply,
        row.market_volatility,
        row.sentiment_score,
        row.minted,
        row.burned,
    )


def departures(said: Stated, final: Stated) -> tuple[str, ...]:
    """The values that are not what the final row says; one that is missing equals only one that is missing."""
    return tuple(name for name, ours, theirs in zip(NAMES, said, final, strict=True) if not _equal(name, ours, theirs))


NAMES: Final = (*TOLERANCES, *EXACT)


def _equal(name: str, said: float | Decimal | None, final: float | Decimal | None) -> bool:
    if said == final:
        return True
    allowed = TOLERANCES.get(name)
    if allowed is None or said is None or final is None:
        return False
    bound = max(allowed.absolute, allowed.relative * abs(float(final)))
    return abs(float(said) - float(final)) <= bound
