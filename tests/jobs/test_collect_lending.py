"""Collecting lending markets from nodes over real HTTP: right days, or none and the reason."""

import datetime as dt
from contextlib import ExitStack

import pytest

from tests.jobs.lending_chain import (
    AT_START,
    CHAIN,
    MARKETS,
    MULTICALL,
    START,
    LendingChain,
    assert_no_wrong_day,
    last_block,
    settings,
    states,
)
from tests.transport.rpc_node import node
from tidelake.errors import ConfigError, StoreError
from tidelake.jobs.collect_lending import CollectSettings, collect_lending
from tidelake.jobs.lending_lanes import logs_held, pins_held
from tidelake.jobs.lending_recheck import recheck_lending
from tidelake.jobs.lending_status import lending_status
from tidelake.jobs.market_work import MarketWork
from tidelake.raw.store import Store
from tidelake.raw.verify import verify
from tidelake.transport.rpc_providers import NoProvider

END = START + dt.timedelta(days=5)
DAYS = [(START + dt.timedelta(days=i)).isoformat() for i in range(5)]


@pytest.fixture
def serve():
    with ExitStack() as stack:
        yield lambda chain: stack.enter_context(node(chain_id=CHAIN.chain_id, answers=chain.answers(), head=chain.head))


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "lake")


def collect(store, *nodes, end=END, **options):
    return collect_lending(store, MARKETS, START, end, settings(*nodes, **options))


def test_each_day_is_the_state_of_its_last_block_and_a_second_run_asks_nothing(store, serve):
    chain = LendingChain()
    one, two = serve(chain), serve(LendingChain())
    report = collect(store, one, two)
    assert report.exit_code == 0
    assert [(row.market, row.ok, row.not_deployed) for row in report.rows] == [("one", 5, 0), ("late", 3, 2)]
    assert assert_no_wrong_day(store, chain) == 10
    assert verify(store).problems == []
    asked = len(one.asked) + len(two.asked)
    again = collect(store, one, two)
    assert (again.exit_code, again.asked.requests, len(one.asked) + len(two.asked)) == (0, 0, asked)


def test_later_days_are_read_without_asking_for_the_earlier_again(store, serve):
    chain = LendingChain()
    collect(store, serve(chain), serve(chain), end=START + dt.timedelta(days=2))
    late = serve(chain)
    collect(store, late, serve(chain))
    of_state = {int(call["params"][1], 16) for asked in late.asked for call in asked if call["method"] == "eth_call"}
    assert of_state == {last_block(2), last_block(3), last_block(4)}
    assert assert_no_wrong_day(store, chain) == 10


def test_a_dry_run_asks_nobody_writes_nothing_and_says_what_is_then_done(store, serve):
    chain = LendingChain()
    one = serve(chain)
    collect(store, serve(chain), serve(chain), end=START + dt.timedelta(days=2))
    before = set(store.list(""))
    planned = collect(store, one, dry_run=True)
    assert one.asked == []
    assert set(store.list("")) == before
    assert [(row.already, row.planned) for row in planned.rows] == [(2, 3), (2, 3)]
    done = collect(store, one, serve(chain))
    assert [row.ok + row.not_deployed - 2 for row in done.rows] == [row.planned for row in planned.rows]
    assert planned.estimate.calls > 0


def test_a_dry_run_of_every_block_counts_every_block(store, serve):
    nodes = serve(LendingChain()), serve(LendingChain())
    blocks_a_day = 86_400 // 5  # of Gnosis, by its slots
    of_days, of_blocks = (
        collect(store, *nodes, dry_run=True, granularity=granularity).estimate for granularity in ("daily", "block")
    )
    assert of_days.calls < 1_000
    # Of each of five days' blocks the state of two markets, and the header: beside it, and by each of two providers.
    assert of_blocks.calls == pytest.approx(5 * blocks_a_day * (2 + 3), rel=0.01)


