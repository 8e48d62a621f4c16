"""The events of a day the slow and obvious way: all rows in lists, decimals, one sort per rule."""

import csv
import gzip
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tidelake.kernels.replay_codes import DELTA, NO_SEQUENCE, PART, TRADE, WHOLE

SIDES = {"bid": 0, "buy": 0, "ask": 1, "sell": 1, "unknown": 2}
MINUTE = 60 * 10**9
NO_NUMBERS = (None, "", 0, -1)


@dataclass
class Told:
    """A row of a file."""

    file: int
    row: int
    event: int
    recv: int
    number: int
    whole: bool
    trade_id: str | None
    levels: list[tuple[int, Decimal, Decimal]]
    prices: list[Decimal | None]
    sizes: list[Decimal | None]


@dataclass
class Event:
    """What an event of a batch must say; `levels` as (side, tick, lots)."""

    kind: int
    event: int
    recv: int
    sequence: int
    levels: list[tuple[int, int, int]]
    file: int
    row: int
    trade_id: str | None = None
    clock: int = 0
    broken: bool = False
    exact: bool = False


@dataclass
class Counts:
    rows: int = 0
    messages: int = 0
    repeats: int = 0
    left_out: int = 0
    broken: int = 0


@dataclass
class SlowDay:
    price_exponent: int
    size_exponent: int
    events: list[Event]
    counts: dict[str, Counts] = field(default_factory=dict)


def in_order(files, vendor):
    """The files with their rows: those of a table by the least clock in them."""
    found = [(file, told(file.path, vendor.table(file.table), 0)) for file in files]
    tables = list(dict.fromkeys(file.table for file in files))
    return sorted(found, key=lambda each: (tables.index(each[0].table), min((row.recv for row in each[1]), default=0)))


def overlaps(rows):
    """Whether a row of a file was received before another of a file before."""
    clocks = [[row.recv for row in of_file] for _, of_file in groupby(rows, lambda row: row.file)]
    return any(min(later) < max(before) for before, later in pairwise(clocks))


def slow_day(files, vendor, *, clock, with_deltas):
    """The day; None where it must be refused."""
    rows: dict[str, list[Told]] = {}
    tables = {}
    for place, (file, of_file) in enumerate(in_order(files, vendor)):
        table = vendor.table(file.table)
        for row in of_file:
            row.file = place
        if table.role == "deltas" and not with_deltas and table.field("is_snapshot") is None:
            continue
        tables[table.role] = table
        rows.setdefault(table.role, []).extend(of_file)
    if any(overlaps(of_role) and not is_numbered(of_role) for of_role in rows.values()):
        return None
    price_exponent = exponent([price for of_role in rows.values() for row in of_role for price in row.prices])
    size_exponent = exponent([size for of_role in rows.values() for row in of_role for size in row.sizes])
    day = SlowDay(price_exponent, size_exponent, [], {role: Counts() for role in rows})
    streams = {role: stream(day, of_role, tables[role]) for role, of_role in rows.items()}
    deltas = [event for event in streams.get("deltas", []) if with_deltas or event.kind == WHOLE]
    trades, snapshots = streams.get("trades", []), streams.get("snapshots", [])
    for of_role in (trades, deltas, snapshots):
        run_clock(of_role, clock)
    numbered = all(is_numbered(rows[role]) for role in ("deltas", "snapshots") if role in rows)
    key = (lambda event: event.sequence) if numbered else (lambda event: event.clock)
    book = sorted(deltas + snapshots, key=key)  # stable: deltas before snapshots
    last = before = None
    for event in book:
        if event.kind != PART:
            if last is None and before and numbered and is_consecutive(deltas):
                event.broken = event.sequence - before.sequence > 1
            last = event
        elif last is not None and numbered:
            event.exact = last.sequence == event.sequence
        elif last is not None and tables["snapshots"].levels.of_deltas:
            event.exact = last.recv == event.recv
        before = event
    highest = 0
    for event in book:
        event.clock = highest = max(highest, event.clock)
    day.events = sorted(trades + book, key=lambda event: event.clock)
    for role, of_role in (("trades", trades), ("deltas", deltas), ("snapshots", snapshots)):
        if role in day.counts:
            day.counts[role].messages = len(of_role)
            day.counts[role].broken = sum(event.broken for event in of_role)
    return day


