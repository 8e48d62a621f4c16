"""A watch of a chain that numbers slots, killed and gone on with: it gives the rows of one that ran on."""

import asyncio
import time
from itertools import count

import polars as pl
import pytest

import tidelake
from tests.jobs.test_coin_watched import rows
from tests.jobs.test_follow_coins import HOW_IT_WAS_LEARNT
from tests.jobs.test_follow_heads import FAST
from tests.jobs.test_follow_slots import serving, tiers_of
from tidelake.chains.solana import SOLANA
from tidelake.jobs.watch_coins import CoinWatch
from tidelake.jobs.watch_state import WatchFile
from tidelake.raw.verify import verify
from tidelake.sim.slots.chain import SlotChainSim
from tidelake.stablecoins.registry import coins

WITHIN_S = 60.0


def watch(lake, clock, providers, slots):
    """Watch slots come, each once the one before is known with its tiers."""

    async def watching():
        coin_watch = CoinWatch(
            lake.store, [coins()["USDC"]], [(SOLANA, providers)], every_s=FAST, clock=lambda: round(clock() * 1e9)
        )
        task = asyncio.ensure_future(coin_watch.run())
        for slot in slots:
            clock.slot = slot
            tiers = tiers_of(clock.sim, slot)
            told = f"block {tiers.head}, safe {tiers.safe}, final {tiers.final}"
            async with asyncio.timeout(WITHIN_S):
                while not task.done() and {line.detail for line in coin_watch.sources()} != {told}:
                    await asyncio.sleep(FAST)
        task.cancel()
        return await task

    return asyncio.run(watching())


def finals(lake):
    found = lake.scan("stablecoin_windows").collect().filter(pl.col("window_state") == "FINAL")
    learnt = {*HOW_IT_WAS_LEARNT - {"known_us"}, "known_at", "recv_ns", "run"}
    return {row["window_id"]: row for row in found.drop(learnt).to_dicts()}


def test_watch_of_slots_killed_before_a_fork_ends_in_the_rows_of_one_that_ran_on_and_is_replayed(tmp_path, monkeypatch):
    start_s = int(time.time()) // 300 * 300
    sim = SlotChainSim(seed=4, start_s=start_s, skipped=0.2, fork_every=500, depth=6)
    calm, killed = (tidelake.open(tmp_path / name) for name in ("calm", "killed"))
    with serving(sim, 300) as (clock, _, providers):
        watch(calm, clock, providers, [300, 500, 510, 760, 1000, 1200])
        clock.slot, save, saves = 300, WatchFile.save, count()

        def dying(self, written):
            if next(saves) >= 2:
                raise OSError("killed")
            save(self, written)

        with monkeypatch.context() as patched:
            patched.setattr(WatchFile, "save", dying)
            with pytest.raises(OSError, match="killed"):
                watch(killed, clock, providers, [300, 500])
        report = watch(killed, clock, providers, [510, 760, 1000, 1200])
    assert report.resumed
    expected = finals(calm)
    assert len(expected) >= 8
    assert finals(killed) == expected
    replayed = killed.stablecoins.replay(kind="lake", watch=report.run, run="again").wait(60)
    assert replayed.counts == report.counts
    assert rows(killed, "again") == rows(killed, report.run)
    assert verify(killed.store).problems == []
    killed.derive()
