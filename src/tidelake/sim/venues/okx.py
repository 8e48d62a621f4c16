"""OKX v5.

Source:  https://www.okx.com/docs-v5/en (market data, public data, error codes); instruments as recorded
Quirks:  Everything is text. Lists are newest first. `after` gives older records, `before` newer ones and, alone, the
         newest page of them. `type=2` makes `after` a time in ms; `before` then is not supported. Errors come as
         `code` with status 200, the rate limit as 50011 with status 429. Swaps and futures count contracts.
"""

from decimal import Decimal
from typing import Any

from tidelake.sim.answer import Answer, Limit, Query, SimVenue, View, integer, json_answer, retry_after
from tidelake.sim.bars import Bar, bars
from tidelake.sim.listing import MS, Listing, Trades, at_eight, fixed, plain, quarter_expiry
from tidelake.sim.market import columns

SOURCE = "okx"
HISTORY_PAGE = 100
RECENT_PAGE = 500
REACH_NS = 90 * 86_400 * 10**9
BARS = {"1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1H": 3600, "2H": 7200, "4H": 14400, "1Dutc": 86400}
TYPES = {"SPOT": "spot", "SWAP": "perpetual", "FUTURES": "future", "OPTION": "option"}


def listings(start_ns: int) -> tuple[Listing, ...]:
    """Spot, swaps, and one dated future."""
    expiry = quarter_expiry(start_ns)
    one, cent = Decimal("0.1"), Decimal("0.01")
    inverse: dict[str, Any] = {
        "size_unit": "contracts",
        "contract_size": Decimal(100),
        "contract_unit": "USD",
        "settle": "BTC",
    }
    return (
        Listing(SOURCE, "BTC-USDT", "BTC-USDT", "BTC", "USDT", one, Decimal("0.00000001")),
        Listing(SOURCE, "ETH-USDT", "ETH-USDT", "ETH", "USDT", cent, Decimal("0.000001")),
        Listing(SOURCE, "SOL-USDT", "SOL-USDT", "SOL", "USDT", cent, Decimal("0.000001")),
        Listing(
            SOURCE,
            "BTC-USDT-SWAP",
            "BTC-USDT-PERP",
            "BTC",
            "USDT",
            one,
            cent,
            settle="USDT",
            kind="perpetual",
            size_unit="contracts",
            contract_size=cent,
            contract_unit="BTC",
        ),
        Listing(SOURCE, "BTC-USD-SWAP", "BTC-USD-PERP", "BTC", "USD", one, one, kind="perpetual", **inverse),
        Listing(
            SOURCE,
            f"BTC-USD-{expiry:%y%m%d}",
            f"BTC-USD-{expiry:%Y%m%d}",
            "BTC",
            "USD",
            one,
            Decimal(1),
            kind="future",
            price_scale=1.006,
            expires_ns=at_eight(expiry),
            **inverse,
        ),
    )


def trade_ids(trades: Trades, seed: int) -> list[str]:
    """The numbers as text."""
    return [str(number) for number in trades.number.tolist()]


def data(records: list[object]) -> Answer:
    """A good answer."""
    return json_answer({"code": "0", "msg": "", "data": records})


