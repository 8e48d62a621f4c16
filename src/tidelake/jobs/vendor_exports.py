"""Captured trades and books in the layout of a vendor of historical data: what this lake holds, for who reads theirs.

Books are judged by the live rule of their venue, from the raw log; what it does not hold as proven is not written,
but of venues that offer nothing to prove a book by. Days are UTC days of the receive clock, as those of a vendor's
recorder are.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc

from tidelake.books.changes import DAY_NS, OLD, ChangeJudge, Changes
from tidelake.books.engine import BookEngine
from tidelake.books.frames import read_book_frames
from tidelake.books.judging import HORIZON_NS
from tidelake.books.messages import SNAPSHOT, UPDATE, BookStream
from tidelake.books.states import REASONS, STATES, UNPROVABLE
from tidelake.books.verify import Progress, judge_source
from tidelake.errors import NotInLake
from tidelake.jobs.report import DONE, DONE_WITH_GAPS
from tidelake.jobs.vendor_days import DayOf, Days
from tidelake.jobs.vendor_lake import LakeBook, LakeTrades
from tidelake.jobs.vendor_tardis import TardisBook, TardisTrades
from tidelake.jobs.vendor_trades import TakerTrade, TradeReader, TradesOnce
from tidelake.raw.entry import Entry
from tidelake.raw.ledger import Ledger
from tidelake.raw.store import Store
from tidelake.tables.derive import read_entry_lines
from tidelake.tables.mapping import Mapping as FieldMapping, load_mappings
from tidelake.tables.segment_lines import SegmentLines
from tidelake.vendors import crypto_lake, tardis
from tidelake.vendors.registry import vendor as find_vendor
from tidelake.vendors.spec import Vendor

REPEATED = "trades whose id came before"
OTHER_CHANNEL = "messages of another channel"
# What is no loss: updates that came before a book's first snapshot, or that it holds already, repetitions,
# and other channels of a symbol.
HARMLESS = ("no snapshot yet", OLD, REPEATED, OTHER_CHANNEL)


@dataclass(frozen=True, slots=True)
class VendorExport:
    """What was written of one symbol.

    Attributes:
        source, symbol: Ours.
        exchange, vendor_symbol: The vendor's; "" where it has none.
        channel: The venue's word for the book that was written; "" where there was none.
        first, last: Days.
        files: How many.
        trades, deltas, snapshots: Rows of each role.
        messages: Of the venue, that `deltas` tell.
        whole: How many of them are told as the whole book.
        unproven: How many of them left a book that nothing proves, because the venue offers nothing.
        left_out: Messages and trades that are not in the files; repetitions, and what comes before a book's first
            snapshot, are no loss and do not count.
        reason: Why, and what else to know.
    """

    source: str
    symbol: str
    exchange: str = ""
    vendor_symbol: str = ""
    channel: str = ""
    first: dt.date | None = None
    last: dt.date | None = None
    files: int = 0
    trades: int = 0
    messages: int = 0
    deltas: int = 0
    snapshots: int = 0
    whole: int = 0
    unproven: int = 0
    left_out: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PlannedExport:
    """What would be read of one source: lanes, their entries and plaintext bytes, receive clocks of their ends."""

    source: str
    exchange: str
    lanes: int
    entries: int
    bytes: int
    first: dt.datetime
    last: dt.datetime
    reason: str = ""


@dataclass(frozen=True)
class VendorReport:
    """What an export did; one row for each symbol, by source and symbol."""

    rows: tuple[VendorExport, ...]

    @property
    def exit_code(self) -> int:
        """0 done, 3 done with something left out."""
        return DONE_WITH_GAPS if any(row.left_out or not row.exchange for row in self.rows) else DONE

    @property
    def summary(self) -> str:
        """The report in a few lines for people."""
        files, trades, deltas, snapshots, whole, left = (
            sum(getattr(row, name) for row in self.rows)
            for name in ("files", "trades", "deltas", "snapshots", "whole", "left_out")
        )
        lines = [f"export: {files} files, {trades} trades, {deltas} level updates, {snapshots} snapshots"]
        lines += [f"{whole} whole books told, {left} messages or trades left out"]
        lines += [f"{row.source} {row.symbol}: {row.reason}" for row in self.rows if row.reason]
        return "\n".join(lines)


class Layout(NamedTuple):
    """How a vendor's files are written.

    Attributes:
        depth: Best levels of each side in its snapshots.
        book, trades: Place of each table, the vendor's exchange and symbol -> the files of a day.
    """

    depth: int
    book: Callable[[Callable[[str], Path], str, str], DayOf[Changes]]
    trades: Callable[[Callable[[str], Path], str, str], DayOf[Sequence[TakerTrade]]]


LAYOUTS = {
    crypto_lake.VENDOR.name: Layout(
        crypto_lake.DEPTH, lambda place, *_: LakeBook(place), lambda place, *_: LakeTrades(place)
    ),
    tardis.VENDOR.name: Layout(tardis.DEPTH, TardisBook, TardisTrades),
}


class _Symbol:
    """What is written of one symbol."""

    def __init__(self, folder: Path, vendor: Vendor, source: str, symbol: str, channel: str) -> None:
        self.source, self.symbol = source, symbol
        self.exchange, self.name = vendor.exchange(source, symbol), vendor.vendor_symbol(source, symbol)
        layout = LAYOUTS[vendor.name]

        def place(day: dt.date) -> Callable[[str], Path]:
            return lambda table: folder / vendor.key(table, self.exchange, self.name, day)

        self.books = Days(lambda day: layout.book(place(day), self.exchange, self.name))
        self.trades = Days(lambda day: layout.trades(place(day), self.exchange, self.name))
        self.channel = channel
        self.once = TradesOnce()
        self.book_ns = self.trade_ns = self.trades_told_ns = 0
        self.counts: Counter[str] = Counter()
        self.left: Counter[str] = Counter()

    def begin_lane(self) -> None:
        """Trades of another lane count from then on, where this one was read last."""
        self.trades_told_ns = self.trade_ns

    def is_chosen(self, stream: BookStream) -> bool:
        """Whether this is the channel by which the symbol's book is written; where none is known, the first is."""
        self.channel = self.channel or stream.channel
        return stream.channel == self.channel

    def take_changes(self, stream: BookStream, changes: Changes) -> None:
        """Writes those after which the book stands."""
        if not self.is_chosen(stream):
            self.left[OTHER_CHANNEL] += len(changes)
            return
        self.book_ns = max(self.book_ns, int(changes.recv_ns.max()))
        for reason in changes.reason[~changes.told].tolist():
            self.left[REASONS[reason]] += 1
        told = changes.take(np.flatnonzero(changes.told))
        self.counts["messages"] += len(told)
        self.counts["whole"] += int(told.whole.sum())
        self.counts["unproven"] += int((told.state == UNPROVABLE).sum())
        for day in np.unique(told.day).tolist():
            self.books.write(day, told.take(np.flatnonzero(told.day == day)))

    def take_trades(self, trades: Sequence[TakerTrade], days: Sequence[int]) -> None:
        """Writes trades, each of its day."""
        new = [(trade, day) for trade, day in zip(trades, days, strict=True) if trade.recv_ns > self.trades_told_ns]
        if len(new) < len(trades):
            self.left["trades of a time that another lane told"] += len(trades) - len(new)
        for day in sorted({day for _, day in new}):
            self.trades.write(day, [trade for trade, its_day in new if its_day == day])
        self.trade_ns = max([self.trade_ns, *(trade.recv_ns for trade, _ in new)])

    def report(self, vendor: Vendor) -> VendorExport:
        """What was written, when all is finished."""
        rows = dict.fromkeys(("trades", "deltas", "snapshots"), 0)
        for table, count in (self.books.rows + self.trades.rows).items():
            rows[vendor.table(table).role] += count
        days = [day for part in (self.books, self.trades) for day in (part.first, part.last) if day is not None]
        said = [f"{count} x {why}" for why, count in sorted((+self.left).items())]
        if self.counts["unproven"]:
            said.append(f"{STATES[UNPROVABLE]}: {REASONS[-1]}")
        return VendorExport(
            source=self.source,
            symbol=self.symbol,
            exchange=self.exchange,
            vendor_symbol=self.name,
            channel=self.channel,
            first=min(days, default=None),
            last=max(days, default=None),
            files=self.books.files + self.trades.files,
            **rows,
            **{name: self.counts[name] for name in ("messages", "whole", "unproven")},
            left_out=sum(count for why, count in self.left.items() if why not in HARMLESS),
            reason="; ".join(said),
        )


