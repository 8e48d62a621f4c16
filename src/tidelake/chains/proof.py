"""What recomputing a hash says of data."""

from dataclasses import dataclass
from typing import Literal

State = Literal["proven", "differs", "unprovable"]


@dataclass(frozen=True, slots=True)
class Proof:
    """The verdict on data that a hash holds.

    Attributes:
        state: "proven": the hash recomputed is the one told. "differs": it is not, so something was changed, left out
            or added. "unprovable": nothing follows, for `reason`.
        reason: What was compared, or why nothing could be.
        outside: Hashes of transactions whose logs the hash does not cover although the rest is proven.
    """

    state: State
    reason: str
    outside: tuple[str, ...] = ()
