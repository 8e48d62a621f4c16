"""Trades by REST from a simulated venue: how many one worker takes to the ledger in an hour.

The venue runs in a process of its own and knows no limits, so this is what our side can do. What the venue's documented
limit allows stands beside it; an ingest of a real venue goes at the smaller of the two, less the way to the venue.
"""

import multiprocessing
import shutil
import time
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.report import Figure, judge

VENUES = {"coinbase": ("BTC-USD", 1000), "binance-spot": ("BTC-USDT", 1000)}
TRADES, QUICK_TRADES = 300_000, 30_000
RATE = 100.0  # trades per second of the market
GOAL = 1_000_000
SETTLE_S = 60


def _serve(source: str, start_ns: int, pipe: Connection) -> None:
    from tidelake.sim.market import Market
    from tidelake.sim.server import SimServer

    with SimServer(source, Market(seed=5, start_ns=start_ns, rate=RATE)) as server:
        pipe.send(server.url_of(source))
        pipe.recv()


def _fetch(source: str, symbol: str, lake: Path, url: str, start_ns: int, end_ns: int) -> tuple[int, int, float, float]:
    """Trades, pages, wall and processor seconds of a backfill."""
    from tidelake.jobs.backfill import backfill
    from tidelake.jobs.session import Settings
    from tidelake.raw.store import Store
    from tidelake.venues.spec import Rate

    settings = Settings(url=url, rates={source: Rate(weight=1e9, seconds=1.0)})
    wall, cpu = time.perf_counter(), time.process_time()
    report = backfill(Store.open(lake), source, [symbol], start_ns, end_ns, settings=settings)
    taken = time.perf_counter() - wall, time.process_time() - cpu
    row = report.rows[0]
    if row.state != "done" or row.gaps:
        raise AssertionError(f"{source}: {row}")
    return row.trades, row.pages or 0, *taken


def _measure(source: str, symbol: str, lake: Path, trades: int) -> tuple[int, int, float, float]:
    seconds = int(trades / RATE)
    end_ns = (time.time_ns() // 10**9 - SETTLE_S) * 10**9
    start_ns = end_ns - seconds * 10**9
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=(source, start_ns - 600 * 10**9, theirs))
    server.start()
    try:
        url = ours.recv()
        return _fetch(source, symbol, lake, url, start_ns, end_ns)
    finally:
        ours.send(None)
        server.join()


def _allowed(source: str, symbol: str, page: int) -> float:
    """Trades an hour that the documented limit allows, a page a request."""
    from tidelake.venues.registry import venue

    found = venue(source)
    assert found.trades is not None
    request = found.trades.newest(found.venue_symbol(symbol))
    return found.rate.weight / found.rate.seconds * 3600 / request.weight * page


def run(work: Path, *, quick: bool) -> list[Figure]:
    wanted = QUICK_TRADES if quick else TRADES
    figures = []
    for source, (symbol, page) in VENUES.items():
        lake = work / "ingest-lake"
        shutil.rmtree(lake, ignore_errors=True)
        trades, pages, wall, cpu = _measure(source, symbol, lake, wanted)
        raw = [path.stat().st_size for path in (lake / "raw").rglob("*.zst")]
        shutil.rmtree(lake)
        hour = trades / wall * 3600
        figures.append(
            Figure(
                "ingest", f"trades by REST an hour and worker, {source}", hour, "trades", "its limit allows",
                _allowed(source, symbol, page), None, f"{GOAL:,}", judge(hour >= GOAL),
                f"{trades:,} simulated trades in {pages} pages, venue in another process",
                f"{wall / pages * 1e3:.1f} ms a page on the wall, {cpu / pages * 1e3:.1f} ms of processor; "
                f"{len(raw)} segments, {sum(raw) / trades:.1f} bytes a trade in raw",
                {"trades": trades, "pages": pages, "seconds": wall, "cpu_s": cpu, "raw_bytes": sum(raw),
                 "segments": len(raw)},
            )
        )  # fmt: skip
    return figures
