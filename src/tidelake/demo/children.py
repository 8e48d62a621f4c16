"""Runs `tidelake` as a process of its own, so that it can be killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tidelake.raw.crash_points import CRASH_VARIABLE
from tidelake.raw.store import Store


def spawn(lake: Path, *args: str, crash: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a command on a lake; with `crash` it kills itself (SIGKILL) when it reaches that point."""
    environment = {name: value for name, value in os.environ.items() if name != CRASH_VARIABLE}
    if crash:
        environment[CRASH_VARIABLE] = crash
    command = [sys.executable, "-m", "tidelake", "--lake", str(lake), "-q", "--format", "json", *args]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def was_killed(child: "subprocess.CompletedProcess[str]") -> bool:
    """Whether it died by SIGKILL."""
    return child.returncode == -signal.SIGKILL


def on_disk(store: Store, lane: str) -> dict[str, int]:
    """What the raw log has of a lane: lines not sealed yet, segments, and ledger entries that name them."""
    parts = store.spool().glob(f"{lane}.*.part")
    return {
        "unsealed_lines": sum(path.read_bytes().count(b"\n") - 1 for path in parts),  # the first line is a header
        "segments": sum(f"/{lane}/" in key for key in store.list("raw")),
        "ledger_entries": sum(1 for _ in store.list(f"ledger/{lane}/")),
    }
