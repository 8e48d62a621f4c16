"""Kraken v2.

Source:  as `venues.kraken`; https://docs.kraken.com/exchange/guides/websockets/book-checksum-v2
Quirks:  Numbers are JSON numbers with all decimals of the instrument. A subscriber holds `depth` levels of a side: a
         level that comes into view is told, one that falls out of it is not, the subscriber cuts. Every book message
         carries the CRC32 of the ten best asks, then bids. Each symbol of a message is answered for itself. A bar is
         told as it grows and never that it ended; a subscription is answered by those there are.
"""

import zlib
from collections.abc import Mapping, Sequence
from decimal import Decimal

from tidelake.sim.answer import iso_us
from tidelake.sim.books.figures import Bar, Told
from tidelake.sim.books.model import ASK, BID, Change, Print, Product
from tidelake.sim.books.wire import Asked, Dialect, Tell, Wire, compact, loaded

SUMMED = 10


def _digits(text: str) -> str:
    return text.replace(".", "").lstrip("0")


class KrakenWire(Wire):
    """A pair of Kraken."""

    @property
    def names(self) -> Mapping[str, str]:
        name = self.product.name
        return {"book": f"book-{self.depth}:{name}", "trades": f"trade:{name}", "quotes": f"ticker:{name}"}

    def checksum(self) -> int:
        """Of the book as it stands."""
        bids, asks = self.book.bids, self.book.asks
        best = [(p, asks[p]) for p in sorted(asks)[:SUMMED]] + [(p, bids[p]) for p in sorted(bids)[::-1][:SUMMED]]
        return zlib.crc32("".join(_digits(text) for level in best for text in self.pair(*level)).encode())

    def _book(self, kind: str, levels: Sequence[tuple[str, int, int]], at_ns: int) -> bytes:
        told = {
            side: ",".join(f'{{"price":{self.price(p)},"qty":{self.size(q)}}}' for its, p, q in levels if its == side)
            for side in (BID, ASK)
        }
        time = f',"timestamp":"{iso_us(at_ns)}"' if kind == "update" else ""
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{self.product.name}","bids":[{told[BID]}],'
            f'"asks":[{told[ASK]}],"checksum":{self.checksum()}{time}}}]}}'
        ).encode()

    def change(self, change: Change) -> bytes:
        told = []
        for side, old, new in zip((BID, ASK), self.view(change.version - 1), self.view(), strict=True):
            gone = {p: 0 for p in old if p not in new and p not in (self.book.bids if side == BID else self.book.asks)}
            fresh = {p: q for p, q in new.items() if old.get(p) != q}
            told += [(side, p, q) for p, q in {**gone, **fresh}.items()]
        return self._book("update", told, change.event_ns)

    def snapshot(self) -> bytes:
        return self._book("snapshot", self.whole(), self.book.clock_ns)

    def quote(self) -> bytes | None:
        (bid, bid_lots), (ask, ask_lots) = self.best()
        row = f'"symbol":"{self.product.name}","bid":{self.price(bid)},"bid_qty":{self.size(bid_lots)}'
        row += f',"ask":{self.price(ask)},"ask_qty":{self.size(ask_lots)},"last":{self.price(bid)}'
        return f'{{"channel":"ticker","type":"update","data":[{{{row}}}]}}'.encode()

    def trade(self, trade: Print) -> bytes:
        row = f'"symbol":"{self.product.name}","side":"{trade.side}","price":{self.price(trade.ticks)}'
        row += f',"qty":{self.size(trade.lots)},"ord_type":"market","trade_id":{trade.number}'
        row += f',"timestamp":"{iso_us(trade.event_ns)}"'
        return f'{{"channel":"trade","type":"update","data":[{{{row}}}]}}'.encode()

    def figures(self) -> Mapping[str, Tell]:
        return {f"ohlc-1:{self.product.name}": self._ohlc}

    def _ohlc(self, stream: str, told: Told) -> list[bytes]:
        growing = () if told.growing is None else (told.growing,)
        bars = (*told.ended, *growing) if told.begins else growing
        kind, rows = "snapshot" if told.begins else "update", ",".join(map(self._bar, bars))
        head = f'{{"channel":"ohlc","type":"{kind}","timestamp":"{iso_us(told.event_ns)}"'
        return [f'{head},"data":[{rows}]}}'.encode()] if bars else []

    def _bar(self, bar: Bar) -> str:
        row = f'"symbol":"{self.product.name}","open":{self.price(bar.open)},"high":{self.price(bar.high)}'
        row += f',"low":{self.price(bar.low)},"close":{self.price(bar.close)},"trades":{bar.trades}'
        row += f',"volume":{self.size(bar.all.lots)},"vwap":{bar.all.quote / bar.all.base:.5f}'
        row += f',"interval_begin":"{iso_us(bar.start_ns)[:-1]}000Z","interval":1,"timestamp":"{iso_us(bar.end_ns)}"'
        return f"{{{row}}}"


class Kraken(Dialect):
    """Kraken v2."""

    source = "kraken"
    wire = KrakenWire
    address = "wss://ws.kraken.com/v2"
    refuses_whole = False
    products = (
        Product("BTC-USD", "BTC/USD", Decimal("0.1"), Decimal("0.00000001"), 600_000),
        Product("ETH-USD", "ETH/USD", Decimal("0.01"), Decimal("0.00000001"), 300_000),
        Product("BTC-EUR", "BTC/EUR", Decimal("0.1"), Decimal("0.00000001"), 550_000),
    )

    def read(self, message: bytes) -> Asked:
        said = loaded(message)
        number = said.get("req_id", -1)
        if said["method"] == "ping":
            return Asked("ping", (), number)
        if said["method"] not in ("subscribe", "unsubscribe"):
            raise ValueError(f"method {said['method']!r} is unknown")
        params = said["params"]
        more = {"book": params.get("depth", SUMMED), "ohlc": params.get("interval", 1)}.get(params["channel"])
        channel = params["channel"] if more is None else f"{params['channel']}-{more}"
        return Asked(said["method"], tuple(f"{channel}:{symbol}" for symbol in params["symbol"]), number)

    def accept(self, asked: Asked, wires: Sequence[tuple[str, Wire | None]], held: Sequence[str]) -> list[bytes]:
        answers = []
        for name in asked.names:
            channel, _, symbol = name.partition(":")
            word, _, more = channel.partition("-")
            result: dict[str, object] = {"channel": word, "snapshot": True, "symbol": symbol}
            if more:
                result["depth" if word == "book" else "interval"] = int(more)
            answers.append(compact({"method": asked.verb, "req_id": asked.number, "result": result, "success": True}))
        return answers

    def refuse(self, asked: Asked, bad: Sequence[str]) -> list[bytes]:
        symbols = [name.partition(":")[2] for name in bad]
        return [
            compact({"error": f"Currency pair not supported {symbol}", "method": asked.verb, "req_id": asked.number,
                     "success": False, "symbol": symbol})
            for symbol in symbols
        ]  # fmt: skip

    def pong(self, message: bytes) -> bytes | None:
        return compact({"method": "pong", "time_in": iso_us(0), "time_out": iso_us(0)})


DIALECTS: dict[str, Dialect] = {"kraken": Kraken()}
