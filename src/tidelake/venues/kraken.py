r"""Kraken, spot: WebSocket v1 and v2, REST.

Source:  https://docs.kraken.com/api/docs/rest-api/get-recent-trades (Trades, OHLC, AssetPairs)
         https://docs.kraken.com/api/docs/websocket-v1/trade, https://docs.kraken.com/api/docs/websocket-v2/trade
         https://docs.kraken.com/api/docs/websocket-v1/book, https://docs.kraken.com/exchange/api-reference/spot-websocket-v2/book
         https://docs.kraken.com/exchange/guides/websockets/book-checksum-v2
         https://docs.kraken.com/exchange/api-reference/spot-websocket-v2/ticker, .. /ohlc, .. /book, .. /ping
Quirks:  Three spellings of one pair: XXBTZUSD (key of REST answers), XBTUSD (`altname`, what REST takes) and XBT/USD
         (`wsname`, v1; often escaped as XBT\/USD in JSON). v2 says BTC/USD. XBT is BTC, XDG is DOGE.
         Legacy codes put X before old coins' letters and Z before currencies; a few pairs mix both (USDTZUSD).
         v1 trades are arrays [channel, [[price, size, time s, b|s, l|m, misc], ..], "trade", pair] and have no id.
         REST trades carry an id as seventh item and their time as a JSON number: digits below a microsecond are noise,
         so paging steps back by one microsecond. Ids count by one in the recorded page (1,000 of 1,000).
         `since` is in ns and exclusive; a page holds the oldest 1,000 after it. b is a taker that bought.
         Pairs ending in .d are the dark pool (until 2022); they have no `wsname` and are left out.
         `ticker` of v2 is asked for with `event_trigger: bbo` and of v1 comes with trades; neither is read for a time
         (the stored v2 page shows none), so our receipt stands for it; v1 `spread` has one. v2 `ohlc` tells a bar while
         it grows and never that it ended: a bar becomes a row when it is told after its end.
         OHLC answers the newest 720 bars whatever `since` says; the last one still grows.
         A v1 book frame is [channel, {"as", "bs"}, "book-1000", pair], then updates with {"a", "c"} or {"b", "c"}, or
         both in two objects of which the last holds "c"; a level is [price, size, time s], with a fourth item "r" where
         it is published again. v2 has objects with JSON numbers, a checksum in snapshots as well, and says the depth
         only in the confirmation of a subscription (10 where it was not asked for).
Limits:  about one public request a second for each address; "EGeneral:Too many requests" past that. Socket: 150 new
         connections in 10 minutes for each address; how many messages and streams a connection takes is not stated.
Samples: captures/cryptofeed/KRAKEN.* (2021-04), rest/kraken_http_trades_XBTUSDT_1000.json (2025-11)
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Literal

import msgspec

from tidelake.raw.frame import Frame
from tidelake.venues import symbols
from tidelake.venues.book_format import BookFeed, BookFormat, BookLayout, BookName, Levels, LevelShape, Named
from tidelake.venues.payloads import as_object, decode, each, exact, finished, interval_of, request_query, whole
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
CANDLES = 720
MINUTES = (("1m", "1"), ("5m", "5"), ("15m", "15"), ("1h", "60"), ("1d", "1440"))
TRADE = ("price", "size", "time", "side", "order_type", "misc", "trade_id")
OURS = {"XBT": "BTC", "XDG": "DOGE"}
THEIRS = {ours: theirs for theirs, ours in OURS.items()}
OLD_COINS = ("ETC", "ETH", "ICN", "LTC", "MLN", "REP", "XBT", "XDG", "XLM", "XMR", "XRP", "ZEC")
LEGACY = {f"X{name}": name for name in OLD_COINS}
LEGACY |= {f"Z{name}": name for name in ("AUD", "CAD", "EUR", "GBP", "JPY", "USD")}
CURRENCIES = ("AUD", "CAD", "CHF", "EUR", "GBP", "JPY", "USD")
QUOTES: tuple[str, ...] = (
    *CURRENCIES,
    "AED",
    "BRL",
    "DAI",
    "DOT",
    "ETH",
    "EURQ",
    "EURR",
    "PYUSD",
    "RLUSD",
    "SOL",
    "USD1",
    "USDC",
)
QUOTES += ("USDE", "USDG", "USDQ", "USDR", "USDT", "XBT")
OLD_QUOTES = ("XETH", "XXBT", "ZAUD", "ZCAD", "ZEUR", "ZGBP", "ZJPY", "ZUSD")
MIXED_BASES = frozenset({"USDT"})  # names beside which REST answers put a legacy quote code: USDTZUSD
BUSY: tuple[str, ...] = (
    "Too many requests",
    "Rate limit exceeded",
    "EService:Unavailable",
    "EService:Busy",
    "EService:Timeout",
)
BUSY += ("EGeneral:Internal error", "EService:Throttled")


def asset(code: str) -> str:
    """Our name of one of the venue's asset codes: XXBT, XBT and BTC are BTC."""
    return symbols.renamed(symbols.renamed(code, LEGACY), OURS)


