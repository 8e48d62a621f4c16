"""Latency of a seal: part file synced, segment put and synced, ledger entry put and synced, part file deleted.

Seals of one frame each are timed in a new lane, and again after 100,000 entries in that lane. The entries between are
sealed by the same code with `os.fsync` switched off, since only their number matters.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from unittest.mock import patch

from benchmarks.inputs import match_frames
from benchmarks.report import Figure, judge
from benchmarks.timing import percentile

SEALS, QUICK_SEALS = 100_000, 2_000
TIMED = 300
BUDGET_S = 0.020
LANE = "bench"


def _frames() -> Iterator[tuple[int, bytes]]:
    start = 0
    while True:
        for at, frame in match_frames(10_000, seed=start):
            yield int(at.timestamp() * 1e6) * 1_000, frame
        start += 1


def _timed_seals(folder: Path, frames: Iterator[tuple[int, bytes]], describe: object) -> tuple[list[float], float]:
    """Seconds of each seal, and of opening the lane."""
    from tidelake.raw.lane import LaneWriter
    from tidelake.raw.store import Store

    started = time.perf_counter()
    writer = LaneWriter(Store.open(folder), LANE, "coinbase", describe=describe)  # type: ignore[arg-type]
    opened = time.perf_counter() - started
    taken = []
    for recv_ns, frame in islice(frames, TIMED):
        writer.append(payload=frame, kind="frame", recv_ns=recv_ns)
        started = time.perf_counter()
        writer.seal()
        taken.append(time.perf_counter() - started)
    return taken, opened


def _fill(folder: Path, frames: Iterator[tuple[int, bytes]], count: int) -> None:
    from tidelake.jobs.imports import no_claims
    from tidelake.raw.frame import Frame, encode_line
    from tidelake.raw.lane import seal_lines
    from tidelake.raw.ledger import Ledger, head_after
    from tidelake.raw.store import Store

    store = Store.open(folder)
    head = Ledger(store).head(LANE)
    with patch.object(os, "fsync", lambda _: None):
        for recv_ns, frame in islice(frames, count - head.seq - 1):
            line = encode_line(Frame(head.next_n, recv_ns, 0, "frame", frame))
            head = head_after(seal_lines(store, LANE, "coinbase", line, describe=no_claims, head=head))


def _parts(folder: Path, frames: Iterator[tuple[int, bytes]]) -> dict[str, float]:
    """Median seconds of one sync of a small file here, and of finding the claims of one frame."""
    from tidelake.raw.frame import Frame, encode_line
    from tidelake.tables.describe import describe_for

    describe = describe_for("coinbase")
    recv_ns, frame = next(frames)
    line = encode_line(Frame(0, recv_ns, 0, "frame", frame))
    path = folder / "sync-probe"

    def sync() -> None:
        with path.open("wb", buffering=0) as file:
            file.write(line)
            os.fsync(file.fileno())

    found = {"one_fsync_s": _median(sync), "claims_s": _median(lambda: describe(line, {}))}
    path.unlink()
    return found


def _median(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(50):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return percentile(taken, 50)


def run(work: Path, *, quick: bool) -> list[Figure]:
    from tidelake.tables.describe import describe_for

    count = QUICK_SEALS if quick else SEALS
    folder = work / "seal-lake"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    frames = _frames()
    describe = describe_for("coinbase")
    first, _ = _timed_seals(folder, frames, describe)
    _fill(folder, frames, count)
    later, opened = _timed_seals(folder, frames, describe)
    parts = _parts(folder, frames)
    shutil.rmtree(folder)
    figures = []
    for when, taken in (("in a new lane", first), (f"after {count:,} seals", later)):
        p50, p99 = percentile(taken, 50) * 1e3, percentile(taken, 99) * 1e3
        details = {"p50_ms": p50, "p99_ms": p99, "max_ms": max(taken) * 1e3, "open_lane_ms": opened * 1e3, **parts}
        figures.append(
            Figure(
                "seal", f"seal with fsync, {when}, p99", p99, "ms", budget=f"{BUDGET_S * 1e3:.0f} ms",
                verdict=judge(p99 <= BUDGET_S * 1e3), inputs=f"{TIMED} seals of one Coinbase match frame each",
                note=f"p50 {p50:.1f} ms; of it claims {parts['claims_s'] * 1e3:.1f} ms; one fsync of a small file "
                f"here takes {parts['one_fsync_s'] * 1e3:.1f} ms; opening the full lane {opened * 1e3:.1f} ms",
                details=details,
            )
        )  # fmt: skip
    return figures
