"""Blocks and their times, both ways, against slow obvious searches."""

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from tidelake.chains.registry import chain as chain_spec
from tidelake.sim.chains.clock import DAY_S, ScheduledClock, UnevenClock, clock_of, day_number
from tidelake.sim.chains.draws import Draws

FIRST = day_number(dt.date(2025, 1, 1))
CHAINS = ("ethereum", "arbitrum", "base", "bnb", "sonic", "metis")
CLOCKS = {name: clock_of(chain_spec(name), Draws("test", name)) for name in CHAINS}


def test_chains_with_a_schedule_keep_it():
    assert isinstance(CLOCKS["base"], ScheduledClock)
    assert isinstance(CLOCKS["ethereum"], UnevenClock)
    assert [CLOCKS["base"].time_of(number) for number in (0, 1)] == [1_686_789_347, 1_686_789_349]


@pytest.mark.parametrize("name", CHAINS)
@given(day=st.integers(FIRST, FIRST + 364), second=st.integers(0, DAY_S - 1))
@settings(max_examples=40, deadline=None)
def test_block_at_a_time_is_the_last_until_then(name, day, second):
    clock, time_s = CLOCKS[name], day * DAY_S + second
    number = clock.at(time_s)
    assert clock.time_of(number) <= time_s < clock.time_of(number + 1)
    first = clock.first_of(day)
    assert clock.time_of(first - 1) < day * DAY_S <= clock.time_of(first)


@pytest.mark.parametrize("name", CHAINS)
@given(number=st.integers(1_000, 2**25))
@settings(max_examples=40, deadline=None)
def test_times_never_go_back_and_are_apart_where_blocks_are_slow(name, number):
    clock = CLOCKS[name]
    number += clock.first_of(FIRST)
    if number > clock.first_of(FIRST + 900):
        return
    times = [clock.time_of(one) for one in range(number, number + 30)]
    least = 0 if name in ("arbitrum", "sonic", "bnb") else 1
    assert all(after - before >= least for before, after in pairwise(times))


def test_days_are_uneven_and_some_begin_with_a_block_and_some_are_quiet():
    clock = CLOCKS["ethereum"]
    days = range(FIRST, FIRST + 365)
    firsts = [clock.first_of(day) for day in days]
    assert len({after - before for before, after in pairwise(firsts)}) > 10
    exact = [clock.time_of(first) == day * DAY_S for day, first in zip(days, firsts, strict=True)]
    assert 0.05 < sum(exact) / len(exact) < 0.3
    quiet = max(clock.time_of(number + 1) - clock.time_of(number) for number in range(firsts[0], firsts[60]))
    assert 600 <= quiet <= 3700


def test_numbers_run_about_where_the_real_ones_do():
    # Known blocks of the registry, with the day that their sources tell.
    for name, number, day in (
        ("arbitrum", 219_386_101, dt.date(2024, 6, 7)),
        ("linea", 15_197_719, dt.date(2025, 1, 29)),
        ("base", 11_699_480, dt.date(2024, 3, 11)),
        ("mantle", 70_789_050, dt.date(2024, 10, 23)),
        ("scroll", 3_397_674, dt.date(2024, 2, 16)),
    ):
        clock = clock_of(chain_spec(name), Draws(name))
        assert abs(clock.time_of(number) // DAY_S - day_number(day)) <= 15, name
