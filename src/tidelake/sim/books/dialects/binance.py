"""Binance: spot, USD-M and COIN-M, combined streams.

Source:  as `venues.binance_books` and `venues.binance_spot`
Quirks:  Spot counts every changed level: U is the u before it plus one. Futures leave numbers out and name the u before
         in pu. A bookTicker has the u of the last depth update. Snapshots come by REST alone, and so does the open
         interest of futures. A kline whose x is true has ended. Volumes of COIN-M are contracts and the base asset.
         Here every liquidation is told, where Binance tells at most one a second, and no bar without a trade.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import ClassVar

from tidelake.sim.books.figures import Bar, State, Told
from tidelake.sim.books.model import ASK, BID, Change, Print, Product
from tidelake.sim.books.wire import Asked, Dialect, Tell, Wire, compact, loaded

MS = 1_000_000
VERBS = {"SUBSCRIBE": "subscribe", "UNSUBSCRIBE": "unsubscribe"}


class SpotWire(Wire):
    """A spot pair."""

    futures: ClassVar[bool] = False

    @property
    def names(self) -> Mapping[str, str]:
        name = self.product.name.lower()
        return {"book": f"{name}@depth@100ms", "trades": f"{name}@trade", "quotes": f"{name}@bookTicker"}

    def price(self, ticks: int) -> str:
        return f"{ticks * self.product.tick:.8f}" if not self.futures else super().price(ticks)

    def size(self, lots: int) -> str:
        return f"{lots * self.product.lot:.8f}" if not self.futures else super().size(lots)

    def _framed(self, channel: str, data: dict[str, object]) -> bytes:
        return compact({"stream": self.names[channel], "data": data})

    def change(self, change: Change) -> bytes:
        before, skipped = self.id, self.chance.randrange(0, 9) if self.futures else 0
        self.id += len(change.levels) + skipped
        at = change.event_ns // MS
        data: dict[str, object] = {"e": "depthUpdate", "E": at}
        if self.futures:
            data["T"] = at - 1
        data |= {"s": self.product.name, "U": before + 1 + skipped, "u": self.id}
        if self.futures:
            data["pu"] = before
        levels = change.levels
        return self._framed("book", data | {"b": self.pairs(levels, BID), "a": self.pairs(levels, ASK)})

    def snapshot(self) -> bytes:
        levels = self.whole()
        page: dict[str, object] = {"lastUpdateId": self.id}
        if self.futures:
            page |= {"E": self.book.clock_ns // MS, "T": self.book.clock_ns // MS}
        return compact(page | {"bids": self.pairs(levels, BID), "asks": self.pairs(levels, ASK)})

    def quote(self) -> bytes | None:
        (bid, bid_lots), (ask, ask_lots) = self.best()
        data: dict[str, object] = {"u": self.id, "s": self.product.name}
        data |= {"b": self.price(bid), "B": self.size(bid_lots), "a": self.price(ask), "A": self.size(ask_lots)}
        at = self.book.clock_ns // MS
        return self._framed("quotes", {"e": "bookTicker", **data, "T": at, "E": at} if self.futures else data)

    def trade(self, trade: Print) -> bytes:
        at = trade.event_ns // MS
        data: dict[str, object] = {"e": "trade", "E": at, "s": self.product.name, "t": trade.number}
        data |= {"p": self.price(trade.ticks), "q": self.size(trade.lots), "T": at}
        more = {"X": "MARKET"} if self.futures else {"M": True}
        return self._framed("trades", data | {"m": trade.side == "sell"} | more)

    def figures(self) -> Mapping[str, Tell]:
        name = self.product.name.lower()
        tells: dict[str, Tell] = {f"{name}@kline_1m": self._klines}
        if self.futures:
            tells |= {f"{name}@markPrice": self._mark, f"{name}@markPrice@1s": self._mark}
            tells[f"{name}@forceOrder"] = self._orders
        return tells

    def _klines(self, stream: str, told: Told) -> list[bytes]:
        return [
            self._event(stream, "kline", told.event_ns, {"s": self.product.name, "k": self._kline(bar, ended)})
            for bar, ended in told.bars()
        ]

    def _event(self, stream: str, event: str, at_ns: int, data: dict[str, object]) -> bytes:
        return compact({"stream": stream, "data": {"e": event, "E": at_ns // MS, **data}})

    def _kline(self, bar: Bar, ended: bool) -> dict[str, object]:
        row: dict[str, object] = {"t": bar.start_ns // MS, "T": bar.end_ns // MS - 1, "s": self.product.name}
        row |= {"i": "1m", "f": bar.first, "L": bar.last, "o": self.price(bar.open), "c": self.price(bar.close)}
        row |= {"h": self.price(bar.high), "l": self.price(bar.low), "v": self.size(bar.all.lots), "n": bar.trades}
        row |= {"x": ended, "q": self.turnover(bar.all), "V": self.size(bar.bought.lots)}
        return row | {"Q": self.turnover(bar.bought), "B": "0"}

    def _mark(self, stream: str, told: Told) -> list[bytes]:
        state = told.state
        if state is None:
            return []
        data: dict[str, object] = {"s": self.product.name, "p": self.price(state.mark), "i": self.price(state.index)}
        data |= {"P": self.price(state.index), "r": f"{state.rate:.8f}", "T": state.next_funding_ns // MS}
        return [self._event(stream, "markPriceUpdate", state.event_ns, data)]

    def _orders(self, stream: str, told: Told) -> list[bytes]:
        said = []
        for trade in told.liquidations:
            at, size = trade.event_ns // MS, self.size(trade.lots)
            row: dict[str, object] = {"s": self.product.name, "S": trade.side.upper(), "o": "LIMIT", "f": "IOC"}
            row |= {"q": size, "p": self.price(trade.bankrupt or 0), "ap": self.price(trade.ticks), "X": "FILLED"}
            row |= {"l": size, "z": size, "T": at}
            said.append(self._event(stream, "forceOrder", trade.event_ns, {"o": row}))
        return said

    def interest_page(self, state: State) -> bytes:
        row = {"symbol": self.product.name, "openInterest": self.size(state.interest.lots)}
        return compact(row | {"time": state.event_ns // MS})


class FuturesWire(SpotWire):
    """A contract of USD-M or COIN-M."""

    futures = True


class Binance(Dialect):
    """Spot; the futures differ in address, pages and streams."""

    source = "binance-spot"
    wire = SpotWire
    address = "wss://stream.binance.com:9443/stream"
    pages = page_path = "/api/v3/depth"
    limit: ClassVar[int] = 5000
    products: ClassVar[tuple[Product, ...]] = (
        Product("BTC-USDT", "BTCUSDT", Decimal("0.01"), Decimal("0.00001"), 6_000_000),
        Product("ETH-USDT", "ETHUSDT", Decimal("0.01"), Decimal("0.0001"), 300_000),
        Product("SOL-USDT", "SOLUSDT", Decimal("0.01"), Decimal("0.001"), 15_000),
        Product("BTC-USDC", "BTCUSDC", Decimal("0.01"), Decimal("0.00001"), 6_000_100),
    )

    def read(self, message: bytes) -> Asked:
        said = loaded(message)
        verb = VERBS.get(said["method"])
        if verb is None:
            raise ValueError(f"method {said['method']!r} is unknown")
        return Asked(verb, tuple(said["params"]), said["id"])  # type: ignore[arg-type]

    def accept(self, asked: Asked, wires: Sequence[tuple[str, Wire | None]], held: Sequence[str]) -> list[bytes]:
        return [compact({"result": None, "id": asked.number})]

    def refuse(self, asked: Asked, bad: Sequence[str]) -> list[bytes]:
        problem = {"code": 2, "msg": "Invalid request: unknown stream"}
        return [compact({"error": problem, "id": asked.number})]

    def page_request(self, wire: Wire) -> str:
        return f"{self.pages}?symbol={wire.product.name}&limit={self.limit}"

    def page_symbol(self, query: Mapping[str, str]) -> str:
        return query.get("symbol", "")

    def bad_page(self) -> bytes:
        return compact({"code": -1121, "msg": "Invalid symbol."})


class Usdm(Binance):
    """USD-M futures."""

    source = "binance-usdm"
    wire = FuturesWire
    address = "wss://fstream.binance.com/public/stream"
    pages = page_path = "/fapi/v1/depth"
    interest_path = "/fapi/v1/openInterest"
    limit = 1000
    products = (
        Product("BTC-USDT-PERP", "BTCUSDT", Decimal("0.10"), Decimal("0.001"), 600_000),
        Product("ETH-USDT-PERP", "ETHUSDT", Decimal("0.01"), Decimal("0.001"), 300_000),
    )


class Coinm(Usdm):
    """COIN-M futures."""

    source = "binance-coinm"
    address = "wss://dstream.binance.com/stream"
    pages = page_path = "/dapi/v1/depth"
    interest_path = "/dapi/v1/openInterest"
    products = (
        Product("BTC-USD-PERP", "BTCUSD_PERP", Decimal("0.1"), Decimal(1), 600_000, Decimal(100), True),
        Product("ETH-USD-PERP", "ETHUSD_PERP", Decimal("0.01"), Decimal(1), 300_000, Decimal(10), True),
    )


DIALECTS: dict[str, Dialect] = {each.source: each for each in (Binance(), Usdm(), Coinm())}
