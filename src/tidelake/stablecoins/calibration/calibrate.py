"""Scores held against what came true, before and after their exponents were fitted on other histories.

Only simulated histories have a known truth: what is found holds for how often things go wrong there.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from tidelake.errors import ConfigError
from tidelake.stablecoins.calibration.brier import Verification, verify
from tidelake.stablecoins.calibration.fit import Floats, Steps, fit_exponents, scores
from tidelake.stablecoins.calibration.samples import FACTORS, Samples, join
from tidelake.stablecoins.calibration.stated import EXACT, TOLERANCES
from tidelake.stablecoins.score import PRIOR, Exponents

NOTE: Final = (
    "Fitted and scored on simulated histories, whose faults are as frequent as the simulation makes them: "
    "no statement about a real chain or source."
)
COMPLETE: Final = "complete PROVISIONAL"
BASE, BEFORE, AFTER, STEPPED = "base rate", "prior", "fitted", "fitted, then steps"


class Forecast(msgspec.Struct, frozen=True):
    """A manner of forecasting, held against rows of the scored seeds.

    Attributes:
        rows: "all", "OPEN", "PROVISIONAL", or "complete PROVISIONAL": those that lack no value.
    """

    forecast: str
    rows: str
    found: Verification


class SeedFigures(msgspec.Struct, frozen=True):
    """One history.

    Attributes:
        use: "fit" or "score"; of a seed that was fitted to, `brier_fitted` is no test.
        finals_wrong: FINAL rows of the history as told that depart from the truth, of `finals`.
        alone: The exponents that are found on this seed alone; None where it was scored.
        alone_brier: Brier score of these on the scored seeds.
    """

    seed: int
    use: str
    samples: int
    came_true: float
    brier_prior: float
    brier_fitted: float
    finals: int
    finals_wrong: int
    unsettled: int
    alone: Exponents | None = None
    alone_brier: float | None = None


class OfFinality(msgspec.Struct, frozen=True):
    """Scored rows of PROVISIONAL windows that lack nothing, by the factor `finality`, and the share that came true."""

    finality: float
    count: int
    came_true: float


class CalibrationReport(msgspec.Struct, frozen=True):
    """What a calibration found.

    Attributes:
        history: What the histories were, in words.
        tolerances: By value, relative and absolute; exact values have 0 and 0.
        departures: Of the scored rows, how many said something else than the final row, by value.
        forecasts: The base rate of the fit seeds, the score with the prior exponents, with the fitted ones, and a
            monotone step function of that; of all rows, then the score of parts of them.
        complete: What the tiers' weights are to be held against.
    """

    note: str
    history: str
    fit_seeds: tuple[int, ...]
    score_seeds: tuple[int, ...]
    prior: Exponents
    fitted: Exponents
    tolerances: dict[str, tuple[float, float]]
    departures: dict[str, int]
    forecasts: tuple[Forecast, ...]
    complete: tuple[OfFinality, ...]
    seeds: tuple[SeedFigures, ...]

    def of(self, forecast: str, rows: str = "all") -> Verification:
        """The figures of one forecast."""
        return next(each.found for each in self.forecasts if (each.forecast, each.rows) == (forecast, rows))


def check_disjoint(fit_seeds: Sequence[int], score_seeds: Sequence[int]) -> None:
    """Refuse seeds of which one is in both, or none in one.

    Raises:
        ConfigError: They are not disjoint, or one is empty.
    """
    both = sorted(set(fit_seeds) & set(score_seeds))
    if both:
        raise ConfigError(f"seeds {', '.join(map(str, both))} would be fitted to and scored on; they must be disjoint")
    if not fit_seeds or not score_seeds:
        raise ConfigError("needs seeds to fit to and others to score on, such as 1..6: the first half is fitted to")


def calibrate(
    samples: Mapping[int, Samples], fit_seeds: Sequence[int], score_seeds: Sequence[int], history: str
) -> CalibrationReport:
    """Fit on some seeds, score on others.

    Args:
        samples: Of all these seeds.
        history: What the histories were, in words.

    Raises:
        ConfigError: The seeds are not disjoint, or a history has no sample.
    """
    check_disjoint(fit_seeds, score_seeds)
    fit_on, score_on = (join(samples[seed] for seed in seeds) for seeds in (fit_seeds, score_seeds))
    fitted = fit_exponents(fit_on.factors, fit_on.came_true)
    steps = Steps(scores(fit_on.factors, fitted), fit_on.came_true)
    base = float(fit_on.came_true.mean())
    told = {
        BASE: np.full(len(score_on), base),
        BEFORE: scores(score_on.factors, PRIOR),
        AFTER: scores(score_on.factors, fitted),
    }
    told[STEPPED] = steps(told[AFTER])
    forecasts = [Forecast(name, "all", verify(each, score_on.came_true)) for name, each in told.items()]
    parts = {"OPEN": score_on.is_open, "PROVISIONAL": ~score_on.is_open, COMPLETE: _complete(score_on)}
    for rows, mask in parts.items():
        if mask.any():
            forecasts += [
                Forecast(name, rows, verify(told[name][mask], score_on.came_true[mask])) for name in (BEFORE, AFTER)
            ]
    return CalibrationReport(
        note=NOTE,
        history=history,
        fit_seeds=tuple(fit_seeds),
        score_seeds=tuple(score_seeds),
        prior=PRIOR,
        fitted=fitted,
        tolerances={name: (t.relative, t.absolute) for name, t in TOLERANCES.items()}
        | dict.fromkeys(EXACT, (0.0, 0.0)),
        departures=dict(score_on.departures.most_common()),
        forecasts=tuple(forecasts),
        complete=_by_finality(score_on),
        seeds=tuple(
            _of_seed(seed, samples[seed], fitted, score_on if seed in fit_seeds else None)
            for seed in sorted((*fit_seeds, *score_seeds))
        ),
    )


def _complete(of: Samples) -> npt.NDArray[np.bool_]:
    return np.asarray(~of.is_open & (of.factors[:, FACTORS.index("completeness")] == 1.0))


def _by_finality(of: Samples) -> tuple[OfFinality, ...]:
    whole = of.only(_complete(of))
    finality = whole.factors[:, FACTORS.index("finality")]
    found = []
    for weight in np.unique(finality):
        came_true = whole.came_true[finality == weight]
        found.append(OfFinality(float(weight), len(came_true), float(came_true.mean())))
    return tuple(found)


def _of_seed(seed: int, mine: Samples, fitted: Exponents, score_on: Samples | None) -> SeedFigures:
    alone = None if score_on is None else fit_exponents(mine.factors, mine.came_true)
    return SeedFigures(
        seed=seed,
        use="score" if score_on is None else "fit",
        samples=len(mine),
        came_true=float(mine.came_true.mean()),
        brier_prior=_brier(scores(mine.factors, PRIOR), mine),
        brier_fitted=_brier(scores(mine.factors, fitted), mine),
        finals=mine.finals,
        finals_wrong=mine.finals_wrong,
        unsettled=mine.unsettled,
        alone=alone,
        alone_brier=None if alone is None or score_on is None else _brier(scores(score_on.factors, alone), score_on),
    )


def _brier(told: Floats, of: Samples) -> float:
    return float(np.mean((told - of.came_true) ** 2))
