"""Kill -9 in the middle of a capture: what is recovered is a prefix of what was sent, and the next one goes on."""

import asyncio
import base64
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.jobs.ended_capture import capture_until, captured_until, count_lines
from tests.jobs.test_capture_simulated import books_are_true, by_connection, newest_heard, sent_by
from tests.transport.socket_server import SocketServer
from tidelake.books.verify import verify_books
from tidelake.jobs.session import Settings
from tidelake.raw.codec import KEY_VARIABLE, key_from_environment
from tidelake.raw.coverage import coverage
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.raw.verify import verify
from tidelake.sim.server import SimServer

SOURCE, SYMBOL = "binance-spot", "BTC-USDT"
BOOKS = "binance-usdm"


class Venue:
    """Sends trades numbered over all connections, and remembers which connection was sent which."""

    def __init__(self):
        self.sent: list[list[int]] = []
        self.next = 0

    async def script(self, peer):
        message = await peer.read()
        if message is None:
            return
        mine: list[int] = []
        self.sent.append(mine)
        await peer.send(b'{"result":null,"id":%d}' % json.loads(message)["id"])
        while True:
            for _ in range(20):
                number, self.next = self.next, self.next + 1
                mine.append(number)  # before it is sent: what is kept can only be a part of it
                now = time.time_ns() // 1_000_000
                data = {"e": "trade", "E": now, "s": "BTCUSDT", "t": number, "p": "1.5", "q": "2", "T": now}
                data |= {"m": False, "M": True}
                await peer.send(json.dumps({"stream": "btcusdt@trade", "data": data}).encode())
            await asyncio.sleep(0.005)


def killed_capture(lake, url):
    command = [sys.executable, "-m", "tidelake", "--lake", str(lake), "-q", "capture", SOURCE, SYMBOL]
    command += ["--channels", "trades", "--url", url, "--ntp", "", "--rotate", "1s"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ.copy())


async def kill_and_go_on(lake, times, seed):
    draw = random.Random(seed)
    venue = Venue()
    async with SocketServer(venue.script) as server:
        url = f"http://localhost:{server.port}"
        for done in range(times):
            child = killed_capture(lake, url)
            while len(venue.sent) <= done:  # until it is subscribed
                await asyncio.sleep(0.02)
                assert child.poll() is None, child.stderr.read().decode()
            await asyncio.sleep(draw.uniform(0.0, 1.5))
            child.send_signal(signal.SIGKILL)
            await asyncio.to_thread(child.communicate)
            assert child.returncode == -signal.SIGKILL
            if KEY_VARIABLE in os.environ:
                assert not any(b"btcusdt" in path.read_bytes() for path in lake.rglob("*") if path.is_file())
        settings = Settings(url=url)
        store = Store.open(lake)
        await capture_until(
            lambda heard: heard > 100, store, {SOURCE: [SYMBOL]}, channels=["trades"], settings=settings
        )
        return venue.sent


def check(lake, sent):
    store, key = Store.open(lake), key_from_environment()
    ledger = Ledger(store)
    lanes = [lane for lane in ledger.lanes() if lane.startswith("capture.")]
    kept = {}
    for lane in lanes:
        frames = [frame for entry in ledger.entries(lane) for frame in iter_frames(store, entry.segment, key)]
        assert [frame.n for frame in frames] == list(range(len(frames)))
        found = [json.loads(frame.payload) for frame in frames if frame.kind == "frame"]
        if numbers := [one["data"]["t"] for one in found if "stream" in one]:
            kept[numbers[0]] = numbers
    by_first = {numbers[0]: numbers for numbers in sent if numbers}
    for first, numbers in kept.items():
        assert numbers == by_first[first][: len(numbers)]
    assert list(store.spool().iterdir()) == []
    assert verify(store).problems == []
    (covered,) = coverage(entry for lane in lanes for entry in ledger.entries(lane))
    assert covered.messages == sum(map(len, kept.values()))
    spans = [(each.first, each.last) for each in covered.intervals if each.state == "VALID"]
    assert sum(last - first + 1 for first, last in spans) == covered.messages
    return kept


@pytest.mark.slow
def test_killed_captures_leave_prefixes_and_the_next_goes_on(tmp_path):
    sent = asyncio.run(kill_and_go_on(tmp_path / "lake", 3, seed=1))
    kept = check(tmp_path / "lake", sent)
    assert len(sent) == 4
    assert sum(map(len, kept.values())) > 300


