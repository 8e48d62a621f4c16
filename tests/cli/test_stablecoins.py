"""The commands on stablecoins."""

import json

import pytest

from tests.jobs.coin_server import serving_coins
from tests.stablecoins import crisis
from tidelake.cli.app import run
from tidelake.raw.store import Store


@pytest.fixture(autouse=True)
def without_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDELAKE_COINS", raising=False)


def coins(capsys, *words):
    code = run(["--format", "json", "stablecoins", "coins", *words])
    told = capsys.readouterr()
    return code, json.loads(told.out) if told.out else None, told.err


def test_coins_are_listed_and_said_to_be_without_problem(capsys):
    code, rows, said = coins(capsys)
    assert code == 0
    assert len(rows) == 15
    assert "15 coins, no problem found" in said
    (busd,) = [row for row in rows if row["coin"] == "BUSD"]
    assert (busd["start"], busd["end"], busd["deployments"], busd["counted"]) == ("2019-09-05", "2023-02-21", 6, 1)


def test_coins_of_a_day_leave_out_one_that_has_ended(capsys):
    _, rows, _ = coins(capsys, "--at", "2023-02-22")
    assert len(rows) == 14
    assert "BUSD" not in {row["coin"] for row in rows}


def test_deployments_of_a_coin_or_chain_are_listed(capsys):
    _, rows, _ = coins(capsys, "--coins", "USDC", "--deployments")
    assert [row["chain"] for row in rows] == [
        "ethereum", "arbitrum", "base", "polygon", "optimism", "avalanche", "solana", "bnb",
    ]  # fmt: skip
    assert [row["coin"] for row in rows if not row["counted"]] == ["USDC"]
    _, rows, _ = coins(capsys, "--coins", "gnosis", "--deployments")
    assert [(row["coin"], row["chain"]) for row in rows] == [("GHO", "gnosis")]


def test_coin_that_is_none_is_refused_and_the_known_are_listed(capsys):
    code, rows, said = coins(capsys, "--coins", "USTC")
    assert (code, rows) == (1, None)
    assert "no coin or chain is called 'USTC'" in said


def test_problem_in_a_file_of_yours_is_wrong_use(capsys, tmp_path, monkeypatch):
    (tmp_path / "mine.toml").write_text("[[coin]]\n")
    monkeypatch.setenv("TIDELAKE_COINS", str(tmp_path))
    code, rows, said = coins(capsys)
    assert (code, rows) == (2, None)
    assert "mine.toml" in said


