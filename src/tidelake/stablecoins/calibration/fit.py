"""Exponents of the factors of the score, fitted to what came true; and a monotone step function after it.

The exponents are those of the least Brier score, by Levenberg and Marquardt's steps kept within their bounds: no
exponent is below zero, so that the score stays monotone in each factor.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from tidelake.errors import ConfigError
from tidelake.stablecoins.calibration.samples import FACTORS
from tidelake.stablecoins.score import PRIOR, Exponents

MOST: Final = 50.0
LEAST_FACTOR: Final = 1e-12  # a factor of 0 is taken as this
TOWARDS_PRIOR: Final = 1e-7  # so that an exponent on which nothing depends stays where it was
STEPS: Final = 500

Floats = npt.NDArray[np.float64]


def scores(factors: Floats, powers: Exponents) -> Floats:
    """The scores of samples with these exponents, as `score.score` has them."""
    return np.asarray(np.prod(factors ** _vector(powers), axis=1))


def fit_exponents(factors: Floats, came_true: npt.NDArray[np.bool_], start: Exponents = PRIOR) -> Exponents:
    """The exponents in [0, 50] with the least Brier score on these samples, found from `start`.

    Raises:
        ConfigError: There is no sample.
    """
    if not len(factors):
        raise ConfigError("there is no sample to fit to")
    alike, place = np.unique(factors, axis=0, return_inverse=True)
    place = place.reshape(-1)
    weights = np.bincount(place) / len(factors)
    share = np.bincount(place, came_true.astype(np.float64)) / len(factors) / weights
    logs = np.log(np.maximum(alike, LEAST_FACTOR))
    prior = _vector(start)

    def loss(powers: Floats) -> float:
        off = np.exp(logs @ powers) - share
        return float(weights @ (off * off) + TOWARDS_PRIOR * ((powers - prior) ** 2).sum())

    powers, damping = prior.copy(), 1e-3
    best = loss(powers)
    for _ in range(STEPS):
        told = np.exp(logs @ powers)
        slopes = told[:, None] * logs
        gradient = slopes.T @ (weights * (told - share)) + TOWARDS_PRIOR * (powers - prior)
        curve = slopes.T @ (weights[:, None] * slopes) + TOWARDS_PRIOR * np.eye(len(powers))
        free = ~(((powers <= 0.0) & (gradient > 0)) | ((powers >= MOST) & (gradient < 0)))
        if not free.any():
            break
        step = np.zeros_like(powers)
        damped = curve + damping * np.diag(np.diag(curve))
        step[free] = -np.linalg.solve(damped[np.ix_(free, free)], gradient[free])
        tried = np.clip(powers + step, 0.0, MOST)
        found = loss(tried)
        if found < best:
            settled = best - found < 1e-14
            powers, best, damping = tried, found, max(damping / 5, 1e-12)
            if settled:
                break
        else:
            damping *= 5
            if damping > 1e12:
                break
    return Exponents(**{name: round(float(power), 6) for name, power in zip(FACTORS, powers, strict=True)})


class Steps:
    """A step function that never falls: scores to the shares that came true (isotonic regression, pooled neighbours).

    Attributes:
        starts: The least score of each step, rising.
        shares: What came true there, rising; a score below the first step is taken as of the first.
    """

    def __init__(self, told: Floats, came_true: npt.NDArray[np.bool_]) -> None:
        values, place = np.unique(told, return_inverse=True)
        counts = np.bincount(place.reshape(-1))
        hits = np.bincount(place.reshape(-1), came_true.astype(np.float64))
        starts: list[float] = []
        sums: list[float] = []
        sizes: list[float] = []
        for value, hit, count in zip(values.tolist(), hits.tolist(), counts.tolist(), strict=True):
            starts.append(value)
            sums.append(hit)
            sizes.append(count)
            while len(sums) > 1 and sums[-2] * sizes[-1] >= sums[-1] * sizes[-2]:
                starts.pop()
                hit_sum, size = sums.pop(), sizes.pop()
                sums[-1] += hit_sum
                sizes[-1] += size
        self.starts = np.array(starts)
        self.shares = np.array(sums) / np.array(sizes)

    def __call__(self, told: Floats) -> Floats:
        place = np.searchsorted(self.starts, told, side="right") - 1
        return np.asarray(self.shares[np.maximum(place, 0)])


def _vector(powers: Exponents) -> Floats:
    return np.array([getattr(powers, name) for name in FACTORS], dtype=np.float64)
