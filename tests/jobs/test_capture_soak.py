"""A long capture of eight simulated streams, faults on: nothing lost, all mended, memory flat."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.jobs.test_capture_simulated import books_are_true, by_connection, newest_heard
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.raw.verify import verify
from tidelake.sim.server import SimServer
from tidelake.sim.sockets.plan import FramePlan

SOURCES = ("binance-spot", "binance-usdm", "binance-coinm", "coinbase-advanced", "kraken", "okx", "bybit", "deribit")
SEEN_EVERYWHERE = "lost:0.01,doubled:0.01,reordered:0.005,late:0.005,reset:0.001,sync-disconnect:0.05"
FAULTS = f"{SEEN_EVERYWHERE},stale-snapshot:0.1"
BLIND = "coinbase-advanced"  # an old snapshot there has no number that tells it (docs/detection.md)
CHILD = Path(__file__).parent / "soaking.py"
DEPTH = {"kraken": 10}  # its checksum speaks of the ten best levels alone
QUIET_SECONDS = 8.0  # at the end without faults, in which every book must be mended
START_SECONDS = 6.0  # the first rows of each kind are read, parts sealed
KEPT_BYTES = 12 << 20  # what an allocator may keep beside what is used


def resident(pid):
    """Bytes of memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def soak(folder, seconds, updates):
    """The rows of the report, the memory of the capture's process by time, and the venues."""
    plan = FramePlan.parse(FAULTS, 7)
    with SimServer(SOURCES, frame_faults=plan, updates=updates, record=True, versions=500) as server:
        server.sockets[BLIND].plan = FramePlan.parse(SEEN_EVERYWHERE, 7)
        symbols = {name: [server.sockets[name].dialect.products[0].symbol] for name in SOURCES}
        urls = {name: server.url_of(name) for name in SOURCES}
        command = [
            sys.executable,
            str(CHILD),
            str(folder / "lake"),
            str(seconds),
            json.dumps(urls),
            json.dumps(symbols),
        ]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while not (folder / "lake-first" / "done").exists():
            assert child.poll() is None, child.communicate()
            time.sleep(0.05)
        for venue in server.sockets.values():
            venue.clients.clear()  # those of the first capture have left
        (folder / "lake-first" / "go").touch()
        began, memory = time.monotonic(), []
        while child.poll() is None and (lasted := time.monotonic() - began) < seconds - QUIET_SECONDS:
            memory.append((lasted, resident(child.pid)))
            time.sleep(0.25)
        for venue in server.sockets.values():
            venue.plan = FramePlan()
            for client in venue.clients:
                client.plan = FramePlan()
        out, err = child.communicate(timeout=120)
        assert child.returncode == 0, err
        said = json.loads(out)
        assert (said["exit_code"], said["shed"]) == (3, 0), said["summary"]
        return said["rows"], memory, server.sockets


def lanes_of(store, source):
    """The lines of each lane of a venue."""
    ledger = Ledger(store)
    lanes = [lane for lane in ledger.lanes() if lane.startswith(f"capture.{source}.")]
    return [[f for entry in ledger.entries(lane) for f in iter_frames(store, entry.segment)] for lane in lanes]


def client_of(clients, heard):
    """Takes out the client that was sent these frames, and perhaps more; one that was sent no more goes first."""
    begun = [c for c in clients if [frame.payload for frame in c.sent[: len(heard)]] == heard]
    assert begun, f"none of {len(clients)} clients was sent these {len(heard)} frames"
    found = min(begun, key=lambda client: len(client.sent) > len(heard))
    clients.remove(found)
    return found


def check(folder, rows, memory, venues, tail):
    store = Store.open(folder / "lake")
    assert verify(store).problems == []
    assert list(store.spool().iterdir()) == []
    books = {row["source"]: row for row in rows if row["channel"] == "book"}
    for source, venue in venues.items():
        symbol = venue.dialect.products[0].symbol
        compared, clients = 0, list(venue.clients)
        for lines in lanes_of(store, source):
            newest = {}
            for heard in by_connection(lines):
                client = client_of(clients, heard)
                ended = any(each.kind in ("reset", "sync-disconnect") for each in client.happened)
                assert len(client.sent) - len(heard) <= (0 if ended else tail), f"{source} lost frames"
                newest |= newest_heard(client, heard)
            if symbol in newest:
                compared += books_are_true(source, lines, {symbol: newest[symbol]}, venue, DEPTH.get(source))
        assert compared == 1, f"{source}: no proven book at the end"
        happened = Counter(each.kind for each in venue.happened)
        assert happened["lost"] + happened["reset"] + happened["sync-disconnect"], source
        assert books[source]["gaps"] + books[source]["falls"] > 0, f"{source}: nothing was reported of {happened}"
        assert books[source]["book"] == "VALID", f"{source} was not mended"
    flat(memory)


def flat(memory):
    """The second half of the time takes no more memory than the first, once everything is loaded."""
    loaded = [(at, size) for at, size in memory if at > START_SECONDS]
    middle = (loaded[0][0] + loaded[-1][0]) / 2
    before = statistics.median(size for at, size in loaded if at <= middle)
    after = statistics.median(size for at, size in loaded if at > middle)
    assert after < before * 1.05 + KEPT_BYTES, f"{before / 2**20:.0f} MB grew to {after / 2**20:.0f} MB"


@pytest.mark.slow
def test_half_a_minute_of_eight_streams_with_faults_loses_nothing(tmp_path):
    rows, memory, venues = soak(tmp_path, 30, updates=20)
    check(tmp_path, rows, memory, venues, tail=100)


@pytest.mark.soak
def test_half_an_hour_of_eight_streams_with_faults_loses_nothing(tmp_path):
    rows, memory, venues = soak(tmp_path, 1_800, updates=10)
    check(tmp_path, rows, memory, venues, tail=100)
    sizes = [size / 2**20 for at, size in memory if at > 60]
    print(f"resident: {sizes[0]:.0f} MB after a minute, {max(sizes):.0f} MB at most, {sizes[-1]:.0f} MB at the end")
