"""Bybit: v5 spot, linear, inverse and options; the legacy (v2) frames and pages of recordings.

Source:  https://bybit-exchange.github.io/docs/v5/market/recent-trade, .. /market/instrument, .. /market/kline
         https://bybit-exchange.github.io/docs/v5/websocket/public/trade, .. /ticker, .. /orderbook, .. /kline,
         .. /all-liquidation (stored sources: bybit-exchange/docs), https://bybit-exchange.github.io/docs/v5/ws/connect
Quirks:  One name in two categories: BTCUSDT is the linear perpetual and the spot pair. The category stands in the
         request or in the socket's address; we write spot names as spot:BTCUSDT. Legacy frames are of contracts only.
         v5 frames of spot lack `L` (direction of the price), which decides where the address is not known; so do those
         of options, which only the form of the name tells apart: that one case is read by a function, not a mapping.
         Trade ids are UUIDs, so nothing is numbered. REST answers only the newest trades: 60 for spot, 1,000 else; what
         lies before them cannot be had again, and overlap in time is the only proof of continuity.
         Sizes are in the base asset, but in USD for inverse contracts. `side` is the taker's.
         BTCPERP and BTC-26DEC25 are margined in USDC. BTCUSDU21 expires on the last Friday of September 2021.
         Frames of quotes, bars and tickers do not show their category: those that came from no known address are
         refused. `orderbook.1` sends a whole top as "snapshot", which is a quote, and may send one side as "delta",
         which is none without the frames before it: the book reads those. `u` starts again at 1 with the service, so
         quotes are named by `seq`, which does not. The stored pages differ in the depths that books have (50, 200,
         500 and 1000): 200 is in all of them. `tickers` says of linear and inverse contracts what has changed alone.
         `allLiquidation` names the side of the position: Buy is a long that was sold. Its price is the bankruptcy one.
         Legacy `trade_time_ms` is a text in linear and a number in inverse frames.
Limits:  600 requests in 5 seconds for each address; retCode 10006, or status 403, past that. Socket: 500 connections in
         5 minutes for each address, 10 names in one message (spot; 21,000 letters elsewhere), a ping every 20 seconds.
Samples: captures/cryptofeed/BYBIT.* (2021-04, legacy), captures/bybit-v5 (books only)
"""

import calendar
import datetime as dt
import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from tidelake.raw.frame import Frame
from tidelake.venues import bybit_books, symbols
from tidelake.venues.payloads import as_object, decode, each, exact, finished, interval_of, ms, request_query
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

PAGE, SPOT_PAGE = 1_000, 60
SPOT = "spot:"
LINEAR_QUOTES = ("USDT", "USDC", "USDE")
SPOT_QUOTES: tuple[str, ...] = ("USDT", "USDC", "USDE", "USD1", "USDQ", "USDR", "XUSD", "EUR", "EURC", "EURI", "EURQ")
SPOT_QUOTES += ("EURR", "GBP", "BTC", "ETH", "DAI", "BRZ", "BRL", "PLN", "TRY", "MNT", "BIT", "SOL", "USD")
QUARTERS = {"H": 3, "M": 6, "U": 9, "Z": 12}
INVERSE_FUTURE = re.compile(r"([A-Z0-9]+)USD([HMUZ])(\d{2})\Z")
DATED = re.compile(r"([A-Z0-9]+?)(USDT)?-(\d{1,2}[A-Z]{3}\d{2})\Z")
OPTION = re.compile(r"([A-Z0-9]+)-(\d{1,2}[A-Z]{3}\d{2})-(\d+(?:\.\d+)?)-([CP])(?:-(USDT))?\Z")
BARS = (("1m", "1"), ("5m", "5"), ("15m", "15"), ("1h", "60"), ("1d", "D"))
TOPIC = re.compile(r"topic:\s*([\w.-]+)")
RETRYABLE = frozenset({10000, 10006, 10016, 10018, 10429})


