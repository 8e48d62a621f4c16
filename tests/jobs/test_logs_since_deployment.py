"""Logs that are needed since a market's deployment: asked once, in bounded ranges, until nothing is lacking."""

import dataclasses
import datetime as dt
from itertools import pairwise

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

import tidelake
from tests.sim.chains.driving import REGISTRY
from tidelake.chains.registry import chain as chain_spec
from tidelake.jobs import logs_since_deployment
from tidelake.jobs.collect_lending import CollectSettings, collect_lending
from tidelake.jobs.lending_lanes import LogsHeld, logs_held
from tidelake.jobs.lending_recheck import recheck_lending
from tidelake.jobs.lending_status import lending_status
from tidelake.jobs.logs_since_deployment import SinceDeployment
from tidelake.lending.families import morpho_blue
from tidelake.lending.recorded import LogsNote
from tidelake.sim.chains.chain import SimChain
from tidelake.sim.chains.node import SimNode
from tidelake.sim.chains.server import ChainServer
from tidelake.sim.chains.truth import Truth
from tidelake.transport.http import Patience
from tidelake.transport.rates import Pace
from tidelake.transport.rpc_providers import Provider

MARKET = "morpho_blue_ethereum"
START = dt.date(2025, 1, 1)
LATER = dt.datetime(2025, 1, 10, tzinfo=dt.UTC)
QUICK = Patience(attempts=3, total=5.0, timeout=5.0, first_wait=0.001, longest_wait=0.01)


class Noting(SimNode):
    """Keeps what it was asked for logs: first and last block, and first topics.

    Attributes:
        forgets: A first topic: asked for it, it answers no log.
    """

    forgets = ""

    def __init__(self, *args, **how):
        super().__init__(*args, **how)
        self.asked = []

    def _one(self, call):
        if call["method"] == "eth_getLogs":
            told = call["params"][0]
            self.asked.append((int(told["fromBlock"], 16), int(told["toBlock"], 16), tuple(told["topics"][0])))
            if self.forgets in told["topics"][0]:
                return msgspec.json.encode({"jsonrpc": "2.0", "id": call["id"], "result": []})
        return super()._one(call)


@pytest.fixture
def sim():
    chain = SimChain("ethereum", 3, start=START - dt.timedelta(days=4), days=9, markets=[MARKET])
    chain.now_s += 86_400  # so that the last day is final
    nodes = {"one": Noting(chain), "two": Noting(chain)}
    with ChainServer(nodes) as server:
        yield chain, nodes, server


def collect(lake, server, *names, days=5, **options):
    found = [Provider(name, server.url_of(name), requests=Pace(1e6, 1.0)) for name in names]
    settings = CollectSettings(providers=lambda name: found, patience=QUICK, **options)
    return collect_lending(lake.store, [REGISTRY[MARKET]], START, START + dt.timedelta(days=days), settings)


def collateral_in_panel(lake, truth, days):
    """Of each day: what the panel's positions of role collateral say, by market id, and what is true."""
    lake.derive()
    panel = lake.lending_panel([MARKET], start=START, end=START + dt.timedelta(days=days))
    held = panel.facts.positions.filter(pl.col("role") == "collateral")
    for day in (START + dt.timedelta(days=n) for n in range(days)):
        rows = held.filter(pl.col("date") == day)
        told = dict(zip(rows["part"], map(int, rows["supplied_raw"]), strict=True))
        wanted = truth.collateral(MARKET, truth.chain.last_of(day))
        yield told, {part: amount for part, amount in wanted.items() if amount}


def test_collateral_of_each_day_is_what_was_moved_since_the_deployment(tmp_path, sim):
    chain, _, server = sim
    lake = tidelake.open(tmp_path / "lake")
    truth = Truth(chain)
    report = collect(lake, server, "one", "two", days=3)
    assert (report.exit_code, report.rows[0].ok, report.rows[0].state_logs_missing) == (0, 3, 0), report.summary
    found = list(collateral_in_panel(lake, truth, 3))
    assert all(told == wanted for told, wanted in found)
    assert len(found[-1][0]) >= 2
    before = truth.collateral(MARKET, chain.last_of(START - dt.timedelta(days=1)))
    assert before
    panel = lake.lending_panel([MARKET], start=START, end=START + dt.timedelta(days=3))
    assert panel.facts.collateral_days["date"].len() == 3
    first = truth.deployed(MARKET)
    wanted = truth.liquidations(MARKET, first, chain.last_of(START + dt.timedelta(days=2)))
    rows = lake.scan("lending_liquidations").collect()
    assert sorted(rows["tx_hash"]) == sorted(one.tx_hash for one in wanted)


