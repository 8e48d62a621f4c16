"""Kill -9 at every named point of an acquisition: run again, it ends with the same ready files, each sealed once."""

import random
import signal
import time

import pytest

from tests.crash.acquirers import acquire_days
from tests.jobs.test_acquire import END, contents, files_of, lake_source, staged
from tests.processes import process, run, run_at_once
from tests.vendor_files import DAY
from tidelake.books.ready import ready_files
from tidelake.raw.crash_points import CRASH_VARIABLE
from tidelake.raw.ledger import Ledger
from tidelake.raw.store import Store
from tidelake.raw.verify import verify

POINTS = (
    "downloaded",
    "told-moved",
    "staged",
    "checked",
    "manifest-written",
    "file-put",
    "segment-put",
    "before-ledger-put",
    "after-ledger-put",
    "sealed",
)


def assert_each_file_is_ready_once(store, root):
    assert contents(store) == files_of(root)
    assert staged(store) == []
    for lane in {file.lane for file in ready_files(store)}:
        names = [entry.file.name for entry in Ledger(store).entries(lane) if entry.file]
        assert len(names) == len(set(names)) == 2
    assert verify(store).problems == []


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_each_point_and_run_again_the_same_files_are_ready(tmp_path, monkeypatch, point):
    root, url = lake_source(tmp_path / "source"), str(tmp_path / "lake")
    monkeypatch.setenv(CRASH_VARIABLE, f"{point}:2")
    assert run(acquire_days, url, str(root), str(DAY), str(END)) == -signal.SIGKILL
    monkeypatch.delenv(CRASH_VARIABLE)
    acquire_days(url, str(root), str(DAY), str(END), 1)
    assert_each_file_is_ready_once(Store.open(url), root)


def test_two_runs_at_once_seal_each_file_once(tmp_path):
    root, url = lake_source(tmp_path / "source"), str(tmp_path / "lake")
    assert run_at_once(*(process(acquire_days, url, str(root), str(DAY), str(END)) for _ in range(2))) == [0, 0]
    assert_each_file_is_ready_once(Store.open(url), root)


def test_two_runs_on_two_machines_seal_each_file_once(tmp_path, monkeypatch, s3_lake_url):
    url, root = s3_lake_url, lake_source(tmp_path / "source")
    children = []
    for number in range(2):
        monkeypatch.setenv("TIDELAKE_SPOOL", str(tmp_path / f"spool-{number}"))
        children.append(process(acquire_days, url, str(root), str(DAY), str(END)))
    assert run_at_once(*children) == [0, 0]
    assert_each_file_is_ready_once(Store.open(url), root)


@pytest.mark.slow
def test_killed_at_random_moments_the_same_files_are_ready(tmp_path):
    root, url, rng = lake_source(tmp_path / "source"), str(tmp_path / "lake"), random.Random(6)
    store = Store.open(url)
    for _ in range(6):
        child = process(acquire_days, url, str(root), str(DAY), str(END))
        child.start()
        while child.is_alive() and not staged(store):
            time.sleep(0.001)
        time.sleep(rng.random() * 0.1)
        child.kill()
        child.join()
    acquire_days(url, str(root), str(DAY), str(END))
    assert_each_file_is_ready_once(Store.open(url), root)
