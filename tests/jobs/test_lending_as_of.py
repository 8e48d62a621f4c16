"""The panel as of yesterday is the panel of yesterday, of a lake collected from a chain that reorganises."""

import datetime as dt

import pytest

import tidelake
from tests.jobs.lending_lake import fill
from tests.jobs.lending_truth import assert_panel_is_true, days_of, true_rows
from tests.jobs.served_chains import serving_nodes, settings
from tidelake.lending.panel.files import write_panel
from tidelake.sim.chains.chain import SimChain
from tidelake.sim.chains.truth import Truth

IDS = ("aave_v3_ethereum_lido", "compound_v3_eth_usdc", "morpho_blue_ethereum")
START = dt.date(2025, 3, 1)
DAYS, MORE = 4, 5  # collected at first, and later
GONE = 1  # the day from which on the chain becomes another


@pytest.fixture
def chain():
    return SimChain("ethereum", start=START - dt.timedelta(days=20), days=20 + MORE, markets=IDS)


def reorganise(chain, first):
    """Other blocks from `first` on; of each market the first liquidation in them is gone and the second moves."""
    last = chain.last_of(days_of(START, DAYS)[-1])
    told = [Truth(chain).liquidations(name, first, last) for name in IDS]
    each = [list({one.tx_hash: one.block_number for one in found}.items()) for found in told]
    gone = [found[0][0] for found in each if found]
    moved = {found[1][0]: (found[1][1] + 4) | 1 for found in each if len(found) > 1}
    assert len(gone) > 1
    assert moved
    chain.reorganise(first, gone=gone, moved=moved)


def panel(lake, days, **how):
    return lake.lending_panel(IDS, start=START, end=START + dt.timedelta(days=days), **how)


def test_after_prices_were_restated_and_a_reorganisation_was_corrected(tmp_path, chain):
    lake, chains = tidelake.open(tmp_path / "lake"), {"ethereum": chain}
    end = START + dt.timedelta(days=DAYS)
    with serving_nodes(chain, {"one": "", "two": ""}) as addresses:
        assert lake.lending.collect(IDS, START, end, settings(addresses)).exit_code == 0
        fill(lake)
        before, yesterday = panel(lake, DAYS), dt.datetime.now(dt.UTC)
        first_truth = true_rows(chains, IDS, days_of(START, DAYS))
        assert_panel_is_true(before.rows, first_truth)
        files = write_panel(lake.store, panel(lake, DAYS, as_of=yesterday), tmp_path / "yesterday")

        reorganise(chain, chain.last_of(days_of(START, GONE)[-1]) + 1)
        (row,) = lake.lending.recheck(settings=settings(addresses)).rows
        assert (row.retracted, row.days) == (DAYS - GONE, (DAYS - GONE) * len(IDS))
        lake.derive()
        between = panel(lake, DAYS).rows
        assert (between["status"] == "RETRACTED").to_list() == ([False] * GONE + [True] * (DAYS - GONE)) * len(IDS)
        assert panel(lake, DAYS, as_of=yesterday).rows.equals(before.rows)

        rechecked, report = lake.lending.update(today=START + dt.timedelta(days=MORE), settings=settings(addresses))
        assert (rechecked.exit_code, report.exit_code) == (0, 0), report.summary
    fill(lake, restated=True, refresh=True)
    truth = true_rows(chains, IDS, days_of(START, MORE), restated=True)
    assert_panel_is_true(panel(lake, MORE).rows, truth)
    changed = [key for key, row in first_truth.items() if truth[key].get("liquidations") != row.get("liquidations")]
    assert changed, "the reorganisation took liquidations away"
    then = panel(lake, DAYS, as_of=yesterday)
    assert then.rows.equals(before.rows)
    assert write_panel(lake.store, then, tmp_path / "again") == files
