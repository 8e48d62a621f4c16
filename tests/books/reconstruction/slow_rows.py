"""Rows of a day by other means, one at a time: what `rows.RowMaker` must say column by column."""

from typing import Any

from tidelake.books.reconstruction.replay import NO_GRID
from tidelake.kernels.dense_book import NO_TICK
from tidelake.kernels.replay_codes import AGREED, BEGAN, DELTA, NO_SEQUENCE, TRADE

NAMES = (
    "event_type", "event_ns", "recv_ns", "update_id", "side", "price_mantissa", "size_mantissa", "trade_id",
    "best_bid_price", "best_ask_price", "bid_prices", "ask_sizes", "drift_levels", "line", "item",
)  # fmt: skip
EMPTY: dict[str, Any] = dict.fromkeys(NAMES)


class SlowRows:
    """Takes the batches of a day, one after the other."""

    def __init__(self, levels):
        self.levels = levels
        self.last: Any = None
        self.clock_ns = 0
        self.number: int | None = None
        self.told: dict[int, list[tuple[int, int, int]]] = {}
        self.best: dict[str, int | None] = {"best_bid_price": None, "best_ask_price": None}

    def rows(self, batch, out):
        found = []
        grid = {int(after): g for g, after in enumerate(out.shown.after) if out.shown.grid_ns[g] != NO_GRID}
        after_event = {int(after) - 1: g for g, after in enumerate(out.shown.after) if g not in grid.values()}
        judged = [
            (int(at), int(place) - out.place, s)
            for s, (at, place) in enumerate(zip(out.compared.at, out.compared.place, strict=True))
        ]
        for i in range(len(batch) + 1):
            if i in grid:
                clocks = {"event_ns": self.last[0], "recv_ns": self.clock_ns, "line": self.last[2]}
                lists = self.shown(out.shown, grid[i])
                found.append(
                    {**EMPTY, "event_type": "book", **clocks, "update_id": self.number, "item": 0, **self.best, **lists}
                )
            found += [self.snapshot(out, s, {}) for at, place, s in judged if at == i != place]
            if i == len(batch):
                return found
            levels = range(int(batch.level_from[i]), int(batch.level_from[i + 1]))
            before = self.best
            self.best = {
                name: None if out.best_tick[i, which] == NO_TICK else int(out.best_tick[i, which])
                for which, name in enumerate(before)
            }
            self.clock_ns = int(batch.clock_ns[i])
            self.last = int(batch.event_ns[i]), int(batch.recv_ns[i]), int(batch.row[i])
            number = None if batch.sequence[i] == NO_SEQUENCE else int(batch.sequence[i])
            lists = self.shown(out.shown, after_event[i]) if i in after_event else {}
            if batch.kind[i] != TRADE:
                self.number = number
            if batch.kind[i] not in (TRADE, DELTA):
                told = [(int(batch.side[n]), int(batch.tick[n]), int(batch.lots[n])) for n in levels]
                self.told[out.place + i] = told
                found += [self.snapshot(out, s, lists) for at, place, s in judged if at == i == place]
                continue
            for item, n in enumerate(levels):
                is_trade = batch.kind[i] == TRADE
                row = {
                    **EMPTY,
                    "event_ns": self.last[0],
                    "recv_ns": self.last[1],
                    "line": self.last[2] + item,
                    "item": item,
                }
                row |= {"price_mantissa": int(batch.tick[n]), "size_mantissa": int(batch.lots[n]), **self.best}
                if is_trade:
                    side = ("buy", "sell", None)[batch.side[n]]
                    row |= {"event_type": "trade", "side": side, "trade_id": batch.trade_id[i].as_py()}
                else:
                    row |= {"event_type": "delta", "side": ("bid", "ask")[batch.side[n]], "update_id": number}
                    row |= lists if n == levels[-1] else {}
                found.append(row)
        raise AssertionError

    def snapshot(self, out, s, lists):
        said = out.compared
        number = None if said.sequence[s] == NO_SEQUENCE else int(said.sequence[s])
        row = {**EMPTY, "event_type": "snapshot", "event_ns": int(said.event_ns[s]), "recv_ns": int(said.recv_ns[s])}
        row |= {"update_id": number, "line": int(said.row[s]), "item": 0, **self.best, **lists}
        row["drift_levels"] = None if said.verdict[s] == BEGAN else int(said.levels[s])
        if said.verdict[s] != AGREED:
            told = self.told[int(said.place[s])]
            bids = sorted({tick: lots for side, tick, lots in told if side == 0}.items(), reverse=True)
            asks = sorted({tick: lots for side, tick, lots in told if side == 1}.items())
            bids, asks = ([level for level in levels if level[1]] for levels in (bids, asks))
            row |= {"bid_prices": [tick for tick, _ in bids], "ask_sizes": [lots for _, lots in asks]}
            row |= {"best_bid_price": bids[0][0] if bids else None, "best_ask_price": asks[0][0] if asks else None}
        return row

    def shown(self, shown, g):
        bids = [int(tick) for tick in shown.tick[g, 0] if tick != NO_TICK]
        asks = [int(lots) for tick, lots in zip(shown.tick[g, 1], shown.lots[g, 1], strict=True) if tick != NO_TICK]
        return {"bid_prices": bids[: self.levels], "ask_sizes": asks[: self.levels]}