def _split(name: str) -> tuple[str, str]:
    if "/" in name:
        base, _, quote = name.partition("/")
        return base, quote
    for quote in OLD_QUOTES:
        base = name.removesuffix(quote)
        if base != name and (base in LEGACY or base in MIXED_BASES):
            return base, quote
    return symbols.split_quote(name, QUOTES)


def canonical(name: str) -> str:
    """`XBT/USD`, `XBTUSD`, `XXBTZUSD` and `BTC/USD` are BTC-USD."""
    if name.endswith(".d"):
        raise ValueError(f"{name!r} is a dark pool pair")
    base, quote = _split(name)
    return symbols.canonical(symbols.Symbol(asset(base), asset(quote)))


def venue_symbol(symbol: str) -> str:
    """The `altname` that REST takes: XBTUSD."""
    parsed = symbols.parse(symbol)
    if parsed.kind != "spot":
        raise ValueError(f"kraken lists no {parsed.kind} {symbol!r}")
    return symbols.renamed(parsed.base, THEIRS) + symbols.renamed(parsed.quote, THEIRS)


def newest(symbol: str) -> Request:
    """The newest page of trades."""
    return Request(f"/0/public/Trades?pair={symbol}&count={PAGE}")


def since(symbol: str, event_ns: int) -> Request:
    """The oldest trades at or after the time; one microsecond is taken off, because answered times are rounded."""
    return Request(f"/0/public/Trades?pair={symbol}&since={max(event_ns - 1_000, 0)}&count={PAGE}")


def above(symbol: str, _: int, event_ns: int) -> Request:
    """The page that starts at the trade of that time."""
    return since(symbol, event_ns)


def candle_page(symbol: str, interval: str, event_ns: int) -> Request:
    """Bars from a start on, of the newest 720."""
    begin = f"&since={event_ns // 1_000_000_000 - 1}" if event_ns else ""
    return Request(f"/0/public/OHLC?pair={symbol}&interval={dict(MINUTES)[interval]}{begin}")


def _trade(pair: str, row: object) -> Record:
    """A row cut short keeps what it has, so that it alone is refused, by the column that is missing."""
    return {"symbol": pair, **dict(zip(TRADE, row if isinstance(row, list) else (), strict=False))}


