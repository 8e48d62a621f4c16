"""Reconstruction from Parquet to Parquet: rate on one core, memory by the length of the day, one worker and two.

The files are recorded messages of Binance COIN-M, written in the layout of Crypto Lake and copied again and again with
later clocks and numbers: each copy begins with the whole book. A day so made is not a real day, and where copies meet a
snapshot differs. Each figure is taken in a process of its own, after the kernels were compiled once.
"""

import datetime as dt
import hashlib
import json
import multiprocessing
import resource
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.report import Figure, judge

SOURCE, SYMBOL, VENDOR = "binance-coinm", "BTC-USD-PERP", "crypto-lake"
TABLES = ("book_delta_v2", "book", "trades")
DAYS = (dt.date(2024, 8, 8), dt.date(2024, 8, 9))
INPUTS = "recorded messages of Binance COIN-M BTC-USD-PERP in Crypto Lake's layout"
COPIES_OF_TWO = 6
NS = 1_000_000_000
EVERY_NS = 100_000_000
LEVELS_PER_S, ROWS_PER_S, FLAT = 1_000_000, 150_000, 1.25


def figures(captures: Path, work: Path, *, quick: bool) -> list[Figure]:
    """The figures of whole days."""
    exported = _exported(captures, work / "vendor")
    copies = 4 if quick else 24
    _in_process(_lake(exported, work / "warm", 1, DAYS[:1]), EVERY_NS)
    day = _in_process(_lake(exported, work / "day", copies, DAYS[:1]), EVERY_NS)
    every = _in_process(_lake(exported, work / "events", copies, DAYS[:1]), 0)
    short = _in_process(_lake(exported, work / "short", max(copies // 24, 1), DAYS[:1]), EVERY_NS)
    inputs = f"{INPUTS}, {copies} copies one after another"
    return [*_rates(day, every, inputs), _memory(day, short, copies, inputs), _workers(exported, work)]


def _rates(day: dict[str, Any], every: dict[str, Any], inputs: str) -> list[Figure]:
    rate, rows = day["levels"] / day["cpu"], every["rows"] / every["cpu"]
    note = (
        f"processor time, all counted: {day['deltas']:,} levels of deltas and {day['levels'] - day['deltas']:,} of "
        f"snapshots and trades, read twice, {day['rows']:,} rows committed"
    )
    events = (
        f"processor time; {every['rows']:,} rows, one a level; the last of each message, {every['shown']:,} in all, "
        "shows 20 levels of both sides"
    )
    return [
        Figure(
            "reconstruct", "Parquet to Parquet: top of book per event, 20 levels every 100 ms", rate / 1e6,
            "million levels/s", budget="1", verdict=judge(rate >= LEVELS_PER_S), inputs=inputs, note=note,
        ),
        Figure(
            "reconstruct", "Parquet to Parquet: rows with 20 levels, on every event", rows, "rows/s",
            budget=f"{ROWS_PER_S:,}", verdict=judge(rows >= ROWS_PER_S), inputs=inputs, note=events,
        ),
    ]  # fmt: skip


def _memory(day: dict[str, Any], short: dict[str, Any], copies: int, inputs: str) -> Figure:
    ratio = day["mb"] / short["mb"]
    return Figure(
        "reconstruct", f"peak memory of a day of {copies} copies", day["mb"], "MB", peer="a day of one twenty-fourth",
        peer_measured=short["mb"], ratio=ratio, budget=f"flat: {FLAT}x", verdict=judge(ratio <= FLAT), inputs=inputs,
        note="resident, of the whole process",
    )  # fmt: skip


def _workers(exported: Path, work: Path) -> Figure:
    taken = {}
    for workers in (1, 2):
        url = _lake(exported, work / f"workers-{workers}", COPIES_OF_TWO, DAYS)
        started = time.perf_counter()
        _in_process(url, EVERY_NS, workers)
        taken[workers] = time.perf_counter() - started
    return Figure(
        "reconstruct", "two days with two workers", taken[2], "s", peer="one worker", peer_measured=taken[1],
        ratio=taken[1] / taken[2], inputs=f"{INPUTS}, {COPIES_OF_TWO} copies a day",
        note="wall time, starts of processes included; says something only where two cores are free",
    )  # fmt: skip


def _exported(captures: Path, folder: Path) -> Path:
    """The recorded messages in the vendor's layout."""
    from tidelake.jobs.imports import import_recordings
    from tidelake.jobs.vendor_exports import export_to_vendor
    from tidelake.raw.store import Store

    if not folder.exists():
        store = Store.open(folder.parent / "captured")
        import_recordings(store, [captures / "hftbacktest-2024-08" / "cm"], format="hftbacktest")
        export_to_vendor(store, folder, VENDOR, source=SOURCE, symbol=SYMBOL)
    return folder


def _lake(exported: Path, folder: Path, copies: int, days: tuple[dt.date, ...]) -> str:
    """A lake in which the multiplied days are ready; its address."""
    import tidelake

    shutil.rmtree(folder, ignore_errors=True)
    lake = tidelake.open(folder / "lake")
    tables = {table: _read(exported, table) for table in TABLES}
    for day in days:
        for table, path in _multiplied(tables, folder, copies, day).items():
            _make_ready(lake.store, path, table, day)
    return lake.store.url


def _read(exported: Path, table: str) -> pa.Table:
    (path,) = exported.glob(f"{table}/exchange=*/symbol={SYMBOL}/dt={DAYS[0]}/*.parquet")
    return pq.read_table(path, partitioning=None)


def _ns(table: pa.Table, name: str) -> "np.ndarray[Any, np.dtype[np.int64]]":
    found: np.ndarray[Any, np.dtype[np.int64]] = table[name].cast(pa.int64()).to_numpy()
    return found


def _multiplied(tables: dict[str, pa.Table], folder: Path, copies: int, day: dt.date) -> dict[str, Path]:
    deltas = tables["book_delta_v2"]
    clock, number = _ns(deltas, "received_time"), deltas["sequence_number"].to_numpy()
    length, numbers = int(np.ptp(clock)) + 10 * EVERY_NS, int(np.ptp(number)) + 1
    begin = (day - dt.date(1970, 1, 1)).days * 86_400 * NS + 60 * NS
    paths = {}
    for name, table in tables.items():
        paths[name] = folder / f"{name}-{day}.parquet"
        with pq.ParquetWriter(paths[name], table.schema) as writer:
            for copy in range(copies):
                later = begin - int(clock.min()) + copy * length
                writer.write_table(_shifted(table, later, copy * numbers, copy))
    return paths


def _shifted(table: pa.Table, later_ns: int, later_number: int, copy: int) -> pa.Table:
    for place, column in enumerate(table.schema):
        if column.name.endswith("_time"):
            values = pc.add(table[column.name].cast(pa.int64()), later_ns).cast(column.type)
        elif column.name == "sequence_number":
            values = pc.add(table[column.name], later_number)
        elif column.name == "trade_id":
            values = pc.binary_join_element_wise(str(copy + 1), table[column.name].cast(pa.string()), "").cast(
                column.type
            )
        else:
            continue
        table = table.set_column(place, column, values)
    return table


def _make_ready(store: Any, path: Path, table: str, day: dt.date) -> None:
    from tidelake.books.ready import acquire_lane, file_meta
    from tidelake.raw.sealed_files import FileLane
    from tidelake.vendors.registry import vendor

    exchange = vendor(VENDOR).exchange(SOURCE)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    manifest = {
        "sha256": digest,
        "bytes": path.stat().st_size,
        "name": path.name,
        "rows": pq.read_metadata(path).num_rows,
    }
    FileLane(store, acquire_lane(VENDOR, table, exchange, SYMBOL)).seal(
        path,
        json.dumps(manifest).encode(),
        source=SOURCE,
        recv_ns=time.time_ns(),
        meta=file_meta(VENDOR, table, exchange, SYMBOL, SYMBOL, day, 0, 1),
    )


def _in_process(url: str, every_ns: int, workers: int = 1) -> dict[str, Any]:
    spawned = multiprocessing.get_context("spawn")
    ours, theirs = spawned.Pipe()
    child = spawned.Process(target=measure, args=(url, every_ns, workers, theirs))
    child.start()
    theirs.close()
    told: dict[str, Any] = ours.recv()
    child.join()
    return told


def _peak_mb() -> float:
    """Of this process alone: what `getrusage` tells begins with the peak of the process that started it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1e3


def measure(url: str, every_ns: int, workers: int, answer: Any) -> None:
    """Reconstruct all days of a lake in this process, and say what it took."""
    import polars as pl

    from tidelake.jobs.reconstruct import ReconstructSettings, plan_days, reconstruct
    from tidelake.raw.store import Store
    from tidelake.tables.market_events import MARKET_EVENTS
    from tidelake.tables.read import stored

    store = Store.open(url)
    planned = plan_days(store, strategy="full_event_replay")
    report = reconstruct(store, planned, ReconstructSettings(every_ns=every_ns, workers=workers))
    peak = _peak_mb()
    counts = stored(store, MARKET_EVENTS).select(
        deltas=(pl.col("event_type") == "delta").sum(), shown=pl.col("bid_prices").is_not_null().sum()
    )
    (row, *_) = report.rows
    told = {"levels": row.levels, "rows": row.rows, "cpu": row.cpu_seconds, "mb": peak, "state": row.state}
    answer.send(told | counts.collect().to_dicts()[0])
