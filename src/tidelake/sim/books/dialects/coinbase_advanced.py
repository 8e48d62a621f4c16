"""Coinbase Advanced Trade.

Source:  as `venues.coinbase_books` and `venues.coinbase_advanced`
Quirks:  `sequence_num` counts every message of a connection, answers and heartbeats too: the connection writes it in
         place of `wire.UNNUMBERED`. level2 is answered as l2_data, with sides "bid" and "offer". Bars are of five
         minutes and told as they grow, never that they ended; a subscription is answered by those there are.
"""

from collections.abc import Mapping, Sequence

from tidelake.sim.answer import iso_us
from tidelake.sim.books.dialects.coinbase import MAKER, Coinbase
from tidelake.sim.books.figures import Told
from tidelake.sim.books.model import BID, Change, Print
from tidelake.sim.books.wire import Asked, Dialect, Tell, Wire, compact, loaded

SIDES = {BID: "bid"}


def _said(channel: str, at_ns: int, events: list[dict[str, object]]) -> bytes:
    head = {"channel": channel, "client_id": "", "timestamp": iso_us(at_ns), "sequence_num": -1}
    return compact(head | {"events": events})


class AdvancedWire(Wire):
    """A product of Coinbase Advanced Trade."""

    @property
    def names(self) -> Mapping[str, str]:
        name = self.product.name
        return {"book": f"level2:{name}", "trades": f"market_trades:{name}", "quotes": f"ticker:{name}"}

    def _levels(self, kind: str, levels: Sequence[tuple[str, int, int]], at_ns: int) -> bytes:
        at = iso_us(at_ns)
        updates = [
            {"side": SIDES.get(side, "offer"), "event_time": at, "price_level": price, "new_quantity": size}
            for side, ticks, lots in levels
            for price, size in (self.pair(ticks, lots),)
        ]
        return _said("l2_data", at_ns, [{"type": kind, "product_id": self.product.name, "updates": updates}])

    def change(self, change: Change) -> bytes:
        return self._levels("update", change.levels, change.event_ns)

    def snapshot(self) -> bytes:
        return self._levels("snapshot", self.whole(), self.book.clock_ns)

    def quote(self) -> bytes | None:
        (bid, bid_lots), (ask, ask_lots) = self.best()
        row = {"type": "ticker", "product_id": self.product.name, "price": self.price(bid)}
        row |= {"best_bid": self.price(bid), "best_bid_quantity": self.size(bid_lots)}
        row |= {"best_ask": self.price(ask), "best_ask_quantity": self.size(ask_lots)}
        return _said("ticker", self.book.clock_ns, [{"type": "update", "tickers": [row]}])

    def trade(self, trade: Print) -> bytes:
        row = {"trade_id": str(trade.number), "product_id": self.product.name, "price": self.price(trade.ticks)}
        row |= {"size": self.size(trade.lots), "side": MAKER[trade.side].upper(), "time": iso_us(trade.event_ns)}
        return _said("market_trades", trade.event_ns, [{"type": "update", "trades": [row]}])

    def figures(self) -> Mapping[str, Tell]:
        return {f"candles:{self.product.name}": self._candles}

    def _candles(self, stream: str, told: Told) -> list[bytes]:
        growing = () if told.growing is None else (told.growing,)
        bars = (*told.ended, *growing)[::-1] if told.begins else growing
        rows = [
            {
                "start": str(bar.start_ns // 10**9),
                "high": self.price(bar.high),
                "low": self.price(bar.low),
                "open": self.price(bar.open),
                "close": self.price(bar.close),
                "volume": self.size(bar.all.lots),
                "product_id": self.product.name,
            }
            for bar in bars
        ]
        kind = "snapshot" if told.begins else "update"
        return [_said("candles", told.event_ns, [{"type": kind, "candles": rows}])] if rows else []


class Advanced(Coinbase):
    """Coinbase Advanced Trade."""

    source = "coinbase-advanced"
    wire = AdvancedWire
    address = "wss://advanced-trade-ws.coinbase.com/"
    numbers_connection = True
    bar_seconds = 300

    def read(self, message: bytes) -> Asked:
        said = loaded(message)
        if said["type"] not in ("subscribe", "unsubscribe"):
            raise ValueError(f"type {said['type']!r} is unknown")
        return Asked(said["type"], tuple(f"{said['channel']}:{each}" for each in said.get("product_ids", [""])))

    def accept(self, asked: Asked, wires: Sequence[tuple[str, Wire | None]], held: Sequence[str]) -> list[bytes]:
        channels: dict[str, list[str]] = {}
        for name in held:
            channel, _, product = name.partition(":")
            channels.setdefault(channel, []).append(product or channel)
        return [_said("subscriptions", 0, [{"subscriptions": channels}])]

    def refuse(self, asked: Asked, bad: Sequence[str]) -> list[bytes]:
        product = bad[0].partition(":")[2]
        return [compact({"type": "error", "message": f"{product} is not a valid product"})]

    def beat(self, name: str, now_ns: int, count: int) -> bytes | None:
        if name != "heartbeats:":
            return None
        return _said("heartbeats", now_ns, [{"current_time": iso_us(now_ns), "heartbeat_counter": count}])


DIALECTS: dict[str, Dialect] = {"coinbase-advanced": Advanced()}
