"""A replay from a history to the lake: it can be killed anywhere, and run again ends in the same rows.

A batch ends after so many observations or, where it is played slowly, so many seconds. Where it ends is written down,
then its records are committed, then the states of all machines are written to one file. A killed run goes on from that
file: it makes the batch that was being committed again, to the same end, and each table knows by its number whether it
has it.

A jump back begins again from a state that was kept before its target. What is made again on the way is what the tables
have, and is not written; with the first observation beyond what was committed the run goes on as if it had not jumped.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from tidelake.raw.store import Store
from tidelake.stablecoins.fleet import Fleet, OpenFleet, SavedFleet
from tidelake.stablecoins.observation import MICROS, Observation
from tidelake.stablecoins.outputs import DeltaOutput, JsonLines
from tidelake.stablecoins.records import AlertRow, Record
from tidelake.stablecoins.replay.checkpoint import Checkpoint, Checkpoints
from tidelake.stablecoins.replay.control import ReplayControl
from tidelake.stablecoins.replay.player import play, with_clock
from tidelake.stablecoins.score import PRIOR, Exponents
from tidelake.stablecoins.setup import CoinSetup
from tidelake.stablecoins.signals import Rules

BATCH: Final = 250_000  # observations; their records take some tens of MB
BATCH_S: Final = 5.0  # of the wall; a commit takes about a tenth of a second
SETTLE_US: Final = 20 * 60 * MICROS
MARKS: Final = 32


class History(Protocol):
    """What can be replayed."""

    def batches(self) -> Iterator[list[Observation]]: ...


@dataclass(frozen=True)
class Mark:
    """A state to which a jump back may return, by the virtual clock; None is that before the first observation."""

    known_us: int = 0
    taken: int = 0
    fleet: SavedFleet | None = None


@dataclass
class ReplayReport:
    """What a replay did; the figures are those of the whole run, also where it was resumed.

    Attributes:
        failed: Coins whose machine stopped, and why.
        alerts: The last step of each alert of this process's part of the run.
    """

    observations: int
    resumed_at: int
    done: bool
    counts: Counter[str]
    failed: dict[str, str]
    unknown: int
    alerts: dict[str, AlertRow] = field(default_factory=dict)


class Replay:
    """One run.

    Args:
        name: Names its transactions and its checkpoint.
        history: Says what is played, so that a run goes on with nothing else; "" where nothing can say it.
        jsonl: Folder that gets a folder of JSON lines of the run's name; None for none.
        listen: Gets each part's records as they are made, before they are stored.
        batch: Most observations in a batch.
        clock: Seconds of the wall.
        open_fleet: Begins the machines: in this process, or in shards.
        powers: Exponents of the score.
        passes_time: Tell the machines at each minute that time passed; a history that tells it itself needs none.

    Raises:
        ConfigError: The name names no file, or the run was begun with other exponents, coins or another history, or its
            tables and its checkpoint are not of each other.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        setups: Mapping[str, CoinSetup],
        *,
        history: str = "",
        rules: Rules | None = None,
        jsonl: Path | None = None,
        listen: Callable[[list[Record]], None] | None = None,
        batch: int = BATCH,
        clock: Callable[[], float] = time.monotonic,
        open_fleet: OpenFleet = Fleet,
        powers: Exponents = PRIOR,
        passes_time: bool = True,
    ) -> None:
        self._batch, self._listen, self._clock, self._passes_time = batch, listen, clock, passes_time
        self._checkpoints = Checkpoints(store.spool() / "stablecoins", name)
        saved = self._checkpoints.load()
        self._checkpoints.check(saved, powers, history, setups)
        self._delta = DeltaOutput(store, name, powers)
        self._checkpoints.check_tables(saved, self._delta.last())
        self._powers, self._history = powers, history
        self._open = partial(open_fleet, setups, rules=rules, powers=powers)
        self._marks = [Mark(), *([Mark(saved.known_us, saved.taken, saved.fleet)] if saved else [])]
        self._known_us = self._marks[-1].known_us
        self._fleet = self._open(saved=self._marks[-1].fleet)
        self._number = saved.number if saved else 0
        self._resumed_at = self._taken = self._committed = saved.taken if saved else 0
        self._begun = clock()
        self._ends = self._checkpoints.load_end()  # of the batch that a killed run was committing
        self._done = bool(saved and saved.done)
        self._counts: Counter[str] = Counter(saved.counts if saved else {})
        self._jsonl = None if jsonl is None else JsonLines(jsonl / name, saved.sizes if saved else {})
        self._alerts: dict[str, AlertRow] = {}
        self._records: list[Record] = []
        self._control = ReplayControl()

    def run(self, history: History, control: ReplayControl | None = None) -> ReplayReport:
        """Play what the run has not taken yet; returns at its end, or once the control stops it.

        Stopped, it goes on when it is run again: from there, or after a jump back from where it had been before.
        """
        self._control = control = control or ReplayControl()
        control.now_us = self._known_us
        if not self._done:
            play(self._left(history), control, self._take)
            while control.turn_back():
                self._turn_back()
                play(self._left(history), control, self._take)
            self._done = not control.stopped
            if self._taken >= max(self._ends, self._committed):
                self._commit()
        fleet = self._marks[-1].fleet if self._taken < self._committed else None
        return ReplayReport(
            max(self._taken, self._committed),
            self._resumed_at,
            self._done,
            self._counts,
            (fleet or self._fleet).failed,
            (fleet or self._fleet).unknown,
            self._alerts,
        )

    def close(self) -> None:
        """End the machines' processes, where they have any; a run that is not done can be gone on with."""
        self._fleet.close()

    def _left(self, history: History) -> Iterator[list[Observation]]:
        skip = self._taken
        batches = with_clock(history.batches(), SETTLE_US) if self._passes_time else history.batches()
        for batch in batches:
            if skip >= len(batch):
                skip -= len(batch)
                continue
            yield batch[skip:] if skip else batch
            skip = 0

    def _take(self, batch: list[Observation]) -> None:
        take_all, records = self._fleet.take_all, self._records
        start = 0
        while start < len(batch):
            end = self._next_end()
            part = batch[start : start + end - self._taken]
            before = len(records)
            take_all(part, records)
            self._taken += len(part)
            self._known_us = max(self._known_us, part[-1].known_us)
            start += len(part)
            if self._listen and len(records) > before:
                self._tell(self._listen, records[before:])
            if self._taken <= self._committed:
                records.clear()
            elif self._taken == end or (self._taken > self._ends and self._clock() - self._begun >= BATCH_S):
                self._commit()

    def _next_end(self) -> int:
        """So many observations are taken when the next batch ends, or what was committed before a jump back."""
        if self._taken < self._committed:
            return self._committed
        return self._ends if self._ends > self._taken else self._committed + self._batch

    def _tell(self, listen: Callable[[list[Record]], None], records: list[Record]) -> None:
        """Hand on records; after a jump back, those up to its target were told before and are not told again."""
        if self._taken <= self._committed:
            records = [record for record in records if record.known_us > self._control.jump_us]
        if records:
            listen(records)

    def _turn_back(self) -> None:
        if self._taken > self._committed and self._taken >= self._ends:
            self._commit()
        self._records.clear()
        mark = next(mark for mark in reversed(self._marks) if mark.known_us <= max(self._control.jump_us, 0))
        self._fleet.close()
        self._fleet = self._open(saved=mark.fleet)
        self._taken = mark.taken
        self._known_us = self._control.now_us = mark.known_us

    def _commit(self) -> None:
        records = self._records
        self._number += 1
        self._checkpoints.save_end(self._taken)
        for record in records:
            self._counts[type(record).__name__] += 1
            if isinstance(record, AlertRow):
                self._alerts[record.alert_id] = record
        if self._jsonl is not None:
            self._jsonl.append(records)
        self._delta.commit(self._number, records)
        self._save()
        records.clear()
        self._committed, self._begun = self._taken, self._clock()

    def _save(self) -> None:
        sizes = self._jsonl.sizes if self._jsonl else {}
        fleet = self._fleet.save()
        self._marks.append(Mark(self._known_us, self._taken, fleet))
        if len(self._marks) > MARKS:
            del self._marks[1:-1:2]  # those that stay lie further apart
        self._checkpoints.save(
            Checkpoint(
                self._number,
                self._taken,
                self._known_us,
                fleet,
                sizes,
                dict(self._counts),
                self._done,
                self._powers,
                self._history,
            )
        )
