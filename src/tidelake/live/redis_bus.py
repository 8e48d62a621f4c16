"""The bus over Redis Streams: one stream per feed and symbol, `trades:BTC-USD`, trimmed by age.

An entry's id is "<ms>-<n>": Redis's clock, and a number that counts the entries of the stream by one for ever. So ids
never go back, and a reader sees by the ids alone how many rows were trimmed before it came to them. Each field is a
column as text: decimals with all digits, times in ISO 8601; what is null is left out.

Rows are published by a thread of their own over a bounded queue: a Redis that is slow or away never stalls a capture,
and the oldest rows are shed and counted. A batch whose answer was lost is sent again and not added twice.
"""

import asyncio
import datetime as dt
import logging
import threading
import time
import uuid
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Self

import pyarrow as pa

from tidelake.errors import ConfigError, SourceError
from tidelake.extras import require
from tidelake.live.bus import by_symbol
from tidelake.live.names import FEEDS, StreamName, stream_name
from tidelake.live.row_queue import QUEUE_ROWS, Batch, RowQueue
from tidelake.live.rows import read_struct, texts
from tidelake.logs import redact

KEEP = dt.timedelta(minutes=10)
LEAST_KEPT, MOST_KEPT = dt.timedelta(minutes=5), dt.timedelta(minutes=15)
BATCH_ROWS = 1_000
READ_ROWS = 500
BLOCK_MS = 500
TIMEOUT_SECONDS = 5.0
FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0
CLOSE_SECONDS = 10.0
log = logging.getLogger(__name__)

# KEYS: stream, token of the publisher. ARGV: number of the batch, ms to keep, then of each row: count of words, words.
ADD = """
if redis.call('GET', KEYS[2]) == ARGV[1] then return 0 end
local ms, n = 0, 0
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if not info.err then
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      local a, b = string.match(info[i + 1], '(%d+)-(%d+)')
      ms, n = tonumber(a), tonumber(b)
    end
  end
end
local now = redis.call('TIME')
ms = math.max(ms, tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000))
local at = 3
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  n = n + 1
  redis.call('XADD', KEYS[1], string.format('%.0f-%.0f', ms, n), unpack(ARGV, at + 1, at + count))
  at = at + count + 1
end
redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f', ms - tonumber(ARGV[2])))
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return n
"""


def redis_module(url: str) -> ModuleType:
    """The Redis client.

    Raises:
        ConfigError: The address is none of Redis.
        MissingExtra: The client is not installed.
    """
    if url.partition("://")[0] not in ("redis", "rediss", "unix"):
        raise ConfigError(f"a bus is a redis://, rediss:// or unix:// address, found {redact(url)!r}", tried=(url,))
    return require("redis", extra="redis")


