"""Killed around the commits of positions and run again, derive ends with what an undisturbed run gives."""

import shutil
import signal

import pytest

from tests.crash.derivers import derive_positions
from tests.lending.test_position_rows import a_lake, derive, quarantined, rows
from tests.processes import run
from tidelake.raw.store import Store
from tidelake.tables.lending_positions import LENDING_POSITIONS
from tidelake.tables.read import stored


@pytest.mark.parametrize("point", ["before-table-commit", "data-files-written", "after-table-commit"])
def test_killed_and_resumed_the_rows_are_those_of_an_undisturbed_run(tmp_path, monkeypatch, point):
    store = Store.open(tmp_path / "lake")
    a_lake(store, 7)
    undisturbed = Store.open(shutil.copytree(tmp_path / "lake", tmp_path / "undisturbed"))
    derive(undisturbed)
    for hit in (1, 3, 4):
        monkeypatch.setenv("TIDELAKE_CRASH", f"{point}:{hit}")
        assert run(derive_positions, str(tmp_path / "lake"), 2) == -signal.SIGKILL
    monkeypatch.delenv("TIDELAKE_CRASH")
    derive(store)
    assert rows(store, retracted=True) == rows(undisturbed, retracted=True)
    assert sorted(quarantined(store)) == sorted(quarantined(undisturbed))
    assert stored(store, LENDING_POSITIONS).select("segment", "line", "item").collect().is_unique().all()
