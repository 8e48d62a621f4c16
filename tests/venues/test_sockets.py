"""What the venues say of their sockets: names, messages, answers."""

import json
from typing import Any

import pytest

from tidelake.venues.registry import venue, venues
from tidelake.venues.spec import Answer

SYMBOLS = {
    "binance-spot": ["BTC-USDT", "ETH-BTC"],
    "binance-usdm": ["BTC-USDT-PERP", "ETH-USDC-PERP"],
    "binance-coinm": ["BTC-USD-PERP", "ETH-USD-20260925"],
    "coinbase": ["BTC-USD", "ETH-EUR"],
    "coinbase-advanced": ["BTC-USD", "ETH-EUR"],
    "kraken": ["BTC-USD", "DOGE-EUR"],
    "bybit": ["BTC-USDT-PERP", "ETH-USDT"],
    "deribit": ["BTC-USD-PERP", "ETH-USD-20260925-3000-C"],
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


def sent(payload: bytes) -> Any:
    return json.loads(payload)


def test_every_venue_of_the_core_has_sockets_and_every_symbol_of_theirs_is_served_once_per_channel():
    assert set(SYMBOLS) | {"okx"} == set(SOURCES)
    for source in SOURCES:
        found = venue(source)
        for symbol in SYMBOLS.get(source, ["BTC-USDT", "BTC-USD-PERP"]):
            for channel in NAMES:
                served = [
                    sockets
                    for sockets in found.sockets
                    if channel in sockets.channels
                    and sockets.serves((sockets.symbol or found.venue_symbol)(symbol), channel)
                ]
                assert len(served) <= 1, (source, symbol, channel)
                assert served or channel not in ("trades", "book", "quotes"), (source, symbol, channel)


def test_coinbase_names_what_is_subscribed_and_which_product_is_refused():
    (sockets,) = venue("coinbase").sockets
    names = ["matches:BTC-USD", "level2_batch:BTC-USD", "matches:ETH-USD"]
    asked = [{"name": "matches", "product_ids": ["BTC-USD", "ETH-USD"]}]
    asked.append({"name": "level2_batch", "product_ids": ["BTC-USD"]})
    assert sent(sockets.subscribe(names, 1)) == {"type": "subscribe", "channels": asked}
    said = b'{"type":"subscriptions","channels":[{"name":"level2_50","product_ids":["BTC-USD"]}]}'
    assert sockets.answer(said) == Answer("subscribed", names=("level2_batch:BTC-USD",))
    bad = b'{"type":"error","message":"Failed to subscribe","reason":"FOO-USD is not a valid product"}'
    refused = sockets.answer(bad)
    assert refused is not None
    assert refused.kind == "refused"
    assert refused.whole
    assert "matches:FOO-USD" in refused.names
    assert sockets.answer(b'{"type":"match","trade_id":1,"product_id":"BTC-USD"}') is None


def test_coinbase_advanced_takes_one_channel_a_message():
    (sockets,) = venue("coinbase-advanced").sockets
    assert sockets.group("level2:BTC-USD") == "level2" != sockets.group("ticker:BTC-USD")
    assert sent(sockets.subscribe(["level2:BTC-USD", "level2:ETH-USD"], 1)) == {
        "type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD", "ETH-USD"],
    }  # fmt: skip
    assert sent(sockets.subscribe(sockets.always, 2)) == {"type": "subscribe", "channel": "heartbeats"}
    said = (
        b'{"channel":"subscriptions","events":[{"subscriptions":{"level2":["BTC-USD"],"heartbeats":["heartbeats"]}}]}'
    )
    assert sockets.answer(said) == Answer("subscribed", names=("level2:BTC-USD", "heartbeats:"))
    bad = sockets.answer(b'{"type":"error","message":"product FOO-USD not found"}')
    assert bad is not None
    assert "level2:FOO-USD" in bad.names


def test_kraken_answers_each_symbol_for_itself():
    (sockets,) = venue("kraken").sockets
    assert sockets.symbol is not None
    assert sockets.symbol("DOGE-EUR") == "DOGE/EUR"
    (name,) = sockets.channels["book"]("BTC/USD")
    assert sent(sockets.subscribe([name], 3)) == {
        "method": "subscribe", "params": {"channel": "book", "depth": 1000, "symbol": ["BTC/USD"]}, "req_id": 3,
    }  # fmt: skip
    yes = (
        b'{"method":"subscribe","result":{"channel":"book","depth":1000,"symbol":"BTC/USD"},"success":true,"req_id":3}'
    )
    assert sockets.answer(yes) == Answer("subscribed", names=(name,), request=3)
    said = {"error": "Currency pair not supported FOO/BAR", "method": "subscribe", "success": False}
    no = sockets.answer(json.dumps(said | {"symbol": "FOO/BAR", "req_id": 3}).encode())
    assert no is not None
    assert (no.kind, no.whole, no.request) == ("refused", False, 3)
    assert "book-1000:FOO/BAR" in no.names
    assert sockets.answer(b'{"method":"pong","time_in":"2026-09-21T14:13:20Z"}') == Answer("pong")


