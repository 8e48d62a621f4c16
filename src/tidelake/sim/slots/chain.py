"""A chain of slots as a function of its seed: which have a block, what their hashes are, and which blocks go out.

Each `fork_every` slots the newest blocks are others once the next slot is there, with other slots skipped: more than a
real Solana does with confirmed blocks, so that it can be tested what follows from it.
"""

import hashlib
from dataclasses import dataclass

from tidelake.errors import ConfigError

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
FINAL_BEHIND = 32  # a block is finalized once 31 confirmed ones are built on it


@dataclass(frozen=True, slots=True)
class SlotBlock:
    """A block.

    Attributes:
        slot, parent_slot: Its place, and that of the block before it.
        hash, parent_hash: As Solana writes them, in base 58.
        time_s: Seconds since 1970.
    """

    slot: int
    hash: str
    parent_slot: int
    parent_hash: str
    time_s: int


@dataclass(frozen=True)
class SlotChainSim:
    """The chain; slot 0 has a block.

    Args:
        seed: Same seed, same blocks.
        start_s: When slot 0 was, seconds since 1970.
        slot_ms: What a slot takes.
        skipped: Share of slots without a block, below 1.
        fork_every: Slots between two forks; 0 for none.
        depth: Slots that a fork takes back; fewer than those between two forks.

    Raises:
        ConfigError: It is none that can be.
    """

    seed: int
    start_s: int
    slot_ms: int = 400
    skipped: float = 0.05
    fork_every: int = 0
    depth: int = 4

    def __post_init__(self) -> None:
        if not 0 <= self.skipped < 1 or (self.fork_every and not 0 < self.depth < self.fork_every):
            raise ConfigError("a share of skipped slots is below 1, and a fork shorter than what is between two")

    def slot_at(self, time_s: float) -> int:
        """The slot of that time."""
        return max(0, int((time_s - self.start_s) * 1_000) // self.slot_ms)

    def block(self, slot: int, head: int) -> SlotBlock | None:
        """The block of a slot, as the chain stands when that slot is its newest; None where it has none."""
        if slot > head or not self._has_block(slot, head):
            return None
        parent = slot - 1
        while parent > 0 and not self._has_block(parent, head):
            parent -= 1
        time_s = self.start_s + slot * self.slot_ms // 1_000
        return SlotBlock(slot, self._hash(slot, head), max(parent, 0), self._hash(parent, head), time_s)

    def newest(self, head: int) -> SlotBlock:
        """The last block up to a slot."""
        return next(block for slot in range(head, -1, -1) if (block := self.block(slot, head)) is not None)

    def finalized(self, head: int) -> SlotBlock:
        """The last block that is finalized then."""
        found = self.newest(head)
        for _ in range(FINAL_BEHIND - 1):
            if (before := self.block(found.parent_slot, head)) is None or found.slot == 0:
                break
            found = before
        return found

    def _branch(self, slot: int, head: int) -> int:
        """0 for a block that stands; of those that a fork takes back the fork's number, until it is there."""
        if not self.fork_every:
            return 0
        fork = -(-slot // self.fork_every)  # at slot fork * fork_every the last blocks are told that will go out
        end = fork * self.fork_every
        return fork if fork and end - self.depth < slot <= end and head <= end else 0

    def _has_block(self, slot: int, head: int) -> bool:
        if slot <= 0:
            return slot == 0
        draw = self._digest("skipped", slot, self._branch(slot, head))
        return int.from_bytes(draw[:8], "big") >= int(self.skipped * 2**64)

    def _hash(self, slot: int, head: int) -> str:
        number = int.from_bytes(self._digest("block", slot, self._branch(slot, head)), "big")
        digits = ""
        while number:
            number, digit = divmod(number, 58)
            digits = _BASE58[digit] + digits
        return digits

    def _digest(self, *parts: object) -> bytes:
        return hashlib.sha256(repr((self.seed, *parts)).encode()).digest()
