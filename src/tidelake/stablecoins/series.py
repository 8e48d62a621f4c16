"""Facts of one coin, chain, feature and source, by event time; the last known version of each."""

from bisect import bisect_left

import msgspec

from tidelake.stablecoins.observation import Observation

UNCHANGED = -1
MOVED = -2


class Told(msgspec.Struct, array_like=True, gc=False):
    """The last word on an id: when it was known, the fact's time, and whether it stands.

    A fact that was taken back keeps its value, None where it has not come yet, so that it can stand again.
    """

    known_us: int
    event_us: int
    stands: bool
    value: int | float | None = None
    block: int = -1


class Series(msgspec.Struct):
    """Standing facts in the order (event time, id), whatever the order in which they came.

    Attributes:
        quote: What its prices are counted in.
        times, ids, values, blocks: Side by side; a block is -1 where the fact is of none.
        told: Of every id that may still come again.
    """

    quote: str = ""
    times: list[int] = []
    ids: list[str] = []
    values: list[int | float] = []
    blocks: list[int] = []
    told: dict[str, Told] = {}

    def put(self, seen: Observation, value: float) -> int:
        """Take a fact; returns its time where anything changed, `UNCHANGED`, or `MOVED` where its id has another time.

        Of two tellings of an id the one known later counts; known together, the greater value. What was taken back
        does not stand again by being told again, for a copy may come late: `restore` says so.
        """
        event_us, fact_id = seen.event_us, seen.id
        before = self.told.get(fact_id)
        if before is None:
            self.told[fact_id] = Told(seen.known_us, event_us, True, None, seen.block_number)
            self._insert(event_us, fact_id, value, seen.block_number)
            return event_us
        if not before.stands:
            before.event_us, before.value, before.block = event_us, value, seen.block_number
            return UNCHANGED
        if before.event_us != event_us:
            return MOVED
        place = self._place(event_us, fact_id)
        old = self.values[place]
        if old == value or (seen.known_us, value) < (before.known_us, old):
            before.known_us = max(before.known_us, seen.known_us)
            return UNCHANGED
        before.known_us, self.values[place] = seen.known_us, value
        return event_us

    def take_back(self, fact_id: str, known_us: int, clock_us: int) -> int:
        """Retract a fact, also one that has not come yet; returns its time where it stood, else `UNCHANGED`.

        Args:
            clock_us: The time by which a fact that has not come yet will be forgotten.
        """
        before = self.told.get(fact_id)
        if before is None:
            self.told[fact_id] = Told(known_us, clock_us, False)
            return UNCHANGED
        if known_us < before.known_us:
            return UNCHANGED
        before.known_us = known_us
        if not before.stands:
            return UNCHANGED
        place = self._place(before.event_us, fact_id)
        before.stands, before.value = False, self.values[place]
        self._remove(place)
        return before.event_us

    def restore(self, fact_id: str, known_us: int) -> int:
        """Let a fact stand again, or stand once it comes; returns its time where it stands now, else `UNCHANGED`."""
        before = self.told.get(fact_id)
        if before is None or known_us < before.known_us:
            return UNCHANGED
        before.known_us = known_us
        if before.stands:
            return UNCHANGED
        if before.value is None:
            del self.told[fact_id]
            return UNCHANGED
        self._insert(before.event_us, fact_id, before.value, before.block)
        before.stands, before.value = True, None
        return before.event_us

    def value_of(self, fact_id: str) -> int | float:
        """The value of a fact that stands; 0 where it does not."""
        told = self.told.get(fact_id)
        return self.values[self._place(told.event_us, fact_id)] if told is not None and told.stands else 0

    def before(self, end_us: int) -> int:
        """Place of the last fact earlier than `end_us`; -1 for none."""
        times = self.times
        if not times:
            return -1
        return len(times) - 1 if times[-1] < end_us else bisect_left(times, end_us) - 1

    def next_after(self, time_us: int) -> int | None:
        """Time of the first fact later than `time_us`; None for none."""
        times = self.times
        if not times or times[-1] <= time_us:
            return None
        return times[bisect_left(times, time_us + 1)]

    def prune(self, cutoff_us: int) -> None:
        """Forget what is earlier than `cutoff_us`, but for the last of it, from which later windows are filled."""
        gone = bisect_left(self.times, cutoff_us) - 1
        if gone > 0:
            del self.times[:gone], self.ids[:gone], self.values[:gone], self.blocks[:gone]
        kept = self.times[0] if self.times else cutoff_us
        oldest = min(kept, cutoff_us)
        if len(self.told) > 2 * len(self.times) + 64:
            self.told = {fact_id: told for fact_id, told in self.told.items() if told.event_us >= oldest}

    def _place(self, event_us: int, fact_id: str) -> int:
        place = bisect_left(self.times, event_us)
        while place < len(self.times) and self.times[place] == event_us and self.ids[place] < fact_id:
            place += 1
        return place

    def _insert(self, event_us: int, fact_id: str, value: float, block: int) -> None:
        times = self.times
        if not times or event_us > times[-1]:
            times.append(event_us)
            self.ids.append(fact_id)
            self.values.append(value)
            self.blocks.append(block)
            return
        place = self._place(event_us, fact_id)
        times.insert(place, event_us)
        self.ids.insert(place, fact_id)
        self.values.insert(place, value)
        self.blocks.insert(place, block)

    def _remove(self, place: int) -> None:
        del self.times[place], self.ids[place], self.values[place], self.blocks[place]
