"""Binance, spot.

Source:  https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
         https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
Quirks:  `m` and `isBuyerMaker` say that the resting order bought: true is a taker that sold.
         `trade` frames are single trades (id `t`), `aggTrade` frames one taker order's fills at one price (id `a`, from
         trade `f` to `l`): two grains with ids of their own. Each comes raw, or inside {"stream", "data"}.
         Trade ids count by one for each symbol. `historicalTrades` answers from an id upwards and needs no key any
         more (it did until about 2023); a key in BINANCE_API_KEY is sent all the same. There is no paging of single
         trades by time: the first trade of a period is found by asking for ids between.
         `bookTicker` has no time, so our receipt stands for it, and no `e`: its combined form alone is read.
         Symbols have no mark between base and quote.
         On the socket an unknown symbol is not refused: its streams stay silent. A message that cannot be read is.
Limits:  weight 6,000 a minute for each address (1,200 before 2023-08); trades and historicalTrades weigh 25, klines 2.
         429 asks to slow down and 418 is a ban, both with Retry-After. depth with 5,000 levels weighs 250.
         Socket: 1,024 streams and 5 messages a second (pings and pongs count) on one connection, which lives 24 hours;
         300 connections in five minutes. The venue pings every 20 s and drops who does not answer within a minute.
Samples: captures/cryptofeed/BINANCE.* (2021-10), captures/hftbacktest-2024-08/spot
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec

from tidelake.raw.frame import Frame
from tidelake.venues import binance_books, symbols
from tidelake.venues.payloads import INTERVAL_SECONDS, decode, each, exact, finished, ms, request_query
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

PAGE = 1_000
# Quote assets of exchangeInfo: today's, and those of pairs that have ended.
QUOTES: tuple[str, ...] = (
    "USDT",
    "USDC",
    "FDUSD",
    "TUSD",
    "BUSD",
    "USD1",
    "USDP",
    "USDS",
    "USDSB",
    "DAI",
    "PAX",
    "VAI",
    "UST",
    "XUSD",
)
QUOTES += ("BTC", "ETH", "BNB", "TRX", "XRP", "DOGE", "DOT", "SOL", "EUR", "EURI", "GBP", "AUD", "TRY")
QUOTES += ("BRL", "RUB", "UAH", "NGN", "ZAR", "BIDR", "IDRT", "BKRW", "BVND", "RON", "PLN", "CZK", "JPY", "MXN", "ARS")
QUOTES += ("COP", "GYEN", "U")
# Ended quotes whose first letter could as well end the base (ADAEUR is ADA-EUR): only these pairs had them.
ODD = {"BTCAEUR": ("BTC", "AEUR"), "ETHAEUR": ("ETH", "AEUR"), "EURAEUR": ("EUR", "AEUR")}
RETRYABLE = frozenset({-1000, -1001, -1003, -1006, -1007, -1008, -1016})


def canonical(name: str) -> str:
    """`BTCUSDT` is BTC-USDT."""
    base, quote = ODD.get(name) or symbols.split_quote(name, QUOTES)
    return symbols.canonical(symbols.Symbol(base, quote))


def venue_symbol(symbol: str) -> str:
    """`BTC-USDT` is BTCUSDT."""
    parsed = symbols.parse(symbol)
    if parsed.kind != "spot":
        raise ValueError(f"binance-spot lists no {parsed.kind} {symbol!r}")
    return parsed.base + parsed.quote


def newest(symbol: str) -> Request:
    """The newest page of trades."""
    return Request(f"/api/v3/trades?symbol={symbol}&limit={PAGE}", weight=25)


def above(symbol: str, seq: int, _: int) -> Request:
    """The page from trade `seq` on."""
    return Request(f"/api/v3/historicalTrades?symbol={symbol}&fromId={max(seq, 0)}&limit={PAGE}", weight=25)


def candle_page(symbol: str, interval: str, event_ns: int) -> Request:
    """1,000 bars from a start on; the newest ones at 0."""
    begin = f"&startTime={ms(event_ns)}" if event_ns else ""
    return Request(f"/api/v3/klines?symbol={symbol}&interval={interval}{begin}&limit={PAGE}", weight=2)


def _bar(frame: Frame, interval: str, row: Any) -> Record | None:
    start, open_, high, low, close, volume, _end, quote_volume, count, *_rest = row
    if not finished(frame, start, interval):
        return None
    bar = {"open": open_, "high": high, "low": low, "close": close}
    return {"interval": interval, "start": start, **bar, "volume": volume, "quote": quote_volume, "trades": count}


def klines(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each finished bar; the interval stands in the request."""
    return each(decode(frame.payload), partial(_bar, frame, request_query(frame)["interval"]))


