"""Bybit v5: spot, linear and inverse.

Source:  https://bybit-exchange.github.io/docs/v5 (market/recent-trade, market/instrument, market/kline, rate-limit)
Quirks:  Only the newest trades exist: 60 for spot, 1,000 for linear and inverse, newest first, no paging. Ids of
         contracts are UUIDs; spot ids are numbers that other symbols share, so they jump. The symbol "BTCUSDT" names a
         pair and a contract, told apart by `category`. Errors come as `retCode` with status 200; a client over the
         limit gets 403, or 10006 in the body. Inverse contracts are sized in US dollars.
"""

from decimal import Decimal
from typing import Any

from tidelake.sim.answer import Answer, Limit, Query, SimVenue, View, integer, json_answer, retry_after
from tidelake.sim.bars import Bar, bars
from tidelake.sim.listing import MS, Listing, Trades, plain
from tidelake.sim.market import columns, trade_uuids
from tidelake.sim.reference import mix, seed_of

SOURCE = "bybit"
PAGES = {"spot": 60, "linear": 1000, "inverse": 1000}
SPOT_BASE = 2_290_000_000_000_000_000
KLINES = {
    "1": 60,
    "3": 180,
    "5": 300,
    "15": 900,
    "30": 1800,
    "60": 3600,
    "120": 7200,
    "240": 14400,
    "360": 21600,
    "720": 43200,
    "D": 86400,
}


def listings(start_ns: int) -> tuple[Listing, ...]:
    """Pairs, linear and inverse perpetuals."""

    def make(category: str, name: str, symbol: str, base: str, quote: str, tick: str, lot: str, **more: Any) -> Listing:
        kind = "spot" if category == "spot" else "perpetual"
        grids = Decimal(tick), Decimal(lot)
        extra = {"category": category}
        return Listing(SOURCE, name, symbol, base, quote, *grids, kind=kind, numbered=False, extra=extra, **more)  # type: ignore[arg-type]

    usd = {"size_unit": "quote", "contract_unit": "USD"}
    return (
        make("spot", "BTCUSDT", "BTC-USDT", "BTC", "USDT", "0.01", "0.000001"),
        make("spot", "ETHUSDT", "ETH-USDT", "ETH", "USDT", "0.01", "0.00001"),
        make("linear", "BTCUSDT", "BTC-USDT-PERP", "BTC", "USDT", "0.10", "0.001", settle="USDT"),
        make("linear", "ETHUSDT", "ETH-USDT-PERP", "ETH", "USDT", "0.01", "0.01", settle="USDT"),
        make("inverse", "BTCUSD", "BTC-USD-PERP", "BTC", "USD", "0.50", "1", settle="BTC", **usd),
    )


def trade_ids(trades: Trades, seed: int) -> list[str]:
    """UUIDs for contracts; for spot, rising numbers with jumps."""
    if trades.listing.kind != "spot":
        return trade_uuids(trades, seed)
    jitter = (mix(trades.seq, seed_of(seed, trades.listing.key, "id")) % 7).tolist()
    return [str(SPOT_BASE + seq * 7 + extra) for seq, extra in zip(trades.seq.tolist(), jitter, strict=True)]


