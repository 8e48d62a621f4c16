"""The Brier score and its parts: cases worked out by hand, and the definitions as loops."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tidelake.errors import ConfigError
from tidelake.stablecoins.calibration.brier import Z, verify, wilson


def held(forecasts, came_true):
    return verify(np.array(forecasts, dtype=float), np.array(came_true, dtype=bool))


def test_case_by_hand_with_equal_forecasts_in_each_bin():
    found = held([0.1, 0.1, 0.9, 0.9], [0, 1, 1, 1])
    assert found.brier == pytest.approx((0.01 + 0.81 + 0.01 + 0.01) / 4)
    assert found.base_rate == 0.75
    assert found.reliability == pytest.approx((2 * (0.1 - 0.5) ** 2 + 2 * (0.9 - 1.0) ** 2) / 4)
    assert found.resolution == pytest.approx((2 * (0.5 - 0.75) ** 2 + 2 * (1.0 - 0.75) ** 2) / 4)
    assert found.uncertainty == pytest.approx(0.1875)
    assert found.within_bins == pytest.approx(0.0, abs=1e-12)
    assert found.skill == pytest.approx(1 - 0.21 / 0.1875)
    filled = {(bin_.low, bin_.count, bin_.mean_forecast, bin_.observed) for bin_ in found.bins if bin_.count}
    assert filled == {(0.1, 2, 0.1, 0.5), (0.9, 2, 0.9, 1.0)}


def test_what_differs_within_a_bin_is_told_apart():
    found = held([0.12, 0.18], [0, 1])
    assert found.brier == pytest.approx((0.0144 + 0.6724) / 2)
    assert (found.reliability, found.resolution) == (pytest.approx((0.15 - 0.5) ** 2), 0.0)
    assert found.within_bins == pytest.approx(0.3434 - 0.3725)


def test_perfect_forecaster_has_a_score_of_zero_and_resolves_all():
    found = held([0, 1, 1, 0, 1], [0, 1, 1, 0, 1])
    assert (found.brier, found.reliability, found.skill) == (0.0, 0.0, 1.0)
    assert found.resolution == pytest.approx(found.uncertainty)
    assert found.bins[-1].count == 3  # a forecast of 1 is in the last bin


def test_forecaster_of_the_base_rate_is_reliable_and_resolves_nothing():
    found = held([0.25] * 4, [1, 0, 0, 0])
    assert found.brier == pytest.approx(0.1875)
    assert (found.reliability, found.resolution, found.skill) == (0.0, 0.0, pytest.approx(0.0))


def test_forecaster_that_is_always_wrong():
    assert held([0, 1], [1, 0]).brier == 1.0


def test_event_that_never_fails_has_no_skill():
    assert held([0.5, 0.7], [1, 1]).skill is None


@given(st.lists(st.tuples(st.integers(0, 100), st.booleans()), min_size=1, max_size=40))
def test_score_and_parts_equal_their_definitions(pairs):
    forecasts, came_true = [each / 100 for each, _ in pairs], [each for _, each in pairs]
    found = held(forecasts, came_true)
    n, base = len(pairs), sum(came_true) / len(pairs)
    reliability = resolution = 0.0
    for k in range(10):
        mine = [(each / 100, true) for each, true in pairs if min(each // 10, 9) == k]
        if mine:
            mean, share = (sum(part) / len(mine) for part in zip(*mine, strict=True))
            reliability += len(mine) * (mean - share) ** 2 / n
            resolution += len(mine) * (share - base) ** 2 / n
    brier = sum((p - y) ** 2 for p, y in zip(forecasts, came_true, strict=True)) / n
    assert found.brier == pytest.approx(brier, abs=1e-12)
    assert found.reliability == pytest.approx(reliability, abs=1e-12)
    assert found.resolution == pytest.approx(resolution, abs=1e-12)
    parts = found.reliability - found.resolution + found.uncertainty + found.within_bins
    assert parts == pytest.approx(brier, abs=1e-12)


@given(st.integers(1, 500), st.data())
def test_ends_of_wilsons_interval_are_the_shares_that_are_just_not_refused(trials, data):
    successes = data.draw(st.integers(0, trials))
    share = successes / trials
    for end in wilson(successes, trials):
        assert (share - end) ** 2 == pytest.approx(Z * Z * end * (1 - end) / trials, abs=1e-12)


def test_wilsons_interval_as_printed_in_tables():
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)


@pytest.mark.parametrize(("forecasts", "came_true"), [([], []), ([1.1], [1]), ([-0.1], [0]), ([math.nan], [0])])
def test_what_is_no_forecast_is_refused(forecasts, came_true):
    with pytest.raises(ConfigError, match="forecasts in"):
        held(forecasts, came_true)
