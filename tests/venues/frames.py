"""One frame of each kind that the venues document, with values of our own, and the rows that it means."""

from typing import NamedTuple

EXAMPLE_US = 1_790_000_000_250_000  # 2026-09-21 14:13:20.25 UTC, the time in most examples
RECV_NS = 1_790_000_001_000_000_000


class Example(NamedTuple):
    """A frame, and of each row it means what it says; decimals as text, times in us."""

    source: str
    mapping: str
    payload: str
    rows: list[dict[str, object]]
    request: str = ""


QUOTE = {"validity": "UNPROVABLE", "event_time": EXAMPLE_US}
BINANCE_QUOTE = QUOTE | {
    "channel": "bookTicker",
    "quote_id": "400900217",
    "update_id": 400900217,
    "bid_price": "25.3519",
    "bid_size": "31.21",
    "ask_price": "25.3652",
    "ask_size": "40.66",
}
TOP = '"b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000"'
FUTURES_TOP = (
    f'{{"e":"bookTicker","u":400900217,"E":1790000000251,"T":1790000000250,"s":"%s",{TOP.replace("0000", "", 4)}}}'
)
BAR = (
    '{"e":"kline","E":1790000000250,"s":"%s","k":{"t":1789999920000,"T":1789999979999,"s":"%s","i":"1m","f":100,"L":200,'
    '"o":"25.10","c":"25.20","h":"25.35","l":"25.05","v":"1000.5","n":101,"x":%s,"q":"25190.75","V":"500","Q":"12","B":"0"}}'
)
BAR_ROW = {
    "interval": "1m",
    "origin": "venue",
    "event_time": 1_789_999_920_000_000,
    "open": "25.1",
    "high": "25.35",
    "low": "25.05",
    "close": "25.2",
    "volume": "1000.5",
    "volume_quote": "25190.75",
    "trades": 101,
    "size_unit": "base",
}
MARK = '{"e":"markPriceUpdate","E":1790000000250,"s":"%s","p":"11794.15","i":"11784.62","P":"11784.25","r":"%s","T":%d}'
MARK_ROW = {
    "channel": "markPrice",
    "event_time": EXAMPLE_US,
    "funding_rate": "-0.00038167",
    "next_funding_at": 1_790_006_400_000_000,
    "interval_hours": None,
    "mark_price": "11794.15",
    "index_price": "11784.62",
}
DATED_ROW = MARK_ROW | {"funding_rate": None, "next_funding_at": None}
FORCE = (
    '{"e":"forceOrder","E":1790000000260,"o":{"s":"%s","S":"SELL","o":"LIMIT","f":"IOC","q":"0.014","p":"9910",'
    '"ap":"9908.5","X":"FILLED","l":"0.014","z":"0.013","T":1790000000250}}'
)
FORCE_ROW = {
    "event_time": EXAMPLE_US,
    "side": "sell",
    "price": "9910",
    "price_kind": "order",
    "average_price": "9908.5",
    "size": "0.014",
    "filled": "0.013",
}


def combined(stream: str, data: str) -> str:
    return f'{{"stream":"{stream}","data":{data}}}'


