"""Shards give the records of one process, in its order: also where they are lost, or taken up in another number."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings, strategies as st

from tests.stablecoins import fleets
from tests.stablecoins.histories import BEGIN, S
from tidelake.errors import ConfigError, SourceError
from tidelake.raw.store import Store
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.observation import Observation, Retraction
from tidelake.stablecoins.records import AlertRow, CorrectionRow, IncidentRow, WindowRow
from tidelake.stablecoins.replay.run import Replay
from tidelake.stablecoins.shards import coordinator
from tidelake.stablecoins.shards.coordinator import ShardedFleet
from tidelake.stablecoins.shards.links import LocalLink, ProcessLink, ShardLost
from tidelake.stablecoins.shards.router import CoinRouter, deal
from tidelake.stablecoins.shards.shard import LIVES
from tidelake.tables.read import scan
from tidelake.tables.stablecoins import STABLECOIN_TABLES


def parts(seen, rng):
    start = 0
    while start < len(seen):
        size = rng.choice((1, 7, 300, 4000))
        yield seen[start : start + size]
        start += size


def unsharded(setups, seen):
    """Observation by observation, by the fleet alone."""
    fleet, out = Fleet(setups), []
    for one in seen:
        fleet.take(one, out)
    return fleet, out


@pytest.mark.parametrize("shards", [1, 2, 5])
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_shards_say_row_for_row_what_one_process_says(shards, seed):
    setups, seen, rng = fleets.setups(), fleets.delivery(seed, minutes=3), random.Random(seed)
    fleet, wanted = unsharded(setups, seen)
    out = []
    sharded = ShardedFleet(setups, shards=shards, open_link=LocalLink)
    for part in parts(seen, rng):
        sharded.take_all(part, out)
        if rng.random() < 0.2:
            sharded = ShardedFleet(setups, shards=rng.choice((1, 2, 5)), open_link=LocalLink, saved=sharded.save())
    assert out == wanted
    assert (sharded.failed, sharded.unknown) == (fleet.failed, fleet.unknown)
    assert sharded.save() == fleet.save()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(60))
def test_many_deliveries_dealt_out_are_whole_again(seed):
    setups, seen = fleets.setups(), fleets.delivery(seed, minutes=8)
    _, wanted = unsharded(setups, seen)
    for shards in (1, 2, 5):
        out = []
        ShardedFleet(setups, shards=shards, open_link=LocalLink).take_all(seen, out)
        assert out == wanted


def test_delivery_has_all_that_the_property_speaks_of():
    seen = fleets.delivery(5, minutes=4)
    fleet, records = unsharded(fleets.setups(), seen)
    kinds = Counter(type(row) for row in records)
    assert min(kinds[kind] for kind in (WindowRow, AlertRow, CorrectionRow, IncidentRow)) > 5
    assert {row.kind for row in records if isinstance(row, IncidentRow)} >= {"refused", "source_down", "source_back"}
    assert {row.coin for row in records} == set(fleets.COINS)
    assert fleet.unknown
    assert max(Counter(one.id for one in seen if one.id).values()) > 1
    assert any(abs(one.units) > 2**64 for one in seen if one.coin == "BUSD")
    assert any(isinstance(one.told, Retraction) for one in seen)


class Dying(LocalLink):
    """A shard in this process that is lost when the dice say so: before it worked, or after."""

    rng = random.Random(0)
    odds = 0.0

    def ask(self, message):
        if self.rng.random() < self.odds:
            raise ShardLost("lost when asked")
        super().ask(message)

    def answer(self):
        if self.rng.random() < self.odds:
            raise ShardLost("lost when it was to answer")
        return super().answer()


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32))
def test_lost_shards_begun_again_say_the_same(seed):
    setups, seen = fleets.setups(), fleets.delivery(seed, minutes=3)
    _, wanted = unsharded(setups, seen)
    Dying.rng, Dying.odds = random.Random(seed), 0.0
    sharded, out = ShardedFleet(setups, shards=3, open_link=Dying), []
    Dying.odds = 0.02
    for start in range(0, len(seen), 400):
        sharded.take_all(seen[start : start + 400], out)
        if start % 1200 == 0:
            sharded.save()
    assert out == wanted


def test_a_shard_lost_again_and_again_ends_the_run():
    setups = fleets.setups()
    Dying.odds = 0.0
    sharded = ShardedFleet(setups, shards=2, open_link=Dying)
    Dying.odds = 1.0
    seen = fleets.delivery(1, minutes=1)[:50]
    for again in range(2):  # whoever asks once more is not kept waiting for ever
        with pytest.raises(ShardLost, match=r"lost when .* run again to go on"):
            sharded.take_all(seen, [])
        assert sharded.restarts == LIVES + again


def test_a_shard_that_cannot_be_begun_leaves_no_other_behind():
    links = []

    def opened(work):
        if links:
            raise SourceError("no Redis answers", retryable=True)
        links.append(ProcessLink(work))
        return links[-1]

    with pytest.raises(SourceError):
        ShardedFleet(fleets.setups(), shards=2, open_link=opened)
    assert [link.process.is_alive() for link in links] == [False]


@pytest.mark.parametrize("shards", [0, -1])
def test_no_shards_are_refused_for_nobody_would_take_what_is_told(shards):
    with pytest.raises(ConfigError, match="cannot be dealt out"):
        ShardedFleet(fleets.setups(), shards=shards, open_link=LocalLink)


def test_a_coin_whose_machine_fails_stops_alone_in_its_shard(monkeypatch):
    from tidelake.stablecoins import machine

    taken = machine.Machine._take_fact

    def poisoned(self, seen, state):
        if seen.id == "poison":
            raise RuntimeError("a defect")
        taken(self, seen, state)

    monkeypatch.setattr(machine.Machine, "_take_fact", poisoned)
    seen = fleets.delivery(2, minutes=3)
    at = BEGIN + 60 * S
    seen.insert(len(seen) // 2, Observation("price", at, at, "USDT", "", "kraken", "poison", 1.0))
    fleet, wanted = unsharded(fleets.setups(), seen)
    sharded, out = ShardedFleet(fleets.setups(), shards=2, open_link=LocalLink), []
    sharded.take_all(seen, out)
    assert out == wanted
    assert sharded.failed == fleet.failed == {"USDT": "RuntimeError: a defect"}


def test_processes_say_the_same_also_where_one_is_killed_at_work(monkeypatch):
    monkeypatch.setattr(coordinator, "PART", 500)
    links = []

    def opened(work):
        links.append(ProcessLink(work))
        return links[-1]

    setups, seen = fleets.setups(), fleets.delivery(9, minutes=3)
    _, wanted = unsharded(setups, seen)
    sharded, out = ShardedFleet(setups, shards=2, open_link=opened), []
    middle = len(seen) // 2
    sharded.take_all(seen[:middle], out)
    sharded.save()
    sharded.take_all(seen[middle : middle + 100], out)
    links[1].process.kill()
    sharded.take_all(seen[middle + 100 :], out)
    sharded.close()
    assert out == wanted
    assert sharded.restarts == 1
    assert not any(link.process.is_alive() for link in links)


class Listed:
    def __init__(self, seen):
        self.seen = seen

    def batches(self):
        return iter([self.seen[i : i + 700] for i in range(0, len(self.seen), 700)])


def test_a_sharded_replay_that_stopped_ends_unsharded_in_the_same_rows(tmp_path):
    seen = sorted(fleets.delivery(4, minutes=3), key=lambda one: one.known_us)
    setups = fleets.setups()
    whole, shards = Store.open(tmp_path / "whole"), Store.open(tmp_path / "shards")
    report = Replay(whole, "r", setups, batch=900).run(Listed(seen))

    class Stopped(Exception):
        pass

    class Cut(Listed):
        def batches(self):
            yield from list(super().batches())[:3]
            raise Stopped

    def sharded(*args, **named):
        return ShardedFleet(*args, shards=2, open_link=LocalLink, **named)

    with pytest.raises(Stopped):
        Replay(shards, "r", setups, batch=900, open_fleet=sharded).run(Cut(seen))
    resumed = Replay(shards, "r", setups, batch=900).run(Listed(seen))
    assert 0 < resumed.resumed_at < resumed.observations
    assert resumed.counts == report.counts
    for table in STABLECOIN_TABLES:
        told = [scan(store, table).collect().drop("date") for store in (whole, shards)]
        assert told[0].equals(told[1]) or set(told[0].rows()) == set(told[1].rows())
        assert told[0].height == told[1].height


def test_coins_are_dealt_out_in_turn_and_no_shard_is_empty():
    assert deal(("A", "B", "C", "D", "E"), 2) == [("A", "C", "E"), ("B", "D")]
    assert deal(("A", "B"), 5) == [("A",), ("B",)]


def test_router_sends_each_observation_to_whom_it_concerns():
    router = CoinRouter(fleets.setups(), [("USDC", "DAI"), ("USDT",), ("BUSD",)])

    def to(coin, chain):
        return router.route(Observation("price", BEGIN, BEGIN, coin, chain))

    assert (to("DAI", ""), to("BUSD", "ethereum")) == ((0,), (2,))
    assert to("", "") == (0, 1, 2)
    assert to("", "arbitrum") == (0, 1)
    assert to("", "bnb") == (2,)
    assert to("", "solana") == ()
    assert router.unknown == 0
    assert to("XYZ", "") == ()
    assert router.unknown == 1
