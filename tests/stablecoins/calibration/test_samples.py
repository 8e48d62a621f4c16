"""Rows as forecasts: which are right is worked out by hand, or by a slow count over all rows."""

from collections import Counter
from decimal import Decimal

import numpy as np
import pytest

from tests.stablecoins.histories import make, setup
from tidelake.errors import ConfigError
from tidelake.stablecoins.calibration.calibrate import AFTER, BASE, BEFORE, calibrate
from tidelake.stablecoins.calibration.samples import Samples, collect, join
from tidelake.stablecoins.calibration.stated import NAMES, departures
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.observation import Observation
from tidelake.stablecoins.records import WindowRow
from tidelake.stablecoins.replay.player import with_clock
from tidelake.stablecoins.setup import CoinSetup

S = 1_000_000
BEGIN = 1_700_000_100 * S
BEGIN_OF = setup().begin_us
FACTOR_FIELDS = ("finality", "cross_chain", "completeness", "staleness", "reorg")
SAID = (1.0, 1e6, 5e8, 3e9, 0.5, 0.2, Decimal("100.000001"), Decimal(0))


@pytest.mark.parametrize(
    ("name", "within", "beyond"),
    [
        ("price", 1.00099, 1.00101),
        ("price", 0.99901, 0.99899),
        ("volume", 1.05e6, 1.06e6),
        ("liquidity_depth", 5.05e8, 5.06e8),
        ("circulating_supply", 3.002e9, 3.004e9),
        ("market_volatility", 0.55, 0.56),
        ("sentiment_score", 0.29, 0.31),
        ("minted", Decimal("100.00000100"), Decimal("100.000000999999999999")),
        ("burned", Decimal("0E-18"), Decimal("0.000000000000000001")),
        ("price", 1.0, None),
    ],
)
def test_value_departs_beyond_its_tolerance(name, within, beyond):
    place = NAMES.index(name)
    assert departures(SAID, (*SAID[:place], within, *SAID[place + 1 :])) == ()
    assert departures(SAID, (*SAID[:place], beyond, *SAID[place + 1 :])) == (name,)


def test_missing_equals_missing_alone():
    nothing = (None,) * len(NAMES)
    assert departures(nothing, nothing) == ()
    assert departures(nothing, SAID) == NAMES


def told_price(time_s, value, known_s):
    time_us = BEGIN + time_s * S
    return Observation("price", time_us, BEGIN + known_s * S, "USDC", source="a", id=f"a:{time_s}", value=value)


def test_rows_before_a_restatement_are_wrong_and_those_after_it_are_right():
    of_coin = CoinSetup(coin="USDC", chains=(), begin_us=BEGIN, expects=("price",), windows_s=(60,))
    told = [told_price(10, 1.0, 11), told_price(70, 0.95, 71), told_price(10, 0.95, 95), told_price(130, 0.95, 131)]
    clean = [told_price(10, 0.95, 11), told_price(70, 0.95, 71), told_price(130, 0.95, 131)]
    found = collect({"USDC": of_coin}, [told], [clean], BEGIN + 180 * S)
    # As the first window closes it says 1.0; at 95 s that is told anew. The others are right as they close.
    # OPEN windows are asked at 30 s (1.0: wrong), at 90 s and at 150 s (0.95: right).
    provisional = found.came_true[~found.is_open].tolist()
    assert sorted(provisional) == [False, True, True, True]
    assert provisional[0] is False
    assert found.came_true[found.is_open].tolist() == [False, True, True]
    assert (found.finals, found.finals_wrong, found.unsettled) == (3, 0, 0)
    assert found.departures == {"price": 2}


