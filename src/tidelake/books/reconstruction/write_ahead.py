"""The lane of a partition: what is about to be committed is sealed first, so that a kill at any point can be resumed.

A run of the lane begins with a `Begun` entry, which names the plan and holds what the first pass found. A `Chunk` entry
follows for each commit of rows, with the book as it stands after them; the last of a day closes the run. Runs of other
plans follow one another in the same lane. The table's mark of the lane names the last chunk whose rows it holds: what
the table has of a day, and whether all of it, follows from that one entry.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec

from tidelake.books.reconstruction.task import DayTask, Figures, Shares
from tidelake.errors import LaneMoved, LedgerBroken
from tidelake.raw.entry import Entry
from tidelake.raw.frame import Frame, decode_line, encode_line
from tidelake.raw.ledger import Head, Ledger, head_after, lane_name
from tidelake.raw.sealing import claim_nothing, seal_lines
from tidelake.raw.segments import read_lines
from tidelake.raw.store import Store

if TYPE_CHECKING:
    from tidelake.books.reconstruction.partitions import Partition

SOURCE = "reconstruct"  # no venue's: what is sealed here is no frame of one
BEGUN, CHUNK, LAST = "begun", "chunk", "last"


class Begun(msgspec.Struct, frozen=True):
    """How a run begins.

    Attributes:
        task: With the options.
        files: Vendor's name and SHA-256 of the files.
        price_exponent, size_exponent: Of all numbers of the day.
        judged: What the first pass found of the book, packed by `books.reconstruction.judging`.
        figures: What it counted.
    """

    task: DayTask
    files: tuple[tuple[str, str], ...]
    price_exponent: int
    size_exponent: int
    judged: bytes
    figures: Figures


class Chunk(msgspec.Struct, frozen=True):
    """Where the replay stands after a commit of rows.

    Attributes:
        events: Events of the day that were replayed.
        rows: Rows of the day that were committed with this one.
        replay: The replay as it stands, packed by `books.reconstruction.book_state`.
        memory: What the next rows depend on, packed by `books.reconstruction.rows`.
        shares: Of the day so far.
    """

    events: int
    rows: int
    replay: bytes
    memory: bytes
    shares: Shares


Sealed = TypeVar("Sealed", Begun, Chunk)


def lane_of(task: "DayTask | Partition") -> str:
    """The lane of a partition."""
    return lane_name("reconstruct", task.vendor, task.source, task.symbol, str(task.day), task.strategy)


@dataclass
class Run:
    """The last run in a lane.

    Attributes:
        plan: Its plan; "" where the lane is empty.
        begun: Its first entry; None where the lane is empty.
        chunks: The others.
        head: Where the lane ends.
    """

    plan: str = ""
    begun: Entry | None = None
    chunks: list[Entry] = field(default_factory=list)
    head: Head = field(default_factory=Head)

    @property
    def is_closed(self) -> bool:
        """Whether its last chunk is sealed."""
        return bool(self.chunks) and self.chunks[-1].meta["step"] == LAST


@dataclass
class WriteAhead:
    """Seals into one lane, for one plan.

    Attributes:
        ready_ns: When the last file of the day was sealed, ns since 1970. It is the clock of all lines, so that equal
            plans seal equal segments: what a writer that was killed left behind is taken over by the next.
        run: The last run; that of `plan`, once `begin` was called.
    """

    store: Store
    task: DayTask
    plan: str
    ready_ns: int
    key: bytes | None = None
    run: Run = field(default_factory=Run)

    def __post_init__(self) -> None:
        self.lane = lane_of(self.task)
        self.reload()

    def reload(self) -> None:
        """Read the lane anew."""
        ledger, run = Ledger(self.store), Run()
        for entry in ledger.entries(self.lane):
            if entry.meta["step"] == BEGUN:
                run = Run(entry.meta["plan"], entry)
            else:
                run.chunks.append(entry)
        run.head = ledger.head(self.lane)
        self.run = run

    @property
    def is_begun(self) -> bool:
        """Whether the last run in the lane is of this plan."""
        return self.run.plan == self.plan

    def begin(self, begun: Begun) -> None:
        """Seal the beginning of a run, unless the lane's last run is of this plan."""
        while not self.is_begun:
            with suppress(LaneMoved):
                self._seal(begun, BEGUN)
            self.reload()

    def chunk(self, number: int, chunk: Chunk, *, last: bool) -> Entry:
        """The entry of a chunk, sealed now or before.

        Raises:
            LaneMoved: Another process began the day anew with other options or files.
            LedgerBroken: What was sealed before is not what was computed now.
        """
        while number >= len(self.run.chunks):
            try:
                self.run.chunks.append(self._seal(chunk, LAST if last else CHUNK))
            except LaneMoved as exc:
                self.reload()
                if not self.is_begun:
                    raise LaneMoved(
                        f"another process began {self.task.source} {self.task.symbol} {self.task.day} anew, with other "
                        "options or files, and its rows stand; run again to have those of this run",
                        lane=self.lane,
                        head=exc.head,
                    ) from exc
        entry = self.run.chunks[number]
        if self.read(entry, Chunk) != chunk:
            raise LedgerBroken(
                f"entry {entry.seq} of lane {self.lane} says of chunk {number} something else than is computed now of "
                "the same files with the same options. No rows of it were written. Was the code changed without its "
                "version? Raise CODE_VERSION in books/reconstruction/task.py and run again.",
                lane=self.lane,
                seq=entry.seq,
            )
        return entry

    @property
    def begun(self) -> Begun:
        """How the run began."""
        assert self.run.begun is not None
        return self.read(self.run.begun, Begun)

    def chunk_at(self, number: int) -> Chunk:
        """What a chunk of the run says; -1 is the last."""
        return self.read(self.run.chunks[number], Chunk)

    def read(self, entry: Entry, kind: type[Sealed]) -> Sealed:
        """What an entry of the lane says."""
        (line,) = read_lines(self.store, entry.segment, self.key).split(b"\n")[:-1]
        return msgspec.json.decode(decode_line(line).payload, type=kind)

    def _seal(self, told: Begun | Chunk, step: str) -> Entry:
        payload = msgspec.json.encode(told)
        frame = Frame(self.run.head.next_n, self.ready_ns, 0, "note", payload)
        task = self.task
        meta = {"plan": self.plan, "step": step, "vendor": task.vendor, "source": task.source, "symbol": task.symbol}
        meta |= {"day": str(task.day), "strategy": task.strategy}
        meta |= {"levels": str(task.levels), "every_ns": str(task.every_ns)}
        entry = seal_lines(
            self.store,
            self.lane,
            SOURCE,
            encode_line(frame),
            describe=claim_nothing,
            head=self.run.head,
            key=self.key,
            meta=meta,
        )
        self.run.head = head_after(entry)
        return entry
