"""One day of one symbol, reconstructed: a function of its files and options alone, which any process can run.

    report = reconstruct_day(DayTask("./lake", "crypto-lake", "binance-spot", "BTC-USDT", day, "full_event_replay"))

The first pass replays and judges: what is known of a book is decided by the snapshots that come after. The second
replays again and writes rows with these verdicts, chunk by chunk: an entry in the lane of the day says where the replay
will stand, then a commit adds the rows and names that entry. A run that was killed goes on after the last commit.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from tidelake.books.ready import ReadyFile, local_path, ready_files
from tidelake.books.reconstruction.batch import EventBatch
from tidelake.books.reconstruction.book_state import read_state, write_state
from tidelake.books.reconstruction.commits import commit_chunk, committed
from tidelake.books.reconstruction.counting import DayCounts
from tidelake.books.reconstruction.judging import FirstPass, Intervals
from tidelake.books.reconstruction.merging import DayEvents, day_events
from tidelake.books.reconstruction.replay import Replay, ReplayOut, no_events
from tidelake.books.reconstruction.rows import IMBALANCE_LEVELS, RowMaker
from tidelake.books.reconstruction.scratch import scratch_folder
from tidelake.books.reconstruction.shares import add_shares
from tidelake.books.reconstruction.task import DayReport, DayTask, Shares, plan_of
from tidelake.books.reconstruction.verdicts import verdicts_of
from tidelake.books.reconstruction.write_ahead import Begun, Chunk, WriteAhead
from tidelake.errors import NotInLake
from tidelake.raw.codec import key_from_environment
from tidelake.raw.crash_points import reach
from tidelake.raw.entry import SealedFile
from tidelake.raw.sealed_files import check_file
from tidelake.raw.store import Store
from tidelake.tables.dropping import finish_drops
from tidelake.vendors.registry import vendor as find_vendor

BATCH_LEVELS = 1 << 17


@dataclass(frozen=True)
class _DayFile:
    path: Path
    table: str
    sha256: str


def reconstruct_day(task: DayTask) -> DayReport:
    """Bring one day of the table up to the files that are ready. Run again at any time; what is done is not done again.

    Raises:
        NotInLake: No file of the day is ready.
        FormatDrift: A file is not as its table says.
        ReplayRefused: No book can be replayed from its events.
        LedgerBroken: A file or an entry is not the one that was sealed.
        LaneMoved: Another process began the day anew with other options or files.
        TableMoved: Others committed between read and write twenty times in a row.
    """
    begun_at = time.perf_counter(), time.process_time()
    store = Store.open(task.url)
    finish_drops(store)
    files = files_of(store, task)
    ahead = WriteAhead(store, task, plan_of(task, files), max(file.sealed_ns for file in files), key_from_environment())
    done = _chunks_done(store, ahead)
    resumed_at = ahead.chunk_at(done - 1).rows if done else 0
    new_rows = 0
    if not (done and ahead.run.is_closed and done == len(ahead.run.chunks)):
        with _opened(store, task, files) as day:
            new_rows = _Writing(store, ahead, files, day).write(done)
    last = ahead.chunk_at(-1)
    return DayReport(
        task,
        ahead.plan,
        ahead.begun.figures,
        last.shares.shares,
        last.rows,
        new_rows,
        resumed_at,
        time.perf_counter() - begun_at[0],
        time.process_time() - begun_at[1],
    )


def files_of(store: Store, task: DayTask) -> list[ReadyFile]:
    """The ready files of a partition.

    Raises:
        NotInLake: There is none.
    """
    found = ready_files(store, vendor=task.vendor, source=task.source, symbol=task.symbol, start=task.day)
    files = [file for file in found if file.day == task.day]
    if not files:
        raise NotInLake(
            f"no file of {task.vendor} for {task.source} {task.symbol} {task.day} is ready; `tidelake books acquire` "
            "gets them"
        )
    return files


def _chunks_done(store: Store, ahead: WriteAhead) -> int:
    """How many chunks of the plan's run the table holds."""
    last = committed(store, ahead.lane)
    if not ahead.is_begun:
        return 0
    return sum(entry.seq <= last for entry in ahead.run.chunks)


