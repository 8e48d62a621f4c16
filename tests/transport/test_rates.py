"""Turns per host and what Retry-After says."""

import asyncio
import datetime as dt

import pytest

from tidelake.transport.rates import Pace, Rates
from tidelake.transport.retry_after import retry_after_seconds

NOW = dt.datetime(2026, 3, 2, 12, 0, 0, tzinfo=dt.UTC)


class Time:
    """A clock that moves only while somebody sleeps."""

    def __init__(self):
        self.now = 1_000.0

    def clock(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds


def moments(pace, weights):
    time = Time()
    rates = Rates(clock=time.clock, sleep=time.sleep)

    async def run():
        found = []
        for weight in weights:
            await rates.turn("host", pace, weight)
            found.append(time.now)
        return found

    return asyncio.run(run())


@pytest.mark.parametrize("pace", [Pace(10, 1.0), Pace(20, 2.0), Pace(6_000, 60.0), Pace(1, 1.0)])
@pytest.mark.parametrize("weight", [1, 7])
def test_no_window_holds_more_than_the_limit(pace, weight):
    if weight > pace.weight:
        pytest.skip("one request alone weighs more than the limit")
    count = int(3 * pace.weight / weight) + 5
    at = moments(pace, [weight] * count)
    for i, start in enumerate(at):
        inside = sum(weight for moment in at[i:] if moment < start + pace.seconds - 1e-9)
        assert inside <= pace.weight + weight, (i, inside)
    assert at[-1] - at[0] <= 1.25 * count * weight / pace.weight * pace.seconds, "nor is it needlessly slow"


def test_callers_wait_beside_each_other_not_behind_a_lock():
    time = Time()
    rates = Rates(clock=time.clock)
    waits = [rates.reserve("host", Pace(1, 1.0)) for _ in range(3)]
    assert waits == pytest.approx([0.0, 1.0, 2.1111], abs=1e-3)
    assert rates.reserve("other", Pace(1, 1.0)) == 0.0


def test_a_pause_holds_every_caller_of_the_host():
    time = Time()
    rates = Rates(clock=time.clock, sleep=time.sleep)
    rates.pause("host", 30.0)
    asyncio.run(rates.turn("host", Pace(10, 1.0)))
    assert time.now == pytest.approx(1_030.0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        (" 0.5 ", 0.5),
        ("Mon, 02 Mar 2026 12:01:30 GMT", 90.0),
        ("Mon, 02 Mar 2026 11:00:00 GMT", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
    ],
)
def test_retry_after_is_read_in_both_forms(text, seconds):
    assert retry_after_seconds(text, NOW) == seconds


def test_a_request_that_counts_against_two_paces_waits_for_the_slower():
    time = Time()
    rates = Rates(clock=time.clock, sleep=time.sleep)
    requests, units = Pace(10, 1.0), Pace(100, 1.0)

    async def run():
        waits = []
        for _ in range(3):
            waits.append(rates.wait("host", (requests, units)))
            await rates.turns("host", ((requests, 1), (units, 90)))
        rates.pause("host", 7.0)
        return [*waits, rates.wait("host", (requests, units)), rates.wait("other", (requests,))]

    first, second, third, paused, other = asyncio.run(run())
    assert (first, paused, other) == (0.0, 7.0, 0.0)
    assert second == pytest.approx((90 - 10) / 90), "the units of the first, less the burst"
    assert third == pytest.approx(1.0)
    assert time.now == pytest.approx(1_000 + 80 / 90 + 1)
