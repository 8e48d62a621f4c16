"""Providers of simulated chains that go wrong: never a wrong row in the panel, and the status says what happened."""

import datetime as dt

import pytest

import tidelake
from tests.jobs.lending_lake import fill
from tests.jobs.lending_truth import assert_panel_is_true, days_of, true_rows
from tests.jobs.served_chains import serving_nodes, settings
from tidelake.lending.panel.columns import AMOUNTS, OBSERVED
from tidelake.sim.chains.chain import SimChain

IDS = ("aave_v3_ethereum_lido", "compound_v3_eth_usdc")
START, DAYS = dt.date(2025, 3, 1), 4
DAY = dt.timedelta(days=1)
HELD = [name for name in AMOUNTS if not name.name.startswith(("liquidations", "seized", "bad_debt"))]
TAKEN = [name for name in AMOUNTS if name not in HELD]
OF_LOGS = ("liquidations_status", "liquidations", "liquidations_usd", "seized_usd", "bad_debt_usd", "liquidation_terms")
ALL = len(IDS) * DAYS


@pytest.fixture
def chain():
    return SimChain("ethereum", start=START, days=DAYS, markets=IDS)


def collected(tmp_path, chain, plans, **options):
    """A lake of what these nodes told, its rows of the panel, and the report."""
    lake = tidelake.open(tmp_path / "lake")
    with serving_nodes(chain, plans) as addresses:
        report = lake.lending.collect(IDS, START, START + DAYS * DAY, settings(addresses, **options))
    fill(lake)
    return lake, panel(lake), report


def panel(lake):
    return lake.lending_panel(IDS, start=START, end=START + DAYS * DAY).rows


def assert_never_wrong(rows, chain):
    """Each row is the truth, or says that it has none and has no amount; how many days and logs are known."""
    true = true_rows({"ethereum": chain}, IDS, days_of(START, DAYS))
    held, logs = 0, 0
    for row in rows.iter_rows(named=True):
        expected = dict(true[row["market"], row["date"]])
        if row["status"] in OBSERVED:
            held += 1
        else:
            assert all(row[column.name] is None for column in HELD), row
            assert row["reason"] or row["status"] in ("NOT_COLLECTED", "NOT_DEPLOYED"), row
            expected = {name: value for name, value in expected.items() if name in OF_LOGS}
        if row["liquidations_status"] == "OK":
            logs += 1
        else:
            assert row["liquidations_status"] == "UNPROVEN" or all(row[column.name] is None for column in TAKEN), row
            expected = {name: value for name, value in expected.items() if name not in OF_LOGS}
        mine = rows.filter(market=row["market"], date=row["date"])
        assert_panel_is_true(mine, {(row["market"], row["date"]): expected})
    return held, logs


# What a node does; beside one other: market days with amounts, those with all logs, and what the status says.
FAULTS = {
    "answers no logs": ("empty-logs:1", 8, 2, "0 items against"),
    "truncates logs": ("truncated-logs:1", 8, 2, "items against"),
    "changes a log": ("changed-logs:1", 8, 2, "do not agree on eth_getLogs"),
    "lags 50 blocks": ("lag:50", 6, 6, "do not agree on eth_getBlockByNumber"),
    "serves an orphaned block": ("orphan:{from}-{to}", 6, 4, "do not agree on eth_getBlockByNumber"),
    "fails for a day": ("down:2025-03-02", 4, 2, "-32603 Internal error"),
    "has no old state": ("pruned:9000", 8, 2, "pruned history unavailable"),
    "answers nothing of old state": ("pruned-empty:9000", 8, 2, "0 items against"),
}


def plan_of(fault, chain):
    """The plan of a node's faults; where it lags, the last day has ended a few blocks ago alone."""
    if fault == "lags 50 blocks":
        chain.now_s -= 7_000
    place = chain.last_of(START + DAY)
    return FAULTS[fault][0].format(**{"from": place - 3, "to": place + 3})


@pytest.mark.parametrize("fault", FAULTS)
def test_beside_two_others_it_changes_nothing(tmp_path, chain, fault):
    plans = {"bad": plan_of(fault, chain), "one": "", "two": ""}
    _, rows, report = collected(tmp_path, chain, plans, final=fault != "lags 50 blocks")
    assert report.exit_code == 0, report.summary
    assert assert_never_wrong(rows, chain) == (ALL, ALL)


@pytest.mark.parametrize("fault", FAULTS)
def test_beside_one_other_no_row_is_wrong_and_the_status_says_why(tmp_path, chain, fault):
    plans = {"bad": plan_of(fault, chain), "one": ""}
    lake, rows, report = collected(tmp_path, chain, plans, final=fault != "lags 50 blocks")
    _, held, logs, why = FAULTS[fault]
    assert assert_never_wrong(rows, chain) == (held, logs)
    assert report.exit_code == 3
    assert all(why in row.reason for row in report.rows), report.summary
    assert all(why in one.reason for one in lake.lending.status(IDS))


@pytest.mark.parametrize("fault", ["answers no logs", "truncates logs", "changes a log"])
def test_alone_its_logs_are_not_called_complete(tmp_path, chain, fault):
    _, rows, _ = collected(tmp_path, chain, {"bad": plan_of(fault, chain)})
    assert assert_never_wrong(rows, chain) == (ALL, 0)
    assert set(rows["liquidations_status"]) == {"UNPROVEN"}


@pytest.mark.slow
def test_day_on_which_all_failed_has_a_status_and_is_read_when_it_is_tried_again(tmp_path, chain):
    _, rows, report = collected(tmp_path, chain, {"one": "down:2025-03-02", "two": "down:2025-03-02"})
    assert report.exit_code == 3
    assert set(rows.filter(date=START + DAY)["status"]) == {"SOURCE_FAILED"}
    held, _ = assert_never_wrong(rows, chain)
    assert held == 4, "the day before ends beside a block of the day that failed"
    _, rows, report = collected(tmp_path, chain, {"one": "", "two": ""}, retry_failed=True)
    assert report.exit_code == 0, report.summary
    assert assert_never_wrong(rows, chain) == (ALL, ALL)
