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
KRAKEN = [
    Example(
        "kraken",
        "ticker-v1",
        r'[1668,{"a":["13.2539",35,"35.7"],"b":["13.2329",185,"185.1"],"c":["13.2","3.7"]},"ticker","XBT\/EUR"]',
        [
            QUOTE
            | RECEIVED
            | {"symbol": "BTC-EUR", "channel": "ticker", "bid_price": "13.2329", "bid_size": "185.1"}
            | {"ask_price": "13.2539", "ask_size": "35.7", "size_unit": "base"}
        ],
    ),
    Example(
        "kraken",
        "spread-v1",
        '[7,["5698.4","5700.0","1790000000.250000","1.01234567","0.98765432"],"spread","XBT/USD"]',
        [
            QUOTE
            | {"symbol": "BTC-USD", "channel": "spread", "bid_price": "5698.4", "bid_size": "1.01234567"}
            | {"ask_price": "5700", "ask_size": "0.98765432"}
        ],
    ),
    Example(
        "kraken",
        "ticker-v2",
        '{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":0.10025,"bid_qty":740.0,"ask":0.10036,'
        '"ask_qty":1361.44813783,"last":0.10035,"volume":997038.98383185,"vwap":0.10148,"low":0.09979,"high":0.10285}]}',
        [
            QUOTE
            | RECEIVED
            | {"symbol": "BTC-USD", "channel": "ticker", "bid_price": "0.10025", "bid_size": "740"}
            | {"ask_price": "0.10036", "ask_size": "1361.44813783"}
        ],
    ),
    Example(
        "kraken",
        "ohlc-v2",
        '{"channel":"ohlc","type":"snapshot","timestamp":"2026-09-21T14:13:20.25Z","data":[{"symbol":"BTC/USD","open":1.5,'
        '"high":1.7,"low":1.4,"close":1.6,"trades":23,"volume":500.25,"vwap":1.55,"interval_begin":'
        '"2026-09-21T14:12:00.000000000Z","interval":1,"timestamp":"2026-09-21T14:13:00.000000Z"},{"symbol":"BTC/USD",'
        '"open":1.6,"high":1.6,"low":1.6,"close":1.6,"trades":1,"volume":2,"vwap":1.6,"interval_begin":'
        '"2026-09-21T14:13:00.000000000Z","interval":1,"timestamp":"2026-09-21T14:14:00.000000Z"}]}',
        [
            {"symbol": "BTC-USD", "interval": "1m", "event_time": 1_789_999_920_000_000, "open": "1.5", "high": "1.7"}
            | {"low": "1.4", "close": "1.6", "volume": "500.25", "trades": 23, "size_unit": "base", "origin": "venue"}
        ],
    ),
]


def okx(channel: str, name: str, data: str, key: str = "instId") -> str:
    return f'{{"arg":{{"channel":"{channel}","{key}":"{name}"}},"data":[{data}]}}'


