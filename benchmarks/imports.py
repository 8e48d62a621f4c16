"""Import of a large recording with its claims: MB/s, and the peak memory of the process that does it.

The process is spawned for it alone; its peak is what the system reports at its end (`ru_maxrss`).
"""

import multiprocessing
import resource
import shutil
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.inputs import RECORDED, matches
from benchmarks.multiply import write_multiplied
from benchmarks.report import Figure, judge

BYTES, QUICK_BYTES = 2_000_000_000, 200_000_000
PEAK_MB = 600


def _import(recording: Path, lake: Path, answer: Connection) -> None:
    from tidelake.jobs.imports import import_recordings
    from tidelake.raw.store import Store

    started = time.perf_counter()
    report = import_recordings(Store.open(lake), [recording], format="cryptofeed", source="coinbase")
    seconds = time.perf_counter() - started
    scale = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    answer.send((seconds, peak, report.files[0].lines, report.files[0].segments))


def measure(recording: Path, lake: Path) -> tuple[float, int, int, int]:
    """Seconds, peak bytes, lines and segments of an import in a fresh process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_import, args=(recording, lake, theirs))
    child.start()
    theirs.close()
    try:
        found: tuple[float, int, int, int] = ours.recv()
    finally:
        child.join()
    return found


def _recording(work: Path, size: int) -> tuple[Path, str]:
    if not RECORDED.is_file():
        made = matches(work, size // 330)
        return made.recording, made.label
    path = work / f"frames-{size}.0"
    if not path.exists():
        half = path.with_suffix(".half")
        write_multiplied(RECORDED, half, size)
        half.rename(path)
    return path, "recorded Coinbase frames of all channels, multiplied: ids and times shifted, prices and sizes repeat"


def run(work: Path, *, quick: bool) -> list[Figure]:
    recording, label = _recording(work, QUICK_BYTES if quick else BYTES)
    lake = work / "import-lake"
    shutil.rmtree(lake, ignore_errors=True)
    size = recording.stat().st_size
    seconds, peak, lines, segments = measure(recording, lake)
    stored = sum(path.stat().st_size for path in (lake / "raw").rglob("*.zst"))
    shutil.rmtree(lake)
    inputs = f"{size / 1e9:.2f} GB, {lines:,} lines; {label}"
    details = {"bytes": size, "lines": lines, "segments": segments, "seconds": seconds, "peak_bytes": peak,
               "stored_bytes": stored}  # fmt: skip
    return [
        Figure("imports", "import of a recording, with claims and fsync", size / seconds / 1e6, "MB/s",
               inputs=inputs, note=f"{lines / seconds:,.0f} frames/s, one process", details=details),
        Figure("imports", "peak memory of the import", peak / 1e6, "MB", budget=f"{PEAK_MB} MB",
               verdict=judge(peak / 1e6 <= PEAK_MB), inputs=inputs, details=details),
    ]  # fmt: skip
