"""Killed at any named point from frame to table, and resumed, a stream ends in the rows of an undisturbed run."""

import multiprocessing
import random
import signal

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.crash.whole_path import FRAMES, LANE, keep_and_derive
from tests.tables.lakes import standing_rows
from tidelake.raw.crash_points import CRASH_VARIABLE, RAW_POINTS
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.raw.verify import verify
from tidelake.tables.read import stored
from tidelake.tables.trades import TRADES

SPAWN = multiprocessing.get_context("spawn")
POINTS = (*RAW_POINTS, "before-table-commit", "after-table-commit")
PLACE = ("segment", "line", "item")  # where a kill cuts a part file, segments end elsewhere


def run(url: str) -> int | None:
    child = SPAWN.Process(target=keep_and_derive, args=(url,))
    child.start()
    child.join(120)
    return child.exitcode


def result(store: Store) -> tuple[pl.DataFrame, list[tuple[str, int]]]:
    rejected = pl.read_delta(store.table_uri("quarantine")).select("reason", "recv_ns").rows()
    return standing_rows(store).drop(PLACE), rejected


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    url = str(tmp_path_factory.mktemp("undisturbed") / "lake")
    assert run(url) == 0
    rows, rejected = result(Store.open(url))
    assert rows.height == FRAMES // 2
    assert len(rejected) == 1
    return Store.open(url)


def kill_and_resume(undisturbed: Store, url: str, rng: random.Random, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Kills once or twice, resumes, compares; whether a kill came."""
    killed = False
    for _ in range(rng.randint(1, 2)):
        monkeypatch.setenv(CRASH_VARIABLE, f"{rng.choice(POINTS)}:{rng.randint(1, 6)}")
        killed |= run(url) == -signal.SIGKILL
    monkeypatch.delenv(CRASH_VARIABLE)
    assert run(url) == 0
    store = Store.open(url)
    kept = [f for entry in Ledger(store).entries(LANE) for f in iter_frames(store, entry.segment)]
    assert [f.n for f in kept] == list(range(FRAMES))
    assert [f.mono_ns for f in kept] == list(range(FRAMES)), "no frame is lost, none is doubled"
    assert_frame_equal(result(store)[0], result(undisturbed)[0])
    assert result(store)[1] == result(undisturbed)[1]
    assert stored(store, TRADES).select(PLACE).collect().is_unique().all()
    assert {problem.kind for problem in verify(store).problems} <= {"unnamed-object"}
    return killed


def test_killed_anywhere_and_resumed_equals_an_undisturbed_run(undisturbed, tmp_path, monkeypatch):
    rng = random.Random(11)
    killed = sum(kill_and_resume(undisturbed, str(tmp_path / str(n)), rng, monkeypatch) for n in range(5))
    assert killed >= 3


@pytest.mark.soak
def test_two_hundred_kills_anywhere_end_equal(undisturbed, tmp_path, monkeypatch):
    rng = random.Random(12)
    killed = sum(kill_and_resume(undisturbed, str(tmp_path / str(n)), rng, monkeypatch) for n in range(200))
    assert killed >= 150
