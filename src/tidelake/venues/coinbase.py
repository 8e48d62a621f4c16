"""Coinbase Exchange (formerly Coinbase Pro, GDAX), spot.

Source:  https://docs.cdp.coinbase.com/exchange/rest-api/requests (trades, products, candles, rate limits)
         https://docs.cdp.coinbase.com/exchange/websocket-feed/channels (match, last_match, ticker, level2_batch)
         https://docs.cdp.coinbase.com/exchange/websocket-feed/rate-limits
Quirks:  `side` of a trade is the resting order's, in frames and in pages; ours is the taker's, the other one.
         Pages come newest first; `after=X` answers trades older than X. `before=X` answers the newest page, not the
         one that follows X, so only `after` is walked.
         `trade_id` counts every trade of a product by one. A REST page does not name its product.
         `last_match` repeats, on subscription, a trade that may be hours old.
         `level2` asks for a key, `level2_batch` does not: the same frames, put together every 50 ms. It is confirmed
         under the name `level2_50`. Books carry no number of any kind.
         `ticker` comes with every match and its `sequence`; sizes of its quote are missing before 2022. No streamed
         candles. A message with one unknown product is refused whole, and the reason names the product.
         A candle is [start s, low, high, open, close, volume], newest first; bars without a trade are left out.
         `base_min_size` ended in 2022; since then `min_market_funds` alone bounds an order, so `min_size` is empty.
Limits:  10 requests a second for each address, public endpoints. Socket: 8 connections a second for each address, 100
         messages a second.
Samples: captures/cryptofeed/COINBASE.* (2021-04)
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import msgspec

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
from tidelake.venues.spec import (
    Answer,
    CandlePages,
    Context,
    Rate,
    Record,
    Request,
    Sockets,
    TradePages,
    Unreadable,
    Venue,
)
from tidelake.venues.stream_names import by_channel, named

PAGE = 1_000
CANDLES = 300
CONFIRMED = {"level2_50": "level2_batch"}  # the name in a confirmation, and the one that was asked for
UNKNOWN = re.compile(r"(\S+) is not a valid product")


def canonical(name: str) -> str:
    """`BTC-USD` is canonical already; anything but a spot pair is refused."""
    return symbols.spot_pair(name, "coinbase")


def newest(symbol: str) -> Request:
    """The newest page of trades."""
    return Request(f"/products/{symbol}/trades?limit={PAGE}")


def below(symbol: str, seq: int) -> Request:
    """The page of trades older than `seq`."""
    return Request(f"/products/{symbol}/trades?limit={PAGE}&after={seq}")


def bar_period(interval: str, event_ns: int, count: int) -> str:
    """The part of a query that asks for `count` bars from a start on; nothing for the newest, at 0."""
    step = INTERVAL_SECONDS[interval]
    start = event_ns // 1_000_000_000 // step * step
    return f"&start={start}&end={start + (count - 1) * step}" if event_ns else ""


def candle_page(symbol: str, interval: str, event_ns: int) -> Request:
    """300 bars from a start on; the newest 300 at 0."""
    period = bar_period(interval, event_ns, CANDLES)
    return Request(f"/products/{symbol}/candles?granularity={INTERVAL_SECONDS[interval]}{period}")


def trading_status(product: Any) -> str:
    """Our word for the status of a product, on the exchange or on Advanced, which alone says `is_disabled`."""
    match product["status"]:
        case "delisted":
            return "delisted"
        case "online" if product.get("trading_disabled") or product.get("is_disabled"):
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
        "trading_status": trading_status(product),
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


def said(verb: str) -> Callable[[Sequence[str], int], bytes]:
    """A message to the socket, by verb; requests are not numbered."""

    def message(names: Sequence[str], _: int) -> bytes:
        channels = [{"name": channel, "product_ids": found} for channel, found in by_channel(names).items()]
        return json.dumps({"type": verb, "channels": channels}).encode()

    return message


class _Channel(msgspec.Struct):
    name: str
    product_ids: list[str] = []


class _Said(msgspec.Struct):
    type: str
    channels: list[_Channel] = []
    message: str = ""
    reason: str = ""


def socket_answer(payload: bytes) -> Answer | None:
    """`subscriptions` lists all that is subscribed now; `error` refuses a message."""
    try:
        found = msgspec.json.decode(payload, type=_Said)
    except msgspec.MsgspecError:
        return None
    if found.type == "subscriptions":
        names = [(CONFIRMED.get(c.name, c.name), product) for c in found.channels for product in c.product_ids]
        return Answer("subscribed", names=tuple(f"{channel}:{product}" for channel, product in names))
    if found.type != "error":
        return None
    unknown = UNKNOWN.search(found.reason)
    refused = tuple(name for make in CHANNELS.values() for name in make(unknown[1])) if unknown else ()
    return Answer("refused", names=refused, reason=f"{found.message}: {found.reason}")


CHANNELS = {"trades": named("matches"), "book": named("level2_batch"), "quotes": named("ticker")}
SOCKETS = Sockets(
    url="wss://ws-feed.exchange.coinbase.com",
    channels=CHANNELS,
    subscribe=said("subscribe"),
    unsubscribe=said("unsubscribe"),
    answer=socket_answer,
    answer_tokens=(b'"subscriptions"', b'"error"'),
    names_per_message=100,  # our choice, as the next but two
    rate=Rate(weight=100, seconds=1.0),
    streams_per_connection=300,
    connects=Rate(weight=8, seconds=1.0),
    always=("heartbeat:BTC-USD",),
)

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
    sockets=(SOCKETS,),
)
