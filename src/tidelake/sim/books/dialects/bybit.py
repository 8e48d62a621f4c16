"""Bybit v5: linear and inverse contracts, spot.

Source:  as `venues.bybit_books` and `venues.bybit`
Quirks:  `u` counts the messages of a topic by one, `seq` leaves numbers out. A message is answered as a whole.
         `orderbook.1` sends a whole top as snapshot. Trades have UUIDs. `tickers` of contracts tells all at first, then
         what has changed alone; it is not told of spot here, where nobody asks for it. A bar that is confirmed has
         ended. Volume is the size and turnover its worth, of inverse contracts in the base asset. `S` of a liquidation
         is the side of the position.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from tidelake.sim.books.figures import FUNDING_HOURS, Bar, State, Told
from tidelake.sim.books.model import ASK, BID, Change, Print, Product
from tidelake.sim.books.wire import Asked, Dialect, Tell, Wire, compact, loaded

MS = 1_000_000
POSITION = {"buy": "Sell", "sell": "Buy"}  # by the side of the trade that closed it


class BybitWire(Wire):
    """A product of Bybit; spot names come as spot:BTCUSDT and are told as BTCUSDT."""

    levels_told: ClassVar[int] = 200

    @property
    def told(self) -> str:
        """The name on the wire."""
        return self.product.name.removeprefix("spot:")

    @property
    def names(self) -> Mapping[str, str]:
        name = self.told
        return {
            "book": f"orderbook.{self.levels_told}.{name}",
            "trades": f"publicTrade.{name}",
            "quotes": f"orderbook.1.{name}",
        }

    def _book(self, topic: str, kind: str, levels: Sequence[tuple[str, int, int]], at_ns: int) -> bytes:
        data = {"s": self.told, "b": self.pairs(levels, BID), "a": self.pairs(levels, ASK), "u": self.id}
        said = {"topic": topic, "type": kind, "ts": at_ns // MS, "data": data | {"seq": self.id * 7 + 3}}
        return compact(said | {"cts": at_ns // MS - 3})

    def change(self, change: Change) -> bytes:
        self.id += 1
        return self._book(self.names["book"], "delta", change.levels, change.event_ns)

    def snapshot(self) -> bytes:
        return self._book(self.names["book"], "snapshot", self.whole(), self.book.clock_ns)

    def quote(self) -> bytes | None:
        (bid, bid_lots), (ask, ask_lots) = self.best()
        levels = [(BID, bid, bid_lots), (ASK, ask, ask_lots)]
        return self._book(self.names["quotes"], "snapshot", levels, self.book.clock_ns)

    def trade(self, trade: Print) -> bytes:
        at = trade.event_ns // MS
        identity = str(UUID(int=self.chance.getrandbits(128), version=4))
        row: dict[str, object] = {"T": at, "s": self.told, "S": trade.side.capitalize()}
        row |= {"v": self.size(trade.lots), "p": self.price(trade.ticks)}
        row |= {} if self.product.name.startswith("spot:") else {"L": "ZeroPlusTick"}
        row |= {"i": identity, "BT": False}
        return compact({"topic": self.names["trades"], "type": "snapshot", "ts": at, "data": [row]})

    def figures(self) -> Mapping[str, Tell]:
        tells: dict[str, Tell] = {f"kline.1.{self.told}": self._klines}
        if self.product.perpetual:
            tells |= {f"tickers.{self.told}": self._ticker, f"allLiquidation.{self.told}": self._closed}
        return tells

    def _klines(self, topic: str, told: Told) -> list[bytes]:
        at = told.event_ns // MS
        return [
            compact({"topic": topic, "data": [self._kline(*bar, at)], "ts": at, "type": "snapshot"})
            for bar in told.bars()
        ]

    def _kline(self, bar: Bar, ended: bool, at_ms: int) -> dict[str, object]:
        row: dict[str, object] = {"start": bar.start_ns // MS, "end": bar.end_ns // MS - 1, "interval": "1"}
        row |= {"open": self.price(bar.open), "close": self.price(bar.close), "high": self.price(bar.high)}
        row |= {"low": self.price(bar.low), "volume": self.size(bar.all.lots), "turnover": self.turnover(bar.all)}
        return row | {"confirm": ended, "timestamp": at_ms}

    def _contract(self, state: State) -> dict[str, str]:
        return {
            "markPrice": self.price(state.mark),
            "indexPrice": self.price(state.index),
            "openInterest": self.size(state.interest.lots),
            "openInterestValue": self.turnover(state.interest),
            "fundingRate": f"{state.rate:f}",
            "nextFundingTime": str(state.next_funding_ns // MS),
            "fundingIntervalHour": str(FUNDING_HOURS),
        }

    def _ticker(self, topic: str, told: Told) -> list[bytes]:
        if (state := told.state) is None:
            return []
        before = {} if told.before is None else self._contract(told.before)
        changed = {key: value for key, value in self._contract(state).items() if before.get(key) != value}
        said = {
            "topic": topic,
            "type": "snapshot" if told.begins else "delta",
            "data": {"symbol": self.told, **changed},
        }
        return [compact(said | {"cs": self.id, "ts": state.event_ns // MS})]

    def _closed(self, topic: str, told: Told) -> list[bytes]:
        said = []
        for trade in told.liquidations:
            at, price = trade.event_ns // MS, self.price(trade.bankrupt or 0)
            row = {"T": at, "s": self.told, "S": POSITION[trade.side], "v": self.size(trade.lots), "p": price}
            said.append(compact({"topic": topic, "type": "snapshot", "ts": at, "data": [row]}))
        return said


class Bybit(Dialect):
    """Bybit v5."""

    source = "bybit"
    wire = BybitWire
    address = "wss://stream.bybit.com/v5/public/linear"
    products = (
        Product("BTC-USDT-PERP", "BTCUSDT", Decimal("0.10"), Decimal("0.001"), 600_000),
        Product("ETH-USDT-PERP", "ETHUSDT", Decimal("0.01"), Decimal("0.01"), 300_000),
        Product("BTC-USD-PERP", "BTCUSD", Decimal("0.10"), Decimal(1), 600_000, inverse=True),
        Product("BTC-USDT", "spot:BTCUSDT", Decimal("0.01"), Decimal("0.000001"), 6_000_000),
        Product("ETH-USDT", "spot:ETHUSDT", Decimal("0.01"), Decimal("0.00001"), 300_000),
    )

    def read(self, message: bytes) -> Asked:
        said = loaded(message)
        number = said.get("req_id", "")
        number = int(number) if number.isdecimal() else -1
        if said["op"] == "ping":
            return Asked("ping", (), number)
        if said["op"] not in ("subscribe", "unsubscribe"):
            raise ValueError(f"op {said['op']!r} is unknown")
        return Asked(said["op"], tuple(said["args"]), number)

    def _said(self, asked: Asked, text: str) -> list[bytes]:
        said = {"success": not text, "ret_msg": text, "conn_id": "2324d924", "req_id": str(asked.number)}
        return [compact(said | {"op": asked.verb})]

    def accept(self, asked: Asked, wires: Sequence[tuple[str, Wire | None]], held: Sequence[str]) -> list[bytes]:
        return self._said(asked, "")

    def refuse(self, asked: Asked, bad: Sequence[str]) -> list[bytes]:
        return self._said(asked, f"error:handler not found,topic:{bad[0]}")

    def serves(self, path: str, product: Product) -> bool:
        spot, inverse = product.name.startswith("spot:"), product.name.endswith("USD")
        return path.endswith("/spot" if spot else "/inverse" if inverse else "/linear")

    def pong(self, message: bytes) -> bytes | None:
        return compact({"success": True, "ret_msg": "pong", "conn_id": "2324d924", "op": "ping"})


DIALECTS: dict[str, Dialect] = {"bybit": Bybit()}
