"""OKX v5: spot, swaps, dated futures, options.

Source:  https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-trades-history
         https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-trades-channel, .. -ws-all-trades-channel
         https://www.okx.com/docs-v5/en/#public-data-rest-api-get-instruments
         https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel, .. -get-order-book
         https://www.okx.com/docs-v5/en/#public-data-websocket-funding-rate-channel, .. -mark-price-channel,
         .. -open-interest-channel, .. -liquidation-orders-channel,
         https://www.okx.com/docs-v5/trick_en/ (bbo-tbt, books). No copy of the sections on the channels of public data
         was to be had: their fields are as public clients read them, those of liquidations as frames of 2026 show them.
Quirks:  Sizes are in the base asset for spot and in contracts for everything else (`ctVal` of `ctValCcy` each).
         `history-trades` pages newest first: type=1 by trade id, type=2 by time in ms; `after` is older. It reaches
         back three months. `before` alone answers the newest page, as at Coinbase.
         Trade ids count by one for each instrument. `side` is the taker's.
         The `trades` channel joins fills of one taker order at one price and says so in `count` (`tradeId` is the last
         of them); frames without `count`, such as those of 2022, are single trades. `trades-all` is never joined.
         `trades-all` and candles come from /business, all else from /public. `tickers` comes every 100 ms with a quote
         of no number, `bbo-tbt` every 10 ms with the book's `seqId`. A bar is final when its last item is "1".
         `funding-rate` tells when the rate is paid (`fundingTime`) and when the one after it (`nextFundingTime`).
         `liquidation-orders` has one stream for each kind of product; `bkPx` is the bankruptcy price.
         A heartbeat is the bare text ping, answered by pong.
         A frame that confirms a subscription holds the same `arg` and no `data`.
         Instruments with a second margin mode (BTC-USD_UM-SWAP) have no canonical name here and are refused.
         A level is [price, size, "0", orders]. `seqId` and `prevSeqId` are not yet in the frames of 2022. `checksum` is
         a signed CRC32 until 2026-06-22; since then it is always 0 and means nothing. books5 and bbo-tbt send a whole
         (top of) book each time, without `action`.
Limits:  20 requests in 2 seconds for each address and endpoint; code 50011 past that. Socket: 480 messages an hour on
         one connection, 3 connections a second, 64 KB for the names of one message; 30 silent seconds end it.
Samples: captures/cryptofeed/OKX.* (2022-05)
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Literal

import msgspec

from tidelake.raw.frame import Frame
from tidelake.venues import symbols
from tidelake.venues.book_format import BookFeed, BookFormat, BookLayout, BookName, Levels, Named, in_channel
from tidelake.venues.payloads import (
    INTERVAL_SECONDS,
    as_object,
    decode,
    each,
    exact,
    interval_of,
    ms,
    ms_up,
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
from tidelake.venues.stream_names import channel_of, named, symbol_of

PAGE = 100
HOUR_MS = 3_600_000
REFUSED = re.compile(r"channel:([\w-]+)(?:,(?:instId|instType):([\w-]+))?")
BARS = (("1m", "1m"), ("5m", "5m"), ("15m", "15m"), ("1h", "1H"), ("1d", "1Dutc"))
KINDS = {"SPOT": "spot", "SWAP": "perpetual", "FUTURES": "future", "OPTION": "option"}
STATUS = {"live": "trading", "suspend": "halted", "preopen": "pre", "rebase": "halted", "post_only": "halted"}
STATUS |= {"test": "pre", "settling": "halted", "expired": "delisted"}
RETRYABLE = frozenset({"50001", "50004", "50005", "50011", "50013", "50026", "50040", "50061"})


def canonical(name: str) -> str:
    """`BTC-USDT-SWAP` is BTC-USDT-PERP, `BTC-USD-220527` BTC-USD-20220527, `BTC-USD-220527-22000-C` an option."""
    match name.split("-"):
        case [base, quote]:
            symbol = symbols.Symbol(base, quote)
        case [base, quote, "SWAP"]:
            symbol = symbols.Symbol(base, quote, perpetual=True)
        case [base, quote, day]:
            symbol = symbols.Symbol(base, quote, expiry=symbols.six_digit_day(day))
        case [base, quote, day, strike, right]:
            symbol = symbols.Symbol(base, quote, expiry=symbols.six_digit_day(day), strike=strike, right=right)
        case _:
            raise ValueError(f"okx: no rule for {name!r}")
    return symbols.canonical(symbol)


def venue_symbol(symbol: str) -> str:
    """The `instId`, the reverse of `canonical`."""
    parsed = symbols.parse(symbol)
    parts = [parsed.base, parsed.quote]
    if parsed.perpetual:
        parts.append("SWAP")
    if parsed.expiry:
        parts.append(f"{parsed.expiry:%y%m%d}")
    if parsed.strike:
        parts += [parsed.strike, parsed.right]
    return "-".join(parts)


def size_unit(name: str) -> str:
    """Spot names have two parts; all others trade contracts."""
    return "base" if name.count("-") == 1 else "contracts"


def newest(symbol: str) -> Request:
    """The newest page of trades."""
    return Request(f"/api/v5/market/history-trades?instId={symbol}&limit={PAGE}")


def below(symbol: str, seq: int) -> Request:
    """The page of trades older than `seq`."""
    return Request(f"/api/v5/market/history-trades?instId={symbol}&type=1&after={seq}&limit={PAGE}")


def below_time(symbol: str, event_ns: int) -> Request:
    """The page of trades older than the time."""
    return Request(f"/api/v5/market/history-trades?instId={symbol}&type=2&after={ms_up(event_ns)}&limit={PAGE}")


def candle_page(symbol: str, interval: str, event_ns: int) -> Request:
    """100 bars from a start on, asked for by the end of the page; the newest 100 at 0."""
    step = INTERVAL_SECONDS[interval] * 1_000
    start = ms(event_ns) // step * step
    period = f"&after={start + PAGE * step}&before={start - 1}" if event_ns else ""
    bar = dict(BARS)[interval]
    return Request(f"/api/v5/market/history-candles?instId={symbol}&bar={bar}{period}&limit={PAGE}")


def _record(row: dict[str, Any]) -> Record:
    return {**as_object(row), "size_unit": size_unit(row["instId"])}


def _bar(name: str, interval: str, contracts: bool, row: Any) -> Record | None:
    start, open_, high, low, close, volume, volume_2, volume_quote, confirmed = row
    if confirmed != "1":
        return None
    bar = {"open": open_, "high": high, "low": low, "close": close}
    size = {"volume": volume_2 if contracts else volume, "quote": volume_quote}
    return {"symbol": name, "interval": interval, "start": start, **bar, **size}


def candles(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each bar that the venue calls confirmed.

    Volumes are base and quote for spot; for contracts the second number is the base volume, the third the quote one.
    """
    query = request_query(frame)
    interval = interval_of(BARS, query["bar"])
    contracts = size_unit(query["instId"]) == "contracts"
    return each(decode(frame.payload)["data"], partial(_bar, query["instId"], interval, contracts))


