"""The chain as one provider tells it, held against the chain that is active.

Providers are kept apart: what one says of the parent of a block is no word of another's. A block told by hash stands
for all before it, so a view ends where it names a block of the active chain as a parent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidelake.chains.heads import Block
from tidelake.chains.spec import Tag


@dataclass(slots=True)
class View:
    """What a provider told.

    Attributes:
        told: Blocks that it told, by hash.
        head: Its newest block; None where it told none, or is gone.
        tags: Its newest block of each tag.
        settled: Its last word of each tag that was of the active chain: it stands while the provider tells a fork.
        gone: Why it does not answer; "" where it does.
        joined: Number of the last active block that its chain holds; None where that is not known.
        path: Its blocks after that one, oldest first; where it is not known, as far back as was told.
        deep: Whether it parts from the active chain before what is held.
        far: Whether its head is further from the active chain than is looked at.
        unlinked: Whether the head before this one was not linked either when this one came.
        parted_us: When it first told what is not linked to the end of the active chain; None where all is.
    """

    told: dict[str, Block] = field(default_factory=dict)
    head: Block | None = None
    tags: dict[Tag, Block] = field(default_factory=dict)
    settled: dict[Tag, Block] = field(default_factory=dict)
    gone: str = ""
    joined: int | None = None
    path: tuple[Block, ...] = ()
    deep: bool = False
    far: bool = False
    unlinked: bool = False
    parted_us: int | None = None

    @property
    def missing(self) -> Block | None:
        """Its oldest known block, where the parent of it is wanted."""
        return self.path[0] if self.joined is None and self.path and not (self.deep or self.far) else None

    def holds(self, block: Block) -> bool:
        """Whether its chain has this block, which is not active."""
        return self.joined is not None and block in self.path

    def denies(self, block: Block) -> bool:
        """Whether its chain goes on beyond the block's parent, and is not known to have the block.

        One whose head is not linked yet counts here: it may be of the other opinion.
        """
        return self.head is not None and self.head.number > block.parent_number and block not in self.path

    def place(self, active: Mapping[int, Block], base: int, most: int) -> None:
        """Find out anew where it joins the active chain.

        Args:
            active: The active blocks by number.
            base: The oldest of them.
            most: Blocks of its own that are looked at.
        """
        self.joined, self.path, self.deep = None, (), False
        found: list[Block] = []
        block = self.head
        while block is not None and len(found) < most:
            if active.get(block.number) == block:
                self.joined = block.number
                break
            if block.number < base:
                self.deep = bool(found)
                break
            found.append(block)
            parent = active.get(block.parent_number)
            told = self.told.get(block.parent_hash)
            if told is not None and told.number == block.parent_number:
                block = told
            elif parent is not None and parent.hash == block.parent_hash:
                self.joined = parent.number
                break
            else:
                self.deep = block.parent_number <= base
                break
        self.path = tuple(reversed(found))
        self.far = len(found) >= most

    def forks(self, tip: int) -> bool:
        """Whether it tells another block where the active chain has one."""
        return self.deep or (self.joined is not None and self.joined < tip and bool(self.path))
