"""Deribit: inverse and linear perpetuals, dated futures, options, spot.

Source:  https://docs.deribit.com/api-reference/market-data/public-get_last_trades_by_instrument
         https://docs.deribit.com/subscriptions/trades/tradesinstrument_nameinterval
         https://docs.deribit.com/api-reference/market-data/public-get_instruments
         https://docs.deribit.com/subscriptions/orderbook/bookinstrument_nameinterval
         https://docs.deribit.com/subscriptions/market-data/quoteinstrument_name
         https://docs.deribit.com/subscriptions/market-data/incremental_tickerinstrument_name, .. /ticker.., .. /quote..
         https://docs.deribit.com/api-reference/session-management/public-set_heartbeat
         https://docs.deribit.com/articles/connection-management-best-practices
Quirks:  `amount` is USD for inverse perpetuals and futures (BTC-PERPETUAL) and the base asset for options, spot and all
         linear contracts (UNI_USDC-PERPETUAL).
         `trade_seq` counts the trades of an instrument by one; `trade_id` is unique for each currency ("ETH-15").
         `direction` is the taker's. Prices and amounts are JSON numbers, read exactly.
         Days are written 24SEP21 and 1JAN22; a strike of 0.5 is written 0d5. Options of BTC, ETH and SOL are inverse:
         their price is in the base asset, though the canonical name says USD, which the strike is in.
         `.raw` channels ask for a key by now: `.100ms` is subscribed. `ticker` tells quotes, mark and index price,
         funding and open interest; `quote` a quote alone; neither has a number. Before 2022 an empty side was 0.
         `current_funding` is the rate of 8 hours as it stands; it is paid all the time, so there is no next time.
         A trade's `liquidation` says whose side was closed: M the maker's, T the taker's, MT both.
         `chart.trades` tells a bar while it grows: a bar becomes a row when it is told after its end.
         An unknown channel is left out of the answer to a subscription, without a word.
         A perpetual expires in the year 3000: never. Combos (BTC-FS-..) have no canonical name and are refused.
         A level of book.X.raw, .100ms and .agg2 is [new|change|delete, price, amount], in JSON numbers without the
         zeros at their end. The grouped book (book.X.none.20.100ms) rounds and is no book of ours. A quote has no id.
         How far back www.deribit.com answers trades is not stated; older ones are said to be at history.deribit.com.
Limits:  20 requests a second, as other clients keep it (credits: 500 a request, 50,000 at most, 10,000 new a second).
         Socket: 32 connections for each address; a subscription costs 3,000 credits of 30,000, 10,000 new a second.
Samples: captures/cryptofeed/DERIBIT.* (2021-07; no trade in them)
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Literal

import msgspec

from tidelake.raw.frame import Frame
from tidelake.venues import symbols
from tidelake.venues.book_format import (
    BookFeed,
    BookFormat,
    BookLayout,
    BookName,
    Levels,
    LevelShape,
    Named,
    in_channel,
)
from tidelake.venues.payloads import (
    DAMAGE,
    INTERVAL_SECONDS,
    as_object,
    decode,
    each,
    exact,
    finished,
    interval_of,
    ms,
    request_query,
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

PAGE = 1_000
CANDLES = 1_000
FUNDING_HOURS = 8
RESOLUTIONS = (("1m", "1"), ("5m", "5"), ("15m", "15"), ("1h", "60"), ("1d", "1D"))
NAME = re.compile(r"([A-Z0-9]+)(?:_([A-Z0-9]+))?(?:-(PERPETUAL|\d{1,2}[A-Z]{3}\d{2})(?:-(\d+(?:d\d+)?)-([CP]))?)?\Z")
RETRYABLE = frozenset({10028, 10040, 10041, 10047, 11051, 11094, 13028, 13888})


def canonical(name: str) -> str:
    """`BTC-PERPETUAL` is BTC-USD-PERP, `BTC-24SEP21-8000-P` BTC-USD-20210924-8000-P, `BTC_USDC` BTC-USDC."""
    match = NAME.match(name)
    if match is None or not (match[2] or match[3]):
        raise ValueError(f"deribit: no rule for {name!r}")
    base, quote, term, strike, right = match.groups()
    perpetual = term == "PERPETUAL"
    if perpetual and strike:
        raise ValueError(f"deribit: no rule for {name!r}")
    expiry = symbols.day_month_year(term) if term and not perpetual else None
    level = (strike or "").replace("d", ".")
    return symbols.canonical(symbols.Symbol(base, quote or "USD", perpetual, expiry, level, right or ""))


def venue_symbol(symbol: str) -> str:
    """The instrument name, the reverse of `canonical`."""
    parsed = symbols.parse(symbol)
    if parsed.kind == "spot":
        return f"{parsed.base}_{parsed.quote}"
    name = parsed.base if parsed.quote == "USD" else f"{parsed.base}_{parsed.quote}"
    term = symbols.write_day_month_year(parsed.expiry) if parsed.expiry else "PERPETUAL"
    option = f"-{parsed.strike.replace('.', 'd')}-{parsed.right}" if parsed.strike else ""
    return f"{name}-{term}{option}"


def size_unit(name: str) -> str:
    """Inverse perpetuals and futures are traded in USD, all else in the base asset."""
    inverse = "_" not in name and name.count("-") == 1
    return "quote" if inverse else "base"


def newest(symbol: str) -> Request:
    """The newest page of trades, newest first."""
    return Request(f"/api/v2/public/get_last_trades_by_instrument?instrument_name={symbol}&count={PAGE}&sorting=desc")


def above(symbol: str, seq: int, _: int) -> Request:
    """The page from trade `seq` on."""
    query = f"instrument_name={symbol}&start_seq={max(seq, 1)}&count={PAGE}&sorting=asc"
    return Request(f"/api/v2/public/get_last_trades_by_instrument?{query}")


def since(symbol: str, event_ns: int) -> Request:
    """The oldest trades at or after the time."""
    query = f"instrument_name={symbol}&start_timestamp={ms(event_ns)}&count={PAGE}&sorting=asc"
    return Request(f"/api/v2/public/get_last_trades_by_instrument_and_time?{query}")


def candle_page(symbol: str, interval: str, event_ns: int) -> Request:
    """1,000 bars from a start on; the newest ones at 0 are not to be had without a clock, so the first ones come."""
    start = ms(event_ns)
    end = start + (CANDLES - 1) * INTERVAL_SECONDS[interval] * 1_000
    resolution = dict(RESOLUTIONS)[interval]
    query = f"instrument_name={symbol}&start_timestamp={start}&end_timestamp={end}&resolution={resolution}"
    return Request(f"/api/v2/public/get_tradingview_chart_data?{query}")


def _record(row: dict[str, Any]) -> Record:
    return {**as_object(row), "size_unit": size_unit(row["instrument_name"])}


def _content(frame: Frame, channel: str) -> Any:
    """The data of a subscription's frame; None where it is of another channel."""
    params = decode(frame.payload).get("params") or {}
    return params["data"] if str(params.get("channel", "")).startswith(channel) else None


