"""The trades of a listing as the venues' WebSocket frames, in the layouts that recordings hold.

A frame is (event_ns, payload); trades of one taker order come in one frame where the venue does so.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import pairwise
from typing import Any
from uuid import UUID

import numpy as np

from tidelake.sim.answer import iso_us
from tidelake.sim.listing import MS, Listing, Trades, plain
from tidelake.sim.market import columns, trade_uuids
from tidelake.sim.venues import binance, bybit, deribit

Frames = Iterator[tuple[int, bytes]]
Layout = Callable[[Trades, int], Frames]


def packed(body: object) -> bytes:
    """JSON without white space."""
    return json.dumps(body, separators=(",", ":")).encode()


def _rows(trades: Trades) -> Iterator[tuple[Any, ...]]:
    columns_of = (column.tolist() for column in columns(trades))
    return zip(*columns_of, trades.prices(), trades.sizes(), strict=True)


def _groups(trades: Trades, apart_ns: int = 0) -> Iterator[Trades]:
    """Runs of trades of one side whose times are at most `apart_ns` apart: what one taker order did."""
    new = (np.diff(trades.time_ns) > apart_ns) | (trades.buy[1:] != trades.buy[:-1])
    edges = [0, *(np.flatnonzero(new) + 1).tolist(), len(trades)] if len(trades) else []
    for first, last in pairwise(edges):
        yield trades[first:last]


def _order_id(*parts: object) -> str:
    digest = blake2b("\x1f".join(map(str, parts)).encode(), digest_size=16).digest()
    return str(UUID(bytes=digest, version=4))


def binance_trade(trades: Trades, seed: int) -> Frames:
    """Combined stream, `<symbol>@trade`."""
    name, tick, lot = trades.listing.venue_symbol, trades.listing.tick, trades.listing.lot
    for number, time_ns, ticks, lots, buy, _, _ in _rows(trades):
        ms = time_ns // MS
        price, size = binance.eight(ticks * tick), binance.eight(lots * lot)
        event = {"e": "trade", "E": ms + 1, "s": name, "t": number, "p": price, "q": size}
        event |= {"T": ms, "m": not buy, "M": True}
        yield time_ns, packed({"stream": f"{name.lower()}@trade", "data": event})


def binance_agg_trade(trades: Trades, seed: int, first_number: int = 1) -> Frames:
    """Combined stream, `<symbol>@aggTrade`; the first aggregate has this number."""
    name, tick, lot = trades.listing.venue_symbol, trades.listing.tick, trades.listing.lot
    number = first_number - 1
    for group in _groups(trades):
        edges = [0, *(np.flatnonzero(np.diff(group.ticks)) + 1).tolist(), len(group)]
        for first, last in pairwise(edges):
            part, number = group[first:last], number + 1
            ms = int(part.time_ns[0]) // MS
            price = binance.eight(int(part.ticks[0]) * tick)
            size = binance.eight(int(part.lots.sum()) * lot)
            event = {"e": "aggTrade", "E": ms + 1, "s": name, "a": number, "p": price, "q": size}
            event |= {
                "f": int(part.number[0]),
                "l": int(part.number[-1]),
                "T": ms,
                "m": not bool(part.buy[0]),
                "M": True,
            }
            yield int(part.time_ns[0]), packed({"stream": f"{name.lower()}@aggTrade", "data": event})


def coinbase_match(trades: Trades, seed: int) -> Frames:
    """`match`; the first is `last_match`, as after a subscription. `side` is the maker's."""
    name = trades.listing.venue_symbol
    for place, (number, time_ns, _, _, buy, price, size) in enumerate(_rows(trades)):
        frame = {
            "type": "match" if place else "last_match",
            "trade_id": number,
            "maker_order_id": _order_id(seed, name, number, "maker"),
            "taker_order_id": _order_id(seed, name, number, "taker"),
            "side": "sell" if buy else "buy",
            "size": plain(size),
            "price": plain(price),
            "product_id": name,
            "sequence": 10_000_000 + number * 9,
            "time": iso_us(time_ns),
        }
        yield time_ns, packed(frame)


def kraken_channel(listing: Listing) -> int:
    """A channel id for the pair."""
    return 100 + sum(map(ord, listing.venue_symbol)) % 5000


