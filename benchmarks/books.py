"""Order books: level updates to best bid and ask, against two peers, and the verification of recordings.

Level updates are recorded ones (Binance USD-M, hftbacktest's recording), the snapshot first; after every message both
best prices are read. The peers take the same levels: `lakeapi.orderbook` steps through a frame of them message by
message, the `order-book` extension is fed in a Python loop. One that is not installed is left out; the note says so.
cryptofeed, which must be compiled and wants other versions of common libraries, is run in an environment of its own:
`CRYPTOFEED_PYTHON` names its interpreter.
"""

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inputs import RECORDED
from benchmarks.report import Figure, judge
from benchmarks.timing import interleaved

CAPTURES = RECORDED.parents[1]
RECORDING = CAPTURES / "hftbacktest-2024-08" / "usdm" / "btcusdt_20240808.gz"
KRAKEN = CAPTURES / "cryptofeed" / "KRAKEN.ws.50.0"
LAKEAPI_RATIO = 25
UPDATES_PER_SECOND = 100e6
FRAMES_PER_SECOND = 3 * 67_000  # the budget where cryptofeed is not there: three times what it was once seen to do
PLAYBACK_RATIO = 3  # the budget: so many times the rate of its playback with its checksums off
PLAYBACK = """
import json, sys, time
from cryptofeed.raw_data_collection import playback
best = float("inf")
for _ in range(int(sys.argv[1])):
    started = time.process_time()
    done = playback("KRAKEN", sys.argv[2:])
    best = min(best, time.process_time() - started)
print(json.dumps([done["callbacks"]["l2_book"], best]))
"""
REPEATS = 50


def recorded_levels(work: Path) -> dict[str, Any]:
    """The snapshot and all later updates of one book: its levels, and end and receive clock of each message."""
    from tidelake.books.frames import read_book_frames
    from tidelake.books.messages import PAGE, UPDATE
    from tidelake.jobs.imports import import_recordings
    from tidelake.raw.ledger import Ledger
    from tidelake.raw.segments import read_lines
    from tidelake.raw.store import Store
    from tidelake.tables.segment_lines import split

    folder = work / "books-levels"
    shutil.rmtree(folder, ignore_errors=True)
    store = Store.open(folder)
    import_recordings(store, [RECORDING], format="hftbacktest", source="binance-usdm")
    ledger = Ledger(store)
    (lane,) = ledger.lanes()
    plain = b"".join(read_lines(store, entry.segment) for entry in ledger.entries(lane))
    lines = split(plain, first_n=0, known_before_ns=0)
    frames = read_book_frames("binance-usdm", lines, {})
    page = int(np.flatnonzero(frames.kind == PAGE)[0])
    last_id = frames.last_id[page]
    chosen = [page, *np.flatnonzero((frames.kind == UPDATE) & (frames.last_id > last_id)).tolist()]
    places = np.concatenate([np.arange(frames.level_from[i], frames.level_from[i + 1]) for i in chosen])
    counts = np.array([frames.level_from[i + 1] - frames.level_from[i] for i in chosen])
    price_exponent, size_exponent = int(frames.price_exponent.min()), int(frames.size_exponent.min())
    tick = frames.price[places] * 10 ** (frames.price_exponent[places] - price_exponent).astype(np.int64)
    lots = frames.size[places] * 10 ** (frames.size_exponent[places] - size_exponent).astype(np.int64)
    return {
        "side": frames.side[places],
        "tick": tick,
        "lots": lots,
        "end": np.cumsum(counts),
        "recv_ns": lines.recv_ns[frames.line[chosen]],
        "tick_size": 10.0**price_exponent,
        "price": tick * 10.0**price_exponent,
        "size": lots * 10.0**size_exponent,
    }


