"""Trees of blocks, and a slow and obvious tracker over them: whole chains as tuples, nothing remembered but heads."""

from collections import Counter

from tidelake.chains.heads import Block


def grow(parent, name, *, number=None):
    """A child of a block; its hash is its name."""
    at = parent.number + 1 if number is None else number
    return Block(at, name, parent.number, parent.hash, at * 1_000_000)


def genesis(number=100):
    return Block(number, "root", number - 1, "before", number * 1_000_000)


class Tree:
    """Blocks by hash, and whole chains of them."""

    def __init__(self, root):
        self.root = root
        self.blocks = {root.hash: root}

    def add(self, parent, name, *, number=None):
        self.blocks[name] = grow(parent, name, number=number)
        return self.blocks[name]

    def chain(self, block):
        """From the root to the block, both inclusive."""
        found = [block]
        while found[-1] != self.root:
            found.append(self.blocks[found[-1].parent_hash])
        return tuple(reversed(found))


class SlowTracker:
    """The rules of the tracker, said over whole chains.

    A chain contradicts a block when it goes on beyond the block's parent, or parts before it, without the block.
    """

    def __init__(self, tree, quorum):
        self.tree = tree
        self.quorum = quorum
        self.heads = {}
        self.active = (tree.root,)

    def hear(self, provider, block):
        """Returns the sets of blocks that went out and came in, one pair for each retraction."""
        if block is None:
            self.heads.pop(provider, None)
        else:
            self.heads[provider] = block
        changes = []
        while (fork := self._fork()) is not None:
            kept = self.tree.chain(fork)[:-1]
            mine = [chain for chain in self._chains() if fork in chain]
            after = (*kept, *self._commonest([chain[len(kept) :] for chain in mine]))
            changes.append((set(self.active) - set(after), set(after) - set(self.active)))
            self.active = after
        longer = [chain for chain in self._chains() if chain[: len(self.active)] == self.active]
        self.active += self._commonest([chain[len(self.active) :] for chain in longer])
        return changes

    def _chains(self):
        return [self.tree.chain(head) for head in self.heads.values()]

    def _fork(self):
        """The oldest block beside the active chain that enough tell, and more than tell otherwise."""
        beside = []
        for chain in self._chains():
            shared = sum(mine == theirs for mine, theirs in zip(chain, self.active, strict=False))
            if shared < len(self.active) and shared < len(chain):
                beside.append(chain[shared])
        for block in sorted(set(beside), key=lambda one: (one.parent_number, one.number, one.hash)):
            tell = sum(block in chain for chain in self._chains())
            otherwise = sum(block not in chain and chain[-1].number > block.parent_number for chain in self._chains())
            if tell >= self.quorum and tell > otherwise:
                return block
        return None

    @staticmethod
    def _commonest(tails):
        found: tuple[Block, ...] = ()
        while votes := Counter(tail[len(found)] for tail in tails if len(tail) > len(found)):
            best = min(votes, key=lambda block: (-votes[block], block.hash))
            found += (best,)
            tails = [tail for tail in tails if tail[: len(found)] == found]
        return found
