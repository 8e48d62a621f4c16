"""One hour of a coin on one chain, written by hand: a depeg, and a burn that a reorganisation takes back."""

import datetime as dt

from tidelake.raw.store import Store
from tidelake.stablecoins.observation import Head, Observation, Retraction
from tidelake.stablecoins.replay.run import Replay
from tidelake.stablecoins.setup import ChainSetup, CoinSetup

S = 1_000_000
BEGIN = 1_700_000_100 * S - 1_700_000_100 * S % (300 * S)
RUN = "hand"
BURNT_AT = 840  # s from the beginning; a window of five minutes ends at 900
BURNT_SEEN = BURNT_AT + 30
TAKEN_BACK = 960
DEPEG_FROM, DEPEG_TO = 1200, 1500
END = 3600
BURN = "ethereum:0xold:0xtx:0"
AGAIN = "ethereum:0xnew:0xtx:0"


def at(second: float) -> dt.datetime:
    """The time so many seconds from the beginning."""
    return dt.datetime.fromtimestamp(BEGIN / S + second, dt.UTC)


def window(second: int, chain: str = "all", window_s: int = 60) -> str:
    """The id of a window of USDC."""
    return f"USDC:{chain}:{window_s}:{BEGIN // S + second}"


def setup() -> CoinSetup:
    """USDC on Ethereum, price by two sources."""
    chain = ChainSetup(name="ethereum", decimals=6, grace_us=120 * S, expects=("supply",))
    return CoinSetup(coin="USDC", chains=(chain,), begin_us=BEGIN, expects=("price",), price_sources=2)


def told() -> list[Observation]:
    """What is told: prices each 30 s, heads each 12 s (tier 2 after 60 s, tier 3 after 360 s), the burn and its end."""
    seen: list[Observation] = []

    def tell(feature: str, event: float, known: float, **more: object) -> None:
        seen.append(Observation(feature, BEGIN + int(event * S), BEGIN + int(known * S), **more))  # type: ignore[arg-type]

    for second in range(0, END, 30):
        price = 0.95 if DEPEG_FROM <= second < DEPEG_TO else 1.0
        for source in ("kraken", "coingecko"):
            late = 40 if second == DEPEG_FROM and source == "coingecko" else 1  # the second source agrees later
            tell("price", second, second + late, coin="USDC", source=source, id=f"{source}:{second}", value=price)
    for second in range(0, END + 600, 12):
        settled = Head(BEGIN + (second - 60) * S, BEGIN + (second - 360) * S, second // 12 - 30)
        tell("head", second, second + 2, chain="ethereum", source="node", block_number=second // 12, told=settled)
    burn = {"coin": "USDC", "chain": "ethereum", "source": "logs", "units": -7_000_000}
    tell("supply", BURNT_AT, BURNT_SEEN, id=BURN, block_number=BURNT_AT // 12, **burn)
    gone = Retraction((BURN,), (AGAIN,), "chain_reorg")
    tell("retract", BURNT_AT, TAKEN_BACK, chain="ethereum", source="node", told=gone)
    tell("supply", BURNT_AT + 72, TAKEN_BACK + 1, id=AGAIN, block_number=BURNT_AT // 12 + 6, **burn)
    return sorted(seen, key=lambda each: each.known_us)


class Listed:
    """Observations as a history."""

    def __init__(self, seen: list[Observation]) -> None:
        self.seen = seen

    def batches(self):
        return iter([self.seen])


def replay(store: Store, run: str = RUN) -> None:
    """Play it into a lake."""
    report = Replay(store, run, {"USDC": setup()}).run(Listed(told()))
    assert report.done
    assert not report.failed
