"""The whole path by the command line, on generated recordings: import, derive, look, prove, export."""

import csv
import io
import json
from pathlib import Path

import pytest

from tidelake.cli.app import run
from tidelake.sim.market import Market
from tidelake.sim.recordings import write_cryptofeed

START_NS = 1_714_521_600_000_000_000  # 2024-05-01


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    market = Market(1, start_ns=START_NS)
    return folder, write_cryptofeed(folder, market, START_NS, START_NS + 60 * 10**9)


@pytest.fixture(scope="module")
def lake(recorded, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("lakes") / "lake")
    assert run(["import", str(recorded[0]), "--from", "cryptofeed", "--lake", path, "--quiet"]) == 0
    assert run(["derive", "--lake", path, "--quiet"]) == 0
    return path


@pytest.fixture
def ask(lake, capsys):
    """Runs a command on the lake: (exit code, its JSON, what it said on stderr)."""

    def run_json(*args):
        capsys.readouterr()
        code = run([*args, "--lake", lake, "--format", "json"])
        out, err = capsys.readouterr()
        return code, json.loads(out), err

    return run_json


def test_every_recorded_trade_is_in_one_table(ask, recorded):
    code, rows, _ = ask("sql", "select source, symbol, count(*) n from trades where grain = 'trade' group by all")
    assert code == 0
    counts = {(row["source"], row["symbol"]): row["n"] for row in rows}
    whole = {key: count for key, count in expected(recorded[1]).items() if key[0] != "binance-spot"}
    assert counts == whole


def expected(files):
    """Trades per stream; a stream that several connections recorded counts once."""
    counts = {}
    for file in files:
        for symbol, trades in file.trades.items():
            counts[file.source, symbol] = len(trades)
    return counts


def test_coverage_of_whole_recordings_has_no_gap(ask):
    code, streams, err = ask("coverage", "--source", "coinbase")
    assert code == 0
    assert {(s["symbol"], s["states"], s["gaps"]) for s in streams} == {
        ("BTC-USD", "VALID", 0),
        ("ETH-USD", "VALID", 0),
    }
    assert "2 streams, 0 gaps" in err
    _, intervals, _ = ask("coverage", "--source", "coinbase", "--intervals")
    assert [(i["first"], i["last"] - i["first"] + 1) for i in intervals] == [
        (i["first"], i["count"]) for i in intervals
    ]