STATUS = {"TRADING": "trading", "BREAK": "halted", "HALT": "halted", "END_OF_DAY": "halted", "AUCTION_MATCH": "halted"}
STATUS |= {"PRE_TRADING": "pre", "POST_TRADING": "halted", "CANCEL_ONLY": "halted"}


def grid(product: dict[str, Any]) -> Record:
    """Tick, lot and smallest size from a product's filters."""
    filters = {rule["filterType"]: rule for rule in product["filters"]}
    price, lot = filters.get("PRICE_FILTER", {}), filters.get("LOT_SIZE", {})
    return {
        "tick_size": exact(price.get("tickSize")),
        "lot_size": exact(lot.get("stepSize")),
        "min_size": exact(lot.get("minQty")),
    }


def _instrument(product: Any) -> Record:
    return {
        "venue_symbol": product["symbol"],
        "kind": "spot",
        "base": product["baseAsset"],
        "quote": product["quoteAsset"],
        "trading_status": STATUS[product["status"]],
        **grid(product),
    }


def instruments(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each symbol of exchangeInfo."""
    return each(decode(frame.payload)["symbols"], _instrument)


class _Answer(msgspec.Struct):
    code: int = 0
    msg: str = ""


def refusal(body: bytes) -> tuple[str, bool] | None:
    """An object with a negative `code` is an error."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.MsgspecError:
        return None
    return (f"{answer.code} {answer.msg}", answer.code in RETRYABLE) if answer.code < 0 else None


def stream(form: str) -> Callable[[str], tuple[str, ...]]:
    """The one stream of a symbol with this ending, such as "trade"."""
    return lambda symbol: (f"{symbol.lower()}@{form}",)


def said(method: str) -> Callable[[Sequence[str], int], bytes]:
    """A message to the socket, by method: streams and request number in, the message out."""
    return lambda names, request: msgspec.json.encode({"method": method, "params": names, "id": request})


class _Problem(msgspec.Struct):
    code: int = 0
    msg: str = ""


class _Said(msgspec.Struct):
    id: int | None
    error: _Problem | None = None


def socket_answer(payload: bytes) -> Answer | None:
    """`{"result":null,"id":1}` is a yes, `{"error":{..},"id":1}` a no; the streams are not named."""
    try:
        found = msgspec.json.decode(payload, type=_Said)
    except msgspec.MsgspecError:
        return None
    number = -1 if found.id is None else found.id
    if found.error is None:
        return Answer("subscribed", request=number)
    return Answer("refused", request=number, reason=f"{found.error.code} {found.error.msg}")


def book_page(symbol: str) -> Request:
    """5,000 levels of each side."""
    return Request(f"/api/v3/depth?symbol={symbol}&limit=5000", weight=250)


def audit_page(symbol: str) -> Request:
    """1,000 levels of each side, for a fifth of the weight."""
    return Request(f"/api/v3/depth?symbol={symbol}&limit=1000", weight=50)


binance_sockets = partial(
    Sockets,
    subscribe=said("SUBSCRIBE"),
    unsubscribe=said("UNSUBSCRIBE"),
    answer=socket_answer,
    answer_tokens=(b'"id":', b'"error"'),
    names_per_message=200,  # our choice: the documentation states no limit
    streams_per_connection=1_024,
    connects=Rate(weight=300, seconds=300.0),
    silence_seconds=60.0,
    renew_after=timedelta(hours=24),
)
SOCKETS = binance_sockets(
    url="wss://stream.binance.com:9443/stream",
    channels={
        "trades": stream("trade"),
        "book": stream("depth@100ms"),
        "quotes": stream("bookTicker"),
        "candles": stream("kline_1m"),
    },
    rate=Rate(weight=5, seconds=1.0),
    book_page=book_page,
    audit_page=audit_page,
)

VENUE = Venue(
    source="binance-spot",
    rest_url="https://api.binance.com",
    rate=Rate(weight=6_000, seconds=60.0),
    canonical=canonical,
    venue_symbol=venue_symbol,
    numbered=True,
    trades=TradePages(order="forward", newest=newest, above=above, page_size=PAGE),
    candles=CandlePages(page=candle_page, intervals=tuple(INTERVAL_SECONDS), page_size=PAGE),
    instruments=(Request("/api/v3/exchangeInfo", weight=20),),
    flatten={"instruments": instruments, "klines": klines},
    recording_names=("BINANCE",),
    key_header=("X-MBX-APIKEY", "BINANCE_API_KEY"),
    refusal=refusal,
    sockets=(SOCKETS,),
    books=binance_books.feed(futures=False),
)