def test_a_second_run_asks_for_the_new_blocks_alone(tmp_path, sim):
    chain, nodes, server = sim
    lake = tidelake.open(tmp_path / "lake")
    collect(lake, server, "one", "two", days=2)
    known = chain.last_of(START + dt.timedelta(days=1))
    before = len(nodes["one"].asked)
    assert collect(lake, server, "one", "two", days=2).asked.requests == 0
    assert len(nodes["one"].asked) == before
    collect(lake, server, "one", "two", days=3)
    later = nodes["one"].asked[before:]
    assert later
    assert {first for first, _, _ in later} == {known + 1}
    assert all(told == wanted for told, wanted in collateral_in_panel(lake, Truth(chain), 3))


def test_ranges_are_bounded_and_each_block_is_in_one(tmp_path, sim, monkeypatch):
    chain, _, server = sim
    monkeypatch.setattr(logs_since_deployment, "RANGE_MS", 12_000 * 500_000)
    lake = tidelake.open(tmp_path / "lake")
    collect(lake, server, "one", "two", days=2)
    first, last = REGISTRY[MARKET].deployment.block, chain.last_of(START + dt.timedelta(days=1))
    notes = [note for note in logs_held(lake.store, "ethereum", None).covered if note.told == "state"]
    spans = sorted((note.first, note.last) for note in notes)
    assert spans[0][0] == first
    assert spans[-1][1] == last
    assert all(before[1] + 1 == after[0] for before, after in pairwise(spans))
    assert max(end - begin for begin, end in spans) < 500_000
    assert len(spans) == last // 500_000 - first // 500_000 + 1
    assert {note.hash_last for note in notes} == {chain.block(end).hash for _, end in spans}


def test_events_that_one_of_two_leaves_out_leave_collateral_unknown_until_they_are_retried(tmp_path, sim):
    _, nodes, server = sim
    nodes["two"].forgets = morpho_blue.SUPPLY_COLLATERAL.topic0
    lake = tidelake.open(tmp_path / "lake")
    report = collect(lake, server, "one", "two", days=2)
    (row,) = report.rows
    assert (report.exit_code, row.ok, row.logs_missing, row.state_logs_missing) == (3, 2, 0, 2)
    assert "do not agree" in row.reason
    nodes["two"].forgets = ""
    asked = len(nodes["two"].asked)
    assert collect(lake, server, "one", "two", days=2).rows[0].state_logs_missing == 2
    assert len(nodes["two"].asked) == asked
    assert collect(lake, server, "one", "two", days=2, retry_failed=True).exit_code == 0
    (status,) = lending_status(lake.store, [REGISTRY[MARKET]], LATER)
    assert (status.ok, status.state_logs_missing) == (2, 0)


def test_after_a_reorganisation_collateral_is_that_of_the_chain_that_stands(tmp_path, sim):
    chain, _, server = sim
    lake = tidelake.open(tmp_path / "lake")
    collect(lake, server, "one", "two", days=2)
    before = Truth(chain).collateral(MARKET, chain.last_of(START + dt.timedelta(days=1)))
    gone = chain.reorganise(chain.last_of(START) + 1).gone
    found = [Provider(name, server.url_of(name), requests=Pace(1e6, 1.0)) for name in ("one", "two")]
    report = recheck_lending(lake.store, [REGISTRY[MARKET]], providers=lambda name: found, patience=QUICK)
    assert (report.rows[0].retracted, report.rows[0].ranges) == (1, 3)
    collect(lake, server, "one", "two", days=2)
    told, wanted = list(collateral_in_panel(lake, Truth(chain), 2))[1]
    assert gone
    assert told == wanted != before


def test_a_market_whose_parts_are_not_known_is_not_read(tmp_path, sim):
    _, nodes, server = sim
    nodes["two"].forgets = morpho_blue.CREATE.topic0
    report = collect(tidelake.open(tmp_path / "lake"), server, "one", "two", days=2)
    assert (report.exit_code, report.rows[0].ok, report.rows[0].not_reached) == (1, 0, 2)
    assert "do not agree" in report.rows[0].reason


def test_without_its_events_collateral_is_null_and_status_and_report_say_so(tmp_path, sim, monkeypatch):
    chain, _, server = sim
    monkeypatch.setattr("tidelake.jobs.chain_logs.ChainLogs.read_state_events", nothing)
    lake = tidelake.open(tmp_path / "lake")
    report = collect(lake, server, "one", "two", days=3)
    assert (report.exit_code, report.rows[0].ok, report.rows[0].state_logs_missing) == (3, 3, 3)
    assert "3 state logs missing" in report.summary
    (status,) = lending_status(lake.store, [REGISTRY[MARKET]], LATER)
    assert (status.ok, status.state_logs_missing) == (3, 3)
    lake.derive()
    panel = lake.lending_panel([MARKET], start=START, end=START + dt.timedelta(days=3))
    assert panel.rows["collateral_usd"].null_count() == 3
    assert panel.facts.collateral_days.is_empty()
    monkeypatch.undo()
    assert collect(lake, server, "one", "two", days=3).exit_code == 0
    assert all(told == wanted for told, wanted in collateral_in_panel(lake, Truth(chain), 3))


