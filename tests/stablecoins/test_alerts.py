"""Alerts: fired at once, surer with each version of their window, ended without flapping, or withdrawn."""

import pytest

from tests.stablecoins.histories import BEGIN, S
from tests.stablecoins.test_machine import MILLION, change, clock, head, price, run, setup
from tidelake.stablecoins.machine import Machine
from tidelake.stablecoins.observation import Observation, Retraction
from tidelake.stablecoins.records import AlertRow
from tidelake.stablecoins.signals import Rules


def steps(records, kind="depeg"):
    return [
        (a.state, a.severity, a.ended_us is not None) for a in records if isinstance(a, AlertRow) and a.kind == kind
    ]


def gauge(feature, second, value, chain="", coin="USDC"):
    at = BEGIN + second * S
    return Observation(feature, at, at, coin, chain, "source", f"source:{coin}:{feature}:{at}", value)


def quiet(first, last, machine, value=1.0):
    return [
        record for second in range(first, last, 60) for record in run(machine, price(second, value), clock(second + 60))
    ]


def test_a_depeg_fires_with_the_price_that_tells_it_not_with_the_end_of_its_window():
    machine = Machine(setup("ethereum"))
    assert steps(run(machine, price(1, 0.9951))) == []
    (first, second) = run(machine, price(5, 0.994))
    assert (first.state, first.severity, first.event_us, first.threshold) == (
        "PROVISIONAL",
        "notice",
        BEGIN + 5 * S,
        0.005,
    )
    assert (second.state, second.confidence) == ("PROBABLE", 0.8)


def test_it_gets_worse_then_is_confirmed_by_the_final_window_and_ends_once():
    machine = Machine(setup("ethereum"))
    told = run(machine, price(1, 0.994), price(2, 0.989), price(3, 0.87), price(4, 0.86))
    assert [step[1] for step in steps(told)] == ["notice", "notice", "warning", "severe"]
    told = run(machine, head(2000, "ethereum", 2000, 2000))
    assert steps(told)[-1] == ("CONFIRMED", "severe", True)  # no price told since: five windows without it
    assert [a.measure for a in told if isinstance(a, AlertRow)][-1] == pytest.approx(0.14)


def test_a_price_that_hovers_about_the_level_is_one_alert():
    machine = Machine(setup("ethereum"))
    records = []
    for second in range(0, 3600, 60):
        value = 0.9949 if second % 120 else 0.9960  # above the level that ends it, 0.997
        records += run(machine, price(second, value), clock(second + 60))
    records += quiet(3600, 4200, machine)
    assert len({a.alert_id for a in records if isinstance(a, AlertRow)}) == 1
    assert [step[2] for step in steps(records)].count(True) == 1


def test_a_second_source_confirms_before_anything_is_final():
    machine = Machine(setup("ethereum", price_sources=2))
    assert steps(run(machine, price(1, 0.95))) == [("PROVISIONAL", "severe", False)]  # half as sure
    told = run(machine, price(2, 0.951, "coinbase"), clock(60))
    assert steps(told)[-1] == ("CONFIRMED", "severe", False)
    assert "a second source agrees" in {a.reason for a in told if isinstance(a, AlertRow)}


def test_one_source_against_another_is_withdrawn_when_its_window_is_final():
    machine = Machine(setup("ethereum", price_sources=2))
    told = run(machine, price(1, 0.5), price(2, 1.0, "coinbase"), clock(60))
    assert steps(told)[0][0] == "PROVISIONAL"
    told = run(machine, head(2000, "ethereum", 2000, 2000))
    assert steps(told)[-1][0] == "WITHDRAWN"


def test_a_depeg_whose_first_window_one_source_saw_alone_is_not_withdrawn_while_all_see_it_grow():
    machine = Machine(setup("ethereum", price_sources=2))
    told = run(machine, price(1, 0.9949), price(2, 0.9951, "coinbase"), clock(60))  # the level is 0.995
    for second in range(60, 1980, 60):
        told += run(machine, price(second, 0.98), price(second + 1, 0.98, "coinbase"), clock(second + 60))
    assert steps(told)[-1] == ("CONFIRMED", "warning", False)
    assert steps(run(machine, head(2000, "ethereum", 2000, 2000))) == []  # its window is FINAL now
    assert len({a.alert_id for a in told if isinstance(a, AlertRow)}) == 1


