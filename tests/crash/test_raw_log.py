"""Kill -9 at every named point, and writers that race: nothing that was received is lost or doubled."""

import base64
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests import processes
from tests.crash.children import append_and_seal, race
from tests.raw.lanes import LANE, append, frames, ids, part_files, seal_each, writer
from tests.sampling import one_in
from tidelake.errors import LaneMoved
from tidelake.raw.codec import KEY_VARIABLE, key_from_environment
from tidelake.raw.crash_points import CRASH_VARIABLE, RAW_POINTS
from tidelake.raw.ledger import Ledger
from tidelake.raw.store import Store
from tidelake.raw.verify import verify

TRADES = 12
PER_SEAL = 4


def run(url: str, receipts: Path, numbers: list[int]) -> int | None:
    return processes.run(append_and_seal, url, str(receipts), numbers, PER_SEAL)


def received(receipts: Path) -> list[int]:
    return [int(line) for line in receipts.read_text().split()] if receipts.exists() else []


def assert_equal_to_an_undisturbed_run(store: Store, tmp_path: Path) -> None:
    undisturbed = Store.open(tmp_path / "undisturbed")
    append_and_seal(undisturbed.url, str(tmp_path / "undisturbed.receipts"), list(range(TRADES)), PER_SEAL)
    key = key_from_environment()
    assert frames(store, key=key) == frames(undisturbed, key=key)
    assert verify(store).problems == []
    assert part_files(store) == []


def kill_and_resume(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, nth: int) -> Store:
    """Run until killed at the point, then resume with what the lane does not hold."""
    receipts = tmp_path / "receipts"
    monkeypatch.setenv(CRASH_VARIABLE, f"{point}:{nth}")
    assert run(url, receipts, list(range(TRADES))) == -signal.SIGKILL
    monkeypatch.delenv(CRASH_VARIABLE)
    store, key = Store.open(url), key_from_environment()
    writer(store, key=key).close()  # the recovery alone
    held = ids(store, key=key)
    before = received(receipts)
    assert held[: len(before)] == before
    # A frame may be kept although the process was killed before `append` could return; it is in there once.
    assert held == list(range(len(held)))
    assert len(held) - len(before) in (0, 1)
    append_and_seal(url, str(receipts), list(range(len(held), TRADES)), PER_SEAL)
    return store


@pytest.mark.parametrize("nth", one_in(2, [1, 3]))
@pytest.mark.parametrize("point", RAW_POINTS)
def test_killed_at_each_point_and_resumed_equals_an_undisturbed_run(tmp_path, monkeypatch, point, nth):
    store = kill_and_resume(str(tmp_path / "lake"), tmp_path, monkeypatch, point, nth)
    assert_equal_to_an_undisturbed_run(store, tmp_path)


@pytest.mark.parametrize("point", RAW_POINTS)
def test_killed_at_each_point_with_a_key_no_payload_shows_on_the_disk(tmp_path, monkeypatch, point):
    monkeypatch.setenv(KEY_VARIABLE, base64.b64encode(bytes(range(32))).decode())
    lake = tmp_path / "lake"
    monkeypatch.setenv(CRASH_VARIABLE, f"{point}:2")
    assert run(str(lake), tmp_path / "first", list(range(TRADES))) == -signal.SIGKILL
    monkeypatch.delenv(CRASH_VARIABLE)
    assert shown(lake) == []
    shutil.rmtree(lake)
    store = kill_and_resume(str(lake), tmp_path, monkeypatch, point, 2)
    assert_equal_to_an_undisturbed_run(store, tmp_path)
    assert shown(lake) == []
    monkeypatch.delenv(KEY_VARIABLE)
    assert run(str(tmp_path / "plain"), tmp_path / "second", [0]) == 0
    assert shown(tmp_path / "plain") != []  # so it can find what it looks for


def shown(lake: Path) -> list[Path]:
    """Files that hold a payload as plain text."""
    return [path for path in lake.rglob("*") if path.is_file() and b'{"id":' in path.read_bytes()]


@pytest.mark.parametrize("point", RAW_POINTS)
def test_killed_at_each_point_on_s3_and_resumed_equals_an_undisturbed_run(s3_lake_url, tmp_path, monkeypatch, point):
    monkeypatch.setenv("TIDELAKE_SPOOL", str(tmp_path / "spool"))
    store = kill_and_resume(s3_lake_url, tmp_path, monkeypatch, point, 2)
    assert_equal_to_an_undisturbed_run(store, tmp_path)