def result(content: object, now_ns: int) -> Answer:
    """A good answer."""
    return json_answer({"retCode": 0, "retMsg": "OK", "result": content, "retExtInfo": {}, "time": now_ns // MS})


def error(code: int, text: str, now_ns: int) -> Answer:
    """The venue's error body, with status 200."""
    return json_answer({"retCode": code, "retMsg": text, "result": {}, "retExtInfo": {}, "time": now_ns // MS})


def refuse(seconds: float | None) -> Answer:
    """The rate limit: 10006, status 200 as for all errors in the body."""
    body = {"retCode": 10006, "retMsg": "Too many visits!", "result": {}, "retExtInfo": {}, "time": 0}
    return json_answer(body, headers=retry_after(seconds))


def banned(seconds: float) -> Answer:
    """403 for an address that goes on."""
    return json_answer({"retCode": 10018, "retMsg": "access too frequent"}, 403)


def trade_records(trades: Trades, seed: int) -> list[dict[str, object]]:
    """Trades as REST tells them, in the order given."""
    rows = zip(
        trade_ids(trades, seed),
        trades.seq.tolist(),
        *(column.tolist() for column in columns(trades)[1:]),
        trades.prices(),
        trades.sizes(),
        strict=True,
    )
    return [
        {
            "execId": trade_id,
            "symbol": trades.listing.venue_symbol,
            "price": price,
            "size": plain(size),
            "side": "Buy" if buy else "Sell",
            "time": str(time_ns // MS),
            "isBlockTrade": False,
            "isRPITrade": False,
            "seq": str(5_000_000_000 + seq * 3),
        }
        for trade_id, seq, time_ns, _, _, buy, price, size in rows
    ]


def _recent(market: View, listing: Listing, query: Query, now_ns: int) -> Answer:
    category = str(listing.extra["category"])
    limit = max(1, min(integer(query, "limit") or (60 if category == "spot" else 500), PAGES[category]))
    tape = market.tape(listing)
    page = tape.visible(1, tape.happened(now_ns), now_ns, limit=limit, newest=True)
    return result({"category": category, "list": trade_records(page[::-1], market.seed)}, now_ns)


def _kline(bar: Bar) -> list[str]:
    prices = [plain(price) for price in bar.prices()]
    return [str(bar.start_ns // MS), *prices, plain(bar.volume_text()), plain(bar.turnover_text(8))]


def _klines(market: View, listing: Listing, query: Query, now_ns: int) -> Answer:
    if query.get("interval") not in KLINES:
        return error(10001, "Invalid period!", now_ns)
    step = KLINES[query["interval"]] * 10**9
    limit = max(1, min(integer(query, "limit") or 200, 1000))
    since, until = integer(query, "start"), integer(query, "end")
    end_ns = min(now_ns, until * MS if until is not None else now_ns)
    start_ns = max(since * MS if since is not None else 0, (end_ns // step - limit + 1) * step)
    rows = [_kline(bar) for bar in reversed(bars(market.tape(listing), step, start_ns, end_ns + 1, now_ns))]
    content = {"symbol": listing.venue_symbol, "category": listing.extra["category"], "list": rows[:limit]}
    return result(content, now_ns)


def instrument(listing: Listing, start_ns: int) -> dict[str, object]:
    """The record of `instruments-info`."""
    tick, lot = listing.tick_text, listing.lot_text
    common: dict[str, object] = {
        "symbol": listing.venue_symbol,
        "baseCoin": listing.base,
        "quoteCoin": listing.quote,
        "status": "Trading",
    }
    if listing.kind == "spot":
        lots = {"basePrecision": lot, "quotePrecision": "0.0000001", "minOrderQty": lot, "maxOrderQty": "83"}
        return {
            **common,
            "innovation": "0",
            "marginTrading": "utaOnly",
            "lotSizeFilter": {**lots, "minOrderAmt": "5", "maxOrderAmt": "8000000"},
            "priceFilter": {"tickSize": tick},
        }
    return {
        **common,
        "contractType": f"{str(listing.extra['category']).capitalize()}Perpetual",
        "launchTime": str((start_ns - 365 * 86_400 * 10**9) // MS),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": "2",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": tick, "maxPrice": "1999999.80", "tickSize": tick},
        "lotSizeFilter": {"maxOrderQty": "1190.000", "minOrderQty": lot, "qtyStep": lot, "minNotionalValue": "5"},
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "settleCoin": listing.settle,
    }


def _instruments(market: View, query: Query, found: list[Listing], now_ns: int) -> Answer:
    wanted = query.get("symbol")
    chosen = [listing for listing in found if not wanted or listing.venue_symbol == wanted]
    content: dict[str, object] = {
        "category": query["category"],
        "list": [instrument(listing, market.start_ns) for listing in chosen],
    }
    if query["category"] != "spot":
        content["nextPageCursor"] = ""
    return result(content, now_ns)


def respond(market: View, method: str, path: str, query: Query, now_ns: int) -> Answer:
    """The answer to one request."""
    if path == "/v5/market/time":
        content = {"timeSecond": str(now_ns // 10**9), "timeNano": str(now_ns)}
        return result(content, now_ns)
    serve = {"/v5/market/recent-trade": _recent, "/v5/market/kline": _klines}.get(path)
    if method != "GET" or (serve is None and path != "/v5/market/instruments-info"):
        return json_answer({"retCode": 10404, "retMsg": "Route not found"}, 404)
    category = query.get("category", "linear" if path.endswith("kline") else "")
    if category == "option" and serve is None:
        return result({"category": category, "list": [], "nextPageCursor": ""}, now_ns)
    if category not in PAGES:
        return error(10001, "Illegal category", now_ns)
    found = [listing for listing in market.listings(SOURCE) if listing.extra["category"] == category]
    if serve is None:
        return _instruments(market, query, found, now_ns)
    listing = next((item for item in found if item.venue_symbol == query.get("symbol")), None)
    if listing is None:
        return error(10001, "Not supported symbols", now_ns)
    try:
        return serve(market, listing, query, now_ns)
    except ValueError:
        return error(10001, "Request parameter error", now_ns)


VENUE = SimVenue(
    source=SOURCE,
    listings=listings,
    respond=respond,
    trade_ids=trade_ids,
    refuse=refuse,
    limit=Limit(600, 5.0),
    trade_paths=("/market/recent-trade",),
    empty=lambda path, query: result({"category": query.get("category", ""), "list": []}, 0),
    banned=banned,
)
