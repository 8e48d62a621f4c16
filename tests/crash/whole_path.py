"""What the processes of the whole-path test run: a stream from its frames to its table, resumed where it was."""

from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Literal

from tests.processes import PATIENT_SECONDS
from tests.tables.lakes import START_US, trade
from tidelake.errors import LaneMoved
from tidelake.raw.lane import LaneWriter
from tidelake.raw.store import Store
from tidelake.tables.derive import derive_table
from tidelake.tables.describe import describe_for
from tidelake.tables.trades import TRADES

LANE = "coinbase.trades.BTC-USD"
FRAMES = 24
TORN = 17  # this frame is cut short and must end in quarantine, once
PER_SEAL = 5


def frame(n: int) -> bytes:
    """Trades whose numbers count by one, each told twice in a row; the prices are their own."""
    whole = trade("coinbase", n // 2, START_US + n // 2, f"{100 + n // 2}.25")
    return whole[:-4] if n == TORN else whole


def open_lane(store: Store, on_conflict: Literal["append", "stop"] = "append") -> LaneWriter:
    return LaneWriter(store, LANE, "coinbase", describe=describe_for("coinbase"), on_conflict=on_conflict)


def append_next(writer: LaneWriter) -> int:
    """Append the frame that the lane does not hold yet; its number."""
    n = writer.next_n
    writer.append(payload=frame(n), kind="frame", recv_ns=START_US * 1_000 + n * 1_000_000, mono_ns=n)
    return n


def keep_and_derive(url: str) -> None:
    """Append the frames that the lane does not hold yet, seal every few, derive after each seal."""
    store = Store.open(url)
    with open_lane(store) as writer:
        _keep(store, writer)
    derive_table(store, TRADES)


def race(url: str, all_open: Barrier, answer: str) -> None:
    """Once all have opened the lane, keep and derive as one of several that must not mix; say "won" or "moved"."""
    store = Store.open(url)
    writer = open_lane(store, "stop")
    all_open.wait(PATIENT_SECONDS)
    said = "won"
    try:
        with writer:
            _keep(store, writer)
    except LaneMoved:
        said = "moved"
    derive_table(store, TRADES)
    Path(answer).write_text(said)


def _keep(store: Store, writer: LaneWriter) -> None:
    while writer.next_n < FRAMES:
        if (append_next(writer) + 1) % PER_SEAL == 0:
            writer.seal()
            derive_table(store, TRADES)
