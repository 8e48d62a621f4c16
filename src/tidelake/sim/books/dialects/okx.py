"""OKX v5: books, bbo-tbt and the figures of swaps of /public, trades-all and bars of /business.

Source:  as `venues.okx`
Quirks:  Each stream of a message is answered for itself. `checksum` is the CRC32 of 25 interleaved levels until
         2026-06-23 by the venue's clock, and the constant 0 from then on. A book that does not change repeats its
         seqId in an empty update. A heartbeat is the bare text ping, answered by pong. Liquidations have one stream for
         all swaps. The last item of a bar is "1" when it has ended. Its volumes are size, quote and quote of spot, of
         swaps contracts, base and quote.
"""

import zlib
from collections.abc import Mapping, Sequence
from decimal import Decimal

from tidelake.sim.books.figures import FUNDING_NS, Bar, Told
from tidelake.sim.books.model import ASK, BID, Change, Print, Product
from tidelake.sim.books.wire import Asked, Dialect, Tell, Wire, compact, loaded

MS = 1_000_000
CHECKSUMS_END_NS = 1_782_172_800 * 10**9  # 2026-06-23 UTC
SUMMED = 25
PAGE_SIDES = (("asks", ASK), ("bids", BID))


def _arg(name: str) -> dict[str, str]:
    channel, _, product = name.partition(":")
    return {"channel": channel, "instType" if channel == "liquidation-orders" else "instId": product}


def _pushed(stream: str, row: object) -> bytes:
    return compact({"arg": _arg(stream), "data": [row]})


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

    def figures(self) -> Mapping[str, Tell]:
        name = self.product.name
        tells: dict[str, Tell] = {f"candle1m:{name}": self._candles}
        if self.product.perpetual:
            tells |= {f"funding-rate:{name}": self._funding, f"mark-price:{name}": self._mark}
            tells |= {f"open-interest:{name}": self._interest, "liquidation-orders:SWAP": self._orders}
        return tells

    def _candles(self, stream: str, told: Told) -> list[bytes]:
        return [_pushed(stream, self._candle(bar, ended)) for bar, ended in told.bars()]

    def _candle(self, bar: Bar, ended: bool) -> list[str]:
        base, quote = f"{bar.all.base:f}", f"{bar.all.quote:f}"
        prices = [self.price(ticks) for ticks in (bar.open, bar.high, bar.low, bar.close)]
        volumes = [self.size(bar.all.lots), base if self.product.perpetual else quote, quote]
        return [str(bar.start_ns // MS), *prices, *volumes, "1" if ended else "0"]

    @property
    def _swap(self) -> dict[str, str]:
        return {"instId": self.product.name, "instType": "SWAP"}

    def _funding(self, stream: str, told: Told) -> list[bytes]:
        if (state := told.state) is None:
            return []
        paid, after = state.next_funding_ns // MS, (state.next_funding_ns + FUNDING_NS) // MS
        row = {"fundingRate": f"{state.rate:f}", "fundingTime": str(paid), **self._swap, "nextFundingRate": ""}
        return [_pushed(stream, row | {"nextFundingTime": str(after), "ts": str(state.event_ns // MS)})]

    def _mark(self, stream: str, told: Told) -> list[bytes]:
        if (state := told.state) is None:
            return []
        return [_pushed(stream, self._swap | {"markPx": self.price(state.mark), "ts": str(state.event_ns // MS)})]

    def _interest(self, stream: str, told: Told) -> list[bytes]:
        if (state := told.state) is None:
            return []
        held = state.interest
        row = self._swap | {"oi": self.size(held.lots), "oiCcy": f"{held.base:f}", "oiUsd": f"{held.quote:f}"}
        return [_pushed(stream, row | {"ts": str(state.event_ns // MS)})]

    def _orders(self, stream: str, told: Told) -> list[bytes]:
        family = self.product.name.removesuffix("-SWAP")
        said = []
        for trade in told.liquidations:
            detail = {"bkLoss": "0", "bkPx": self.price(trade.bankrupt or 0), "ccy": "", "side": trade.side}
            detail |= {"posSide": "short" if trade.side == "buy" else "long", "sz": self.size(trade.lots)}
            detail["ts"] = str(trade.event_ns // MS)
            said.append(_pushed(stream, {"details": [detail], "instFamily": family, **self._swap, "uly": family}))
        return said


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
        Product("BTC-USDT-PERP", "BTC-USDT-SWAP", Decimal("0.1"), Decimal("0.01"), 600_100, Decimal("0.01")),
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

    def accept(self, asked: Asked, wires: Sequence[tuple[str, Wire | None]], held: Sequence[str]) -> list[bytes]:
        answers = []
        for name in asked.names:
            said = {"id": str(asked.number), "event": asked.verb, "arg": _arg(name), "connId": "a4d3ae55"}
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