def test_removed_frames_are_a_gap_and_exit_code_3(recorded, tmp_path, capsys):
    source = next(recorded[0].glob("COINBASE.ws.*"))
    lines = source.read_bytes().splitlines(keepends=True)
    cut = tmp_path / source.name
    cut.write_bytes(b"".join(lines[: len(lines) // 2] + lines[len(lines) // 2 + 9 :]))
    lake = str(tmp_path / "lake")
    assert run(["import", str(cut), "--from", "cryptofeed", "--lake", lake, "--quiet"]) == 0
    capsys.readouterr()
    assert run(["coverage", "--lake", lake, "--intervals", "--format", "json", "--quiet"]) == 3
    gaps = [row for row in json.loads(capsys.readouterr().out) if row["state"] == "GAP"]
    assert sum(gap["last"] - gap["first"] + 1 for gap in gaps) == 9


def test_coverage_with_a_broken_lane_answers_for_the_others_and_exits_with_1(recorded, tmp_path, capsys):
    lake = tmp_path / "lake"
    assert run(["import", str(recorded[0]), "--from", "cryptofeed", "--lake", str(lake), "--quiet"]) == 0
    broken = sorted((lake / "ledger").glob("import.coinbase.*"))
    for lane in broken:
        entry = lane / "000000000000.json"
        entry.write_bytes(entry.read_bytes().replace(b'"lane":', b'"lain":'))
    capsys.readouterr()
    assert run(["coverage", "--lake", str(lake), "--format", "json"]) == 1
    out, err = capsys.readouterr()
    sources = {row["source"] for row in json.loads(out)}
    assert "kraken" in sources
    assert "coinbase" not in sources
    assert all(lane.name in err for lane in broken)
    assert "all other lanes are" in err


def test_row_is_explained_down_to_its_frame(ask):
    _, rows, _ = ask("sql", "select segment, line, item, trade_id from trades where source = 'coinbase' limit 1")
    row = rows[0]
    code, found, _ = ask("explain", f"{row['segment']}:{row['line']}:{row['item']}")
    assert code == 0
    assert json.loads(found["frame"]["payload"])["trade_id"] == int(row["trade_id"])


def test_verify_finds_nothing_wrong_and_names_a_flipped_bit(ask, lake):
    assert ask("verify")[:2] == (0, [])
    segment = min(Path(lake, "raw").rglob("*.zst"))
    whole = segment.read_bytes()
    try:
        segment.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        code, problems, err = ask("verify")
    finally:
        segment.write_bytes(whole)
    assert code == 1
    assert [Path(problem["key"]).name for problem in problems] == [segment.name]
    assert "1 problems" in err


def test_export_gives_the_same_bytes(ask, recorded, tmp_path):
    code, rows, _ = ask("export", str(tmp_path / "out"))
    assert code == 0
    assert all(row["complete"] for row in rows)
    found = {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {path.name: path.read_bytes() for path in recorded[0].iterdir()}


def test_dry_run_of_import_and_export_touches_nothing(recorded, tmp_path, capsys):
    lake = tmp_path / "lake"
    assert run(["import", str(recorded[0]), "--from", "cryptofeed", "--dry-run", "--lake", str(lake), "-q"]) == 0
    assert not lake.exists()
    lake.mkdir()
    assert run(["export", str(tmp_path / "out"), "--dry-run", "--lake", str(lake), "-q"]) == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_second_import_and_derive_change_nothing(ask, recorded):
    code, files, _ = ask("import", str(recorded[0]), "--from", "cryptofeed")
    assert (code, {file["state"] for file in files}) == (0, {"already imported"})
    code, tables, _ = ask("derive")
    assert code == 0
    assert sum(table["rows_added"] or 0 for table in tables) == 0


def test_wrong_format_is_named(recorded, tmp_path, capsys):
    args = ["import", str(recorded[0]), "--from", "hftbacktest", "--venue", "coinbase", "--lake", str(tmp_path / "l")]
    assert run(args) == 1
    assert capsys.readouterr().err.startswith("FormatDrift: ")


def test_candles_and_status_and_csv(ask, lake, capsys):
    code, bars, _ = ask("candles", "BTC-USD", "1m", "--source", "coinbase")
    assert code == 0
    assert [bar["event_time"] for bar in bars] == ["2024-05-01T00:00:00Z"]
    _, tables, err = ask("status")
    assert {"instruments", "trades", "candles"} <= {table["table"] for table in tables}
    assert " lanes, " in err
    capsys.readouterr()
    assert run(["status", "--lake", lake, "--format", "csv", "-q"]) == 0
    out, err = capsys.readouterr()
    assert [row["table"] for row in csv.DictReader(io.StringIO(out))] == [table["table"] for table in tables]
    assert err == ""


def test_as_of_before_the_recording_knows_nothing(ask):
    assert ask("sql", "select count(*) n from trades", "--as-of", "2024-04-30")[1] == [{"n": 0}]
    assert ask("sql", "select count(*) n from trades", "--as-of", "2024-05-02")[1][0]["n"] > 0


LISTING = [
    ["status"], ["coverage"], ["coverage", "--intervals"], ["maintain"], ["maintain", "--dry-run"], ["repair"],
    ["repair", "--dry-run"], ["conflicts"], ["candles", "BTC-USD"], ["verify"], ["books", "verify"], ["export", "OUT"],
    ["sql", "select 1 one where false"],
]  # fmt: skip


@pytest.mark.parametrize("args", LISTING, ids=" ".join)
def test_an_empty_list_is_the_header_in_csv_and_no_item_in_json(tmp_path, capsys, args):
    lake = tmp_path / "lake"
    lake.mkdir()
    given = [str(tmp_path / "out") if arg == "OUT" else arg for arg in args]
    for form in ("csv", "json"):
        assert run([*given, "--lake", str(lake), "--format", form, "-q"]) == 0
        out = capsys.readouterr().out
        if form == "json":
            assert json.loads(out) == []
        else:
            (header,) = csv.reader(io.StringIO(out))
            assert all(name.isidentifier() for name in header)


@pytest.mark.parametrize("days", ["0", "-1", "nan", "1e12"])
def test_maintain_refuses_to_keep_less_than_an_hour_as_wrong_use(lake, capsys, days):
    assert run(["maintain", "--lake", lake, "--keep-days", days]) == 2
    assert "--keep-days" in capsys.readouterr().err
