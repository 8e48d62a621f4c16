"""Where records go: Delta tables of a lake, exactly once, and rolling files of JSON lines.

A batch has a number. Each table keeps the number of its last batch (a Delta transaction named after the run), so that a
run that was killed between two tables, and makes the same batch again, writes what is missing and nothing twice.
"""

import datetime as dt
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tidelake.errors import TableMoved
from tidelake.raw.store import Store
from tidelake.stablecoins.records import (
    AlertRow,
    AttestationRow,
    CorrectionRow,
    IncidentRow,
    Record,
    WindowRow,
)
from tidelake.stablecoins.score import PRIOR, Exponents
from tidelake.tables.arrow_types import EXACT
from tidelake.tables.delta import TableHandle, exists, open_or_create
from tidelake.tables.maintain import SMALL
from tidelake.tables.schema import PARSER_VERSION, Table
from tidelake.tables.stablecoins import (
    STABLECOIN_ALERTS,
    STABLECOIN_ATTESTATIONS,
    STABLECOIN_CORRECTIONS,
    STABLECOIN_INCIDENTS,
    STABLECOIN_WINDOWS,
)

MADE_BY: Final = "tidelake/stablecoins@1"
ATTEMPTS: Final = 5
CROWD: Final = 16  # files that a run leaves in a folder before they are merged into one
RENEW_EVERY: Final = 64  # commits: a handle keeps its own one by one, and gets slower with each
ROLL_BYTES: Final = 64 << 20
ALERTED_FROM: Final = 0.6  # below it a window goes to the provisional stream too, as the source document has it
TABLES: Final[dict[type, Table]] = {
    WindowRow: STABLECOIN_WINDOWS,
    AlertRow: STABLECOIN_ALERTS,
    CorrectionRow: STABLECOIN_CORRECTIONS,
    AttestationRow: STABLECOIN_ATTESTATIONS,
    IncidentRow: STABLECOIN_INCIDENTS,
}
# Names of the tables where they are not those of the records.
RENAMED: Final = {
    "known_us": "known_at",
    "event_us": "event_time",
    "window_end_us": "window_end",
    "fired_us": "fired_at",
    "ended_us": "ended_at",
}
STARTS: Final = {WindowRow: "event_time", AttestationRow: "event_time", AlertRow: "window_start"}


class DeltaOutput:
    """The tables of one run.

    Args:
        run: Its name, in each row and in the transactions.
        powers: Exponents of the score, which `mapping_version` of each row tells where they are not the prior.
    """

    def __init__(self, store: Store, run: str, powers: Exponents = PRIOR) -> None:
        self._made_by = f"{MADE_BY} {powers.version}".strip()
        self._store, self._name, self._run = store, run, f"stablecoins:{run}"
        self._handles: dict[str, TableHandle] = {}
        self._left: Counter[tuple[str, str, dt.date]] = Counter()
        self._commits: Counter[str] = Counter()

    def commit(self, number: int, records: Iterable[Record]) -> None:
        """Append a batch to the tables that do not have it yet; numbers rise from 1.

        Raises:
            TableMoved: Others commit so often that no turn could be had.
            StoreError: The store failed. What was written is known by the number.
        """
        by_kind: dict[type, list[Record]] = defaultdict(list)
        for record in records:
            by_kind[type(record)].append(record)
        for kind, found in by_kind.items():
            self._append(TABLES[kind], number, as_table(kind, found, self._name, self._made_by))

    def last(self) -> int:
        """Number of the newest batch in any of the tables; 0 for none."""
        there = [table for table in TABLES.values() if exists(self._store, table.name)]
        return max([0, *(self._handle(table).done(self._run) for table in there)])

    def _handle(self, table: Table) -> TableHandle:
        handle = self._handles.get(table.name)
        if handle is None:
            handle = open_or_create(self._store, table.name, table.schema, table.partition_by)
        self._handles[table.name] = handle
        return handle

    def _append(self, table: Table, number: int, rows: pa.Table) -> None:
        for _ in range(ATTEMPTS):
            handle = self._handle(table)
            try:
                if handle.done(self._run) < number:
                    handle.commit(rows, {self._run: number}, in_turn=False)
                    self._remember(table, rows)
            except TableMoved:
                del self._handles[table.name]
                continue
            return
        raise TableMoved(f"{table.name} was taken by others {ATTEMPTS} times in a row; run again to go on")

    def _remember(self, table: Table, rows: pa.Table) -> None:
        self._commits[table.name] += 1
        days = rows.select(["coin", "date"]).group_by(["coin", "date"]).aggregate([])
        for coin, day in zip(days["coin"].to_pylist(), days["date"].to_pylist(), strict=True):
            self._left[table.name, coin, day] += 1

    def tidy(self) -> None:
        """Do a small part of the upkeep that many small commits call for, where any is due; to be called between them.

        Merges the files that this run left in one folder, which moves rows and changes none, or opens a table anew.

        Raises:
            StoreError: The store failed. No row is lost.
        """
        folder, files = max(self._left.items(), key=itemgetter(1), default=(None, 0))
        if folder is not None and files >= CROWD:
            del self._left[folder]
            name, coin, day = folder
            self._try(name, lambda handle: handle.merge([{"coin": coin, "date": day}], below=SMALL))
            return
        name, commits = max(self._commits.items(), key=itemgetter(1), default=("", 0))
        if commits >= RENEW_EVERY:
            del self._commits[name]
            self._try(name, lambda handle: self._handles.update({name: handle.renewed()}))

    def _try(self, name: str, work: Callable[[TableHandle], object]) -> None:
        handle = self._handles.get(name)
        try:
            if handle is not None:
                work(handle)
        except TableMoved:  # others were faster, or it was dropped: the next commit opens it
            self._handles.pop(name, None)


