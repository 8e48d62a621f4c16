"""One payload of each kind, as documented or recorded, and the row that it means."""

import pytest

from tidelake.raw.frame import Frame, encode_line
from tidelake.tables.decode import decode
from tidelake.tables.registry import TABLES
from tidelake.tables.segment_lines import split

RECV = 1_800_000_000_000_000_000


def rows(source, payload, *, kind="frame", request="", symbol="", table="trades"):
    frame = Frame(0, RECV, 0, kind, payload.encode(), request=request, symbol=symbol)
    found = decode(TABLES[table], source, split(encode_line(frame), first_n=0, known_before_ns=0), "", {})
    assert found.rejected == []
    return found.rows.to_pylist()


def told(row):
    names = ("symbol", "grain", "trade_id", "trade_seq", "side", "size_unit", "transport")
    moment = int(row["event_time"].timestamp() * 1e6 + 0.5)
    return (*(row[name] for name in names), moment, f"{row['price'].normalize():f}", f"{row['size'].normalize():f}")


FRAMES = [
    (
        "coinbase",
        (
            '{"type":"last_match","trade_id":881613,"side":"sell","size":"0.04","price":"14.7775","product_id":"BAND-GBP",'
            '"sequence":1,"time":"2021-04-17T16:43:30.244075Z"}'
        ),
        ("BAND-GBP", "trade", "881613", 881613, "buy", "base", "ws", 1618677810244075, "14.7775", "0.04"),
    ),
    (
        "kraken",
        r'[993,[["354.11000000","0.89594024","1618678142.557535","s","l",""]],"trade","XBT\/USD"]',
        (
            "BTC-USD",
            "trade",
            "1618678142557535:354.11:0.89594024:sell:1",
            None,
            "sell",
            "base",
            "ws",
            1618678142557535,
            "354.11",
            "0.89594024",
        ),
    ),
    (
        "kraken",
        (
            '{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":0.5147,"qty":6423.46326,'
            '"ord_type":"limit","trade_id":4665846,"timestamp":"2023-09-25T07:48:36.925533Z"}]}'
        ),
        ("BTC-USD", "trade", "4665846", 4665846, "buy", "base", "ws", 1695628116925533, "0.5147", "6423.46326"),
    ),
    (
        "binance-spot",
        '{"e":"trade","E":1,"s":"BTCUSDT","t":12345,"p":"0.001","q":"100","T":1672515782136,"m":true,"M":true}',
        ("BTC-USDT", "trade", "12345", 12345, "sell", "base", "ws", 1672515782136000, "0.001", "100"),
    ),
    (
        "binance-usdm",
        (
            '{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","a":7,"s":"BTCUSDT","p":"1.5","q":"2","f":1,"l":3,'
            '"T":1672515782136,"m":false}}'
        ),
        ("BTC-USDT-PERP", "aggregate", "7", 7, "buy", "base", "ws", 1672515782136000, "1.5", "2"),
    ),
    (
        "binance-coinm",
        (
            '{"stream":"btcusd_perp@trade","data":{"e":"trade","T":1723161257679,"s":"BTCUSD_PERP","t":849714402,'
            '"p":"61804.8","q":"4","X":"MARKET","m":false}}'
        ),
        ("BTC-USD-PERP", "trade", "849714402", 849714402, "buy", "contracts", "ws", 1723161257679000, "61804.8", "4"),
    ),
    (
        "okx",
        (
            '{"arg":{"channel":"trades","instId":"BTC-USD-220527"},"data":[{"instId":"BTC-USD-220527","tradeId":"7849",'
            '"px":"30218.8","sz":"1","side":"buy","ts":"1652459199958"}]}'
        ),
        ("BTC-USD-20220527", "trade", "7849", 7849, "buy", "contracts", "ws", 1652459199958000, "30218.8", "1"),
    ),
    (
        "okx",
        (
            '{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"130639474",'
            '"px":"42219.9","sz":"0.12060306","side":"sell","ts":"1630048897897","count":"3"}]}'
        ),
        ("BTC-USDT", "aggregate", "130639474", None, "sell", "base", "ws", 1630048897897000, "42219.9", "0.12060306"),
    ),
    (
        "okx",
        (
            '{"arg":{"channel":"trades-all","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"130639474",'
            '"px":"42219.9","sz":"0.5","side":"buy","ts":"1630048897897"}]}'
        ),
        ("BTC-USDT", "trade", "130639474", 130639474, "buy", "base", "ws", 1630048897897000, "42219.9", "0.5"),
    ),
    (
        "bybit",
        (
            '{"topic":"trade.BTCUSD","data":[{"trade_time_ms":1618677786614,"symbol":"BTCUSD","side":"Sell","size":4,'
            '"price":60621.5,"trade_id":"5ffb","cross_seq":1}]}'
        ),
        ("BTC-USD-PERP", "trade", "5ffb", None, "sell", "quote", "ws", 1618677786614000, "60621.5", "4"),
    ),
    (
        "bybit",
        (
            '{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1,"data":[{"T":1672304486865,"s":"BTCUSDT","S":"Buy",'
            '"v":"0.001","p":"16578.50","L":"PlusTick","i":"20f4","BT":false}]}'
        ),
        ("BTC-USDT-PERP", "trade", "20f4", None, "buy", "base", "ws", 1672304486865000, "16578.5", "0.001"),
    ),
    (
        "bybit",
        (
            '{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1,"data":[{"T":1672304486865,"s":"BTCUSDT","S":"Sell",'
            '"v":"0.001","p":"16578.50","i":"2290","BT":false}]}'
        ),
        ("BTC-USDT", "trade", "2290", None, "sell", "base", "ws", 1672304486865000, "16578.5", "0.001"),
    ),
    (
        "deribit",
        (
            '{"jsonrpc":"2.0","method":"subscription","params":{"channel":"trades.BTC-PERPETUAL.raw","data":[{"trade_seq":'
            '30289442,"trade_id":"48079269","timestamp":1590484512188,"price":8950.5,"instrument_name":"BTC-PERPETUAL",'
            '"direction":"sell","amount":10.0}]}}'
        ),
        ("BTC-USD-PERP", "trade", "48079269", 30289442, "sell", "quote", "ws", 1590484512188000, "8950.5", "10"),
    ),
    (
        "deribit",
        (
            '{"jsonrpc":"2.0","method":"subscription","params":{"channel":"trades.option.BTC.raw","data":[{"trade_seq":3471,'
            '"trade_id":"48077291","timestamp":1590470616101,"price":0.032,"instrument_name":"BTC-25SEP20-6000-P",'
            '"direction":"buy","amount":0.5}]}}'
        ),
        ("BTC-USD-20200925-6000-P", "trade", "48077291", 3471, "buy", "base", "ws", 1590470616101000, "0.032", "0.5"),
    ),
]
OTHERS = [
    ("coinbase", '{"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD"]}]}'),
    ("coinbase", '{"type":"ticker","trade_id":1,"product_id":"BTC-USD","price":"1","side":"buy","last_size":"1"}'),
    ("kraken", '{"channelID":1665,"channelName":"trade","event":"subscriptionStatus","pair":"WAVES/EUR"}'),
    ("kraken", '[1,{"a":[["1","2","3"]]},"book-10","trade"]'),
    ("kraken", '{"method":"subscribe","result":{"channel":"trade","symbol":"BTC/USD"},"success":true}'),
    ("okx", '{"event":"subscribe","arg":{"channel":"trades","instId":"BTC-USD-220527"}}'),
    ("bybit", '{"success":true,"ret_msg":"","request":{"op":"subscribe","args":["trade.BTCUSD"]}}'),
    ("deribit", '{"jsonrpc":"2.0","id":0,"result":["trades.ETH-30JUL21-2800-C.raw"]}'),
    ("deribit", '{"jsonrpc":"2.0","method":"subscription","params":{"channel":"ticker.trades.raw","data":{}}}'),
    ("binance-spot", '{"stream":"btcusdt@depth","data":{"e":"depthUpdate","s":"BTCUSDT","b":[],"a":[]}}'),
    ("binance-usdm", '{"result":null,"id":1}'),
]


