"""Simulated sessions as lanes of a lake: in one lane, pages apart, or handed over from one lane to the next."""

import random

from tests.tables.lakes import Lane, Received, seal_lane
from tidelake.raw.entry import Entry
from tidelake.raw.store import Store
from tidelake.sim.books.session import session

SHAPES = ("whole", "pages apart", "handed over", "a minute apart")


def lanes_of(source: str, seed: int, fault: str, shape: str) -> list[Lane]:
    """The lanes of a session; a lane's frames are still to be cut into entries."""
    heard = session(source, seed, fault)
    frames = [Received(line.recv_ns, line.payload, line.kind, line.request, line.symbol) for line in heard.lines]
    name = f"capture.{source}"
    if shape == "pages apart":
        pages = [frame for frame in frames if frame.kind == "page"]
        rest = [frame for frame in frames if frame.kind != "page"]
        return [Lane(f"{name}.{n}", source, tuple(some), 1) for n, some in (("ws", rest), ("http", pages)) if some]
    if shape == "whole":
        return [Lane(f"{name}.a", source, tuple(frames), 1)]
    cut = random.Random(seed).randrange(len(frames) // 4, 3 * len(frames) // 4)
    later = 0 if shape == "handed over" else 61 * 10**9
    second = [Received(f.recv_ns + later, f.payload, f.kind, f.request, f.symbol) for f in frames[cut:]]
    return [Lane(f"{name}.a", source, tuple(frames[:cut]), 1), Lane(f"{name}.b", source, tuple(second), 1)]


class Growing:
    """Lanes that grow by a few entries at a time, in a seeded order."""

    def __init__(self, lanes: list[Lane], seed: int) -> None:
        self.rest = {lane.name: lane for lane in lanes}
        self.chance = random.Random(seed)

    def grow(self, store: Store) -> list[Entry]:
        """Seals the next entries; none where all are sealed."""
        if not self.rest:
            return []
        lane = self.rest.pop(self.chance.choice(sorted(self.rest)))
        size = min(self.chance.choice((1, 3, 10, 40)), len(lane.frames))
        if lane.frames[size:]:
            self.rest[lane.name] = Lane(lane.name, lane.source, lane.frames[size:], 1)
        per_entry = self.chance.randrange(1, size + 1)
        return seal_lane(store, Lane(lane.name, lane.source, lane.frames[:size], per_entry))