@dataclass
class _Source:
    """The export of one source: gets what its lanes say, and hands it to its symbols."""

    folder: Path
    vendor: Vendor
    source: str
    symbol: str | None
    channel: str | None
    start_ns: int
    end_ns: int
    trades: TradeReader
    channels: Mapping[str, str]
    symbols: dict[str, _Symbol] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)

    def judge(self, source: str, engine: BookEngine) -> ChangeJudge:
        """The judge of the next lane."""
        for symbol in self.symbols.values():
            symbol.begin_lane()
        depth = LAYOUTS[self.vendor.name].depth
        return ChangeJudge(source, engine, depth, self._tell, self._read, self._left, self._silent_until)

    def _of(self, name: str) -> _Symbol | None:
        """The symbol; None where it is not wanted, or the vendor has no name for it."""
        if name in self.unknown or self.symbol not in (None, name):
            return None
        if name not in self.symbols:
            try:
                channel = self.channel or self.channels.get(name, "")
                self.symbols[name] = _Symbol(self.folder, self.vendor, self.source, name, channel)
            except (ValueError, NotInLake) as exc:
                self.unknown[name] = f"{self.vendor.name} has no name for it: {exc}"
                return None
        return self.symbols[name]

    def _tell(self, stream: BookStream, changes: Changes) -> None:
        if found := self._of(stream.symbol):
            found.take_changes(stream, changes)

    def _left(self, stream: BookStream, count: int, why: str) -> None:
        if (found := self._of(stream.symbol)) and found.is_chosen(stream):
            found.left[why] += count

    def _silent_until(self, stream: BookStream) -> int:
        found = self._of(stream.symbol)
        return found.book_ns if found else 0

    def _read(self, entry: Entry, lines: SegmentLines) -> None:
        rows, left = self.trades.read(entry, lines, self.start_ns, self.end_ns)
        for name in sorted(pc.unique(rows["symbol"]).to_pylist()):
            if found := self._of(name):
                mine = rows.filter(pc.equal(rows["symbol"], name))
                days = lines.known_ns[mine["line"].to_numpy()] // DAY_NS
                new, days = found.once.take(mine, days.tolist())
                found.left[REPEATED] += len(mine) - len(new)
                found.take_trades(new, days)
        for (name, why), count in left.items():
            if found := self._of(name):
                found.left[why] += count

    def finish(self) -> list[VendorExport]:
        """Finishes all files."""
        for symbol in self.symbols.values():
            symbol.books.finish()
            symbol.trades.finish()
        done = [symbol.report(self.vendor) for symbol in self.symbols.values()]
        return [*done, *(VendorExport(self.source, name, reason=why) for name, why in self.unknown.items())]

    def drop(self) -> None:
        """Leaves nothing of what is not finished."""
        for symbol in self.symbols.values():
            symbol.books.drop()
            symbol.trades.drop()


