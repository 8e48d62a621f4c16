"""Bars, funding, open interest and liquidations of simulated venues: what they follow from, and what befalls them."""

import asyncio
import json
from collections import Counter
from decimal import Decimal
from urllib.parse import urlsplit

import pytest

from tidelake.errors import NotInLake
from tidelake.sim.books.dialects import MODULES, dialect
from tidelake.sim.books.figures import DIGITS, EVERY, FUNDING_NS, Figures
from tidelake.sim.books.model import TrueBook
from tidelake.sim.sockets.client import Client
from tidelake.sim.sockets.plan import FramePlan
from tidelake.sim.sockets.venue import SocketVenue
from tidelake.venues.registry import venue as find_venue

START_NS = 1_792_000_000 * 10**9
CHANNELS = ("candles", "funding", "open_interest", "liquidations")
STEP_NS = 2 * 10**9
PERPETUALS = [(source, p) for source in MODULES for p in dialect(source).products if p.perpetual]


def stepped(product, steps, seed=1, jump_at=0):
    """The changes and the figures of so many steps; at one of them the clock jumps back by ten minutes."""
    book = TrueBook(product, seed, START_NS, STEP_NS)
    figures, changes, told = Figures(book, seed, record=True), [], []
    for count in range(steps):
        if count == jump_at:
            book.clock_ns -= 600 * 10**9 if jump_at else 0
        changes.append(book.step())
        told.append(figures.step(book, changes[-1]))
    return changes, figures, told