SPOT_TOP = f'{{"u":400900217,"s":"BNBUSDT",{TOP}}}'
ONE_SIDE = '{"u":400900218,"s":"BNBUSDT","b":"0.00000000","B":"0.00000000","a":"25.36","A":"1"}'
ONE_SIDE_ROW = BINANCE_QUOTE | {"quote_id": "400900218", "update_id": 400900218, "bid_price": None, "bid_size": None}
ONE_SIDE_ROW |= {"ask_price": "25.36", "ask_size": "1"}
RECEIVED = {"event_time": RECV_NS // 1000}
BNB = {"symbol": "BNB-USDT", "size_unit": "base"}

BINANCE = [
    Example(
        "binance-spot",
        "book-ticker-combined",
        combined("bnbusdt@bookTicker", SPOT_TOP),
        [BINANCE_QUOTE | BNB | RECEIVED],
    ),
    Example(
        "binance-spot",
        "book-ticker-combined",
        combined("bnbusdt@bookTicker", ONE_SIDE),
        [ONE_SIDE_ROW | BNB | RECEIVED],
    ),
    Example("binance-spot", "kline", BAR % ("BNBUSDT", "BNBUSDT", "true"), [BAR_ROW | BNB]),
    Example("binance-spot", "kline", BAR % ("BNBUSDT", "BNBUSDT", "false"), []),
    Example(
        "binance-spot",
        "kline-combined",
        combined("bnbusdt@kline_1m", BAR % ("BNBUSDT", "BNBUSDT", "true")),
        [BAR_ROW | BNB],
    ),
]
for source, name, row in (
    ("binance-usdm", "BNBUSDT", {"symbol": "BNB-USDT-PERP", "size_unit": "base"}),
    ("binance-coinm", "BNBUSD_PERP", {"symbol": "BNB-USD-PERP", "size_unit": "contracts"}),
):
    inverse = {"volume_quote": None} if source == "binance-coinm" else {}
    symbol = {"symbol": row["symbol"]}
    said = (
        ("book-ticker", FUTURES_TOP % name, [BINANCE_QUOTE | row]),
        ("kline", BAR % (name, name, "true"), [BAR_ROW | row | inverse]),
        ("mark-price", MARK % (name, "-0.00038167", 1_790_006_400_000), [MARK_ROW | symbol]),
        ("force-order", FORCE % name, [FORCE_ROW | row]),
    )
    for mapping, payload, rows in said:
        BINANCE.append(Example(source, mapping, payload, rows))
        BINANCE.append(Example(source, f"{mapping}-combined", combined(f"{name.lower()}@x", payload), rows))
BINANCE.append(
    Example(
        "binance-coinm", "mark-price", MARK % ("BNBUSD_260925", "", 0), [DATED_ROW | {"symbol": "BNB-USD-20260925"}]
    )
)

COINBASE = [
    Example(
        "coinbase",
        "ticker",
        '{"type":"ticker","sequence":37475248783,"product_id":"ETH-USD","price":"1285.22","open_24h":"1310.79",'
        '"best_bid":"1285.04","best_bid_size":"0.46688654","best_ask":"1285.27","best_ask_size":"1.56637040",'
        '"side":"buy","time":"2026-09-21T14:13:20.250000Z","trade_id":370843401,"last_size":"11.4396987"}',
        [
            QUOTE
            | {
                "symbol": "ETH-USD",
                "channel": "ticker",
                "quote_id": "37475248783",
                "update_id": None,
                "bid_price": "1285.04",
                "bid_size": "0.46688654",
                "ask_price": "1285.27",
                "ask_size": "1.5663704",
                "size_unit": "base",
            }
        ],
    ),
    Example(
        "coinbase-advanced",
        "market-trades",
        '{"channel":"market_trades","client_id":"","timestamp":"2026-09-21T14:13:20.3Z","sequence_num":4,"events":[{"type":'
        '"update","trades":[{"trade_id":"12345","product_id":"ETH-USD","price":"1260.01","size":"0.3","side":"BUY",'
        '"time":"2026-09-21T14:13:20.250Z"},{"trade_id":"12344","product_id":"ETH-USD","price":"1260.02","size":"2","side":'
        '"SELL","time":"2026-09-21T14:13:20.250Z"}]}]}',
        [
            {"symbol": "ETH-USD", "trade_id": "12345", "trade_seq": 12345, "price": "1260.01", "size": "0.3"}
            | {"side": "sell", "event_time": EXAMPLE_US, "size_unit": "base", "grain": "trade"},
            {"trade_id": "12344", "price": "1260.02", "size": "2", "side": "buy"},
        ],
    ),
    Example(
        "coinbase-advanced",
        "ticker",
        '{"channel":"ticker","client_id":"","timestamp":"2026-09-21T14:13:20.25Z","sequence_num":0,"events":[{"type":'
        '"snapshot","tickers":[{"type":"ticker","product_id":"BTC-USD","price":"21932.98","best_bid":"21931.98",'
        '"best_bid_quantity":"8000.21","best_ask":"21933.98","best_ask_quantity":"8038.07770938"}]}]}',
        [
            QUOTE
            | {
                "symbol": "BTC-USD",
                "channel": "ticker",
                "update_id": None,
                "bid_price": "21931.98",
                "bid_size": "8000.21",
                "ask_price": "21933.98",
                "ask_size": "8038.07770938",
            }
        ],
    ),
    Example(
        "coinbase-advanced",
        "candles",
        '{"channel":"candles","client_id":"","timestamp":"2026-09-21T14:13:20.25Z","sequence_num":0,"events":[{"type":'
        '"snapshot","candles":[{"start":"1789999800","high":"1867.72","low":"1865.63","open":"1867.38","close":"1866.81",'
        '"volume":"0.20269406","product_id":"ETH-USD"},{"start":"1789999500","high":"1868","low":"1865","open":"1866",'
        '"close":"1867.38","volume":"2","product_id":"ETH-USD"}]}]}',
        [
            {"symbol": "ETH-USD", "interval": "5m", "origin": "venue", "event_time": 1_789_999_500_000_000}
            | {"open": "1866", "high": "1868", "low": "1865", "close": "1867.38", "volume": "2", "size_unit": "base"}
        ],
    ),
]
EXAMPLES = [*BINANCE, *COINBASE]
