"""In which order a watch took what its lanes hold, in the raw log: the one place that knows the form of these frames.

    coins.watches   feed `watch_order`: a `WatchPart` for each batch of a watch

Lanes say what was told and when it was known, not in which order machines heard of two lanes, nor at which moments they
were told that time passes. With this a watch can be replayed as it was.
"""

from collections.abc import Iterator

import msgspec

from tidelake.errors import FormatDrift, NotInLake
from tidelake.raw.codec import key_from_environment
from tidelake.raw.ledger import Ledger, lane_name
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.stablecoins.observation import Observation
from tidelake.stablecoins.setup import CoinSetup

LANE = lane_name("coins", "watches")
FEED = "watch_order"
OF_CHAINS = ("supply", "head", "retract", "violation", "resumed", "lost")


class Run(msgspec.Struct, array_like=True):
    """So many observations of one stream in a row.

    Attributes:
        stream: As `stream_of` names it; "" of words that the watch says itself.
        count: How many.
        known_us: When the first of them was known, us UTC.
    """

    stream: str
    count: int
    known_us: int


class WatchPart(msgspec.Struct, omit_defaults=True):
    """What a watch took up to a batch.

    Attributes:
        run: Its name.
        first: Observations that it had taken before. What an earlier part says of them and later ones stands no more:
            a watch that was killed goes on from the batch that it wrote down.
        order: Of those taken since, in order.
        own: The words among them that the watch said itself: time passed, a chain is followed no more.
        setups: Of its machines, by coin; in the first part.
    """

    run: str
    first: int
    order: list[Run]
    own: list[Observation]
    setups: dict[str, CoinSetup] = {}

    @property
    def end(self) -> int:
        """Observations that it had taken after it."""
        return self.first + sum(one.count for one in self.order)


def stream_of(seen: Observation) -> str:
    """The stream in which an observation came: what it tells is known in the order in which it is told."""
    if seen.feature == "clock" or (seen.feature == "source" and seen.source == "heads"):
        return ""
    if seen.feature in OF_CHAINS or (seen.feature == "source" and seen.chain):
        return f"chain {seen.chain.partition('/')[0]}"
    return f"turns of {seen.source}" if seen.feature == "source" else seen.feature


def read_parts(store: Store, run: str) -> list[WatchPart]:
    """The parts of a watch that stand, in order.

    Raises:
        NotInLake: There is no such watch; `available` lists those that there are.
        FormatDrift: A frame is none of these.
        LedgerBroken: The lane does not hold.
    """
    found: list[WatchPart] = []
    names: dict[str, None] = {}
    for part in _parts(store):
        names[part.run] = None
        if part.run != run:
            continue
        while found and found[-1].end > part.first:
            found.pop()
        if part.first != (found[-1].end if found else 0):
            raise FormatDrift(f"{LANE}: a part of {run} begins at {part.first}, and none ends there")
        found.append(part)
    if not found:
        known = ", ".join(names) or "none"
        raise NotInLake(f"the lake holds no watch {run!r} that is sealed; it holds {known}", available=tuple(names))
    return found


def _parts(store: Store) -> Iterator[WatchPart]:
    for entry in Ledger(store).entries(LANE):
        for frame in iter_frames(store, entry.segment, key_from_environment()):
            if frame.feed != FEED:
                continue
            try:
                yield msgspec.json.decode(frame.payload, type=WatchPart)
            except msgspec.MsgspecError as exc:
                raise FormatDrift(f"{LANE}: line {frame.n} is no part of a watch: {exc}", line=frame.n) from exc
