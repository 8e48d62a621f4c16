"""Simulated venues behind sockets, without a socket: they answer what our connections send as those expect it."""

import asyncio
import json
from collections import Counter
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tidelake.sim.books.dialects import MODULES
from tidelake.sim.server import SimServer
from tidelake.sim.sockets.client import Client
from tidelake.sim.sockets.plan import FramePlan
from tidelake.sim.sockets.venue import SocketVenue
from tidelake.venues.registry import venue as find_venue

CHANNELS = ("book", "trades", "quotes")
NO_SUCH = {"kraken": "NO/SUCH", "okx": "NO-SUCH", "coinbase": "NO-SUCH", "coinbase-advanced": "NO-SUCH"}


def connected(source, faults="", path=""):
    venue = SocketVenue(
        source, faults=FramePlan.parse(faults, 3), record=True, versions=0, clock=lambda: 1_792_000_000 * 10**9
    )
    client = Client(1, path or "/" + venue.dialect.address.split("/", 3)[3], venue.plan, record=True)
    venue.clients.append(client)
    venue._open[1] = client, asyncio.Event()
    return venue, client


def sockets_of(source):
    return find_venue(source).sockets[1 if source == "bybit" else 0]


def subscribed(venue, client, sockets, names):
    """The answers that a subscription of these streams gets, message by message as our connections send them."""
    groups = {}
    for name in names:
        groups.setdefault(sockets.group(name), []).append(name)
    for number, group in enumerate(groups.values(), 1):
        venue.hear(client, sockets.subscribe(group, number))
    return [answer for answer in map(sockets.answer, client.outbox) if answer is not None]


def stream_names(venue, sockets):
    product = venue.dialect.products[0]
    return [name for c in CHANNELS if c in sockets.channels for name in sockets.channels[c](product.name)]


@pytest.mark.parametrize("source", MODULES)
def test_subscriptions_are_confirmed_and_followed_by_a_snapshot_and_updates(source):
    venue, client = connected(source)
    sockets = sockets_of(source)
    answers = subscribed(venue, client, sockets, [*sockets.always, *stream_names(venue, sockets)])
    assert {answer.kind for answer in answers} == {"subscribed"}
    symbol = venue.dialect.products[0].symbol
    for _ in range(60):
        venue.step(symbol)
    what = Counter(frame.what for frame in client.sent)
    assert what["update"] == 60
    assert what["snapshot"] == (0 if venue.dialect.pages else 1)
    assert what["quote"] > 10
    assert what["trade"] > 0 or "trades" not in sockets.channels
    before = len(client.outbox)
    venue.hear(client, sockets.unsubscribe(sockets.channels["book"](venue.dialect.products[0].name), 9))
    venue.step(symbol)
    assert not [f for f in client.sent[before:] if f.what == "update"]


@pytest.mark.parametrize("source", [name for name in MODULES if name != "deribit"])
def test_a_bad_stream_is_refused_as_the_venue_refuses_it(source):
    venue, client = connected(source)
    sockets = sockets_of(source)
    (name,) = sockets.channels["book"](NO_SUCH.get(source, "NOSUCH"))
    (answer,) = subscribed(venue, client, sockets, [name])
    assert answer.kind == "refused"
    assert answer.names == () or name in answer.names
    assert answer.request in (1, -1)


def test_deribit_leaves_a_bad_stream_out_without_a_word():
    venue, client = connected("deribit")
    names = ["book.NOSUCH.100ms", "book.BTC-PERPETUAL.100ms"]
    (answer,) = subscribed(venue, client, sockets_of("deribit"), names)
    assert answer.names == ("book.BTC-PERPETUAL.100ms",)


@pytest.mark.parametrize("source", ["kraken", "okx", "bybit", "deribit"])
def test_a_ping_of_the_venue_s_own_is_answered(source):
    venue, client = connected(source)
    sockets = sockets_of(source)
    for message in (*sockets.hello, sockets.ping):
        venue.hear(client, message)
    answer = sockets.answer(client.outbox[-1])
    assert answer is not None
    assert answer.kind == "pong"


@pytest.mark.parametrize("source", ["coinbase", "coinbase-advanced"])
def test_heartbeat_streams_speak_every_second(source):
    venue, client = connected(source)
    always = [name for sockets in find_venue(source).sockets for name in sockets.always]
    subscribed(venue, client, find_venue(source).sockets[-1], always)
    before = len(client.outbox)
    venue._beat()
    assert len(client.outbox) == before + 1


@pytest.mark.parametrize("fault", ["lost", "doubled", "reordered", "late", "corrupted", "zero-checksum"])
def test_faults_of_frames_are_recorded_as_they_are_brought_about(fault):
    venue, client = connected("kraken", f"{fault}:0.2")
    sockets = sockets_of("kraken")
    subscribed(venue, client, sockets, ["book-1000:BTC/USD"])
    for _ in range(100):
        venue.step("BTC-USD")
    happened = [each for each in venue.happened if each.kind == fault]
    told = Counter(frame.version for frame in client.sent if frame.what == "update")
    assert len(happened) == 1 if fault == "zero-checksum" else 5 < len(happened) < 40
    if fault == "lost":
        assert not {each.version for each in happened} & told.keys()
    elif fault == "doubled":
        assert {version for version, count in told.items() if count == 2} == {each.version for each in happened}
    elif fault == "zero-checksum":
        first = happened[0].version
        sums = [json.loads(f.payload)["data"][0]["checksum"] for f in client.sent if f.version >= first and f.version]
        assert set(sums[-50:]) == {0}


def test_pages_tell_the_book_as_it_stands_and_refuse_what_is_not_listed():
    with SimServer(["binance-spot", "binance-usdm", "okx"], record=True) as server:

        def asked(target):
            with urlopen(server.url + target) as answer:
                return json.load(answer)

        page = asked("/binance-spot/api/v3/depth?symbol=BTCUSDT&limit=5000")
        wire = server.sockets["binance-spot"].wires["BTC-USDT"]
        assert page["lastUpdateId"] == wire.id
        assert page["bids"][0] == wire.pair(*wire.best()[0])
        with pytest.raises(HTTPError, match="400"):
            asked("/binance-usdm/fapi/v1/depth?symbol=NOSUCH")
        books = asked("/okx/api/v5/market/books?instId=BTC-USDT&sz=400")
        assert books["data"][0]["seqId"] == server.sockets["okx"].wires["BTC-USDT"].id
        assert asked("/okx/api/v5/market/history-trades?instId=BTC-USDT")["code"] == "0"
