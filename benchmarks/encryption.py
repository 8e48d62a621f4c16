"""What a key costs a lane: frames appended in batches and sealed, encrypted and plain, by processor time.

Appending writes the part file, sealing reads it back, finds the claims, and compresses and commits the segment.
"""

import shutil
import time
from pathlib import Path

from benchmarks.inputs import match_frames
from benchmarks.report import Figure

FRAMES, QUICK_FRAMES = 50_000, 5_000
BATCH = 200  # what 20,000 frames/s bring in the 10 ms between two writes
ROUNDS = 5
KEY = bytes(range(32))
WORKS = ("append", "seal")


def _processor_seconds(folder: Path, heard: list[tuple[int, int, str, bytes]], key: bytes | None) -> dict[str, float]:
    from tidelake.raw.lane import LaneWriter
    from tidelake.raw.store import Store
    from tidelake.tables.describe import describe_for

    writer = LaneWriter(Store.open(folder), "bench", "coinbase", describe=describe_for("coinbase"), key=key)
    started = time.process_time()
    for at in range(0, len(heard), BATCH):
        writer.append_heard(heard[at : at + BATCH], "wss://bench")  # type: ignore[arg-type]
    appended, length = time.process_time(), writer.part_bytes
    writer.seal()
    found = {"append": appended - started, "seal": time.process_time() - appended, "part_bytes": float(length)}
    shutil.rmtree(folder)
    return found


def run(work: Path, *, quick: bool) -> list[Figure]:
    count = QUICK_FRAMES if quick else FRAMES
    heard = [(time.time_ns() + n, n, "frame", frame) for n, (_, frame) in enumerate(match_frames(count, seed=1))]
    best: dict[tuple[str, bool], float] = {}
    for _ in range(ROUNDS):
        for key in (None, KEY):
            for name, taken in _processor_seconds(work / "encryption-lake", heard, key).items():
                place = name, key is not None
                best[place] = min(best.get(place, taken), taken)
    figures = []
    for name in WORKS:
        plain, keyed = best[name, False], best[name, True]
        figures.append(
            Figure(
                "encryption", f"{name} with a key", count / keyed, "frames/s", peer="without a key",
                peer_measured=count / plain, ratio=keyed / plain,
                inputs=f"{count:,} Coinbase match frames of {sum(len(h[3]) for h in heard) / count:.0f} bytes, "
                f"{BATCH} at a time",
                note=f"processor time of this process, best of {ROUNDS}: {keyed / count * 1e6:.1f} µs a frame to "
                f"{plain / count * 1e6:.1f}; the part file is "
                f"{best['part_bytes', True] / best['part_bytes', False]:.2f} times as long",
            )
        )  # fmt: skip
    return figures
