"""Tardis: one gzip CSV a table, exchange, symbol and day.

Source:  https://docs.tardis.dev/downloadable-csv-files (data types, and "How to reconstruct the order book" in the FAQ)
Quirks:  Clocks are us since 1970; `timestamp` is `local_timestamp` where the exchange tells none.
         Rows of one message share `local_timestamp`: only where it changes the book is whole.
         Where `is_snapshot` turns true the book is to be thrown away: the day begins, or the connection was made anew.
         Two such books may follow one another: the second begins where a later clock tells a price again.
         Rows before the first snapshot are to be left out. Nothing numbers the messages: a lost one does not show.
         `book_snapshot_25` is made by the vendor from the same deltas, after every message that changes those levels.
         The first day of each month is free; other days want a key.
Samples: written by `tidelake export --to tardis`.
"""

import datetime as dt

from tidelake.vendors.spec import ASK, BID, Field, Levels, Vendor, VendorTable
from tidelake.venues import registry

DEPTH = 25
EXCHANGES = {
    "binance": ("binance-spot",),
    "binance-futures": ("binance-usdm",),
    "binance-delivery": ("binance-coinm",),
    "bybit": ("bybit",),
    "bybit-spot": ("bybit",),
    "coinbase": ("coinbase",),
    "deribit": ("deribit",),
    "kraken": ("kraken",),
    "okex": ("okx",),
    "okex-swap": ("okx",),
    "okex-futures": ("okx",),
    "bitfinex": ("bitfinex",),
    "bitmex": ("bitmex",),
}

# What an exchange lists, where the vendor has several names for one.
SPOT, PERPETUAL, DATED, OTHER = "spot", "perpetual", "dated", "other"
LISTED = {
    "bybit": (PERPETUAL, DATED, OTHER),
    "bybit-spot": (SPOT,),
    "okex": (SPOT,),
    "okex-swap": (PERPETUAL,),
    "okex-futures": (DATED,),
}

PLACE = (Field("exchange", ("exchange",), "text"), Field("symbol", ("symbol",), "text"))
CLOCKS = (Field("event_time", ("timestamp",), "time"), Field("recv_time", ("local_timestamp",), "time"))


def symbol(source: str, name: str) -> str:
    """The canonical symbol of the exchange's own."""
    return registry.venue(source).canonical(name)


def vendor_symbol(source: str, name: str) -> str:
    """The exchange's own symbol, in capitals, of a canonical one."""
    return registry.venue(source).venue_symbol(name).upper()


def lists(exchange: str, name: str) -> bool:
    """Whether it lists a product of that canonical symbol."""
    parts = name.split("-")
    dated = DATED if len(parts) == 3 else OTHER
    kind = SPOT if len(parts) == 2 else PERPETUAL if parts[-1] == "PERP" else dated
    return kind in LISTED.get(exchange, (kind,))


def key(table: str, exchange: str, name: str, day: dt.date) -> str:
    """The one file of a day."""
    return f"{exchange}/{table}/{day:%Y/%m/%d}/{name}.csv.gz"


def level_column(side: str, level: int, what: str) -> str:
    """`bids[0].amount`."""
    return f"{side}s[{level}].{'amount' if what == 'size' else what}"


TRADES = VendorTable(
    name="trades",
    role="trades",
    unit="us",
    fields=(
        *PLACE,
        *CLOCKS,
        Field("trade_id", ("id",), "text", required=False),
        Field("side", ("side",), "side", values={"buy": "buy", "sell": "sell", "unknown": "unknown"}),
        Field("price", ("price",), "number"),
        Field("size", ("amount",), "number"),
    ),
)
INCREMENTAL_BOOK = VendorTable(
    name="incremental_book_L2",
    role="deltas",
    unit="us",
    fields=(
        *PLACE,
        *CLOCKS,
        Field("is_snapshot", ("is_snapshot",), "flag"),
        Field("side", ("side",), "side", values={"bid": BID, "ask": ASK}),
        Field("price", ("price",), "number"),
        Field("size", ("amount",), "number"),
    ),
    message=("recv_time", "is_snapshot"),
)
BOOK_SNAPSHOT = VendorTable(
    name="book_snapshot_25",
    role="snapshots",
    unit="us",
    fields=(*PLACE, *CLOCKS),
    levels=Levels(DEPTH, level_column, of_deltas=True),
)

VENDOR = Vendor(
    name="tardis",
    form="csv",
    tables={table.name: table for table in (TRADES, INCREMENTAL_BOOK, BOOK_SNAPSHOT)},
    exchanges=EXCHANGES,
    symbol=symbol,
    vendor_symbol=vendor_symbol,
    key=key,
    lists=lists,
    url="https://datasets.tardis.dev/v1/",
    secret="TARDIS_API_KEY",
)
