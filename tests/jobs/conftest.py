"""A simulated exchange world with a clock that stands still until a test moves it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tidelake.jobs.session import Settings
from tidelake.raw.coverage import StreamCoverage, coverage
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.sim.faults import FaultPlan
from tidelake.sim.market import Market
from tidelake.sim.server import SimServer
from tidelake.tables.pages import read_page
from tidelake.transport.http import Patience
from tidelake.venues.spec import Rate

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
START = 1_700_000_000 * SECOND
SYMBOLS = {
    "coinbase": "BTC-USD",
    "kraken": "BTC-USD",
    "binance-spot": "BTC-USDT",
    "okx": "BTC-USDT",
    "bybit": "BTC-USDT-PERP",
    "deribit": "BTC-USD-PERP",
}
NUMBERED = [source for source in SYMBOLS if source != "bybit"]


@dataclass
class World:
    """A served venue, a lake, and settings that wait for nothing."""

    source: str
    server: SimServer
    store: Store
    now: list[int]
    extra: dict[str, object] = field(default_factory=dict)

    @property
    def symbol(self) -> str:
        return SYMBOLS[self.source]

    @property
    def settings(self) -> Settings:
        fast = {source: Rate(1e6, 1.0) for source in SYMBOLS}
        patience = Patience(first_wait=0.001, longest_wait=0.01, timeout=5.0)
        return Settings(
            url=self.server.url,
            rates=fast,
            patience=patience,
            clock=lambda: self.now[0],
            try_wait=0.001,
            **self.extra,  # type: ignore[arg-type]
        )

    def entries(self):
        ledger = Ledger(self.store)
        return [entry for lane in ledger.lanes() for entry in ledger.entries(lane)]

    def frames(self):
        return [frame for entry in self.entries() for frame in iter_frames(self.store, entry.segment)]

    def kept(self) -> dict[str, int]:
        """Trade ids in the lake with their event times."""
        pages = (frame for frame in self.frames() if frame.kind == "page" and frame.symbol == self.symbol)
        return {trade_id: ns for page in pages for _, ns, trade_id in read_page(self.source, page).rows}

    def truth(self, since_ns: int, until_ns: int | None = None) -> list[str]:
        """The ids that the market says there are, in order."""
        market = self.server.market
        trades = market.truth(self.source, self.symbol, until_ns=until_ns, since_ns=since_ns)
        return self.server.apis[self.source].venue.trade_ids(trades, market.seed)

    def missing(self, since_ns: int, until_ns: int | None = None) -> list[str]:
        kept = self.kept()
        return [trade_id for trade_id in self.truth(since_ns, until_ns) if trade_id not in kept]

    def coverage(self) -> StreamCoverage:
        (found,) = coverage(self.entries())
        return found

    def states(self, state: str) -> list[tuple[int, int]]:
        return [(i.first, i.last) for i in self.coverage().intervals if i.state == state]

    def number(self, seq: int) -> int:
        """The venue's number of a count of the market."""
        market = self.server.market
        return int(market.tape(market.listing(self.source, self.symbol)).numbers(np.array([seq]))[0])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes worlds: world("kraken", "5xx:0.1"); `lake` is the address of the lake where it is not a folder."""
    made: list[SimServer] = []

    def make(
        source: str, faults: str = "", *, rate: float = 0.25, hours: float = 6.0, lake: str = "", **extra: object
    ) -> World:
        now = [START]
        market = Market(7, start_ns=START - int(hours * HOUR), rate=rate, clock=lambda: now[0])
        server = SimServer(source, market, FaultPlan.parse(faults, seed=11))
        server.start()
        made.append(server)
        return World(source, server, Store.open(lake or tmp_path / "lake"), now, dict(extra))

    yield make
    for server in made:
        server.stop()