@pytest.mark.parametrize("fault", ["lags", "orphaned", "stateless"])
def test_a_bad_provider_never_gives_a_wrong_day(store, serve, fault):
    right, bad = LendingChain(), LendingChain()
    if fault == "lags":
        bad.head = last_block(2) - 3
    elif fault == "orphaned":
        bad.branch = last_block(2)
    else:
        bad.stateless = last_block(3)
    report = collect(store, serve(bad), serve(right), serve(right))
    assert assert_no_wrong_day(store, right) == 10, report.summary
    assert report.exit_code == 0, report.summary


def test_a_provider_without_old_state_alone_gives_no_day(store, serve):
    right, bad = LendingChain(), LendingChain()
    collect(store, serve(right), serve(right), end=START + dt.timedelta(days=1))
    bad.stateless = bad.head
    collect(store, serve(bad))
    found = states(store, "one")
    assert [found[day] for day in DAYS[1:]] == ["SOURCE_FAILED"] * 4
    assert assert_no_wrong_day(store, right) == 2


def test_a_day_that_fails_is_kept_with_its_reason_and_read_when_it_is_to_be_retried(store, serve):
    chain = LendingChain()
    chain.down = {2}
    nodes = serve(chain), serve(chain)
    report = collect(store, *nodes)
    assert report.exit_code == 3
    assert {grid: state for grid, state in states(store, "one").items() if state != "OK"} == {DAYS[2]: "SOURCE_FAILED"}
    assert "something is wrong with this day" in report.rows[0].reason
    chain.down = set()
    assert collect(store, *nodes).rows[0].failed == 1
    (status, _) = lending_status(store, MARKETS, dt.datetime(2024, 1, 8, tzinfo=dt.UTC))
    assert (status.ok, status.failed, status.stale_days, status.logs_missing) == (4, 1, 2, 0)
    assert collect(store, *nodes, retry_failed=True).exit_code == 0
    assert assert_no_wrong_day(store, chain) == 10
    (status, _) = lending_status(store, MARKETS, dt.datetime(2024, 1, 8, tzinfo=dt.UTC))
    assert (status.ok, status.failed, status.logs_missing, status.holes) == (5, 0, 0, 0)


def test_logs_are_covered_from_one_last_block_to_the_next_on_the_word_of_two(store, serve):
    chain = LendingChain()
    collect(store, serve(chain), serve(chain))
    held = logs_held(store, CHAIN.name, None)
    assert held.covers("one", AT_START, last_block(4), proven=True)
    assert held.covers("late", last_block(1) + 1, last_block(4), proven=True)
    assert not held.covers("late", last_block(1), last_block(4), proven=True)


def test_logs_that_one_provider_leaves_out_are_not_covered(store, serve):
    right, empty = LendingChain(), LendingChain()
    empty.logs = set()
    report = collect(store, serve(right), serve(empty))
    assert report.exit_code == 3
    assert "do not agree" in report.rows[0].reason
    held = logs_held(store, CHAIN.name, None)
    assert held.covers("one", AT_START, last_block(0), proven=True)
    assert not held.covers("one", last_block(0) + 1, last_block(1), proven=True)
    assert held.covers("one", last_block(2) + 1, last_block(4), proven=True)


def test_one_provider_proves_no_logs(store, serve):
    report = collect(store, serve(LendingChain()))
    assert report.exit_code == 0
    held = logs_held(store, CHAIN.name, None)
    assert held.covers("one", AT_START, last_block(4), proven=False)
    assert not held.covers("one", AT_START, last_block(4), proven=True)


def test_a_reorganisation_is_found_later_retracted_and_read_again(store, serve):
    chain = LendingChain()
    nodes = serve(chain), serve(chain)
    collect(store, *nodes)
    old = pins_held(store, CHAIN.name, None)[DAYS[4]].hash
    chain.branch = last_block(4) - 2
    again = settings(*nodes)
    report = recheck_lending(store, MARKETS, providers=again.providers, patience=again.patience)
    (row,) = report.rows
    assert (row.retracted, row.days, row.ranges, report.exit_code) == (1, 2, 1, 0)
    assert states(store, "one")[DAYS[4]] == "RETRACTED"
    held = logs_held(store, CHAIN.name, None)
    assert held.covers("one", AT_START, last_block(3), proven=True)
    assert not held.covers("one", AT_START, last_block(3) + 1, proven=True)
    assert collect(store, *nodes).exit_code == 0
    assert pins_held(store, CHAIN.name, None)[DAYS[4]].hash == chain.hash_of(last_block(4)) != old
    assert assert_no_wrong_day(store, chain) == 10
    assert logs_held(store, CHAIN.name, None).covers("one", AT_START, last_block(4), proven=True)


