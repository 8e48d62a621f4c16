"""Days of vendor files from a seed, small, with everything that vendors' files are known to have."""

import random
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.vendor_files import (
    DAY,
    LAKE_PLACE,
    TARDIS_PLACE,
    day_start_ns,
    lake_book,
    lake_deltas,
    lake_trades,
    renamed,
    write_csv,
    write_parquet,
)

START_NS = day_start_ns(DAY)


@dataclass(frozen=True)
class File:
    path: Path
    table: str
    sha256: str


class Clock:
    """Clocks in whole us, which often stand still and sometimes go back."""

    def __init__(self, rng):
        self.rng, self.recv = rng, START_NS + 10**9

    def tick(self):
        self.recv += self.rng.choice((0, 0, 1, 5, 5, 20, -15 if self.rng.random() < 0.2 else 3)) * 1_000_000
        event = self.recv - self.rng.randrange(0, 9) * 1_000_000
        return self.rng.choice((event, event, event, None, 0, -1)), self.recv


def lake_day(folder, seed):
    """Files of Crypto Lake's three tables, some of them missing or empty."""
    rng = random.Random(seed)
    numbered, steps = rng.random() < 0.75, rng.choice(((1,), (1,), (1,), (1, 1, 1, 2), (3, 7)))
    deltas = delta_rows(rng, steps)
    books = book_rows(rng, [row["sequence_number"] for row in deltas])
    trades = trade_rows(rng)
    tables = {"trades": trades, "book_delta_v2": deltas, "book": books}
    files = []
    for table, rows in tables.items():
        if rng.random() < 0.12:
            continue
        if not numbered and table != "trades":
            fate = rng.choice(("absent", "null", "zero", "some"))
            for row in rows:
                keep = fate == "some" and rng.random() < 0.9
                row["sequence_number"] = row["sequence_number"] if keep else 0 if fate == "zero" else None
                if fate == "absent":
                    del row["sequence_number"]
        rows = shuffled(rng, rows)
        files += lake_parts(rng, folder, table, rows)
    return files


def delta_rows(rng, steps):
    clock, number, rows = Clock(rng), 100, []
    count = rng.choice((0, 3, 40, 120, 120, 120, 120))
    anew = rng.randrange(120) if rng.random() < 0.25 else None
    lost = rng.sample(range(count), min(count, rng.choice((0, 1, 1, 30))))
    for message in range(count):
        number += rng.choice(steps) + (rng.randint(1, 9) if message in lost else 0)
        if message == anew:
            number, clock.recv = 1, clock.recv + 200 * 10**9
        event, recv = clock.tick()
        levels = [
            {
                "origin_time": event,
                "received_time": recv,
                "sequence_number": number,
                "side_is_bid": rng.random() < 0.5,
                "price": (6_000_000 + rng.randrange(40)) / 100,
                "size": rng.choice((0, 0, 1, 5, 1200, 33)) / 1000,
                **LAKE_PLACE,
            }
            for _ in range(rng.randint(1, 4))
        ]
        rows += levels
        while rng.random() < 0.08:
            later = rng.choice((0, 0, 5_000_000))
            rows += [{**row, "received_time": recv + later} for row in levels]
        if rng.random() < 0.05:
            rows.append({**levels[0], "size": 0.777})
            rows += [{**row, "received_time": recv + 5_000_000} for row in rng.choice(([], levels[:1], levels))]
    return rows


def book_rows(rng, numbers):
    clock, rows = Clock(rng), []
    for _ in range(rng.choice((0, 2, 10, 30))):
        event, recv = clock.tick()
        number = rng.choice(numbers) if numbers and rng.random() < 0.7 else rng.randint(90, 400)
        row = {"origin_time": event, "received_time": recv, "sequence_number": number, **LAKE_PLACE}
        told = rng.randint(0, 3)
        for level in range(20):
            for side, sign in (("bid", -1), ("ask", 1)):
                there = level < told and rng.random() < 0.95
                empty = rng.choice((None, float("nan")))
                row[f"{side}_{level}_price"] = (6_000_020 + sign * (level + 1)) / 100 if there else empty
                row[f"{side}_{level}_size"] = rng.choice((0, 1, 25, 4000)) / 1000 if there else empty
        rows += [row] * rng.choice((1, 1, 1, 1, 2))
    return sorted(rows, key=lambda row: row["sequence_number"]) if rng.random() < 0.7 else rows


def trade_rows(rng):
    clock, rows = Clock(rng), []
    name = rng.choice((str, str, lambda at: f"{at:08x}-x", lambda at: "" if at % 3 else str(at), int))
    for at in range(rng.choice((0, 1, 60))):
        event, recv = clock.tick()
        row = {
            "side": rng.choice(("buy", "sell")),
            "quantity": rng.randint(1, 40) / 10_000,
            "price": (6_000_000 + rng.randrange(40)) / 100,
            "trade_id": name(1000 + at),
            "origin_time": event,
            "received_time": recv,
            **LAKE_PLACE,
        }
        rows += [row] * rng.choice((1, 1, 1, 1, 2))
        if rng.random() < 0.05:
            rows.append({**row, "quantity": 0.5})
        if rng.random() < 0.05:
            rows.insert(rng.randrange(len(rows)), row)
    return rows


