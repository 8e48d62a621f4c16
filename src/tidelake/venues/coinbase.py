"""Coinbase Exchange (formerly Coinbase Pro, GDAX), spot.

Source:  https://docs.cdp.coinbase.com/exchange/rest-api/requests (trades, products, candles, rate limits)
         https://docs.cdp.coinbase.com/exchange/websocket-feed/channels (match, last_match)
Quirks:  `side` of a trade is the resting order's, in frames and in pages; ours is the taker's, the other one.
         Pages come newest first; `after=X` answers trades older than X. `before=X` answers the newest page, not the
         one that follows X, so only `after` is walked.
         `trade_id` counts every trade of a product by one. A REST page does not name its product.
         `last_match` repeats, on subscription, a trade that may be hours old.
         A candle is [start s, low, high, open, close, volume], newest first; bars without a trade are left out.
         `base_min_size` ended in 2022; since then `min_market_funds` alone bounds an order, so `min_size` is empty.
Limits:  10 requests a second for each address, public endpoints.
Samples: captures/cryptofeed/COINBASE.* (2021-04)
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

from tidelake.raw.frame import Frame
from tidelake.venues import coinbase_books, symbols
from tidelake.venues.payloads import (
    INTERVAL_SECONDS,
    decode,
    each,
    exact,
    finished,
    interval_of,
    request_path,
    request_query,
    whole,
)
from tidelake.venues.spec import CandlePages, Context, Rate, Record, Request, TradePages, Unreadable, Venue

PAGE = 1_000
CANDLES = 300


def canonical(name: str) -> str:
    """`BTC-USD` is canonical already; anything but a spot pair is refused."""
    parsed = symbols.parse(name)
    if parsed.kind != "spot":
        raise ValueError(f"coinbase lists no {parsed.kind} {name!r}")
    return symbols.canonical(parsed)


def newest(symbol: str) -> Request:
    """The newest page of trades."""
    return Request(f"/products/{symbol}/trades?limit={PAGE}")


def below(symbol: str, seq: int) -> Request:
    """The page of trades older than `seq`."""
    return Request(f"/products/{symbol}/trades?limit={PAGE}&after={seq}")


def candle_page(symbol: str, interval: str, event_ns: int) -> Request:
    """300 bars from a start on; the newest 300 at 0."""
    step = INTERVAL_SECONDS[interval]
    start = event_ns // 1_000_000_000 // step * step
    period = f"&start={start}&end={start + (CANDLES - 1) * step}" if event_ns else ""
    return Request(f"/products/{symbol}/candles?granularity={step}{period}")


def _status(product: Any) -> str:
    match product["status"]:
        case "delisted":
            return "delisted"
        case "online" if product.get("trading_disabled"):
            return "halted"
        case "online":
            return "trading"
        case "offline":
            return "halted"
        case "internal":
            return "pre"
        case other:
            raise ValueError(f"product status {other!r} is unknown")


def _instrument(product: Any) -> Record:
    return {
        "venue_symbol": product["id"],
        "kind": "spot",
        "base": product["base_currency"],
        "quote": product["quote_currency"],
        "tick_size": exact(product["quote_increment"]),
        "lot_size": exact(product["base_increment"]),
        "min_size": exact(product.get("base_min_size")),
        "trading_status": _status(product),
    }


def instruments(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each product."""
    if not request_path(frame).endswith("/products"):
        return ()
    return each(decode(frame.payload), _instrument)


def _bar(frame: Frame, interval: str, row: Any) -> Record | None:
    start, low, high, open_, close, volume = row
    if not finished(frame, whole(start) * 1_000, interval):
        return None
    bar = {"open": open_, "high": high, "low": low, "close": close, "volume": volume}
    return {"interval": interval, "start": start, **bar}


def candles(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each finished bar; the interval stands in the request."""
    steps = ((name, str(step)) for name, step in INTERVAL_SECONDS.items())
    interval = interval_of(steps, request_query(frame)["granularity"])
    return each(decode(frame.payload), partial(_bar, frame, interval))


VENUE = Venue(
    source="coinbase",
    rest_url="https://api.exchange.coinbase.com",
    rate=Rate(weight=10, seconds=1.0),
    canonical=canonical,
    venue_symbol=canonical,
    numbered=True,
    trades=TradePages(order="backward", newest=newest, below=below, page_size=PAGE),
    candles=CandlePages(page=candle_page, intervals=tuple(INTERVAL_SECONDS), page_size=CANDLES),
    instruments=(Request("/products"),),
    flatten={"instruments": instruments, "candles": candles},
    recording_names=("COINBASE",),
    books=coinbase_books.EXCHANGE,
)
