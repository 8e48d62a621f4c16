"""The files of one symbol and day, merged into one stream of events.

Deltas and snapshots become one book stream: by their sequences where both have them, else by the declared clock, a
snapshot after the messages of the same number or clock. Trades join by the declared clock, before what has the same
one: a trade saw the book before what it caused. The clock of a stream is its running maximum, so that its own order
wins; where that would hold events back for long, the day is refused (`clock_order`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from tidelake.books.reconstruction.batch import EventBatch, Integers
from tidelake.books.reconstruction.clock_order import RunningClock
from tidelake.books.reconstruction.event_columns import in_batches, merged, without_first
from tidelake.books.reconstruction.exact_numbers import LARGEST_EXPONENT
from tidelake.books.reconstruction.level_rows import VendorFile
from tidelake.books.reconstruction.part_files import in_order_of_clocks
from tidelake.books.reconstruction.streams import Clock, Stream, StreamCounts, opened
from tidelake.books.reconstruction.surveying import survey
from tidelake.kernels.replay_codes import NO_SEQUENCE, PART
from tidelake.vendors.spec import Role, Vendor

ROLES: tuple[Role, ...] = ("trades", "deltas", "snapshots")


class DayFile(Protocol):
    """A file that is ready to be read.

    Attributes:
        path: A local copy of it.
        table: The vendor's name of what it holds.
        sha256: Of its bytes.
    """

    @property
    def path(self) -> Path: ...
    @property
    def table(self) -> str: ...
    @property
    def sha256(self) -> str: ...


@dataclass(slots=True)
class DayEvents:
    """The events of a day; read them as often as wanted, for as long as the scratch folder stands.

    Attributes:
        price_exponent: Prices are ticks * 10**price_exponent.
        size_exponent: Sizes are lots * 10**size_exponent.
        files: SHA-256 of each file, by the number that events name.
        streams: By role, those that there are.
        clock: Which clock merges them.
        with_deltas: Whether messages that are no whole book are given.
        batch_levels: A batch ends with the event that brings it to so many levels.
        counts: By role, of the last time that all events were read; empty before.
    """

    price_exponent: int
    size_exponent: int
    files: tuple[str, ...]
    streams: Mapping[Role, Stream]
    clock: Clock
    with_deltas: bool
    batch_levels: int
    counts: dict[Role, StreamCounts]

    def __iter__(self) -> Iterator[EventBatch]:
        return self.batches()

    def batches(self, start: int = 0) -> Iterator[EventBatch]:
        """The events from number `start`, from 0, on. Those before are read, and thrown away.

        Raises:
            FormatDrift: A file is not as its table says, or a clock cannot be; the text names file and row.
        """
        counts = {role: StreamCounts() for role in self.streams}
        trades = self._stream("trades", counts)
        events = merged(trades, self._book(counts), _clock_of, _clock_of)
        yield from in_batches(without_first(events, start), self.batch_levels)
        self.counts = counts

    def _stream(self, role: Role, counts: Mapping[Role, StreamCounts]) -> Iterator[EventBatch]:
        if role not in self.streams:
            return iter(())
        whole_only = role == "deltas" and not self.with_deltas
        return self.streams[role].events(counts[role], self.clock, whole_only=whole_only)

    def _book(self, counts: Mapping[Role, StreamCounts]) -> Iterator[EventBatch]:
        """Deltas and snapshots as one stream, with `exact` and the running maximum of its clock."""
        numbered = [stream.numbering.numbered for role, stream in self.streams.items() if role != "trades"]
        by_sequence = all(numbered)
        key = _sequence_of if by_sequence else _clock_of
        book = merged(self._stream("deltas", counts), self._stream("snapshots", counts), key, key)
        deltas = self.streams.get("deltas")
        by_steps = by_sequence and deltas is not None and deltas.consecutive
        names = {place: name for stream in self.streams.values() for place, name in stream.names.items()}
        running, last, told = RunningClock(names), NO_SEQUENCE, NO_SEQUENCE
        for batch in book:
            if by_sequence:
                if by_steps and last == NO_SEQUENCE:
                    counts["deltas"].broken += _mark_first(batch, told)
                    told = int(batch.sequence[-1])
                last = _mark_exact(batch, batch.sequence, last)
            elif self._snapshots_of_deltas:
                last = _mark_exact(batch, batch.recv_ns, last)
            yield replace(batch, clock_ns=running.of(batch, batch.clock_ns))

    @property
    def _snapshots_of_deltas(self) -> bool:
        levels = self.streams["snapshots"].table.levels if "snapshots" in self.streams else None
        return levels is not None and levels.of_deltas


def day_events(
    files: Sequence[DayFile], vendor: Vendor, *, clock: Clock, with_deltas: bool, scratch: Path, batch_levels: int
) -> DayEvents:
    """The events of one symbol and day.

    Reads the numbers of all files once, to find exponents by which they are whole, and whether they are in order.

    Args:
        files: Those of one table are read in the order of their receive clocks, then as they are given.
        vendor: Whose they are.
        clock: "recv" or "event".
        with_deltas: False leaves out messages that set levels, but not whole books.
        scratch: A folder that exists, for files that must be sorted; the caller removes it when all is read.
        batch_levels: Levels of a batch, and about so many are held of each stream.

    Raises:
        FormatDrift: A file cannot be read, or is not as its table says; the text names file and row. Or files of a
            table overlap whose rows no numbers order, or few rows of a numbered table have no number.
        NotInLake: The vendor has no such table.
    """
    given = [VendorFile(place, file.path, vendor.table(file.table)) for place, file in enumerate(files)]
    held = in_order_of_clocks(given)
    hash_of = {file.path: file.sha256 for file in files}
    by_role: dict[Role, list[VendorFile]] = {}
    for role in ROLES:
        of_role = [file for file in held if file.table.role == role and _wanted(file, with_deltas)]
        if of_role:
            by_role[role] = of_role
    surveys = {role: survey(of_role, _rows_of(of_role[0], batch_levels)) for role, of_role in by_role.items()}
    price_exponent = _common(found.price_exponent for found in surveys.values())
    size_exponent = _common(found.size_exponent for found in surveys.values())
    streams = {
        role: opened(
            of_role,
            (price_exponent, size_exponent),
            surveys[role].numbering,
            scratch,
            _rows_of(of_role[0], batch_levels),
        )
        for role, of_role in by_role.items()
    }
    hashes = tuple(hash_of[file.path] for file in held)
    return DayEvents(price_exponent, size_exponent, hashes, streams, clock, with_deltas, batch_levels, {})


def _common(exponents: Iterable[int]) -> int:
    """The largest by which all are whole; 0 where there was no number but 0."""
    least = min(exponents, default=LARGEST_EXPONENT)
    return least if least < LARGEST_EXPONENT else 0


def _wanted(file: VendorFile, with_deltas: bool) -> bool:
    return with_deltas or file.table.role != "deltas" or file.table.field("is_snapshot") is not None


def _rows_of(file: VendorFile, batch_levels: int) -> int:
    """How many rows of a file hold about so many levels."""
    levels = file.table.levels
    return max(1, batch_levels // (2 * levels.depth if levels else 1))


def _clock_of(batch: EventBatch) -> Integers:
    return batch.clock_ns


def _sequence_of(batch: EventBatch) -> Integers:
    return batch.sequence


def _mark_first(batch: EventBatch, told: int) -> bool:
    """Marks the day's first message where numbers lack between it and the snapshot before; `told` is the last's."""
    first = int((batch.kind != PART).argmax())
    before = int(batch.sequence[first - 1]) if first else told
    lacks = bool(batch.kind[first] != PART and before != NO_SEQUENCE and batch.sequence[first] - before > 1)
    batch.broken[first] |= lacks
    return lacks


def _mark_exact(batch: EventBatch, column: Integers, last: int) -> int:
    """Marks snapshots whose number is that of the last message before; gives the last message's number."""
    is_part = batch.kind == PART
    places = np.maximum.accumulate(np.where(is_part, -1, np.arange(len(batch))))
    before = np.where(places >= 0, column[places], last)
    batch.exact[:] = is_part & (before == column) & (column != NO_SEQUENCE)
    return int(before[-1])