def kraken_v1_trade(trades: Trades, seed: int) -> Frames:
    """`[channelID, [[price, volume, time, side, type, misc], ..], "trade", pair]`: no ids."""
    listing = trades.listing
    channel = kraken_channel(listing)
    for group in _groups(trades, apart_ns=2000):
        rows = [
            [
                price + "0" * max(0, 5 - len(price.partition(".")[2])),
                size,
                f"{time_ns // 10**9}.{time_ns % 10**9 // 1000:06d}",
                "b" if buy else "s",
                "m" if number % 3 else "l",
                "",
            ]
            for number, time_ns, _, _, buy, price, size in _rows(group)
        ]
        yield int(group.time_ns[0]), packed([channel, rows, "trade", listing.extra["wsname"]])


def okx_trades(trades: Trades, seed: int) -> Frames:
    """Channel `trades`, one trade a frame."""
    name = trades.listing.venue_symbol
    for number, time_ns, _, _, buy, price, size in _rows(trades):
        row = {"instId": name, "tradeId": str(number), "px": plain(price), "sz": plain(size)}
        row |= {"side": "buy" if buy else "sell", "ts": str(time_ns // MS)}
        yield time_ns, packed({"arg": {"channel": "trades", "instId": name}, "data": [row]})


def bybit_public_trade(trades: Trades, seed: int) -> Frames:
    """v5 `publicTrade.<symbol>`."""
    name = trades.listing.venue_symbol
    for group in _groups(trades):
        ids = bybit.trade_ids(group, seed)
        rows = [
            {
                "T": time_ns // MS,
                "s": name,
                "S": "Buy" if buy else "Sell",
                "v": plain(size),
                "p": price,
                "L": _direction(number),
                "i": trade_id,
                "BT": False,
            }
            for trade_id, (number, time_ns, _, _, buy, price, size) in zip(ids, _rows(group), strict=True)
        ]
        time_ns = int(group.time_ns[0])
        yield (
            time_ns,
            packed({"topic": f"publicTrade.{name}", "type": "snapshot", "ts": time_ns // MS + 2, "data": rows}),
        )


def bybit_legacy_trade(trades: Trades, seed: int) -> Frames:
    """`trade.<symbol>` of 2021: inverse contracts have numbers and linear ones text, in different orders."""
    name = trades.listing.venue_symbol
    row_text = _legacy_inverse if trades.listing.quote == "USD" else _legacy_linear
    for group in _groups(trades):
        ids = trade_uuids(group, seed)
        rows = (row_text(name, trade_id, row) for trade_id, row in zip(ids, _rows(group), strict=True))
        yield int(group.time_ns[0]), f'{{"topic":"trade.{name}","data":[{",".join(rows)}]}}'.encode()


def _legacy_linear(name: str, trade_id: str, row: tuple[Any, ...]) -> str:
    number, time_ns, _, _, buy, price, size = row
    return (
        f'{{"symbol":"{name}","tick_direction":"{_direction(number)}","price":"{price}","size":{plain(size)}'
        f',"timestamp":"{_second(time_ns)}","trade_time_ms":"{time_ns // MS}","side":"{"Buy" if buy else "Sell"}"'
        f',"trade_id":"{trade_id}"}}'
    )


def _legacy_inverse(name: str, trade_id: str, row: tuple[Any, ...]) -> str:
    number, time_ns, _, _, buy, price, size = row
    return (
        f'{{"trade_time_ms":{time_ns // MS},"timestamp":"{_second(time_ns)}","symbol":"{name}"'
        f',"side":"{"Buy" if buy else "Sell"}","size":{plain(size)},"price":{plain(price)}'
        f',"tick_direction":"{_direction(number)}","trade_id":"{trade_id}","cross_seq":{5_900_000_000 + number}}}'
    )


def _direction(number: int) -> str:
    return ("PlusTick", "ZeroPlusTick", "MinusTick", "ZeroMinusTick")[number % 4]


def _second(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns // 10**9, UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def deribit_trades(trades: Trades, seed: int) -> Frames:
    """Channel `trades.<instrument>.raw`, a taker order's trades in one frame."""
    name = trades.listing.venue_symbol
    for group in _groups(trades):
        head = f'{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"trades.{name}.raw","data":'
        yield int(group.time_ns[0]), f"{head}{deribit.trade_text(group, seed)}}}}}".encode()


LAYOUTS: dict[str, Layout] = {
    "binance-trade": binance_trade,
    "binance-aggTrade": binance_agg_trade,
    "coinbase": coinbase_match,
    "kraken": kraken_v1_trade,
    "okx": okx_trades,
    "bybit": bybit_public_trade,
    "bybit-legacy": bybit_legacy_trade,
    "deribit": deribit_trades,
}