def shuffled(rng, rows):
    """The rows, some of them out of place."""
    fate, rows = rng.random(), list(rows)
    if fate < 0.15:
        rng.shuffle(rows)
    elif fate < 0.4 and len(rows) > 5:
        for _ in range(3):
            rows.insert(rng.randrange(len(rows)), rows.pop(rng.randrange(len(rows))))
    return rows


def lake_parts(rng, folder, table, rows):
    """The rows in one to three files, or none in one, in old names or new, integer clocks or timestamps."""
    cuts = sorted(rng.randint(0, len(rows)) for _ in range(rng.choice((0, 0, 1, 2))))
    parts = [rows[low:high] for low, high in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    if rng.random() < 0.15:
        parts.append(parts[0])
    as_time = rng.random() < 0.3
    files = []
    for number, part in enumerate(parts):
        path = folder / table / f"{number}.parquet"
        write_parquet(path, renamed(part) if rng.random() < 0.3 else part, row_group=rng.choice((7, 1000)))
        if not part:
            write_no_rows(path, table)
        elif as_time:
            write_timestamps(path)
        files.append(File(path, table, f"{table}{number}"))
    return files


def write_no_rows(path, table):
    samples = {"trades": lake_trades(1), "book_delta_v2": lake_deltas(1), "book": lake_book(1)}
    pq.write_table(pa.Table.from_pylist(samples[table]).slice(0, 0), path)


def write_timestamps(path):
    table = pq.read_table(path)
    for name in ("origin_time", "received_time", "timestamp", "receipt_timestamp"):
        if name in table.schema.names:
            place = table.schema.get_field_index(name)
            table = table.set_column(place, name, table.column(name).cast(pa.int64()).cast(pa.timestamp("ns", "UTC")))
    pq.write_table(table, path)


def tardis_day(folder, seed):
    """Files of Tardis' three tables, some of them missing or empty."""
    rng = random.Random(seed)
    deltas = tardis_deltas(rng)
    clocks = [row["local_timestamp"] for row in deltas]
    tables = {
        "trades": tardis_trades(rng),
        "incremental_book_L2": deltas,
        "book_snapshot_25": tardis_books(rng, clocks),
    }
    files = []
    for table, rows in tables.items():
        if rng.random() < 0.12 or not rows:
            continue
        half = len(rows) // 2
        parts = [rows] if rng.random() < 0.7 or not half else [rows[:half], rows[half:]]
        for number, part in enumerate(parts):
            path = write_csv(folder / table / f"{number}.csv.gz", part)
            files.append(File(path, table, f"{table}{number}"))
    return files


def tardis_clocks(clock):
    event, recv = clock.tick()
    return {"timestamp": max(event or recv, 0) // 1000, "local_timestamp": recv // 1000}


def number(rng, value, places):
    """A number as text, in one of the ways that it may be written."""
    text = f"{value / 10**places:.{places}f}"
    return rng.choice((text, text, text.rstrip("0").rstrip("."), f"{value}E-{places}", text + "00"))


def tardis_deltas(rng):
    clock, rows = Clock(rng), []
    for message in range(rng.choice((0, 5, 80))):
        whole = rng.random() < 0.05 or (message == 2 and rng.random() < 0.9)
        for _ in range(rng.choice((1, 2)) if whole else 1):
            clocks = tardis_clocks(clock)
            rows += [
                {
                    **TARDIS_PLACE,
                    **clocks,
                    "is_snapshot": "true" if whole else "false",
                    "side": rng.choice(("bid", "ask")),
                    "price": number(rng, 6_000_000 + rng.randrange(40), 2),
                    "amount": number(rng, rng.choice((0, 0, 1, 77, 5000)), 3),
                }
                for _ in range(rng.randint(1, 9 if whole else 4))
            ]
    return rows


def tardis_books(rng, clocks):
    clock, rows = Clock(rng), []
    for _ in range(rng.choice((0, 4, 25))):
        row = {**TARDIS_PLACE, **tardis_clocks(clock)}
        if clocks and rng.random() < 0.6:
            row["local_timestamp"] = rng.choice(clocks)
        told = rng.randint(0, 3)
        for level in range(25):
            for side, sign in (("ask", 1), ("bid", -1)):
                there = level < told and rng.random() < 0.95
                row[f"{side}s[{level}].price"] = number(rng, 6_000_020 + sign * level, 2) if there else ""
                row[f"{side}s[{level}].amount"] = number(rng, rng.choice((0, 1, 900)), 3) if there else ""
        rows += [row] * rng.choice((1, 1, 1, 2))
    return sorted(rows, key=lambda row: row["local_timestamp"]) if rng.random() < 0.8 else rows


def tardis_trades(rng):
    clock, rows = Clock(rng), []
    name = rng.choice((str, str, lambda at: f"{at:08x}-x", lambda at: ""))
    for at in range(rng.choice((0, 1, 60))):
        row = {
            **TARDIS_PLACE,
            **tardis_clocks(clock),
            "id": name(1000 + at),
            "side": rng.choice(("buy", "sell", "unknown")),
            "price": number(rng, 6_000_000 + rng.randrange(40), 2),
            "amount": number(rng, rng.randint(1, 5000), 4),
        }
        rows += [row] * rng.choice((1, 1, 1, 2))
    return rows
