"""The command `sim coins`."""

import json

from tidelake.cli.app import run


def sim_coins(capsys, *words):
    code = run(["--format", "json", "sim", "coins", *map(str, words)])
    told = capsys.readouterr()
    return code, json.loads(told.out) if told.out else None, told.err


def test_a_history_is_written_and_its_files_are_listed(capsys, tmp_path):
    words = ("--days", 1, "--coins", "USDC", "--seed", 7, "--crisis", "reorg:ethereum@8h=12")
    code, rows, said = sim_coins(capsys, "--out", tmp_path / "one", *words)
    assert code == 0
    counts = {row["file"]: row["rows"] for row in rows}
    assert counts["ethereum/price.csv"] >= 1_440
    for name, count in counts.items():
        assert (tmp_path / "one" / name).read_text().count("\n") == count + 1
    assert "the truth is in" in said
    sim_coins(capsys, "--out", tmp_path / "two", *words)
    for path in (tmp_path / "one").rglob("*.csv"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()
    sim_coins(capsys, "--out", tmp_path / "other", *words[:-3], 8, *words[-2:])
    one, other = ((tmp_path / name / "ethereum" / "price.csv").read_text() for name in ("one", "other"))
    assert one != other


def test_plain_files_have_no_other_columns(capsys, tmp_path):
    code, rows, _ = sim_coins(
        capsys, "--out", tmp_path, "--days", 1, "--coins", "DAI", "--plain", "--start", "2023-03-10"
    )
    assert code == 0
    assert {row["file"] for row in rows} == {
        "arbitrum/circulating.csv", "arbitrum/liquidity.csv", "arbitrum/price.csv", "arbitrum/supply.csv",
        "ethereum/circulating.csv", "ethereum/liquidity.csv", "ethereum/price.csv", "ethereum/sentiment.csv",
        "ethereum/supply.csv", "volatility.csv",
    }  # fmt: skip
    first, second = (tmp_path / "ethereum" / "price.csv").read_text().splitlines()[:2]
    assert first == "timestamp,coin,price,volume"
    assert second.startswith("2023-03-10T00:00:")


def test_plans_and_folders_that_cannot_be_are_refused(capsys, tmp_path):
    assert sim_coins(capsys, "--out", tmp_path / "a", "--crisis", "storm")[0] == 2
    assert sim_coins(capsys, "--out", tmp_path / "b", "--start", "yesterday")[0] == 2
    assert sim_coins(capsys, "--out", tmp_path / "c", "--chains", "tron")[0] == 2
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine.csv").write_text("x\n")
    code, rows, said = sim_coins(capsys, "--out", tmp_path / "d", "--days", 1)
    assert (code, rows) == (2, None)
    assert "holds something" in said