def exponent(numbers):
    found = [int(number.normalize().as_tuple().exponent) for number in numbers if number]
    return min(found, default=0)


def run_clock(events, clock):
    highest = 0
    for event in events:
        event.clock = highest = max(highest, event.event if clock == "event" and event.event else event.recv)


def is_numbered(rows):
    told = bool(rows) and all(row.number >= 0 for row in rows) and any(row.number > 0 for row in rows)
    in_order = sorted(rows, key=lambda row: row.number)
    if not told or in_order == rows:
        return told
    return all(max(row.recv for row in in_order[: at + 1]) - row.recv <= MINUTE for at, row in enumerate(in_order))


def stream(day, rows, table):
    counts, numbered = day.counts[table.role], is_numbered(rows)
    counts.rows = len(rows)
    if numbered:
        rows = sorted(rows, key=lambda row: row.number)
    if table.field("is_snapshot") is not None:
        first = next((place for place, row in enumerate(rows) if row.whole), len(rows))
        counts.left_out, rows = first, rows[first:]
    messages = grouped(rows, table)
    if numbered or table.role == "snapshots" or table.role == "trades":
        messages = without_repeats(messages, table, numbered, counts)
    events = [event_of(day, message, table) for message in messages]
    if table.role == "deltas" and numbered and is_consecutive(events):
        for before, event in pairwise(events):
            event.broken = event.sequence - before.sequence > 1
    return events


def is_consecutive(events):
    ups = [b.sequence - a.sequence for a, b in pairwise(events) if b.sequence > a.sequence]
    return bool(ups) and ups.count(1) >= 0.99 * len(ups)


def grouped(rows, table):
    if not table.message:
        return [[row] for row in rows]
    messages = [list(run) for _, run in groupby(rows, lambda row: same_message(row, table))]
    return [book for message in messages for book in (books(message) if message[0].whole else [message])]


def books(run):
    """A run of rows of whole books, parted at each clock that tells a price again."""
    found: list[list[Any]] = [[]]
    for rows in (list(of_clock) for _, of_clock in groupby(run, lambda row: row.recv)):
        if {row.levels[0][:2] for row in rows} & {row.levels[0][:2] for row in found[-1]}:
            found.append([])
        found[-1] += rows
    return found


def same_message(row, table):
    values = {"sequence": row.number, "recv_time": row.recv, "is_snapshot": row.whole}
    return "whole" if row.whole else tuple(values[word] for word in table.message)


