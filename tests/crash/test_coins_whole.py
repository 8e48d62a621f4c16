"""Histories of stablecoins end to end: written, replayed by the command, killed and run again, poisoned, dealt out."""

import shutil

import pytest

from tests.crash import poison
from tests.crash.coin_replays import (
    POINTS,
    assert_equal_lakes,
    assert_final_truth,
    assert_whole,
    coins_of,
    read,
    replay_killed,
    replayed,
    replayed_here,
)
from tests.crash.lent_shards import ProcessPool, RedisPool
from tests.live.conftest import RedisServer
from tests.sampling import one_in
from tests.stablecoins import fleets
from tidelake.sim.coins.csv_files import write_folder
from tidelake.sim.coins.history import CoinHistory
from tidelake.sim.coins.plan import CoinPlan, Rates
from tidelake.stablecoins import machine
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.shards.coordinator import ShardedFleet
from tidelake.tables.stablecoins import STABLECOIN_ALERTS, STABLECOIN_CORRECTIONS, STABLECOIN_INCIDENTS

COINS = ("DAI", "USDC")
CRISIS = (
    "depeg:USDC@20m+60m=0.08,batches:arbitrum@25m+15m,lag:defillama@40m+20m=200,down:coingecko@50m+8m,"
    "reorg:ethereum@60m=30,reorg:arbitrum@70m=200,down:arbitrum@80m+6m,flip:ethereum@95m=7"
)
DEEP = (
    "seeded,reorg:ethereum@40h=1,reorg:ethereum@90h=60,flip:ethereum@200h=30,reorg:arbitrum@300h=1200,"
    "flip:arbitrum@400h=600,batches:arbitrum@500h+2h,down:ethereum@600h+1h,lag:coingecko@650h+3h=400,"
    "depeg:USDT@27d+9h=0.3"
)
TOLD_UNTIL, HEADS_UNTIL = "2024-01-01T02:00", "2024-01-01T02:40"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A folder with two hours of two coins in a crisis, and its truth, told until all of it is final."""
    folder = tmp_path_factory.mktemp("told") / "history"
    rates = Rates(doubled=0.05, restated=0.03, late=0.03, reorgs=60.0, changes=600.0)
    write_folder(CoinHistory(CoinPlan(seed=5, days=1, coins=COINS, rates=rates).with_crisis(CRISIS)), folder)
    for path in [*folder.glob("*.csv"), *folder.glob("*/*.csv"), *folder.glob("truth/final/**/*.csv")]:
        until = HEADS_UNTIL if path.name == "heads.csv" else TOLD_UNTIL
        head, *rows = path.read_text().splitlines(keepends=True)
        path.write_text(head + "".join(row for row in rows if row < until))
    return folder


@pytest.fixture(scope="module")
def undisturbed(told, tmp_path_factory):
    """The lake after it was replayed in one go."""
    store, report = replayed_here(tmp_path_factory.mktemp("undisturbed") / "lake", told)
    assert not report.failed
    return store


def test_a_replay_killed_within_commits_and_run_again_ends_in_the_rows_of_the_final_truth(told, undisturbed, tmp_path):
    replay_killed(tmp_path / "killed", told, seed=3, kills=2, manners=POINTS[1:], most=2)
    killed, report = replayed_here(tmp_path / "killed", told)
    assert report.done
    clean, _ = replayed_here(tmp_path / "clean", told / "truth" / "final")
    assert_equal_lakes(killed, undisturbed, COINS)
    assert_whole(killed, COINS)
    assert assert_final_truth(killed, clean, COINS) >= 2 * 3 * (120 + 24)
    assert read(killed, STABLECOIN_CORRECTIONS).height > 10
    assert {"depeg"} <= set(read(killed, STABLECOIN_ALERTS)["kind"])


def test_rows_that_cannot_be_taken_cost_their_coin_nothing_else_and_other_coins_nothing(told, undisturbed, tmp_path):
    folder = shutil.copytree(told, tmp_path / "poisoned")
    poison.unreadable(folder, "DAI", seed=1)
    written = poison.impossible(folder, "DAI", seed=2)
    poisoned, report = replayed_here(tmp_path / "lake", folder)
    assert not report.failed
    assert not report.unknown
    known = read(undisturbed, STABLECOIN_INCIDENTS)
    incidents = read(poisoned, STABLECOIN_INCIDENTS)
    assert incidents.join(known, on=known.columns, how="anti", nulls_equal=True)["kind"].unique().to_list() == [
        "refused"
    ]
    assert incidents.height - known.height == written
    assert_equal_lakes(poisoned, undisturbed, COINS, but=(STABLECOIN_INCIDENTS,))
    assert_equal_lakes(poisoned, undisturbed, COINS[1:])


def test_absurd_values_and_times_of_a_coin_change_no_row_of_another(told, undisturbed, tmp_path):
    folder = shutil.copytree(told, tmp_path / "poisoned")
    poison.absurd(folder, "DAI", seed=3)
    poisoned, _ = replayed_here(tmp_path / "lake", folder)
    assert_equal_lakes(poisoned, undisturbed, COINS[1:])
    assert read(poisoned, STABLECOIN_ALERTS, "DAI").height > read(undisturbed, STABLECOIN_ALERTS, "DAI").height


def test_sums_beyond_the_column_stop_their_coin_alone(told, undisturbed, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "MOST_CHANGED", 10**30)
    folder = shutil.copytree(told, tmp_path / "poisoned")
    poison.too_much(folder, "DAI")
    poisoned, report = replayed_here(tmp_path / "lake", folder)
    assert list(report.failed) == ["DAI"]
    assert "do not fit decimal(38, 18)" in report.failed["DAI"]
    assert_equal_lakes(poisoned, undisturbed, COINS[1:])


@pytest.fixture(scope="module")
def processes():
    pool = ProcessPool()
    yield pool
    pool.end()


@pytest.fixture(scope="module")
def redis_processes(tmp_path_factory):
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    pytest.importorskip("redis")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    pool = RedisPool(server.url)
    yield pool
    pool.end()
    server.stop()


def assert_dealt_out_is_whole(seed, pool, numbers, minutes=8):
    setups, seen = fleets.setups(), fleets.delivery(seed, minutes)
    fleet, wanted = Fleet(setups), []
    fleet.take_all(seen, wanted)
    for shards in numbers:
        sharded, out = ShardedFleet(setups, shards=shards, open_link=pool.lend), []
        sharded.take_all(seen, out)
        assert out == wanted
        assert (sharded.save(), sharded.restarts) == (fleet.save(), 0)
        sharded.close()


@pytest.mark.parametrize("seed", one_in(60, range(60)))
def test_coins_dealt_out_to_processes_are_whole_again(seed, processes):
    assert_dealt_out_is_whole(seed, processes, (1, 2, 5), minutes=8 if seed else 2)


@pytest.mark.parametrize("seed", one_in(60, range(60)))
def test_coins_dealt_out_over_redis_are_whole_again(seed, redis_processes):
    assert_dealt_out_is_whole(seed, redis_processes, *(((1, 2, 5), 8) if seed else ((1, 2), 2)))


@pytest.mark.soak
def test_thirty_days_killed_twelve_times_are_the_undisturbed_ones_and_the_final_truth(tmp_path):
    write_folder(CoinHistory(CoinPlan(seed=7, days=30).with_crisis(DEEP)), tmp_path / "told")
    whole = replayed(tmp_path / "whole", tmp_path / "told")
    replay_killed(tmp_path / "killed", tmp_path / "told", seed=7, kills=12, shards=(0, 0, 2))
    killed = replayed(tmp_path / "killed", tmp_path / "told")
    clean = replayed(tmp_path / "clean", tmp_path / "told" / "truth" / "final")
    coins = coins_of(whole)
    assert len(coins) == 4
    assert_equal_lakes(killed, whole, coins)
    assert_whole(killed, coins)
    assert assert_final_truth(killed, clean, coins) >= 4 * 3 * 30 * (1_440 + 288)
