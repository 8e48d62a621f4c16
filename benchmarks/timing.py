"""Times of work that share a noisy machine: interleaved, best of several, wall clock and processor time."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Taken:
    """Seconds of one run: on the wall, and of all processors of this process."""

    wall: float
    cpu: float


def take(work: Callable[[], object]) -> Taken:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Taken(time.perf_counter() - wall, time.process_time() - cpu)


def interleaved(works: Mapping[str, Callable[[], object]], rounds: int = 3) -> dict[str, Taken]:
    """The best of `rounds` of each; the works take turns, so that a loud neighbour meets all of them."""
    runs: dict[str, list[Taken]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            runs[name].append(take(work))
    return {name: Taken(min(t.wall for t in ts), min(t.cpu for t in ts)) for name, ts in runs.items()}


def percentile(seconds: Sequence[float], percent: float) -> float:
    """The smallest time that at least `percent` of the times do not exceed."""
    ordered = sorted(seconds)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]