@pytest.mark.parametrize("recovery_point", ["segment-put", "before-ledger-put", "after-ledger-put"])
@pytest.mark.parametrize("point", ["frame-written", "segment-put", "after-ledger-put"])
def test_recovery_that_is_killed_itself_is_resumed(tmp_path, monkeypatch, point, recovery_point):
    url, receipts = str(tmp_path / "lake"), tmp_path / "receipts"
    monkeypatch.setenv(CRASH_VARIABLE, f"{point}:2")
    assert run(url, receipts, list(range(TRADES))) == -signal.SIGKILL
    monkeypatch.setenv(CRASH_VARIABLE, recovery_point)
    run(url, receipts, [])  # has nothing to seal, and so is not killed, where the part was sealed already
    monkeypatch.delenv(CRASH_VARIABLE)
    store = Store.open(url)
    writer(store).close()
    append_and_seal(url, str(receipts), list(range(len(ids(store)), TRADES)), PER_SEAL)
    assert_equal_to_an_undisturbed_run(store, tmp_path)


@pytest.mark.slow
def test_killed_at_random_moments_nothing_is_lost_or_doubled(tmp_path):
    url, receipts, rng = str(tmp_path / "lake"), tmp_path / "receipts", random.Random(11)
    store = Store.open(url)
    for _ in range(8):
        writer(store).close()
        begun = len(ids(store))
        child = processes.process(append_and_seal, url, str(receipts), list(range(begun, 10**6)), 7)
        child.start()
        deadline = time.monotonic() + processes.PATIENT_SECONDS
        while len(received(receipts)) <= begun + 20 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(rng.random() * 0.05)
        child.kill()
        child.join()
    writer(store).close()
    held, noted = ids(store), received(receipts)
    assert held == list(range(len(held)))
    assert len(noted) > 100
    assert set(noted) <= set(held)
    assert [frame.n for frame in frames(store)] == held
    assert verify(store).problems == []


def start_race(url: str, tmp_path: Path, on_conflict: str, count: int) -> list[str]:
    both_open, answer = processes.CONTEXT.Barrier(2), str(tmp_path / "answer")
    children = [processes.process(race, url, first, count, both_open, answer, on_conflict) for first in (0, 1000)]
    assert processes.run_at_once(*children) == [0, 0]
    return [(tmp_path / f"answer.{first}").read_text() for first in (0, 1000)]


@pytest.mark.parametrize("where", ["disk", "s3"])
def test_two_processes_racing_on_one_lane_lose_and_double_nothing(request, tmp_path, monkeypatch, where):
    monkeypatch.setenv("TIDELAKE_SPOOL", str(tmp_path / "spool"))
    url = str(tmp_path / "lake") if where == "disk" else request.getfixturevalue("s3_lake_url")
    count = 100 if where == "disk" else 30
    answers = start_race(url, tmp_path, "append", count)
    store = Store.open(url)
    assert sorted(ids(store)) == [*range(count), *range(1000, 1000 + count)]
    for first in (0, 1000):
        assert [number for number in ids(store) if number // 1000 * 1000 == first] == [*range(first, first + count)]
    assert [frame.n for frame in frames(store)] == list(range(2 * count))
    assert [entry.seq for entry in Ledger(store).entries(LANE)] == list(range(2 * count))
    assert all(answer.split()[1] == str(count) for answer in answers)
    assert "contended" in " ".join(answers)  # else they did not meet, and the test shows nothing
    assert verify(store).problems == []


@pytest.mark.parametrize("where", ["disk", "s3"])
def test_of_two_processes_that_must_not_mix_one_wins_and_the_other_says_so(request, tmp_path, monkeypatch, where):
    monkeypatch.setenv("TIDELAKE_SPOOL", str(tmp_path / "spool"))
    url = str(tmp_path / "lake") if where == "disk" else request.getfixturevalue("s3_lake_url")
    count = 100 if where == "disk" else 30
    answers = start_race(url, tmp_path, "stop", count)
    store = Store.open(url)
    assert sorted(answer.split()[0] for answer in answers) == ["clean", "moved"]
    sealed = {first: int(answer.split()[1]) for first, answer in zip((0, 1000), answers, strict=True)}
    assert sorted(ids(store)) == sorted(n for first, done in sealed.items() for n in range(first, first + done))
    assert max(sealed.values()) == count
    assert verify(store).problems == []


def test_stale_writer_that_resumes_after_the_winner_appends_or_stops(tmp_path):
    store = Store.open(tmp_path)
    stale, strict = writer(store), writer(store, on_conflict="stop")
    append(stale, 100)
    append(strict, 200)
    seal_each(store, 20)
    with pytest.raises(LaneMoved):
        strict.seal()
    stale.close()
    assert ids(store) == [*range(60), 100]
    assert stale.contended
    assert verify(store).problems == []
