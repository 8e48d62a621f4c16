"""Tells what happens: words for people on one side, rows on the other, in the order in which they happen."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Show(Protocol):
    """Writes rows."""

    def __call__(self, rows: object, columns: Sequence[str] = (), /) -> None: ...


class Narrator:
    """Numbers the steps, and keeps what did not hold.

    Args:
        show: Takes rows.
        say: Takes lines for people.
    """

    def __init__(self, show: Show, say: Callable[[str], None]) -> None:
        self._show = show
        self._say = say
        self._step = 0
        self.started = time.monotonic()
        self.failures: list[str] = []
        self.held: list[str] = []

    def step(self, title: str, *lines: str) -> None:
        """Begin a step."""
        self._step += 1
        self._say(f"\n{self._step}. {title}")
        self.tell(*lines)

    def tell(self, *lines: str) -> None:
        """Say lines inside a step."""
        for line in lines:
            self._say(f"   {line}")

    def rows(self, rows: Any, columns: Sequence[str] = ()) -> None:
        """Show rows; what was said before them comes before them, also where both go to one file."""
        self._say("")
        self._show(rows, columns)
        sys.stdout.flush()
        self._say("")

    def check(self, holds: bool, what: str) -> None:
        """State what must hold; where it does not, the demonstration ends with exit code 1."""
        self.tell(f"[{'holds' if holds else 'DOES NOT HOLD'}] {what}")
        (self.held if holds else self.failures).append(what)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.started
