"""What a simulated node allows: requests and compute units a second, calls a request, blocks and logs an answer."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# As Alchemy counts them (https://www.alchemy.com/docs/reference/compute-unit-costs), about.
UNITS = {
    "eth_chainId": 0,
    "eth_blockNumber": 10,
    "eth_getBlockByNumber": 20,
    "eth_getBlockByHash": 20,
    "eth_getBlockReceipts": 20,
    "eth_getTransactionReceipt": 20,
    "eth_getCode": 20,
    "eth_call": 26,
    "eth_getLogs": 60,
}
_OTHERWISE = 20


@dataclass(frozen=True)
class Limits:
    """Limits of one client; None is no limit.

    Attributes:
        requests: HTTP requests a second, a batch being one.
        units: Compute units a second.
        batch: Calls a request.
        log_blocks: Blocks that one `eth_getLogs` may span.
        logs: Logs that it may answer.
    """

    requests: float | None = None
    units: float | None = None
    batch: int | None = 1_000
    log_blocks: int | None = None
    logs: int | None = 10_000


def units_of(methods: Sequence[str]) -> int:
    """Compute units of calls."""
    return sum(UNITS.get(method, _OTHERWISE) for method in methods)


class Meter:
    """Counts what a node was asked, and refuses a client that asks for more than a second's worth at once.

    A bucket for each of requests and units: it holds one second's worth, and fills up steadily.

    Attributes:
        requests, calls, units: Asked so far, refused ones among them.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}
        self.requests = self.calls = self.units = 0

    def wait(self, methods: Sequence[str]) -> float:
        """Counts one request; 0 where it is allowed, else the seconds after which it would be."""
        units = units_of(methods)
        with self._lock:
            self.requests += 1
            self.calls += len(methods)
            self.units += units
            asked = (("requests", self._limits.requests, 1.0), ("units", self._limits.units, float(units)))
            waits = [self._missing(name, rate, amount) for name, rate, amount in asked if rate is not None]
            if not any(waits):
                for name, rate, amount in asked:
                    if rate is not None:
                        left, at = self._left[name]
                        self._left[name] = (left - amount, at)
            return max(waits, default=0.0)

    def _missing(self, name: str, rate: float, amount: float) -> float:
        """Fills a bucket up; an amount that is more than it holds is taken when it is full."""
        now = self._clock()
        size = max(1.0, rate)
        left, at = self._left.get(name, (size, now))
        left = min(size, left + (now - at) * rate)
        self._left[name] = (left, now)
        return max(0.0, (min(amount, size) - left) / rate)
