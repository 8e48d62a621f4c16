"""OKX v5: books and bbo-tbt of /public, trades-all of /business.

Source:  as `venues.okx`
Quirks:  Each stream of a message is answered for itself. `checksum` is the CRC32 of 25 interleaved levels until
         2026-06-23 by the venue's clock, and the constant 0 from then on. A book that does not change repeats its
         seqId in an empty update. A heartbeat is the bare text ping, answered by pong.
"""

import zlib
from collections.abc import Mapping, Sequence
from decimal import Decimal

from tidelake.sim.books.model import ASK, BID, Change, Print, Product
from tidelake.sim.books.wire import Asked, Dialect, Wire, compact, loaded

MS = 1_000_000
CHECKSUMS_END_NS = 1_782_172_800 * 10**9  # 2026-06-23 UTC
SUMMED = 25
PAGE_SIDES = (("asks", ASK), ("bids", BID))


class OkxWire(Wire):
    """An instrument of OKX."""

    @property
    def names(self) -> Mapping[str, str]:
        name = self.product.name
        return {"book": f"books:{name}", "trades": f"trades-all:{name}", "quotes": f"bbo-tbt:{name}"}

    def checksum(self) -> int:
        """Of the book as it stands, signed; 0 once the venue has given it up."""
        if self.book.clock_ns >= CHECKSUMS_END_NS:
            return 0
        bids, asks = self.book.bids, self.book.asks
        sides = [(p, bids[p]) for p in sorted(bids)[::-1]], [(p, asks[p]) for p in sorted(asks)]
        parts = []
        for i in range(SUMMED):
            for side in sides:
                parts += self.pair(*side[i]) if i < len(side) else []
        found = zlib.crc32(":".join(parts).encode())
        return found - 2**32 if found >= 2**31 else found

    def _books(self, action: str, levels: Sequence[tuple[str, int, int]], at_ns: int, before: int) -> bytes:
        told = {s: [[*pair, "0", "1"] for pair in self.pairs(levels, s)] for s in (ASK, BID)}
        row: dict[str, object] = {"asks": told[ASK], "bids": told[BID], "ts": str(at_ns // MS)}
        row |= {"checksum": self.checksum(), "seqId": self.id, "prevSeqId": before}
        arg = {"channel": "books", "instId": self.product.name}
        return compact({"arg": arg, "action": action, "data": [row]})

    def change(self, change: Change) -> bytes:
        before = self.id
        self.id += self.chance.randrange(1, 9)
        return self._books("update", change.levels, change.event_ns, before)

    def silence(self) -> bytes | None:
        return self._books("update", (), self.book.clock_ns, self.id)

    def snapshot(self) -> bytes:
        return self._books("snapshot", self.whole(), self.book.clock_ns, -1)

    def page(self) -> bytes:
        levels = self.whole()
        row: dict[str, object] = {s: [[*pair, "0", "1"] for pair in self.pairs(levels, t)] for s, t in PAGE_SIDES}
        row |= {"ts": str(self.book.clock_ns // MS), "seqId": self.id}
        return compact({"code": "0", "msg": "", "data": [row]})

    def quote(self) -> bytes | None:
        (bid, bid_lots), (ask, ask_lots) = self.best()
        row: dict[str, object] = {
            "asks": [[*self.pair(ask, ask_lots), "0", "1"]],
            "bids": [[*self.pair(bid, bid_lots), "0", "1"]],
        }
        row |= {"ts": str(self.book.clock_ns // MS), "seqId": self.id}
        return compact({"arg": {"channel": "bbo-tbt", "instId": self.product.name}, "data": [row]})

    def trade(self, trade: Print) -> bytes:
        row = {"instId": self.product.name, "tradeId": str(trade.number), "px": self.price(trade.ticks)}
        row |= {"sz": self.size(trade.lots), "side": trade.side, "ts": str(trade.event_ns // MS), "source": "0"}
        return compact({"arg": {"channel": "trades-all", "instId": self.product.name}, "data": [row]})


class Okx(Dialect):
    """OKX v5."""

    source = "okx"
    wire = OkxWire
    page_path = "/api/v5/market/books"
    address = "wss://ws.okx.com:8443/ws/v5/public"
    refuses_whole = False
    products = (
        Product("BTC-USDT", "BTC-USDT", Decimal("0.1"), Decimal("0.00000001"), 600_000),
        Product("ETH-USDT", "ETH-USDT", Decimal("0.01"), Decimal("0.000001"), 300_000),
        Product("BTC-USDT-PERP", "BTC-USDT-SWAP", Decimal("0.1"), Decimal("0.01"), 600_100),
    )

    def read(self, message: bytes) -> Asked:
        if message == b"ping":
            return Asked("ping")
        said = loaded(message)
        if said["op"] not in ("subscribe", "unsubscribe"):
            raise ValueError(f"op {said['op']!r} is unknown")
        names = tuple(f"{arg['channel']}:{arg.get('instId') or arg.get('instType', '')}" for arg in said["args"])
        number = said.get("id", "")
        return Asked(said["op"], names, int(number) if number.isdecimal() else -1)

    def _arg(self, name: str) -> dict[str, str]:
        channel, _, product = name.partition(":")
        return {"channel": channel, "instType" if channel == "liquidation-orders" else "instId": product}

    def accept(self, asked: Asked, wires: Sequence[tuple[str, Wire | None]], held: Sequence[str]) -> list[bytes]:
        answers = []
        for name in asked.names:
            said = {"id": str(asked.number), "event": asked.verb, "arg": self._arg(name), "connId": "a4d3ae55"}
            answers.append(compact(said))
        return answers

    def refuse(self, asked: Asked, bad: Sequence[str]) -> list[bytes]:
        answers = []
        for name in bad:
            channel, _, product = name.partition(":")
            text = f"Wrong URL or channel:{channel},instId:{product} doesn't exist. Please use the correct URL."
            said = {"id": str(asked.number), "event": "error", "code": "60018", "msg": text, "connId": "a4d3ae55"}
            answers.append(compact(said))
        return answers

    def page_symbol(self, query: Mapping[str, str]) -> str:
        return query.get("instId", "")

    def bad_page(self) -> bytes:
        return compact({"code": "51001", "msg": "Instrument ID doesn't exist", "data": []})

    def pong(self, message: bytes) -> bytes | None:
        return b"pong"


DIALECTS: dict[str, Dialect] = {"okx": Okx()}
