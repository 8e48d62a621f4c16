"""Sources of coins run beside each other, each in its interval and for itself: one that is dead never stops the rest.

async with Http(patience=settings.patience) as http:
feeds = CoinFeeds([*polled_feeds(store, http, coins, settings), volatility, sentiment], heard=take)
await feeds.run()
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

from tidelake.errors import TidelakeError
from tidelake.jobs.coin_polls import PolledFeed, PollSettings
from tidelake.providers.coin_source import CoinRef
from tidelake.providers.registry import COIN_SOURCES
from tidelake.raw.store import Store
from tidelake.stablecoins.sources.feed import Feed, Health, Known, Turn, merge_known
from tidelake.transport.http import Http
from tidelake.transport.logger import logger

Heard = Callable[[Sequence[Known]], None]


def polled_feeds(
    store: Store, http: Http, coins: Sequence[CoinRef], settings: PollSettings | None = None
) -> list[PolledFeed]:
    """A feed for each provider that is asked always, with those that stand in for it."""
    stand_ins = [source for source in COIN_SOURCES.values() if source.stands_in_for]
    return [
        PolledFeed(
            store,
            http,
            source,
            coins,
            stand_ins=[each for each in stand_ins if each.stands_in_for == source.name],
            settings=settings,
        )
        for source in COIN_SOURCES.values()
        if not source.stands_in_for
    ]


class CoinFeeds:
    """Runs feeds.

    Args:
        feeds: They are closed when the run ends.
        heard: Told what a tick gave, within the event loop: it should take it and return.
        monotonic: Seconds.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        feeds: Sequence[Feed],
        heard: Heard,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._feeds = tuple(feeds)
        self._tellers = {word: feed.name for feed in feeds for word in _words(feed)}
        self._heard = heard
        self._monotonic = monotonic
        self._sleep = sleep

    async def run(self, for_s: float | None = None) -> None:
        """Tick until cancelled, or for so many seconds: a tick that would begin later is not made.

        A tick that takes longer than its interval leaves out those that it covers.

        Raises:
            StoreError: A lane could not be sealed at the end; its part file is recovered when it is opened again.
        """
        tasks = [asyncio.ensure_future(self._run_one(feed, for_s)) for feed in self._feeds]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._close()

    async def _close(self) -> None:
        faults = []
        for feed in self._feeds:
            try:
                await feed.close()
            except (TidelakeError, OSError) as exc:
                faults.append(exc)
        if faults:
            raise faults[0]

    async def _run_one(self, feed: Feed, for_s: float | None) -> None:
        start = self._monotonic()
        while True:
            try:
                known = await feed.tick()
            except (TidelakeError, OSError) as exc:  # its lane cannot be written, say: the next tick tries again
                logger().error("tick failed", source=feed.name, reason=str(exc))
                known = []
            if known:
                self._heard(known)
            passed = self._monotonic() - start
            due = (passed // feed.interval_s + 1) * feed.interval_s
            if for_s is not None and due > for_s:
                return
            await self._sleep(due - passed)

    def teller(self, known: Known) -> str:
        """Name of the feed that tells such: what it tells is known in the order in which it is told."""
        return self._tellers.get(_word(known), _word(known))

    def history(self, since_us: int = 0) -> Iterator[Known]:
        """What the lake holds of these feeds that was known after a time, us UTC, in the order in which it was."""
        return merge_known(feed.history(since_us) for feed in self._feeds)

    def health(self) -> list[Health]:
        """How each source is, those that stand in included."""
        return [health for feed in self._feeds for health in feed.health()]


def _words(feed: Feed) -> Iterator[str]:
    yield from feed.features
    yield from (f"turn:{health.name}" for health in feed.health())


def _word(known: Known) -> str:
    return f"turn:{known.told.name}" if isinstance(known.told, Turn) else known.told.feature
