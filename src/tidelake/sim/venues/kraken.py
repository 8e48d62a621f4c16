"""Kraken spot.

Source:  https://docs.kraken.com/api/docs/rest-api (Trades, AssetPairs, OHLC, Time); a recorded page and AssetPairs
Quirks:  Errors come with status 200 in `error`. Answers are keyed by the pair's legacy name ("XXBTZUSD"), however the
         pair was asked for. Trades are oldest first from `since` (ns, exclusive), times are float seconds whose last
         digits are rounding, and `last` is the cursor in ns. OHLC gives at most 720 bars, however far back `since` is.
"""

from decimal import Decimal, InvalidOperation

from tidelake.sim.answer import Answer, Limit, Query, SimVenue, View, iso_us, json_answer, retry_after
from tidelake.sim.bars import Bar, bars
from tidelake.sim.listing import US, Listing, Trades, fixed, places
from tidelake.sim.market import columns

SOURCE = "kraken"
PAIRS = (
    # legacy name, altname, wsname, canonical, base, quote, legacy base, legacy quote, tick
    ("XXBTZUSD", "XBTUSD", "XBT/USD", "BTC-USD", "BTC", "USD", "XXBT", "ZUSD", "0.1"),
    ("XETHZUSD", "ETHUSD", "ETH/USD", "ETH-USD", "ETH", "USD", "XETH", "ZUSD", "0.01"),
    ("SOLUSD", "SOLUSD", "SOL/USD", "SOL-USD", "SOL", "USD", "SOL", "ZUSD", "0.01"),
    ("XBTUSDT", "XBTUSDT", "XBT/USDT", "BTC-USDT", "BTC", "USDT", "XXBT", "USDT", "0.1"),
    ("XDGUSD", "XDGUSD", "XDG/USD", "DOGE-USD", "DOGE", "USD", "XXDG", "ZUSD", "0.0000001"),
)
INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
PAGE = 1000
PRICE_PLACES = 5
UNKNOWN_PAIR = "EQuery:Unknown asset pair"


def listings(start_ns: int) -> tuple[Listing, ...]:
    """The pairs."""
    return tuple(
        Listing(
            SOURCE,
            altname,
            symbol,
            base,
            quote,
            Decimal(tick),
            Decimal("0.00000001"),
            clock_ns=US,
            clock_offset_ns=200,  # makes seconds with seven digits, which give the same us cut or rounded
            distinct_times=True,
            extra={"legacy": legacy, "wsname": wsname, "base": legacy_base, "quote": legacy_quote},
        )
        for legacy, altname, wsname, symbol, base, quote, legacy_base, legacy_quote, tick in PAIRS
    )


def trade_ids(trades: Trades, seed: int) -> list[str]:
    """The numbers as text."""
    return [str(number) for number in trades.number.tolist()]


def error(text: str) -> Answer:
    """The venue's error body, with status 200."""
    return json_answer({"error": [text]})


def refuse(seconds: float | None) -> Answer:
    """The rate-limit error: status 200, and no Retry-After unless one is planned."""
    return json_answer({"error": ["EGeneral:Too many requests"]}, headers=retry_after(seconds))


def _price(listing: Listing, ticks: int) -> str:
    text = fixed(ticks, listing.tick)
    return text + "0" * max(0, PRICE_PLACES - places(listing.tick))


def trade_rows(trades: Trades) -> list[list[object]]:
    """Trades as REST tells them, in the order given."""
    listing = trades.listing
    rows = zip(*(column.tolist() for column in columns(trades)), trades.sizes(), strict=True)
    return [
        [
            _price(listing, ticks),
            size,
            time_ns / 10**9,  # int by int: correctly rounded
            "b" if buy else "s",
            "l" if number % 3 == 0 else "m",
            "",
            number,
        ]
        for number, time_ns, ticks, _, buy, size in rows
    ]


def _since_ns(query: Query) -> int | None:
    text = query.get("since", "")
    if not text:
        return None
    value = Decimal(text)
    return int(value * 10**9) if value < 10**12 else int(value)


