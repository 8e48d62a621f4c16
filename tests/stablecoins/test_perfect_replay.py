"""A delivery full of faults that are mended gives the FINAL windows of a clean one, and those of the facts alone."""

import random

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from tests.stablecoins import batch, histories
from tests.stablecoins.histories import BEGIN, S
from tidelake.stablecoins.machine import Machine
from tidelake.stablecoins.records import AttestationRow, CorrectionRow, IncidentRow, WindowRow

HOW_IT_WAS_LEARNT = {"known_us", "event_version", "confirmation_count"}


def run(setup, seen):
    machine = Machine(setup)
    return [record for one in seen for record in machine.step(one)]


def final(records):
    """FINAL rows by window, without what says how they were learnt; each window is FINAL once."""
    rows = [r for r in records if isinstance(r, WindowRow) and r.window_state == "FINAL"]
    found = {(r.chain, r.window_s, r.window_start_us): r for r in rows}
    assert len(found) == len(rows)
    return {
        key: {k: v for k, v in msgspec.structs.asdict(r).items() if k not in HOW_IT_WAS_LEARNT}
        for key, r in found.items()
    }


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_faults_that_are_mended_leave_the_final_windows_of_a_clean_replay(seed):
    history = histories.make(seed)
    setup = histories.setup()
    clean, faulted = final(run(setup, history.clean)), final(run(setup, history.faulted))
    assert len(clean) > 3 * (history.minutes + history.minutes // 5)
    assert clean.keys() == faulted.keys()
    for key, row in clean.items():
        assert faulted[key] == row


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(500))
def test_many_histories_mended_are_the_clean_ones(seed):
    history = histories.make(seed, minutes=30)
    setup = histories.setup(counted=bool(seed % 2))
    assert final(run(setup, history.faulted)) == final(run(setup, history.clean))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_final_windows_are_what_a_batch_over_the_facts_computes(seed, counted):
    history = histories.make(seed, minutes=10)
    rows = final(run(histories.setup(counted=counted), history.faulted))
    decimals = {"ethereum": 6, "arbitrum": 18}
    for (chain, length, start), row in rows.items():
        which = set(decimals) if counted else {"ethereum"}
        wanted = batch.final_window(history.facts, chain, start, start + length * S, decimals, which)
        parts = msgspec.structs.asdict(row["confidence_breakdown"])
        assert (parts["finality"], parts["cross_chain"], parts["reorg"]) == (1.0, 1.0, 1.0)
        if chain == "":
            wanted.pop("block_number")
        told = {**row, **parts}
        for name in ("staleness", "temporal_confidence"):
            assert told[name] == pytest.approx(wanted.pop(name), rel=1e-12)
        assert {name: told[name] for name in wanted} == wanted, (chain, length, start)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_a_machine_written_down_and_read_back_goes_on_with_the_same_records(seed):
    history = histories.make(seed, minutes=6)
    setup = histories.setup()
    whole = run(setup, history.faulted)
    rng = random.Random(seed)
    machine, records = Machine(setup), []
    for seen in history.faulted:
        if rng.random() < 0.02:
            machine = Machine.load(setup, machine.save())
        records += machine.step(seen)
    assert records == whole


def test_history_has_all_the_faults_that_the_property_speaks_of():
    history = histories.make(7)
    records = run(histories.setup(), history.faulted)
    assert len(history.faulted) > len(history.clean)
    assert sum(isinstance(r, CorrectionRow) for r in records) > 5
    assert {"source_down", "source_back"} <= {r.kind for r in records if isinstance(r, IncidentRow)}
    revised = [r for r in records if isinstance(r, WindowRow) and r.event_version > 5]
    assert revised
    assert not [r for r in records if isinstance(r, IncidentRow) and r.kind in ("refused", "finality_violated")]


def test_versions_rise_by_one_and_knowledge_never_goes_back():
    records = run(histories.setup(), histories.make(11).faulted)
    known, versions = 0, {}
    for row in (r for r in records if isinstance(r, WindowRow)):
        assert row.known_us >= known
        known = row.known_us
        assert row.event_version == versions.get(row.window_id, 0) + 1
        versions[row.window_id] = row.event_version


def test_attestations_form_one_chain_for_each_scope_and_length_alike_however_the_facts_came():
    history = histories.make(3)
    chains = []
    for seen in (history.clean, history.faulted):
        found = [r for r in run(histories.setup(), seen) if isinstance(r, AttestationRow)]
        chains.append({(r.chain, r.window_s, r.sequence): r.sha256 for r in found})
        assert all(r.temporal_confidence >= 0.8 for r in found)
    assert chains[0] == chains[1]
    assert chains[0]


def test_windows_begin_where_the_setup_says():
    rows = final(run(histories.setup(), histories.make(1).clean))
    assert min(start for _, _, start in rows) == BEGIN
