"""Kill -9 at every named point of a collection: run again, each day is right, and each block's logs are known."""

import random
import signal
import time

import pytest

from tests.crash.collectors import collect_days
from tests.jobs.lending_chain import AT_START, CHAIN, LendingChain, assert_no_wrong_day, last_block
from tests.processes import PATIENT_SECONDS, process, run
from tests.transport.rpc_node import node
from tidelake.jobs.lending_lanes import logs_held
from tidelake.raw.crash_points import CRASH_VARIABLE
from tidelake.raw.store import Store
from tidelake.raw.verify import verify

DAYS = 5
POINTS = (
    "pin-pages",
    "pin-noted",
    "day-pages",
    "day-noted",
    "logs-pages:1",
    "logs-noted:1",
    "frame-written:9",
    "part-synced",
    "segment-put",
    "before-ledger-put",
    "after-ledger-put",
    "part-deleted",
)


@pytest.fixture
def nodes():
    chain = LendingChain()
    options = {"chain_id": CHAIN.chain_id, "answers": chain.answers(), "head": chain.head}
    with node(**options) as one, node(**options) as two:
        yield one, two


@pytest.fixture
def addresses(nodes):
    return [each.url for each in nodes]


def assert_whole(url):
    store, right = Store.open(url), LendingChain()
    assert assert_no_wrong_day(store, right) == 2 * DAYS
    assert logs_held(store, CHAIN.name, None).covers("one", AT_START, last_block(DAYS - 1), proven=True)
    assert verify(store).problems == []


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_each_point_and_run_again_each_day_is_there(tmp_path, monkeypatch, addresses, point):
    url = str(tmp_path / "lake")
    monkeypatch.setenv(CRASH_VARIABLE, point if ":" in point else f"{point}:2")
    assert run(collect_days, url, addresses, DAYS) == -signal.SIGKILL
    monkeypatch.delenv(CRASH_VARIABLE)
    assert collect_days(url, addresses, DAYS) == 0
    assert_whole(url)


def test_killed_ten_times_at_any_moment_and_run_again(tmp_path, nodes, addresses):
    url, draw = str(tmp_path / "lake"), random.Random(5)
    killed = 0
    for _ in range(10):
        asked = len(nodes[0].asked) + draw.randint(0, 6)
        child = process(collect_days, url, addresses, DAYS)
        child.start()
        ends = time.monotonic() + PATIENT_SECONDS
        while child.is_alive() and len(nodes[0].asked) <= asked and time.monotonic() < ends:
            time.sleep(0.001)
        child.kill()
        child.join()
        killed += child.exitcode == -signal.SIGKILL
    assert collect_days(url, addresses, DAYS) == 0
    assert_whole(url)
    assert killed
