"""The commands on lending markets, against nodes over real HTTP."""

import json

import pytest

from tests.jobs.lending_chain import CHAIN, SOURCE, LendingChain, assert_no_wrong_day
from tests.transport.rpc_node import node
from tidelake.chains.addresses import checksummed
from tidelake.cli.app import run
from tidelake.raw.store import Store

OWN = """
[[market]]
id = "{name}"
protocol = "Compound"
version = "v3"
family = "compound_v3"
title = "{name}"
chain = "gnosis"
tier = "own"
status = "active"
contracts = {{comet = "{comet}"}}
sources = ["{source}"]
doubts = ["since when it is there was not read"]
base = {{symbol = "USDC", address = "{base}", decimals = 6}}
deployment = {{sources = ["{source}"]}}
"""


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """The address of a lake, with the chain's markets as own ones and two nodes in the environment."""
    from tests.jobs.lending_chain import BASE, COMETS

    own = tmp_path / "markets"
    own.mkdir()
    told = [
        OWN.format(name=name, comet=checksummed(comet), source=SOURCE, base=checksummed(BASE))
        for name, comet in COMETS.items()
    ]
    (own / "own.toml").write_text("".join(told))
    monkeypatch.setenv("TIDELAKE_MARKETS", str(own))
    chain = LendingChain()
    options = {"chain_id": CHAIN.chain_id, "answers": chain.answers(), "head": chain.head}
    with node(**options) as one, node(**options) as two:
        monkeypatch.setenv("TIDELAKE_RPC_GNOSIS", f"{one.url}#rps=1000&name=one {two.url}#rps=1000&name=two")
        yield str(tmp_path / "lake")


def tidelake(lake, *words, capsys):
    code = run(["--lake", lake, "--format", "json", *words])
    told = capsys.readouterr()
    return code, json.loads(told.out) if told.out else None, told.err


def collect(lake, capsys, *words):
    start = ("lending", "collect", "--markets", "own", "--start", "2024-01-01", "--end", "2024-01-06")
    return tidelake(lake, *start, *words, capsys=capsys)


def test_collected_by_command_each_day_is_right_and_status_says_so(lake, capsys):
    code, rows, said = collect(lake, capsys, "--dry-run")
    assert (code, [row["planned"] for row in rows]) == (0, [5, 5])
    assert "about" in said
    code, rows, said = collect(lake, capsys)
    assert (code, [(row["market"], row["ok"], row["not_deployed"]) for row in rows]) == (
        0,
        [("one", 5, 0), ("late", 3, 2)],
    )
    assert assert_no_wrong_day(Store.open(lake), LendingChain()) == 10
    code, rows, said = tidelake(lake, "lending", "status", capsys=capsys)
    assert [(row["market"], row["ok"], row["last"], row["failed"]) for row in rows] == [
        ("one", 5, "2024-01-05", 0),
        ("late", 3, "2024-01-05", 0),
    ]
    code, rows, said = tidelake(lake, "lending", "recheck", capsys=capsys)
    assert (code, rows[0]["chain"], rows[0]["retracted"]) == (0, "gnosis", 0)


def test_the_registry_is_listed_and_a_name_that_fits_nothing_is_refused(lake, capsys):
    code, rows, said = tidelake(lake, "lending", "markets", capsys=capsys)
    assert code == 0
    assert {"aave_v3_ethereum", "one"} <= {row["market"] for row in rows}
    code, rows, _ = tidelake(lake, "lending", "markets", "--markets", "morpho_blue", capsys=capsys)
    assert [row["family"] for row in rows] == ["morpho_blue", "morpho_blue"]
    code, _, said = tidelake(lake, "lending", "markets", "--markets", "nothing", capsys=capsys)
    assert code == 1
    assert "no market, tier, family or chain is called 'nothing'" in said


def test_wrong_use_is_told(lake, capsys):
    code, _, said = collect(lake, capsys, "--granularity", "weekly")
    assert code == 2
    assert "daily, hourly, block" in said
    code, _, said = tidelake(lake, "lending", "collect", "--start", "2024-01-02", "--end", "2024-01-02", capsys=capsys)
    assert code == 2
    assert "must be after" in said


def test_the_increment_goes_on_where_the_lake_ends(lake, capsys):
    from datetime import date

    import tidelake as door

    assert collect(lake, capsys)[0] == 0
    rechecked, report = door.open(lake).lending.update(today=date(2024, 1, 7))
    assert rechecked.exit_code == 0
    assert [(row.market, row.ok, row.not_deployed) for row in report.rows] == [("one", 6, 0), ("late", 4, 2)]
