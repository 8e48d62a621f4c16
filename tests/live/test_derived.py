"""Derived streams against naive versions that look at all rows at once."""

import asyncio
import datetime as dt
import statistics
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from tests.live.live_rows import EPOCH, book, books
from tidelake.live.bus import Bus
from tidelake.live.derived import (
    Imbalance,
    LatencyDifference,
    OrderFlow,
    PriceDifference,
    Spread,
    worst,
)
from tidelake.live.derived_subscription import DerivedSubscription
from tidelake.live.rows import row_type

SECOND = 1_000_000_000
STATES = ("VALID", "SUSPECT", "INVALID", "UNPROVABLE")

side = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5)), max_size=3)


@st.composite
def book_rows(draw, sources=("a",)):
    """Books of small prices, so that ties, empty sides and wrong states are common; bids lie below 10, asks above."""
    rows, clock = [], 0
    for n in range(draw(st.integers(1, 25))):
        clock += draw(st.sampled_from([1, SECOND, 4 * SECOND]))
        bids = sorted(dict(draw(side)).items(), reverse=True)
        asks = sorted((price + 9, size) for price, size in dict(draw(side)).items())
        state = draw(st.sampled_from([*STATES, "VALID", "VALID"]))
        if state == "INVALID":
            bids = asks = []
        latency = draw(st.integers(-5, 50)) * 1_000
        at = draw(st.sampled_from([None, EPOCH + dt.timedelta(microseconds=(clock - latency) // 1_000 + 10_000_000)]))
        source = draw(st.sampled_from(sources))
        rows.append(book(bids, asks, row_id=f"1-{n}", recv_ns=clock, validity=state, source=source, event_time=at))
    return rows


def whole(row):
    return row.validity != "INVALID" and row.bid_prices and row.ask_prices


@given(book_rows())
def test_spread(rows):
    fold = Spread()
    for row in rows:
        (made,) = fold.take(row)
        assert (made.id, made.source, made.recv_ns, made.validity) == (row.id, "a", row.recv_ns, row.validity)
        if not whole(row):
            assert (made.spread, made.spread_bps) == (None, None)
            continue
        bid, ask = row.bid_prices[0], row.ask_prices[0]
        assert made.spread == ask - bid
        assert made.spread_bps == pytest.approx(float(ask - bid) / ((float(ask) + float(bid)) / 2) * 1e4)


@given(book_rows(), st.integers(1, 3))
def test_imbalance(rows, levels):
    fold = Imbalance(levels)
    for row in rows:
        (made,) = fold.take(row)
        assert (made.levels, made.validity) == (levels, row.validity)
        if not whole(row):
            assert made.imbalance is None
            continue
        bid, ask = (float(sum(sizes[:levels])) for sizes in (row.bid_sizes, row.ask_sizes))
        assert made.imbalance == pytest.approx((bid - ask) / (bid + ask))


def naive_flow(before, now):
    """The contribution of an event as Cont, Kukanov and Stoikov say it in words, case by case."""
    (bid, bid_size), (ask, ask_size) = ((now.bid_prices[0], now.bid_sizes[0]), (now.ask_prices[0], now.ask_sizes[0]))
    old_bid, old_bid_size = before.bid_prices[0], before.bid_sizes[0]
    old_ask, old_ask_size = before.ask_prices[0], before.ask_sizes[0]
    demand = bid_size if bid > old_bid else -old_bid_size if bid < old_bid else bid_size - old_bid_size
    supply = ask_size if ask < old_ask else -old_ask_size if ask > old_ask else ask_size - old_ask_size
    return demand - supply


@given(book_rows(), st.sampled_from([1.0, 5.0, 1000.0]))
def test_order_flow(rows, window):
    fold = OrderFlow(window)
    for i, row in enumerate(rows):
        (made,) = fold.take(row)
        assert made.validity == row.validity
        since = i
        while since > 0 and whole(rows[since - 1]) and whole(rows[since]):
            since -= 1
        if not whole(row) or since == i:
            assert made.flow is made.window_flow is None
            continue
        assert made.flow == naive_flow(rows[i - 1], row)
        flows = [(rows[j].recv_ns, naive_flow(rows[j - 1], rows[j])) for j in range(since + 1, i + 1)]
        assert made.window_flow == sum(flow for at, flow in flows if at > row.recv_ns - window * SECOND)


def naive_alerts(differences, threshold, clear):
    """The alert after each difference: the last one that was beyond a bound decides."""
    found = []
    for i in range(len(differences)):
        beyond = [d for d in differences[: i + 1] if d is not None and (abs(d) >= threshold or abs(d) < clear)]
        found.append(bool(beyond) and abs(beyond[-1]) >= threshold)
    return found


@given(book_rows(("a", "b", "c")))
def test_price_difference(rows):
    threshold, clear, stale = 2_000.0, 500.0, 5.0
    fold, last, differences, made_of = PriceDifference(threshold, clear, stale), {}, {}, {}
    for row in rows:
        last[row.source] = row
        made = fold.take(row)
        assert [{each.source, each.other} for each in made] == [
            {row.source, o} for o in sorted(last) if o != row.source
        ]
        for each in made:
            one, two = last[each.source], last[each.other]
            assert each.source < each.other
            assert each.validity == worst(one.validity, two.validity)
            value = None
            if abs(one.recv_ns - two.recv_ns) > stale * SECOND:
                assert each.reason == "stale"
            elif not whole(one) or not whole(two):
                assert each.reason == ("invalid" if "INVALID" in (one.validity, two.validity) else "one-sided")
            else:
                a, b = ((float(r.bid_prices[0]) + float(r.ask_prices[0])) / 2 for r in (one, two))
                value = (a - b) / ((a + b) / 2) * 1e4
                assert each.difference is not None
                assert float(each.difference) == pytest.approx(a - b)
                gains = [x.bid_prices[0] - y.ask_prices[0] for x, y in ((one, two), (two, one))]
                assert each.crossing_bps == pytest.approx(float(max(gains)) / ((a + b) / 2) * 1e4)
            assert each.difference_bps == (None if value is None else pytest.approx(value))
            differences.setdefault((each.source, each.other), []).append(each.difference_bps)
            made_of.setdefault((each.source, each.other), []).append(each)
    for pair, found in made_of.items():
        expected = naive_alerts(differences[pair], threshold, clear)
        assert [each.alert for each in found] == expected
        changes = ["" if now == was else "raised" if now else "cleared"
                   for was, now in zip([False, *expected], expected, strict=False)]  # fmt: skip
        assert [each.change for each in found] == changes


def test_an_alert_between_both_thresholds_does_not_flap():
    fold = PriceDifference(threshold_bps=10, clear_bps=5)
    fold.take(book((("99", "1"),), (("101", "1"),), source="b"))
    changes = []
    for bps in (9, 11, 9, 11, 6, 10, 4, 9, 11):
        price = Decimal(100) + Decimal(bps) / 100
        (made,) = fold.take(book(((price - 1, 1),), ((price + 1, 1),), source="a"))
        changes.append(made.change)
    assert changes == ["", "raised", "", "", "", "", "cleared", "", "raised"]
    with pytest.raises(ValueError, match="clear_bps"):
        PriceDifference(threshold_bps=5, clear_bps=6)


@given(book_rows(("a", "b")), st.integers(1, 5))
def test_latency_difference(rows, window):
    fold, heard, states = LatencyDifference(window), {}, {}
    for row in rows:
        made = fold.take(row)
        if row.event_time is None:
            assert made == []
            continue
        us = row.recv_ns / 1_000 - (row.event_time - EPOCH) / dt.timedelta(microseconds=1)
        states[row.source] = row.validity
        heard.setdefault(row.source, []).append(us)
        if len(heard) < 2:
            assert made == []
            continue
        a, b = (statistics.median(heard[name][-window:]) for name in "ab")
        (each,) = made
        assert each.latency_us == pytest.approx(a, abs=1)
        assert each.other_latency_us == pytest.approx(b, abs=1)
        assert each.difference_us == each.latency_us - each.other_latency_us
        assert (each.rows, each.other_rows) == tuple(min(window, len(heard[name])) for name in "ab")
        assert each.validity == worst(states["a"], states["b"])


def test_quotes_serve_as_well_as_books():
    make = row_type("quotes")
    told = {
        "source": "a",
        "symbol": "BTC-USD",
        "channel": "q",
        "quote_id": "1",
        "event_time": EPOCH,
        "size_unit": "base",
    }
    told |= {"known_at": EPOCH, "recv_ns": 1, "rule": None}
    prices = {"bid_price": Decimal(99), "bid_size": Decimal(3), "ask_price": Decimal(101), "ask_size": Decimal(1)}
    row = make(id="1-1", validity="UNPROVABLE", **told, **prices)
    assert (Spread().take(row)[0].spread, Spread().take(row)[0].validity) == (Decimal(2), "UNPROVABLE")
    assert Imbalance().take(row)[0].imbalance == 0.5
    for missing in ({"validity": "INVALID"}, {"validity": "VALID", "ask_price": None}):
        assert Spread().take(make(id="1-1", **(told | prices | missing)))[0].spread is None


def test_a_derived_stream_gives_one_row_for_each_of_its_input():
    bus = Bus()
    rows = DerivedSubscription(bus.subscribe("BTC-USD:book"), Spread())
    level = {
        "bid_prices": [Decimal(99)],
        "bid_sizes": [Decimal(1)],
        "ask_prices": [Decimal(102)],
        "ask_sizes": [Decimal(2)],
    }
    bus.publish("book", books([level, {"validity": "INVALID", "reason": "sequence break"}, level]))
    bus.finish()

    async def work():
        async with rows:
            return [row async for row in rows]

    found = asyncio.run(work())
    assert [(row.spread, row.validity) for row in found] == [(3, "VALID"), (None, "INVALID"), (3, "VALID")]
    assert rows.last_id == found[-1].id
