"""From a socket to a subscriber: the bus of a running capture, in the process and over Redis, and the command line."""

import asyncio
import contextlib
import json
import threading

import pytest

import tidelake
from tests.jobs.ended_capture import PATIENT_SECONDS
from tests.jobs.test_capture import QUICK, SOURCE, BookVenue, stream_of
from tests.transport.socket_server import SocketServer
from tidelake.cli.app import run
from tidelake.jobs.session import Settings


def captured(lake, streams, enough, *, script=None, venue=None, bus=None, channels=("trades",)):
    """The rows of each stream while a capture runs, and its report; it ends when enough came of the first stream."""
    told = {stream: [] for stream in streams}

    async def read(stream):
        async with lake.live.subscribe(stream) as rows:
            async for row in rows:
                told[stream].append(row)
        return told[stream]

    async def work():
        async with contextlib.AsyncExitStack() as stack:
            if venue is None:
                port = (await stack.enter_async_context(SocketServer(script))).port
            else:
                server = await stack.enter_async_context(await asyncio.start_server(venue.serve, "127.0.0.1"))
                port = server.sockets[0].getsockname()[1]
            given = Settings(url=f"http://localhost:{port}", patience=QUICK)
            words = {"channels": channels, "settings": given, "bus": bus}
            async with lake.live.capture({SOURCE: ["BTC-USDT"]}, **words) as running:
                reading = [asyncio.create_task(read(stream)) for stream in streams]
                while not running.done() and not enough(told[streams[0]]):
                    await asyncio.sleep(0.01)
                running.cancel()
                await asyncio.wait([running])
                return await asyncio.gather(*reading), running.result()

    return asyncio.run(asyncio.wait_for(work(), PATIENT_SECONDS))


@pytest.fixture
def lake(tmp_path, monkeypatch):
    monkeypatch.delenv("TIDELAKE_BUS", raising=False)
    return tidelake.open(tmp_path / "lake")


def test_a_subscriber_gets_every_trade_of_a_capture_in_the_same_process(lake):
    (rows,), report = captured(
        lake, ["BTC-USDT:trades"], lambda rows: len(rows) >= 300, script=stream_of(300, pause=0.05)
    )
    assert [row.trade_seq for row in rows] == list(range(300))
    assert report.rows[0].rows == 300
    lake.derive()
    derived = lake.trades("BTC-USDT").sort("trade_seq")
    assert [row.price for row in rows] == derived["price"].to_list()
    assert [row.recv_ns for row in rows] == derived["recv_ns"].to_list()


def test_a_lost_update_shows_in_the_book_and_in_what_is_derived_of_it(lake, compiled):
    streams = [f"BTC-USDT:{feed}" for feed in ("book", "spread", "imbalance", "order_flow")]
    venue = BookVenue(lose=[150])

    def mended(rows):
        lost = [at for at, row in enumerate(rows) if row.reason == "sequence break"]
        return bool(lost) and sum(row.validity == "VALID" for row in rows[lost[0] :]) > 20

    (books, *derived), report = captured(lake, streams, mended, venue=venue, channels=("book",))
    states = [row.validity for row in books]
    changes = [state for i, state in enumerate(states) if i == 0 or states[i - 1] != state]
    assert changes[-3:] == ["VALID", "INVALID", "VALID"]
    lost = next(row for row in books if row.reason == "sequence break")
    assert lost.update_id == 151
    assert lost.bid_prices == lost.ask_prices == ()
    last = books[-1]
    assert (str(last.bid_prices[0]), str(last.bid_sizes[0])) == ("100.100000000000000000", "1.500000000000000000")
    assert "sequence" in last.rule
    for rows, value in zip(derived, ("spread", "imbalance", "window_flow"), strict=True):
        assert [row.validity for row in rows] == states
        assert all(getattr(row, value) is None for row in rows if row.validity == "INVALID")
        assert getattr(rows[-1], value) is not None
    assert report.rows[0].gaps == 1


def test_a_capture_publishes_to_redis_and_the_command_line_reads_it(lake, redis_server, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TIDELAKE_BUS", redis_server.url)
    ready, ports = threading.Event(), []

    def serve():
        async def work():
            async with SocketServer(stream_of(40)) as server:
                ports.append(server.port)
                ready.set()
                await asyncio.sleep(3)

        asyncio.run(work())

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait()
    words = ["--channels", "trades", "--for", "1s", "--ntp", "", "--url", f"http://localhost:{ports[0]}"]
    assert run(["capture", SOURCE, "BTC-USDT", *words, "--lake", str(tmp_path / "lake")]) == 0
    thread.join()
    assert "bus: 40 rows published" in capsys.readouterr().err
    assert run(["live", "tail", "BTC-USDT:trades", "--after", "0", "--count", "40", "--format", "json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["trade_seq"] for row in rows] == list(range(40))
    assert (rows[0]["price"], rows[0]["size"], rows[0]["side"]) == ("60000.1", "0.5", "buy")
    after = ["--after", rows[37]["id"]]
    assert run(["live", "tail", "BTC-USDT:trades", *after, "--count", "2", "--format", "csv"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert [dict(zip(head.split(","), line.split(","), strict=True))["trade_id"] for line in lines] == ["38", "39"]


def test_tail_without_a_bus_says_where_it_looked(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("TIDELAKE_BUS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert run(["live", "tail", "BTC-USDT:trades"]) == 2
    assert "TIDELAKE_BUS" in capsys.readouterr().err