def test_every_version_of_a_provisional_window_is_one_sample():
    history = make(4)
    found = collect({"USDC": setup()}, [history.faulted], [history.clean], BEGIN_OF + 20 * 60 * S)
    fleet, records = Fleet({"USDC": setup()}), []
    for batch in with_clock([history.faulted], 7_200 * S):
        for seen in batch:
            fleet.take(seen, records)
    rows = [row for row in records if isinstance(row, WindowRow) and row.window_end_us <= BEGIN_OF + 20 * 60 * S]
    provisional = [row for row in rows if row.window_state == "PROVISIONAL"]
    final = {row.window_id: row for row in rows if row.window_state == "FINAL"}
    names = [name for name in NAMES if name not in ("minted", "burned")]
    mine = found.only(~found.is_open)
    assert len(mine) == len(provisional)
    for row, factors, came_true in zip(provisional, mine.factors, mine.came_true, strict=True):
        assert factors.tolist() == [getattr(row.confidence_breakdown, name) for name in FACTOR_FIELDS]
        there = final[row.window_id]
        if all(getattr(row, name) == getattr(there, name) for name in (*names, "minted", "burned")):
            assert came_true
        elif (row.minted, row.burned) != (there.minted, there.burned):
            assert not came_true
    assert 0 < mine.came_true.mean() < 1
    assert found.finals_wrong == 0


def test_history_without_a_final_window_is_refused():
    of_coin = CoinSetup(coin="USDC", chains=(), begin_us=BEGIN, expects=("price",), windows_s=(60,))
    with pytest.raises(ConfigError, match="no FINAL window"):
        collect({"USDC": of_coin}, [[]], [[]], BEGIN + 180 * S)


def samples(seed, count=400):
    rng = np.random.default_rng(seed)
    factors = rng.uniform(0.3, 1.0, (count, 5))
    came_true = rng.uniform(size=count) < factors[:, 0] ** 0.2
    return Samples(factors, came_true, rng.uniform(size=count) < 0.3, Counter(), 0, 10, 0)


@pytest.mark.parametrize(
    ("fit_on", "score_on", "match"),
    [((1, 2), (2, 3), "seeds 2 would be"), ((), (1,), "others to"), ((1,), (), "others to")],
)
def test_seeds_that_are_not_disjoint_are_refused(fit_on, score_on, match):
    with pytest.raises(ConfigError, match=match):
        calibrate({seed: samples(seed) for seed in (1, 2, 3)}, fit_on, score_on, "made up")


def test_scored_seeds_do_not_touch_the_fit():
    of_seeds = {seed: samples(seed) for seed in (1, 2, 3)}
    found = calibrate(of_seeds, (1, 2), (3,), "made up")
    turned = calibrate({**of_seeds, 3: turned_round(of_seeds[3])}, (1, 2), (3,), "made up")
    assert found.fitted == turned.fitted
    assert found.of(AFTER).brier < found.of(BEFORE).brier
    assert turned.of(AFTER).brier != found.of(AFTER).brier
    both = np.concatenate([of_seeds[1].came_true, of_seeds[2].came_true]).mean()
    base = np.mean((both - of_seeds[3].came_true) ** 2)
    assert found.of(BASE).brier == pytest.approx(base)  # the base rate too is that of the fit seeds
    assert [(each.seed, each.use, each.alone is None) for each in found.seeds] == [
        (1, "fit", False), (2, "fit", False), (3, "score", True),
    ]  # fmt: skip
    assert "simulated" in found.note
    assert calibrate(of_seeds, (1, 2), (3,), "made up") == found


def turned_round(of):
    return Samples(of.factors, ~of.came_true, of.is_open, of.departures, 0, 10, 0)


def test_samples_of_seeds_are_joined_in_order():
    found = join([samples(1, 3), samples(2, 2)])
    assert found.factors.tolist() == [*samples(1, 3).factors.tolist(), *samples(2, 2).factors.tolist()]
    assert found.finals == 20


def test_complete_rows_are_counted_by_their_finality():
    factors = np.ones((6, 5))
    factors[:, 0] = [0.3, 0.3, 0.3, 0.8, 0.8, 1.0]
    factors[2, 2] = 0.5  # incomplete: left out
    came_true = np.array([True, False, True, True, True, True])
    is_open = np.array([False] * 4 + [True, False])  # the fifth is OPEN: left out
    mine = Samples(factors, came_true, is_open, Counter(), 0, 10, 0)
    found = calibrate({1: samples(1), 2: mine}, (1,), (2,), "made up").complete
    assert [(each.finality, each.count, each.came_true) for each in found] == [
        (0.3, 2, 0.5),
        (0.8, 1, 1.0),
        (1.0, 1, 1.0),
    ]
