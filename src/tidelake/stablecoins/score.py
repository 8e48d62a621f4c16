"""The Temporal Confidence Score: how likely a window says already what it will say once it is final.

It is the product of five factors, each in [0, 1] and each counted once. All are kept beside it.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

TIER_WEIGHTS: Final = (0.3, 0.3, 0.8, 1.0)  # by tier; the source document's prior. Tier 0: the head has not passed yet
FRESH_INTERVALS: Final = 5.0  # our choice: five intervals beyond its own, a value counts for 1/e


class Exponents(msgspec.Struct, frozen=True):
    """Powers to which the factors are taken; calibration fits them, 1 is the prior."""

    finality: float = 1.0
    cross_chain: float = 1.0
    completeness: float = 1.0
    staleness: float = 1.0
    reorg: float = 1.0

    @property
    def version(self) -> str:
        """Those that are not the prior, as "completeness^31.1"; "" for the prior."""
        found = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return " ".join(f"{name}^{power!r}" for name, power in found if power != 1.0)


PRIOR: Final = Exponents()


class Breakdown(msgspec.Struct, frozen=True, gc=False):
    """The factors of a score, before their exponents.

    Attributes:
        finality: Weight of the tier; across chains that of the most final chain, for `cross_chain` holds the rest.
        cross_chain: The weakest chain weighted by exposure: 1 - max(exposure * (1 - weight / finality)).
        cross_chain_minimum: The smallest weight of a chain; kept beside, no factor.
        completeness: Share of the expected features that have a value.
        staleness: exp(-x / 5), x the age of the stalest value beyond its feature's interval, in such intervals.
        reorg: One less the chance that a minute of these chains is reorganised, less where many slots have no block;
            1 once all facts are final.
    """

    finality: float
    cross_chain: float
    cross_chain_minimum: float
    completeness: float
    staleness: float
    reorg: float


def chain_factors(tiers: Sequence[int], exposures: Sequence[float]) -> tuple[float, float, float]:
    """`finality`, `cross_chain` and the plain minimum, of the tiers of chains and their shares of the coin."""
    weights = [TIER_WEIGHTS[tier] for tier in tiers]
    best, least = max(weights), min(weights)
    if best == least:
        return best, 1.0, least
    whole = sum(exposures)
    worst = max(share / whole * (1.0 - weight / best) for weight, share in zip(weights, exposures, strict=True))
    return best, 1.0 - worst, least


def freshness(overdue: Iterable[float]) -> float:
    """The factor for ages beyond their interval, each counted in such intervals; below zero is not overdue."""
    stalest = max(overdue, default=0.0)
    return math.exp(-stalest / FRESH_INTERVALS) if stalest > 0 else 1.0


def score(found: Breakdown, powers: Exponents = PRIOR) -> float:
    """The product of the factors, each to its power."""
    if powers is PRIOR:
        return found.finality * found.cross_chain * found.completeness * found.staleness * found.reorg
    return float(
        found.finality**powers.finality
        * found.cross_chain**powers.cross_chain
        * found.completeness**powers.completeness
        * found.staleness**powers.staleness
        * found.reorg**powers.reorg
    )