def rows(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """The rows of a frame as they are, with the unit of sizes; none where it confirms a subscription."""
    return each(decode(frame.payload).get("data") or [], _record)


def _top(name: str, row: Any) -> Record:
    record: dict[str, object] = {"instId": name, "size_unit": size_unit(name), "ts": row["ts"], "seqId": row["seqId"]}
    for side in ("bids", "asks"):
        if row[side]:
            record[f"{side}_price"], record[f"{side}_size"] = row[side][0][:2]
    return record


def best(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """The best bid and ask of a `bbo-tbt` frame; an empty side is left out."""
    message = decode(frame.payload)
    return each(message.get("data") or [], partial(_top, message["arg"]["instId"]))


def _funding(row: Any) -> Record:
    paid, after = whole(row["fundingTime"]), row.get("nextFundingTime")
    hours = (whole(after) - paid) // HOUR_MS if after else None
    return {**row, "hours": hours}


def funding(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """Funding rates, with the hours between this payment and the next."""
    return each(decode(frame.payload).get("data") or [], _funding)


def _liquidation(name: str, row: Any) -> Record:
    return {**as_object(row), "instId": name, "size_unit": size_unit(name)}


def liquidations(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """The closing orders of a frame, of whatever products."""
    for product in decode(frame.payload).get("data") or []:
        yield from each(product["details"], partial(_liquidation, product["instId"]))


def candles_frame(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each bar of a frame that the venue calls confirmed."""
    message = decode(frame.payload)
    name = message["arg"]["instId"]
    interval = interval_of(BARS, message["arg"]["channel"].removeprefix("candle"))
    contracts = size_unit(name) == "contracts"
    return each(message.get("data") or [], partial(_bar, name, interval, contracts))


def _instrument(product: Any) -> Record:
    base, quote = product["instId"].split("-")[:2]
    return {
        "venue_symbol": product["instId"],
        "kind": KINDS[product["instType"]],
        "base": product["baseCcy"] or base,
        "quote": product["quoteCcy"] or quote,
        "settle": product["settleCcy"] or None,
        "tick_size": exact(product["tickSz"]),
        "lot_size": exact(product["lotSz"]),
        "min_size": exact(product["minSz"]),
        "contract_size": _contract_size(product),
        "contract_unit": product["ctValCcy"] or None,
        "trading_status": STATUS[product["state"]],
        "listed_at": exact(product["listTime"]),
        "expires_at": exact(product["expTime"]),
        "strike": exact(product["stk"]),
        "option_type": {"C": "call", "P": "put", "": None}[product["optType"]],
    }


def instruments(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each instrument; an option's strike and right and all assets of a contract come from its name."""
    return each(decode(frame.payload)["data"], _instrument)


def _contract_size(product: dict[str, Any]) -> Decimal | None:
    """`ctVal` times its multiplier: BTC options are 0.1 of 1 BTC."""
    return Decimal(product["ctVal"]) * Decimal(product["ctMult"] or 1) if product["ctVal"] else None


class _Answer(msgspec.Struct):
    code: str = "0"
    msg: str = ""


def refusal(body: bytes) -> tuple[str, bool] | None:
    """Any `code` but "0" is an error, with status 200 or not."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.MsgspecError:
        return None
    return None if answer.code == "0" else (f"{answer.code} {answer.msg}", answer.code in RETRYABLE)


CHECKSUMS_END = date(2026, 6, 23)
DIFFS = ("books", "books-l2-tbt", "books50-l2-tbt")
SIDES = (Levels("data.asks", "ask"), Levels("data.bids", "bid"))


def _book(named: Named) -> BookName:
    return BookName(named.symbol, named.channel)


def _books(action: str, kind: Literal["update", "snapshot"]) -> tuple[BookFormat, ...]:
    form = BookFormat(
        kind=kind,
        name=_book,
        symbol="arg.instId",
        channel="arg.channel",
        where={"arg.channel": DIFFS, "action": (action,)},
        levels=SIDES,
        last="data.seqId?",
        prev="data.prevSeqId?",
        time="data.ts",
    )
    return replace(form, checksum="data.checksum?", valid_to=CHECKSUMS_END), replace(form, valid_from=CHECKSUMS_END)


def _whole(channel: str, kind: Literal["snapshot", "quote"]) -> BookFormat:
    return BookFormat(
        kind=kind,
        name=_book,
        symbol="arg.instId",
        channel="arg.channel",
        where={"arg.channel": (channel,)},
        has=("data.asks",),
        levels=SIDES,
        last="data.seqId?",
        time="data.ts",
    )


BOOK_PAGE = BookFormat(
    kind="page",
    name=in_channel(""),
    levels=SIDES,
    last="data.seqId?",
    time="data.ts",
    request="/market/books",
    request_symbol="instId",
)
BOOKS = BookFeed(
    layouts=(
        BookLayout(
            (
                *_books("update", "update"),
                *_books("snapshot", "snapshot"),
                _whole("bbo-tbt", "quote"),
                _whole("books5", "snapshot"),
                BOOK_PAGE,
            ),
            rows="data",
        ),
    ),
    plain_texts=(b"pong",),
)


def kind_of(name: str) -> str:
    """The venue's word for the kind of a product."""
    kind = symbols.parse(canonical(name)).kind
    return next(theirs for theirs, ours in KINDS.items() if ours == kind)


def _of_kind(symbol: str) -> tuple[str, ...]:
    return (f"liquidation-orders:{kind_of(symbol)}",)


def _funding_names(symbol: str) -> tuple[str, ...]:
    rate = (f"funding-rate:{symbol}",) if kind_of(symbol) == "SWAP" else ()
    return (*rate, f"mark-price:{symbol}")


def said(verb: str) -> Callable[[Sequence[str], int], bytes]:
    """A message to the socket, by verb; liquidations are asked for by kind of product."""

    def arg(name: str) -> dict[str, str]:
        key = "instType" if channel_of(name) == "liquidation-orders" else "instId"
        return {"channel": channel_of(name), key: symbol_of(name)}

    def message(names: Sequence[str], request: int) -> bytes:
        return json.dumps({"id": str(request), "op": verb, "args": [arg(name) for name in names]}).encode()

    return message


class _Arg(msgspec.Struct):
    channel: str = ""
    product: str = msgspec.field(default="", name="instId")
    kind: str = msgspec.field(default="", name="instType")


class _Said(msgspec.Struct):
    event: str
    arg: _Arg = msgspec.field(default_factory=_Arg)
    id: str = ""
    code: str = ""
    msg: str = ""


def socket_answer(payload: bytes) -> Answer | None:
    """Each stream of a message is answered for itself; a refusal names it in its text."""
    if payload == b"pong":
        return Answer("pong")
    try:
        found = msgspec.json.decode(payload, type=_Said)
    except msgspec.MsgspecError:
        return None
    request = int(found.id) if found.id.isdecimal() else -1
    if found.event == "subscribe":
        name = f"{found.arg.channel}:{found.arg.product or found.arg.kind}"
        return Answer("subscribed", names=(name,), request=request)
    if found.event == "notice":
        return Answer("closing", reason=f"{found.code} {found.msg}")
    if found.event != "error":
        return None
    named_one = REFUSED.search(found.msg)
    names = (f"{named_one[1]}:{named_one[2] or ''}",) if named_one else ()
    return Answer("refused", names=names, request=request, reason=f"{found.code} {found.msg}")


def _serves(symbol: str, channel: str) -> bool:
    """Spot has neither funding nor open interest nor liquidations of its own; an option is never liquidated so."""
    kind = kind_of(symbol)
    if channel == "liquidations":
        return kind in ("SWAP", "FUTURES")
    return kind != "SPOT" or channel not in ("funding", "open_interest")


okx_sockets = partial(
    Sockets,
    subscribe=said("subscribe"),
    unsubscribe=said("unsubscribe"),
    answer=socket_answer,
    answer_tokens=(b'"event":', b"pong"),
    names_per_message=100,  # our choice, as the next but one
    rate=Rate(weight=480, seconds=3_600.0),
    streams_per_connection=200,
    connects=Rate(weight=3, seconds=1.0),
    serves=_serves,
    ping=b"ping",
)


def audit_page(symbol: str) -> Request:
    """400 levels of each side, those of `books`, with their seqId."""
    return Request(f"/api/v5/market/books?instId={symbol}&sz=400")


PUBLIC = okx_sockets(
    url="wss://ws.okx.com:8443/ws/v5/public",
    channels={
        "book": named("books"),
        "quotes": named("bbo-tbt"),
        "funding": _funding_names,
        "open_interest": named("open-interest"),
        "liquidations": _of_kind,
    },
    audit_page=audit_page,
)
BUSINESS = okx_sockets(
    url="wss://ws.okx.com:8443/ws/v5/business",
    channels={"trades": named("trades-all"), "candles": named("candle1m")},
)

INSTRUMENTS = "/api/v5/public/instruments?instType="
VENUE = Venue(
    source="okx",
    rest_url="https://www.okx.com",
    rate=Rate(weight=20, seconds=2.0),
    canonical=canonical,
    venue_symbol=venue_symbol,
    size_unit=size_unit,
    numbered=True,
    trades=TradePages(
        order="backward",
        newest=newest,
        below=below,
        below_time=below_time,
        page_size=PAGE,
        reach=timedelta(days=90),
    ),
    candles=CandlePages(page=candle_page, intervals=tuple(ours for ours, _ in BARS), page_size=PAGE),
    instruments=(
        Request(f"{INSTRUMENTS}SPOT"),
        Request(f"{INSTRUMENTS}SWAP"),
        Request(f"{INSTRUMENTS}FUTURES"),
        Request(f"{INSTRUMENTS}OPTION&uly=BTC-USD"),
        Request(f"{INSTRUMENTS}OPTION&uly=ETH-USD"),
    ),
    flatten={
        "rows": rows,
        "best": best,
        "funding": funding,
        "liquidations": liquidations,
        "candles": candles,
        "candles_frame": candles_frame,
        "instruments": instruments,
    },
    recording_names=("OKX", "OKEX"),
    refusal=refusal,
    books=BOOKS,
    sockets=(PUBLIC, BUSINESS),
)
