"""Coinbase Exchange.

Source:  https://docs.cdp.coinbase.com/exchange (get-product-trades, pagination, get-product-candles, get-all-products)
Quirks:  `side` is the maker's. Lists are newest first. `after=X` gives older trades (id < X), `before=X` gives newer
         ones (id > X), and of those the newest page, not the nearest. Page cursors stand in CB-BEFORE and CB-AFTER.
         Candles are [time, low, high, open, close, volume], newest first, at most 300.
"""

from datetime import UTC, datetime
from decimal import Decimal

from tidelake.sim.answer import Answer, Limit, Query, SimVenue, View, integer, iso_us, json_answer, retry_after
from tidelake.sim.bars import bars
from tidelake.sim.listing import US, Listing, Trades, plain
from tidelake.sim.market import columns

SOURCE = "coinbase"
PRODUCTS = (("BTC", "USD", "0.01"), ("ETH", "USD", "0.01"), ("SOL", "USD", "0.01"), ("BTC", "USDT", "0.01"))
GRANULARITIES = (60, 300, 900, 3600, 21600, 86400)
PAGE = 1000
LOT = Decimal("0.00000001")


def listings(start_ns: int) -> tuple[Listing, ...]:
    """The products."""
    return tuple(
        Listing(SOURCE, f"{base}-{quote}", f"{base}-{quote}", base, quote, Decimal(tick), LOT, clock_ns=US)
        for base, quote, tick in PRODUCTS
    )


def trade_ids(trades: Trades, seed: int) -> list[str]:
    """The numbers as text."""
    return [str(number) for number in trades.number.tolist()]


def error(message: str, status: int) -> Answer:
    """The venue's error body."""
    return json_answer({"message": message}, status)


def refuse(seconds: float | None) -> Answer:
    """429 of the public interface."""
    return json_answer({"message": "Public rate limit exceeded"}, 429, retry_after(seconds))


def trade_records(trades: Trades) -> list[dict[str, object]]:
    """Trades as REST tells them, in the order given."""
    rows = zip(*(column.tolist() for column in columns(trades)), trades.prices(), trades.sizes(), strict=True)
    return [
        {
            "time": iso_us(time_ns),
            "trade_id": number,
            "price": price + "000000",
            "size": size,
            "side": "sell" if buy else "buy",
        }
        for number, time_ns, _, _, buy, price, size in rows
    ]


def _trades(market: View, listing: Listing, query: Query, now_ns: int) -> Answer:
    try:
        limit, before, after = (integer(query, name) for name in ("limit", "before", "after"))
    except ValueError:
        return error("Invalid cursor", 400)
    if limit is not None and not 1 <= limit <= PAGE:
        return error(f"limit must be between 1 and {PAGE}", 400)
    tape = market.tape(listing)
    first = tape.seq_from(before + 1) if before is not None else 1
    last = tape.seq_from(after) - 1 if after is not None else tape.happened(now_ns)
    page = tape.visible(first, last, now_ns, limit=limit or PAGE, newest=True)[::-1]
    headers = {}
    if len(page):
        headers = {"cb-before": str(page.number[0]), "cb-after": str(page.number[-1])}
    return json_answer(trade_records(page), headers=headers)


def _candles(market: View, listing: Listing, query: Query, now_ns: int) -> Answer:
    try:
        granularity = integer(query, "granularity") or 60
        start, end = (_moment(query.get(name, "")) for name in ("start", "end"))
    except ValueError:
        return error("Invalid start or end", 400)
    if granularity not in GRANULARITIES:
        return error("Unsupported granularity", 400)
    step = granularity * 10**9
    end_ns = end if end is not None else now_ns
    start_ns = start if start is not None else (end_ns // step - 299) * step
    if (end_ns - start_ns) // step > 300:
        return error("granularity too small for the requested time range; aggregations requested exceed 300", 400)
    found = bars(market.tape(listing), step, start_ns, end_ns + 1, now_ns)
    rows = []
    for bar in reversed(found):
        opened, high, low, close = (plain(price) for price in bar.prices())
        row = (str(bar.start_ns // 10**9), low, high, opened, close, plain(bar.volume_text()))
        rows.append(f"[{','.join(row)}]")
    return Answer(200, {"content-type": "application/json; charset=utf-8"}, f"[{','.join(rows)}]".encode())


def _moment(text: str) -> int | None:
    if not text:
        return None
    if text.isdigit():
        return int(text) * 10**9
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 10**9


def product(listing: Listing) -> dict[str, object]:
    """The product record of `GET /products`."""
    return {
        "id": listing.venue_symbol,
        "base_currency": listing.base,
        "quote_currency": listing.quote,
        "quote_increment": listing.tick_text,
        "base_increment": listing.lot_text,
        "display_name": f"{listing.base}-{listing.quote}",
        "min_market_funds": "1",
        "margin_enabled": False,
        "post_only": False,
        "limit_only": False,
        "cancel_only": False,
        "status": "online",
        "status_message": "",
        "trading_disabled": False,
        "fx_stablecoin": False,
        "max_slippage_percentage": "0.02000000",
        "auction_mode": False,
        "high_bid_limit_percentage": "",
    }


def respond(market: View, method: str, path: str, query: Query, now_ns: int) -> Answer:
    """The answer to one request."""
    parts = path.strip("/").split("/")
    if method != "GET":
        return error("Method not allowed", 405)
    if parts == ["time"]:
        return json_answer({"iso": iso_us(now_ns)[:-4] + "Z", "epoch": round(now_ns / 1e9, 3)})
    if parts[0] != "products":
        return error("Route not found", 404)
    known = {listing.venue_symbol: listing for listing in market.listings(SOURCE)}
    if len(parts) == 1:
        return json_answer([product(listing) for listing in known.values()])
    listing = known.get(parts[1].upper())
    if listing is None:
        return error("NotFound", 404)
    if len(parts) == 2:
        return json_answer(product(listing))
    serve = {"trades": _trades, "candles": _candles}.get(parts[2])
    return serve(market, listing, query, now_ns) if serve and len(parts) == 3 else error("Route not found", 404)


VENUE = SimVenue(
    source=SOURCE,
    listings=listings,
    respond=respond,
    trade_ids=trade_ids,
    refuse=refuse,
    limit=Limit(10, 1.0),
    trade_paths=("/trades",),
    empty=lambda path, query: json_answer([]),
)