@pytest.mark.parametrize(("source", "payload", "row"), FRAMES)
def test_a_trade_frame_becomes_its_row(source, payload, row):
    (found,) = rows(source, payload)
    assert told(found) == row


@pytest.mark.parametrize(("source", "payload"), OTHERS)
def test_frames_of_other_kinds_become_no_row_and_no_complaint(source, payload):
    assert rows(source, payload) == []


def test_the_sockets_address_decides_a_bybit_category():
    payload = (
        '{"topic":"publicTrade.BTCUSDT","data":[{"T":1672304486865,"s":"BTCUSDT","S":"Buy","v":"1","p":"2","i":"x"}]}'
    )
    for category, symbol in (("linear", "BTC-USDT-PERP"), ("spot", "BTC-USDT")):
        (row,) = rows("bybit", payload, request=f"wss://stream.bybit.com/v5/public/{category}")
        assert row["symbol"] == symbol


def test_bars_that_have_not_ended_are_left_out():
    minute = RECV // 10**9 // 60 * 60
    bars = ",".join(f'[{minute - ago * 60},1,3,2,2.5,"10"]' for ago in range(3))
    request = "GET https://api.exchange.coinbase.com/products/BTC-USD/candles?granularity=60"
    found = rows("coinbase", f"[{bars}]", kind="page", request=request, symbol="BTC-USD", table="candles")
    assert [int(row["event_time"].timestamp()) for row in found] == [minute - 60, minute - 120] or len(found) == 2
    assert {row["interval"] for row in found} == {"1m"}


def test_products_of_a_trades_page_are_no_instruments():
    request = "GET https://api.exchange.coinbase.com/products/BTC-USD/trades?limit=1000"
    assert rows("coinbase", "[]", kind="page", request=request, symbol="BTC-USD", table="instruments") == []
