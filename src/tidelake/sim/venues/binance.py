"""Binance spot.

Source:  https://github.com/binance/binance-spot-api-docs (rest-api.md), and exchangeInfo as recorded
Quirks:  Trades are oldest first. `historicalTrades` starts at `fromId`, inclusive. `isBuyerMaker` names the resting
         side: true means that the taker sold. Every answer tells the weight used in X-MBX-USED-WEIGHT-1M; a client
         that goes on after 429 gets 418.
"""

from decimal import Decimal
from typing import Any

import numpy as np

from tidelake.sim.answer import Answer, Limit, Query, SimVenue, View, integer, json_answer, retry_after
from tidelake.sim.bars import Bar, bars
from tidelake.sim.listing import MS, Listing, Trades
from tidelake.sim.market import BLOCK, Tape, columns

SOURCE = "binance-spot"
PAIRS = (
    ("BTC", "USDT", "0.01", "0.00001"),
    ("ETH", "USDT", "0.01", "0.0001"),
    ("SOL", "USDT", "0.01", "0.001"),
    ("BTC", "USDC", "0.01", "0.00001"),
)
PAGE = 1000
WEIGHTS = {
    "/api/v3/historicalTrades": 25,
    "/api/v3/trades": 25,
    "/api/v3/aggTrades": 4,
    "/api/v3/klines": 2,
    "/api/v3/exchangeInfo": 20,
}
UNITS_NS = {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
INTERVALS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")


def listings(start_ns: int) -> tuple[Listing, ...]:
    """The pairs."""
    return tuple(
        Listing(SOURCE, base + quote, f"{base}-{quote}", base, quote, Decimal(tick), Decimal(lot))
        for base, quote, tick, lot in PAIRS
    )


def trade_ids(trades: Trades, seed: int) -> list[str]:
    """The numbers as text."""
    return [str(number) for number in trades.number.tolist()]


def eight(value: Decimal) -> str:
    """The number with eight decimals, as the venue writes all prices and sizes."""
    return f"{value:.8f}"


def error(code: int, text: str, status: int = 400, headers: dict[str, str] | None = None) -> Answer:
    """The venue's error body."""
    return json_answer({"code": code, "msg": text}, status, headers)


def refuse(seconds: float | None) -> Answer:
    """429 for too much weight."""
    text = "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. Please use WebSocket."
    return error(-1003, text, 429, retry_after(seconds))


def banned(seconds: float) -> Answer:
    """418 for a client that went on after 429."""
    return error(-1003, "Way too much request weight used; IP banned until later.", 418, retry_after(seconds))


def trade_records(trades: Trades) -> list[dict[str, object]]:
    """Trades as REST tells them, in the order given."""
    tick, lot = trades.listing.tick, trades.listing.lot
    rows = zip(*(column.tolist() for column in columns(trades)), strict=True)
    return [
        {
            "id": number,
            "price": eight(ticks * tick),
            "qty": eight(lots * lot),
            "quoteQty": eight(ticks * tick * lots * lot),
            "time": time_ns // MS,
            "isBuyerMaker": not buy,
            "isBestMatch": True,
        }
        for number, time_ns, ticks, lots, buy in rows
    ]


def _limit(query: Query) -> int:
    limit = integer(query, "limit")
    if limit is not None and limit < 1:
        raise ValueError("limit")
    return min(limit or 500, PAGE)


def _trades(market: View, listing: Listing, query: Query, now_ns: int) -> Answer:
    tape = market.tape(listing)
    return json_answer(trade_records(tape.visible(1, tape.happened(now_ns), now_ns, limit=_limit(query), newest=True)))


def _historical(market: View, listing: Listing, query: Query, now_ns: int) -> Answer:
    start = integer(query, "fromId")
    if start is None:
        return _trades(market, listing, query, now_ns)
    tape = market.tape(listing)
    first = tape.seq_from(start)
    return json_answer(
        trade_records(tape.visible(first, tape.happened(now_ns), now_ns, limit=_limit(query), newest=False))
    )


def aggregates(tape: Any, first: int, limit: int, last_seq: int) -> list[dict[str, object]]:
    """Aggregate trades from number `first` (1 is the market's first), of trades up to `last_seq`, oldest first.

    An aggregate is made when its last trade has happened; `first` below 1 gives the first.
    """
    records: list[dict[str, object]] = []
    number = max(first, 1)
    block = 0
    while tape.aggregates_before(block + 1) < number:
        block += 1
    while len(records) < limit and block * BLOCK < last_seq:
        records += _aggregates_of(tape, block, number, last_seq)
        block += 1
        number = tape.aggregates_before(block) + 1
    return records[:limit]


def _aggregates_of(tape: Any, block: int, number: int, last_seq: int) -> list[dict[str, object]]:
    trades = tape.block(block)
    starts = tape.aggregate_starts(block)
    ends = np.r_[starts[1:], BLOCK]
    lots = np.add.reduceat(trades.lots, starts)
    skip = number - tape.aggregates_before(block) - 1
    rows = zip(starts.tolist(), ends.tolist(), lots.tolist(), strict=True)
    return [
        {
            "a": tape.aggregates_before(block) + 1 + place,
            "p": eight(int(trades.ticks[a]) * trades.listing.tick),
            "q": eight(total * trades.listing.lot),
            "f": int(trades.number[a]),
            "l": int(trades.number[b - 1]),
            "T": int(trades.time_ns[a]) // MS,
            "m": not bool(trades.buy[a]),
            "M": True,
        }
        for place, (a, b, total) in enumerate(rows)
        if place >= skip and trades.seq[b - 1] <= last_seq
    ]


def _tape(market: View, listing: Listing) -> Tape:
    tape: Any = market.tape(listing)
    found: Tape = getattr(tape, "tape", tape)  # faults hide trades, not aggregates
    return found


def aggregate_at(tape: Tape, seq: int) -> int:
    """Number of the aggregate that holds the trade, or of the first after it."""
    block, place = divmod(seq - 1, BLOCK)
    return tape.aggregates_before(block) + int(np.searchsorted(tape.aggregate_starts(block), place, side="left")) + 1


def _agg_trades(market: View, listing: Listing, query: Query, now_ns: int) -> Answer:
    tape, limit = _tape(market, listing), _limit(query)
    start, since, until = (integer(query, name) for name in ("fromId", "startTime", "endTime"))
    if start is not None and (since is not None or until is not None):
        return error(-1128, "Combination of optional parameters invalid.")
    last = tape.happened(min(now_ns, (until + 1) * MS - 1) if until is not None else now_ns)
    if start is not None:
        first = start
    elif since is not None:
        first = aggregate_at(tape, tape.seq_since(since * MS))
    else:
        first = aggregate_at(tape, last + 1) - limit
    return json_answer(aggregates(tape, first, limit, last))


def interval_ns(name: str) -> int:
    """Length of an interval such as "1m"."""
    return int(name[:-1]) * UNITS_NS[name[-1]]


def _kline(bar: Bar) -> list[object]:
    listing = bar.listing
    prices = (eight(ticks * listing.tick) for ticks in (bar.open, bar.high, bar.low, bar.close))
    return [
        bar.start_ns // MS,
        *prices,
        eight(bar.volume * listing.lot),
        bar.end_ns // MS - 1,
        eight(bar.turnover_decimal()),
        bar.trades,
        eight(bar.taker_buy_volume * listing.lot),
        eight(bar.turnover_decimal(bar.taker_buy_turnover)),
        "0",
    ]


def _klines(market: View, listing: Listing, query: Query, now_ns: int) -> Answer:
    if query.get("interval") not in INTERVALS:
        return error(-1120, "Invalid interval.")
    step, limit = interval_ns(query["interval"]), _limit(query)
    since, until = (integer(query, name) for name in ("startTime", "endTime"))
    end_ns = min(now_ns, until * MS if until is not None else now_ns)
    start_ns = since * MS if since is not None else (end_ns // step - limit + 1) * step
    first = max(start_ns, market.start_ns // step * step)
    found = bars(market.tape(listing), step, first, min(end_ns + 1, first + (limit + 1) * step), now_ns)
    return json_answer([_kline(bar) for bar in found[:limit]])


def symbol_record(listing: Listing) -> dict[str, object]:
    """The record of `exchangeInfo`."""
    tick, lot = eight(listing.tick), eight(listing.lot)
    return {
        "symbol": listing.venue_symbol,
        "status": "TRADING",
        "baseAsset": listing.base,
        "baseAssetPrecision": 8,
        "quoteAsset": listing.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000.00000000", "stepSize": lot},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True, "avgPriceMins": 5},
        ],
        "permissions": [],
        "permissionSets": [["SPOT", "MARGIN"]],
    }


def _exchange_info(market: View, query: Query, now_ns: int) -> Answer:
    found = market.listings(SOURCE)
    if query.get("symbol"):
        found = tuple(listing for listing in found if listing.venue_symbol == query["symbol"])
        if not found:
            return error(-1121, "Invalid symbol.")
    limits = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}]
    body = {
        "timezone": "UTC",
        "serverTime": now_ns // MS,
        "rateLimits": limits,
        "exchangeFilters": [],
        "symbols": [symbol_record(listing) for listing in found],
    }
    return json_answer(body)


