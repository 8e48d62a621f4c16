"""What a client sends to subscribe to trades, and what each venue says to it."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from tidelake.sim.listing import Listing
from tidelake.sim.wire import kraken_channel, packed

Talk = tuple[list[bytes], list[bytes]]
Body = dict[str, Any]


def _none(listings: Sequence[Listing], layout: str) -> Talk:
    return [], []


def _coinbase(listings: Sequence[Listing], layout: str) -> Talk:
    names = [listing.venue_symbol for listing in listings]
    sent: Body = {"type": "subscribe", "product_ids": names, "channels": ["matches"]}
    said: Body = {"type": "subscriptions", "channels": [{"name": "matches", "product_ids": names}]}
    return [packed(sent)], [packed(said)]


def _kraken(listings: Sequence[Listing], layout: str) -> Talk:
    names = [listing.extra["wsname"] for listing in listings]
    sent: Body = {"event": "subscribe", "pair": names, "subscription": {"name": "trade"}}
    status: Body = {"connectionID": 12345678901234567890, "event": "systemStatus", "status": "online"}
    said: list[Body] = [status | {"version": "1.8.3"}]
    for listing in listings:
        head: Body = {"channelID": kraken_channel(listing), "channelName": "trade", "event": "subscriptionStatus"}
        said.append(head | {"pair": listing.extra["wsname"], "status": "subscribed", "subscription": {"name": "trade"}})
    return [packed(sent)], [packed(item) for item in said]


def _okx(listings: Sequence[Listing], layout: str) -> Talk:
    args = [{"channel": "trades", "instId": listing.venue_symbol} for listing in listings]
    return [packed({"op": "subscribe", "args": args})], [packed({"event": "subscribe", "arg": arg}) for arg in args]


def _bybit(listings: Sequence[Listing], layout: str) -> Talk:
    topic = "publicTrade" if layout == "bybit" else "trade"
    sent = [packed({"op": "subscribe", "args": [f"{topic}.{listing.venue_symbol}"]}) for listing in listings]
    good: Body = {"success": True, "ret_msg": "", "conn_id": "5b0a3ed6-0cf6-4b68-a2a1-c2ee6c1a2d5e"}
    return sent, [packed(good | {"request": json.loads(item)}) for item in sent]


def _deribit(listings: Sequence[Listing], layout: str) -> Talk:
    channels = [f"trades.{listing.venue_symbol}.raw" for listing in listings]
    head: Body = {"jsonrpc": "2.0", "id": 0}
    sent = head | {"method": "public/subscribe", "params": {"channels": channels}}
    said = head | {"result": channels, "usIn": 1, "usOut": 2, "usDiff": 1, "testnet": False}
    return [packed(sent)], [packed(said)]


TALKS: dict[str, Callable[[Sequence[Listing], str], Talk]] = {
    "binance-spot": _none,
    "bybit": _bybit,
    "coinbase": _coinbase,
    "deribit": _deribit,
    "kraken": _kraken,
    "okx": _okx,
}


def talk(source: str, layout: str, listings: Sequence[Listing]) -> Talk:
    """Messages sent and frames received before the first trade."""
    return TALKS[source](listings, layout)
