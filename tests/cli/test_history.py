import csv
import io
import json

from tests.jobs.test_acquire import lake_source
from tests.vendor_files import DAY, lake_path
from tidelake.books.ready import ready_files
from tidelake.cli.app import run
from tidelake.raw.store import Store

ASK = [
    "books",
    "acquire",
    "--vendor",
    "crypto-lake",
    "--exchange",
    "BINANCE",
    "--symbol",
    "BTC-USDT",
    "--start",
    "2024-08-08",
    "--end",
    "2024-08-09",
    "--quiet",
]


def test_acquire_seals_reports_and_exits_with_what_became_of_the_files(tmp_path, capsys):
    root, lake = lake_source(tmp_path / "source", [DAY]), str(tmp_path / "lake")
    place = ["--from", str(root), "--lake", lake]
    assert run([*ASK, *place, "--dry-run", "--format", "json"]) == 0
    assert {row["state"] for row in json.loads(capsys.readouterr().out)} == {"planned"}
    assert not (tmp_path / "lake").exists()
    assert run([*ASK, *place, "--table", "book", "--table", "trades", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["table"], row["state"], row["rows"]) for row in rows] == [
        ("book", "acquired", "100"), ("trades", "acquired", "200"),
    ]  # fmt: skip
    (root / lake_path("book_delta_v2")).write_bytes(b"PAR1")
    assert run([*ASK, *place]) == 3
    capsys.readouterr()
    assert run(["verify", "--lake", lake, "--quiet"]) == 0


def test_wrong_use_is_told(tmp_path, capsys):
    place = ["--from", str(tmp_path), "--lake", str(tmp_path / "lake")]
    assert run([*ASK, *place, "--end", "2024-08-08"]) == 2
    assert run([*ASK, *place, "--start", "today"]) == 2
    assert "2024-08-08" in capsys.readouterr().err
    assert run([*ASK, *place, "--exchange", "NOWHERE"]) == 1
    assert "BINANCE" in capsys.readouterr().err
    assert run(["import", str(tmp_path), "--from", "tardis", "--lake", str(tmp_path)]) == 1
    assert "books acquire --vendor tardis" in capsys.readouterr().err


def test_explain_shows_a_row_of_a_file(tmp_path, capsys):
    root = lake_source(tmp_path / "source", [DAY])
    lake = ["--lake", str(tmp_path / "lake")]
    assert run([*ASK, *lake, "--from", str(root)]) == 0
    (file,) = ready_files(Store.open(tmp_path / "lake"), table="trades")
    capsys.readouterr()
    assert run(["explain", f"{file.segment}:3", *lake, "--format", "json"]) == 0
    assert '"trade_id": "1003"' in capsys.readouterr().out
