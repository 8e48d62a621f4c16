"""The six simulated venues of the demonstration: what they list, what goes wrong, and what they leave out."""

import time
from collections.abc import Iterable
from dataclasses import replace

from tidelake.sim.faults import FaultPlan, LostRun
from tidelake.sim.listing import Listing
from tidelake.sim.market import Market
from tidelake.sim.server import SimServer
from tidelake.venues.spec import Rate

STREAMS = {
    "coinbase": ("BTC-USD", "ETH-USD"),
    "kraken": ("BTC-USD", "ETH-USD"),
    "binance-spot": ("BTC-USDT", "ETH-USDT"),
    "okx": ("BTC-USDT", "ETH-USDT"),
    "bybit": ("BTC-USDT-PERP", "ETH-USDT-PERP"),
    "deribit": ("BTC-USD-PERP", "ETH-USD-PERP"),
}
KILLED = ("okx", "SOL-USDT")
CORRECTED = ("coinbase", "SOL-USD")
SEED = 11
HISTORY_NS = 45 * 60 * 10**9
RATES = {"bybit:BTC-USDT-PERP": 0.33, "bybit:ETH-USDT-PERP": 0.3}  # its newest page, 1,000 trades, is all it answers
SETTLED_AGO_NS = 24 * 60 * 10**9
RECENT_AGO_NS = 3 * 60 * 10**9
LOST_TRADES = 170
KILLED_AT_FRAME = 14
ODDS = "429:0.10,429-bare:0.05,5xx:0.10,torn:0.08,truncated:0.04"
PACE = {"kraken": Rate(4, 1.0), "okx": Rate(20, 0.5)}  # the simulated ones can bear it; real ones get their limits


class DemoMarket(Market):
    """A market in which one venue changes the tick of one product at some moment."""

    moved = False

    def listings(self, source: str) -> tuple[Listing, ...]:
        """As the market's, with the new tick once it has changed."""
        found = super().listings(source)
        if not self.moved or source != CORRECTED[0]:
            return found
        return tuple(replace(each, tick=each.tick / 10) if each.symbol == CORRECTED[1] else each for each in found)


def heal(server: SimServer) -> None:
    """From now on the venues show every trade."""
    for api in server.apis.values():
        api.injector.plan = replace(api.injector.plan, lost_runs=())


def prepared() -> tuple[DemoMarket, SimServer, int, dict[tuple[str, str], LostRun]]:
    """The market, its server (not started), the start of what is fetched, and the runs that will be left out."""
    now_ns = time.time_ns()
    since_ns = (now_ns - HISTORY_NS) // 10**9 * 10**9
    market = DemoMarket(SEED, hours=2, rate=RATES | dict.fromkeys(_keys(), 1.0))
    lost = {
        ("kraken", "BTC-USD"): _run(market, "kraken", "BTC-USD", now_ns - SETTLED_AGO_NS),
        ("coinbase", "BTC-USD"): _run(market, "coinbase", "BTC-USD", now_ns - RECENT_AGO_NS - LOST_TRADES * 10**9 // 2),
    }
    base = FaultPlan.parse(ODDS, SEED)
    base = replace(base, rules=tuple(replace(rule, seconds=0.0) for rule in base.rules))
    plans = {s: replace(base, lost_runs=tuple(run for key, run in lost.items() if key[0] == s)) for s in STREAMS}
    return market, SimServer(list(STREAMS), market, plans), since_ns, lost


def _keys() -> Iterable[str]:
    return (f"{source}:{symbol}" for source, symbols in STREAMS.items() for symbol in symbols if source != "bybit")


def _run(market: Market, source: str, symbol: str, from_ns: int) -> LostRun:
    first = market.tape(market.listing(source, symbol)).seq_since(from_ns)
    return LostRun(first, first + LOST_TRADES - 1, symbol=symbol)
