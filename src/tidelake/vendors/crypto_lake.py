"""Crypto Lake: Parquet files in folders by table, exchange, symbol and day.

Source:  https://github.com/crypto-lake/lake-api (lakeapi 0.22.3: `load_data`, `orderbook.OrderBookUpdater`)
Quirks:  Numbers are float64: the decimal that was meant is the shortest one that reads back as the same double.
         Clocks are ns since 1970, as integers in some files and as timestamps in others. `origin_time` is empty (null,
         0 or -1) where the exchange tells none; `received_time` is the recorder's.
         Files of other years call columns `timestamp`, `receipt_timestamp`, `amount`, `id`.
         `book_delta_v2` has one row per level, size 0 removes it. All rows of a message share `received_time` and
         `sequence_number`, which is the last update id of the message where the exchange has ids: nothing says with
         which id it begins, so of an exchange whose ids jump a lost message does not show by them.
         A day of deltas does not begin with the whole book by any documented promise: a replay needs `book`.
         `book` holds the best 20 levels of each side, at most once in 100 ms.
         `trades` are those that the exchange's public stream told; `side` is the taker's.
Samples: written by `tidelake export --to crypto-lake`.
"""

import datetime as dt

from tidelake.vendors.spec import ASK, BID, Field, Levels, Vendor, VendorTable
from tidelake.venues import registry

DEPTH = 20
INTERVAL_NS = 100_000_000
EXCHANGES = {
    "BINANCE": ("binance-spot",),
    "BINANCE_FUTURES": ("binance-usdm", "binance-coinm"),
    "BINANCE_DELIVERY": ("binance-coinm",),
    "BYBIT": ("bybit",),
    "COINBASE": ("coinbase",),
    "DERIBIT": ("deribit",),
    "KRAKEN": ("kraken",),
    "OKX": ("okx",),
    "BITFINEX": ("bitfinex",),
    "BITMEX": ("bitmex",),
}

EVENT_TIME = Field("event_time", ("origin_time", "timestamp"), "time", required=False)
RECV_TIME = Field("recv_time", ("received_time", "receipt_timestamp"), "time")
SEQUENCE = Field("sequence", ("sequence_number",), "sequence", required=False)
PLACE = (Field("exchange", ("exchange",), "text", required=False), Field("symbol", ("symbol",), "text", required=False))


def symbol(source: str, name: str) -> str:
    """The canonical symbol of Lake's, which is canonical already.

    Raises:
        ValueError: It is not, or the source is not the one that lists such products.
    """
    return registry.venue(source).canonical(registry.venue(source).venue_symbol(name))


def vendor_symbol(source: str, name: str) -> str:
    """Lake's symbol of a canonical one."""
    return symbol(source, name)


def key(table: str, exchange: str, name: str, day: dt.date) -> str:
    """The folder of a day's files."""
    return f"{table}/exchange={exchange}/symbol={name}/dt={day}/"


def level_column(side: str, level: int, what: str) -> str:
    """`bid_0_price`."""
    return f"{side}_{level}_{what}"


TRADES = VendorTable(
    name="trades",
    role="trades",
    unit="ns",
    grain="aggregate",
    fields=(
        EVENT_TIME,
        RECV_TIME,
        Field("side", ("side",), "side", values={"buy": "buy", "sell": "sell"}),
        Field("price", ("price",), "number"),
        Field("size", ("quantity", "amount"), "number"),
        Field("trade_id", ("trade_id", "id"), "text", required=False),
        *PLACE,
    ),
)
BOOK = VendorTable(
    name="book",
    role="snapshots",
    unit="ns",
    fields=(EVENT_TIME, RECV_TIME, SEQUENCE, *PLACE),
    levels=Levels(DEPTH, level_column),
)
BOOK_DELTA = VendorTable(
    name="book_delta_v2",
    role="deltas",
    unit="ns",
    fields=(
        EVENT_TIME,
        RECV_TIME,
        SEQUENCE,
        Field("side", ("side_is_bid",), "side", values={"true": BID, "false": ASK}),
        Field("price", ("price",), "number"),
        Field("size", ("size",), "number"),
        *PLACE,
    ),
    message=("sequence", "recv_time"),
)

VENDOR = Vendor(
    name="crypto-lake",
    form="parquet",
    tables={table.name: table for table in (TRADES, BOOK, BOOK_DELTA)},
    exchanges=EXCHANGES,
    symbol=symbol,
    vendor_symbol=vendor_symbol,
    key=key,
)