def respond(market: View, method: str, path: str, query: Query, now_ns: int) -> Answer:
    """The answer to one request."""
    if path == "/api/v3/ping":
        return json_answer({})
    if path == "/api/v3/time":
        return json_answer({"serverTime": now_ns // MS})
    if path == "/api/v3/exchangeInfo":
        return _exchange_info(market, query, now_ns)
    serve = {
        "/api/v3/trades": _trades,
        "/api/v3/historicalTrades": _historical,
        "/api/v3/aggTrades": _agg_trades,
        "/api/v3/klines": _klines,
    }.get(path)
    if serve is None or method != "GET":
        return Answer(404, {"content-type": "text/html"}, b"<html><body><h2>404 Not found</h2></body></html>")
    if not query.get("symbol"):
        return error(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
    listing = next((item for item in market.listings(SOURCE) if item.venue_symbol == query["symbol"]), None)
    if listing is None:
        return error(-1121, "Invalid symbol.")
    try:
        return serve(market, listing, query, now_ns)
    except ValueError:
        return error(-1100, "Illegal characters found in a parameter.")


VENUE = SimVenue(
    source=SOURCE,
    listings=listings,
    respond=respond,
    trade_ids=trade_ids,
    refuse=refuse,
    limit=Limit(6000, 60.0),
    trade_paths=("/trades", "/historicalTrades", "/aggTrades"),
    empty=lambda path, query: json_answer([]),
    weight=lambda path, query: WEIGHTS.get(path, 1),
    weight_header="x-mbx-used-weight-1m",
    banned=banned,
)