def export_to_vendor(
    store: Store,
    folder: Path,
    vendor: str,
    *,
    source: str | None = None,
    symbol: str | None = None,
    channel: str | None = None,
    start_ns: int = 0,
    end_ns: int = HORIZON_NS,
    mappings: Sequence[FieldMapping] | None = None,
    key: bytes | None = None,
    progress: Progress | None = None,
) -> VendorReport:
    """Write the trades and books of a lake below a folder, in the layout of a vendor.

    Args:
        store: The lake's store; its raw log is read, its tables are not.
        folder: Made where it is missing. A file that is there is replaced when the new one is whole.
        vendor: See `vendors.registry`.
        source, symbol, channel: Only this source id, canonical symbol, book channel. Of several channels of a symbol
            the one that tells the most levels at the start of the lanes is taken where none is named.
        start_ns, end_ns: Receive clocks from which, inclusive, and up to which messages and trades are written; books
            stand on what came before.
        mappings: Field mappings; default: those that ship.
        key: Opens encrypted segments.
        progress: Called as segments are read.

    Raises:
        NotInLake: The vendor does not exist or does not have the source, or nothing of that name is in the lake.
        LedgerBroken: A lane or segment does not hold; files of days that were finished before stay.
    """
    to = find_vendor(vendor)
    sources = {
        plan.source: plan for plan in plan_export(store, vendor, source=source, start_ns=start_ns, end_ns=end_ns)
    }
    rows: list[VendorExport] = []
    for name, plan in sources.items():
        if not plan.exchange:
            rows.append(VendorExport(name, symbol or "all", reason=plan.reason))
            continue
        reader = TradeReader(name, mappings if mappings is not None else load_mappings())
        channels = deepest_channels(store, name, end_ns, key)
        part = _Source(folder, to, name, symbol, channel, start_ns, end_ns, reader, channels)
        try:
            judge_source(store, name, part.judge, start_ns=start_ns, end_ns=end_ns, key=key, progress=progress)
            rows += part.finish()
        except BaseException:
            part.drop()
            raise
    if symbol is not None and not any(row.exchange for row in rows):
        raise NotInLake(f"no trades or books of {symbol} in the lake", available=tuple(sources))
    return VendorReport(tuple(sorted(rows, key=lambda row: (row.source, row.symbol))))


