"""The bus inside one process: rows of a capture go to each subscriber's own bounded queue.

    bus = Bus()
    async with bus.subscribe("BTC-USD:trades") as trades:
        async for trade in trades: ...

`publish` never waits for a subscriber. What a slow one misses is counted in its `shed`, and shows as a hole in the ids.
"""

import asyncio
import contextlib
import threading
import time
from collections import Counter, deque
from typing import Any, Protocol, Self

import pyarrow as pa
import pyarrow.compute as pc

from tidelake.live.names import FEEDS, StreamName, stream_name
from tidelake.live.row_queue import QUEUE_ROWS, Batch, RowQueue
from tidelake.live.rows import structs


class Subscription(Protocol):
    """Rows of one stream, in the order in which they were published; iterate over it in one task.

    Attributes:
        shed: Rows that it missed since it was too slow.
        last_id: Id of the row that it gave last; "" before the first.
    """

    @property
    def shed(self) -> int: ...
    @property
    def last_id(self) -> str: ...
    def __aiter__(self) -> Self: ...
    async def __anext__(self) -> Any: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *_: object) -> None: ...
    async def close(self) -> None:
        """End it; whoever waits for a row gets the end of the iteration."""


def by_symbol(rows: pa.Table) -> dict[str, pa.Table]:
    """The rows of each symbol, in order."""
    names = pc.unique(rows["symbol"]).to_pylist()
    if len(names) == 1:
        return {names[0]: rows}
    return {name: rows.filter(pc.equal(rows["symbol"], name)) for name in names}


class Bus:
    """Streams inside this process; `publish` may be called by any thread."""

    def __init__(self) -> None:
        self._subscribers: dict[str, list[LocalSubscription]] = {}
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def publish(self, feed: str, rows: pa.Table) -> None:
        """Hand rows to whoever listens now."""
        if feed not in FEEDS:
            return
        with self._lock:
            wanted = {key for key in self._subscribers if key.startswith(f"{feed}:")}
            for symbol, part in by_symbol(rows).items() if wanted else ():
                key = StreamName(symbol, feed).key
                if key in wanted:
                    batch = Batch(key, part, self._counts[key] + 1, time.time_ns() // 1_000_000)
                    self._counts[key] += len(part)
                    for subscriber in self._subscribers[key]:
                        subscriber.put(batch)

    def subscribe(self, stream: str, *, queue_rows: int = QUEUE_ROWS) -> "LocalSubscription":
        """Rows published from now on.

        Raises:
            NotInLake: There is no such feed.
        """
        found = LocalSubscription(self, stream_name(stream), queue_rows)
        with self._lock:
            self._subscribers.setdefault(found.stream.key, []).append(found)
        return found

    def remove(self, subscription: "LocalSubscription") -> None:
        """Forget a subscription."""
        with self._lock, contextlib.suppress(KeyError, ValueError):
            self._subscribers[subscription.stream.key].remove(subscription)
            if not self._subscribers[subscription.stream.key]:
                del self._subscribers[subscription.stream.key]

    def finish(self) -> None:
        """End all subscriptions of now, once they have taken what is queued."""
        with self._lock:
            for subscription in (one for several in self._subscribers.values() for one in several):
                subscription.finish()

    def subscriptions(self) -> "list[LocalSubscription]":
        """Those that are open."""
        with self._lock:
            return [one for several in self._subscribers.values() for one in several]


class LocalSubscription:
    """See `Subscription`."""

    def __init__(self, bus: Bus, stream: StreamName, queue_rows: int) -> None:
        self.stream = stream
        self.last_id = ""
        self._bus = bus
        self._queue = RowQueue(queue_rows)
        self._ready: deque[Any] = deque()
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def shed(self) -> int:
        """Rows that were dropped since this subscriber was too slow."""
        return self._queue.shed

    def put(self, batch: Batch) -> None:
        """Rows from the bus; any thread."""
        self._queue.put(batch)
        self._wake()

    def finish(self) -> None:
        """No more rows come."""
        self._queue.close()
        self._wake()

    def _wake(self) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop of a reader that has ended
                self._loop.call_soon_threadsafe(self._woken.set)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        self._loop = asyncio.get_running_loop()
        while not self._ready:
            self._woken.clear()
            batch = self._queue.take()
            if batch is not None:
                self._ready.extend(structs(self.stream.feed, batch.rows, batch.first_n, batch.ms))
            elif self._queue.closed:
                raise StopAsyncIteration
            else:
                await self._woken.wait()
        row = self._ready.popleft()
        self.last_id = row.id
        return row

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End it."""
        self._bus.remove(self)
        self.finish()
