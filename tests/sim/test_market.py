"""The market: the same truth whenever asked, on exact grids, alike across venues."""

from decimal import Decimal

import numpy as np
import pytest

from tidelake.errors import NotInLake
from tidelake.sim.market import BLOCK, Market
from tidelake.sim.venues import MODULES, simulated

START = 1_740_787_200 * 10**9
HOUR = 3600 * 10**9


def market(seed: int = 1, **options) -> Market:
    return Market(seed, start_ns=START, clock=lambda: START + HOUR, **options)


def every_listing():
    return [listing for source in MODULES for listing in simulated(source).listings(START)]


@pytest.mark.parametrize("listing", every_listing(), ids=lambda listing: listing.key)
def test_trades_are_counted_ordered_and_on_their_grids(listing):
    trades = market().truth(listing.source, listing.symbol)
    assert trades.seq.tolist() == list(range(1, len(trades) + 1))
    assert (np.diff(trades.time_ns) >= 0).all()
    assert ((trades.time_ns - listing.clock_offset_ns) % listing.clock_ns == 0).all()
    assert trades.time_ns[0] >= START
    assert trades.time_ns[-1] <= START + HOUR
    assert (trades.ticks > 0).all()
    assert (trades.lots >= listing.min_lots).all()
    assert 3300 < len(trades) < 3900
    assert 0.4 < trades.buy.mean() < 0.6
    if listing.distinct_times:
        assert (np.diff(trades.time_ns) > 0).all()


def test_same_seed_gives_the_same_trades_in_whatever_order_they_are_asked_for():
    forwards, backwards = market(), market()
    tapes = [each.tape(each.listing("okx", "BTC-USDT")) for each in (forwards, backwards)]
    ends = [(1, 10), (BLOCK - 5, BLOCK + 5), (2 * BLOCK, 3 * BLOCK + 1)]
    left = [tapes[0].between(*span) for span in ends]
    right = [tapes[1].between(*span) for span in reversed(ends)][::-1]
    for one, other in zip(left, right, strict=True):
        assert one.prices() == other.prices()
        assert one.sizes() == other.sizes()
        assert one.time_ns.tolist() == other.time_ns.tolist()
    assert market(2).truth("okx", "BTC-USDT").prices() != market(1).truth("okx", "BTC-USDT").prices()


def test_truth_grows_with_the_clock_and_keeps_what_it_said():
    now = [START + 100 * 10**9]
    growing = Market(4, start_ns=START, clock=lambda: now[0])
    early = growing.truth_rows("kraken", "BTC-USD")
    now[0] += 1000 * 10**9
    late = growing.truth_rows("kraken", "BTC-USD")
    assert late[: len(early)] == early
    assert len(late) > len(early) + 500


def test_one_asset_costs_about_the_same_everywhere_and_moves():
    prices = {}
    for source, symbol in [
        ("coinbase", "BTC-USD"),
        ("kraken", "BTC-USD"),
        ("binance-spot", "BTC-USDT"),
        ("okx", "BTC-USDT-PERP"),
    ]:
        trades = market().truth(source, symbol)
        at = np.linspace(START, START + HOUR - 10**10, 50).astype(np.int64)
        nearest = np.searchsorted(trades.time_ns, at)
        prices[source] = trades.ticks[nearest] * float(trades.listing.tick)
    table = np.array(list(prices.values()))
    assert (table.max(axis=0) / table.min(axis=0) < 1.003).all()
    assert table[0].max() / table[0].min() > 1.002
    assert not (table[0] == table[1]).all()


def test_sums_of_ticks_and_lots_are_exact_decimals():
    row = market().truth_rows("coinbase", "BTC-USD")[0]
    assert isinstance(row["price"], Decimal)
    assert row["price"] == Decimal(market().truth("coinbase", "BTC-USD").prices()[0])
    assert row["size"] == Decimal(market().truth("coinbase", "BTC-USD").sizes()[0])


def test_default_start_is_a_midnight_at_least_six_hours_back():
    made = Market(clock=lambda: START + 5 * HOUR)
    assert made.start_ns == START - 24 * HOUR
    assert Market(clock=lambda: START + 7 * HOUR).start_ns == START


def test_rate_is_respected_per_listing():
    fast = market(rate={"coinbase:BTC-USD": 50.0})
    assert 175_000 < len(fast.truth("coinbase", "BTC-USD")) < 185_000
    assert 3300 < len(fast.truth("coinbase", "ETH-USD")) < 3900


def test_numbers_with_jumps_find_their_trade_again():
    jumping = market(jumps={"kraken:BTC-USD": [(10, 5), (20, 100)]})
    tape = jumping.tape(jumping.listing("kraken", "BTC-USD"))
    numbers = tape.between(1, 30).number.tolist()
    assert numbers == [*range(1, 11), *range(16, 26), *range(126, 136)]
    for seq, number in enumerate(numbers, 1):
        assert tape.seq_from(number) == seq
    assert [tape.seq_from(number) for number in (11, 15, 26, 125, -3)] == [11, 11, 21, 21, 1]


def test_unknown_names_say_what_there_is():
    with pytest.raises(NotInLake) as caught:
        market().truth("coinbase", "NO-NO")
    assert "BTC-USD" in caught.value.available
    with pytest.raises(NotInLake, match="no simulated venue"):
        market().truth("nowhere", "BTC-USD")
