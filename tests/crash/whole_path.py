"""What the processes of the whole-path test run: a stream from its frames to its table, resumed where it was."""

from tests.tables.lakes import START_US, trade
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


def keep_and_derive(url: str) -> None:
    """Append the frames that the lane does not hold yet, seal every few, derive after each seal."""
    store = Store.open(url)
    with LaneWriter(store, LANE, "coinbase", describe=describe_for("coinbase")) as writer:
        while (n := writer.next_n) < FRAMES:
            clock = START_US * 1_000 + n * 1_000_000
            writer.append(payload=frame(n), kind="frame", recv_ns=clock, mono_ns=n)
            if (n + 1) % PER_SEAL == 0:
                writer.seal()
                derive_table(store, TRADES)
    derive_table(store, TRADES)
