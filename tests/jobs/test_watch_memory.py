"""Memory of a watch over hours: what it holds depends on what is not final yet, not on how long it runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("long_watch.py")
MOST_MORE_STATE = 1.35  # of the machines, by which it may differ from one moment to another


def watched(folder, hours, commit_s):
    """What the process of a long watch says of its memory, for each eighth of the hours."""
    told = folder / "told.jsonl"
    with told.open("wb") as file:
        subprocess.run([sys.executable, SCRIPT, "tell", str(hours)], stdout=file, check=True)
    with told.open("rb") as file:
        command = [sys.executable, SCRIPT, folder / "lake", str(hours), str(commit_s)]
        done = subprocess.run(command, stdin=file, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)["parts"]
    assert len(found) == 8
    return found


def test_machines_of_an_hour_hold_no_more_than_those_of_half_of_it_and_memory_is_bounded(tmp_path):
    parts = watched(tmp_path, 1.0, 300.0)
    held = [part["state_bytes"] for part in parts]
    assert max(held[4:]) < MOST_MORE_STATE * held[3]
    assert parts[7]["resident_mb"] < parts[3]["resident_mb"] + 32
    assert parts[7]["resident_mb"] < 320


@pytest.mark.soak
def test_memory_of_a_day_does_not_grow_over_its_second_half(tmp_path):
    parts = watched(tmp_path, 24.0, 60.0)
    held = [part["state_bytes"] for part in parts]
    assert max(held[1:]) < MOST_MORE_STATE * held[0]
    resident = [part["resident_mb"] for part in parts]
    assert resident[7] < resident[4] + 24, resident  # native memory of the tables' writer settles by then
    assert max(resident) < 400, resident
