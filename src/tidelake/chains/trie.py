"""Root of a Merkle Patricia trie: the hash by which a header holds all receipts of its block."""

from collections.abc import Sequence
from typing import TypeAlias

from tidelake.chains import rlp
from tidelake.chains.keccak import keccak

Leaf: TypeAlias = tuple[bytes, bytes]  # nibbles that are left of the key, one each octet; value
_NOTHING = b""

EMPTY_ROOT = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"  # keccak of the item b""


def root_of_list(values: Sequence[bytes]) -> bytes:
    """The root of values under their places 0, 1, .. as RLP integers; no value may be empty."""
    leaves = sorted((_nibbles(rlp.encode(rlp.integer(place))), value) for place, value in enumerate(values))
    return keccak(rlp.encode(_node(leaves, 0)))


def _node(leaves: Sequence[Leaf], depth: int) -> rlp.Item:
    """The node of sorted leaves whose keys agree in their first `depth` nibbles; no key begins another."""
    if not leaves:
        return _NOTHING
    first, last = leaves[0][0], leaves[-1][0]
    if len(leaves) == 1:
        return [_path(first[depth:], leaf=True), leaves[0][1]]
    fork = depth
    while first[fork] == last[fork]:
        fork += 1
    branch = _branch(leaves, fork)
    return branch if fork == depth else [_path(first[depth:fork], leaf=False), _held(branch)]


def _branch(leaves: Sequence[Leaf], depth: int) -> rlp.Item:
    below: list[list[Leaf]] = [[] for _ in range(16)]
    for leaf in leaves:
        below[leaf[0][depth]].append(leaf)
    return [*(_held(_node(group, depth + 1)) for group in below), _NOTHING]


def _held(node: rlp.Item) -> rlp.Item:
    """What a parent holds of a node: itself where it is short, else its hash."""
    encoded = rlp.encode(node)
    return node if len(encoded) < 32 else keccak(encoded)


def _nibbles(key: bytes) -> bytes:
    return bytes(nibble for octet in key for nibble in (octet >> 4, octet & 15))


def _path(nibbles: bytes, *, leaf: bool) -> bytes:
    """Nibbles packed two an octet, after a flag that says leaf or extension, odd or even."""
    odd = len(nibbles) % 2
    flagged = bytes((2 * leaf + odd,)) + (b"" if odd else b"\0") + nibbles
    return bytes(flagged[at] << 4 | flagged[at + 1] for at in range(0, len(flagged), 2))
