"""The stablecoin part of the demonstration: a depeg and a reorganisation, replayed and held against the truth."""

import tempfile
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Final

import polars as pl

from tidelake.client import Lake
from tidelake.demo.narrator import Narrator
from tidelake.sim.coins.csv_files import write_folder
from tidelake.sim.coins.history import CoinHistory
from tidelake.sim.coins.plan import NO_FAULTS, CoinPlan
from tidelake.stablecoins.page.page import write_replay_page
from tidelake.stablecoins.page.story import Story, read_story
from tidelake.stablecoins.replay.csv_folder import CsvFolder
from tidelake.stablecoins.replay.run import Replay

COIN: Final = "USDC"
RUN: Final = "demo"
SEED: Final = 5
CRISIS: Final = "depeg:USDC@6h+3h=0.12,reorg:ethereum@7h=45"
CHANGES: Final = 120.0  # mints and burns a day


def replay_crisis(lake: Lake, tell: Narrator, page: Path) -> Story:
    """A day of a coin, from what sources said to what is believed; gives what the demo's page tells of it."""
    tell.step(
        "A stablecoin leaves its peg, and a chain takes back what it said",
        f"A simulated day of {COIN} on Ethereum and Arbitrum: from 6:00 on it loses 12 % for some hours, and at 7:00",
        "Ethereum replaces its 45 newest blocks. The day is replayed, as fast as it goes, by the code that runs live.",
    )
    plan = CoinPlan(seed=SEED, days=1, coins=(COIN,), rates=replace(NO_FAULTS, changes=CHANGES)).with_crisis(CRISIS)
    history = CoinHistory(plan)
    with tempfile.TemporaryDirectory() as folder:
        write_folder(history, Path(folder) / "told")
        told = CsvFolder(Path(folder) / "told")
        Replay(lake.store, RUN, told.setups()).run(told)
    story = read_story(lake.store, COIN, RUN)
    _alerts(story, tell)
    _reorganisation(lake, story, tell)
    _supply(lake, history, tell)
    size = write_replay_page(page, lake.store, run=RUN)
    tell.tell(f"{page} shows it ({size / 1e6:.1f} MB): price and confidence, windows, alerts, what was taken back.")
    return story


def _alerts(story: Story, tell: Narrator) -> None:
    depeg = story.alerts.filter(pl.col("kind") == "depeg")
    columns = ("known_at", "severity", "state", "confidence", "measure", "reason")
    tell.rows(depeg.select(columns))
    tell.tell("It fires with the first price that says so, unsure as that is, and is upgraded as others agree.")
    first, last = depeg.row(0, named=True), depeg.row(-1, named=True)
    delay = (first["fired_at"] - first["event_time"]).total_seconds()
    states = set(depeg["state"])
    holds = states >= {"PROVISIONAL", "CONFIRMED"} and last["severity"] == "severe" and last["ended_at"] is not None
    tell.check(holds, f"the depeg fired {delay:.1f} s after its price, was CONFIRMED, and is over")


def _reorganisation(lake: Lake, story: Story, tell: Narrator) -> None:
    """One window before and after the chain took back what was in it."""
    gone = story.corrections.filter(pl.col("correction") == "invalidated", pl.col("windows_reopened") > 0)
    worst = gone.sort(pl.col("net_supply_change").abs(), descending=True).row(0, named=True)
    minute = pl.lit(worst["event_time"]).dt.truncate("1m")
    versions = lake.stablecoins.windows(COIN, chain=worst["chain"], window_s=60, run=RUN, versions=True)
    mine = versions.filter(pl.col("event_time") == minute)
    tell.tell(f"{gone.height} mints and burns were taken back. The window of the greatest, version by version:")
    columns = ("known_at", "window_state", "finality_tier", "temporal_confidence", "net_supply_change")
    tell.rows(mine.select("event_version", *columns))
    tell.tell(f"tidelake stablecoins explain {mine['window_id'][0]} says why each version differs.")
    said = mine.filter(pl.col("known_at") < worst["known_at"])["net_supply_change"].drop_nulls().to_list()
    now = mine["net_supply_change"].to_list()[-1]
    tell.check(bool(said) and said[-1] != now, "what was said before the reorganisation is kept, and is said no more")


def _supply(lake: Lake, history: CoinHistory, tell: Narrator) -> None:
    """Each FINAL minute of each chain against the simulation's own state, to the last unit."""
    truth: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
    for minute in history.truths():
        if minute.net_units:
            truth[minute.chain, minute.start_us] += Decimal(minute.net_units).scaleb(-minute.decimals)
    found = lake.stablecoins.windows(COIN, window_s=60, run=RUN).filter(
        pl.col("chain") != "", pl.col("window_state") == "FINAL", pl.col("net_supply_change") != 0
    )
    at = pl.col("event_time").dt.epoch("us")
    held = {(chain, start): net for chain, start, net in found.select("chain", at, "net_supply_change").iter_rows()}
    what = f"{len(held)} FINAL minutes in which supply changed equal the simulation's own books to the last unit"
    tell.check(held == {key: net for key, net in truth.items() if net}, what)
