"""Coinbase Exchange.

Source:  as `venues.coinbase_books` and `venues.coinbase`
Quirks:  No message of a book is numbered. `side` of a match is the maker's. A subscription is answered by all that is
         subscribed now, level2_batch under the name level2_50.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import ClassVar

from tidelake.sim.answer import iso_us
from tidelake.sim.books.model import ASK, BID, Change, Print, Product
from tidelake.sim.books.wire import Asked, Dialect, Wire, compact, loaded

TOLD_AS = {"level2_batch": "level2_50"}
SIDES = {BID: "buy", ASK: "sell"}
MAKER = {"buy": "sell", "sell": "buy"}
CHANNELS = ("level2_batch", "matches", "ticker", "heartbeat")


class CoinbaseWire(Wire):
    """A product of Coinbase Exchange."""

    @property
    def names(self) -> Mapping[str, str]:
        name = self.product.name
        return {"book": f"level2_batch:{name}", "trades": f"matches:{name}", "quotes": f"ticker:{name}"}

    def change(self, change: Change) -> bytes:
        self.id += len(change.levels)
        changes = [[SIDES[side], *self.pair(ticks, lots)] for side, ticks, lots in change.levels]
        said = {"type": "l2update", "product_id": self.product.name, "changes": changes}
        return compact(said | {"time": iso_us(change.event_ns)})

    def snapshot(self) -> bytes:
        levels = self.whole()
        said = {"type": "snapshot", "product_id": self.product.name}
        said |= {"asks": self.pairs(levels, ASK), "bids": self.pairs(levels, BID)}  # type: ignore[dict-item]
        return compact(said | {"time": iso_us(self.book.clock_ns)})

    def quote(self) -> bytes | None:
        (bid, bid_lots), (ask, ask_lots) = self.best()
        said = {"type": "ticker", "sequence": self.id, "product_id": self.product.name, "price": self.price(bid)}
        said |= {"best_bid": self.price(bid), "best_bid_size": self.size(bid_lots)}
        said |= {"best_ask": self.price(ask), "best_ask_size": self.size(ask_lots)}
        return compact(said | {"side": "sell", "time": iso_us(self.book.clock_ns), "last_size": self.size(1)})

    def trade(self, trade: Print) -> bytes:
        said = {"type": "match", "trade_id": trade.number, "side": MAKER[trade.side]}
        said |= {"size": self.size(trade.lots), "price": self.price(trade.ticks), "product_id": self.product.name}
        return compact(said | {"sequence": self.id, "time": iso_us(trade.event_ns)})


class Coinbase(Dialect):
    """Coinbase Exchange."""

    source = "coinbase"
    wire: ClassVar[type[Wire]] = CoinbaseWire
    address = "wss://ws-feed.exchange.coinbase.com/"
    products = (
        Product("BTC-USD", "BTC-USD", Decimal("0.01"), Decimal("0.00000001"), 6_000_000),
        Product("ETH-USD", "ETH-USD", Decimal("0.01"), Decimal("0.00000001"), 300_000),
        Product("SOL-USD", "SOL-USD", Decimal("0.01"), Decimal("0.00000001"), 15_000),
    )

    def read(self, message: bytes) -> Asked:
        said = loaded(message)
        if said["type"] not in ("subscribe", "unsubscribe"):
            raise ValueError(f"type {said['type']!r} is unknown")
        names = tuple(f"{channel['name']}:{each}" for channel in said["channels"] for each in channel["product_ids"])
        return Asked(said["type"], names)

    def accept(self, asked: Asked, wires: Sequence[tuple[str, Wire | None]], held: Sequence[str]) -> list[bytes]:
        channels: dict[str, list[str]] = {}
        for name in held:
            channel, _, product = name.partition(":")
            channels.setdefault(TOLD_AS.get(channel, channel), []).append(product)
        listed = [{"name": channel, "product_ids": found} for channel, found in channels.items()]
        return [compact({"type": "subscriptions", "channels": listed})]

    def refuse(self, asked: Asked, bad: Sequence[str]) -> list[bytes]:
        product = bad[0].partition(":")[2]
        reason = f"{product} is not a valid product"
        return [compact({"type": "error", "message": "Failed to subscribe", "reason": reason})]

    def beat(self, name: str, now_ns: int, count: int) -> bytes | None:
        channel, _, product = name.partition(":")
        if channel != "heartbeat":
            return None
        said = {"type": "heartbeat", "last_trade_id": 0, "product_id": product, "sequence": count}
        return compact(said | {"time": iso_us(now_ns)})


DIALECTS: dict[str, Dialect] = {"coinbase": Coinbase()}
