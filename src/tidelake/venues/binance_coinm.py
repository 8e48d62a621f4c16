"""Binance COIN-M futures: inverse perpetuals and dated futures.

Source:  https://developers.binance.com/docs/derivatives/coin-margined-futures/market-data/rest-api/Exchange-Information
         https://developers.binance.com/docs/derivatives/coin-margined-futures/websocket-market-streams
Quirks:  Sizes are contracts: 100 USD each for BTC, 10 USD for the others (`contractSize`). `m` true is a taker
         that sold.
         A bar's `v` counts contracts and its `q` the base asset: `volume` is the former. All streams have one address
         (that of USD-M was split in 2026, this one was not). Dated contracts say no funding rate, and the time 0.
         `forceOrder` tells the largest order of each second at most. Open interest is not streamed.
         `BTCUSD_PERP` is the perpetual, `BTCUSD_210924` the dated one.
Limits:  weight 2,400 a minute for each address. Socket: 10 messages a second and 1,024 streams on one connection, 24
         hours; new connections as on spot, which the futures pages do not state.
Samples: captures/hftbacktest-2024-08/cm
"""

from collections.abc import Iterable
from typing import Any

from tidelake.raw.frame import Frame
from tidelake.venues import binance_books, symbols
from tidelake.venues.binance_spot import refusal, stream
from tidelake.venues.binance_usdm import STATUS, contract, futures_sockets
from tidelake.venues.payloads import decode, each
from tidelake.venues.spec import Context, Poll, Rate, Record, Request, Unreadable, Venue


def canonical(name: str) -> str:
    """`BTCUSD_PERP` is BTC-USD-PERP, `BTCUSD_210924` is BTC-USD-20210924."""
    pair, _, term = name.partition("_")
    base, quote = symbols.split_quote(pair, ("USD",))
    if term == "PERP":
        return symbols.canonical(symbols.Symbol(base, quote, perpetual=True))
    return symbols.canonical(symbols.Symbol(base, quote, expiry=symbols.six_digit_day(term)))


def venue_symbol(symbol: str) -> str:
    """The reverse of `canonical`."""
    parsed = symbols.parse(symbol)
    if parsed.quote == "USD" and parsed.kind == "perpetual":
        return f"{parsed.base}USD_PERP"
    if parsed.quote == "USD" and parsed.kind == "future" and parsed.expiry:
        return f"{parsed.base}USD_{parsed.expiry:%y%m%d}"
    raise ValueError(f"binance-coinm lists no {symbol!r}")


def _instrument(product: Any) -> Record:
    return {
        **contract(product, dated=not product["symbol"].endswith("_PERP")),
        "contract_size": product["contractSize"],
        "contract_unit": product["quoteAsset"],
        "trading_status": STATUS[product["contractStatus"]],
    }


def instruments(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each contract of exchangeInfo."""
    return each(decode(frame.payload)["symbols"], _instrument)


def book_page(symbol: str) -> Request:
    """1,000 levels of each side, the most there are."""
    return Request(f"/dapi/v1/depth?symbol={symbol}&limit=1000", weight=20)


def open_interest_page(symbol: str) -> Request:
    """Open interest now: no stream tells it."""
    return Request(f"/dapi/v1/openInterest?symbol={symbol}")


SOCKETS = futures_sockets(
    url="wss://dstream.binance.com/stream",
    channels={
        "trades": stream("trade"),
        "book": stream("depth@100ms"),
        "quotes": stream("bookTicker"),
        "candles": stream("kline_1m"),
        "funding": stream("markPrice@1s"),
        "liquidations": stream("forceOrder"),
    },
    always=("btcusd_perp@markPrice",),  # liquidations may stay away for hours: this shows that the connection lives
    polled={"open_interest": Poll(open_interest_page, 60.0)},  # our choice: it weighs 1
    book_page=book_page,
    audit_page=book_page,
)

VENUE = Venue(
    source="binance-coinm",
    rest_url="https://dapi.binance.com",
    rate=Rate(weight=2_400, seconds=60.0),
    canonical=canonical,
    venue_symbol=venue_symbol,
    numbered=True,
    instruments=(Request("/dapi/v1/exchangeInfo"),),
    flatten={"instruments": instruments},
    recording_names=("BINANCE_DELIVERY",),
    refusal=refusal,
    books=binance_books.feed(futures=True),
    sockets=(SOCKETS,),
)
