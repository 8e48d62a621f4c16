"""Frames from a socket: our connection against the `websockets` library, and the whole capture to the bus.

The flooding venue is a process of its own on the same cores. Nothing lost: every frame sent is counted in the sealed
segments. Latency is from the receive clock, taken at the socket, to the call of the bus with the row; that of the first
second, in which kernels are loaded, is left out. Books are judged by the rules of their venue.
"""

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.flood import flooding
from benchmarks.report import Figure, judge
from tidelake.jobs.capture import CaptureSettings, capture_async
from tidelake.jobs.session import Settings
from tidelake.raw.codec import key_from_environment
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import read_lines
from tidelake.raw.store import Store
from tidelake.transport.websocket import Heard, Pulse, connect

FRAMES, QUICK_FRAMES = 1_000_000, 100_000
BUDGET_RATE, BUDGET_P99 = 50_000, 0.050
WARM_NS = 10**9  # kernels are loaded in the first second; its latencies are left out
INPUTS = "200-byte Binance frames, seven of ten book updates, from a flooding process on the same cores"


async def _ours(url: str, count: int) -> tuple[int, int]:
    inbox: list[Heard] = []
    connection = await connect(url.replace("http", "ws") + f"/{count}/0/stream", inbox, Pulse())
    connection.send(b"go")
    clocks: list[int] = []  # of the first and the last of each batch
    while connection.frames <= count:
        await asyncio.sleep(0.01)
        clocks += [one.mono_ns for one in (*inbox[:1], *inbox[-1:]) if one.payload.startswith(b'{"stream"')]
        inbox.clear()
    await connection.close()
    return clocks[0], clocks[-1]


async def _websockets(url: str, count: int) -> tuple[int, int]:
    from websockets.asyncio.client import connect as plain

    address = url.replace("http", "ws") + f"/{count}/0/stream"
    async with plain(
        address, compression=None, max_size=None, ping_interval=None, close_timeout=0.1, proxy=None
    ) as link:
        await link.send("go")
        await link.recv(decode=False)
        kept = [(await link.recv(decode=False), time.time_ns(), time.monotonic_ns()) for _ in range(count)]
    return kept[0][2], kept[-1][2]


def _timed(work: Callable[[str, int], Awaitable[tuple[int, int]]], url: str, count: int) -> tuple[float, float]:
    """Frames per second from the first to the last, and processor seconds per 10,000 frames."""
    cpu = time.process_time()

    async def run() -> tuple[int, int]:
        return await work(url, count)

    first, last = asyncio.run(run())
    return count / ((last - first) / 1e9), (time.process_time() - cpu) / count * 10_000


async def _capture(url: str, store: Store, count: int, pace: int) -> tuple[float, float, np.ndarray, int]:
    late: list[np.ndarray] = []
    clocks_of: list[np.ndarray] = []
    seen = {"first": 0, "last": 0}

    def publish(table: str, rows: pa.Table) -> None:
        clocks = rows["recv_ns"].to_numpy()
        late.append(time.time_ns() - clocks)
        clocks_of.append(clocks)
        seen["first"] = seen["first"] or int(clocks[0])
        seen["last"] = max(seen["last"], int(clocks[-1]))

    cpu = time.process_time()
    task = asyncio.create_task(
        capture_async(
            store,
            {"binance-spot": ["BTC-USDT"]},
            settings=Settings(url=f"{url}/{count}/{pace}"),
            capturing=CaptureSettings(publish=publish, rotate_bytes=32 << 20),
        )
    )
    before = -1
    while sum(map(len, late)) != before or before <= 0:  # until a second brings no more rows
        before = sum(map(len, late))
        await asyncio.sleep(2.0)
    task.cancel()
    report = await task
    used = time.process_time() - cpu
    steady = np.concatenate(clocks_of) > seen["first"] + WARM_NS
    return (seen["last"] - seen["first"]) / 1e9, used, np.concatenate(late)[steady], report.shed


def _kept(store: Store) -> int:
    ledger = Ledger(store)
    entries = (entry for lane in ledger.lanes() for entry in ledger.entries(lane))
    return sum(
        read_lines(store, entry.segment, key_from_environment()).count(b'"payload":{"stream":') for entry in entries
    )


def run(work: Path, *, quick: bool) -> list[Figure]:
    count = QUICK_FRAMES if quick else FRAMES
    with flooding() as url:
        ours, ours_cpu = _timed(_ours, url, count // 2)
        peer, peer_cpu = _timed(_websockets, url, count // 4)
        flood_store = Store.open(work / "flood")
        span, used, late, shed = asyncio.run(_capture(url, flood_store, count, 0))
        full_store = Store.open(work / "full")
        _, full_used, full, full_shed = asyncio.run(_capture(url, full_store, count // 2, BUDGET_RATE))
        paced_store = Store.open(work / "paced")
        _, paced_used, paced, paced_shed = asyncio.run(_capture(url, paced_store, count // 2, BUDGET_RATE // 2))
    lost = count - _kept(flood_store) + count // 2 * 2 - _kept(full_store) - _kept(paced_store)
    p50, p99, p999 = (float(np.percentile(paced, q)) / 1e9 for q in (50, 99, 99.9))
    flood_p99 = float(np.percentile(late, 99)) / 1e9
    full_p50, full_p99 = (float(np.percentile(full, q)) / 1e9 for q in (50, 99))
    handed_on = (count - shed) / span
    kept_up = handed_on >= BUDGET_RATE and not lost and not full_shed and not paced_shed
    told = f"flooded with {count / span:,.0f} frames/s, all kept raw, {shed:,} of them not published; "
    told += f"at 50,000 and 25,000 frames/s {full_shed + paced_shed} not published; {lost} frames lost"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        Figure(
            "sockets", "frames from one socket, two clocks each", ours, "frames/s",
            peer="websockets", peer_measured=peer, ratio=ours / peer, inputs=INPUTS,
            details={"cpu_per_10000_s": ours_cpu, "peer_cpu_per_10000_s": peer_cpu},
        ),
        Figure(
            "sockets", "capture: kept, decoded, judged and published", handed_on, "frames/s",
            budget="at least 50,000, nothing lost", verdict=judge(kept_up),
            inputs=INPUTS, note=f"{told}; peak {peak:.0f} MB",
            details={"kept_per_s": count / span, "cpu_per_10000_s": used / count * 10_000, "p99_s": flood_p99,
                     "peak_mb": peak, "shed": shed, "shed_at_50000": full_shed, "p50_at_50000_s": full_p50,
                     "p99_at_50000_s": full_p99, "cpu_per_10000_at_50000_s": full_used / (count // 2) * 10_000},
        ),
        Figure(
            "sockets", "p99 from receipt to bus at 25,000 frames/s", p99, "s",
            budget="under 0.05 s", verdict=judge(p99 < BUDGET_P99), inputs=INPUTS,
            details={"p50_s": p50, "p999_s": p999, "cpu_per_10000_s": paced_used / (count // 2) * 10_000},
        ),
    ]  # fmt: skip
