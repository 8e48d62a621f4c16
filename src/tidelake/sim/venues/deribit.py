"""Deribit.

Source:  https://docs.deribit.com (market data: last trades by instrument, instruments, chart data; rate limits)
Quirks:  JSON-RPC wrapped: `result` or `error`, with usIn and usOut in microseconds. Prices and amounts are JSON
         numbers. `trade_seq` counts each instrument's trades by one; `trade_id` is shared by a currency's instruments.
         `direction` is the taker's. Perpetuals and futures are sized in US dollars, options in the base asset.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tidelake.sim.answer import (
    Answer,
    Limit,
    Query,
    SimVenue,
    View,
    integer,
    json_answer,
    number_text,
    raw_json,
    retry_after,
)
from tidelake.sim.bars import bars
from tidelake.sim.listing import MS, Listing, Trades, at_eight, quarter_expiry
from tidelake.sim.market import columns

SOURCE = "deribit"
PAGE = 1000
RESOLUTIONS = {
    "1": 60,
    "3": 180,
    "5": 300,
    "10": 600,
    "15": 900,
    "30": 1800,
    "60": 3600,
    "120": 7200,
    "180": 10800,
    "360": 21600,
    "720": 43200,
    "1D": 86400,
}
KINDS = {"perpetual": "future", "future": "future", "option": "option", "spot": "spot"}
FOREVER_MS = 32_503_708_800_000


def listings(start_ns: int) -> tuple[Listing, ...]:
    """Perpetuals, a dated future and an option on it."""
    expiry = quarter_expiry(start_ns)
    dated = f"{expiry.day}{expiry:%b%y}".upper()
    half, ten = Decimal("0.5"), Decimal(10)
    usd: dict[str, Any] = {"size_unit": "quote", "contract_unit": "USD"}
    future: dict[str, Any] = {"kind": "future", "settle": "BTC", "expires_ns": at_eight(expiry)}
    return (
        Listing(
            SOURCE, "BTC-PERPETUAL", "BTC-USD-PERP", "BTC", "USD", half, ten, settle="BTC", kind="perpetual", **usd
        ),
        Listing(
            SOURCE,
            "ETH-PERPETUAL",
            "ETH-USD-PERP",
            "ETH",
            "USD",
            Decimal("0.05"),
            Decimal(1),
            settle="ETH",
            kind="perpetual",
            **usd,
        ),
        Listing(
            SOURCE,
            f"BTC-{dated}",
            f"BTC-USD-{expiry:%Y%m%d}",
            "BTC",
            "USD",
            half,
            ten,
            price_scale=1.006,
            **future,
            **usd,
        ),
        Listing(
            SOURCE,
            f"BTC-{dated}-60000-C",
            f"BTC-USD-{expiry:%Y%m%d}-60000-C",
            "BTC",
            "USD",
            Decimal("0.0005"),
            Decimal("0.1"),
            price_scale=0.05,
            strike=Decimal(60000),
            option_type="call",
            **{**future, "kind": "option"},
        ),
    )


IDS_OF = {"perpetual": 0, "future": 1, "option": 2}  # ids of a currency are shared out over its instruments


def trade_ids(trades: Trades, seed: int) -> list[str]:
    """Ids that no other instrument of the currency has: plain numbers for BTC, "ETH-<number>" for others."""
    listing = trades.listing
    place = IDS_OF[listing.kind]
    prefix = "" if listing.base == "BTC" else f"{listing.base}-"
    return [f"{prefix}{number * len(IDS_OF) + place}" for number in trades.number.tolist()]


def envelope(content: str, now_ns: int, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """The JSON-RPC wrapping around `"result":..` or `"error":..` given as text."""
    us = now_ns // 1000
    times = f'"usIn":{us},"usOut":{us + 250},"usDiff":250,"testnet":false'
    return raw_json(f'{{"jsonrpc":"2.0",{content},{times}}}', status, headers)


def error(code: int, message: str, now_ns: int, reason: str = "", status: int = 400) -> Answer:
    """The venue's error body."""
    detail = json_answer({"message": message, **({"data": {"reason": reason}} if reason else {}), "code": code})
    return envelope(f'"error":{detail.body.decode()}', now_ns, status)


def refuse(seconds: float | None) -> Answer:
    """The rate limit, 10028."""
    return envelope('"error":{"message":"too_many_requests","code":10028}', 0, 429, retry_after(seconds))


def trade_text(trades: Trades, seed: int) -> str:
    """Trades as a JSON array, in the order given."""
    listing = trades.listing
    ids = trade_ids(trades, seed)
    rows = zip(ids, *(column.tolist() for column in columns(trades)), trades.prices(), trades.sizes(), strict=True)
    index = "60000.0" if listing.kind == "option" else None
    records = [
        f'{{"trade_seq":{number},"trade_id":"{trade_id}","timestamp":{time_ns // MS},"tick_direction":{number % 4}'
        f',"price":{number_text(price)},"mark_price":{number_text(price)}'
        + (',"iv":55.12' if index else "")
        + f',"instrument_name":"{listing.venue_symbol}","index_price":{index or number_text(price)}'
        + f',"direction":"{"buy" if buy else "sell"}","contracts":{number_text(str(lots))}'
        + f',"amount":{number_text(size)}}}'
        for trade_id, number, time_ns, _, lots, buy, price, size in rows
    ]
    return f"[{','.join(records)}]"


