"""Kill -9 between the puts of a vendor's file, and two that seal the same files: one entry per file."""

import signal

import pytest

from tests.crash.sealers import seal_files
from tests.processes import CONTEXT, process, run, run_at_once
from tests.raw.files import parquet_file, sealed_names
from tidelake.raw.crash_points import CRASH_VARIABLE
from tidelake.raw.sealed_files import FILE_POINTS
from tidelake.raw.store import Store
from tidelake.raw.verify import verify


@pytest.fixture(params=["disk", "s3"])
def url(request, tmp_path):
    return str(tmp_path / "lake") if request.param == "disk" else request.getfixturevalue("s3_lake_url")


@pytest.fixture
def paths(tmp_path):
    return [str(parquet_file(tmp_path / "files", number)) for number in range(3)]


@pytest.mark.parametrize("point", FILE_POINTS)
def test_killed_between_the_puts_and_run_again_each_file_has_one_entry(url, paths, monkeypatch, point):
    monkeypatch.setenv(CRASH_VARIABLE, f"{point}:2")
    assert run(seal_files, url, paths) == -signal.SIGKILL
    monkeypatch.delenv(CRASH_VARIABLE)
    store = Store.open(url)
    assert len(sealed_names(store)) == (2 if point == "after-ledger-put" else 1)
    seal_files(url, paths)
    assert sealed_names(store) == ["day/0.parquet", "day/1.parquet", "day/2.parquet"]
    assert verify(store).problems == []


def test_two_that_seal_the_same_files_at_once_leave_one_entry_each(url, paths):
    both_open = CONTEXT.Barrier(2)
    assert run_at_once(*(process(seal_files, url, order, both_open) for order in (paths, paths[::-1]))) == [0, 0]
    store = Store.open(url)
    assert sorted(sealed_names(store)) == ["day/0.parquet", "day/1.parquet", "day/2.parquet"]
    assert verify(store).problems == []
