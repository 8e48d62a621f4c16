"""A shard as its coordinator sees it: asked one message at a time, and begun again where it was lost."""

import contextlib
from collections.abc import Callable
from typing import Final

from tidelake.stablecoins.shards.links import Link, ShardLost

LIVES: Final = 3  # of a shard between two saves


class Shard:
    """A shard, and what it was asked since it was saved.

    Args:
        open_link: Begins it.
        start: The message with which it begins; its answer is the first of `answer`.

    Attributes:
        restarts: How often it was lost and begun again.
    """

    def __init__(self, open_link: Callable[[], Link], start: bytes) -> None:
        self.restarts = 0
        self._open = open_link
        self._since: list[bytes] = []
        self._lives = LIVES
        self._link = open_link()
        self.ask(start)

    def ask(self, message: bytes) -> None:
        """Send a message; it may work on it while others are asked."""
        self._since.append(message)
        self._asked = True
        try:
            self._link.ask(message)
        except ShardLost:
            self._asked = False

    def answer(self) -> bytes:
        """What it says to what it was asked last.

        Raises:
            ShardLost: It was lost `LIVES` times since it was saved.
        """
        if self._asked:
            with contextlib.suppress(ShardLost):
                return self._link.answer()
        while True:
            self._lives -= 1
            try:
                return self._again()
            except ShardLost as exc:
                if self._lives <= 0:
                    text = f"{exc}; begun anew {LIVES} times since its states were saved. What was stored is safe"
                    raise ShardLost(f"{text}: run again to go on from there, or without shards") from exc

    def saved(self, start: bytes) -> None:
        """Should it be lost, it is to begin with this message, and to be asked what it is asked from now on."""
        self._since, self._lives = [start], LIVES

    def close(self) -> None:
        """End it."""
        self._link.close()

    def _again(self) -> bytes:
        self._link.close()
        self._link = self._open()
        self.restarts += 1
        said = b""
        for message in self._since:
            self._link.ask(message)
            said = self._link.answer()
        return said