def deepest_channels(store: Store, source: str, end_ns: int, key: bytes | None) -> dict[str, str]:
    """By symbol the channel that tells the most levels in the first segments of the lanes of a source."""
    ledger = Ledger(store)
    levels: Counter[tuple[str, str]] = Counter()
    for lane in ledger.lanes():
        entry = next((each for each in ledger.entries(lane) if each.segment.lines), None)
        if entry is None or entry.source != source or entry.first_recv_ns >= end_ns:
            continue
        frames = read_book_frames(source, read_entry_lines(store, entry, key), dict(entry.context))
        for number, stream in enumerate(frames.streams):
            mine = (frames.stream == number) & np.isin(frames.kind, (UPDATE, SNAPSHOT))
            levels[stream.symbol, stream.channel] += int(np.diff(frames.level_from)[mine].sum())
    found = sorted(((count, *name) for name, count in (+levels).items()), reverse=True)
    return {symbol: channel for _, symbol, channel in reversed(found)}


def plan_export(
    store: Store, vendor: str, *, source: str | None = None, start_ns: int = 0, end_ns: int = HORIZON_NS
) -> list[PlannedExport]:
    """What an export would read, by source; a source that the vendor does not have stands there with the reason.

    Raises:
        NotInLake: As `export_to_vendor`.
    """
    to = find_vendor(vendor)
    if source is not None:
        to.exchange(source)
    ledger = Ledger(store)
    found: dict[str, list[list[Entry]]] = {}
    for lane in ledger.lanes():
        entries = [e for e in ledger.entries(lane) if e.segment.lines and not e.file and e.first_recv_ns < end_ns]
        if entries and entries[-1].last_recv_ns >= start_ns and source in (None, entries[0].source):
            found.setdefault(entries[0].source, []).append(entries)
    if not found:
        raise NotInLake(f"nothing was received of {source!r} in that time" if source else "the lake holds no frames")
    return [_plan(to, name, lanes) for name, lanes in sorted(found.items())]


def _plan(vendor: Vendor, source: str, lanes: Iterable[list[Entry]]) -> PlannedExport:
    exchange, reason = "", ""
    try:
        exchange = vendor.exchange(source)
    except NotInLake as exc:
        reason = str(exc)
    each = list(lanes)
    entries = [entry for lane in each for entry in lane]
    ends = min(e.first_recv_ns for e in entries), max(e.last_recv_ns for e in entries)
    first, last = (dt.datetime.fromtimestamp(ns / 1e9, dt.UTC) for ns in ends)
    size = sum(entry.segment.bytes for entry in entries)
    return PlannedExport(source, exchange, len(each), len(entries), size, first, last, reason)
