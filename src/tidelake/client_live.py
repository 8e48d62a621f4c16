"""Fresh rows: `lake.live.subscribe("BTC-USD:trades")`, and captures in the same process.

    async with lake.live.capture({"coinbase": ["BTC-USD"]}), lake.live.subscribe("BTC-USD:trades") as trades:
        async for trade in trades:
            print(trade.event_time, trade.price, trade.size, trade.side)

Without an address the bus is inside the process; with one (argument, TIDELAKE_BUS, `bus` in tidelake.toml) it is Redis.
"""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tidelake.config import setting
from tidelake.errors import ConfigError
from tidelake.live.bus import Bus, Subscription
from tidelake.live.derived import FOLDS, Fold
from tidelake.live.derived_subscription import DerivedSubscription
from tidelake.live.names import DERIVED, stream_name
from tidelake.live.redis_bus import KEEP, RedisBus, RedisSubscription
from tidelake.live.row_queue import QUEUE_ROWS
from tidelake.raw.store import Store

if TYPE_CHECKING:
    from tidelake.jobs.capture import CaptureSettings
    from tidelake.jobs.capture_report import CaptureReport
    from tidelake.jobs.session import Settings
    from tidelake.tables.mapping import Mapping as FieldMapping


class Live:
    """The live door of a lake."""

    def __init__(self, store: Store, mappings: "Callable[[], Sequence[FieldMapping]]") -> None:
        self._store = store
        self._mappings = mappings
        self._bus = Bus()
        self._captures = 0

    def subscribe(
        self,
        stream: str,
        *,
        bus: str | None = None,
        after: str | None = None,
        group: str | None = None,
        consumer: str = "1",
        queue_rows: int = QUEUE_ROWS,
        over: str = "book",
        fold: Fold | None = None,
    ) -> Subscription:
        """Rows of a stream as an async iterator, in the order in which they came.

        Args:
            stream: "SYMBOL:FEED"; feeds are trades, quotes, book, candles, funding, open_interest, liquidations and,
                derived, spread, imbalance, order_flow, price_difference, latency_difference.
            bus: Address of Redis; by default the setting `bus`, else the process itself.
            after: Redis: id of the row after which to go on, "0" for all that is kept; by default rows from now on.
            group, consumer: Redis: a consumer group, and the name within it; see `live.redis_bus.RedisSubscription`.
            queue_rows: In the process: rows that may wait for this subscriber; beyond that the oldest are shed and
                counted in its `shed`.
            over: Of a derived stream: the feed that it is made from, book or quotes (latency_difference: also trades).
            fold: Of a derived stream: how, such as `live.derived.PriceDifference(threshold_bps=5)`.

        Raises:
            NotInLake: There is no such feed.
            ConfigError: `after` or `group` without Redis, a `fold` of a stream that is not derived, or a wrong `over`.
        """
        url = setting("bus", bus, default="")
        if url:
            return subscribe_to(stream, url, after=after, group=group, consumer=consumer, over=over, fold=fold)
        if after is not None or group is not None:
            raise ConfigError("rows are kept, and groups known, by Redis alone: say bus='redis://..'", tried=("bus",))
        return _derived(stream, over, fold, lambda plain: self._bus.subscribe(plain, queue_rows=queue_rows))

    @contextlib.asynccontextmanager
    async def capture(
        self,
        symbols: Mapping[str, Sequence[str]],
        *,
        channels: Sequence[str] = ("trades", "book", "quotes"),
        seconds: float | None = None,
        bus: str | None = None,
        keep: dt.timedelta = KEEP,
        settings: "Settings | None" = None,
        capturing: "CaptureSettings | None" = None,
    ) -> "AsyncIterator[asyncio.Task[CaptureReport]]":
        """Capture into the lake and onto the bus while the block runs; the task's result is the report.

        When the capture is over the subscriptions in this process end, once they have taken what is queued.

        Args:
            symbols: Canonical symbols by source id.
            channels: Our channel words.
            seconds: How long at most; None until the block is left.
            bus: Address of Redis; by default the setting `bus`, else the process itself.
            keep: Redis: age at which rows are trimmed, 5 to 15 minutes.
            settings, capturing: See `jobs.capture.capture`.
        """
        from tidelake.jobs.capture import CaptureSettings, capture_async
        from tidelake.jobs.session import Settings

        url = setting("bus", bus, default="")
        redis = RedisBus(url, keep=keep) if url else None
        publish = redis.publish if redis else self._bus.publish
        given = settings or Settings(mappings=self._mappings())
        chosen = replace(capturing or CaptureSettings(), publish=publish)
        self._captures += 1
        work = capture_async(self._store, symbols, channels=channels, seconds=seconds, settings=given, capturing=chosen)
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._ended())
        try:
            await asyncio.sleep(0)  # a task that has not begun would be cancelled without a report
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])
            if redis is not None:
                await asyncio.to_thread(redis.close)
            if not task.cancelled() and task.exception() is not None:
                await task

    def _ended(self) -> None:
        self._captures -= 1
        if not self._captures:
            self._bus.finish()


def subscribe_to(
    stream: str,
    url: str,
    *,
    after: str | None = None,
    group: str | None = None,
    consumer: str = "1",
    over: str = "book",
    fold: Fold | None = None,
) -> Subscription:
    """As `Live.subscribe` with an address; needs no lake."""
    return _derived(
        stream, over, fold, lambda plain: RedisSubscription(url, plain, after=after, group=group, consumer=consumer)
    )


def _derived(stream: str, over: str, fold: Fold | None, subscribe: Callable[[str], Subscription]) -> Subscription:
    """The subscription, or what is derived from the one that the stream is made from."""
    name = stream_name(stream)
    if name.feed not in DERIVED:
        if fold is not None:
            raise ConfigError(f"{stream} is not derived: it has no fold", tried=(stream,))
        return subscribe(stream)
    feeds = ("book", "quotes", "trades") if name.feed == "latency_difference" else ("book", "quotes")
    if over not in feeds:
        raise ConfigError(f"{stream} is made from {' or '.join(feeds)}, not from {over!r}", tried=(over,))
    return DerivedSubscription(subscribe(f"{name.symbol}:{over}"), fold or FOLDS[name.feed]())
