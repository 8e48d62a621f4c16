"""`books assess` over ready files: which days, what is told of each, and with which exit code."""

import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest

from tests.books.assessment.market_day import DAY, HOUR_NS, MIDNIGHT_NS, MarketDay, clean_day, hour
from tests.raw.files import manifest_of
from tidelake.books.ready import acquire_lane, file_meta
from tidelake.cli.app import run
from tidelake.errors import NotInLake
from tidelake.jobs.assess import Asked, assess, planned_days
from tidelake.raw.sealed_files import FileLane
from tidelake.raw.store import Store

NEXT = DAY + dt.timedelta(days=1)


def make_ready(store: Store, folder: Path, day: dt.date, market: MarketDay) -> None:
    """Seals the day's tables as Crypto Lake's files of BTC-USDT."""
    shift = (day - DAY).days * 24 * HOUR_NS
    tables = {"book_delta_v2": market.deltas, "book": market.snapshots, "trades": market.trades}
    for table, given in tables.items():
        rows = given.with_columns(pl.col("origin_time", "received_time") + shift)
        path = folder / f"{table}-{day}.parquet"
        rows.write_parquet(path)
        clocks = MIDNIGHT_NS + shift, MIDNIGHT_NS + shift + 24 * HOUR_NS - 1
        meta = file_meta("crypto-lake", table, "BINANCE", "BTC-USDT", "BTC-USDT", day, *clocks)
        lane = FileLane(store, acquire_lane("crypto-lake", table, "BINANCE", "BTC-USDT"))
        manifest = manifest_of(path, f"{table}/dt={day}/1.parquet", len(rows))
        lane.seal(path, manifest, source="binance-spot", recv_ns=10, meta=meta)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days: one without a fault, and one without an hour of deltas."""
    folder = tmp_path_factory.mktemp("assess")
    store = Store.open(folder / "lake")
    day = clean_day()
    make_ready(store, folder, DAY, day)
    make_ready(store, folder, NEXT, day.changed(deltas=day.deltas.filter(~hour("received_time", 10, 11))))
    return folder / "lake"


def test_plan_lists_days_and_reads_nothing(lake: Path):
    days = planned_days(Store.open(lake), Asked(start=DAY, end=NEXT))
    rows = len(clean_day().deltas) + 2_880 + 14_400
    assert [(day.day, day.tables, day.files, day.rows) for day in days] == [
        (DAY, "book, book_delta_v2, trades", 3, rows)
    ]


def test_days_are_judged_apart_and_the_worst_tells_the_exit_code(lake: Path):
    seen = []
    report = assess(Store.open(lake), Asked(), progress=lambda done, total=None, what="": seen.append((done, total)))
    good, bad = report.rows
    assert (good.day, good.worst, good.strategy, good.serious, good.warnings) == (
        DAY,
        "fine",
        "full_event_replay",
        0,
        0,
    )
    assert (good.compared, good.agreeing) == (2_879, 2_879)
    assert good.offset_ms == pytest.approx(22.5, rel=0.01)
    assert (bad.day, bad.worst, bad.strategy, bad.serious) == (NEXT, "serious", "full_event_replay", 2)
    assert report.exit_code == 3
    assert "Nothing from 09:59:59 to 11:00:01 UTC" in report.summary
    assert report.summary.endswith("2 days assessed, 1 fit for a full replay")
    assert seen[-1][0] == seen[-1][1] == good.rows + bad.rows
    assert assess(Store.open(lake), Asked(end=NEXT)).exit_code == 0


def test_what_is_not_ready_is_refused_with_what_is(lake: Path):
    with pytest.raises(
        NotInLake, match="ready are 2 days, such as crypto-lake binance-spot BTC-USDT 2024-08-08"
    ) as caught:
        assess(Store.open(lake), Asked(symbol="ETH-USDT"))
    assert len(caught.value.available) == 2


def test_file_that_cannot_be_read_spoils_its_day_alone(lake: Path, tmp_path: Path):
    store = Store.open(tmp_path / "lake")
    day = clean_day()
    make_ready(store, tmp_path, DAY, day)
    make_ready(store, tmp_path, NEXT, day.changed(trades=day.trades.drop("price")))
    good, bad = assess(store, Asked()).rows
    assert (good.worst, bad.worst, bad.strategy) == ("fine", "serious", "none")
    assert "no column price" in bad.reason


def test_command_writes_all_reports(lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    files = {name: tmp_path / f"report.{name}" for name in ("json", "md", "html")}
    options = ["--json", str(files["json"]), "--markdown", str(files["md"]), "--html", str(files["html"])]
    chosen = ["--start", f"{DAY}", "--sample", "1h", "--format", "json"]
    code = run(["--lake", str(lake), "books", "assess", *chosen, *options])
    rows = json.loads(capsys.readouterr().out)
    assert code == 0  # the hour that is missing comes later
    assert [row["day"] for row in rows] == ["2024-08-08", "2024-08-09"]
    assert rows[0]["rows"] == sum(
        len(table.filter(pl.col("received_time") < MIDNIGHT_NS + HOUR_NS))
        for table in (clean_day().deltas, clean_day().snapshots, clean_day().trades)
    )
    told = json.loads(files["json"].read_text())
    assert told[0]["figures"]["tables"]["deltas"]["messages"] == 1_800
    assert told[0]["choice"]["strategy"] == "full_event_replay"
    assert files["md"].read_text().startswith("# What these files are worth: binance-spot BTC-USDT from crypto-lake")
    assert "plotly" in files["html"].read_text()


def test_dry_run_lists_days(lake: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["--lake", str(lake), "books", "assess", "--dry-run", "--format", "json"]) == 0
    assert [row["files"] for row in json.loads(capsys.readouterr().out)] == [3, 3]
