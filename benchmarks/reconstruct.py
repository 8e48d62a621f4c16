"""Reconstruction of books: the replay kernel on recorded levels, against a peer on the same arrays.

The levels are those of `benchmarks/books.py`: recorded messages of Binance USD-M, a whole book first. The replay tells
best bid and best ask after each message, and 20 levels of both sides at every moment of a grid of 100 ms, by the clock
with which they were received. The peer, `lakeapi.orderbook`, steps through a frame of the same levels and is
asked for its best prices after each message; where it is not installed, the note says so.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.books import CAPTURES, LAKEAPI_RATIO, RECORDING, REPEATS, lakeapi_bests, recorded_levels
from benchmarks.reconstruct_files import figures as file_figures
from benchmarks.report import Figure, judge
from benchmarks.timing import interleaved

LEVELS = 20
EVERY_NS = 100_000_000
DEPTH = 1000


def _batch(levels: dict[str, Any]) -> Any:
    """The messages many times over, each time from a whole book on."""
    from tidelake.books.reconstruction.batch import EventBatch
    from tidelake.kernels.replay_codes import DELTA, WHOLE

    messages = len(levels["end"])
    n = messages * REPEATS
    kind = np.full(n, DELTA, np.uint8)
    kind[::messages] = WHOLE
    place = np.arange(n)
    once_ns = np.maximum.accumulate(levels["recv_ns"] - levels["recv_ns"][0])
    clock_ns = np.concatenate([once_ns + i * (once_ns[-1] + EVERY_NS) for i in range(REPEATS)])
    ends = [levels["end"] + i * levels["end"][-1] for i in range(REPEATS)]
    return EventBatch(
        kind=kind,
        clock_ns=clock_ns,
        event_ns=clock_ns,
        recv_ns=clock_ns,
        sequence=place,
        broken=np.zeros(n, np.uint8),
        exact=np.zeros(n, np.uint8),
        level_from=np.concatenate([[0], *ends]),
        side=np.tile(levels["side"], REPEATS).astype(np.uint8),
        tick=np.tile(levels["tick"], REPEATS),
        lots=np.tile(levels["lots"], REPEATS),
        file=np.zeros(n, np.int32),
        row=place,
        trade_id=pa.nulls(n, pa.string()),
    )


def _replay(batch: Any, levels: int) -> Callable[[], Any]:
    from tidelake.books.reconstruction.replay import Replay

    def work() -> Any:
        return Replay(DEPTH, levels, EVERY_NS).run(batch)

    return work


def _check(told: Any, levels: dict[str, Any], theirs: Any) -> None:
    """Refuses to measure two books that do not read the same prices."""
    messages = len(levels["end"])
    if not np.allclose(told.best_tick[:messages] * levels["tick_size"], np.asarray(theirs, float)):
        raise RuntimeError("lakeapi reads other best prices than the replay")


def run(work: Path, *, quick: bool) -> list[Figure]:
    if not RECORDING.is_file():
        raise FileNotFoundError(f"needs the recorded data in {CAPTURES}")
    levels = recorded_levels(work)
    batch = _batch(levels)
    works = {"levels": _replay(batch, LEVELS), "bests": _replay(batch, 0)}
    told = works["levels"]()
    if importlib.util.find_spec("lakeapi"):
        works["lakeapi"] = lakeapi_bests(levels)
        _check(told, levels, works["lakeapi"]())
    taken = interleaved(works, rounds=3 if quick else 7)
    inputs = (
        f"{len(levels['side']):,} recorded level updates in {len(levels['end']):,} messages of Binance USD-M BTC-USDT, "
        f"the snapshot first, {REPEATS} times over"
    )
    theirs = len(levels["side"]) / taken["lakeapi"].cpu if "lakeapi" in taken else None
    return [
        _figure("best bid and ask per event", len(batch.tick) / taken["bests"].cpu, theirs, inputs, budget=True),
        _figure(f"and {LEVELS} levels every 100 ms", len(batch.tick) / taken["levels"].cpu, theirs, inputs),
        *file_figures(CAPTURES, work / "days", quick=quick),
    ]


def _figure(what: str, rate: float, theirs: float | None, inputs: str, *, budget: bool = False) -> Figure:
    """Level updates per second; the budget speaks of best prices, which is all that the peer is asked for."""
    work = f"replay of level updates: {what}"
    if theirs is None:
        note = "processor time, one core; lakeapi is not installed: not compared"
        return Figure("reconstruct", work, rate / 1e6, "million/s", inputs=inputs, note=note)
    return Figure(
        "reconstruct", work, rate / 1e6, "million/s", peer="lakeapi", peer_measured=theirs / 1e6, ratio=rate / theirs,
        budget=f"{LAKEAPI_RATIO}x" if budget else "", verdict=judge(rate >= LAKEAPI_RATIO * theirs) if budget else "",
        inputs=inputs, note="processor time, one core; lakeapi tells best prices alone",
    )  # fmt: skip