def test_okx_names_the_stream_in_every_answer():
    public, business = venue("okx").sockets
    names = [*public.channels["funding"]("BTC-USD-SWAP"), *public.channels["liquidations"]("BTC-USD-SWAP")]
    assert names == ["funding-rate:BTC-USD-SWAP", "mark-price:BTC-USD-SWAP", "liquidation-orders:SWAP"]
    assert sent(public.subscribe(names[1:], 4)) == {
        "id": "4",
        "op": "subscribe",
        "args": [
            {"channel": "mark-price", "instId": "BTC-USD-SWAP"},
            {"channel": "liquidation-orders", "instType": "SWAP"},
        ],
    }
    yes = b'{"id":"4","event":"subscribe","arg":{"channel":"liquidation-orders","instType":"SWAP"},"connId":"a4d3ae55"}'
    assert public.answer(yes) == Answer("subscribed", names=("liquidation-orders:SWAP",), request=4)
    text = "Wrong URL or channel:books,instId:FOO-USDT doesn't exist. Please use the correct URL."
    no = public.answer(json.dumps({"id": "4", "event": "error", "code": "60018", "msg": text}).encode())
    assert no == Answer("refused", names=("books:FOO-USDT",), request=4, reason=f"60018 {text}")
    assert public.answer(b"pong") == Answer("pong")
    closing = public.answer(b'{"event":"notice","code":"64008","msg":"The connection will soon be closed"}')
    assert closing is not None
    assert closing.kind == "closing"
    assert business.channels["trades"]("BTC-USDT") == ("trades-all:BTC-USDT",)


def test_bybit_serves_each_category_at_its_own_address():
    spot, linear, inverse = venue("bybit").sockets
    assert [found.url.rpartition("/")[2] for found in (spot, linear, inverse)] == ["spot", "linear", "inverse"]
    assert spot.serves("spot:BTCUSDT", "trades")
    assert not linear.serves("spot:BTCUSDT", "trades")
    assert not spot.serves("spot:BTCUSDT", "funding")
    assert inverse.serves("BTCUSD", "funding")
    assert spot.channels["trades"]("spot:BTCUSDT") == ("publicTrade.BTCUSDT",)
    assert sent(linear.subscribe(["publicTrade.BTCUSDT"], 5)) == {
        "op": "subscribe", "args": ["publicTrade.BTCUSDT"], "req_id": "5",
    }  # fmt: skip
    yes = b'{"success":true,"ret_msg":"","conn_id":"2324d924","req_id":"5","op":"subscribe"}'
    assert linear.answer(yes) == Answer("subscribed", request=5)
    text = "error:handler not found,topic:publicTrade.FOO"
    no = b'{"success":false,"ret_msg":"%s","conn_id":"2324d924","req_id":"5","op":"subscribe"}' % text.encode()
    assert linear.answer(no) == Answer("refused", names=("publicTrade.FOO",), request=5, reason=text)
    pong = b'{"success":true,"ret_msg":"pong","conn_id":"0970e817","req_id":"","op":"ping"}'
    assert linear.answer(pong) == Answer("pong")


def test_deribit_is_answered_when_it_asks_whether_we_live():
    (sockets,) = venue("deribit").sockets
    names = sockets.channels["book"]("BTC-PERPETUAL")
    assert names == ("book.BTC-PERPETUAL.100ms",)
    asked = {"jsonrpc": "2.0", "id": 6, "method": "public/subscribe", "params": {"channels": list(names)}}
    assert sent(sockets.subscribe(names, 6)) == asked
    yes = (
        b'{"jsonrpc":"2.0","id":6,"result":["book.BTC-PERPETUAL.100ms"],"usIn":1,"usOut":2,"usDiff":1,"testnet":false}'
    )
    assert sockets.answer(yes) == Answer("subscribed", names=names, request=6)
    ended = json.loads(sockets.unsubscribe(names, 7))
    assert ended["method"] == "public/unsubscribe"
    said = {"jsonrpc": "2.0", "id": ended["id"], "result": list(names)}
    assert sockets.answer(json.dumps(said).encode()) is None  # no subscription
    asks = sockets.answer(b'{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}')
    assert asks is not None
    assert asks.kind == "ping"
    assert sent(asks.reply)["method"] == "public/test"
    lives = sockets.answer(b'{"jsonrpc":"2.0","id":-2,"result":{"version":"1.2.26"},"testnet":false}')
    assert lives is not None
    assert lives.kind == "pong"
    no = sockets.answer(b'{"jsonrpc":"2.0","id":6,"error":{"message":"Invalid params","code":-32602}}')
    assert no == Answer("refused", request=6, reason="-32602 Invalid params")