def _trades(market: View, listing: Listing, query: Query, now_ns: int) -> Answer:
    count = max(1, min(integer(query, "count") or 10, PAGE))
    tape = market.tape(listing)
    first, last = 1, tape.happened(now_ns)
    start_seq, end_seq = integer(query, "start_seq"), integer(query, "end_seq")
    start, end = integer(query, "start_timestamp"), integer(query, "end_timestamp")
    if start_seq is not None:
        first = max(first, tape.seq_from(start_seq))
    if end_seq is not None:
        last = min(last, tape.seq_from(end_seq + 1) - 1)
    if start is not None:
        first = max(first, tape.seq_since(start * MS))
    if end is not None:
        last = min(last, tape.seq_since((end + 1) * MS) - 1)
    order = query.get("sorting", "default")
    if order not in ("asc", "desc", "default"):
        return error(-32602, "Invalid params", now_ns, "wrong format")
    upwards = order == "asc" or (order == "default" and start is not None)
    page = tape.visible(first, last, now_ns, limit=count + 1, newest=not upwards)
    more = len(page) > count
    page = page[:count] if upwards else page[-count:][::-1]
    text = f'{{"trades":{trade_text(page, market.seed)},"has_more":{str(more).lower()}}}'
    return envelope(f'"result":{text}', now_ns)


def _chart(market: View, listing: Listing, query: Query, now_ns: int) -> Answer:
    start, end = integer(query, "start_timestamp"), integer(query, "end_timestamp")
    resolution = query.get("resolution", "")
    if start is None or end is None or resolution not in RESOLUTIONS:
        return error(-32602, "Invalid params", now_ns, "value required")
    step = RESOLUTIONS[resolution] * 10**9
    found = bars(market.tape(listing), step, start * MS, end * MS + 1, now_ns)[-5000:]
    columns_of: dict[str, list[str]] = {
        name: [] for name in ("open", "high", "low", "close", "volume", "cost", "ticks")
    }
    for bar in found:
        for name, price in zip(("open", "high", "low", "close"), bar.prices(), strict=True):
            columns_of[name].append(number_text(price))
        base = bar.volume * listing.lot / (Decimal(bar.close) * listing.tick) if listing.size_unit == "quote" else None
        columns_of["volume"].append(f"{base:.8f}" if base is not None else number_text(bar.volume_text()))
        columns_of["cost"].append(number_text(bar.volume_text() if base is not None else bar.turnover_text(8)))
        columns_of["ticks"].append(str(bar.start_ns // MS))
    lists = ",".join(f'"{name}":[{",".join(values)}]' for name, values in columns_of.items())
    return envelope(f'"result":{{{lists},"status":"{"ok" if found else "no_data"}"}}', now_ns)


def instrument(listing: Listing, start_ns: int) -> dict[str, object]:
    """The record of `get_instruments`."""
    period = "perpetual" if listing.kind == "perpetual" else "month"
    record: dict[str, object] = {
        "tick_size": float(listing.tick),
        "tick_size_steps": [],
        "taker_commission": 0.0005,
        "settlement_period": period,
        "settlement_currency": listing.settle,
        "quote_currency": "BTC" if listing.kind == "option" else listing.quote,
        "counter_currency": "USD",
        "price_index": f"{listing.base.lower()}_usd",
        "min_trade_amount": float(listing.lot),
        "maker_commission": 0.0,
        "kind": KINDS[listing.kind],
        "instrument_type": "reversed",
        "is_active": True,
        "instrument_name": listing.venue_symbol,
        "instrument_id": 210_000 + sum(map(ord, listing.venue_symbol)),
        "expiration_timestamp": listing.expires_ns // MS or FOREVER_MS,
        "creation_timestamp": (start_ns - 365 * 86_400 * 10**9) // MS,
        "contract_size": 1.0 if listing.kind == "option" else float(listing.lot),
        "block_trade_commission": 0.00015,
        "base_currency": listing.base,
        "rfq": False,
    }
    if listing.kind == "option":
        record |= {"strike": float(listing.strike or 0), "option_type": listing.option_type}
    return record


def _instruments(market: View, query: Query, now_ns: int) -> Answer:
    currency, kind = query.get("currency", "any"), query.get("kind", "any")
    if query.get("expired", "false") == "true":
        return envelope('"result":[]', now_ns)
    found = [
        instrument(listing, market.start_ns)
        for listing in market.listings(SOURCE)
        if currency in ("any", listing.base) and kind in ("any", KINDS[listing.kind])
    ]
    return envelope(f'"result":{json_answer(found).body.decode()}', now_ns)


def respond(market: View, method: str, path: str, query: Query, now_ns: int) -> Answer:
    """The answer to one request."""
    name = path.removeprefix("/api/v2/public/")
    if name == "get_time":
        return envelope(f'"result":{now_ns // MS}', now_ns)
    if name == "get_instruments":
        return _instruments(market, query, now_ns)
    serve = {
        "get_last_trades_by_instrument": _trades,
        "get_last_trades_by_instrument_and_time": _trades,
        "get_tradingview_chart_data": _chart,
    }.get(name)
    if serve is None or method != "GET":
        return error(-32601, "Method not found", now_ns)
    if not query.get("instrument_name"):
        return error(-32602, "Invalid params", now_ns, "value required")
    listing = next((item for item in market.listings(SOURCE) if item.venue_symbol == query["instrument_name"]), None)
    if listing is None:
        return error(13020, "not_found", now_ns)
    try:
        return serve(market, listing, query, now_ns)
    except ValueError:
        return error(-32602, "Invalid params", now_ns, "wrong format")


VENUE = SimVenue(
    source=SOURCE,
    listings=listings,
    respond=respond,
    trade_ids=trade_ids,
    refuse=refuse,
    limit=Limit(20, 1.0),
    trade_paths=("/get_last_trades_by",),
    empty=lambda path, query: envelope('"result":{"trades":[],"has_more":false}', 0),
)