def _dense(levels: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """The levels many times over, each time taken away at the end by a message more; and how many levels that is."""
    from tidelake.kernels.dense_book import apply_messages, empty_book

    standing: dict[tuple[int, int], int] = {}
    for side, tick, lots in zip(levels["side"].tolist(), levels["tick"].tolist(), levels["lots"].tolist(), strict=True):
        standing[side, tick] = lots
    left = [place for place, lots in standing.items() if lots]
    side = np.tile(np.concatenate([levels["side"], [s for s, _ in left]]).astype(np.uint8), REPEATS)
    tick = np.tile(np.concatenate([levels["tick"], [t for _, t in left]]), REPEATS)
    lots = np.tile(np.concatenate([levels["lots"], np.zeros(len(left), np.int64)]), REPEATS)
    once = np.append(levels["end"], levels["end"][-1] + len(left))
    end = np.concatenate([once + i * once[-1] for i in range(REPEATS)])
    tops = np.empty((len(end), 2), np.int64)

    def work() -> Any:
        apply_messages(*empty_book(), side, tick, lots, end, tops)
        return tops[: len(levels["end"])] * levels["tick_size"]

    return work, len(side)


def lakeapi_bests(levels: dict[str, Any]) -> Callable[[], Any]:
    import pandas as pd
    from lakeapi.orderbook import OrderBookUpdater

    message = np.repeat(np.arange(len(levels["end"])), np.diff(levels["end"], prepend=0))
    frame = pd.DataFrame(
        {
            "received_time": pd.to_datetime(message, unit="s"),
            "sequence_number": message,
            "side_is_bid": levels["side"] == 0,
            "price": levels["price"],
            "size": levels["size"],
        }
    )

    def work() -> Any:
        book = OrderBookUpdater(frame)
        tops = []
        while book.process_next_update():
            tops.append(book.get_bests())
        return tops

    return work


def _order_book(levels: dict[str, Any]) -> Callable[[], Any]:
    from order_book import OrderBook

    side, price, size = levels["side"].tolist(), levels["price"].tolist(), levels["size"].tolist()
    ends = [0, *levels["end"].tolist()]

    def work() -> Any:
        book = OrderBook()
        bids, asks = book.bids, book.asks
        tops = []
        for start, end in pairwise(ends):
            for i in range(start, end):
                held = asks if side[i] else bids
                if size[i]:
                    held[price[i]] = size[i]
                elif price[i] in held:
                    del held[price[i]]
            tops.append((bids.index(0)[0], asks.index(0)[0]))
        return tops

    return work


def _kernel_figures(work: Path) -> list[Figure]:
    levels = recorded_levels(work)
    count, messages = len(levels["side"]), len(levels["end"])
    inputs = f"{count:,} recorded level updates in {messages:,} messages of Binance USD-M BTC-USDT, the snapshot first"
    dense, dense_count = _dense(levels)
    works = {"dense": dense}
    for module, make in (("lakeapi", lakeapi_bests), ("order_book", _order_book)):
        if importlib.util.find_spec(module):
            works[module] = make(levels)
    reference = None
    for name, run in works.items():  # compiles, and proves that all read the same prices
        tops = np.asarray(run(), float)
        reference = tops if reference is None else reference
        if not np.allclose(tops, reference):
            raise RuntimeError(f"{name} reads other best prices than the dense book")
    taken = interleaved(works)
    rate = dense_count / taken["dense"].cpu
    figures = [
        Figure("books", "level updates to best bid and ask, one book", rate / 1e6, "million/s", budget="100 million/s",
               verdict=judge(rate >= UPDATES_PER_SECOND), inputs=inputs, note="processor time, one core")
    ]  # fmt: skip
    for module, budget in (("lakeapi", f"{LAKEAPI_RATIO}x"), ("order_book", "")):
        if module in taken:
            theirs = count / taken[module].cpu
            ratio = rate / theirs
            kept = judge(ratio >= LAKEAPI_RATIO) if budget else ""
            figures.append(
                Figure("books", "level updates, best prices read after every message", rate / 1e6, "million/s",
                       peer=module.replace("_", "-"), peer_measured=theirs / 1e6, ratio=ratio, budget=budget,
                       verdict=kept, inputs=inputs)
            )  # fmt: skip
        else:
            figures.append(
                Figure("books", "level updates, best prices read after every message", rate / 1e6, "million/s",
                       inputs=inputs, note=f"{module} is not installed: not compared")
            )  # fmt: skip
    return figures


def _verification_figure(work: Path, quick: bool) -> Figure:
    import tidelake
    from tidelake.jobs.imports import import_recordings
    from tidelake.raw.store import Store

    folder = work / "books-lake"
    shutil.rmtree(folder, ignore_errors=True)
    import_recordings(Store.open(folder), [KRAKEN], format="cryptofeed", source="kraken")
    lake = tidelake.open(folder)
    frames = sum(book.frames for book in lake.verify_books())
    rounds = 3 if quick else 15
    taken = interleaved({"verify": lake.verify_books}, rounds=rounds)["verify"]
    theirs = _playback_rate(rounds)
    again = interleaved({"verify": lake.verify_books}, rounds=rounds)["verify"]
    rate = frames / min(taken.cpu, again.cpu)
    inputs = f"{frames:,} recorded book frames of Kraken v1, CRC32 of each"
    what = "verification of a recording, every rule on"
    if theirs is None:
        return Figure(
            "books", what, rate, "frames/s", budget=f"{FRAMES_PER_SECOND:,} frames/s",
            verdict=judge(rate >= FRAMES_PER_SECOND), inputs=inputs,
            note="read, decode and engine, processor time; CRYPTOFEED_PYTHON is not set: not compared",
        )  # fmt: skip
    return Figure(
        "books", what, rate, "frames/s", peer="cryptofeed", peer_measured=theirs, ratio=rate / theirs,
        budget=f"{PLAYBACK_RATIO}x", verdict=judge(rate >= PLAYBACK_RATIO * theirs), inputs=inputs,
        note="read, decode and engine, processor time; its playback of the same files, its checksums off",
    )  # fmt: skip


def _playback_rate(rounds: int) -> float | None:
    """Book frames per second of processor time of cryptofeed's playback; None where it is not there."""
    python = os.environ.get("CRYPTOFEED_PYTHON")
    if not python:
        return None
    files = [str(path) for path in sorted(KRAKEN.parent.glob("KRAKEN.*"))]
    command = [python, "-c", PLAYBACK, str(rounds), *files]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    frames, seconds = json.loads(answer.stdout.splitlines()[-1])
    return float(frames / seconds)


def run(work: Path, *, quick: bool) -> list[Figure]:
    if not RECORDING.is_file():
        raise FileNotFoundError(f"needs the recorded data in {CAPTURES}")
    return [*_kernel_figures(work), _verification_figure(work, quick)]
