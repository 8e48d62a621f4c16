"""Replays that run in a thread, steered from Python."""

import asyncio
import datetime as dt
import threading

import pytest

import tidelake
from tests.stablecoins.histories import BEGIN, S
from tidelake.errors import ConfigError, NotInLake
from tidelake.stablecoins.replay.running import EPOCH
from tidelake.tables.read import scan
from tidelake.tables.stablecoins import STABLECOIN_WINDOWS

MINUTES = 30


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "history" / "ethereum" / "price.csv"
    path.parent.mkdir(parents=True)
    rows = [
        f"{(EPOCH + dt.timedelta(microseconds=BEGIN + minute * 60 * S + 10 * S)).isoformat()},USDC,{price}"
        for minute, price in enumerate([1.0] * 20 + [0.9] * 3 + [1.0] * (MINUTES - 23))
    ]
    path.write_text("\n".join(["timestamp,coin,price", *rows]) + "\n")
    return tmp_path / "history"


def windows(lake):
    return scan(lake.store, STABLECOIN_WINDOWS).collect().drop("run").sort("window_id", "event_version").rows()


def at(minute):
    return EPOCH + dt.timedelta(microseconds=BEGIN + minute * 60 * S)


def test_it_is_paused_jumped_and_hurried_while_it_runs_and_ends_in_the_rows_of_one_left_alone(tmp_path, folder):
    whole = tidelake.open(tmp_path / "whole")
    alone = whole.stablecoins.replay(folder).wait(60)
    assert alone.done
    told, reached = [], threading.Event()

    def listen(records):
        told.extend(records)
        if any(record.known_us > BEGIN + 24 * 60 * S for record in records):
            reached.set()

    lake = tidelake.open(tmp_path / "steered")
    with lake.stablecoins.replay(folder, speed=0.001, listen=listen) as running:
        assert running.speed == 0.001
        running.pause()
        running.jump(at(25))
        assert reached.wait(60)  # paused all the same
        assert running.running
        assert running.now is not None
        assert at(24) < running.now <= at(25)
        before = len(told)
        reached.clear()
        running.jump(at(12).isoformat())
        running.jump(at(25))
        running.speed = 0
        running.resume()
        report = running.wait(60)
    assert (report.done, report.counts, running.running) == (True, alone.counts, False)
    assert before
    assert windows(lake) == windows(whole)


def test_leaving_the_block_stops_it_and_the_same_again_goes_on(tmp_path, folder):
    lake = tidelake.open(tmp_path / "lake")
    with lake.stablecoins.replay(folder, speed=0.001) as running:
        pass
    assert not running.running
    assert not running.wait().done
    again = lake.stablecoins.replay(folder)
    report = asyncio.run(asyncio.to_thread(again.wait))
    assert report.done


def test_what_cannot_be_is_refused(tmp_path, folder):
    lake = tidelake.open(tmp_path / "lake")
    with lake.stablecoins.replay(folder, speed=0.001) as running:
        with pytest.raises(ValueError, match="zone"):
            running.jump("2023-03-11T04:00")
        with pytest.raises(ValueError, match="speed"):
            running.speed = -1
        with pytest.raises(TimeoutError, match="goes on"):
            running.wait(0.01)
    with pytest.raises(ConfigError, match="no folder"):
        lake.stablecoins.replay(folder, kind="lake")
    with pytest.raises(ConfigError, match="needs the folder"):
        lake.stablecoins.replay()
    with pytest.raises(ConfigError, match="played whole"):
        lake.stablecoins.replay(folder, start="2023-03-11T04:00Z")
    with pytest.raises(NotInLake, match="holds no facts"):
        lake.stablecoins.replay(kind="lake")


def test_fault_of_the_replay_is_raised_where_it_is_waited_for(tmp_path, folder):
    def listen(records):
        raise RuntimeError("nobody listens")

    running = tidelake.open(tmp_path / "lake").stablecoins.replay(folder, listen=listen)
    with pytest.raises(RuntimeError, match="nobody listens"):
        running.wait(60)
