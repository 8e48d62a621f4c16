"""Places where a test may kill the process, to prove that a resume loses and doubles nothing."""

import os
import signal

CRASH_VARIABLE = "TIDELAKE_CRASH"

RAW_POINTS = (
    "frame-written",
    "part-synced",
    "segment-put",
    "before-ledger-put",
    "after-ledger-put",
    "part-deleted",
)

_reached: dict[str, int] = {}


def reach(name: str) -> None:
    """Kill the own process with SIGKILL where TIDELAKE_CRASH is "name" or "name:k" (the k-th time); else nothing."""
    wanted = os.environ.get(CRASH_VARIABLE)
    if not wanted:
        return
    point, _, nth = wanted.partition(":")
    if point != name:
        return
    _reached[name] = _reached.get(name, 0) + 1
    if _reached[name] == int(nth or 1):
        os.kill(os.getpid(), signal.SIGKILL)
