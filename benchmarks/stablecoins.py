"""Replay of stablecoins as fast as possible: observations a second, through windows, score, alerts and Delta output.

The history is made here: four coins on two chains, three sources that tell each price once a second, liquidity once a
minute, mints and burns, a head of Ethereum each 12 s and of Arbitrum each second; a spell off the peg. It is held in
memory, so the figure is that of machines and output; the second one reads the same prices and supply from CSV files.
The sparse figure is that of one-minute prices alone, where there are as many windows as facts.
"""

import random
import resource
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.report import Figure, judge
from tidelake.raw.store import Store
from tidelake.stablecoins.observation import MICROS, Head, Observation
from tidelake.stablecoins.replay.csv_folder import CsvFolder
from tidelake.stablecoins.replay.run import Replay
from tidelake.stablecoins.setup import GRACE_US, ChainSetup, CoinSetup

COINS = ("USDC", "USDT", "DAI", "BUSD")
SOURCES = ("coingecko", "kraken", "coinbase")
BEGIN_US = 1_700_000_100 * MICROS - 1_700_000_100 * MICROS % (300 * MICROS)
BUDGET = 100_000.0


class Made:
    """A history held in memory."""

    def __init__(self, seconds: int) -> None:
        rng = random.Random(7)
        self._parts: list[list[Observation]] = []
        for minute in range(0, seconds, 60):
            self._parts.append([seen for s in range(minute, minute + 60) for seen in _second(rng, s, seconds)])

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    def batches(self) -> Iterator[list[Observation]]:
        return iter(self._parts)


def _second(rng: random.Random, s: int, seconds: int) -> Iterator[Observation]:
    at = BEGIN_US + s * MICROS
    off = 0.02 if seconds // 3 < s < seconds // 3 + 600 else 0.0
    for coin in COINS:
        for source in SOURCES:
            price = 1 - off + rng.gauss(0, 0.0005)
            yield Observation("price", at, at, coin, "", source, f"{source}:{coin}:price:{at}", price)
        for chain in ("ethereum", "arbitrum"):
            if rng.random() < 0.05:
                units = rng.randrange(-(10**12), 10**12)
                yield Observation(
                    "supply", at, at, coin, chain, "logs", f"{chain}:b{s}:{coin}{s}:0", units=units, block_number=s
                )
            if s % 60 == 0:
                yield Observation(
                    "liquidity", at, at, coin, chain, "defillama", f"defillama:{coin}:l:{at}:{chain}", 1e9
                )
    if s % 300 == 0:
        yield Observation("volatility", at, at, "", "", "candles", f"candles::volatility:{at}", 0.5)
    if s % 12 == 0:
        yield _head("ethereum", at, s, 144, 780)
    yield _head("arbitrum", at, s, 120, 900)


def _head(chain: str, at: int, s: int, two_s: int, three_s: int) -> Observation:
    told = Head(at - two_s * MICROS, at - three_s * MICROS, s - two_s, s - three_s)
    return Observation("head", at, at, "", chain, "node", block_number=s, told=told)


def _setups(*, heads: bool = True) -> dict[str, CoinSetup]:
    names = ("ethereum", "arbitrum")
    chains = tuple(ChainSetup(name=name, grace_us=GRACE_US[name], follows_heads=heads) for name in names)
    expects = ("price", "volatility")
    return {
        coin: CoinSetup(coin=coin, chains=chains, begin_us=BEGIN_US, expects=expects, price_sources=3) for coin in COINS
    }


def _timed(history: Any, setups: dict[str, CoinSetup], lake: Path) -> tuple[float, float, Any]:
    shutil.rmtree(lake, ignore_errors=True)
    wall, cpu = time.perf_counter(), time.process_time()
    report = Replay(Store.open(lake), "bench", setups).run(history)
    return time.perf_counter() - wall, time.process_time() - cpu, report


def _write_csv(folder: Path, seconds: int) -> None:
    """The same kind of history as files, one price a second for each coin and chain."""
    rng = random.Random(7)
    stamp = "2024-01-15T{:02d}:{:02d}:{:02d}Z".format
    for chain in ("ethereum", "arbitrum"):
        (folder / chain).mkdir(parents=True, exist_ok=True)
        with (folder / chain / "price.csv").open("w") as file:
            file.write("timestamp,coin,price,volume\n")
            for s in range(seconds):
                moment = stamp(s // 3600 % 24, s // 60 % 60, s % 60)
                file.writelines(f"{moment},{coin},{1 + rng.gauss(0, 0.0005):.6f},5e10\n" for coin in COINS)


def _sparse(minutes: int) -> tuple[Any, dict[str, CoinSetup]]:
    parts = []
    for minute in range(minutes):
        at = BEGIN_US + minute * 60 * MICROS
        parts.append([Observation("price", at, at, coin, "", "kraken", f"k:{coin}:{at}", 1.0) for coin in COINS])

    class Sparse:
        def batches(self) -> Iterator[list[Observation]]:
            return iter(parts)

    return Sparse(), _setups(heads=False)


def run(work: Path, *, quick: bool) -> list[Figure]:
    seconds = 3600 if quick else 4 * 3600
    made = Made(seconds)
    lake = work / "stablecoins-lake"
    best = min((_timed(made, _setups(), lake) for _ in range(3)), key=lambda found: found[0])
    wall, cpu, report = best
    rate = report.observations / wall
    rows = report.counts["WindowRow"]
    figures = [
        Figure(
            "stablecoins",
            "replay as fast as possible to Delta",
            rate,
            "observations/s",
            budget=f"at least {BUDGET:,.0f}",
            verdict=judge(rate >= BUDGET),
            note=f"{report.observations:,} observations, {rows:,} versions of windows; "
            f"{report.observations / cpu:,.0f} a second of processor time",
        )
    ]
    folder = work / "stablecoins-csv"
    _write_csv(folder, seconds // 2)
    begun = time.perf_counter()
    history = CsvFolder(folder)
    _, _, report = _timed(history, history.setups(), lake)
    figures.append(
        Figure(
            "stablecoins",
            "the same from CSV files",
            report.observations / (time.perf_counter() - begun),
            "observations/s",
            note=f"{len(history):,} values read",
        )
    )
    sparse, setups = _sparse(1440 // (4 if quick else 1))
    wall, _, report = _timed(sparse, setups, lake)
    figures.append(
        Figure(
            "stablecoins",
            "windows of sparse prices",
            report.counts["WindowRow"] / wall,
            "versions of windows/s",
            note="one price a minute for each coin: as many windows as facts",
        )
    )
    shutil.rmtree(lake, ignore_errors=True)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures.append(Figure("stablecoins", "peak memory", peak_mb, "MB", note="with the history held in memory"))
    return figures