SWAP = {"symbol": "BTC-USD-PERP", "event_time": EXAMPLE_US}
OKX = [
    Example(
        "okx",
        "tickers",
        okx(
            "tickers",
            "BTC-USD-260925",
            '{"instType":"FUTURES","instId":"BTC-USD-260925","last":"30218.8","lastSz":"1","askPx":"30220.1","askSz":"3",'
            '"bidPx":"","bidSz":"","ts":"1790000000250"}',
        ),
        [
            QUOTE
            | {"symbol": "BTC-USD-20260925", "channel": "tickers", "bid_price": None, "bid_size": None}
            | {"ask_price": "30220.1", "ask_size": "3", "size_unit": "contracts", "update_id": None}
        ],
    ),
    Example(
        "okx",
        "bbo-tbt",
        okx(
            "bbo-tbt",
            "BTC-USDT",
            '{"asks":[["111.06","55154.5","0","2"]],"bids":[["111.05","57745","0","3"]],"ts":"1790000000250","seqId":363996337}',
        ),
        [
            QUOTE
            | {"symbol": "BTC-USDT", "channel": "bbo-tbt", "quote_id": "363996337", "update_id": 363996337}
            | {"bid_price": "111.05", "bid_size": "57745", "ask_price": "111.06", "ask_size": "55154.5"}
            | {"size_unit": "base"}
        ],
    ),
    Example(
        "okx",
        "candles-frame",
        okx(
            "candle1m",
            "BTC-USD-SWAP",
            '["1789999920000","8533.02","8553.74","8527.17","8548.26","45247","529.5858061","4529858","1"],'
            '["1789999980000","8548","8553","8548","8549","1","2","3","0"]',
        ),
        [
            {"symbol": "BTC-USD-PERP", "interval": "1m", "event_time": 1_789_999_920_000_000, "open": "8533.02"}
            | {"high": "8553.74", "low": "8527.17", "close": "8548.26", "volume": "529.5858061"}
            | {"volume_quote": "4529858", "size_unit": "base"}
        ],
    ),
    Example(
        "okx",
        "funding-rate",
        okx(
            "funding-rate",
            "BTC-USD-SWAP",
            '{"fundingRate":"0.0001875391284828","fundingTime":"1790006400000","instId":"BTC-USD-SWAP","instType":"SWAP",'
            '"nextFundingRate":"","nextFundingTime":"1790035200000","ts":"1790000000250"}',
        ),
        [
            SWAP
            | {"channel": "funding-rate", "funding_rate": "0.0001875391284828", "interval_hours": 8}
            | {"next_funding_at": 1_790_006_400_000_000, "mark_price": None, "index_price": None}
        ],
    ),
    Example(
        "okx",
        "mark-price",
        okx(
            "mark-price",
            "BTC-USD-SWAP",
            '{"instType":"SWAP","instId":"BTC-USD-SWAP","markPx":"42310.6","ts":"1790000000250"}',
        ),
        [SWAP | {"channel": "mark-price", "mark_price": "42310.6", "funding_rate": None, "next_funding_at": None}],
    ),
    Example("okx", "mark-price", '{"event":"subscribe","arg":{"channel":"mark-price","instId":"BTC-USD-SWAP"}}', []),
    Example(
        "okx",
        "open-interest",
        okx(
            "open-interest",
            "BTC-USD-SWAP",
            '{"instId":"BTC-USD-SWAP","instType":"SWAP","oi":"2216113","oiCcy":"2216.9","oiUsd":"99","ts":"1790000000250"}',
        ),
        [SWAP | {"open_interest": "2216113", "size_unit": "contracts", "open_interest_base": "2216.9"}],
    ),
    Example(
        "okx",
        "liquidation-orders",
        okx(
            "liquidation-orders",
            "SWAP",
            '{"details":[{"bkLoss":"0","bkPx":"0.007831","ccy":"","posSide":"short","side":"buy","sz":"13","ts":'
            '"1790000000250"},{"bkLoss":"0","bkPx":"0.0078","ccy":"","posSide":"long","side":"sell","sz":"2","ts":'
            '"1790000000250"}],"instFamily":"IOST-USDT","instId":"IOST-USDT-SWAP","instType":"SWAP","uly":"IOST-USDT"}',
            "instType",
        ),
        [
            {"symbol": "IOST-USDT-PERP", "event_time": EXAMPLE_US, "side": "buy", "price": "0.007831", "size": "13"}
            | {"price_kind": "bankruptcy", "size_unit": "contracts", "average_price": None, "filled": None},
            {"side": "sell", "price": "0.0078", "size": "2"},
        ],
    ),
]


