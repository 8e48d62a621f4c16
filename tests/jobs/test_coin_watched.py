"""A watch replayed from its lanes gives the rows that the watch gave, with the same clocks."""

import asyncio
import time
from itertools import count

import pytest

import tidelake
from tests.jobs.chain_relay import relay, rpc
from tests.jobs.coin_server import serving_coins
from tests.jobs.test_follow_coins import HOLDER, Chain, coin_at
from tests.jobs.test_follow_heads import CHAIN, FAST, provider
from tests.stablecoins.tokens import NOBODY
from tidelake.errors import ConfigError, FormatDrift, NotInLake
from tidelake.jobs.coin_polls import PollSettings
from tidelake.jobs.coin_watched import WatchedHistory
from tidelake.jobs.watch_coins import CoinWatch
from tidelake.jobs.watch_state import WatchFile
from tidelake.providers.registry import COIN_SOURCES
from tidelake.raw.verify import verify
from tidelake.stablecoins.records import AlertRow, CorrectionRow, WindowRow
from tidelake.stablecoins.registry import coins as registry
from tidelake.stablecoins.replay.run import Replay
from tidelake.stablecoins.sources import watch_lane
from tidelake.tables.read import scan
from tidelake.tables.stablecoins import STABLECOIN_TABLES
from tidelake.transport.http import Patience
from tidelake.transport.rates import Pace

TIMES = 200  # of the wall's speed


class Hurrying:
    """A clock that runs ahead of the wall's."""

    def __init__(self):
        self._from = time.monotonic()
        self._begun_ns = int(time.time()) // 300 * 300 * 10**9

    def __call__(self):
        return self._begun_ns + round((time.monotonic() - self._from) * TIMES * 1e9)


@pytest.fixture
def server():
    with serving_coins() as server:
        yield server


@pytest.fixture
def lake(tmp_path):
    return tidelake.open(tmp_path / "lake")


def watch(lake, server, clock, *, until, chains=(), coins=None, jsonl=None):
    """Watch until a condition of all that was told holds."""
    told = []
    server.now_s = lambda: clock() // 10**9

    async def watching():
        def listen(records):
            told.extend(records)
            if until(told):
                task.cancel()

        coin_watch = CoinWatch(
            lake.store,
            coins or [registry()[name] for name in ("DAI", "USDC")],
            chains,
            polls=PollSettings(
                urls=dict.fromkeys(COIN_SOURCES, server.url),
                paces=dict.fromkeys(COIN_SOURCES, Pace(1e6, 1.0)),
                intervals=dict.fromkeys(COIN_SOURCES, 0.3),
                patience=Patience(attempts=1, timeout=10.0),
                clock=clock,
            ),
            every_s=FAST,
            clock=clock,
            listen=listen,
            jsonl=jsonl,
        )
        task = asyncio.ensure_future(coin_watch.run(120.0))
        return await task

    return asyncio.run(watching())


def counted(kind, least):
    return lambda told: sum(isinstance(record, kind) for record in told) >= least


def rows(lake, run):
    found = {}
    for table in STABLECOIN_TABLES:
        of_run = scan(lake.store, table).collect().filter(run=run).drop("run", "segment", "line", "item")
        found[table.name] = of_run.sort(of_run.columns).rows()
    return found


def test_replay_of_a_watch_of_providers_gives_its_rows_and_alerts_and_files(lake, server, tmp_path):
    clock, begun = Hurrying(), time.monotonic()

    def until(told):
        passed = time.monotonic() - begun
        server.prices["usd-coin"] = 0.9 if passed > 1.5 else 1.0
        server.dead = {"markets"} if 0.8 < passed < 2.5 else set()
        return counted(AlertRow, 1)(told) and counted(WindowRow, 40)(told)

    report = watch(lake, server, clock, until=until, jsonl=tmp_path / "live")
    replayed = lake.stablecoins.replay(kind="lake", watch=report.run, run="again", jsonl=tmp_path / "again").wait(120)
    assert (replayed.done, replayed.failed, replayed.unknown) == (True, {}, 0)
    assert replayed.counts == report.counts
    assert rows(lake, "again") == rows(lake, report.run)
    lines = [path.read_bytes() for path in sorted((tmp_path / "live" / report.run).rglob("*.jsonl"))]
    assert lines == [path.read_bytes() for path in sorted((tmp_path / "again" / "again").rglob("*.jsonl"))] != []
    assert rows(lake, "again")["stablecoin_alerts"]
    assert verify(lake.store).problems == []


