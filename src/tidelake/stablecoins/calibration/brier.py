"""How good forecasts of an event are: the Brier score, its parts, and how often what was forecast came true.

Source: A. H. Murphy, "A New Vector Partition of the Probability Score", Journal of Applied Meteorology 12 (1973);
E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927).
"""

import math
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from tidelake.errors import ConfigError

BINS: Final = 10
Z: Final = 1.959964  # 95 %


class Bin(msgspec.Struct, frozen=True):
    """Forecasts in [low, high); the last bin holds 1 too.

    Attributes:
        mean_forecast: Of its forecasts; None where there is none.
        observed: The share that came true, and beside it the 95 % interval by Wilson, as if samples were independent.
    """

    low: float
    high: float
    count: int
    mean_forecast: float | None = None
    observed: float | None = None
    observed_low: float | None = None
    observed_high: float | None = None


class Verification(msgspec.Struct, frozen=True):
    """Forecasts held against what came true: `brier` = reliability - resolution + uncertainty + within_bins.

    Attributes:
        brier: Mean squared distance of the forecast from 1 (came true) or 0; less is better.
        skill: 1 - brier / uncertainty: 0 is that of always saying the base rate, 1 is perfect; None where there is no
            uncertainty.
        reliability: Mean squared distance of bins' mean forecasts from the shares that came true; less is better.
        resolution: Mean squared distance of these shares from the base rate; more is better.
        uncertainty: base_rate * (1 - base_rate): of the event, not of the forecast.
        within_bins: What Murphy's parts leave out where a bin holds forecasts that are not equal.
    """

    samples: int
    base_rate: float
    mean_forecast: float
    brier: float
    skill: float | None
    reliability: float
    resolution: float
    uncertainty: float
    within_bins: float
    bins: tuple[Bin, ...]


def verify(forecasts: npt.NDArray[np.float64], came_true: npt.NDArray[np.bool_], bins: int = BINS) -> Verification:
    """Hold forecasts in [0, 1] against what came true, in bins of equal width.

    Raises:
        ConfigError: There is no forecast, or one is outside [0, 1].
    """
    count = len(forecasts)
    if not count or count != len(came_true) or not bool(np.all((forecasts >= 0) & (forecasts <= 1))):
        raise ConfigError(f"needs forecasts in [0, 1], each with what came true; got {count} and {len(came_true)}")
    truth = came_true.astype(np.float64)
    base = float(truth.mean())
    place = np.minimum((forecasts * bins).astype(np.int64), bins - 1)
    counts = np.bincount(place, minlength=bins)
    told = np.bincount(place, forecasts, bins)
    seen = np.bincount(place, truth, bins)
    reliability = resolution = 0.0
    found = []
    for i, many in enumerate(counts.tolist()):
        if not many:
            found.append(Bin(i / bins, (i + 1) / bins, 0))
            continue
        forecast, observed = float(told[i]) / many, float(seen[i]) / many
        reliability += many * (forecast - observed) ** 2 / count
        resolution += many * (observed - base) ** 2 / count
        found.append(Bin(i / bins, (i + 1) / bins, many, forecast, observed, *wilson(round(float(seen[i])), many)))
    brier = float(np.mean((forecasts - truth) ** 2))
    uncertainty = base * (1.0 - base)
    return Verification(
        samples=count,
        base_rate=base,
        mean_forecast=float(forecasts.mean()),
        brier=brier,
        skill=1.0 - brier / uncertainty if uncertainty else None,
        reliability=reliability,
        resolution=resolution,
        uncertainty=uncertainty,
        within_bins=brier - (reliability - resolution + uncertainty),
        bins=tuple(found),
    )


def wilson(successes: int, trials: int, z: float = Z) -> tuple[float, float]:
    """The interval of a share by Wilson's score; `trials` above zero."""
    share = successes / trials
    scale = 1.0 + z * z / trials
    centre = (share + z * z / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    return max(0.0, centre - half), min(1.0, centre + half)
