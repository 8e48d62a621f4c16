"""What the providers of a history have told by a time: the last of each value, and hourly ones before."""

from collections import deque
from collections.abc import Iterator

from tidelake.sim.coins.events import HOUR_US, Fact, Told
from tidelake.sim.coins.history import CoinHistory

Pair = tuple[str, str]
KEPT_HOURS = 24 * 90
HOURLY = ("price", "volume", "circulating")


class ToldSoFar:
    """Follows a history up to a time, which never goes back.

    Attributes:
        last: By feature, coin and chain, the fact with the latest time, as it was told last.
        hours: By feature, coin and chain, the last fact of each hour, up to ninety days back.
    """

    def __init__(self, history: CoinHistory) -> None:
        self._left: Iterator[Told] = history.told()
        self._next = next(self._left, None)
        self.last: dict[tuple[str, str, str], Fact] = {}
        self.hours: dict[tuple[str, str, str], deque[Fact]] = {}

    def follow(self, now_us: int) -> None:
        """Take in what is known at this time."""
        while self._next is not None and self._next.known_us <= now_us:
            if isinstance(self._next, Fact) and self._next.feature != "supply":
                self._take(self._next)
            self._next = next(self._left, None)

    def _take(self, fact: Fact) -> None:
        key = fact.feature, fact.coin, fact.chain
        before = self.last.get(key)
        if before is None or before.event_us <= fact.event_us:
            self.last[key] = fact
        if fact.feature in HOURLY:
            _keep(self.hours.setdefault(key, deque(maxlen=KEPT_HOURS)), fact)

    def value(self, feature: str, pair: Pair) -> float | None:
        """What was told last; None where nothing was."""
        found = self.last.get((feature, *pair))
        return None if found is None else found.value

    def before(self, feature: str, pair: Pair, time_us: int) -> float | None:
        """What was told last in the hours that ended by a time; None where none is kept."""
        kept = self.hours.get((feature, *pair), ())
        return next((fact.value for fact in reversed(kept) if fact.event_us // HOUR_US < time_us // HOUR_US), None)


def _keep(hours: deque[Fact], fact: Fact) -> None:
    """Take a fact as its hour's where none of that hour is later; nothing comes later than an hour."""
    hour = fact.event_us // HOUR_US
    for place in range(-1, -min(2, len(hours)) - 1, -1):
        if hours[place].event_us // HOUR_US == hour:
            if hours[place].event_us <= fact.event_us:
                hours[place] = fact
            return
    if not hours or hours[-1].event_us < fact.event_us:
        hours.append(fact)