@contextmanager
def _opened(store: Store, task: DayTask, files: list[ReadyFile]) -> Iterator[DayEvents]:
    """The events of the day, read from files that are those that were sealed."""
    for file in files:
        check_file(store, SealedFile(file.key, file.sha256, file.bytes, file.name, file.rows))
    clock = "event" if task.strategy == "origin_time_sort" else "recv"
    held = [_DayFile(local_path(store, file), file.table, file.sha256) for file in files]
    with scratch_folder(store) as scratch:
        yield day_events(
            held,
            find_vendor(task.vendor),
            clock=clock,  # type: ignore[arg-type]
            with_deltas=task.strategy != "snapshot_anchored",
            scratch=scratch,
            batch_levels=BATCH_LEVELS,
        )


@dataclass
class _Writing:
    """The two passes over a day.

    Attributes:
        tables: Rows that are not committed yet.
        shares: Of the events so far.
    """

    store: Store
    ahead: WriteAhead
    files: list[ReadyFile]
    day: DayEvents
    tables: list[pa.Table] = field(default_factory=list)
    shares: Shares = field(default_factory=Shares)

    @property
    def task(self) -> DayTask:
        """The partition."""
        return self.ahead.task

    def write(self, done: int) -> int:
        """Commit all chunks after those that are done; the number of rows that this process committed."""
        if not self.ahead.is_begun:
            self.ahead.begin(self._first_pass())
            reach("day-begun")
        begun = self.ahead.begun
        judged = Intervals.unpack(begun.judged)
        replay = self._replay(levels=max(self.task.levels, IMBALANCE_LEVELS))
        maker = RowMaker(self.task, self.ahead.plan, (self.day.price_exponent, self.day.size_exponent), self.day.files)
        if done:
            self._resume(self.ahead.chunk_at(done - 1), replay, maker)
        committed_rows, number = 0, done
        for batch in self.day.batches(replay.place):
            self._add(batch, replay.run(batch), judged, maker)
            if sum(table.num_rows for table in self.tables) >= self.task.chunk_rows:
                committed_rows += self._commit(number, replay, maker, last=False)
                number += 1
        self._add(no_events(), replay.finish(), judged, maker)
        return committed_rows + self._commit(number, replay, maker, last=True)

    def _first_pass(self) -> Begun:
        replay, judging, counts = self._replay(levels=0), FirstPass(anchored=self._anchored), DayCounts()
        for batch in self.day.batches():
            out = replay.run(batch)
            judging.take(batch, out)
            counts.add(batch, out)
        out = replay.finish()
        counts.add(no_events(), out)
        repeats = sum(stream.repeats for stream in self.day.counts.values())
        hashes = tuple((file.table, file.sha256) for file in self.files)
        return Begun(
            self.task,
            hashes,
            self.day.price_exponent,
            self.day.size_exponent,
            judging.finish(out).pack(),
            counts.figures(repeats),
        )

    @property
    def _anchored(self) -> bool:
        return self.task.strategy == "snapshot_anchored"

    def _replay(self, levels: int) -> Replay:
        snapshots = self.day.streams.get("snapshots")
        depth = snapshots.table.levels.depth if snapshots and snapshots.table.levels else 0
        return Replay(depth, levels, self.task.every_ns or None, anchored=self._anchored)

    def _resume(self, chunk: Chunk, replay: Replay, maker: RowMaker) -> None:
        read_state(replay, chunk.replay)
        maker.recall(chunk.memory)
        self.shares = chunk.shares

    def _add(self, batch: EventBatch, out: ReplayOut, judged: Intervals, maker: RowMaker) -> None:
        verdicts = verdicts_of(judged, out.place, len(batch))
        self.tables.append(maker.rows(batch, out, verdicts))
        self.shares = add_shares(self.shares, batch, verdicts)

    def _commit(self, number: int, replay: Replay, maker: RowMaker, *, last: bool) -> int:
        """Commit the rows at hand; how many this call committed: 0 where another process had."""
        rows, self.tables = pa.concat_tables(self.tables), []
        chunk = Chunk(replay.place, maker.place, write_state(replay), maker.memory(), self.shares)
        entry = self.ahead.chunk(number, chunk, last=last)
        reach("chunk-sealed")
        did = commit_chunk(self.store, self.task, entry, rows, begins=number == 0)
        reach("chunk-committed")
        return rows.num_rows if did else 0
