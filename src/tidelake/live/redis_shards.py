"""Shards of stablecoins over Redis Streams: what is asked goes by one stream, what is said by another.

These are streams of their own beside the bus of rows, which sheds what a slow reader misses: a shard must miss nothing.
Each life of a shard has streams of new names, so that what is left of a lost one is never read; they hold one message
at a time. An entry is deleted once it was read, and an orphaned stream leaves Redis by its age.
"""

import contextlib
import multiprocessing
import signal
import uuid
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from tidelake.live.redis_bus import TIMEOUT_SECONDS, redis_away, redis_module, stream_entries
from tidelake.stablecoins.shards.links import Answerer, ShardLost, end

KEPT_SECONDS: Final = 900
BLOCK_MS: Final = 500
BODY: Final = b"m"
END: Final = b""


class RedisLink:
    """A shard in a process of its own, asked over Redis.

    Args:
        url: redis://, rediss:// or unix://.
        work: Its work, by a name that another process can import.

    Attributes:
        process: It.

    Raises:
        ConfigError: The address cannot be used.
        MissingExtra: The Redis client is not installed.
        SourceError: No Redis answers there.
    """

    def __init__(self, url: str, work: Callable[[], Answerer]) -> None:
        self._errors = redis_module(url)
        self._client = _connect(self._errors, url)
        try:
            self._client.ping()
        except self._errors.RedisError as exc:
            self._client.close()
            raise redis_away(url, exc) from exc
        name = uuid.uuid4().hex
        self._streams = f"tidelake:shard:{name}:asked", f"tidelake:shard:{name}:said"
        spawned = multiprocessing.get_context("spawn")
        args = (url, *self._streams, work)
        self.process = spawned.Process(target=_serve, args=args, name="tidelake-shard", daemon=True)
        self.process.start()

    def ask(self, message: bytes) -> None:
        try:
            _add(self._client, self._streams[0], message)
        except self._errors.RedisError as exc:
            raise ShardLost(f"Redis does not take a message: {exc}") from exc

    def answer(self) -> bytes:
        try:
            while True:
                alive = self.process.is_alive()  # asked first: what a shard said before it ended counts
                said = _next(self._client, self._streams[1])
                if said is not None:
                    return said
                if not alive:
                    raise ShardLost(f"a shard's process ended with code {self.process.exitcode}")
                if not self._client.exists(self._streams[0]):  # a stream without entries is there all the same
                    raise ShardLost("what a shard was asked is gone from Redis")
        except self._errors.RedisError as exc:
            raise ShardLost(f"Redis does not answer: {exc}") from exc

    def close(self) -> None:
        with contextlib.suppress(self._errors.RedisError):
            _add(self._client, self._streams[0], END)
        end(self.process)
        with contextlib.suppress(self._errors.RedisError):
            self._client.delete(*self._streams)
        self._client.close()


def _connect(module: ModuleType, url: str) -> Any:
    return module.Redis.from_url(url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS)


def _add(client: Any, stream: str, message: bytes) -> None:
    with client.pipeline() as both:
        both.xadd(stream, {BODY: message})
        both.expire(stream, KEPT_SECONDS)
        both.execute()


def _next(client: Any, stream: str) -> bytes | None:
    """The oldest message, taken out of its stream; None where none comes for half a second."""
    found = stream_entries(client.xread({stream: "0"}, count=1, block=BLOCK_MS))
    if not found:
        return None
    entry, cells = found[0]
    client.xdel(stream, entry)
    return bytes(cells[BODY])


def _serve(url: str, asked: str, said: str, work: Callable[[], Answerer]) -> None:
    """Answer what is asked until the end is told, the coordinator is gone, or Redis is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a key pressed at the terminal is the coordinator's
    module, worker = redis_module(url), work()
    client = _connect(module, url)
    coordinator = multiprocessing.parent_process()
    with contextlib.suppress(module.RedisError):
        while coordinator is not None and coordinator.is_alive():
            message = _next(client, asked)
            if message == END:
                break
            if message is not None:
                _add(client, said, worker.answer(message))
        client.delete(asked, said)
