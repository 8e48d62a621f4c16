"""Words of 32 octets as contracts answer and log them, put together by hand: nothing of what reads them is used."""

from collections.abc import Sequence

from tidelake.chains.keccak import keccak

ZERO = "0x" + 40 * "0"


def selector(signature: str) -> bytes:
    """The first four octets of a call."""
    return keccak(signature.encode())[:4]


def topic(signature: str) -> str:
    """The first topic of an event."""
    return "0x" + keccak(signature.encode()).hex()


def word(value: int) -> bytes:
    """An integer from 0 on, or a truth value."""
    return value.to_bytes(32, "big")


def words(*values: int) -> bytes:
    """Several of them."""
    return b"".join(value.to_bytes(32, "big") for value in values)


def address_word(address: str) -> bytes:
    """An address."""
    return bytes.fromhex(address[2:]).rjust(32, b"\0")


def address_topic(address: str) -> str:
    """An address as a topic."""
    return "0x" + address[2:].lower().rjust(64, "0")


def address_list(addresses: Sequence[str]) -> bytes:
    """The one value `address[]` of an answer."""
    return words(32, len(addresses)) + b"".join(map(address_word, addresses))


def padded(value: bytes) -> bytes:
    """Octets filled up to whole words."""
    return value.ljust(-(-len(value) // 32) * 32, b"\0")


def octets_answer(value: bytes) -> bytes:
    """The one value `bytes` or `string` of an answer."""
    return words(32, len(value)) + padded(value)


def reason(text: str) -> bytes:
    """What a contract says when it refuses with words: `Error(string)`."""
    return selector("Error(string)") + octets_answer(text.encode())
