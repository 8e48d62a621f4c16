"""What all sources of coins have in common: facts with the moment at which they were known, live, of the past, health.

A live tick and the reading of the lake run the same code on the same frames and rows, and so give the same.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

from tidelake.providers.coin_source import CoinFact, Feature
from tidelake.transport.breaker import State

# waiting  was not asked yet, or stands in for one that answers
# up       answered when last asked
# failing  did not, and is asked again
# down     failed so often that it is left alone for a while
# absent   is not there: nothing is configured, or nothing was told that it could be made of
Condition: TypeAlias = Literal["waiting", "up", "failing", "down", "absent"]


class Turn(msgspec.Struct, frozen=True, gc=False):
    """A source went down, or came back: `reason` is that of its last failure, "" where it is back."""

    name: str
    source: str
    is_up: bool
    reason: str = ""


class Known(msgspec.Struct, frozen=True, gc=False):
    """A fact, or a turn of a source, and when we knew it: us UTC, never decreasing within a lane."""

    told: CoinFact | Turn
    known_us: int


class Health(msgspec.Struct, frozen=True):
    """How a source is.

    Attributes:
        name: Of the source.
        features: What it tells.
        condition: As `Condition` says.
        reason: Why it is not up; "" where it is, or was not asked.
        interval_s: Time between two ticks.
        last_answer_us, last_asked_us: Our clock, us UTC; None where it never was.
        answers, failures: Rounds that were answered whole, and that were not, since the start.
        in_a_row: Failures since the last answer.
        breaker: State of its circuit breaker; "closed" where it has none.
        refused: Values that were told and not taken, since the start.
    """

    name: str
    features: tuple[Feature, ...]
    condition: Condition
    reason: str = ""
    interval_s: float = 0.0
    last_answer_us: int | None = None
    last_asked_us: int | None = None
    answers: int = 0
    failures: int = 0
    in_a_row: int = 0
    breaker: State = "closed"
    refused: int = 0


class Feed(Protocol):
    """One source.

    Attributes:
        name: Its id.
        features: What it tells.
        interval_s: Time between two ticks.
    """

    @property
    def name(self) -> str: ...

    @property
    def features(self) -> tuple[Feature, ...]: ...

    @property
    def interval_s(self) -> float: ...

    async def tick(self) -> Sequence[Known]:
        """Ask once, keep what was told, and give it. A source that fails says so in its health and raises nothing."""

    def history(self, since_us: int = 0) -> Iterator[Known]:
        """All that the lake holds of it, in the order in which it was known: what ticks gave, again.

        What was kept and is not sealed yet is not in the lake.

        Args:
            since_us: Only what was known after this time, us UTC.
        """

    def health(self) -> Sequence[Health]:
        """How it is, and those that stand in for it."""

    async def close(self) -> None:
        """Seal what was kept."""


def merge_known(parts: Iterable[Iterable[Known]]) -> Iterator[Known]:
    """Several sources as one, by the moment at which things were known; the earlier part first where that is equal."""
    return heapq.merge(*parts, key=lambda known: known.known_us)
