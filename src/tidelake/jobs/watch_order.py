"""Keeps in which order a watch takes observations, in lane `coins.watches`: its replay is then the watch again."""

import time
from collections.abc import Callable, Mapping

import msgspec

from tidelake.errors import StoreError
from tidelake.raw.codec import key_from_environment
from tidelake.raw.lane import LaneWriter
from tidelake.raw.sealing import claim_nothing
from tidelake.raw.store import Store
from tidelake.stablecoins.observation import Observation
from tidelake.stablecoins.setup import CoinSetup
from tidelake.stablecoins.sources.watch_lane import FEED, LANE, Run, WatchPart, stream_of
from tidelake.transport.logger import logger

SEAL_S = 300.0


class WatchOrder:
    """Writes the lane for one watch.

    Opening it seals what a killed writer left.

    Args:
        store: The lake's store.
        run: Name of the watch.
        taken: Observations that it has taken before.
        setups: Of its machines, by coin.
        clock: Wall clock, ns since 1970.
        monotonic: Seconds, for seals.
    """

    def __init__(
        self,
        store: Store,
        run: str,
        taken: int,
        setups: Mapping[str, CoinSetup],
        *,
        clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        key = key_from_environment()
        self._lane = LaneWriter(store, LANE, "tidelake", describe=claim_nothing, key=key, clock=clock)
        self._monotonic = monotonic
        self._sealed_s = monotonic()
        self._setups = dict(setups)
        self._part = WatchPart(run, taken, [], [])

    def take(self, seen: Observation, *, anew: bool) -> None:
        """One more was taken; `anew` where it was told apart from the one before."""
        stream, order = stream_of(seen), self._part.order
        if not anew and order and order[-1].stream == stream:
            order[-1].count += 1
        else:
            order.append(Run(stream, 1, seen.known_us))
        if not stream:
            self._part.own.append(seen)

    def write(self) -> None:
        """Keep what was taken; on return it outlives the process."""
        part = self._part
        if not part.order:
            return
        if not part.first:
            part.setups = self._setups
        self._lane.append(payload=msgspec.json.encode(part), kind="note", feed=FEED)
        self._part = WatchPart(part.run, part.end, [], [])
        if self._monotonic() - self._sealed_s >= SEAL_S:
            self._sealed_s = self._monotonic()
            self._lane.detach()

    def seal_when_due(self) -> None:
        """Seal what was kept for five minutes; another thread than that of `write` may."""
        try:
            self._lane.seal_detached()
        except StoreError as exc:  # the frames stay in the part file, and are sealed the next time
            logger().warning("not sealed", lane=LANE, reason=str(exc))

    def close(self) -> None:
        """Seal what is left."""
        self._lane.close()
