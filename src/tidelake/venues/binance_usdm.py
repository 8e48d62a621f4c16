"""Binance USD-M futures: linear perpetuals and dated futures.

Source:  https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Exchange-Information
         https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
         .. /websocket-market-streams/Important-WebSocket-Change-Notice (addresses by kind of stream, 2026-03-06)
Quirks:  Sizes are in the base asset. `m` true is a taker that sold. `trade` frames (not in the documentation, but
         served) count by one; `X` says MARKET, or INSURANCE_FUND and ADL, which are trades as well.
         Since 2026-04-23 order books and book tickers come from /public alone, klines, mark prices and liquidations
         from /market alone; the other address confirms a subscription and stays silent. Of `trade` the notice does not
         speak: reports of 2026 (BYTEX-TRADE/bytex issue 7, binance-futures-connector-python issue 261) saw it on
         /public, while ccxt asks for it on /market.
         `markPrice` tells the rate of the coming settlement but not its period; dated contracts have the time 0.
         `forceOrder` tells the largest order of each second at most. Open interest is not streamed.
         `BTCUSDT` is the perpetual, `BTCUSDT_210924` the dated one. A perpetual's delivery date is 2100-12-25: none.
Limits:  weight 2,400 a minute for each address. Socket: 10 messages a second and 1,024 streams on one connection, 24
         hours; new connections as on spot, which the futures pages do not state.
Samples: captures/cryptofeed/BINANCE_FUTURES.* (2021-07), captures/hftbacktest-2024-08/usdm
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

from tidelake.raw.frame import Frame
from tidelake.venues import binance_books, symbols
from tidelake.venues.binance_spot import binance_sockets, grid, refusal, stream
from tidelake.venues.payloads import decode, each
from tidelake.venues.spec import Context, Poll, Rate, Record, Request, Unreadable, Venue

QUOTES = ("USDT", "USDC", "BUSD", "FDUSD", "USD1", "BTC", "ETH", "U")
NEVER_MS = 4_133_404_800_000  # what a perpetual gives as its delivery date
STATUS = {"TRADING": "trading", "PENDING_TRADING": "pre", "PRE_DELIVERING": "halted", "DELIVERING": "halted"}
STATUS |= {"DELIVERED": "delisted", "PRE_SETTLE": "halted", "SETTLING": "halted", "CLOSE": "delisted"}


def canonical(name: str) -> str:
    """`BTCUSDT` is BTC-USDT-PERP, `BTCUSDT_210924` is BTC-USDT-20210924."""
    pair, _, day = name.partition("_")
    base, quote = symbols.split_quote(pair, QUOTES)
    if day:
        return symbols.canonical(symbols.Symbol(base, quote, expiry=symbols.six_digit_day(day)))
    return symbols.canonical(symbols.Symbol(base, quote, perpetual=True))


def venue_symbol(symbol: str) -> str:
    """The reverse of `canonical`."""
    parsed = symbols.parse(symbol)
    if parsed.kind == "perpetual":
        return parsed.base + parsed.quote
    if parsed.kind == "future" and parsed.expiry:
        return f"{parsed.base}{parsed.quote}_{parsed.expiry:%y%m%d}"
    raise ValueError(f"binance-usdm lists no {parsed.kind} {symbol!r}")


def contract(product: Any, *, dated: bool) -> Record:
    """What the lists of USD-M and of COIN-M contracts say alike."""
    return {
        "venue_symbol": product["symbol"],
        "kind": "future" if dated else "perpetual",
        "base": product["baseAsset"],
        "quote": product["quoteAsset"],
        "settle": product["marginAsset"],
        "listed_at": product["onboardDate"],
        "expires_at": product["deliveryDate"] if dated else None,
        **grid(product),
    }


def _instrument(product: Any) -> Record:
    return {
        **contract(product, dated=product["deliveryDate"] < NEVER_MS and "_" in product["symbol"]),
        "contract_size": 1,
        "contract_unit": product["baseAsset"],
        "trading_status": STATUS[product["status"]],
    }


def instruments(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each contract of exchangeInfo."""
    return each(decode(frame.payload)["symbols"], _instrument)


def book_page(symbol: str) -> Request:
    """1,000 levels of each side, the most there are."""
    return Request(f"/fapi/v1/depth?symbol={symbol}&limit=1000", weight=20)


def open_interest_page(symbol: str) -> Request:
    """Open interest now: no stream tells it."""
    return Request(f"/fapi/v1/openInterest?symbol={symbol}")


futures_sockets = partial(binance_sockets, rate=Rate(weight=10, seconds=1.0))
PUBLIC = futures_sockets(
    url="wss://fstream.binance.com/public/stream",
    channels={"trades": stream("trade"), "book": stream("depth@100ms"), "quotes": stream("bookTicker")},
    book_page=book_page,
    audit_page=book_page,
)
MARKET = futures_sockets(
    url="wss://fstream.binance.com/market/stream",
    channels={
        "candles": stream("kline_1m"),
        "funding": stream("markPrice@1s"),
        "liquidations": stream("forceOrder"),
    },
    always=("btcusdt@markPrice",),  # liquidations may stay away for hours: this shows that the connection lives
    polled={"open_interest": Poll(open_interest_page, 60.0)},  # our choice: it weighs 1
)

VENUE = Venue(
    source="binance-usdm",
    rest_url="https://fapi.binance.com",
    rate=Rate(weight=2_400, seconds=60.0),
    canonical=canonical,
    venue_symbol=venue_symbol,
    numbered=True,
    instruments=(Request("/fapi/v1/exchangeInfo"),),
    flatten={"instruments": instruments},
    recording_names=("BINANCE_FUTURES",),
    refusal=refusal,
    books=binance_books.feed(futures=True),
    sockets=(PUBLIC, MARKET),
)
