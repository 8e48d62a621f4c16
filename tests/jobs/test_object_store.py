"""All jobs on an S3 API, against a simulated venue: reports, tables, proofs and exports are those of a folder."""

import json
from dataclasses import replace
from itertools import count
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import tidelake
from tests.jobs.conftest import HOUR, MINUTE, START, World
from tidelake.cli.app import run
from tidelake.jobs.backfill import backfill
from tidelake.jobs.candles import fetch_candles
from tidelake.jobs.ingest import ingest
from tidelake.jobs.instruments import refresh
from tidelake.jobs.repair import repair
from tidelake.jobs.report import Outcome, Report
from tidelake.sim.faults import FaultPlan
from tidelake.sim.market import Market
from tidelake.sim.recordings import write_cryptofeed
from tidelake.tables.registry import TABLES

RECORDED_NS = 1_714_521_600_000_000_000  # 2024-05-01
OF_THE_RUN = ("segment", "known_at")  # lines hold the monotonic clock, and notes the clock of the machine
ASKED = (
    "select source, symbol, count(*) n, round(sum(size), 6) size from trades group by all order by all",
    "select source, symbol, first, last, count from ledger where symbol is not null order by all",
    "select reason, recv_ns from quarantine order by all",
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    write_cryptofeed(folder, Market(1, start_ns=RECORDED_NS), RECORDED_NS, RECORDED_NS + 30 * 10**9)
    return folder


class Door:
    """The command line on one lake."""

    def __init__(self, url: str, capsys) -> None:
        self.url = url
        self.capsys = capsys

    def ask(self, *args: str):
        """The exit code and the JSON of a command."""
        self.capsys.readouterr()
        code = run([*args, "--lake", self.url, "--format", "json", "--quiet"])
        out, err = self.capsys.readouterr()
        assert code in (0, 3), err
        return code, json.loads(out)


def rows_of(report: Report) -> list[Outcome]:
    return [replace(row, seconds=0.0) for row in report.rows]


def collect(w: World, door: Door, recorded: Path) -> list[object]:
    """Ingest, backfill, repair, list products, fetch candles, import, derive; what each said."""
    ticks = count()  # no two pages come at once: which comes first would go by the names of their segments
    settings = replace(w.settings, clock=lambda: w.now[0] + next(ticks) * 1_000)
    start, symbols = START - 4 * HOUR, [w.symbol]
    reports = [ingest(w.store, w.source, symbols, settings=settings)]
    w.now[0] += 10 * MINUTE
    reports.append(ingest(w.store, w.source, symbols, settings=settings))
    reports.append(backfill(w.store, w.source, symbols, start, start + HOUR, settings=settings))
    w.server.apis[w.source].injector.plan = FaultPlan()
    reports.append(repair(w.store, w.source, settings=settings))
    reports.append(refresh(w.store, [w.source], settings=settings))
    reports.append(fetch_candles(w.store, w.source, symbols, start=START - HOUR, settings=settings))
    said = [rows_of(report) for report in reports]
    return [*said, door.ask("import", str(recorded), "--from", "cryptofeed"), door.ask("derive")]


def tables(url: str) -> dict[str, pl.DataFrame]:
    lake = tidelake.open(url)
    found = {}
    for name, table in TABLES.items():
        rows = lake.scan(name).collect()
        found[name] = rows.drop(OF_THE_RUN, strict=False).sort(*(each for each in table.key if each not in OF_THE_RUN))
    return found


def assert_equal_tables(found: dict[str, pl.DataFrame], expected: dict[str, pl.DataFrame]) -> None:
    for name in TABLES:
        assert_frame_equal(found[name], expected[name])


def looked_at(door: Door) -> list[object]:
    """What the reading commands say of a lake."""
    counts = [{k: t[k] for k in ("table", "rows")} for t in door.ask("status")[1] if t["rows"]]
    asked = [door.ask("sql", query) for query in ASKED]
    bars = [door.ask("candles", "BTC-USD", i, "--source", "coinbase") for i in ("1m", "5m")]
    known = door.ask("sql", "select count(*) n from trades", "--as-of", "2024-01-01")
    covered = door.ask("coverage", "--intervals")
    return [counts, asked, known, covered, door.ask("verify"), [[drop_place(row) for row in rows] for _, rows in bars]]


def drop_place(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name not in OF_THE_RUN}


def explained(door: Door) -> list[str]:
    """The frames of three trades, each found by its own place."""
    wanted = "from trades where source = 'coinbase' order by symbol, trade_seq limit 3"
    frames = []
    for row in door.ask("sql", f"select segment, line, item, trade_id {wanted}")[1]:
        found = door.ask("explain", f"{row['segment']}:{row['line']}:{row['item']}")[1]
        assert row["trade_id"] in found["frame"]["payload"]
        frames.append(found["frame"]["payload"])
    return frames


def exported(door: Door, folder: Path) -> dict[str, bytes]:
    assert door.ask("export", str(folder))[0] == 0
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_every_job_on_s3_gives_what_it_gives_on_disk(world, recorded, s3_lake_url, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TIDELAKE_SPOOL", str(tmp_path / "spool"))
    faults = "5xx:#2,torn:#4,lost-run:4500-4520"
    here, there = world("coinbase", faults), world("coinbase", faults, lake=s3_lake_url)
    disk, s3 = Door(here.store.url, capsys), Door(s3_lake_url, capsys)

    assert collect(there, s3, recorded) == collect(here, disk, recorded)
    before = tables(disk.url)
    assert {name for name, rows in before.items() if rows.height} >= {"trades", "candles", "instruments"}
    assert there.missing(START - 4 * HOUR, START - 3 * HOUR) == []
    assert_equal_tables(tables(s3.url), before)
    assert looked_at(s3) == looked_at(disk)
    assert explained(s3) == explained(disk)
    assert exported(s3, tmp_path / "s3") == exported(disk, tmp_path / "disk")

    for door in (s3, disk):
        assert door.ask("maintain", "--keep-days", "0.05")[0] == 0
        assert sum(row["rows_added"] for row in door.ask("derive")[1]) == 0
    assert_equal_tables(tables(s3.url), before)

    for door in (s3, disk):
        assert door.ask("derive", "--rebuild")[0] == 0
    assert_equal_tables(tables(s3.url), before)
    assert looked_at(s3) == looked_at(disk)