def as_table(kind: type, records: Sequence[Record], run: str, made_by: str = MADE_BY) -> pa.Table:
    """Records of one kind, said by a run, as rows of their table, in its order."""
    table = TABLES[kind]
    names = kind.__struct_fields__  # type: ignore[attr-defined]
    told: dict[str, Any] = dict(zip(names, zip(*map(msgspec.structs.astuple, records), strict=True), strict=True))
    told |= {new: told.pop(old) for old, new in RENAMED.items() if old in told}
    if kind in STARTS:
        told[STARTS[kind]] = told.pop("window_start_us")
    if kind is WindowRow:
        parts = zip(*map(msgspec.structs.astuple, told.pop("confidence_breakdown")), strict=True)
        fields = WindowRow.__annotations__["confidence_breakdown"].__struct_fields__
        told |= {f"confidence_{name}": column for name, column in zip(fields, parts, strict=True)}
        told["window_id"] = [record.window_id for record in records if isinstance(record, WindowRow)]
    elif kind is CorrectionRow:
        told["correction"] = told.pop("status")
        told["replacement_event_ids"] = [" ".join(ids) for ids in told["replacement_event_ids"]]
    elif kind is IncidentRow:
        told["told_by"] = told.pop("source")
    count = len(records)
    columns = {name: _column(table.schema.field(name).type, values) for name, values in told.items()}
    columns |= {
        "run": pa.repeat(run, count),
        "recv_ns": pc.multiply(columns["known_at"].cast(pa.int64()), 1000),
        "status": pa.repeat("active", count),
        "segment": pa.repeat("", count),
        "line": pa.repeat(pa.scalar(0, pa.int32()), count),
        "item": pa.repeat(pa.scalar(0, pa.int32()), count),
        "parser_version": pa.repeat(pa.scalar(PARSER_VERSION, pa.int32()), count),
        "mapping_version": pa.repeat(made_by, count),
        "date": columns["event_time"].cast(pa.date32()),
    }
    rows = pa.table([columns[name] for name in table.schema.names], schema=table.schema)
    return rows.sort_by([(name, "ascending") for name in ("coin", "date", *table.sort_by)])


def _column(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).cast(kind)
    if kind == EXACT:
        return pa.array(values, pa.decimal128(38, 18))
    return pa.array(values, kind)


class JsonLines:
    """Rolling files `<folder>/<stream>/<coin>/<number>.jsonl`: unified, provisional, alerts, finalized, and the rest.

    Args:
        sizes: Bytes that files had at the last checkpoint, by path below the folder; what is beyond is cut off.
    """

    def __init__(self, folder: Path, sizes: dict[str, int] | None = None) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)  # fails before anything is played
        self.sizes = dict(sizes or {})
        for path in sorted(folder.glob("*/*/*.jsonl")) if sizes is not None else ():
            name = path.relative_to(folder).as_posix()
            if name in self.sizes:
                os.truncate(path, self.sizes[name])
            else:
                path.unlink()
        self._number: dict[tuple[str, str], int] = {}
        for name in self.sizes:
            stream, coin, file = name.split("/")
            number = int(file.removesuffix(".jsonl"))
            self._number[stream, coin] = max(self._number.get((stream, coin), 0), number)

    def append(self, records: Iterable[Record]) -> None:
        """Write a batch, and sync it."""
        lines: dict[tuple[str, str], list[bytes]] = defaultdict(list)
        encode = msgspec.json.Encoder().encode
        for record in records:
            line = encode(record)
            for stream in streams_of(record):
                lines[stream, record.coin].append(line)
        for (stream, coin), found in lines.items():
            self._write(stream, coin, b"\n".join(found) + b"\n")

    def _write(self, stream: str, coin: str, data: bytes) -> None:
        number = self._number.setdefault((stream, coin), 0)
        name = f"{stream}/{coin}/{number:05d}.jsonl"
        if self.sizes.get(name, 0) >= ROLL_BYTES:
            self._number[stream, coin] = number + 1
            name = f"{stream}/{coin}/{number + 1:05d}.jsonl"
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self.sizes[name] = self.sizes.get(name, 0) + len(data)


def streams_of(record: Record) -> tuple[str, ...]:
    """The streams of JSON lines that a record goes to."""
    if isinstance(record, WindowRow):
        return ("unified", "provisional") if record.temporal_confidence < ALERTED_FROM else ("unified",)
    if isinstance(record, AlertRow):
        return ("alerts",)
    if isinstance(record, AttestationRow):
        return ("finalized",)
    return ("corrections",) if isinstance(record, CorrectionRow) else ("incidents",)
