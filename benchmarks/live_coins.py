"""Coins watched live: from the receipt of an answer until the record that rests on it lies in its table.

All that a watch does: two nodes of each of two chains followed and providers polled over HTTP
(`benchmarks.coin_doubles`), answers kept, machines, files of JSON lines, Delta tables. What the clock brings about, as
the end of a window, counts from the tick.
"""

import asyncio
import resource
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.coin_doubles import address, serving_doubles
from benchmarks.report import Figure, judge
from tidelake.chains.registry import chain
from tidelake.jobs.coin_polls import PollSettings
from tidelake.jobs.watch_coins import CoinWatch
from tidelake.jobs.watch_metrics import WatchMetrics
from tidelake.providers.registry import COIN_SOURCES
from tidelake.raw.store import Store
from tidelake.stablecoins.coin import Coin
from tidelake.stablecoins.records import Record
from tidelake.stablecoins.registry import read_coins
from tidelake.transport.rates import Pace
from tidelake.transport.rpc_providers import Provider

COINS, CHAINS = 15, ("ethereum", "arbitrum")
POLL_S = 2.0  # in place of a minute, so that more is told
BUDGET_P99_S = 1.0


class Timed(WatchMetrics):
    """Metrics that keep each latency, in seconds; `commits` counts batches."""

    def __init__(self) -> None:
        super().__init__()
        self.latencies_s: list[float] = []
        self.commits = 0

    def stored(self, records: Sequence[Record]) -> None:
        now_us = time.time_ns() // 1_000
        self.latencies_s += [(now_us - record.known_us) / 1e6 for record in records]
        self.commits += 1
        super().stored(records)


def _coins() -> list[Coin]:
    usdc = next(coin for coin in read_coins() if coin.symbol == "USDC")
    there = {one.chain: one for one in usdc.deployments if one.chain in CHAINS}
    return [
        msgspec.structs.replace(
            usdc,
            symbol=f"COIN{number}",
            ids=msgspec.structs.replace(usdc.ids, coingecko=f"coin-{number}", defillama=str(1000 + number)),
            deployments=tuple(
                msgspec.structs.replace(there[name], address=address(number, name), changes="transfers")
                for name in CHAINS
            ),
        )
        for number in range(COINS)
    ]


def watched(work: Path, seconds: float) -> tuple[Timed, dict[str, int]]:
    """Latencies of a watch of so many seconds, and its records by kind."""
    timed = Timed()
    with serving_doubles(COINS) as url:
        nodes = [
            (
                replace(chain(name), header_hash_since=None),
                [Provider(f"{name}-{one}", f"{url}/{name}/{one}", requests=Pace(1e6, 1.0)) for one in ("a", "b")],
            )
            for name in CHAINS
        ]
        polls = PollSettings(
            urls=dict.fromkeys(COIN_SOURCES, url),
            paces=dict.fromkeys(COIN_SOURCES, Pace(1e6, 1.0)),
            intervals=dict.fromkeys(COIN_SOURCES, POLL_S),
        )
        watching = CoinWatch(
            Store.open(work / "live-coins-lake"), _coins(), nodes, polls=polls, jsonl=work / "lines", metrics=timed
        )
        report = asyncio.run(watching.run(seconds))
    if report.failed:
        raise RuntimeError(f"machines stopped: {report.failed}")
    return timed, dict(report.counts)


def run(work: Path, *, quick: bool) -> list[Figure]:
    seconds = 75.0 if quick else 200.0  # the end of a window or three is within
    timed, counts = watched(work, seconds)
    p50, p99 = (float(np.percentile(timed.latencies_s, share)) for share in (50, 99))
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        Figure(
            "live_coins",
            "watch, answer to record in its table, p99",
            p99,
            "s",
            budget=f"under {BUDGET_P99_S:g} s",
            verdict=judge(p99 < BUDGET_P99_S),
            inputs=f"{COINS} coins on {', '.join(CHAINS)} (blocks each 12 s and 0.25 s), polled each {POLL_S:g} s",
            note=f"p50 {p50:.3f} s, most {max(timed.latencies_s):.3f} s; {told} in {timed.commits} commits",
            details={"p50_s": p50, "commits": timed.commits, "records": len(timed.latencies_s), "peak_mb": peak_mb},
        )
    ]
