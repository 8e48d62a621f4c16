"""The pure generator of book sessions: what it sends without faults is proven true, and each fault is what it says."""

from collections import Counter

import pytest
from benchmarks.detection_trials import run_trial

from tidelake.errors import ConfigError, NotInLake
from tidelake.sim.books.dialects import MODULES
from tidelake.sim.books.faults import FAULTS
from tidelake.sim.books.model import LEAST, TrueBook
from tidelake.sim.books.session import CHECKSUM_TIMES_NS, START_NS, session

SOURCES = tuple(MODULES)
UNNUMBERED = ("coinbase", "kraken")  # Kraken has checksums alone


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("source", SOURCES)
def test_a_clean_session_is_proven_and_true_from_its_snapshot_to_its_end(source, seed):
    trial = run_trial(source, seed)
    assert (trial.found, trial.wrong, trial.unproven, trial.repaired) == ("", 0, 0, True)
    assert trial.messages > 60


def test_okx_is_proven_by_checksums_until_they_end():
    trial = run_trial("okx", 1, "corrupted", CHECKSUM_TIMES_NS)
    found = {run_trial("okx", seed, "corrupted", CHECKSUM_TIMES_NS).found for seed in range(8)}
    assert "wrong checksum" in found
    assert {run_trial("okx", seed, "corrupted", START_NS).found for seed in range(4)} == {""}
    assert trial.heard.lines[-1].payload.count(b'"checksum":0,') == 0


@pytest.mark.parametrize("source", SOURCES)
def test_the_same_arguments_give_the_same_lines_and_other_seeds_others(source):
    first, again, other = (session(source, seed, "late") for seed in (4, 4, 5))
    assert first.lines == again.lines
    assert first.happened == again.happened
    assert first.lines != other.lines


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("source", SOURCES)
def test_a_planned_fault_happens_once_at_a_place_that_the_seed_picks(source, fault):
    places = {session(source, seed, fault).happened[0].place for seed in range(5)}
    assert len(places) > 2
    assert [each.kind for each in session(source, 0, fault).happened] == [fault]


@pytest.mark.parametrize("source", SOURCES)
def test_a_corrupted_update_differs_from_the_true_one_in_one_digit(source):
    for seed in range(1_000, 1_012):
        heard = session(source, seed, "corrupted")
        (happened,) = heard.happened
        assert "became" in happened.note
        hit = next(line for line in heard.lines[happened.place :] if line.what == "update")
        assert (hit.symbol, hit.version) == (happened.symbol, happened.version)


@pytest.mark.parametrize("seed", range(10))
def test_lost_doubled_and_late_updates_are_missing_twice_there_and_out_of_turn(seed):
    lost, doubled, late = (session("okx", seed, fault) for fault in ("lost", "doubled", "late"))
    told = [_versions(heard) for heard in (lost, doubled, late)]
    (gone,), (twice,), (after,) = lost.happened, doubled.happened, late.happened
    assert gone.version not in told[0][gone.symbol]
    assert Counter(told[1][twice.symbol])[twice.version] == 2
    assert told[2][after.symbol] != sorted(told[2][after.symbol])
    assert sorted(told[2][after.symbol]) == list(range(1, len(told[2][after.symbol]) + 1))


def _versions(heard):
    found = {}
    for line in heard.lines:
        if line.what == "update":
            found.setdefault(line.symbol, []).append(line.version)
    return found


def test_a_true_book_is_never_crossed_and_steps_change_what_they_say():
    book = TrueBook(session("kraken", 0).wires["BTC-USD"].product, 3, START_NS)
    for _ in range(2_000):
        before = {"bid": dict(book.bids), "ask": dict(book.asks)}
        change = book.step()
        for side, ticks, lots in change.levels:
            before[side][ticks] = lots
        now = [{p: q for p, q in before[side].items() if q} for side in ("bid", "ask")]
        assert now == [book.bids, book.asks]
        assert max(book.bids) < min(book.asks)
        assert min(len(book.bids), len(book.asks)) >= LEAST


def test_faults_and_venues_that_do_not_exist_are_refused():
    with pytest.raises(ConfigError, match="there are: lost"):
        session("kraken", 1, "evil")
    with pytest.raises(NotInLake, match="no simulated sockets"):
        session("nyse", 1)
