"""Logs of contracts that no file lists, of several markets of one chain: each is given to the market that has it."""

import datetime as dt

import tidelake
from tests.jobs.lending_lake import assert_liquidations_are_true
from tests.jobs.lending_truth import days_of
from tests.jobs.served_chains import serving_nodes, settings
from tidelake.sim.chains.chain import SimChain
from tidelake.sim.chains.truth import Truth
from tidelake.tables.derive import Derived

IDS = ("compound_v2_ethereum", "compound_v3_eth_usdc", "venus_ethereum")
START, DAYS = dt.date(2025, 3, 1), 8


def test_two_markets_of_compound_v2_on_one_chain_have_all_their_liquidations(tmp_path):
    chain = SimChain("ethereum", start=START - dt.timedelta(days=20), days=20 + DAYS + 1, markets=IDS)
    lake, days = tidelake.open(tmp_path / "lake"), days_of(START, DAYS)
    with serving_nodes(chain, {"one": "", "two": ""}) as addresses:
        report = lake.lending.collect(IDS, START, START + dt.timedelta(days=DAYS), settings(addresses))
        assert report.exit_code == 0, report.summary
        again = lake.lending.collect(IDS, START, START + dt.timedelta(days=DAYS), settings(addresses))
        assert again.asked.calls <= 2  # the chain's id, and nothing of logs
    derived = lake.derive(["chain_events", "lending_positions", "lending_liquidations"])
    assert all(each.rejected == 0 for each in derived if isinstance(each, Derived))
    assert_liquidations_are_true(lake, {"ethereum": chain}, IDS, days)
    rows = lake.lending_panel(IDS).rows
    assert set(rows["liquidations_status"]) == {"OK"}
    told = {(market, day): count for market, day, count in rows.select("market", "date", "liquidations").iter_rows()}
    for name in IDS[::2]:
        true = {(name, day): len(Truth(chain).liquidations_on(name, day)) for day in days}
        assert sum(true.values()) > 0
        assert {place: told[place] for place in true} == true