def test_events_that_one_provider_alone_told_are_counted_as_unproven_and_asked_of_two_later(tmp_path, sim):
    chain, _, server = sim
    lake = tidelake.open(tmp_path / "lake")
    assert collect(lake, server, "one", days=2).rows[0].state_logs_missing == 0
    (status,) = lending_status(lake.store, [REGISTRY[MARKET]], LATER)
    assert (status.state_logs_missing, status.state_logs_unproven, status.logs_unproven) == (0, 2, 2)
    assert collect(lake, server, "one", "two", days=2).exit_code == 0
    (status,) = lending_status(lake.store, [REGISTRY[MARKET]], LATER)
    assert (status.state_logs_unproven, status.logs_unproven, status.logs_proven) == (0, 0, 2)
    assert all(told == wanted for told, wanted in collateral_in_panel(lake, Truth(chain), 2))


async def nothing(self, pins):
    """In place of reading: a run that ended before."""


def test_a_dry_run_counts_the_logs_since_the_deployment(tmp_path, sim):
    _, nodes, server = sim
    lake = tidelake.open(tmp_path / "lake")
    report = collect(lake, server, "one", "two", days=2, dry_run=True)
    before = report.estimate
    assert 0 < before.supposed < before.calls
    assert f"{before.supposed:,} of these calls are supposed" in report.summary
    assert nodes["one"].asked == []
    collect(lake, server, "one", "two", days=2)
    after = collect(lake, server, "one", "two", days=2, dry_run=True).estimate
    assert (after.calls, after.supposed) == (0, 0)
    since = REGISTRY[MARKET].deployment.defillama_start
    assert since is not None
    days = (START - since).days
    assert before.calls > days * 86_400 // 12 // 10_000
    (status,) = lending_status(lake.store, [REGISTRY[MARKET]], LATER)
    assert (status.ok, status.state_logs_missing) == (2, 0)


SINCE = SinceDeployment("m", "state", 7, (), ())
CHAIN = dataclasses.replace(chain_spec("ethereum"), block_ms=logs_since_deployment.RANGE_MS // 10)


@st.composite
def told_ranges(draw):
    """Notes of ranges; some failed, some of another market, of other logs, or taken back."""
    notes = []
    for _ in range(draw(st.integers(0, 8))):
        if notes and draw(st.integers(0, 3)) == 0:
            one = draw(st.sampled_from(notes))
            stands = draw(st.none() | st.integers(one.first - 1, one.last))
            notes.append(LogsNote(one.first, one.last, "", "", "RETRACTED", told=one.told, stands=stands))
            continue
        first = draw(st.integers(0, 60))
        state = draw(st.sampled_from(("COVERED", "COVERED", "SOURCE_FAILED")))
        proof = draw(st.sampled_from(("two providers", "one provider")))
        names = draw(st.sampled_from((("m",), ("m", "other"), ("other",))))
        told = draw(st.sampled_from(("state", "state", "parts")))
        notes.append(LogsNote(first, first + draw(st.integers(0, 25)), "", "", state, proof, names, told))
    return notes


def is_covered(notes, block, *, proven):
    """Each block by itself, the notes in their order."""
    standing = []
    for note in notes:
        if note.state == "RETRACTED" and (note.stands is None or block > note.stands):
            standing = [n for n in standing if (n.first, n.last, n.told) != (note.first, note.last, note.told)]
        elif note.state == "COVERED":
            standing.append(note)
    return any(
        n.first <= block <= n.last
        and "m" in n.markets
        and n.told == "state"
        and (n.proof != "one provider" or not proven)
        for n in standing
    )


@hypothesis_settings(max_examples=100, deadline=None)
@given(told_ranges(), st.integers(0, 80), st.booleans())
def test_what_is_asked_for_is_each_block_that_no_note_covers_once(notes, last, proven):
    held = LogsHeld()
    for note in notes:
        held.add(note)
    ranges = SINCE.lacking(held, CHAIN, last, proven=proven, retry_failed=True)
    asked = [block for first, end in ranges for block in range(first, end + 1)]
    assert asked == [block for block in range(7, last + 1) if not is_covered(notes, block, proven=proven)]
    assert all(first // 10 == end // 10 for first, end in ranges)
    assert held.covers("m", 7, last, proven=proven, told="state") == (not asked)


def test_a_failure_of_one_market_is_none_of_another():
    held = LogsHeld()
    held.add(LogsNote(7, 16, "", "", "SOURCE_FAILED", markets=("other",), told="state"))
    held.add(LogsNote(7, 9, "", "", "SOURCE_FAILED", markets=("m",), told="state"))
    assert SINCE.lacking(held, CHAIN, 12, proven=True, retry_failed=False) == [(10, 12)]
    held.add(LogsNote(7, 9, "", "", "COVERED", "two providers", ("m",), "state"))
    held.add(LogsNote(7, 9, "", "", "RETRACTED", told="state"))
    assert SINCE.lacking(held, CHAIN, 9, proven=True, retry_failed=False) == [(7, 9)]