@pytest.mark.slow
def test_killed_captures_under_a_key_show_no_frame_and_the_next_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, base64.b64encode(bytes(range(32))).decode())
    sent = asyncio.run(kill_and_go_on(tmp_path / "lake", 2, seed=3))
    kept = check(tmp_path / "lake", sent)
    assert len(sent) == 3
    assert sum(map(len, kept.values())) > 200


@pytest.mark.soak
def test_fifty_killed_captures_leave_prefixes_and_the_next_goes_on(tmp_path):
    sent = asyncio.run(kill_and_go_on(tmp_path / "lake", 50, seed=2))
    kept = check(tmp_path / "lake", sent)
    assert len(sent) == 51
    assert sum(map(len, kept.values())) > 5_000


def killed_books(lake, url, symbol):
    command = [sys.executable, "-m", "tidelake", "--lake", str(lake), "-q", "capture", BOOKS, symbol]
    command += ["--url", url, "--ntp", "", "--rotate", "1s", "--audit-every", "1s"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ.copy())


def kill_books_and_go_on(lake, times, seed):
    """Kill captures of a venue's books one after the other, then end one in good order; the venue and its report."""
    draw = random.Random(seed)
    with SimServer(BOOKS, updates=60, record=True) as server:
        venue = server.sockets[BOOKS]
        symbol = venue.dialect.products[0].symbol
        for done in range(times):
            child = killed_books(lake, server.url, symbol)
            while len(venue.clients) <= done or len(venue.clients[done].sent) < 3:  # until it is subscribed
                time.sleep(0.02)
                assert child.poll() is None, child.stderr.read().decode()
            time.sleep(draw.uniform(0.0, 1.5))
            child.send_signal(signal.SIGKILL)
            child.communicate()
            assert child.returncode == -signal.SIGKILL
        store = Store.open(lake)
        with pytest.MonkeyPatch.context() as patch:
            pages = count_lines(patch, b'"kind":"page"')
            report = captured_until(
                lambda heard: heard > 150 and pages() > 0, store, {BOOKS: [symbol]}, settings=Settings(url=server.url)
            )
    assert len(venue.clients) == times + 1
    return venue, report


def check_books(lake, venue, report):
    """Each lane holds the beginning of what its client was sent; the books go on, proven, and are the true ones."""
    store = Store.open(lake)
    assert list(store.spool().iterdir()) == []
    assert verify(store).problems == []
    ledger = Ledger(store)
    kept = 0
    for lane in (lane for lane in ledger.lanes() if lane.startswith("capture.")):
        lines = [frame for entry in ledger.entries(lane) for frame in iter_frames(store, entry.segment)]
        assert [line.n for line in lines] == list(range(len(lines)))
        (heard,) = by_connection(lines)
        client = sent_by(venue, heard)
        kept += len(heard)
        books_are_true(BOOKS, lines, newest_heard(client, heard), venue)
    (book,) = [row for row in report.rows if row.channel == "book"]
    assert (book.book, book.state) == ("VALID", "captured")
    (found,) = [each for each in verify_books(store) if each.frames and each.symbol == book.symbol]
    intervals = [each.state for each in found.intervals]
    assert intervals[-1] == "VALID"
    assert found.intervals[-1].last_ns > max(each.last_ns for each in found.intervals[:-1])
    return kept


@pytest.mark.slow
def test_killed_captures_of_books_leave_prefixes_and_proven_books(tmp_path):
    venue, report = kill_books_and_go_on(tmp_path / "lake", 2, seed=3)
    assert check_books(tmp_path / "lake", venue, report) > 100


@pytest.mark.soak
def test_fifty_killed_captures_of_books_leave_prefixes_and_proven_books(tmp_path):
    venue, report = kill_books_and_go_on(tmp_path / "lake", 50, seed=4)
    assert check_books(tmp_path / "lake", venue, report) > 2_000


@pytest.mark.slow
def test_a_killed_capture_onto_an_object_store_leaves_prefixes_and_proven_books(s3_lake_url, tmp_path, monkeypatch):
    monkeypatch.setenv("TIDELAKE_SPOOL", str(tmp_path / "spool"))
    venue, report = kill_books_and_go_on(s3_lake_url, 1, seed=5)
    assert check_books(s3_lake_url, venue, report) > 50