def last_friday(year: int, month: int) -> dt.date:
    """The day on which quarterly contracts expire."""
    day = dt.date(year, month, calendar.monthrange(year, month)[1])
    return day - dt.timedelta(days=(day.weekday() - calendar.FRIDAY) % 7)


def canonical(name: str) -> str:
    """`BTCUSDT` is BTC-USDT-PERP, `spot:BTCUSDT` BTC-USDT, `BTCUSD` BTC-USD-PERP, `BTCUSDU21` BTC-USD-20210924."""
    return symbols.canonical(_spot(name.removeprefix(SPOT)) if name.startswith(SPOT) else _contract(name))


def _spot(name: str) -> symbols.Symbol:
    return symbols.Symbol(*symbols.split_quote(name, SPOT_QUOTES))


def _contract(name: str) -> symbols.Symbol:
    if found := OPTION.match(name):
        base, day, strike, right, quote = found.groups()
        return symbols.Symbol(base, quote or "USDC", False, symbols.day_month_year(day), strike, right)
    if found := DATED.match(name):
        return symbols.Symbol(found[1], found[2] or "USDC", expiry=symbols.day_month_year(found[3]))
    if found := INVERSE_FUTURE.match(name):
        return symbols.Symbol(found[1], "USD", expiry=last_friday(2000 + int(found[3]), QUARTERS[found[2]]))
    if name.endswith("PERP") and len(name) > 4:
        return symbols.Symbol(name.removesuffix("PERP"), "USDC", perpetual=True)
    base, quote = symbols.split_quote(name, (*LINEAR_QUOTES, "USD"))
    return symbols.Symbol(base, quote, perpetual=True)


def venue_symbol(symbol: str) -> str:
    """The reverse of `canonical`; spot names carry their category."""
    parsed = symbols.parse(symbol)
    base, quote, expiry = parsed.base, parsed.quote, parsed.expiry
    if parsed.kind == "spot":
        return f"{SPOT}{base}{quote}"
    if parsed.kind == "perpetual":
        return f"{base}PERP" if quote == "USDC" else f"{base}{quote}"
    assert expiry is not None
    day = symbols.write_day_month_year(expiry)
    if parsed.kind == "option" and quote in ("USDC", "USDT"):
        return f"{base}-{day}-{parsed.strike}-{parsed.right}{'-USDT' if quote == 'USDT' else ''}"
    if parsed.kind == "future" and quote in ("USDC", "USDT"):
        return f"{base}{'USDT' if quote == 'USDT' else ''}-{day}"
    letter = next((letter for letter, month in QUARTERS.items() if month == expiry.month), "")
    if parsed.kind == "future" and quote == "USD" and letter and expiry == last_friday(expiry.year, expiry.month):
        return f"{base}USD{letter}{expiry:%y}"
    raise ValueError(f"bybit lists no {parsed.kind} {symbol!r}")


def category(name: str) -> str:
    """The category of one of the names that `venue_symbol` writes."""
    if name.startswith(SPOT):
        return "spot"
    if OPTION.match(name):
        return "option"
    return "inverse" if name.endswith("USD") or INVERSE_FUTURE.match(name) else "linear"


def qualified(name: str, in_category: str) -> str:
    """The venue's name in the form that `canonical` takes."""
    return f"{SPOT}{name}" if in_category == "spot" else name


def size_unit(name: str) -> str:
    """Inverse contracts are traded in USD, all else in the base asset."""
    return "quote" if category(name) == "inverse" else "base"


def newest(symbol: str) -> Request:
    """The only page there is."""
    kind, name = category(symbol), symbol.removeprefix(SPOT)
    limit = SPOT_PAGE if kind == "spot" else PAGE
    return Request(f"/v5/market/recent-trade?category={kind}&symbol={name}&limit={limit}")


def candle_page(symbol: str, interval: str, event_ns: int) -> Request:
    """1,000 bars from a start on; the newest ones at 0."""
    begin = f"&start={ms(event_ns)}" if event_ns else ""
    name, bar = symbol.removeprefix(SPOT), dict(BARS)[interval]
    return Request(f"/v5/market/kline?category={category(symbol)}&symbol={name}&interval={bar}{begin}&limit={PAGE}")


