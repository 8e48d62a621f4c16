"""Tiers of blocks by dated policy, and the evidence beside them.

Tier 1: in the chain that is followed. Tier 2: the tag that the policy calls safe. Tier 3: the tag that it calls final.
Where no tag says so a block never gets there: confirmations are counted, and settle nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tidelake.chains.spec import FinalityPolicy, Tag

# The counts by which block explorers and exchanges call a block of Ethereum settled: kept to be compared with the tags.
COUNTS = (1, 12, 64)


@dataclass(frozen=True, slots=True)
class Confirmations:
    """Evidence, never finality.

    Attributes:
        count: The block itself and those above it: 1 for the head.
        reached: Which of `COUNTS` that is.
    """

    count: int
    reached: tuple[int, ...]


def confirmations(number: int, head: int) -> Confirmations:
    """Confirmations of an active block; none where it is above the head."""
    count = max(0, head - number + 1)
    return Confirmations(count, tuple(one for one in COUNTS if count >= one))


def policy_at(policies: Sequence[FinalityPolicy], head: int) -> FinalityPolicy:
    """The policy that holds while that block is the newest; `policies` are oldest first."""
    return next(policy for policy in reversed(policies) if policy.since_block <= head)


def agreed_number(numbers: Sequence[int], quorum: int) -> int:
    """The highest of the numbers that so many of them reach; -1 where there are fewer."""
    return sorted(numbers, reverse=True)[quorum - 1] if len(numbers) >= quorum else -1


def tags_of(policy: FinalityPolicy) -> tuple[Tag, ...]:
    """The tags to ask for: the newest block's, and those that the policy knows."""
    return ("latest", *(tag for tag in (policy.safe, policy.final) if tag is not None))
