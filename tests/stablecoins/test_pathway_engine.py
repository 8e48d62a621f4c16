"""Pathway's engine says what one process says, in its order, however it cuts the stream; skipped where it is absent."""

import random
import sys

import pytest
from hypothesis import given, settings, strategies as st

from tests.stablecoins import fleets
from tidelake.errors import MissingExtra
from tidelake.sim.coins.csv_files import write_folder
from tidelake.sim.coins.history import CoinHistory
from tidelake.sim.coins.plan import CoinPlan
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.replay.csv_folder import CsvFolder
from tidelake.stablecoins.replay.player import with_clock
from tidelake.stablecoins.replay.run import SETTLE_US
from tidelake.stablecoins.score import PRIOR
from tidelake.stablecoins.shards import coordinator
from tidelake.stablecoins.shards.coordinator import ShardedFleet
from tidelake.stablecoins.shards.links import ShardLost
from tidelake.stablecoins.shards.pathway_engine import NOTHING, PathwayEngine, advance
from tidelake.stablecoins.shards.worker import Save, Start, Take, Worker, encode


def messages(seed):
    """What a coin's shard is asked, in turn."""
    setups, rng = {"USDC": fleets.setups()["USDC"]}, random.Random(seed)
    seen = [one for one in fleets.delivery(seed, minutes=2) if one.coin in ("", "USDC")]
    asked, start = [encode(Start(setups, None, PRIOR, None))], 0
    while start < len(seen):
        part = seen[start : start + rng.choice((1, 9, 120))]
        asked.append(encode(Take.of(list(range(len(part))), part)))
        start += len(part)
        if rng.random() < 0.2:
            asked.append(encode(Save()))
    return [*enumerate(asked), (len(asked), encode(Save()))]


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**32))
def test_minibatches_shuffled_doubled_and_cut_anywhere_say_what_a_worker_says(seed):
    asked, worker, rng = messages(seed), Worker(), random.Random(seed)
    wanted = [(turn, worker.answer(message)) for turn, message in asked]
    told = sorted([*asked, *rng.sample(asked, len(asked) // 4)], key=lambda one: one[0] + rng.uniform(0, 12))
    kept, said = NOTHING, []
    while told:
        batch, told = told[: (size := rng.randrange(1, 9))], told[size:]
        kept = advance(kept, batch)
        said += kept[2]
    assert said == wanted
    assert kept[0] == len(asked)
    assert not kept[3]


def test_without_pathway_the_error_is_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pathway", None)
    with pytest.raises(MissingExtra, match=r"pip install 'tidelake\[pathway\]'"):
        PathwayEngine()


@pytest.fixture(scope="module")
def engine():
    pytest.importorskip("pathway")
    return PathwayEngine()


def in_pathway(engine, setups, saved=None):
    return ShardedFleet(setups, shards=len(setups), open_link=engine.open, saved=saved)


def test_pathway_says_row_for_row_what_one_process_says_also_where_it_goes_on_from_a_save(engine, monkeypatch):
    monkeypatch.setattr(coordinator, "PART", 200)
    setups, seen = fleets.setups(), fleets.delivery(3, minutes=4)
    middle = len(seen) // 2
    fleet, wanted, out = Fleet(setups), [], []
    fleet.take_all(seen, wanted)
    first = in_pathway(engine, setups)
    first.take_all(seen[:middle], out)
    saved = first.save()
    first.take_all(seen[middle : middle + 300], [])  # lost with what stood in the engine
    first.close()
    second = in_pathway(engine, setups, saved)
    second.take_all(seen[middle:], out)
    assert middle > 2 * coordinator.PART
    assert out == wanted
    assert (second.failed, second.unknown) == (fleet.failed, fleet.unknown)
    assert second.save() == fleet.save()
    assert not first.restarts + second.restarts
    second.close()


def test_an_engine_that_fails_is_begun_again_and_in_the_end_says_why(engine, monkeypatch):
    from tidelake.stablecoins.shards import pathway_engine

    setups, seen = fleets.setups(), fleets.delivery(5, minutes=1)
    fleet, wanted, out = Fleet(setups), [], []
    fleet.take_all(seen, wanted)
    sharded = in_pathway(engine, setups)
    sharded.take_all(seen[:100], out)
    failures = [1]

    def failing(kept, rows):
        if failures.pop() if failures else 0:
            raise ValueError("a defect of the engine")
        return advance(kept, rows)

    monkeypatch.setattr(pathway_engine, "advance", failing)
    sharded.take_all(seen[100:], out)
    assert out == wanted
    assert sharded.restarts
    failures += [1] * 1000
    with pytest.raises(ShardLost, match="a defect of the engine"):
        sharded.take_all(seen, [])
    sharded.close()


@pytest.mark.soak
def test_thirty_days_of_four_coins_on_two_chains_in_pathway_are_those_of_one_process(engine, tmp_path):
    write_folder(CoinHistory(CoinPlan(seed=7, days=30).with_crisis("seeded")), tmp_path)
    history = CsvFolder(tmp_path)
    setups = history.setups()
    fleet, sharded = Fleet(setups), in_pathway(engine, setups)
    seen = []
    for batch in with_clock(history.batches(), SETTLE_US):
        seen += batch
        if len(seen) > 50_000:
            assert_same(fleet, sharded, seen)
            seen.clear()
    assert_same(fleet, sharded, seen)
    assert len(setups) == 4
    assert sharded.save() == fleet.save()
    sharded.close()


def assert_same(fleet, sharded, seen):
    wanted, out = [], []
    fleet.take_all(seen, wanted)
    sharded.take_all(seen, out)
    assert wanted
    assert out == wanted