def without_repeats(messages, table, numbered, counts):
    kept = []
    said: dict[Any, list[Any]] = {}
    for message in messages:
        levels = levels_of(message)
        if table.role == "deltas":
            once = next(n for n in range(1, len(levels) + 1) if levels[:n] * (len(levels) // n) == levels)
            counts.repeats += len(levels) // once - 1
            levels, message = levels[:once], [*message[: once - 1], replace_place(message[once - 1], message[-1])]
        row = message[0]
        unit, saying = row.number if numbered else row.trade_id, levels
        if table.role == "deltas":
            last = message[-1]
            if kept and kept[-1][0].number == unit and levels_of(kept[-1]) == levels:
                counts.repeats += 1
                continue
            saying = (last.event, last.recv, levels)
        if table.role == "snapshots":
            unit, saying = (row.number, row.recv, row.event), levels
            if not numbered and kept and kept[-1][0].recv != row.recv:
                said = {}  # only snapshots of one clock that follow each other are compared
        if unit is not None and saying in said.get(unit, []):
            counts.repeats += 1
            continue
        said.setdefault(unit, []).append(saying)
        kept.append(message)
    return kept


def levels_of(message):
    return [level for row in message for level in row.levels]


def replace_place(row, last):
    return Told(row.file, row.row, last.event, last.recv, row.number, row.whole, row.trade_id, row.levels, [], [])


def event_of(day, message, table):
    first, last = message[0], message[-1]
    kind = {"trades": TRADE, "deltas": WHOLE if first.whole else DELTA, "snapshots": PART}[table.role]
    levels = [
        (side, int(price.scaleb(-day.price_exponent)), int(size.scaleb(-day.size_exponent)))
        for row in message
        for side, price, size in row.levels
    ]
    number = NO_SEQUENCE if table.role == "trades" else first.number
    return Event(kind, last.event, last.recv, number, levels, first.file, first.row, first.trade_id)


def told(path, table, place):
    if path.name.endswith(".csv.gz"):
        with gzip.open(path, "rt", newline="") as lines:
            rows = list(csv.DictReader(lines))
    else:
        table_of_file = pq.read_table(path)
        clocks = [field.name for field in table_of_file.schema if pa.types.is_timestamp(field.type)]
        for name in clocks:
            place_of = table_of_file.schema.names.index(name)
            table_of_file = table_of_file.set_column(place_of, name, table_of_file.column(name).cast(pa.int64()))
        rows = table_of_file.to_pylist()
    return [told_row(row, table, place, number) for number, row in enumerate(rows)]


def told_row(row, table, place, number):
    def word(name):
        found = table.field(name)
        return next((row[own] for own in found.names if own in row), None) if found else None

    def clock(name):
        value = word(name)
        return 0 if value in NO_NUMBERS else int(value) * {"ns": 1, "us": 1000}[table.unit]

    trade_id = None if word("trade_id") in (None, "") else str(word("trade_id"))
    if table.role == "trades":
        count = id_number(trade_id)
    else:
        count = NO_SEQUENCE if word("sequence") is None else int(word("sequence"))
    if table.levels is None:
        side = table.field("side").values[str(word("side")).lower()]
        all_levels = [(SIDES[side], decimal(word("price")), decimal(word("size")))]
        levels = all_levels
    else:
        all_levels = wide_levels(row, table)
        levels = [(side, price, size) for side, price, size in all_levels if price is not None and size]
    whole = str(word("is_snapshot")).lower() == "true"
    prices, sizes = [price for _, price, _ in all_levels], [size for *_, size in all_levels]
    return Told(place, number, clock("event_time"), clock("recv_time"), count, whole, trade_id, levels, prices, sizes)


def id_number(trade_id):
    numeric = trade_id is not None and trade_id.isdecimal() and str(int(trade_id)) == trade_id and len(trade_id) < 19
    return int(trade_id) if numeric else NO_SEQUENCE


def wide_levels(row, table):
    found = []
    for side in ("bid", "ask"):
        for level in range(table.levels.depth):
            price = decimal(row[table.levels.column(side, level, "price")])
            size = decimal(row[table.levels.column(side, level, "size")])
            found.append((SIDES[side], price, size))
    return found


def decimal(value):
    if value in (None, "") or value != value:
        return None
    return Decimal(value if isinstance(value, str) else repr(float(value)))


def events_of(batches):
    """Each event of the batches as one tuple."""
    found = []
    for batch in batches:
        assert batch.level_from[0] == 0
        assert batch.level_from[-1] == len(batch.side) == len(batch.tick) == len(batch.lots)
        for at in range(len(batch)):
            low, high = batch.level_from[at], batch.level_from[at + 1]
            columns = (batch.side, batch.tick, batch.lots)
            levels = list(zip(*(column[low:high].tolist() for column in columns), strict=True))
            found.append(
                (
                    *(int(batch.kind[at]), int(batch.clock_ns[at]), int(batch.event_ns[at]), int(batch.recv_ns[at])),
                    *(int(batch.sequence[at]), bool(batch.broken[at]), bool(batch.exact[at]), levels),
                    *(int(batch.file[at]), int(batch.row[at]), batch.trade_id[at].as_py()),
                )
            )
    return found


def expected_of(day):
    return [
        (
            *(event.kind, event.clock, event.event, event.recv, event.sequence, event.broken, event.exact),
            *(event.levels, event.file, event.row, event.trade_id),
        )
        for event in day.events
    ]
