"""Counts requests of a client as the venue does, and refuses when its documented limit is passed."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from tidelake.sim.answer import Answer, Limit


class Limited(Protocol):
    """Who has a limit, as `sim.answer.SimVenue` says it."""

    @property
    def limit(self) -> Limit: ...

    @property
    def weight(self) -> Callable[[str, Mapping[str, str]], int]: ...

    @property
    def weight_header(self) -> str: ...

    @property
    def refuse(self) -> Callable[[float | None], Answer]: ...

    @property
    def banned(self) -> Callable[[float], Answer] | None: ...


class Limiter:
    """Fixed windows per client by the real clock; the market's clock may stand still.

    Args:
        venue: Whose limit, weights and refusals.
        enforce: Whether to refuse; the used weight is told in either case.
        clock: Seconds.
    """

    def __init__(self, venue: Limited, *, enforce: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.venue = venue
        self.enforce = enforce
        self.clock = clock
        self._used: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def check(self, path: str, query: Mapping[str, str], client: str) -> tuple[Answer | None, dict[str, str]]:
        """Counts one request: the refusal or None, and the headers that tell the weight used."""
        limit = self.venue.limit
        now = self.clock()
        window = int(now // limit.seconds)
        with self._lock:
            seen, used = self._used.get(client, (window, 0))
            used = (used if seen == window else 0) + self.venue.weight(path, query)
            self._used[client] = (window, used)
        headers = {self.venue.weight_header: str(used)} if self.venue.weight_header else {}
        if not self.enforce or used <= limit.weight:
            return None, headers
        wait = (window + 1) * limit.seconds - now
        if self.venue.banned is not None and used > limit.weight * 1.5:
            return self.venue.banned(wait), headers
        return self.venue.refuse(wait), headers
