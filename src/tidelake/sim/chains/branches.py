"""Branches of a simulated chain: which of its transactions stand in which block, before and after a reorganisation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tidelake.sim.chains.events import Transaction


@dataclass(frozen=True)
class Branch:
    """Other blocks in the place of earlier ones.

    Attributes:
        first, last: The blocks that it replaces; `last` is None for all after `first`.
        stray: Whether nobody but a node that went astray takes it for the chain.
        gone: Hashes of transactions that are no longer where they were.
        arrived: Transactions by the block to which they moved.
    """

    first: int
    last: int | None
    stray: bool = False
    gone: frozenset[str] = frozenset()
    arrived: Mapping[int, tuple[Transaction, ...]] = field(default_factory=dict)

    def covers(self, number: int) -> bool:
        """Whether a block is of it."""
        return number >= self.first and (self.last is None or number <= self.last)


class Branches:
    """All branches of a chain; number 0 is the one that it began with.

    Args:
        placed: The transactions of a block where nothing was reorganised.
    """

    def __init__(self, placed: Callable[[int], tuple[Transaction, ...]]) -> None:
        self._placed = placed
        self._branches: list[Branch] = [Branch(0, None)]

    def __len__(self) -> int:
        return len(self._branches)

    def add(self, branch: Branch) -> int:
        """Its number."""
        self._branches.append(branch)
        return len(self._branches) - 1

    def standing(self, number: int, seen_from: int | None = None) -> int:
        """The branch of which a block is.

        Args:
            number: Of the block.
            seen_from: A branch whose forebears count, so that a block's parent is found; None for the chain of today.
        """
        top = len(self._branches) - 1 if seen_from is None else seen_from
        for place in range(top, 0, -1):
            branch = self._branches[place]
            if branch.covers(number) and (not branch.stray or place == seen_from):
                return place
        return 0

    def transactions(self, number: int, branch: int) -> tuple[Transaction, ...]:
        """Those that stand in a block of a branch."""
        if branch == 0:
            return self._placed(number)
        own = self._branches[branch]
        before = self.transactions(number, self.standing(number, self._forebear(branch)))
        return (*(found for found in before if found.hash not in own.gone), *own.arrived.get(number, ()))

    def _forebear(self, branch: int) -> int:
        """The branch that stood before: the last that is not stray."""
        return next((place for place in range(branch - 1, 0, -1) if not self._branches[place].stray), 0)

    def arrivals(self, first: int, last: int) -> set[int]:
        """Blocks between two, both included, to which something moved on some branch."""
        return {number for branch in self._branches for number in branch.arrived if first <= number <= last}
