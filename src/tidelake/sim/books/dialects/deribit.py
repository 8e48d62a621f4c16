"""Deribit: JSON-RPC over the socket.

Source:  as `venues.deribit`
Quirks:  prev_change_id names the change_id before; the snapshot has none. Levels are [new|change|delete, price,
         amount] in JSON numbers without zeros at their end. An unknown channel is left out of the answer to a
         subscription, without a word. `liquidation` of a trade says whose side was closed, here always the taker's. A
         bar is told as it grows; the documentation does not say whether it is told when it has ended: here it is, once.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from tidelake.sim.answer import number_text
from tidelake.sim.books.figures import Told
from tidelake.sim.books.model import ASK, BID, Change, Print, Product
from tidelake.sim.books.wire import Asked, Dialect, Tell, Wire, compact, loaded

MS = 1_000_000


class DeribitWire(Wire):
    """An instrument of Deribit."""

    @property
    def names(self) -> Mapping[str, str]:
        name = self.product.name
        return {"book": f"book.{name}.100ms", "trades": f"trades.{name}.100ms", "quotes": f"quote.{name}"}

    def price(self, ticks: int) -> str:
        return number_text(super().price(ticks))

    def size(self, lots: int) -> str:
        return number_text(super().size(lots))

    def _framed(self, channel: str, data: str) -> bytes:
        return self._said(self.names[channel], data)

    def _said(self, channel: str, data: str) -> bytes:
        params = f'"channel":"{channel}","data":{data}'
        return f'{{"jsonrpc":"2.0","method":"subscription","params":{{{params}}}}}'.encode()

    def _book(self, kind: str, levels: Sequence[tuple[str, str, int, int]], at_ns: int, before: str) -> bytes:
        told = {
            side: ",".join(f'["{w}",{self.price(p)},{self.size(q)}]' for w, its, p, q in levels if its == side)
            for side in (BID, ASK)
        }
        return self._framed(
            "book",
            f'{{"type":"{kind}","timestamp":{at_ns // MS}{before},"instrument_name":"{self.product.name}",'
            f'"change_id":{self.id},"bids":[{told[BID]}],"asks":[{told[ASK]}]}}',
        )

    def change(self, change: Change) -> bytes:
        before, sides = self.id, dict(zip((BID, ASK), self.book.at(change.version - 1), strict=True))
        self.id += self.chance.randrange(1, 40)
        levels = [
            ("delete" if not lots else "change" if ticks in sides[side] else "new", side, ticks, lots)
            for side, ticks, lots in change.levels
        ]
        return self._book("change", levels, change.event_ns, f',"prev_change_id":{before}')

    def snapshot(self) -> bytes:
        return self._book("snapshot", [("new", *level) for level in self.whole()], self.book.clock_ns, "")

    def quote(self) -> bytes | None:
        (bid, bid_lots), (ask, ask_lots) = self.best()
        row = f'"timestamp":{self.book.clock_ns // MS},"instrument_name":"{self.product.name}"'
        row += f',"best_bid_price":{self.price(bid)},"best_bid_amount":{self.size(bid_lots)}'
        row += f',"best_ask_price":{self.price(ask)},"best_ask_amount":{self.size(ask_lots)}'
        return self._framed("quotes", f"{{{row}}}")

    def trade(self, trade: Print) -> bytes:
        row = f'"trade_seq":{trade.number},"trade_id":"{trade.number + 100_000}","timestamp":{trade.event_ns // MS}'
        row += f',"tick_direction":0,"price":{self.price(trade.ticks)},"mark_price":{self.price(trade.ticks)}'
        row += f',"instrument_name":"{self.product.name}","index_price":{self.price(trade.ticks)}'
        row += f',"direction":"{trade.side}","amount":{self.size(trade.lots)}'
        row += "" if trade.bankrupt is None else ',"liquidation":"T"'
        return self._framed("trades", f"[{{{row}}}]")

    def figures(self) -> Mapping[str, Tell]:
        name = self.product.name
        return {f"chart.trades.{name}.1": self._chart, f"ticker.{name}.100ms": self._ticker}

    def _chart(self, channel: str, told: Told) -> list[bytes]:
        said = []
        for bar, _ in told.bars():
            row = f'"volume":{bar.all.base:f},"tick":{bar.start_ns // MS},"open":{self.price(bar.open)}'
            row += f',"low":{self.price(bar.low)},"high":{self.price(bar.high)}'
            row += f',"cost":{bar.all.quote:f},"close":{self.price(bar.close)}'
            said.append(self._said(channel, f"{{{row}}}"))
        return said

    def _ticker(self, channel: str, told: Told) -> list[bytes]:
        if (state := told.state) is None:
            return []
        (bid, bid_lots), (ask, ask_lots) = self.best()
        row = f'"timestamp":{state.event_ns // MS},"state":"open","open_interest":{self.size(state.interest.lots)}'
        row += f',"mark_price":{self.price(state.mark)},"instrument_name":"{self.product.name}"'
        row += f',"index_price":{self.price(state.index)},"funding_8h":{state.rate:f},"current_funding":{state.rate:f}'
        row += f',"best_bid_price":{self.price(bid)},"best_bid_amount":{self.size(bid_lots)}'
        row += f',"best_ask_price":{self.price(ask)},"best_ask_amount":{self.size(ask_lots)}'
        return [self._said(channel, f"{{{row}}}")]


class Deribit(Dialect):
    """Deribit."""

    source = "deribit"
    wire = DeribitWire
    address = "wss://www.deribit.com/ws/api/v2"
    refuses_whole = False
    products = (
        Product("BTC-USD-PERP", "BTC-PERPETUAL", Decimal("0.5"), Decimal(10), 120_000, inverse=True),
        Product("ETH-USD-PERP", "ETH-PERPETUAL", Decimal("0.05"), Decimal(1), 60_000, inverse=True),
    )

    def read(self, message: bytes) -> Asked:
        said = loaded(message)
        verb = said["method"].removeprefix("public/")
        if verb in ("subscribe", "unsubscribe"):
            return Asked(verb, tuple(said["params"]["channels"]), said["id"])
        return Asked("ping" if verb == "test" else "other", (), said["id"])

    def _listed(self, asked: Asked, names: Sequence[str]) -> bytes:
        return compact({"jsonrpc": "2.0", "id": asked.number, "result": list(names)})

    def accept(self, asked: Asked, wires: Sequence[tuple[str, Wire | None]], held: Sequence[str]) -> list[bytes]:
        return [self._listed(asked, asked.names)]

    def refuse(self, asked: Asked, bad: Sequence[str]) -> list[bytes]:
        return [] if len(bad) < len(asked.names) else [self._listed(asked, ())]

    def pong(self, message: bytes) -> bytes | None:
        number = loaded(message)["id"]
        if b"set_heartbeat" in message:
            return compact({"jsonrpc": "2.0", "id": number, "result": "ok"})
        return compact({"jsonrpc": "2.0", "id": number, "result": {"version": "1.2.26"}})


DIALECTS: dict[str, Dialect] = {"deribit": Deribit()}