class RedisBus:
    """Publishes rows; `publish` may be called by any thread and never waits.

    Args:
        url: redis://, rediss:// or unix://.
        keep: Age at which rows are trimmed, 5 to 15 minutes.
        queue_rows: Rows that may wait for Redis.

    Attributes:
        published: Rows that Redis has taken.
        shed: Rows that were dropped since Redis was too slow or away.

    Raises:
        ConfigError: The address or the age cannot be used.
        MissingExtra: The Redis client is not installed.
        SourceError: No Redis answers there.
    """

    def __init__(self, url: str, *, keep: dt.timedelta = KEEP, queue_rows: int = QUEUE_ROWS) -> None:
        if not LEAST_KEPT <= keep <= MOST_KEPT:
            raise ConfigError(f"rows are kept on the bus for 5 to 15 minutes, not {keep}")
        self.published = 0
        self._module = redis_module(url)
        self._url = url
        self._keep_ms = keep // dt.timedelta(milliseconds=1)
        self._queue = RowQueue(queue_rows)
        self._client = self._module.Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, decode_responses=True
        )
        try:
            self._client.ping()
        except self._module.RedisError as exc:
            self._client.close()
            raise redis_away(url, exc) from exc
        self._add = self._client.register_script(ADD)
        self._name = uuid.uuid4().hex
        self._number = 0
        self._keys: set[str] = set()
        self._giving_up_at = float("inf")
        self._thread = threading.Thread(target=self._run, name="tidelake-redis", daemon=True)
        self._thread.start()

    @property
    def shed(self) -> int:
        return self._queue.shed

    def publish(self, feed: str, rows: pa.Table) -> None:
        """Hand rows to the thread that sends them."""
        if feed not in FEEDS:
            return
        for symbol, part in by_symbol(rows).items():
            key = StreamName(symbol, feed).key
            for at in range(0, len(part), BATCH_ROWS):
                self._queue.put(Batch(key, part.slice(at, BATCH_ROWS), 0, 0))

    def close(self) -> None:
        """Send what is queued, for some seconds at most; what is left then counts as shed."""
        self._giving_up_at = time.monotonic() + CLOSE_SECONDS
        self._queue.close()
        self._thread.join()
        self._queue.clear()
        self._client.close()

    def _run(self) -> None:
        trimmed_at = time.monotonic()
        while True:
            batch = self._queue.take(timeout=1.0)
            if batch is not None:
                self._send(batch)
            elif self._queue.closed:
                return
            if time.monotonic() - trimmed_at > self._keep_ms / 10_000:
                trimmed_at = time.monotonic()
                self._trim()

    def _send(self, batch: Batch) -> None:
        """Until Redis has taken it: order is kept, and what comes meanwhile waits in the queue."""
        self._keys.add(batch.key)
        self._number += 1
        words = [word for row in texts(batch.key.partition(":")[0], batch.rows) for word in (len(row), *row)]
        wait = FIRST_WAIT
        while True:
            try:
                token = f"tidelake:published:{self._name}:{batch.key}"
                self._add(keys=[batch.key, token], args=[self._number, self._keep_ms, *words])
            except self._module.RedisError as exc:
                log.warning("%s does not take rows of %s: %s; trying again", redact(self._url), batch.key, exc)
                if time.monotonic() >= self._giving_up_at:
                    self._queue.shed += len(batch.rows)
                    return
                time.sleep(wait)
                wait = min(LONGEST_WAIT, wait * 2)
            else:
                self.published += len(batch.rows)
                return

    def _trim(self) -> None:
        """Streams to which nothing was added lately."""
        try:
            seconds, us = self._client.time()
            for key in self._keys:
                self._client.xtrim(key, minid=seconds * 1_000 + us // 1_000 - self._keep_ms, approximate=False)
        except self._module.RedisError as exc:
            log.warning("%s does not trim: %s", redact(self._url), exc)


class RedisSubscription:
    """Rows of one stream out of Redis; see `live.bus.Subscription`.

    Args:
        url: Address of Redis.
        stream: "BTC-USD:trades".
        after: Id after which it starts, such as the last that was worked on; without it, rows from now on.
        group: Consumer group: its rows are shared out among its consumers, and Redis remembers what was worked on.
        consumer: Name within the group; a consumer that is started again under its name first gets what it had not
            acknowledged, with the same ids.

    A row of a group is acknowledged when the next one is asked for, or by `acknowledge`. So a consumer that is killed
    gets at most the row again that it worked on, and knows it by its id.
    """

    def __init__(
        self, url: str, stream: str, *, after: str | None = None, group: str | None = None, consumer: str = "1"
    ) -> None:
        self.stream = stream_name(stream)
        self.shed = 0
        self.last_id = after or ""
        self._url = url
        self._module = redis_module(url)
        self._after, self._group, self._consumer = after, group, consumer
        self._asyncio = require("redis.asyncio", extra="redis")
        self._client: Any = None
        self._ready: list[tuple[str, dict[str, str] | None]] = []
        self._pending_after: str | None = None if group is None else "0"
        self._read_id = after or "$"
        self._unacknowledged: str | None = None
        self._closed = False

    async def start(self) -> None:
        """Connect and take the place in the stream; rows from here on are not missed.

        Raises:
            SourceError: No Redis answers there.
        """
        if self._client is not None:
            return
        client = self._asyncio.Redis.from_url(
            self._url,
            decode_responses=True,
            socket_connect_timeout=TIMEOUT_SECONDS,
            socket_timeout=TIMEOUT_SECONDS,
            retry=None,  # the client would ask for new rows again, and those of an answer that was lost stay pending
        )
        try:
            if self._group is not None:
                await self._make_group(client, self._after or "$")
            elif self._after is None:
                self._read_id = await self._end(client)
        except self._module.RedisError as exc:
            await client.aclose()
            raise redis_away(self._url, exc) from exc
        self._client = client

    async def _end(self, client: Any) -> str:
        try:
            return str((await client.xinfo_stream(self.stream.key))["last-generated-id"])
        except self._module.ResponseError:  # there is no such stream yet
            return "0-0"

    async def _make_group(self, client: Any, start: str) -> None:
        try:
            await client.xgroup_create(self.stream.key, self._group, id=start, mkstream=True)
        except self._module.ResponseError as exc:
            if not str(exc).startswith("BUSYGROUP"):
                raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        await self.start()
        wait = FIRST_WAIT
        while not self._closed:
            try:
                await self._acknowledge()
                while self._ready:
                    row_id, cells = self._ready.pop(0)
                    self._unacknowledged = row_id if self._group is not None else None
                    if cells is not None:
                        self.last_id = row_id
                        return read_struct(self.stream.feed, row_id, cells)
                    self.shed += 1  # trimmed before it was worked on
                    await self._acknowledge()
                await self._read()
                wait = FIRST_WAIT
            except (self._module.ConnectionError, self._module.TimeoutError) as exc:
                log.warning("%s: %s; trying again", redact(self._url), exc)
                if self._group is not None:
                    self._pending_after = "0"  # rows of an answer that was lost are this consumer's all the same
                await asyncio.sleep(wait)
                wait = min(LONGEST_WAIT, wait * 2)
        raise StopAsyncIteration

    async def _read(self) -> None:
        key = self.stream.key
        if self._group is None:
            answer = await self._client.xread({key: self._read_id}, count=READ_ROWS, block=BLOCK_MS)
            self._take(stream_entries(answer))
            return
        if self._pending_after is not None:
            read = self._client.xreadgroup(self._group, self._consumer, {key: self._pending_after}, count=READ_ROWS)
            self._ready = stream_entries(await self._in_group(read))
            self._pending_after = self._ready[-1][0] if self._ready else None
            if self._ready:
                return
        await self._count_trimmed()
        read = self._client.xreadgroup(self._group, self._consumer, {key: ">"}, count=READ_ROWS, block=BLOCK_MS)
        self._ready = stream_entries(await self._in_group(read))

    async def _in_group(self, read: Any) -> Any:
        try:
            return await read
        except self._module.ResponseError as exc:
            if not str(exc).startswith("NOGROUP"):
                raise
            log.warning("the group %s of %s is gone; it is made again at the first row", self._group, self.stream.key)
            await self._make_group(self._client, "0")
            return []

    def _take(self, entries: Sequence[tuple[str, dict[str, str] | None]]) -> None:
        for row_id, _ in entries:
            before, n = _number(self._read_id), _number(row_id)
            if before or self._after is None:  # who asks for all that there is misses nothing
                self.shed += max(0, n - before - 1)
            self._read_id = row_id
        self._ready = list(entries)

    async def _count_trimmed(self) -> None:
        """Rows that were trimmed before any consumer of the group got them."""
        groups = await self._client.xinfo_groups(self.stream.key)
        mine = next((each for each in groups if each["name"] == self._group), None)
        first = await self._client.xrange(self.stream.key, count=1)
        if mine is not None and first and _number(str(mine["last-delivered-id"])):
            missed = max(0, _number(first[0][0]) - _number(str(mine["last-delivered-id"])) - 1)
            self.shed += missed

    async def acknowledge(self) -> None:
        """Say that the row given last is worked on; without it the next call for a row says so.

        Raises:
            SourceError: Redis does not answer; the next call for a row says it again.
        """
        try:
            await self._acknowledge()
        except (self._module.ConnectionError, self._module.TimeoutError) as exc:
            raise redis_away(self._url, exc) from exc

    async def _acknowledge(self) -> None:
        if self._unacknowledged is not None:
            await self._client.xack(self.stream.key, self._group, self._unacknowledged)
            self._unacknowledged = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End it; a row that was given and not acknowledged comes again."""
        self._closed = True
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()


def _number(row_id: str) -> int:
    _, _, n = row_id.partition("-")
    return int(n) if n else 0


def stream_entries(answer: Any) -> list[tuple[Any, Any]]:
    """What XREAD found in its one stream, ids and cells; the form of the answer depends on the protocol."""
    if not answer:
        return []
    found = next(iter(answer.values())) if isinstance(answer, dict) else answer[0][1]
    if found and isinstance(found[0], list) and found[0] and isinstance(found[0][0], (list, tuple)):
        found = found[0]
    return [(row_id, cells or None) for row_id, cells in found]


def redis_away(url: str, exc: Exception) -> SourceError:
    """The error that says that no Redis is there, and what to do."""
    text = f"no Redis answers at {redact(url)}: {exc}. Start one (redis-server), or leave the address out for a bus "
    return SourceError(text + "within the process.", retryable=True)