def _trades(market: View, listing: Listing, query: Query, now_ns: int) -> Answer:
    try:
        since, count = _since_ns(query), int(query.get("count") or PAGE)
    except (ValueError, InvalidOperation):
        return error("EGeneral:Invalid arguments")
    if not 1 <= count <= PAGE:
        return error("EGeneral:Invalid arguments:count")
    tape = market.tape(listing)
    first = 1 if since is None else tape.seq_since(since + 1)
    page = tape.visible(first, tape.happened(now_ns), now_ns, limit=count, newest=since is None)
    last = int(page.time_ns[-1]) if len(page) else (since or now_ns)
    return json_answer({"error": [], "result": {listing.extra["legacy"]: trade_rows(page), "last": str(last)}})


def _candle(bar: Bar) -> list[object]:
    prices = [_price(bar.listing, ticks) for ticks in (bar.open, bar.high, bar.low, bar.close)]
    vwap = f"{bar.turnover_decimal() / (bar.volume * bar.listing.lot):.{max(1, places(bar.listing.tick))}f}"
    return [bar.start_ns // 10**9, *prices, vwap, bar.volume_text(), bar.trades]


def _candles(market: View, listing: Listing, query: Query, now_ns: int) -> Answer:
    try:
        since, interval = _since_ns(query), int(query.get("interval") or 1)
    except (ValueError, InvalidOperation):
        return error("EGeneral:Invalid arguments")
    if interval not in INTERVALS:
        return error("EGeneral:Invalid arguments:interval")
    step = interval * 60 * 10**9
    oldest = (now_ns // step - 719) * step
    found = bars(market.tape(listing), step, max(oldest, since or 0), now_ns + 1, now_ns)
    last = found[-2].start_ns if len(found) > 1 else oldest
    rows = [_candle(bar) for bar in found]
    return json_answer({"error": [], "result": {listing.extra["legacy"]: rows, "last": last // 10**9}})


def pair(listing: Listing) -> dict[str, object]:
    """The record of `AssetPairs`."""
    return {
        "altname": listing.venue_symbol,
        "wsname": listing.extra["wsname"],
        "aclass_base": "currency",
        "base": listing.extra["base"],
        "aclass_quote": "currency",
        "quote": listing.extra["quote"],
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": places(listing.tick),
        "lot_decimals": places(listing.lot),
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4], [10000, 0.35]],
        "fees_maker": [[0, 0.25], [10000, 0.2]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.00005",
        "costmin": "0.5",
        "tick_size": listing.tick_text,
        "status": "online",
    }


def _names(listing: Listing) -> tuple[str, ...]:
    return listing.venue_symbol, listing.extra["legacy"], listing.extra["wsname"], listing.symbol.replace("-", "/")


def _find(market: View, name: str) -> Listing | None:
    return next((listing for listing in market.listings(SOURCE) if name.upper() in _names(listing)), None)


def _pairs(market: View, query: Query) -> Answer:
    wanted = [name for name in query.get("pair", "").split(",") if name]
    found = [_find(market, name) for name in wanted] if wanted else list(market.listings(SOURCE))
    if None in found:
        return error(UNKNOWN_PAIR)
    result = {listing.extra["legacy"]: pair(listing) for listing in found if listing is not None}
    return json_answer({"error": [], "result": result})


def _time(now_ns: int) -> Answer:
    return json_answer({"error": [], "result": {"unixtime": now_ns // 10**9, "rfc1123": iso_us(now_ns)}})


def respond(market: View, method: str, path: str, query: Query, now_ns: int) -> Answer:
    """The answer to one request."""
    name = path.removeprefix("/0/public/")
    if name == "Time":
        return _time(now_ns)
    if name == "AssetPairs":
        return _pairs(market, query)
    serve = {"Trades": _trades, "OHLC": _candles}.get(name)
    if serve is None or method not in ("GET", "POST"):
        return error("EGeneral:Unknown method")
    if not query.get("pair"):
        return error("EGeneral:Invalid arguments")
    listing = _find(market, query["pair"])
    return serve(market, listing, query, now_ns) if listing else error(UNKNOWN_PAIR)


def _empty(path: str, query: Query) -> Answer:
    name = query.get("pair", "")
    legacy = next((row[0] for row in PAIRS if name.upper() in row[:3]), name)
    return json_answer({"error": [], "result": {legacy: [], "last": query.get("since") or "0"}})


VENUE = SimVenue(
    source=SOURCE,
    listings=listings,
    respond=respond,
    trade_ids=trade_ids,
    refuse=refuse,
    limit=Limit(15, 15.0),
    trade_paths=("/public/Trades",),
    empty=_empty,
)
