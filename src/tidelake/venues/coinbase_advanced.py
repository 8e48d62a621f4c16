"""Coinbase Advanced Trade, spot: the other interface to the matching of Coinbase Exchange.

Source:  https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
         https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/advanced-trade-asyncapi.json
         https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/rest-api (public market data)
Quirks:  `side` of a trade is taken for the resting order's, as on Coinbase Exchange: the stored documentation does not
         say whose it is, and other clients that turn it round are the only witnesses (nautilus-coinbase).
         `sequence_num` counts the messages of a connection over all its channels, from 0. The channel `level2` comes
         under the name `l2_data`. A quote has no number: `ticker` comes with every match, its time is the message's.
         Products in USDC are streamed as those in USD. Candles are of five minutes and told while they grow: a bar
         becomes a row when it is told after its end, as in the snapshot that answers a subscription.
         Channels end after 60 to 90 silent seconds unless `heartbeats` is subscribed too. `client_id` and the type of
         `heartbeat_counter` differ between the two pages above. Futures have no canonical name here and are left out.
Limits:  10 public requests a second for each address. Socket: 8 messages a second without a key, 750 connections a
         second; streams for each connection and names for each message are not stated.
Samples: none recorded
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import msgspec

from tidelake.raw.frame import Frame
from tidelake.venues import coinbase_books, symbols
from tidelake.venues.coinbase import bar_period, trading_status
from tidelake.venues.payloads import (
    as_object,
    decode,
    each,
    exact,
    finished,
    interval_of,
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
from tidelake.venues.stream_names import by_channel, channel_of, named

PAGE = 1_000
CANDLES = 350
GRANULARITY = (
    ("1m", "ONE_MINUTE"),
    ("5m", "FIVE_MINUTE"),
    ("15m", "FIFTEEN_MINUTE"),
    ("1h", "ONE_HOUR"),
    ("1d", "ONE_DAY"),
)
STREAMED = "5m"
PRODUCT = re.compile(r"[A-Z0-9]+-[A-Z0-9]+")


def canonical(name: str) -> str:
    """`BTC-USD` is canonical already; anything but a spot pair is refused."""
    return symbols.spot_pair(name, "coinbase-advanced")


def newest(symbol: str) -> Request:
    """The newest trades."""
    return Request(f"/api/v3/brokerage/market/products/{symbol}/ticker?limit={PAGE}")


def candle_page(symbol: str, interval: str, event_ns: int) -> Request:
    """350 bars from a start on; the newest ones at 0."""
    asked = dict(GRANULARITY)[interval] + bar_period(interval, event_ns, CANDLES)
    return Request(f"/api/v3/brokerage/market/products/{symbol}/candles?granularity={asked}")


def _events(message: dict[str, Any], part: str) -> list[Any]:
    """All items of a message, whatever event they stand in."""
    return [item for event in message["events"] for item in event[part]]


def _quote(time: object, row: Any) -> Record:
    return {**as_object(row), "time": time}


def quotes(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """The best bid and ask of each ticker of a frame, with the frame's time."""
    message = decode(frame.payload)
    return each(_events(message, "tickers"), partial(_quote, message["timestamp"]))


def _bar(frame: Frame, interval: str, row: Any) -> Record | None:
    return {**row, "interval": interval} if finished(frame, whole(row["start"]) * 1_000, interval) else None


def candles(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each bar of a frame that had ended."""
    return each(_events(decode(frame.payload), "candles"), partial(_bar, frame, STREAMED))


def candles_page(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each finished bar of a page; the interval stands in the request."""
    interval = interval_of(GRANULARITY, request_query(frame)["granularity"])
    return each(decode(frame.payload)["candles"], partial(_bar, frame, interval))


def _instrument(product: Any) -> Record | None:
    if product["product_type"] != "SPOT":
        return None
    return {
        "venue_symbol": product["product_id"],
        "kind": "spot",
        "base": product["base_currency_id"],
        "quote": product["quote_currency_id"],
        "tick_size": exact(product["price_increment"]),
        "lot_size": exact(product["base_increment"]),
        "min_size": exact(product["base_min_size"]),
        "trading_status": trading_status(product),
    }


def instruments(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each spot product."""
    return each(decode(frame.payload)["products"], _instrument)


class _Error(msgspec.Struct):
    error: str = ""
    message: str = ""


def refusal(body: bytes) -> tuple[str, bool] | None:
    """An object with `error` is an error."""
    try:
        answer = msgspec.json.decode(body, type=_Error)
    except msgspec.MsgspecError:
        return None
    return (f"{answer.error} {answer.message}", False) if answer.error else None


def said(verb: str) -> Callable[[Sequence[str], int], bytes]:
    """A message to the socket, by verb: one channel, some products; requests are not numbered."""

    def message(names: Sequence[str], _: int) -> bytes:
        ((channel, products),) = by_channel(names).items()
        listed = {"product_ids": products} if products != [""] else {}
        return json.dumps({"type": verb, "channel": channel, **listed}).encode()

    return message


class _Subscriptions(msgspec.Struct):
    subscriptions: dict[str, list[str]] = {}


class _Said(msgspec.Struct):
    channel: str = ""
    type: str = ""
    message: str = ""
    events: list[_Subscriptions] = []


def _names(channel: str, listed: list[str]) -> list[str]:
    return [f"{channel}:"] if channel == "heartbeats" else [f"{channel}:{product}" for product in listed]


def socket_answer(payload: bytes) -> Answer | None:
    """`subscriptions` lists all that is subscribed now; an `error` refuses a message, and may name the product."""
    try:
        found = msgspec.json.decode(payload, type=_Said)
    except msgspec.MsgspecError:
        return None
    if found.channel == "subscriptions":
        names = [name for event in found.events for pair in event.subscriptions.items() for name in _names(*pair)]
        return Answer("subscribed", names=tuple(names))
    if found.type != "error":
        return None
    named_products = PRODUCT.findall(found.message)
    refused = tuple(name for product in named_products for make in CHANNELS.values() for name in make(product))
    return Answer("refused", names=refused, reason=found.message)


CHANNELS = {
    "trades": named("market_trades"),
    "book": named("level2"),
    "quotes": named("ticker"),
    "candles": named("candles"),
}
SOCKETS = Sockets(
    url="wss://advanced-trade-ws.coinbase.com",
    channels=CHANNELS,
    subscribe=said("subscribe"),
    unsubscribe=said("unsubscribe"),
    answer=socket_answer,
    answer_tokens=(b'"subscriptions"', b'"error"'),
    names_per_message=50,  # our choice, as the next but two
    rate=Rate(weight=8, seconds=1.0),
    streams_per_connection=200,
    connects=Rate(weight=750, seconds=1.0),
    group=channel_of,
    always=("heartbeats:",),
)

VENUE = Venue(
    source="coinbase-advanced",
    rest_url="https://api.coinbase.com",
    rate=Rate(weight=10, seconds=1.0),
    canonical=canonical,
    venue_symbol=canonical,
    numbered=True,
    trades=TradePages(order="latest", newest=newest, page_size=PAGE),
    candles=CandlePages(page=candle_page, intervals=tuple(ours for ours, _ in GRANULARITY), page_size=CANDLES),
    instruments=(Request("/api/v3/brokerage/market/products?product_type=SPOT"),),
    flatten={
        "quotes": quotes,
        "candles": candles,
        "candles_page": candles_page,
        "instruments": instruments,
    },
    recording_names=("COINBASE_ADVANCED",),
    refusal=refusal,
    sockets=(SOCKETS,),
    books=coinbase_books.ADVANCED,
)