def trades_v1(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """Trades of a v1 frame; nothing of any other frame."""
    message = decode(frame.payload) if frame.payload.startswith(b"[") else []
    if len(message) == 4 and message[2] == "trade":
        return each(message[1], partial(_trade, message[3]))
    return ()


def trades_page(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """Trades of a REST page, with ids."""
    for pair, rows in decode(frame.payload)["result"].items():
        if pair != "last":
            yield from each(rows, partial(_trade, pair))


def _bar(frame: Frame, pair: str, interval: str, row: Any) -> Record | None:
    start, open_, high, low, close, _vwap, volume, count = row
    if not finished(frame, whole(start) * 1_000, interval):
        return None
    bar = {"open": open_, "high": high, "low": low, "close": close, "volume": volume, "trades": count}
    return {"symbol": pair, "interval": interval, "start": start, **bar}


def candles(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each finished bar; the interval stands in the request."""
    interval = interval_of(MINUTES, request_query(frame).get("interval", "1"))
    for pair, rows in decode(frame.payload)["result"].items():
        if pair != "last":
            yield from each(rows, partial(_bar, frame, pair, interval))


def _top(message: list[Any]) -> Record:
    """Of `ticker`: [price, whole lots, lots] each side. Of `spread`: bid, ask, time, bid size, ask size."""
    content, channel, pair = message[1:]
    if channel == "spread":
        bid, ask, time, bid_size, ask_size = content
        return {"symbol": pair, "time": time, "bid": bid, "ask": ask, "bid_size": bid_size, "ask_size": ask_size}
    (bid, _, bid_size), (ask, _, ask_size) = content["b"], content["a"]
    return {"symbol": pair, "bid": bid, "ask": ask, "bid_size": bid_size, "ask_size": ask_size}


def _v1_top(frame: Frame, channel: str) -> Iterable[Record | Unreadable]:
    message = decode(frame.payload) if frame.payload.startswith(b"[") else []
    return each([message], _top) if len(message) == 4 and message[2] == channel else ()


def ticker_v1(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """The best bid and ask of a v1 ticker; nothing of any other frame."""
    return _v1_top(frame, "ticker")


def spread_v1(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """The best bid and ask of a v1 spread; nothing of any other frame."""
    return _v1_top(frame, "spread")


def _streamed_bar(frame: Frame, row: Any) -> Record | None:
    interval = interval_of(MINUTES, str(row["interval"]))
    start = datetime.fromisoformat(row["interval_begin"]).timestamp()
    return {**row, "interval": interval} if finished(frame, int(start) * 1_000, interval) else None


def candles_v2(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each bar of a v2 frame that had ended."""
    return each(decode(frame.payload)["data"], partial(_streamed_bar, frame))


STATUS = {"online": "trading", "cancel_only": "halted", "post_only": "halted", "limit_only": "trading"}
STATUS |= {"reduce_only": "halted", "maintenance": "halted", "delisted": "delisted", "work_in_progress": "pre"}


def _instrument(named: tuple[str, Any]) -> Record | None:
    key, pair = named[0], as_object(named[1])
    if "wsname" not in pair:
        return None
    return {
        "venue_symbol": key,
        "wsname": pair["wsname"],
        "kind": "spot",
        "base": asset(pair["base"]),
        "quote": asset(pair["quote"]),
        "tick_size": exact(pair.get("tick_size")) or Decimal(1).scaleb(-pair["pair_decimals"]),
        "lot_size": Decimal(1).scaleb(-pair["lot_decimals"]),
        "min_size": exact(pair.get("ordermin")),
        "trading_status": STATUS[pair.get("status", "online")],
    }


def instruments(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each pair with a public book; before `tick_size` came, `pair_decimals` said the same."""
    return each(list(decode(frame.payload)["result"].items()), _instrument)


class _Answer(msgspec.Struct):
    error: list[str] = []


def refusal(body: bytes) -> tuple[str, bool] | None:
    """Errors stand in `error` of an answer with status 200; those that start with W are warnings."""
    try:
        errors = [text for text in msgspec.json.decode(body, type=_Answer).error if not text.startswith("W")]
    except msgspec.MsgspecError:
        return None
    return (", ".join(errors), any(word in text for text in errors for word in BUSY)) if errors else None


V1_LEVEL = LevelShape(0, 1, time=2)
V2_LEVEL = LevelShape("price", "qty")


def _book_v1(named: Named) -> BookName | None:
    """`book-1000` holds 1,000 levels of each side."""
    depth = named.channel.removeprefix("book-")
    known = depth != named.channel and depth.isdecimal() and depth.isascii() and len(depth) < 6
    return BookName(named.symbol, named.channel, int(depth)) if known else None


def _book_v2(named: Named) -> BookName:
    depth = named.context.get(f"depth:{named.symbol}", "10")
    return BookName(named.symbol, "book", int(depth))


def _v1(kind: Literal["update", "snapshot"], asks: str, bids: str) -> BookFormat:
    return BookFormat(
        kind=kind,
        name=_book_v1,
        symbol="-1",
        channel="-2",
        has=("-1", "-2"),
        levels=(Levels(asks, "ask", V1_LEVEL), Levels(bids, "bid", V1_LEVEL)),
        checksum="*.c?" if kind == "update" else "",
    )


def _v2(kind: Literal["update", "snapshot"]) -> BookFormat:
    return BookFormat(
        kind=kind,
        name=_book_v2,
        symbol="data.symbol",
        where={"channel": ("book",), "type": (kind,)},
        levels=(Levels("data.bids", "bid", V2_LEVEL), Levels("data.asks", "ask", V2_LEVEL)),
        checksum="data.checksum",
        time="data.timestamp?",
        time_unit="iso8601",
    )


def note_depth(payload: object, context: Context) -> None:
    """Keeps the depth that a v2 confirmation states."""
    result = payload.get("result") if isinstance(payload, dict) else None
    if isinstance(result, dict) and result.get("channel") == "book":
        depth, symbol = result.get("depth"), result.get("symbol")
        if isinstance(depth, int) and 0 < depth < 100_000 and isinstance(symbol, str):
            context[f"depth:{symbol}"] = str(depth)


BOOKS = BookFeed(
    layouts=(
        BookLayout(
            (
                _v1("update", "*.a?", "*.b?"),
                _v1("snapshot", "*.as?", "*.bs?"),
                _v1("update", "*.a", "*.b"),  # a frame without any levels is refused
            ),
            listed=True,
        ),
        BookLayout((_v2("update"), _v2("snapshot")), rows="data"),
    ),
    note=note_depth,
    note_token=b'"method',
)


def socket_symbol(symbol: str) -> str:
    """v2 takes canonical assets: BTC/USD."""
    parsed = symbols.parse(symbol)
    if parsed.kind != "spot":
        raise ValueError(f"kraken lists no {parsed.kind} {symbol!r}")
    return f"{parsed.base}/{parsed.quote}"


# Stream names are "<channel>:<symbol>"; these channels need more words than their name.
CHANNELS = {
    "trades": named("trade"),
    "book": named("book-1000"),
    "quotes": named("ticker"),
    "candles": named("ohlc-1"),
}
ASKED: dict[str, dict[str, object]] = {
    "trade": {"channel": "trade", "snapshot": True},
    "book-1000": {"channel": "book", "depth": 1_000},
    "ticker": {"channel": "ticker", "event_trigger": "bbo"},
    "ohlc-1": {"channel": "ohlc", "interval": 1},
}


def said(method: str) -> Callable[[Sequence[str], int], bytes]:
    """A message to the socket, by method: one channel, some symbols."""

    def message(names: Sequence[str], request: int) -> bytes:
        ((channel, pairs),) = by_channel(names).items()
        params = {**ASKED[channel], "symbol": pairs}
        return json.dumps({"method": method, "params": params, "req_id": request}).encode()

    return message


class _Subscribed(msgspec.Struct):
    channel: str = ""
    symbol: str = ""
    depth: int = 0
    interval: int = 0


class _Said(msgspec.Struct):
    method: str
    success: bool = True
    result: _Subscribed = msgspec.field(default_factory=_Subscribed)
    symbol: str = ""
    error: str = ""
    req_id: int = -1


def socket_answer(payload: bytes) -> Answer | None:
    """Each symbol of a message is answered for itself; a refusal names the symbol and not the channel."""
    try:
        found = msgspec.json.decode(payload, type=_Said)
    except msgspec.MsgspecError:
        return None
    if found.method == "pong":
        return Answer("pong", request=found.req_id)
    if found.method != "subscribe":
        return None
    if found.success:
        more = found.result.depth or found.result.interval
        channel = f"{found.result.channel}-{more}" if more else found.result.channel
        return Answer("subscribed", names=(f"{channel}:{found.result.symbol}",), request=found.req_id)
    names = tuple(f"{channel}:{found.symbol}" for channel in ASKED) if found.symbol else ()
    return Answer("refused", names=names, request=found.req_id, whole=not names, reason=found.error)


SOCKETS = Sockets(
    url="wss://ws.kraken.com/v2",
    channels=CHANNELS,
    subscribe=said("subscribe"),
    unsubscribe=said("unsubscribe"),
    answer=socket_answer,
    answer_tokens=(b'"method":',),
    names_per_message=50,  # our choice, as the next two
    rate=Rate(weight=5, seconds=1.0),
    streams_per_connection=200,
    connects=Rate(weight=150, seconds=600.0),
    symbol=socket_symbol,
    group=channel_of,
    ping=b'{"method":"ping"}',
)

VENUE = Venue(
    source="kraken",
    rest_url="https://api.kraken.com",
    rate=Rate(weight=1, seconds=1.0),
    canonical=canonical,
    venue_symbol=venue_symbol,
    numbered=True,
    trades=TradePages(order="forward", newest=newest, above=above, since=since, page_size=PAGE),
    candles=CandlePages(page=candle_page, intervals=tuple(ours for ours, _ in MINUTES), page_size=CANDLES),
    instruments=(Request("/0/public/AssetPairs"),),
    flatten={
        "trades_v1": trades_v1,
        "ticker_v1": ticker_v1,
        "spread_v1": spread_v1,
        "trades_page": trades_page,
        "candles": candles,
        "candles_v2": candles_v2,
        "instruments": instruments,
    },
    tokens={"trades_v1": b'"trade"', "ticker_v1": b'"ticker"', "spread_v1": b'"spread"'},
    recording_names=("KRAKEN",),
    refusal=refusal,
    books=BOOKS,
    sockets=(SOCKETS,),
)
