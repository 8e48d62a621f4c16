"""Histories of coins replayed by the command itself, in processes that are killed, and what it wrote read back."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from tidelake.raw.store import Store
from tidelake.stablecoins.attestation import broken_link
from tidelake.stablecoins.records import AttestationRow
from tidelake.stablecoins.replay.csv_folder import CsvFolder
from tidelake.stablecoins.replay.run import Replay
from tidelake.tables.read import scan
from tidelake.tables.stablecoins import (
    STABLECOIN_ALERTS,
    STABLECOIN_ATTESTATIONS,
    STABLECOIN_CORRECTIONS,
    STABLECOIN_TABLES,
    STABLECOIN_WINDOWS,
)

RUN = "r"
POINTS = ("before-table-commit", "data-files-written", "after-table-commit")
AMID, AT_WORK = "amid a commit", "at work"
MANNERS = (*POINTS, AMID, AT_WORK)
HOW_IT_WAS_LEARNT = ("known_at", "recv_ns", "event_version", "confirmation_count")
SCOPE = ("coin", "chain", "window_s")
LONGEST_S = 3_600.0


def begin(lake, folder, *more, crash=""):
    """The command, begun in a process of its own."""
    words = [sys.executable, "-m", "tidelake", "--lake", str(lake), "stablecoins", "replay", str(folder)]
    environment = {**os.environ, "TIDELAKE_CRASH": crash}
    with Path(f"{lake}.log").open("ab") as log:
        return subprocess.Popen([*words, "--run", RUN, *more], env=environment, stdout=log, stderr=log)


def replayed(lake, folder, *more):
    """The lake after an undisturbed replay; the command says by its exit code that nothing was refused."""
    assert begin(lake, folder, *more).wait(LONGEST_S) == 0, Path(f"{lake}.log").read_text()[-2_000:]
    return Store.open(lake)


def replayed_here(lake, folder):
    """The lake after what is left of the replay was made in this process, and the report of it."""
    store, history = Store.open(lake), CsvFolder(folder)
    report = Replay(store, RUN, history.setups()).run(history)
    assert report.done
    return store, report


def replay_killed(lake, folder, seed, kills, *more, shards=(0,), manners=MANNERS, most=4):
    """Begin a replay so often, and kill it each time: at named points of commits, amid one, or at its work.

    Args:
        shards: Numbers of them, of which one is drawn for each life.
        manners: How it is killed, in turn.
        most: Commits of a table after which it is killed at the latest.
    """
    rng, spool = random.Random(seed), Store.open(lake).spool() / "stablecoins"
    for life in range(kills):
        manner = manners[life % len(manners)]
        dealt = ("--shards", str(rng.choice(shards)))
        point = f"{manner}:{rng.randint(1, most)}" if manner in POINTS else ""
        process = begin(lake, folder, *dealt, *more, crash=point)
        try:
            if not point:
                watched = spool / (f"{RUN}.next" if manner == AMID else f"{RUN}.json")
                _wait_until_written(process, watched)
                time.sleep(rng.uniform(0.0, 0.2 if manner == AMID else 2.0))
                process.kill()
            assert process.wait(LONGEST_S) == -signal.SIGKILL, f"life {life} was not killed {manner}"
        finally:
            process.kill()


def _wait_until_written(process, path):
    def written():
        return path.stat().st_mtime_ns if path.exists() else 0

    before, until = written(), time.monotonic() + LONGEST_S
    while written() == before and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)


def read(store, table, coin=None):
    """All rows of a table, or those of a coin, in the order of its key."""
    rows = scan(store, table)
    return (rows if coin is None else rows.filter(pl.col("coin") == coin)).collect().sort(table.key)


def coins_of(store):
    return scan(store, STABLECOIN_WINDOWS).select(pl.col("coin").unique().sort()).collect()["coin"].to_list()


def assert_equal_lakes(store, other, coins, but=()):
    """Every row of these coins is the same, with everything that it says, in all tables but some."""
    for coin in coins:
        for table in STABLECOIN_TABLES:
            if table not in but:
                assert_frame_equal(read(store, table, coin), read(other, table, coin))


def assert_final_truth(store, clean, coins):
    """The FINAL rows of these coins and their attestations say what the clean replay says; how many there are."""
    count = 0
    for coin in coins:
        found, wanted = (
            read(each, STABLECOIN_WINDOWS, coin).filter(pl.col("window_state") == "FINAL").drop(HOW_IT_WAS_LEARNT)
            for each in (store, clean)
        )
        assert not found.select(*SCOPE, "event_time").is_duplicated().any()
        assert_frame_equal(found, wanted)
        sealed, rightly = (
            read(each, STABLECOIN_ATTESTATIONS, coin).drop("known_at", "recv_ns") for each in (store, clean)
        )
        assert_frame_equal(sealed, rightly)
        count += found.height
    return count


def assert_whole(store, coins):
    """Versions rise by one and no clock goes back, for each key; FINAL is the last word; the hash chains hold."""
    for coin in coins:
        rows = read(store, STABLECOIN_WINDOWS, coin).sort("window_id", "event_version")
        _assert_rising(rows, "window_id")
        final = pl.col("window_state") == "FINAL"
        assert rows.filter(
            final & (pl.col("event_version") < pl.col("event_version").max().over("window_id"))
        ).is_empty()
        assert rows.filter(pl.col("window_end") <= pl.col("event_time")).is_empty()
        _assert_rising(read(store, STABLECOIN_ALERTS, coin).sort("alert_id", "event_version"), "alert_id")
        sealed = read(store, STABLECOIN_ATTESTATIONS, coin).sort(*SCOPE, "sequence")
        for _, chain in sealed.group_by(SCOPE, maintain_order=True):
            assert chain["event_time"].is_sorted()
            assert chain["known_at"].is_sorted()
            entries = (
                AttestationRow(
                    **{name: entry[name] for name in AttestationRow.__struct_fields__ if name in entry},
                    window_start_us=0,
                    known_us=0,
                )
                for entry in chain.iter_rows(named=True)
            )
            assert broken_link(entries) is None
        taken = read(store, STABLECOIN_CORRECTIONS, coin).sort("chain", "event_id", "known_at")
        one_by_one = (
            taken["correction"] != taken.select(pl.col("correction").shift().over("chain", "event_id")).to_series()
        )
        assert one_by_one.fill_null(value=True).all(), "a fact is taken back and stands again in turn"


def _assert_rising(rows, key):
    again = (pl.col(key) == pl.col(key).shift()).fill_null(value=False)
    version, known = pl.col("event_version"), pl.col("known_at")
    wrong = again & ((version != version.shift() + 1) | (known < known.shift())) | ~again & (version != 1)
    assert rows.filter(wrong).is_empty()
