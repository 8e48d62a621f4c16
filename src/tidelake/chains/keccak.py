"""Keccak-256, the hash of Ethereum; eth-hash is imported with the first one."""

from functools import cache
from typing import Protocol


class _Hash(Protocol):
    def __call__(self, value: bytes, /) -> bytes: ...


@cache
def _hash() -> _Hash:
    from eth_hash.auto import keccak as found

    return found


def keccak(value: bytes) -> bytes:
    """The 32 octets of it."""
    return _hash()(value)
