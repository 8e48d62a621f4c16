"""Watches killed and begun again: their FINAL rows are those of one that nobody disturbed, reorganisations included."""

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from itertools import count

import msgspec
import polars as pl
import pytest

import tidelake
from tests.jobs.chain_relay import rpc
from tests.jobs.coin_server import serving_coins
from tests.jobs.test_coin_watched import rows
from tests.jobs.test_follow_coins import HOLDER, HOW_IT_WAS_LEARNT, Chain
from tests.jobs.watch_child import Config, watched_coin
from tests.stablecoins.tokens import NOBODY
from tidelake.jobs.coin_watched import WatchedHistory
from tidelake.raw.crash_points import CRASH_VARIABLE
from tidelake.raw.verify import verify
from tidelake.stablecoins.replay.run import Replay
from tidelake.stablecoins.sources.chain_told import read_observations

POINTS = ["chain-noted:4", "frame-written:20", "watch-saved:1", "watch-saved:2", "chain-noted:40", "watch-saved:3"]
BLOCK_S = 60
SETTLES = 24  # blocks until a window is FINAL: 15 minutes of grace, and final after four blocks


class Minting(Chain):
    """A node whose blocks are a minute apart, each with a mint or a burn."""

    def __init__(self, url):
        super().__init__(url)
        self._units = count(1_000_000)

    def mine(self, count=1):
        for _ in range(count):
            last = int(rpc(self.url, "eth_getBlockByNumber", "latest", False)["timestamp"], 16)
            rpc(self.url, "evm_setNextBlockTimestamp", last + BLOCK_S)
            rpc(self.url, "anvil_mine", "0x1")

    def go_on(self, blocks):
        for _ in range(blocks):
            units = next(self._units)
            self.move(*((HOLDER, NOBODY) if units % 3 == 0 else (NOBODY, HOLDER)), units)
            self.mine()

    def now_s(self):
        return int(rpc(self.url, "eth_getBlockByNumber", "latest", False)["timestamp"], 16)


class Watched:
    """A watch in processes of its own, over one lake."""

    def __init__(self, folder, **config):
        folder.mkdir()
        self.folder = folder
        self.lake = tidelake.open(folder / "lake")
        self.lines, self.stop = folder / "lines", folder / "stop"
        told = Config(lake=str(folder / "lake"), lines=str(self.lines), stop=str(self.stop), **config)
        self.config = folder / "config.json"
        self.config.write_bytes(msgspec.json.encode(told))
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self, crash=""):
        command = [sys.executable, "-W", "ignore", "-m", "tests.jobs.watch_child", str(self.config)]
        self.process = subprocess.Popen(command, env={**os.environ, CRASH_VARIABLE: crash})

    def end(self):
        self.stop.touch()
        assert self.process is not None
        assert self.process.wait(30) == 0

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def knows(self, digest):
        """Whether it noted which logs a block has; by what its process would leave behind."""
        parts = (self.folder / "lake" / "parts").glob("**/*")
        lines = (line for part in parts if part.is_file() for line in part.read_bytes().splitlines())
        return any(b'"logs":{' in line and digest.encode() in line for line in lines)

    def is_final(self, second):
        files = self.lines.glob("*/unified/USDC/*.jsonl")
        needle = f'"window_start_us":{second * 1_000_000},'
        return any(needle in line and '"FINAL"' in line for file in files for line in file.read_text().splitlines())

    def finals(self, until_s):
        rows = self.lake.scan("stablecoin_windows").collect()
        assert rows["run"].n_unique() == 1
        assert rows.select("window_id", "event_version").is_duplicated().sum() == 0
        final = rows.filter(
            pl.col("window_state") == "FINAL", pl.col("event_time").dt.epoch("s") + pl.col("window_s") <= until_s
        )
        learnt = {*HOW_IT_WAS_LEARNT - {"known_us"}, "known_at", "recv_ns", "run"}
        return {row["window_id"]: row for row in final.drop(learnt).to_dicts()}


def until(done, seconds=120.0):
    ends = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.05)


@pytest.fixture
def staged(start_anvil, tmp_path):
    """A node that mints, and makes watches of it; those that run still are killed in the end."""
    minute = int(time.time()) // 300 * 300
    chain = Minting(start_anvil("--no-mining", "--timestamp", str(minute - 600)).url)
    while chain.now_s() < minute - BLOCK_S:
        chain.mine()
    with ExitStack() as stack:
        server = stack.enter_context(serving_coins())
        server.now_s = lambda: minute + 20

        def watched(name):
            nodes = {"alpha": chain.url, "beta": chain.url}
            found = Watched(tmp_path / name, token=chain.token, nodes=nodes, coins_url=server.url, second=minute + 20)
            stack.callback(found.kill)
            return found

        yield chain, watched, minute