def test_watch_asks_for_nodes_and_for_coins_that_there_are_and_makes_no_lake_without(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TIDELAKE_LAKE", str(tmp_path / "lake"))
    monkeypatch.delenv("TIDELAKE_RPC_ETHEREUM", raising=False)
    assert run(["stablecoins", "watch", "USDC", "--no-polls", "--for", "1s"]) == 2
    assert "set TIDELAKE_RPC_ETHEREUM" in capsys.readouterr().err
    assert run(["stablecoins", "watch", "USDX"]) != 0
    assert "no coin is called 'USDX'" in capsys.readouterr().err
    assert not (tmp_path / "lake").exists()


def test_backfilled_past_is_planned_fetched_and_replayed_from_the_lake(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TIDELAKE_LAKE", str(tmp_path / "lake"))
    words = ["--format", "json", "stablecoins", "backfill", "USDC"]
    words += ["--start", "2023-11-14", "--end", "2023-11-15", "--sources", "coingecko"]
    with serving_coins() as server:
        words += ["--url", server.url]
        assert run([*words, "--dry-run"]) == 0
        (row,) = json.loads(capsys.readouterr().out)
        assert (row["source"], row["state"], row["requests"], server.asked) == ("coingecko", "planned", 1, {})
        assert not (tmp_path / "lake").exists()
        assert run(words) == 0
        told = capsys.readouterr()
        assert (json.loads(told.out)[0]["facts"], "coingecko: done, 1 requests" in told.err) == (25, True)
        assert run(words) == 0
        assert json.loads(capsys.readouterr().out)[0]["state"] == "held"
    assert run(["stablecoins", "replay", "--from", "lake", "--assume-latency", "90s", "--coins", "USDC"]) == 0
    assert "observations" in capsys.readouterr().err
    assert run(["stablecoins", "windows", "USDC", "--window", "300"]) == 0
    assert "2023-11-14" in capsys.readouterr().out


def test_backfill_of_no_coin_no_source_or_a_span_that_ends_before_it_begins_is_refused(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TIDELAKE_LAKE", str(tmp_path / "lake"))
    for words, told in (
        (["USDX", "--start", "2023-11-14"], "no coin is called 'USDX'"),
        (["USDC", "--start", "2023-11-14", "--sources", "gecko"], "no source of coins 'gecko'"),
        (["USDC", "--start", "2023-11-14", "--end", "2023-11-13"], "before"),
    ):
        assert run(["stablecoins", "backfill", *words]) != 0
        assert told in capsys.readouterr().err


@pytest.fixture
def replayed(capsys, tmp_path):
    """Replays a depeg with the words given, and tells the exit code and the alerts."""
    prices = tmp_path / "history" / "ethereum" / "price.csv"
    prices.parent.mkdir(parents=True)
    rows = [
        f"2024-01-15T00:{minute:02d}:10Z,{coin},{price}"
        for minute in range(30)
        for coin, price in (("USDC", 0.9 if 10 < minute < 14 else 1.0), ("USDT", 1.0), ("DAI", 1.02))
    ]
    prices.write_text("\n".join(["timestamp,coin,price", *rows]) + "\n")

    def replay(*words):
        lake = str(tmp_path / "-".join(("lake", *words)))
        code = run(["--lake", lake, "--format", "json", "stablecoins", "replay", str(tmp_path / "history"), *words])
        return code, json.loads(capsys.readouterr().out)

    return replay


def test_replay_in_shards_lists_the_alerts_of_one_process(replayed):
    alone = replayed()
    assert replayed("--shards", "2") == alone
    assert {alert["coin"] for alert in alone[1]} == {"USDC", "DAI"}


def test_replay_in_pathway_lists_the_alerts_of_one_process(replayed):
    pytest.importorskip("pathway")
    assert replayed("--runner", "pathway") == replayed()


@pytest.mark.parametrize("words", [("--bus", "redis://x"), ("--runner", "pathway", "--shards", "2")])
def test_replay_with_words_that_exclude_each_other_is_wrong_use(words, capsys, tmp_path):
    assert run(["--lake", str(tmp_path / "lake"), "stablecoins", "replay", str(tmp_path), *words]) == 2
    assert "--shards" in capsys.readouterr().err
    assert not (tmp_path / "lake").exists()


@pytest.fixture
def lake(tmp_path):
    crisis.replay(Store.open(tmp_path))
    return str(tmp_path)


def asked(capsys, lake, *words, form="json"):
    code = run(["--lake", lake, "--format", form, "stablecoins", *words])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_windows_alerts_and_reasons_are_shown(capsys, lake):
    code, out, said = asked(capsys, lake, "windows", "USDC", "--chain", "all", "--window", "300")
    rows = json.loads(out)
    assert code == 0
    assert [row["price_low"] for row in rows][:6] == [1, 1, 1, 1, 0.95, 1]
    assert "FINAL" in said
    code, out, said = asked(capsys, lake, "alerts")
    assert (code, [row["state"] for row in json.loads(out)]) == (0, ["PROVISIONAL", "CONFIRMED", "CONFIRMED"])
    assert "1 alert, 3 steps" in said
    code, out, _ = asked(capsys, lake, "explain", crisis.window(crisis.BURNT_AT, "ethereum"), form="csv")
    assert code == 0
    assert out.splitlines()[0] == "part,at,name,value,why"
    assert any(line.startswith("correction,") and "invalidated -7 tokens" in line for line in out.splitlines())


def test_table_of_windows_names_the_run_only_where_there_are_several(capsys, lake):
    _, out, _ = asked(capsys, lake, "windows", "USDC", form="table")
    assert out.split()[0] == "window_id"
    crisis.replay(Store.open(lake), "again")
    _, out, _ = asked(capsys, lake, "windows", "USDC", form="table")
    assert out.split()[0] == "run"


def test_coin_that_no_replay_told_of_is_refused(capsys, lake):
    code, _, said = asked(capsys, lake, "windows", "USTC")
    assert (code, "no replay told of a coin 'USTC'; there are USDC" in said) == (1, True)


def test_window_of_a_length_that_there_is_not_is_refused(capsys, lake):
    code, _, said = asked(capsys, lake, "windows", "USDC", "--window", "61")
    assert (code, "no replay told of a length in seconds '61'; there are 300, 60" in said) == (1, True)


def test_page_of_several_replays_asks_for_one_and_names_them(capsys, lake, tmp_path):
    crisis.replay(Store.open(lake), "again")
    code, _, said = asked(capsys, lake, "page", str(tmp_path / "page.html"))
    assert (code, "name one with --run: again, hand" in said) == (1, True)


def test_folder_for_lines_that_cannot_be_made_is_said_before_anything_is_played(replayed, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    words = ["stablecoins", "replay", str(tmp_path / "history"), "--jsonl", str(tmp_path / "file" / "lines")]
    assert run(["--lake", str(tmp_path / "lake"), *words]) == 1
    said = capsys.readouterr().err
    assert ("NotADirectoryError" in said, "defect" in said, "depeg" in said) == (True, False, False)


def test_replay_of_some_coins_alone_is_done_without_a_gap(replayed):
    code, alerts = replayed("--coins", "USDC")
    assert (code, {alert["coin"] for alert in alerts}) == (0, {"USDC"})