def test_of_logs_what_stands_up_to_a_block_of_the_chain_is_kept_at_each_of_two_reorganisations(store, serve):
    chain = LendingChain()
    nodes = serve(chain), serve(chain)
    collect(store, *nodes)
    again = settings(*nodes)
    kept = []
    for branch in (last_block(3) + 1, last_block(3)):
        chain.branch = branch
        assert recheck_lending(store, MARKETS, providers=again.providers, patience=again.patience).exit_code == 0
        kept.append(max(note.end for note in logs_held(store, CHAIN.name, None).covered))
    assert kept == [(number, LendingChain().hash_of(number)) for number in (last_block(3), last_block(2))]
    assert collect(store, *nodes).exit_code == 0
    assert logs_held(store, CHAIN.name, None).covers("one", AT_START, last_block(4), proven=True)
    assert assert_no_wrong_day(store, chain) == 10


def test_days_whose_blocks_are_not_settled_are_not_read(store, serve):
    chain = LendingChain()
    chain.head = last_block(3)
    report = collect(store, serve(chain), serve(chain))
    assert (report.rows[0].ok, report.rows[0].not_reached) == (3, 2)
    assert "settled up to" in report.rows[0].reason


def test_hours_and_blocks_are_grids_too(store, serve):
    chain = LendingChain(2)
    nodes = serve(chain), serve(chain)
    hourly = collect(store, *nodes, end=START + dt.timedelta(days=1), granularity="hourly")
    assert (hourly.exit_code, hourly.rows[0].ok) == (0, 24)
    blocks = collect(store, *nodes, end=START + dt.timedelta(days=1), granularity="block")
    assert (blocks.exit_code, blocks.rows[0].ok) == (0, 144)
    assert set(states(store, "one")) >= {"2024-01-01T23", str(AT_START), str(last_block(0))}


def test_state_before_multicall_is_asked_call_by_call(store, serve):
    chain = LendingChain()
    chain.without = {MULTICALL}
    early = [MARKETS[0]]
    object.__setattr__(CHAIN.multicall3, "since_block", 10**9)
    try:
        report = collect_lending(store, early, START, END, settings(serve(chain)))
    finally:
        object.__setattr__(CHAIN.multicall3, "since_block", 21_022_491)
    assert (report.exit_code, report.rows[0].ok) == (0, 5), report.summary
    assert assert_no_wrong_day(store, chain) == 5


def test_a_store_that_fails_ends_the_run_with_its_own_error(store, serve, monkeypatch):
    kept = MarketWork.keep

    def keep(work, day):
        if day.pin.grid == DAYS[3]:
            raise StoreError("no room on the disk", key="parts")
        kept(work, day)

    monkeypatch.setattr(MarketWork, "keep", keep)
    with pytest.raises(StoreError, match="no room"):
        collect(store, serve(LendingChain()), serve(LendingChain()))


def test_a_chain_without_providers_is_told_and_others_go_on(store):
    def none(name):
        raise NoProvider(f"no provider for {name}")

    report = collect_lending(store, MARKETS, START, END, CollectSettings(providers=none))
    assert report.exit_code == 1
    assert "no provider for gnosis" in report.summary


def test_an_address_that_cannot_be_used_is_refused_before_anything_is_asked(store, monkeypatch):
    monkeypatch.setenv("TIDELAKE_RPC_GNOSIS", "nonsense")
    with pytest.raises(ConfigError, match="address 1 in TIDELAKE_RPC_GNOSIS"):
        collect_lending(store, MARKETS, START, END, CollectSettings())