def error(code: str, text: str, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """The venue's error body."""
    return json_answer({"code": code, "msg": text, "data": []}, status, headers)


def refuse(seconds: float | None) -> Answer:
    """The rate limit."""
    return json_answer({"msg": "Too Many Requests", "code": "50011"}, 429, retry_after(seconds))


def trade_records(trades: Trades) -> list[dict[str, object]]:
    """Trades as REST tells them, in the order given."""
    rows = zip(*(column.tolist() for column in columns(trades)), trades.prices(), trades.sizes(), strict=True)
    return [
        {
            "instId": trades.listing.venue_symbol,
            "side": "buy" if buy else "sell",
            "sz": plain(size),
            "source": "0",
            "px": plain(price),
            "tradeId": str(number),
            "ts": str(time_ns // MS),
        }
        for number, time_ns, _, _, buy, price, size in rows
    ]


def _recent(market: View, listing: Listing, query: Query, now_ns: int) -> Answer:
    tape = market.tape(listing)
    limit = max(1, min(integer(query, "limit") or 100, RECENT_PAGE))
    page = tape.visible(1, tape.happened(now_ns), now_ns, limit=limit, newest=True)
    return data(list(trade_records(page[::-1])))


def _history(market: View, listing: Listing, query: Query, now_ns: int) -> Answer:
    tape = market.tape(listing)
    limit = max(1, min(integer(query, "limit") or HISTORY_PAGE, HISTORY_PAGE))
    after, before = integer(query, "after"), integer(query, "before")
    first, last = tape.seq_since(now_ns - REACH_NS), tape.happened(now_ns)
    if query.get("type", "1") == "2":
        if before is not None:
            return error("51000", "Parameter before error")
        last = tape.seq_since(after * MS) - 1 if after is not None else last
    else:
        last = tape.seq_from(after) - 1 if after is not None else last
        first = max(first, tape.seq_from(before + 1)) if before is not None else first
    page = tape.visible(first, last, now_ns, limit=limit, newest=True)
    return data(list(trade_records(page[::-1])))


def _candle(bar: Bar, now_ns: int) -> list[str]:
    prices = [plain(price) for price in bar.prices()]
    volume, turnover = plain(bar.volume_text()), plain(bar.turnover_text(8))
    return [str(bar.start_ns // MS), *prices, volume, volume, turnover, "1" if bar.end_ns <= now_ns else "0"]


def _candles(market: View, listing: Listing, query: Query, now_ns: int, *, finished: bool) -> Answer:
    name = query.get("bar") or "1m"
    if name not in BARS:
        return error("51000", "Parameter bar error")
    step = BARS[name] * 10**9
    limit = max(1, min(integer(query, "limit") or 100, 300))
    after, before = integer(query, "after"), integer(query, "before")
    end_ns = after * MS if after is not None else now_ns + 1
    start_ns = before * MS + 1 if before is not None else 0
    start_ns = max(start_ns, (end_ns // step - limit - 1) * step)
    found = bars(market.tape(listing), step, start_ns, end_ns, now_ns)
    rows = [_candle(bar, now_ns) for bar in reversed(found) if not finished or bar.end_ns <= now_ns]
    return data(list(rows[:limit]))


def instrument(listing: Listing, kind: str, start_ns: int) -> dict[str, object]:
    """The record of `instruments`."""
    spot, inverse = kind == "SPOT", listing.contract_unit == "USD"
    return {
        "alias": "quarter" if kind == "FUTURES" else "",
        "baseCcy": listing.base if spot else "",
        "category": "1",
        "ctMult": "" if spot else "1",
        "ctType": "" if spot else ("inverse" if inverse else "linear"),
        "ctVal": "" if spot else str(listing.contract_size),
        "ctValCcy": listing.contract_unit,
        "expTime": str(listing.expires_ns // MS) if listing.expires_ns else "",
        "instFamily": "" if spot else f"{listing.base}-{listing.quote}",
        "instId": listing.venue_symbol,
        "instType": kind,
        "lever": "10",
        "listTime": str((start_ns - 365 * 86_400 * 10**9) // MS),
        "lotSz": listing.lot_text,
        "maxIcebergSz": "9999999999",
        "maxLmtSz": "9999999999",
        "maxMktSz": "1000000",
        "maxStopSz": "1000000",
        "maxTriggerSz": "9999999999",
        "maxTwapSz": "9999999999",
        "minSz": fixed(listing.min_lots, listing.lot),
        "optType": "",
        "quoteCcy": listing.quote if spot else "",
        "settleCcy": listing.settle,
        "state": "live",
        "stk": "",
        "tickSz": listing.tick_text,
        "uly": "" if spot else f"{listing.base}-{listing.quote}",
    }


def _instruments(market: View, query: Query) -> Answer:
    kind = query.get("instType", "")
    if kind not in TYPES:
        return error("51000", "Parameter instType error")
    if kind == "OPTION" and not (query.get("uly") or query.get("instFamily")):
        return error("50015", "Either parameter uly or instFamily is required")
    found = [listing for listing in market.listings(SOURCE) if listing.kind == TYPES[kind]]
    if query.get("instId"):
        found = [listing for listing in found if listing.venue_symbol == query["instId"]]
        if not found:
            return error("51001", "Instrument ID or Spread ID doesn't exist.")
    return data([instrument(listing, kind, market.start_ns) for listing in found])


def respond(market: View, method: str, path: str, query: Query, now_ns: int) -> Answer:
    """The answer to one request."""
    if path == "/api/v5/public/time":
        return data([{"ts": str(now_ns // MS)}])
    if path == "/api/v5/public/instruments":
        return _instruments(market, query)
    name = path.removeprefix("/api/v5/market/")
    if method != "GET" or name not in ("trades", "history-trades", "candles", "history-candles"):
        return error("404", "Invalid URL", 404)
    if not query.get("instId"):
        return error("50014", "Parameter instId can not be empty.", 400)
    listing = next((item for item in market.listings(SOURCE) if item.venue_symbol == query["instId"]), None)
    if listing is None:
        return error("51001", "Instrument ID or Spread ID doesn't exist.")
    try:
        if name == "trades":
            return _recent(market, listing, query, now_ns)
        if name == "history-trades":
            return _history(market, listing, query, now_ns)
        return _candles(market, listing, query, now_ns, finished=name == "history-candles")
    except ValueError:
        return error("51000", "Parameter error")


VENUE = SimVenue(
    source=SOURCE,
    listings=listings,
    respond=respond,
    trade_ids=trade_ids,
    refuse=refuse,
    limit=Limit(20, 2.0),
    trade_paths=("/market/trades", "/market/history-trades"),
    empty=lambda path, query: data([]),
)