def _address_category(frame: Frame) -> str:
    found = (known for known in ("spot", "linear", "inverse", "option") if f"/public/{known}" in frame.request)
    return next(found, "")


def _unaddressed_trade(row: object) -> Record:
    found = as_object(row)
    is_spot = "L" not in found and not OPTION.match(found["s"])
    name = qualified(found["s"], "spot" if is_spot else "")
    return {**found, "symbol": name, "size_unit": size_unit(name)}


def trades_unaddressed(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """Trades of a v5 frame whose address names no category; nothing of any other frame."""
    message = decode(frame.payload)
    topic = message.get("topic")
    if isinstance(topic, str) and topic.startswith("publicTrade."):
        return each(message["data"], _unaddressed_trade)
    return ()


def _known_category(frame: Frame) -> str:
    if known := _address_category(frame):
        return known
    raise ValueError("the address that this frame came from names no category, and BTCUSDT is two products")


def _message(frame: Frame, topic: str) -> dict[str, Any]:
    """A v5 message; an empty one where it is of another topic."""
    message = decode(frame.payload)
    named = message.get("topic")
    return message if isinstance(named, str) and named.startswith(topic) else {}


def quotes(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """The best bid and ask of a snapshot of `orderbook.1`; nothing of a delta."""
    message = _message(frame, "orderbook.1.")
    return each([message] if message.get("type") == "snapshot" else [], partial(_quote, frame))


def _quote(frame: Frame, message: Any) -> Record:
    data = message["data"]
    name = qualified(data["s"], _known_category(frame))
    record: dict[str, object] = {"symbol": name, "size_unit": size_unit(name), "u": data["u"], "seq": data["seq"]}
    record["time"] = message.get("cts", message["ts"])
    for side in ("b", "a"):
        if data[side]:
            record[f"{side}_price"], record[f"{side}_size"] = data[side][0]
    return record


def _streamed_bar(frame: Frame, topic: str, row: Any) -> Record | None:
    if row["confirm"] is not True:
        return None
    _, interval, symbol = topic.split(".", 2)
    name = qualified(symbol, _known_category(frame))
    volume, turnover = row["volume"], row["turnover"]
    base, quote = (turnover, volume) if size_unit(name) == "quote" else (volume, turnover)
    bar = {key: row[key] for key in ("start", "open", "high", "low", "close")}
    return {"symbol": name, "interval": interval_of(BARS, interval), **bar, "volume": base, "quote": quote}


def candles_v5(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each bar of a frame that the venue calls confirmed."""
    message = _message(frame, "kline.")
    return each(message.get("data", []), partial(_streamed_bar, frame, message.get("topic", "")))


FUNDING = ("fundingRate", "nextFundingTime", "markPrice", "indexPrice", "fundingIntervalHour")


def _said_of_contract(frame: Frame, message: Any, wanted: tuple[str, ...]) -> Record | None:
    data = message["data"]
    if not any(data.get(key) for key in wanted):
        return None
    name = qualified(data["symbol"], _known_category(frame))
    value = "open_interest_base" if size_unit(name) == "quote" else "open_interest_quote"
    record = {**data, "symbol": name, "size_unit": size_unit(name), "ts": message["ts"]}
    return {**record, value: data.get("openInterestValue")}


def _tickers(frame: Frame, wanted: tuple[str, ...]) -> Iterable[Record | Unreadable]:
    message = _message(frame, "tickers.")
    return each([message] if message else [], partial(_said_of_contract, frame, wanted=wanted))


def funding(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """What a ticker says of funding, mark and index price; nothing of one that says none of it."""
    return _tickers(frame, FUNDING)


def open_interest(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """What a ticker says of open interest; its value is in quote, of inverse contracts in base."""
    return _tickers(frame, ("openInterest",))


def _liquidation(frame: Frame, row: Any) -> Record:
    name = qualified(row["s"], _known_category(frame))
    return {**row, "symbol": name, "size_unit": size_unit(name)}


def liquidations(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """The positions that a frame says were closed."""
    return each(_message(frame, "allLiquidation.").get("data", []), partial(_liquidation, frame))


def _bar(frame: Frame, name: str, interval: str, row: Any) -> Record | None:
    start, open_, high, low, close, volume, turnover = row
    if not finished(frame, start, interval):
        return None
    base, quote = (turnover, volume) if size_unit(name) == "quote" else (volume, turnover)
    bar = {"open": open_, "high": high, "low": low, "close": close, "volume": base, "quote": quote}
    return {"symbol": name, "interval": interval, "start": start, **bar}


def candles(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each finished bar; for inverse contracts the two volumes change places."""
    query, result = request_query(frame), decode(frame.payload)["result"]
    interval = interval_of(BARS, query["interval"])
    name = qualified(result["symbol"], result["category"])
    return each(result["list"], partial(_bar, frame, name, interval))


STATUS = {"Trading": "trading", "PreLaunch": "pre", "Delivering": "halted", "Closed": "delisted", "Settling": "halted"}


def _legacy_instrument(product: Any) -> Record:
    symbol = symbols.parse(canonical(product["name"]))
    return {
        "venue_symbol": product["name"],
        "kind": symbol.kind,
        "base": product["base_currency"],
        "quote": product["quote_currency"],
        "settle": product["base_currency"] if product["quote_currency"] == "USD" else product["quote_currency"],
        "tick_size": exact(product["price_filter"]["tick_size"]),
        "lot_size": exact(product["lot_size_filter"]["qty_step"]),
        "min_size": exact(product["lot_size_filter"]["min_trading_qty"]),
        "trading_status": STATUS[product["status"]],
    }


def instruments_legacy(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each symbol of the v2 list; `alias` names dated contracts by their day, `name` by month letter."""
    return each(decode(frame.payload)["result"], _legacy_instrument)


def _instrument(in_category: str, product: Any) -> Record:
    name = qualified(product["symbol"], in_category)
    lot = product["lotSizeFilter"]
    option = product.get("optionsType")
    found = OPTION.match(name)
    return {
        "venue_symbol": product["symbol"] if in_category != "spot" else name,
        "symbol": name,
        "kind": symbols.parse(canonical(name)).kind,
        "base": product["baseCoin"],
        "quote": product["quoteCoin"],
        "settle": product.get("settleCoin") or None,
        "tick_size": exact(product["priceFilter"]["tickSize"]),
        "lot_size": exact(lot.get("qtyStep") or lot.get("basePrecision")),
        "min_size": exact(lot["minOrderQty"]),
        "trading_status": STATUS[product["status"]],
        "listed_at": _time(product.get("launchTime")),
        "expires_at": _time(product.get("deliveryTime")),
        "strike": found[3] if found else None,
        "option_type": option.lower() if option else None,
    }


def instruments(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each instrument of a v5 list; `deliveryTime` is "0" for perpetuals."""
    result = decode(frame.payload)["result"]
    return each(result["list"], partial(_instrument, result["category"]))


def _time(text: str | None) -> str | None:
    return None if text in (None, "", "0") else text


class _List(msgspec.Struct):
    next_page: str = msgspec.field(default="", name="nextPageCursor")


class _Answer(msgspec.Struct):
    code: int = msgspec.field(default=0, name="retCode")
    text: str = msgspec.field(default="", name="retMsg")
    result: _List = msgspec.field(default_factory=_List)


def instruments_next(request: Request, body: bytes) -> Request | None:
    """The same request with the cursor of the next page; None after the last."""
    cursor = msgspec.json.decode(body, type=_Answer).result.next_page
    if not cursor:
        return None
    parts = urlsplit(request.path)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "cursor"]
    return Request(f"{parts.path}?{urlencode([*query, ('cursor', cursor)])}", request.weight)


class _Code(msgspec.Struct):
    code: int = msgspec.field(default=0, name="retCode")
    text: str = msgspec.field(default="", name="retMsg")


def refusal(body: bytes) -> tuple[str, bool] | None:
    """Any `retCode` but 0 is an error; it comes with status 200."""
    try:
        answer = msgspec.json.decode(body, type=_Code)
    except msgspec.MsgspecError:
        return None
    return (f"{answer.code} {answer.text}", answer.code in RETRYABLE) if answer.code else None


def topic(form: str) -> Callable[[str], tuple[str, ...]]:
    """The one topic of a symbol on a channel."""
    return lambda symbol: (f"{form}.{symbol.removeprefix(SPOT)}",)


def said(verb: str) -> Callable[[Sequence[str], int], bytes]:
    """A message to the socket, by verb."""
    return lambda names, request: json.dumps({"op": verb, "args": list(names), "req_id": str(request)}).encode()


class _Said(msgspec.Struct):
    success: bool
    op: str = ""
    text: str = msgspec.field(default="", name="ret_msg")
    request: str = msgspec.field(default="", name="req_id")


def socket_answer(payload: bytes) -> Answer | None:
    """A message is answered as a whole; a refusal names the first bad topic in its text."""
    try:
        found = msgspec.json.decode(payload, type=_Said)
    except msgspec.MsgspecError:
        return None
    request = int(found.request) if found.request.isdecimal() else -1
    if found.op == "ping" or found.text == "pong":
        return Answer("pong", request=request)
    if found.op == "subscribe" and found.success:
        return Answer("subscribed", request=request)
    if found.success:
        return None
    bad = TOPIC.search(found.text)
    return Answer("refused", names=(bad[1],) if bad else (), request=request, reason=found.text)


def _sockets(served: str) -> Sockets:
    channels = {
        "trades": topic("publicTrade"),
        "book": topic("orderbook.200"),
        "quotes": topic("orderbook.1"),
        "candles": topic("kline.1"),
    }
    if served != "spot":
        channels |= {"funding": topic("tickers"), "open_interest": topic("tickers")}
        channels["liquidations"] = topic("allLiquidation")
    return Sockets(
        url=f"wss://stream.bybit.com/v5/public/{served}",
        channels=channels,
        subscribe=said("subscribe"),
        unsubscribe=said("unsubscribe"),
        answer=socket_answer,
        answer_tokens=(b'"success":',),
        names_per_message=10,
        rate=Rate(weight=10, seconds=1.0),  # our choice, as the next: the documentation states none
        streams_per_connection=200,
        connects=Rate(weight=500, seconds=300.0),
        serves=lambda symbol, channel: category(symbol) == served and channel in channels,
        ping=b'{"op":"ping"}',
    )


INSTRUMENTS = "/v5/market/instruments-info?limit=1000&category="
VENUE = Venue(
    source="bybit",
    rest_url="https://api.bybit.com",
    rate=Rate(weight=600, seconds=5.0),
    canonical=canonical,
    venue_symbol=venue_symbol,
    size_unit=size_unit,
    numbered=False,
    trades=TradePages(order="latest", newest=newest, page_size=PAGE),
    candles=CandlePages(page=candle_page, intervals=tuple(ours for ours, _ in BARS), page_size=PAGE),
    instruments=tuple(Request(f"{INSTRUMENTS}{name}") for name in ("spot", "linear", "inverse", "option")),
    instruments_next=instruments_next,
    flatten={
        "trades_unaddressed": trades_unaddressed,
        "quotes": quotes,
        "candles_v5": candles_v5,
        "funding": funding,
        "open_interest": open_interest,
        "liquidations": liquidations,
        "candles": candles,
        "instruments_legacy": instruments_legacy,
        "instruments": instruments,
    },
    tokens={
        "trades_unaddressed": b'"publicTrade.',
        "quotes": b'"orderbook.1.',
        "candles_v5": b'"kline.',
        "funding": b'"tickers.',
        "open_interest": b'"tickers.',
        "liquidations": b'"allLiquidation.',
    },
    recording_names=("BYBIT",),
    refusal=refusal,
    books=bybit_books.BOOKS,
    sockets=tuple(_sockets(served) for served in ("spot", "linear", "inverse")),
)