LINEAR, INVERSE = "wss://stream.bybit.com/v5/public/linear", "wss://stream.bybit.com/v5/public/inverse"
BYBIT_SPOT = "wss://stream.bybit.com/v5/public/spot"
TOPS = (
    '{"topic":"orderbook.1.BTCUSDT","type":"%s","ts":1790000000252,"data":{"s":"BTCUSDT","b":[["16493.50","0.006"]],'
    '"a":[],"u":18521288,"seq":7961638724},"cts":1790000000250}'
)
TOPS_ROW = QUOTE | {"channel": "orderbook.1", "quote_id": "7961638724", "update_id": 18521288, "size_unit": "base"}
TOPS_ROW |= {"bid_price": "16493.5", "bid_size": "0.006", "ask_price": None, "ask_size": None}
TICKER = (
    '{"topic":"tickers.BTCUSD","type":"snapshot","data":{"symbol":"BTCUSD","lastPrice":"17216","markPrice":"17217.33",'
    '"indexPrice":"17227.36","openInterest":"68744761","openInterestValue":"3993.1","nextFundingTime":"1790006400000",'
    '"fundingRate":"-0.000212","bid1Price":"17215.50","fundingIntervalHour":"8"},"cs":24987956059,"ts":1790000000250}'
)
CHANGE = '{"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT",%s},"cs":249,"ts":1790000000250}'
KLINE = (
    '{"topic":"kline.1.BTCUSD","data":[{"start":1789999920000,"end":1789999979999,"interval":"1","open":"16649.5",'
    '"close":"16677","high":"16677","low":"16608","volume":"2500","turnover":"0.15","confirm":%s,"timestamp":1}],'
    '"ts":1790000000250,"type":"snapshot"}'
)
BTCUSD = {"symbol": "BTC-USD-PERP", "event_time": EXAMPLE_US}
BTCUSDT = {"symbol": "BTC-USDT-PERP", "event_time": EXAMPLE_US}
BYBIT = [
    Example("bybit", "orderbook-1", TOPS % "snapshot", [TOPS_ROW | {"symbol": "BTC-USDT"}], BYBIT_SPOT),
    Example("bybit", "orderbook-1", TOPS % "snapshot", [TOPS_ROW | {"symbol": "BTC-USDT-PERP"}], LINEAR),
    Example("bybit", "orderbook-1", TOPS % "delta", [], LINEAR),
    Example(
        "bybit",
        "kline",
        KLINE % "true",
        [
            {"symbol": "BTC-USD-PERP", "interval": "1m", "event_time": 1_789_999_920_000_000, "open": "16649.5"}
            | {"high": "16677", "low": "16608", "close": "16677", "volume": "0.15", "volume_quote": "2500"}
            | {"size_unit": "base"}
        ],
        INVERSE,
    ),
    Example("bybit", "kline", KLINE % "false", [], INVERSE),
    Example(
        "bybit",
        "tickers-funding",
        TICKER,
        [
            BTCUSD
            | {"channel": "tickers", "funding_rate": "-0.000212", "next_funding_at": 1_790_006_400_000_000}
            | {"interval_hours": 8, "mark_price": "17217.33", "index_price": "17227.36"}
        ],
        INVERSE,
    ),
    Example(
        "bybit",
        "tickers-interest",
        TICKER,
        [
            BTCUSD
            | {"open_interest": "68744761", "size_unit": "quote", "open_interest_base": "3993.1"}
            | {"open_interest_quote": None}
        ],
        INVERSE,
    ),
    Example(
        "bybit",
        "tickers-funding",
        CHANGE % '"markPrice":"17217.5"',
        [BTCUSDT | {"mark_price": "17217.5", "funding_rate": None, "index_price": None, "next_funding_at": None}],
        LINEAR,
    ),
    Example("bybit", "tickers-funding", CHANGE % '"bid1Size":"84.489"', [], LINEAR),
    Example(
        "bybit",
        "tickers-interest",
        CHANGE % '"openInterest":"68744.7","openInterestValue":"1183601235.9"',
        [
            BTCUSDT
            | {"open_interest": "68744.7", "size_unit": "base", "open_interest_quote": "1183601235.9"}
            | {"open_interest_base": None}
        ],
        LINEAR,
    ),
    Example(
        "bybit",
        "all-liquidation",
        '{"topic":"allLiquidation.ROSEUSDT","type":"snapshot","ts":1790000000350,"data":[{"T":1790000000250,"s":"ROSEUSDT",'
        '"S":"Sell","v":"20000","p":"0.04499"},{"T":1790000000250,"s":"ROSEUSDT","S":"Buy","v":"7","p":"0.04"}]}',
        [
            {"symbol": "ROSE-USDT-PERP", "event_time": EXAMPLE_US, "side": "buy", "price": "0.04499", "size": "20000"}
            | {"price_kind": "bankruptcy", "size_unit": "base"},
            {"side": "sell", "price": "0.04", "size": "7"},
        ],
        LINEAR,
    ),
]


def deribit(channel: str, data: str) -> str:
    return f'{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"{channel}","data":{data}}}}}'


