"""Logs bloom: 2,048 bits in a header, three set for each address and topic of its logs.

A value whose bits are not all set is in no log of the block; where they are set it may be. So a header proves that an
empty answer is right, and often that a log is missing, without receipts.
"""

from collections.abc import Iterable
from functools import lru_cache

from tidelake.chains.keccak import keccak

OCTETS = 256


@lru_cache(maxsize=65_536)
def bits(value: bytes) -> int:
    """The three bits of an address (20 octets) or topic (32), as an integer of 2,048 bits."""
    found = keccak(value)
    return (
        1 << (int.from_bytes(found[0:2], "big") & 2047)
        | 1 << (int.from_bytes(found[2:4], "big") & 2047)
        | 1 << (int.from_bytes(found[4:6], "big") & 2047)
    )


def bloom_of(values: Iterable[bytes]) -> bytes:
    """The bloom, 256 octets, of addresses and topics."""
    found = 0
    for value in values:
        found |= bits(value)
    return found.to_bytes(OCTETS, "big")


def may_hold(bloom: bytes, value: bytes) -> bool:
    """Whether the value may be in a log; False is proof that it is in none."""
    wanted = bits(value)
    return int.from_bytes(bloom, "big") & wanted == wanted
