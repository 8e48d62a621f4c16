"""`tidelake lending panel`: rows, files and a page from a lake, and what it says of days without an amount."""

import json

import polars as pl
import pytest

import tidelake
from tests.lending.panel.lakes import AFTER, DAY, MARKET, fill
from tidelake.cli.app import run


@pytest.fixture
def lake_path(tmp_path, monkeypatch):
    path = tmp_path / "lake"
    lake = tidelake.open(path)
    fill(lake.store, monkeypatch)
    lake.derive()
    return path


def test_rows_go_to_stdout_and_a_failed_day_to_the_exit_code(lake_path, capsys):
    asked = ["--lake", str(lake_path), "--format", "json", "lending", "panel", "--markets", MARKET]
    assert run(asked) == 3
    found = capsys.readouterr()
    rows = json.loads(found.out)
    assert [(row["date"], row["status"]) for row in rows] == [(str(DAY), "OK"), (str(AFTER), "SOURCE_FAILED")]
    assert (rows[0]["total_value_usd"], rows[1]["total_value_usd"]) == (10_600.0, None)
    assert "2 rows, 2 days; 1 market days without an amount, 1 whose liquidations are not known" in found.err
    assert run([*asked, "--end", str(AFTER)]) == 0


def test_days_whose_logs_no_table_holds_are_counted_and_exit_with_3(tmp_path, monkeypatch, capsys):
    lake = tidelake.open(tmp_path / "lake")
    fill(lake.store, monkeypatch)
    lake.derive(["lending_positions", "token_prices"])
    asked = ["--lake", str(tmp_path / "lake"), "lending", "panel", "--markets", MARKET, "--end", str(AFTER)]
    assert run(asked) == 3
    assert "0 market days without an amount, 1 whose liquidations are not known" in capsys.readouterr().err


def test_files_and_page_are_written(lake_path, tmp_path, capsys):
    out, page = tmp_path / "panel", tmp_path / "panel.html"
    asked = ["lending", "panel", "--unbalanced", "--out", str(out), "--html", str(page)]
    assert run(["--lake", str(lake_path), "--format", "json", *asked]) == 3
    assert {row["file"] for row in json.loads(capsys.readouterr().out)} == {path.name for path in out.iterdir()}
    assert pl.read_parquet(out / "panel.parquet")["date"].to_list() == [DAY]
    assert "SOURCE_FAILED" in page.read_text()


def test_time_before_anything_was_known_is_refused(lake_path, capsys):
    assert run(["--lake", str(lake_path), "lending", "panel", "--as-of", "2020-01-01T00:00Z"]) == 1
    assert "holds no day of any lending market as of 2020-01-01" in capsys.readouterr().err
