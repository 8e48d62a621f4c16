"""Killed at any named point from frame to table, and resumed, a stream ends in the rows of an undisturbed run."""

import random
import signal
from collections.abc import Callable

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.crash.whole_path import FRAMES, LANE, append_next, keep_and_derive, open_lane, race
from tests.processes import CONTEXT, process, run, run_at_once
from tests.tables.lakes import standing_rows
from tidelake.errors import LaneMoved
from tidelake.raw.crash_points import CRASH_VARIABLE, RAW_POINTS
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.raw.verify import verify
from tidelake.tables.derive import derive_table
from tidelake.tables.read import stored
from tidelake.tables.trades import TRADES

POINTS = (*RAW_POINTS, "before-table-commit", "data-files-written", "after-table-commit")
PLACE = ("segment", "line", "item")  # where a kill cuts a part file, segments end elsewhere


def result(store: Store) -> tuple[pl.DataFrame, list[tuple[str, int]]]:
    filed = pl.read_delta(store.table_uri("quarantine"), storage_options=store.storage_options())
    rejected = filed.select("reason", "recv_ns").rows()
    return standing_rows(store).drop(PLACE), rejected


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    url = str(tmp_path_factory.mktemp("undisturbed") / "lake")
    assert run(keep_and_derive, url) == 0
    rows, rejected = result(Store.open(url))
    assert rows.height == FRAMES // 2
    assert len(rejected) == 1
    return Store.open(url)


@pytest.fixture(params=["disk", "s3"])
def place(request, tmp_path, monkeypatch) -> Callable[[int], str]:
    """Addresses of new lakes by number."""
    if request.param == "disk":
        return lambda n: str(tmp_path / str(n))
    monkeypatch.setenv("TIDELAKE_SPOOL", str(tmp_path / "spool"))
    url = request.getfixturevalue("s3_lake_url")
    return lambda n: f"{url}/{n}"


def assert_equal_lakes(store: Store, undisturbed: Store) -> None:
    kept = [f for entry in Ledger(store).entries(LANE) for f in iter_frames(store, entry.segment)]
    assert [f.n for f in kept] == list(range(FRAMES))
    assert [f.mono_ns for f in kept] == list(range(FRAMES)), "no frame is lost, none is doubled"
    assert_equal_tables(store, undisturbed)


def assert_equal_tables(store: Store, undisturbed: Store) -> None:
    assert_frame_equal(result(store)[0], result(undisturbed)[0])
    assert result(store)[1] == result(undisturbed)[1]
    assert stored(store, TRADES).select(PLACE).collect().is_unique().all()
    assert {problem.kind for problem in verify(store).problems} <= {"unnamed-object"}


def kill_and_resume(undisturbed: Store, url: str, rng: random.Random, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Kills once or twice, resumes, compares; whether a kill came."""
    killed = False
    for _ in range(rng.randint(1, 2)):
        monkeypatch.setenv(CRASH_VARIABLE, f"{rng.choice(POINTS)}:{rng.randint(1, 6)}")
        killed |= run(keep_and_derive, url) == -signal.SIGKILL
    monkeypatch.delenv(CRASH_VARIABLE)
    assert run(keep_and_derive, url) == 0
    assert_equal_lakes(Store.open(url), undisturbed)
    return killed


def test_killed_anywhere_and_resumed_equals_an_undisturbed_run(undisturbed, place, monkeypatch):
    rng = random.Random(11)
    killed = sum(kill_and_resume(undisturbed, place(n), rng, monkeypatch) for n in range(3))
    assert killed >= 2


@pytest.mark.soak
def test_two_hundred_kills_anywhere_end_equal(undisturbed, place, monkeypatch):
    rng = random.Random(12)
    killed = sum(kill_and_resume(undisturbed, place(n), rng, monkeypatch) for n in range(200))
    assert killed >= 150


def test_of_two_processes_on_one_stream_one_wins_and_the_other_says_so(undisturbed, place, tmp_path):
    url, all_open = place(0), CONTEXT.Barrier(2)
    answers = [tmp_path / "answer.0", tmp_path / "answer.1"]
    assert run_at_once(*(process(race, url, all_open, str(answer)) for answer in answers)) == [0, 0]
    assert sorted(answer.read_text() for answer in answers) == ["moved", "won"]
    assert_equal_lakes(Store.open(url), undisturbed)


def test_stale_writer_that_must_not_mix_resumes_after_the_winner_and_stops(undisturbed, place):
    store = Store.open(place(0))
    stale = open_lane(store, "stop")
    for _ in range(3):
        append_next(stale)
    keep_and_derive(store.url)
    with pytest.raises(LaneMoved):
        stale.seal()
    stale.close()
    keep_and_derive(store.url)
    assert_equal_lakes(store, undisturbed)


def test_stale_writer_that_appends_after_the_winner_changes_no_table(undisturbed, place):
    store = Store.open(place(0))
    stale = open_lane(store)
    for _ in range(3):
        append_next(stale)
    keep_and_derive(store.url)
    stale.close()
    derive_table(store, TRADES)
    lines = [f.mono_ns for entry in Ledger(store).entries(LANE) for f in iter_frames(store, entry.segment)]
    assert lines == [*range(FRAMES), 0, 1, 2]
    assert_equal_tables(store, undisturbed)


@pytest.mark.parametrize("every", [2, 3, 5])
def test_commits_whose_answers_were_lost_on_s3_are_not_made_twice(
    undisturbed, s3_lake_url, tmp_path, monkeypatch, lose_answers, every
):
    monkeypatch.setenv("TIDELAKE_SPOOL", str(tmp_path / "spool"))
    lose_answers(every)
    keep_and_derive(s3_lake_url)
    lose_answers(0)
    assert_equal_lakes(Store.open(s3_lake_url), undisturbed)
