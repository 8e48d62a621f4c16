"""Links to shards: in this process, or in one of their own over a pipe. One message is asked, then one answered."""

import contextlib
import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Final, Protocol

from tidelake.errors import TidelakeError

CLOSE_SECONDS: Final = 5.0


class ShardLost(TidelakeError):
    """A shard's process ended, or cannot be reached; what it was asked since it was saved is to be asked anew."""


class Link(Protocol):
    """A way to one shard."""

    def ask(self, message: bytes) -> None:
        """Send a message; the shard may work on it while others are asked.

        Raises:
            ShardLost: It cannot be reached.
        """

    def answer(self) -> bytes:
        """Wait for what it says to the message asked last.

        Raises:
            ShardLost: It ended before it said it.
        """

    def close(self) -> None:
        """End the shard."""


class Answerer(Protocol):
    """A shard's work."""

    def answer(self, message: bytes) -> bytes:
        """What it says to a message."""


OpenLink = Callable[[Callable[[], Answerer]], Link]


class LocalLink:
    """A shard in this process, which works when it is asked."""

    def __init__(self, work: Callable[[], Answerer]) -> None:
        self._worker = work()
        self._said = b""

    def ask(self, message: bytes) -> None:
        self._said = self._worker.answer(message)

    def answer(self) -> bytes:
        return self._said

    def close(self) -> None:
        pass


class ProcessLink:
    """A shard in a process of its own, which is begun afresh and shares nothing.

    Args:
        work: Its work, by a name that another process can import.

    Attributes:
        process: It.
    """

    def __init__(self, work: Callable[[], Answerer]) -> None:
        spawned = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawned.Pipe()
        self.process = spawned.Process(target=_serve, args=(theirs, work), name="tidelake-shard", daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, message: bytes) -> None:
        try:
            self._pipe.send_bytes(message)
        except OSError as exc:
            raise self._lost() from exc

    def answer(self) -> bytes:
        try:
            return self._pipe.recv_bytes()
        except (EOFError, OSError) as exc:
            raise self._lost() from exc

    def close(self) -> None:
        self._pipe.close()  # at the end of its messages a shard ends
        end(self.process)

    def _lost(self) -> ShardLost:
        self.process.join(CLOSE_SECONDS)
        return ShardLost(f"a shard's process ended with code {self.process.exitcode}")


def end(process: multiprocessing.process.BaseProcess) -> None:
    """Wait some seconds for a process to end, then end it."""
    process.join(CLOSE_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()


def _serve(pipe: "Connection[bytes, bytes]", work: Callable[[], Answerer]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a key pressed at the terminal is the coordinator's
    worker = work()
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send_bytes(worker.answer(pipe.recv_bytes()))