def _of_one(frame: Frame, channel: str) -> Iterable[Record | Unreadable]:
    data = _content(frame, channel)
    return each([] if data is None else [data], _record)


def quotes(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """The best bid and ask of a `quote` frame."""
    return _of_one(frame, "quote.")


def tickers(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """What a `ticker` frame says."""
    return _of_one(frame, "ticker.")


def tickers_funding(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """What a `ticker` frame says, with the period of a perpetual's rate."""
    data = _content(frame, "ticker.")
    return each([] if data is None else [data], _funding)


def _funding(row: Any) -> Record:
    return {**row, "hours": FUNDING_HOURS if "current_funding" in row else None}


def _closed(row: dict[str, Any]) -> Iterator[Record]:
    """One record for each side of a trade that was closed by the venue."""
    for letter in row.get("liquidation") or "":
        side = row["direction"] if letter == "T" else {"buy": "sell", "sell": "buy"}[row["direction"]]
        known = {"M": "maker", "T": "taker"}[letter]
        yield {**row, "size_unit": size_unit(row["instrument_name"]), "side": side, "id": f"{row['trade_id']}-{known}"}


def liquidations(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """The sides of a subscription's trades that were closed by the venue."""
    for row in _content(frame, "trades.") or []:
        if isinstance(row, dict) and dict.__contains__(row, "liquidation"):
            try:
                yield from list(_closed(row))
            except DAMAGE as exc:
                yield Unreadable(f"{type(exc).__name__}: {exc}")


def candles_frame(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """The bar of a `chart.trades` frame, where it had ended."""
    params = decode(frame.payload).get("params") or {}
    channel = str(params.get("channel", ""))
    if not channel.startswith("chart.trades."):
        return ()
    name, resolution = channel.removeprefix("chart.trades.").rsplit(".", 1)
    row = [params["data"][key] for key in ("tick", "open", "high", "low", "close", "volume", "cost")]
    return each([row], partial(_bar, frame, name, interval_of(RESOLUTIONS, resolution)))


def _bar(frame: Frame, name: str, interval: str, row: Any) -> Record | None:
    start, open_, high, low, close, volume, cost = row
    if not volume or not finished(frame, start, interval):
        return None
    bar = {"open": open_, "high": high, "low": low, "close": close, "volume": volume, "quote": cost}
    return {"symbol": name, "interval": interval, "start": start, **bar}


def candles(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each finished bar with a trade; the answer holds one list for each column."""
    query, result = request_query(frame), decode(frame.payload)["result"]
    interval = interval_of(RESOLUTIONS, query["resolution"])
    names = ("ticks", "open", "high", "low", "close", "volume", "cost")
    rows = list(zip(*(result[name] for name in names), strict=True))
    return each(rows, partial(_bar, frame, query["instrument_name"], interval))


def _status(product: dict[str, Any]) -> str:
    """`state` came in 2024; before it `is_active` alone said whether it trades."""
    match product.get("state", "open"):
        case "open" | "started":
            return "trading" if product["is_active"] else "halted"
        case "created":
            return "pre"
        case "locked" | "halted" | "inactive" | "deactivated":
            return "halted"
        case "settlement" | "delivered" | "archivized" | "terminated" | "closed":
            return "delisted"
        case other:
            raise ValueError(f"state {other!r} is unknown")


def _instrument(product: Any) -> Record | None:
    if product["kind"].endswith("combo"):
        return None
    name = product["instrument_name"]
    kind = "perpetual" if name.endswith("-PERPETUAL") else product["kind"]
    linear = "_" in name
    quote = (product.get("counter_currency") or product["quote_currency"]) if linear else "USD"
    contract = kind != "spot"
    return {
        "venue_symbol": name,
        "kind": kind,
        "base": product["base_currency"],
        "quote": quote,
        "settle": product.get("settlement_currency") or (quote if linear else product["base_currency"]),
        "tick_size": exact(product["tick_size"]),
        "lot_size": exact(product["contract_size"]),
        "min_size": exact(product["min_trade_amount"]),
        "contract_size": exact(product["contract_size"]) if contract else None,
        "contract_unit": ("USD" if size_unit(name) == "quote" else product["base_currency"]) if contract else None,
        "trading_status": _status(product),
        "listed_at": product["creation_timestamp"],
        "expires_at": product["expiration_timestamp"] if kind in ("future", "option") else None,
        "strike": exact(product.get("strike")) if kind == "option" else None,
        "option_type": product.get("option_type") if kind == "option" else None,
    }


def instruments(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each instrument; combos are left out."""
    return each(decode(frame.payload)["result"], _instrument)


LEVEL = LevelShape(1, 2, action=0, kept=("new", "change"), gone="delete")
SIDES = (Levels("params.data.bids", "bid", LEVEL), Levels("params.data.asks", "ask", LEVEL))


def _book(named: Named) -> BookName | None:
    """`book.BTC-PERPETUAL.raw` is channel raw."""
    match named.channel.split("."):
        case ["book", _, interval]:
            return BookName(named.symbol, interval)
    return None


def _quoted(named: Named) -> BookName | None:
    return BookName(named.symbol, "quote") if named.channel.startswith("quote.") else None


def _books(word: str, kind: Literal["update", "snapshot"], prev: str) -> BookFormat:
    return BookFormat(
        kind=kind,
        name=_book,
        symbol="params.data.instrument_name",
        channel="params.channel",
        where={"params.data.type": (word,)},
        levels=SIDES,
        last="params.data.change_id",
        prev=prev,
        time="params.data.timestamp",
    )


BOOKS = BookFeed(
    layouts=(
        BookLayout(
            (
                _books("change", "update", "params.data.prev_change_id"),
                _books("snapshot", "snapshot", ""),
                BookFormat(
                    kind="quote",
                    name=_quoted,
                    symbol="params.data.instrument_name",
                    channel="params.channel",
                    has=("params.data.best_bid_amount", "params.data.best_ask_amount"),
                    top=(
                        "params.data.best_bid_price?",
                        "params.data.best_bid_amount?",
                        "params.data.best_ask_price?",
                        "params.data.best_ask_amount?",
                    ),
                    time="params.data.timestamp",
                ),
                BookFormat(
                    kind="page",
                    name=in_channel(""),
                    symbol="result.instrument_name",
                    levels=(Levels("result.bids", "bid"), Levels("result.asks", "ask")),
                    last="result.change_id",
                    time="result.timestamp",
                    request="get_order_book",
                ),
            ),
        ),
    ),
)


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Answer(msgspec.Struct):
    error: _Error | None = None


def refusal(body: bytes) -> tuple[str, bool] | None:
    """An `error` object, usually with status 400."""
    try:
        error = msgspec.json.decode(body, type=_Answer).error
    except msgspec.MsgspecError:
        return None
    return (f"{error.code} {error.message}", error.code in RETRYABLE) if error else None


def channel(form: str) -> Callable[[str], tuple[str, ...]]:
    """The one channel of an instrument, from a form with {} in the name's place."""
    return lambda symbol: (form.format(symbol),)


def said(verb: str) -> Callable[[Sequence[str], int], bytes]:
    """A message to the socket, by verb; only subscriptions keep their number, since all answers look alike."""

    def message(names: Sequence[str], request: int) -> bytes:
        number = request if verb == "subscribe" else ENDED
        method = {"jsonrpc": "2.0", "id": number, "method": f"public/{verb}"}
        return json.dumps({**method, "params": {"channels": list(names)}}).encode()

    return message


ENDED = -3  # number of every message that ends subscriptions
TEST = b'{"jsonrpc":"2.0","id":-2,"method":"public/test","params":{}}'
HELLO = b'{"jsonrpc":"2.0","id":-1,"method":"public/set_heartbeat","params":{"interval":30}}'


class _Heartbeat(msgspec.Struct):
    type: str = ""


class _Said(msgspec.Struct):
    id: int | None = None
    method: str = ""
    params: _Heartbeat = msgspec.field(default_factory=_Heartbeat)
    result: Any = None
    error: _Error | None = None


def socket_answer(payload: bytes) -> Answer | None:
    """`result` lists the channels that are subscribed by a request; a `test_request` must be answered."""
    try:
        found = msgspec.json.decode(payload, type=_Said)
    except msgspec.MsgspecError:
        return None
    if found.method == "heartbeat":
        return Answer("ping", reply=TEST) if found.params.type == "test_request" else Answer("pong")
    if found.id is None or found.method:
        return None
    if found.error is not None:
        return Answer("refused", request=found.id, reason=f"{found.error.code} {found.error.message}")
    if isinstance(found.result, list) and found.id >= 0:
        return Answer("subscribed", names=tuple(map(str, found.result)), request=found.id)
    return Answer("pong", request=found.id) if isinstance(found.result, dict) else None


SOCKETS = Sockets(
    url="wss://www.deribit.com/ws/api/v2",
    channels={
        "trades": channel("trades.{}.100ms"),
        "book": channel("book.{}.100ms"),
        "quotes": channel("quote.{}"),
        "candles": channel("chart.trades.{}.1"),
        "funding": channel("ticker.{}.100ms"),
        "open_interest": channel("ticker.{}.100ms"),
        "liquidations": channel("trades.{}.100ms"),
    },
    subscribe=said("subscribe"),
    unsubscribe=said("unsubscribe"),
    answer=socket_answer,
    answer_tokens=(b'"id":', b'"heartbeat"'),
    names_per_message=100,  # our choice, as the next but one
    rate=Rate(weight=3, seconds=1.0),
    streams_per_connection=400,
    connects=Rate(weight=5, seconds=1.0),  # our choice: 32 may stand at once
    hello=(HELLO,),
    ping=TEST,
    silence_seconds=60.0,
)

VENUE = Venue(
    source="deribit",
    rest_url="https://www.deribit.com",
    rate=Rate(weight=20, seconds=1.0),
    canonical=canonical,
    venue_symbol=venue_symbol,
    size_unit=size_unit,
    numbered=True,
    trades=TradePages(order="forward", newest=newest, above=above, since=since, page_size=PAGE),
    candles=CandlePages(page=candle_page, intervals=tuple(ours for ours, _ in RESOLUTIONS), page_size=CANDLES),
    instruments=(Request("/api/v2/public/get_instruments?currency=any&expired=false"),),
    flatten={
        "quotes": quotes,
        "tickers": tickers,
        "tickers_funding": tickers_funding,
        "liquidations": liquidations,
        "candles_frame": candles_frame,
        "candles": candles,
        "instruments": instruments,
    },
    tokens={
        "quotes": b'"quote.',
        "tickers": b'"ticker.',
        "tickers_funding": b'"ticker.',
        "liquidations": b'"liquidation"',
        "candles_frame": b'"chart.trades.',
    },
    recording_names=("DERIBIT",),
    refusal=refusal,
    books=BOOKS,
    sockets=(SOCKETS,),
)
