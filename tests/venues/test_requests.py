"""The addresses that venues are asked by, and the errors that they wrap, as their documentation has them."""

from typing import Any

import pytest

from tidelake.venues import registry
from tidelake.venues.spec import Request

NS = 1_700_000_000_123_456_789


def venue(source: str) -> Any:
    return registry.venue(source)


def paths(source, name):
    pages = venue(source).trades
    found = {"newest": pages.newest(name)}
    if pages.below:
        found["below"] = pages.below(name, 500)
    if pages.above:
        found["above"] = pages.above(name, 500, NS)
    if pages.since:
        found["since"] = pages.since(name, NS)
    if pages.below_time:
        found["below_time"] = pages.below_time(name, NS)
    return {word: request.path for word, request in found.items()}


def test_coinbase_walks_down_by_after():
    assert paths("coinbase", "BTC-USD") == {
        "newest": "/products/BTC-USD/trades?limit=1000",
        "below": "/products/BTC-USD/trades?limit=1000&after=500",
    }


def test_kraken_walks_up_by_time_one_microsecond_early():
    assert paths("kraken", "XBTUSD") == {
        "newest": "/0/public/Trades?pair=XBTUSD&count=1000",
        "above": "/0/public/Trades?pair=XBTUSD&since=1700000000123455789&count=1000",
        "since": "/0/public/Trades?pair=XBTUSD&since=1700000000123455789&count=1000",
    }


def test_binance_walks_up_by_id_and_weighs_25():
    assert paths("binance-spot", "BTCUSDT") == {
        "newest": "/api/v3/trades?symbol=BTCUSDT&limit=1000",
        "above": "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=500&limit=1000",
    }
    assert venue("binance-spot").trades.newest("BTCUSDT").weight == 25


def test_okx_walks_down_by_id_or_by_time_rounded_up():
    assert paths("okx", "BTC-USDT") == {
        "newest": "/api/v5/market/history-trades?instId=BTC-USDT&limit=100",
        "below": "/api/v5/market/history-trades?instId=BTC-USDT&type=1&after=500&limit=100",
        "below_time": "/api/v5/market/history-trades?instId=BTC-USDT&type=2&after=1700000000124&limit=100",
    }


def test_deribit_walks_up_by_number_or_by_time():
    base = "/api/v2/public/get_last_trades_by_instrument"
    assert paths("deribit", "BTC-PERPETUAL") == {
        "newest": f"{base}?instrument_name=BTC-PERPETUAL&count=1000&sorting=desc",
        "above": f"{base}?instrument_name=BTC-PERPETUAL&start_seq=500&count=1000&sorting=asc",
        "since": f"{base}_and_time?instrument_name=BTC-PERPETUAL&start_timestamp=1700000000123&count=1000&sorting=asc",
    }


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("BTCUSDT", "category=linear&symbol=BTCUSDT&limit=1000"),
        ("spot:BTCUSDT", "category=spot&symbol=BTCUSDT&limit=60"),
        ("BTCUSD", "category=inverse&symbol=BTCUSD&limit=1000"),
        ("BTCUSDU21", "category=inverse&symbol=BTCUSDU21&limit=1000"),
        ("BTCPERP", "category=linear&symbol=BTCPERP&limit=1000"),
        ("BTC-29JUL22-25000-C", "category=option&symbol=BTC-29JUL22-25000-C&limit=1000"),
    ],
)
def test_bybit_asks_each_category_for_its_newest_page(name, query):
    assert paths("bybit", name) == {"newest": f"/v5/market/recent-trade?{query}"}


@pytest.mark.parametrize(
    ("source", "body", "again"),
    [
        ("kraken", b'{"error":["EGeneral:Too many requests"]}', True),
        ("kraken", b'{"error":["EAPI:Rate limit exceeded"],"result":null}', True),
        ("kraken", b'{"error":["EQuery:Unknown asset pair"]}', False),
        ("okx", b'{"code":"50011","data":[],"msg":"Requests too frequent."}', True),
        ("okx", b'{"code":"51001","data":[],"msg":"Instrument ID does not exist"}', False),
        ("bybit", b'{"retCode":10006,"retMsg":"Too many visits!","result":{}}', True),
        ("bybit", b'{"retCode":10001,"retMsg":"Not supported symbols","result":{}}', False),
        ("deribit", b'{"jsonrpc":"2.0","error":{"message":"too_many_requests","code":10028}}', True),
        ("deribit", b'{"jsonrpc":"2.0","error":{"message":"Invalid params","code":-32602}}', False),
        ("binance-spot", b'{"code":-1003,"msg":"Too much request weight used"}', True),
        ("binance-spot", b'{"code":-1121,"msg":"Invalid symbol."}', False),
    ],
)
def test_errors_inside_answers_are_found(source, body, again):
    text, retryable = venue(source).refusal(body)
    assert text
    assert retryable is again


@pytest.mark.parametrize(
    ("source", "body"),
    [
        ("kraken", b'{"error":[],"result":{"XXBTZUSD":[],"last":"1"}}'),
        ("kraken", b'{"error":["WGeneral:Danger"],"result":{}}'),
        ("okx", b'{"code":"0","msg":"","data":[]}'),
        ("bybit", b'{"retCode":0,"retMsg":"OK","result":{"list":[]}}'),
        ("deribit", b'{"jsonrpc":"2.0","result":{"trades":[],"has_more":false}}'),
        ("binance-spot", b"[]"),
        ("okx", b"<html>"),
    ],
)
def test_good_answers_and_what_is_no_json_are_no_refusal(source, body):
    assert venue(source).refusal(body) is None


def test_bybit_lists_go_on_by_their_cursor():
    after = venue("bybit").instruments_next
    first = Request("/v5/market/instruments-info?limit=1000&category=option")
    second = after(first, b'{"retCode":0,"result":{"list":[],"nextPageCursor":"a%3D1&b"}}')
    assert second.path == "/v5/market/instruments-info?limit=1000&category=option&cursor=a%253D1%26b"
    assert after(second, b'{"retCode":0,"result":{"nextPageCursor":"c"}}').path.endswith("&category=option&cursor=c")
    assert after(second, b'{"retCode":0,"result":{"nextPageCursor":""}}') is None