def test_a_restated_price_withdraws_the_alert_with_its_reason():
    machine = Machine(setup("ethereum"))
    run(machine, price(1, 0.5), price(2, 1.0), clock(60))
    told = run(machine, price(1, 1.0, late=90), clock(120))
    assert steps(told) == [("WITHDRAWN", "severe", False)]
    assert [a.reason for a in told if isinstance(a, AlertRow)] == ["the window, told anew, no longer says so"]


def test_a_mint_beyond_its_share_fires_at_once_and_is_withdrawn_when_the_chain_takes_it_back():
    machine = Machine(setup("ethereum"))
    run(machine, gauge("circulating", 1, 1e9, "ethereum"), head(60, "ethereum"))
    mint = change(70, "ethereum", 60 * MILLION, "big", 5)
    told = run(machine, mint)
    assert [(a.chain, a.state, a.severity) for a in told if isinstance(a, AlertRow)] == [
        ("ethereum", "PROVISIONAL", "severe")
    ]
    run(machine, head(120, "ethereum"), head(300, "ethereum", 200))
    at = BEGIN + 301 * S
    told = run(machine, Observation("retract", at, at, "", "ethereum", "node", told=Retraction((mint.id,))))
    assert steps(told, "mint") == [("WITHDRAWN", "severe", False)] * 2  # of the chain, and over chains


def test_a_mint_becomes_surer_with_its_blocks():
    machine = Machine(setup("ethereum"))
    run(
        machine,
        gauge("circulating", 1, 1e9, "ethereum"),
        head(60, "ethereum"),
        change(70, "ethereum", 60 * MILLION, "m"),
    )
    told = run(machine, head(120, "ethereum"), head(200, "ethereum", 130), head(2000, "ethereum", 2000, 2000))
    mine = [(a.state, a.reason) for a in told if isinstance(a, AlertRow) and a.chain == "ethereum"]
    assert mine[0][0] == "PROBABLE"
    assert mine[-1] == ("CONFIRMED", "the window is FINAL")


def test_liquidity_that_drains_and_a_mood_that_falls():
    machine = Machine(setup("ethereum"))
    for minute in range(10):
        run(machine, gauge("liquidity", minute * 60 + 1, 1e9, "ethereum"), clock(minute * 60 + 60))
    told = run(machine, gauge("liquidity", 601, 0.75e9, "ethereum"), gauge("sentiment", 602, -0.72), clock(660))
    assert steps(told, "liquidity_drain")[0] == ("PROVISIONAL", "warning", False)
    assert steps(told, "sentiment")[0] == ("PROVISIONAL", "warning", False)


def test_volatility_is_measured_by_its_own_median_and_is_not_withdrawn_because_that_moved():
    machine = Machine(setup("ethereum"))
    for minute in range(40):
        run(machine, gauge("volatility", minute * 60 + 1, 0.5, coin=""), clock(minute * 60 + 60))
    records = []
    for minute in range(40, 120):
        records += run(machine, gauge("volatility", minute * 60 + 1, 2.4, coin=""), clock(minute * 60 + 60))
    records += run(machine, head(9000, "ethereum", 9000, 9000))
    found = steps(records, "volatility")
    assert found[0] == ("PROVISIONAL", "notice", False)
    assert "WITHDRAWN" not in {state for state, _, _ in found}


def test_thresholds_are_the_users():
    rules = Rules(depeg=(0.05, 0.1, 0.2), depeg_over=0.04)
    assert steps(run(Machine(setup("ethereum"), rules=rules), price(1, 0.96))) == []
    assert steps(run(Machine(setup("ethereum"), rules=rules), price(1, 0.94)))[0][1] == "notice"


def test_windows_told_anew_as_their_blocks_settle_do_not_make_an_alert_last():
    machine = Machine(setup("ethereum"))
    told = run(machine, price(1, 0.95), price(61, 0.95))
    for minute in range(2, 9):  # each head makes the last loud minute surer, or says that its blocks are known
        at = 60 * minute
        told += run(machine, price(at, 1.0), head(at + 1, "ethereum", at - 60, at - 240), price(at + 30, 1.0))
    (over,) = [a for a in told if isinstance(a, AlertRow) and a.reason.startswith("over")]
    assert over.ended_us == BEGIN + (120 + 5 * 60) * S
