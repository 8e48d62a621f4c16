"""Recursive length prefix: in what headers and receipts are hashed."""

from collections.abc import Sequence
from typing import TypeAlias

Item: TypeAlias = "bytes | Sequence[Item]"

_SHORT = 55  # octets whose number stands in the prefix itself


def encode(item: Item) -> bytes:
    """An item as octets; a list is the prefix of its length and its items one after the other."""
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < 0x80 else _prefixed(item, 0x80)
    return _prefixed(b"".join(map(encode, item)), 0xC0)


def integer(value: int) -> bytes:
    """An integer as an item: big end first, no leading zeros, nothing for 0."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _prefixed(octets: bytes, kind: int) -> bytes:
    if len(octets) <= _SHORT:
        return bytes((kind + len(octets),)) + octets
    length = integer(len(octets))
    return bytes((kind + _SHORT + len(length),)) + length + octets
