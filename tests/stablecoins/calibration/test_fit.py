"""The fit: it finds what made the samples, and never falls below the prior on its own samples."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tidelake.errors import ConfigError
from tidelake.stablecoins.calibration.fit import Steps, fit_exponents, scores
from tidelake.stablecoins.calibration.samples import FACTORS
from tidelake.stablecoins.score import PRIOR, Breakdown, Exponents, score

TRUE = Exponents(finality=0.5, cross_chain=2.0, completeness=3.0, staleness=0.0, reorg=1.3)


def drawn(powers, count, seed=3):
    rng = np.random.default_rng(seed)
    factors = rng.uniform(0.2, 1.0, (count, 5))
    chance = np.ones(count)
    for column, name in enumerate(FACTORS):
        chance *= factors[:, column] ** getattr(powers, name)
    return factors, rng.uniform(size=count) < chance


def powers_of(found):
    return [getattr(found, name) for name in FACTORS]


def test_fit_recovers_the_exponents_that_made_the_samples():
    factors, came_true = drawn(TRUE, 200_000)
    assert powers_of(fit_exponents(factors, came_true)) == pytest.approx(powers_of(TRUE), abs=0.06)


def test_fit_recovers_the_prior_where_it_is_true():
    factors, came_true = drawn(PRIOR, 200_000)
    assert powers_of(fit_exponents(factors, came_true)) == pytest.approx([1.0] * 5, abs=0.06)


def test_fit_is_the_same_each_time_and_in_any_order():
    factors, came_true = drawn(TRUE, 5_000)
    first = fit_exponents(factors, came_true)
    assert fit_exponents(factors, came_true) == first
    assert powers_of(fit_exponents(factors[::-1], came_true[::-1])) == pytest.approx(powers_of(first), abs=1e-4)


def test_factor_that_never_moves_keeps_its_prior_exponent():
    factors, came_true = drawn(TRUE, 5_000)
    factors[:, FACTORS.index("completeness")] = 1.0
    assert fit_exponents(factors, came_true).completeness == 1.0


def test_factor_that_speaks_against_the_event_is_left_out():
    factors = np.ones((400, 5))
    factors[:200, 0] = 0.5
    came_true = np.arange(400) < 200  # true where the factor is low
    assert fit_exponents(factors, came_true).finality == 0.0


def test_factor_of_zero_is_met():
    factors = np.ones((4, 5))
    factors[:2, 2] = 0.0
    found = fit_exponents(factors, np.array([False, False, True, True]))
    assert scores(factors, found) == pytest.approx([0, 0, 1, 1], abs=1e-6)


def test_nothing_to_fit_to_is_refused():
    with pytest.raises(ConfigError, match="no sample"):
        fit_exponents(np.ones((0, 5)), np.ones(0, dtype=bool))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1_000), st.integers(1, 60))
def test_fit_is_never_worse_than_the_prior_on_its_own_samples(seed, count):
    rng = np.random.default_rng(seed)
    factors, came_true = rng.uniform(0.0, 1.0, (count, 5)), rng.uniform(size=count) < 0.6
    fitted = fit_exponents(factors, came_true)
    before, after = (np.mean((scores(factors, each) - came_true) ** 2) for each in (PRIOR, fitted))
    assert after <= before + 1e-9
    assert all(0 <= power <= 50 for power in powers_of(fitted))


def test_scores_are_those_that_windows_carry():
    factors = np.array([[0.3, 0.9, 6 / 7, 0.7, 0.99], [1.0, 1.0, 0.0, 1.0, 1.0]])
    for row, ours in zip(factors, scores(factors, TRUE), strict=True):
        assert ours == pytest.approx(score(Breakdown(row[0], row[1], 1.0, row[2], row[3], row[4]), TRUE))


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=25))
def test_steps_equal_the_slow_monotone_regression(pairs):
    told, came_true = np.array([each / 6 for each, _ in pairs]), np.array([each for _, each in pairs])
    values = sorted(set(told))

    def mean(low, high):
        mine = [y for x, y in zip(told, came_true, strict=True) if low <= x <= high]
        return sum(mine) / len(mine)

    slow = [max(min(mean(j, k) for k in values if k >= i) for j in values if j <= i) for i in values]
    assert Steps(told, came_true)(np.array(values)) == pytest.approx(slow)


def test_score_that_was_never_fitted_to_takes_the_step_below_it():
    steps = Steps(np.array([0.2, 0.6]), np.array([False, True]))
    assert steps(np.array([0.0, 0.2, 0.5, 0.6, 1.0])).tolist() == [0, 0, 0, 1, 1]
