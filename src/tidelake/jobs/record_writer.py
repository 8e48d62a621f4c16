"""Records brought to the lake as they are made, by a thread of their own: whoever makes them waits for no disk.

The first record of a quiet moment is written at once. What comes while a batch is being written makes the next one.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tidelake.stablecoins.outputs import DeltaOutput, JsonLines
from tidelake.stablecoins.records import Record

EVERY_S = 0.25  # the least time from one commit to the next: each leaves a file for each coin
Stored = Callable[[Sequence[Record]], None]
Before = Callable[[int, Sequence[Record]], Callable[[], None]]


@dataclass
class _Batch:
    number: int
    records: list[Record]
    begin: Callable[[], None] | None = None
    has_lines: bool = False


class RecordWriter:
    """Writes batches in order; each table gets each once, also where a batch failed and is tried again.

    Args:
        delta: The tables.
        jsonl: Rolling files of JSON lines; None for none.
        every_s: Least seconds between two commits.
        stored: Told, by the writing thread, what lies in all outputs now; None: nobody is.
        before: Given number and records of each batch in the event loop, when nothing is being written; what it returns
            is called by the writing thread before the batch is written.
        number: Of the last batch that was written before.

    Attributes:
        counts: Records that were written, by kind.
    """

    def __init__(
        self,
        delta: DeltaOutput,
        jsonl: JsonLines | None = None,
        *,
        every_s: float = EVERY_S,
        stored: Stored | None = None,
        before: Before | None = None,
        number: int = 0,
    ) -> None:
        self._delta, self._jsonl, self._every_s, self._stored = delta, jsonl, every_s, stored
        self._before = before
        self.counts: Counter[str] = Counter()
        self._made: list[Record] = []
        self._batch: _Batch | None = None
        self._number = number
        self._bell = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "records")  # each further thread would keep memory of its own

    def put(self, records: Sequence[Record]) -> None:
        """Take records, in the event loop of `run`."""
        if records:
            self._made += records
            self._bell.set()

    async def run(self) -> None:
        """Write until cancelled; what is left then is for `close`.

        Raises:
            StoreError, TableMoved: The lake could not be written.
        """
        loop = asyncio.get_running_loop()
        while True:
            await self._bell.wait()
            self._bell.clear()
            begun = time.monotonic()
            self._cut()
            await loop.run_in_executor(self._thread, self._write)
            if not self._made:
                await loop.run_in_executor(self._thread, self._delta.tidy)
            await asyncio.sleep(max(0.0, begun + self._every_s - time.monotonic()))

    def close(self) -> None:
        """Write what is left, once `run` has ended.

        Raises:
            StoreError, TableMoved: The lake could not be written.
        """
        self._thread.shutdown()  # what it is at is ended first
        self._write()
        self._cut()
        self._write()

    def _cut(self) -> None:
        if self._made:
            self._number += 1
            begin = self._before(self._number, self._made) if self._before else None
            self._batch = _Batch(self._number, self._made, begin)
            self._made = []

    def _write(self) -> None:
        batch = self._batch
        if batch is None:
            return
        if batch.begin is not None:
            batch.begin()
            batch.begin = None
        if self._jsonl is not None and not batch.has_lines:
            self._jsonl.append(batch.records)
            batch.has_lines = True
        self._delta.commit(batch.number, batch.records)
        self.counts.update(type(record).__name__ for record in batch.records)
        self._batch = None
        if self._stored is not None:
            self._stored(batch.records)