def test_watch_that_was_killed_and_gone_on_with_is_replayed_as_one(lake, server, monkeypatch):
    clock, save, saves = Hurrying(), WatchFile.save, count()

    def dying(self, written):
        if next(saves) >= 2:  # the order is kept, the batch is not
            raise OSError("killed")
        save(self, written)

    with monkeypatch.context() as patched:
        patched.setattr(WatchFile, "save", dying)
        with pytest.raises(OSError, match="killed"):
            watch(lake, server, clock, until=lambda told: False)
    report = watch(lake, server, clock, until=counted(WindowRow, 40))
    assert report.resumed
    (begun, *_) = parts = watch_lane.read_parts(lake.store, report.run)
    assert (begun.first, len(parts) > 1) == (0, True)
    replayed = lake.stablecoins.replay(kind="lake", watch=report.run, run="again").wait(120)
    assert replayed.counts == report.counts
    assert rows(lake, "again") == rows(lake, report.run)


def test_two_watches_of_one_lake_are_each_replayed_as_they_were(lake, server):
    clock = Hurrying()
    first = watch(lake, server, clock, until=counted(WindowRow, 20))
    second = watch(lake, server, clock, until=counted(WindowRow, 20), coins=[registry()["USDC"]])
    assert first.run != second.run
    for report in (second, first):
        lake.stablecoins.replay(kind="lake", watch=report.run, run=f"again {report.run}").wait(120)
        assert rows(lake, f"again {report.run}") == rows(lake, report.run)


def test_watch_of_a_node_is_replayed_with_its_corrections(lake, server, start_anvil):
    chain = Chain(start_anvil("--no-mining").url)
    chain.mine(3)
    clock, coin, state = Hurrying(), coin_at(chain.token), {"step": 0}

    def until(told):
        head = int(rpc(chain.url, "eth_blockNumber"), 16)
        if state["step"] == 0 and counted(WindowRow, 1)(told):
            state["step"], state["block"] = 1, head
            chain.move(NOBODY, HOLDER, 7_000_000)
            chain.mine(2)
        elif state["step"] == 1 and counted(WindowRow, 10)(told):
            state["step"] = 2
            rpc(chain.url, "anvil_reorg", 2, [])
            chain.mine(2)
        return counted(CorrectionRow, 1)(told) and counted(WindowRow, 50)(told)

    with relay(chain.url) as beside:
        nodes = [(CHAIN, (provider("alpha", chain.url), provider("beta", beside.url)))]
        report = watch(lake, server, clock, until=until, chains=nodes, coins=[coin])
    history = WatchedHistory(lake.store, report.run, coins=[coin])
    replayed = Replay(lake.store, "again", history.setups(), passes_time=False).run(history)
    assert (history.refused, replayed.counts) == ({}, report.counts)
    assert any(
        one.stream == "chain anvil" for part in watch_lane.read_parts(lake.store, report.run) for one in part.order
    )
    assert rows(lake, "again") == rows(lake, report.run)


def test_what_lanes_do_not_hold_of_a_watch_is_said(lake, server, monkeypatch):
    with pytest.raises(NotInLake, match="it holds none"):
        WatchedHistory(lake.store, "watch-1")
    report = watch(lake, server, Hurrying(), until=counted(WindowRow, 10))
    with pytest.raises(NotInLake, match=report.run):
        WatchedHistory(lake.store, "watch-1")
    with pytest.raises(ConfigError, match="replayed whole"):
        WatchedHistory(lake.store, report.run).setups(("DAI",))
    with pytest.raises(ConfigError, match="no start"):
        lake.stablecoins.replay(kind="lake", watch=report.run, start="2025-01-01T00:00Z")

    history = WatchedHistory(lake.store, report.run)
    monkeypatch.setattr(history, "_told", lambda: iter(()))
    list(history.batches())
    assert "a lane may not be sealed yet" in history.refused["coins.watches"]

    moved = WatchedHistory(lake.store, report.run)
    first = next(one for part in moved._parts for one in part.order if one.stream == "price")
    first.known_us -= 1
    with pytest.raises(FormatDrift, match="price holds nothing that was known at"):
        list(moved.batches())