def reorganise(chain):
    """Other blocks in place of the last three, and one more: what was minted in them is minted no more."""
    rpc(chain.url, "anvil_reorg", 3, [])
    chain.go_on(1)


def kill_at(point, killed, chain):
    killed.begin(point)
    ends = time.monotonic() + 90
    while killed.process.poll() is None:
        assert time.monotonic() < ends, point
        chain.go_on(1)
        time.sleep(0.3)
    assert killed.process.returncode == -9, point


def replay_again(watched, coin):
    """Replay what the watch took, out of its lanes, and hold all rows against those that it gave."""
    (run,) = watched.lake.scan("stablecoin_windows").collect()["run"].unique()
    history = WatchedHistory(watched.lake.store, run, coins=[coin])
    report = Replay(watched.lake.store, "again", history.setups(), passes_time=False).run(history)
    assert (history.refused, report.unknown) == ({}, 0)
    assert rows(watched.lake, "again") == rows(watched.lake, run)


def compare(chain, minute, calm, killed):
    """Let both come to the same end, and hold their rows against each other and against the node."""
    last = (chain.now_s() - 60) // 60 * 60
    killed.begin()
    for _ in range(SETTLES):
        chain.go_on(1)
    until(lambda: calm.is_final(last) and killed.is_final(last))
    calm.end()
    killed.end()
    expected, found = calm.finals(last + 60), killed.finals(last + 60)
    assert len(expected) > (last - minute) // 60
    assert found == expected
    minted = sum(row["minted"] for row in expected.values() if row["window_s"] == 60 and row["chain"] == "ethereum")
    inside = [fact for fact in chain.facts()[0] if minute <= fact.event_us // 1_000_000 < last + 60]
    assert int(minted.scaleb(6)) == sum(fact.units for fact in inside if fact.units > 0)
    assert verify(killed.lake.store).problems == []
    replay_again(killed, watched_coin(chain.token))


def test_watch_killed_before_a_reorganisation_corrects_it_on_its_return_and_ends_as_one_that_runs_on(staged):
    chain, watched, minute = staged
    calm, killed = watched("calm"), watched("killed")
    calm.begin()
    killed.begin()
    chain.go_on(8)
    tip = rpc(chain.url, "eth_getBlockByNumber", "latest", False)["hash"]
    until(lambda: killed.knows(tip) and calm.knows(tip))
    killed.kill()
    reorganise(chain)
    compare(chain, minute, calm, killed)
    corrected = killed.lake.scan("stablecoin_corrections").collect().filter(pl.col("run") != "again")
    assert set(corrected["reason"]) == {"chain_reorg"}
    gone = set(corrected["event_id"])
    stands = {fact.id.replace("anvil:", "ethereum:") for fact in chain.facts()[0]}
    assert gone
    assert not gone & stands
    killed.lake.derive()
    blocks = killed.lake.scan("chain_blocks").collect()
    head = int(rpc(chain.url, "eth_blockNumber"), 16)
    node = {rpc(chain.url, "eth_getBlockByNumber", hex(at), False)["hash"]: at for at in range(1, head + 1)}
    assert dict(zip(blocks["block_hash"], blocks["block_number"], strict=True)).items() <= node.items()
    assert len(blocks) >= len(node) - 1
    events = killed.lake.scan("chain_events").collect()
    places = events.select(pl.format("ethereum:{}:{}:{}", "block_hash", "tx_hash", "log_index"))
    assert set(places.to_series()) == stands
    assert killed.lake.sql("SELECT count(*) AS n FROM quarantine")["n"].item() == 0
    run = corrected["run"][0]
    told = list(read_observations(killed.lake.store, "ethereum", [watched_coin(chain.token)], run))
    assert {seen.id for seen in told if seen.feature == "supply"} == gone | stands


@pytest.mark.soak
@pytest.mark.parametrize("reorganised", [False, True])
def test_watch_killed_at_every_point_ends_in_the_rows_of_one_that_runs_on(staged, reorganised):
    chain, watched, minute = staged
    calm, killed = watched("calm"), watched("killed")
    calm.begin()
    for point in POINTS:
        kill_at(point, killed, chain)
        if reorganised:
            reorganise(chain)
    compare(chain, minute, calm, killed)
