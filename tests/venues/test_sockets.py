"""What the venues say of their sockets: names, messages, answers."""

import json

import pytest

from tidelake.venues.registry import venue, venues
from tidelake.venues.spec import Answer

SYMBOLS = {
    "binance-spot": ["BTC-USDT", "ETH-BTC"],
    "binance-usdm": ["BTC-USDT-PERP", "ETH-USDC-PERP"],
    "binance-coinm": ["BTC-USD-PERP", "ETH-USD-20260925"],
}
SOURCES = sorted(source for source, found in venues().items() if found.sockets)
NAMES = ["trades", "book", "quotes", "candles", "funding", "open_interest", "liquidations"]


@pytest.mark.parametrize("source", SOURCES)
def test_each_channel_names_other_streams_for_each_symbol(source):
    found = venue(source)
    for sockets in found.sockets:
        assert set(sockets.channels) <= set(NAMES)
        symbols = [(sockets.symbol or found.venue_symbol)(symbol) for symbol in SYMBOLS.get(source, [])]
        for make in sockets.channels.values():
            names = [name for symbol in symbols for name in make(symbol)]
            assert len(names) >= len(symbols)
            assert len(set(names)) == len(names)


@pytest.mark.parametrize("source", SOURCES)
def test_a_frame_of_data_or_none_at_all_is_no_answer(source):
    for sockets in venue(source).sockets:
        for frame in (b"", b"{", b"[]", b"null", b"1", b'"id"', b"\xff\xfe", b"{}", b'{"id":{},"error":1,"event":[]}'):
            found = sockets.answer(frame)
            assert found is None or found.kind in ("refused", "pong")


@pytest.mark.parametrize("source", SOURCES)
def test_an_answer_holds_one_of_the_tokens(source):
    for sockets in venue(source).sockets:
        assert sockets.answer_tokens
        assert all(sockets.answer_tokens)


def test_binance_names_streams_and_reads_answers_by_their_number():
    (sockets,) = venue("binance-spot").sockets
    names = [name for make in sockets.channels.values() for name in make("BTCUSDT")]
    assert names == ["btcusdt@trade", "btcusdt@depth@100ms", "btcusdt@bookTicker", "btcusdt@kline_1m"]
    assert json.loads(sockets.subscribe(names[:2], 7)) == {"method": "SUBSCRIBE", "params": names[:2], "id": 7}
    assert sockets.answer(b'{"result":null,"id":7}') == Answer("subscribed", request=7)
    refused = sockets.answer(b'{"error":{"code":2,"msg":"Invalid request"},"id":7}')
    assert refused == Answer("refused", request=7, reason="2 Invalid request")
    assert sockets.answer(b'{"stream":"btcusdt@trade","data":{"e":"trade","id":4}}') is None


def test_binance_futures_streams_come_from_the_address_that_has_them():
    public, market = venue("binance-usdm").sockets
    assert public.url == "wss://fstream.binance.com/public/stream"
    assert market.url == "wss://fstream.binance.com/market/stream"
    assert [name for make in public.channels.values() for name in make("BTCUSDT")] == [
        "btcusdt@trade", "btcusdt@depth@100ms", "btcusdt@bookTicker",
    ]  # fmt: skip
    assert [name for make in market.channels.values() for name in make("BTCUSDT")] == [
        "btcusdt@kline_1m", "btcusdt@markPrice@1s", "btcusdt@forceOrder",
    ]  # fmt: skip
    (coinm,) = venue("binance-coinm").sockets
    assert coinm.channels["funding"]("BTCUSD_PERP") == ("btcusd_perp@markPrice@1s",)
    assert coinm.book_page is not None
    assert coinm.book_page("BTCUSD_PERP").path == "/dapi/v1/depth?symbol=BTCUSD_PERP&limit=1000"
