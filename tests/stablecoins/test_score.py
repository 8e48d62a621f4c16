"""The score: cases worked out by hand, and a product that no factor can turn round."""

import math

import msgspec
import pytest
from hypothesis import given, strategies as st

from tidelake.stablecoins.reorg_prior import MINUTE_US, ReorgHistory
from tidelake.stablecoins.score import Breakdown, Exponents, chain_factors, freshness, score

UNIT = st.floats(0, 1)
FACTORS = ("finality", "cross_chain", "completeness", "staleness", "reorg")


def breakdown(finality=1.0, cross_chain=1.0, completeness=1.0, staleness=1.0, reorg=1.0):
    return Breakdown(finality, cross_chain, 1.0, completeness, staleness, reorg)


@pytest.mark.parametrize(
    ("tiers", "shares", "wanted"),
    [
        ([1], [1.0], (0.3, 1.0, 0.3)),  # one chain: its tier, counted once
        ([2], [1.0], (0.8, 1.0, 0.8)),
        ([3], [1.0], (1.0, 1.0, 1.0)),
        ([0], [1.0], (0.3, 1.0, 0.3)),
        ([3, 3], [1.0, 9.0], (1.0, 1.0, 1.0)),
        ([1, 1], [1.0, 9.0], (0.3, 1.0, 0.3)),  # equally sure: nothing weaker than the rest
        ([3, 1], [1.0, 1.0], (1.0, 0.65, 0.3)),  # half of the coin at 0.3: 1 - 0.5 * 0.7
        ([3, 1], [9.0, 1.0], (1.0, 0.93, 0.3)),
        ([2, 1], [1.0, 3.0], (0.8, 1 - 0.75 * (1 - 0.3 / 0.8), 0.3)),
    ],
)
def test_factors_of_chains(tiers, shares, wanted):
    assert chain_factors(tiers, shares) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        (breakdown(), 1.0),
        (breakdown(finality=0.3), 0.3),
        (breakdown(finality=0.8, completeness=0.5), 0.4),
        (breakdown(finality=1.0, cross_chain=0.65), 0.65),
        (breakdown(finality=0.3, reorg=0.99, staleness=math.exp(-1)), 0.3 * 0.99 * math.exp(-1)),
        (breakdown(completeness=0.0), 0.0),
    ],
)
def test_known_scores(parts, wanted):
    assert score(parts) == pytest.approx(wanted)


def test_an_age_of_six_intervals_counts_for_one_part_in_e():
    assert freshness([360 / 60 - 1]) == pytest.approx(math.exp(-1))
    assert freshness([-0.5, 0.0]) == freshness([]) == 1.0


@given(UNIT, UNIT, UNIT, UNIT, UNIT, st.sampled_from(FACTORS), UNIT, st.floats(0.1, 4))
def test_a_higher_factor_never_lowers_the_score(a, b, c, d, e, name, other, power):
    parts = breakdown(a, b, c, d, e)
    changed = msgspec.structs.replace(parts, **{name: other})
    for powers in (Exponents(), Exponents(**{name: power})):
        low, high = sorted((parts, changed), key=lambda found: getattr(found, name))
        assert 0 <= score(low, powers) <= score(high, powers) <= 1


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.01, 10)), min_size=1, max_size=5), st.data())
def test_a_higher_tier_of_any_chain_never_lowers_what_chains_give(chains, data):
    tiers, shares = [tier for tier, _ in chains], [share for _, share in chains]
    place = data.draw(st.integers(0, len(tiers) - 1))
    raised = [*tiers[:place], data.draw(st.integers(tiers[place], 3)), *tiers[place + 1 :]]
    (best, cross, least), (best2, cross2, least2) = chain_factors(tiers, shares), chain_factors(raised, shares)
    assert 0 <= cross <= 1
    assert best * cross <= best2 * cross2 + 1e-12
    assert (best <= best2, least <= least2) == (True, True)


@given(st.lists(st.floats(0, 100), min_size=1), st.integers(0, 20), st.floats(0, 50))
def test_an_older_value_never_raises_freshness(ages, place, more):
    older = list(ages)
    older[place % len(ages)] += more
    assert 0 < freshness(older) <= freshness(ages) <= 1


def test_reorg_chance_is_the_posterior_mean_over_a_day():
    history = ReorgHistory()
    assert history.chance() == pytest.approx(1 / 100)
    for minute in range(100):
        history.watch(minute * MINUTE_US)
    assert history.chance() == pytest.approx(1 / 200)
    history.touch([50 * MINUTE_US, 50 * MINUTE_US + 5, 51 * MINUTE_US])  # two minutes
    assert history.chance() == pytest.approx(3 / 200)
    history.watch((50 + 1440) * MINUTE_US)  # the first of them is a day old
    assert history.chance() == pytest.approx(2 / (100 + 1440))