def naive_bars(product, prints):
    """From all trades at once: by start open, high, low, close, volumes and count, exact."""
    found = {}
    for start in {p.event_ns // 60_000_000_000 for p in prints}:
        mine = [p for p in prints if p.event_ns // 60_000_000_000 == start]
        prices, sizes = [p.ticks * product.tick for p in mine], [p.lots * product.lot * product.contract for p in mine]
        bought = sum(p.lots for p in mine if p.side == "buy")
        if product.inverse:
            base, quote = sum((s / p).quantize(DIGITS) for s, p in zip(sizes, prices, strict=True)), sum(sizes)
        else:
            base, quote = sum(sizes), sum(s * p for s, p in zip(sizes, prices, strict=True))
        ohlc = (prices[0], max(prices), min(prices), prices[-1])
        found[start * 60_000_000_000] = (*ohlc, sum(p.lots for p in mine), base, quote, len(mine), bought)
    return found


@pytest.mark.parametrize("jump_at", [0, 700])
@pytest.mark.parametrize(
    ("source", "product"), [PERPETUALS[0], PERPETUALS[2], ("kraken", dialect("kraken").products[0])]
)
def test_bars_are_those_of_the_true_trades(source, product, jump_at):
    changes, figures, told = stepped(product, 1_500, jump_at=jump_at)
    prints = [trade for change in changes for trade in change.prints]
    tick = product.tick
    ours = {
        start: (
            *(ticks * tick for ticks in (bar.open, bar.high, bar.low, bar.close)),
            *bar.all,
            bar.trades,
            bar.bought.lots,
        )
        for start, bar in figures.bars.items()
    }
    assert len(ours) > 40
    assert ours == naive_bars(product, prints)
    last = {bar.start_ns: bar for news in told for bar in news.ended}
    growing = max(ours)
    assert {start: bar for start, bar in figures.bars.items() if start != growing}.items() <= last.items()


def test_a_perpetual_s_state_walks_and_its_liquidations_are_trades():
    product = dialect("bybit").products[0]
    changes, figures, told = stepped(product, 1_000)
    assert len(figures.states) == 1 + 1_000 // EVERY
    assert {news.state for news in told if news.state is not None} == set(figures.states[1:])
    for state in figures.states:
        assert abs(state.mark - state.index) <= 30
        assert abs(state.rate) <= Decimal("0.0005")
        assert 0 < state.next_funding_ns - state.event_ns <= FUNDING_NS
        assert state.interest.quote == state.interest.base * state.mark * product.tick
    assert len({state.interest.lots for state in figures.states}) > 100
    forced = [trade for change in changes for trade in change.prints if trade.bankrupt is not None]
    assert figures.liquidations == forced
    assert 5 < len(forced) < 50
    assert all((trade.bankrupt > trade.ticks) == (trade.side == "buy") for trade in forced)
    assert stepped(product, 1_000)[1].states == figures.states, "same seed, same figures"
    spot = stepped(dialect("kraken").products[0], 200)[1]
    assert (spot.state, spot.states, spot.liquidations) == (None, [], [])


def offered():
    """Source, its sockets, canonical symbol, channel and streams of all figures that a venue streams."""
    found = []
    for source in MODULES:
        for product in dialect(source).products:
            for sockets in find_venue(source).sockets:
                name = (sockets.symbol or find_venue(source).venue_symbol)(product.symbol)
                for channel in CHANNELS:
                    if channel in sockets.channels and sockets.serves(name, channel):
                        case = (source, sockets, product.symbol, channel, sockets.channels[channel](name))
                        found.append(pytest.param(*case, id=f"{source}-{product.symbol}-{channel}"))
    return found


def connected(source, sockets, faults=""):
    clock = [START_NS]
    venue = SocketVenue(source, faults=FramePlan.parse(faults, 3), record=True, clock=lambda: clock[0])
    client = Client(1, urlsplit(sockets.url).path or "/", venue.plan, record=True)
    venue.clients.append(client)
    venue._open[1] = client, asyncio.Event()
    return venue, client, clock


@pytest.mark.parametrize(("source", "sockets", "symbol", "channel", "names"), offered())
def test_every_channel_that_a_venue_streams_is_subscribed_by_its_own_name(source, sockets, symbol, channel, names):
    venue, client, clock = connected(source, sockets)
    groups = {}
    for name in (*sockets.always, *names):
        groups.setdefault(sockets.group(name), []).append(name)
    for number, group in enumerate(groups.values(), 1):
        venue.hear(client, sockets.subscribe(group, number))
    answers = [answer for answer in map(sockets.answer, client.outbox) if answer is not None]
    assert {answer.kind for answer in answers} == {"subscribed"}
    for _ in range(200):
        clock[0] += STEP_NS
        venue.step(symbol)
    told = Counter(frame.what for frame in client.sent)
    traded = source == "deribit" and channel == "liquidations"  # told with the trades
    assert all(told["trade" if traded else name] > 0 for name in names)
    before = len(client.sent)
    venue.hear(client, sockets.unsubscribe(list(names), 9))
    for _ in range(50):
        clock[0] += STEP_NS
        venue.step(symbol)
    assert not [frame for frame in client.sent[before:] if frame.what in names]


@pytest.mark.parametrize("fault", ["lost", "doubled", "reordered", "late"])
def test_frames_of_figures_are_lost_doubled_and_late_as_planned(fault):
    source, symbol, names = "okx", "BTC-USDT-PERP", ["mark-price:BTC-USDT-SWAP", "funding-rate:BTC-USDT-SWAP"]
    sockets = find_venue(source).sockets[0]
    venue, client, clock = connected(source, sockets, f"{fault}:0.2")
    venue.hear(client, sockets.subscribe(names, 1))
    for _ in range(100 * EVERY):
        clock[0] += STEP_NS
        venue.step(symbol)
    truth = [state.event_ns // 1_000_000 for state in venue.figures[symbol].states]
    happened = [each for each in venue.happened if each.kind == fault]
    assert 20 < len(happened) < 70
    assert {each.symbol for each in happened} == {symbol}
    missing = 0
    for name in names:
        sent = [int(json.loads(f.payload)["data"][0]["ts"]) for f in client.sent if f.what == name]
        assert set(sent) <= set(truth)
        assert (sent == sorted(sent)) == (fault in ("lost", "doubled")), "late is after later ones of its stream"
        missing += len(truth) - len(sent)
    if fault in ("lost", "doubled"):
        assert missing == (len(happened) if fault == "lost" else -len(happened))
    else:
        assert missing == len(client._held)


def test_open_interest_that_no_stream_tells_is_a_page():
    venue = SocketVenue("binance-coinm", record=True, clock=lambda: START_NS)
    assert [route.path for route in venue.routes()][:2] == ["/dapi/v1/depth", "/dapi/v1/openInterest"]
    state = venue.figures["BTC-USD-PERP"].state
    assert state is not None
    said = json.loads(venue.wires["BTC-USD-PERP"].interest_page(state))
    assert said == {"symbol": "BTCUSD_PERP", "openInterest": str(state.interest.lots), "time": START_NS // 1_000_000}


def test_a_venue_without_figures_of_its_own_tells_none():
    assert not any(wire.figures() for wire in SocketVenue("coinbase").wires.values())
    with pytest.raises(NotInLake):
        SocketVenue("nowhere")