PERPETUAL = deribit(
    "ticker.BTC-PERPETUAL.100ms",
    '{"best_ask_amount":100,"best_ask_price":36443,"best_bid_amount":0,"best_bid_price":0,"current_funding":0.000025,'
    '"funding_8h":0.0000211,"index_price":36441.64,"instrument_name":"BTC-PERPETUAL","mark_price":36446.51,'
    '"open_interest":502097590,"state":"open","timestamp":1790000000250}',
)
DERIBIT_TOP = QUOTE | {"symbol": "BTC-USD-PERP", "ask_price": "36443", "ask_size": "100", "size_unit": "quote"}
TRADE = (
    '{"trade_seq":30289442,"trade_id":"48079269","timestamp":1790000000250,"tick_direction":2,"price":8950.5,'
    '"mark_price":8948.9,"liquidation":"%s","instrument_name":"BTC-PERPETUAL","index_price":8955.88,"direction":"sell",'
    '"amount":10}'
)
CLOSED = {"symbol": "BTC-USD-PERP", "event_time": EXAMPLE_US, "price": "8950.5", "size": "10", "size_unit": "quote"}
CLOSED |= {"price_kind": "trade"}
MAKER = CLOSED | {"side": "buy", "liquidation_id": "48079269-maker"}
TAKER = CLOSED | {"side": "sell", "liquidation_id": "48079269-taker"}
TRADED = {"symbol": "BTC-USD-PERP", "trade_seq": 30289442, "side": "sell", "price": "8950.5", "size": "10"}
DERIBIT = [
    Example(
        "deribit",
        "quote",
        deribit(
            "quote.BTC-PERPETUAL",
            '{"timestamp":1790000000250,"instrument_name":"BTC-PERPETUAL","best_bid_price":3914.97,"best_bid_amount":40,'
            '"best_ask_price":3996.61,"best_ask_amount":50}',
        ),
        [
            DERIBIT_TOP
            | {"channel": "quote", "bid_price": "3914.97", "bid_size": "40", "ask_price": "3996.61", "ask_size": "50"}
        ],
    ),
    Example(
        "deribit", "ticker-quote", PERPETUAL, [DERIBIT_TOP | {"channel": "ticker", "bid_price": None, "bid_size": None}]
    ),
    Example(
        "deribit",
        "ticker-funding",
        PERPETUAL,
        [
            {"symbol": "BTC-USD-PERP", "event_time": EXAMPLE_US, "funding_rate": "0.000025", "interval_hours": 8}
            | {"mark_price": "36446.51", "index_price": "36441.64", "next_funding_at": None}
        ],
    ),
    Example(
        "deribit",
        "ticker-interest",
        PERPETUAL,
        [{"symbol": "BTC-USD-PERP", "event_time": EXAMPLE_US, "open_interest": "502097590", "size_unit": "quote"}],
    ),
    Example("deribit", "liquidations", deribit("trades.BTC-PERPETUAL.100ms", f"[{TRADE % 'M'}]"), [MAKER]),
    Example("deribit", "liquidations", deribit("trades.BTC-PERPETUAL.100ms", f"[{TRADE % 'T'}]"), [TAKER]),
    Example("deribit", "liquidations", deribit("trades.BTC-PERPETUAL.100ms", f"[{TRADE % 'MT'}]"), [MAKER, TAKER]),
    *(
        Example("deribit", "trades", deribit("trades.BTC-PERPETUAL.100ms", f"[{TRADE % who}]"), [TRADED])
        for who in ("M", "T", "MT")
    ),
    Example(
        "deribit",
        "chart",
        deribit(
            "chart.trades.BTC-PERPETUAL.1",
            '{"volume":0.05219351,"tick":1789999920000,"open":8869.79,"low":8788.25,"high":8870.31,"cost":460,"close":8791.25}',
        ),
        [
            {"symbol": "BTC-USD-PERP", "interval": "1m", "event_time": 1_789_999_920_000_000, "open": "8869.79"}
            | {"high": "8870.31", "low": "8788.25", "close": "8791.25", "volume": "0.05219351", "volume_quote": "460"}
        ],
    ),
]
EXAMPLES = [*BINANCE, *COINBASE, *KRAKEN, *OKX, *BYBIT, *DERIBIT]
