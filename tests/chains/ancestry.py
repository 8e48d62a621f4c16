"""Parent links of a run of blocks, and where two runs part."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tidelake.chains.headers import Header
from tidelake.errors import SourceError


@dataclass(frozen=True, slots=True)
class Fork:
    """Where a chain that we knew and the one that stands now part.

    Attributes:
        number: The last block that both have.
        hash: Its hash.
        orphaned: Our blocks after it, oldest first: their rows are retracted once two providers agree. None where the
            provider tells no block after it: it lags.
        adopted: The blocks that stand in their place, and after them.
    """

    number: int
    hash: str
    orphaned: tuple[Header, ...]
    adopted: tuple[Header, ...]


def check_links(run: Sequence[Header]) -> None:
    """That each block follows the one before it: the next number, and its hash as parent.

    Raises:
        SourceError: One does not, as where the chain moved while it was asked for, or the provider serves two chains;
            asked again, whole, it may.
    """
    for before, after in pairwise(run):
        if after.number != before.number + 1 or after.parent_hash != before.hash:
            raise SourceError(
                f"block {after.number} has the parent {after.parent_hash}, but block {before.number} is {before.hash}: "
                "they are not of one chain; ask for the whole run again",
                retryable=True,
            )


def common_ancestor(ours: Sequence[Header], now: Sequence[Header]) -> Fork | None:
    """The last block that two runs share; None where they share none, so that earlier blocks are needed of both.

    Args:
        ours: Blocks that we hold, oldest first, without a hole.
        now: Blocks that a provider tells now, the same way.

    Raises:
        SourceError: A run does not link.
    """
    check_links(ours)
    check_links(now)
    known = {place[0]: place[1] for header in ours for place in _places(header)}
    shared = [place for header in now for place in _places(header) if known.get(place[0]) == place[1]]
    if not shared:
        return None
    number, digest = max(shared)
    adopted = tuple(header for header in now if header.number > number)
    return Fork(
        number=number,
        hash=digest,
        orphaned=tuple(header for header in ours if header.number > number) if adopted else (),
        adopted=adopted,
    )


def _places(header: Header) -> tuple[tuple[int, str], tuple[int, str]]:
    """Number and hash of the block and of its parent, which the header proves as well."""
    return (header.number - 1, header.parent_hash), (header.number, header.hash)
