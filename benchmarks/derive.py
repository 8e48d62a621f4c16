"""Raw JSON lines to the `trades` table, against DuckDB, a row-by-row Pydantic loop and dlt.

Ours reads sealed zstd segments, checks their hash, decodes exact decimals, flips sides, checks each row, looks for
stored rows of the same keys and commits Delta rows sorted. DuckDB copies the same frames, uncompressed and without
envelopes, to Parquet: all fields, types inferred. Pydantic validates each row of the same segments with Decimal fields,
drops repeated keys and writes Parquet; a second, lean loop does the least it can. dlt loads the bare frames into
Parquet files. Pydantic and dlt read a part of the frames; their times are scaled to all of them.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from benchmarks.inputs import Matches, matches
from benchmarks.report import Figure, judge
from benchmarks.timing import Taken, interleaved, take

COUNT, QUICK_COUNT = 1_000_000, 100_000
PYDANTIC_PART, DLT_PART = 10, 40
OVER_DUCKDB, UNDER_PYDANTIC = 1.5, 10.0


def import_matches(work: Path, made: Matches) -> Taken:
    """Imports the frames into a fresh lake at `work/lake`, and the time that takes."""
    from tidelake.jobs.imports import import_recordings
    from tidelake.raw.store import Store

    shutil.rmtree(work / "lake", ignore_errors=True)
    store = Store.open(work / "lake")
    return take(lambda: import_recordings(store, [made.recording], format="cryptofeed", source="coinbase"))


def derive_fresh(lake: Path, count: int) -> None:
    """Drops the `trades` table and derives it again."""
    from tidelake.raw.store import Store
    from tidelake.tables.derive import derive_table
    from tidelake.tables.registry import table

    shutil.rmtree(lake / "tables", ignore_errors=True)
    done = derive_table(Store.open(lake), table("trades"))
    if done.rows_added != count:
        raise AssertionError(f"derived {done.rows_added} rows of {count} trades")


def copy_with_duckdb(frames: Path, out: Path) -> None:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT * FROM read_json('{frames}', format = 'newline_delimited')) TO '{out}' (FORMAT parquet)"
        )


def load_with_pydantic(lake: Path, count: int, out: Path) -> None:
    """The same work, row by row: segment lines to checked models with every column of `trades`, then Parquet."""
    import json
    from datetime import UTC, date as day, datetime
    from typing import Literal

    import pyarrow as pa
    import pyarrow.parquet as pq
    from pydantic import BaseModel, Field

    from tidelake.raw.ledger import Ledger
    from tidelake.raw.segments import iter_frames
    from tidelake.raw.store import Store
    from tidelake.tables.registry import table

    class Trade(BaseModel):
        source: str
        symbol: str
        grain: Literal["trade", "aggregate"]
        trade_id: str
        trade_seq: int | None
        event_time: datetime
        price: Decimal = Field(gt=0, max_digits=38, decimal_places=18)
        size: Decimal = Field(gt=0, max_digits=38, decimal_places=18)
        size_unit: Literal["base", "quote", "contracts"]
        side: Literal["buy", "sell"]
        transport: Literal["ws", "rest", "archive"]
        known_at: datetime
        recv_ns: int
        status: Literal["active", "retracted"]
        segment: str
        line: int
        item: int
        parser_version: int
        mapping_version: str
        date: day

    store = Store.open(lake)
    ledger = Ledger(store)
    rows: dict[tuple[str, str, str, str], dict[str, object]] = {}
    for entry in ledger.entries(ledger.lanes()[0]):
        for line, frame in enumerate(iter_frames(store, entry.segment)):
            if frame.kind != "frame" or len(rows) == count:
                continue
            found = json.loads(frame.payload)
            if found["type"] not in ("match", "last_match"):
                continue
            at = datetime.fromisoformat(found["time"])
            trade = Trade(
                source="coinbase",
                symbol=found["product_id"],
                grain="trade",
                trade_id=str(found["trade_id"]),
                trade_seq=found["trade_id"],
                event_time=at,
                price=found["price"],
                size=found["size"],
                size_unit="base",
                side="buy" if found["side"] == "sell" else "sell",
                transport="ws",
                known_at=datetime.fromtimestamp(frame.recv_ns / 1e9, UTC),
                recv_ns=frame.recv_ns,
                status="active",
                segment=entry.segment.sha256[:16],
                line=line,
                item=0,
                parser_version=1,
                mapping_version="1",
                date=at.date(),
            )
            rows.setdefault((trade.source, trade.symbol, trade.grain, trade.trade_id), trade.model_dump())
        if len(rows) == count:
            break
    made = pa.Table.from_pylist(list(rows.values()), schema=table("trades").schema)
    pq.write_table(made.sort_by([("symbol", "ascending"), ("event_time", "ascending")]), out, compression="zstd")


def load_with_lean_pydantic(frames: Path, out: Path) -> None:
    """The least that a Pydantic loop can do: six fields of a bare frame, parsed and checked in one call."""
    from datetime import datetime
    from typing import Literal

    import pyarrow as pa
    import pyarrow.parquet as pq
    from pydantic import BaseModel

    class Match(BaseModel):
        trade_id: int
        side: Literal["buy", "sell"]
        size: Decimal
        price: Decimal
        product_id: str
        time: datetime

    rows: dict[tuple[str, int], Match] = {}
    with frames.open("rb") as file:
        for line in file:
            match = Match.model_validate_json(line)
            rows.setdefault((match.product_id, match.trade_id), match)
    found = list(rows.values())
    exact = pa.decimal128(38, 18)
    table = pa.table(
        {
            "symbol": [m.product_id for m in found],
            "trade_id": [str(m.trade_id) for m in found],
            "event_time": pa.array([m.time for m in found], pa.timestamp("us", "UTC")),
            "price": pa.array([m.price for m in found], exact),
            "size": pa.array([m.size for m in found], exact),
            "side": ["sell" if m.side == "buy" else "buy" for m in found],
        }
    )
    pq.write_table(table, out, compression="zstd")


def load_with_dlt(frames: Path, folder: Path) -> None:
    import dlt
    import msgspec

    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
    shutil.rmtree(folder, ignore_errors=True)

    @dlt.resource(name="matches", primary_key=["product_id", "trade_id"])  # type: ignore[untyped-decorator]
    def rows() -> Iterator[list[dict[str, object]]]:
        with frames.open("rb") as file:
            while batch := file.readlines(1 << 20):
                yield [msgspec.json.decode(line) for line in batch]

    pipeline = dlt.pipeline(
        pipeline_name="benchmark",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.filesystem(bucket_url=(folder / "out").as_uri()),
        dataset_name="trades",
    )
    pipeline.run(rows(), loader_file_format="parquet")


def _part(made: Matches, share: int) -> Path:
    path = made.frames.with_suffix(f".part{share}")
    if not path.exists():
        with made.frames.open("rb") as file, path.open("wb") as out:
            for _ in range(made.count // share):
                out.write(file.readline())
    return path


def _scaled(part: Taken, share: int) -> Taken:
    return Taken(part.wall * share, part.cpu * share)


def run(work: Path, *, quick: bool) -> list[Figure]:
    made = matches(work, QUICK_COUNT if quick else COUNT)
    imported = import_matches(work, made)
    lake = work / "lake"
    scratch = Path(tempfile.mkdtemp(dir=work))
    part, small = _part(made, PYDANTIC_PART), _part(made, DLT_PART)
    works = {
        "ours": lambda: derive_fresh(lake, made.count),
        "duckdb": lambda: copy_with_duckdb(made.frames, scratch / "duckdb.parquet"),
        "pydantic": lambda: load_with_pydantic(lake, made.count // PYDANTIC_PART, scratch / "pydantic.parquet"),
        "lean pydantic": lambda: load_with_lean_pydantic(part, scratch / "lean.parquet"),
        "dlt": lambda: load_with_dlt(small, scratch / "dlt"),
    }
    found = interleaved(works)
    ours, duckdb = found["ours"], found["duckdb"]
    pydantic = _scaled(found["pydantic"], PYDANTIC_PART)
    lean = _scaled(found["lean pydantic"], PYDANTIC_PART)
    dlt = _scaled(found["dlt"], DLT_PART)
    inputs = f"{made.count:,} {made.label}, {made.bytes / 1e6:.0f} MB of JSON"
    details = {
        "import_s": imported.wall,
        "ours_s": ours.wall,
        "ours_cpu_s": ours.cpu,
        "duckdb_s": duckdb.wall,
        "duckdb_cpu_s": duckdb.cpu,
        "trades_per_s": made.count / ours.wall,
        "cpu_ratio_to_duckdb": ours.cpu / duckdb.cpu,
    }
    shutil.rmtree(scratch)
    ratio, times = ours.wall / duckdb.wall, pydantic.wall / ours.wall
    work_text = "raw segments to `trades`"
    return [
        Figure(
            "derive", f"{work_text}, to DuckDB JSON to Parquet", ours.wall, "s", "DuckDB", duckdb.wall, ratio,
            f"at most {OVER_DUCKDB}x", judge(ratio <= OVER_DUCKDB), inputs,
            f"processor time {ours.cpu:.2f} s to {duckdb.cpu:.2f} s; import before it (seal, claims) "
            f"{imported.wall:.1f} s, not counted", details,
        ),
        Figure(
            "derive", f"{work_text}, to a Pydantic loop doing the same", ours.wall, "s", "Pydantic", pydantic.wall,
            times, f"at least {UNDER_PYDANTIC:.0f}x faster", judge(times >= UNDER_PYDANTIC), inputs,
            f"timed on a {PYDANTIC_PART}th of the frames, scaled", {"pydantic_cpu_s": pydantic.cpu},
        ),
        Figure(
            "derive", f"{work_text}, to a lean Pydantic loop", ours.wall, "s", "Pydantic", lean.wall,
            lean.wall / ours.wall, "", "", inputs,
            "the lean loop reads bare uncompressed frames and keeps six fields: less work than ours",
            {"lean_pydantic_cpu_s": lean.cpu},
        ),
        Figure(
            "derive", f"{work_text}, to dlt", ours.wall, "s", "dlt", dlt.wall, dlt.wall / ours.wall, "", "", inputs,
            f"dlt timed on a {DLT_PART}th of the frames, scaled; its fixed costs are scaled too",
            {"dlt_cpu_s": dlt.cpu},
        ),
    ]  # fmt: skip
