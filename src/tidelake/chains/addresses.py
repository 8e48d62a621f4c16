"""Addresses: two that stand for something else, the checksum of EIP-55 in the letters of others, and Solana's form."""

import re

from tidelake.chains.keccak import keccak

ZERO_ADDRESS = "0x" + "0" * 40
NATIVE = "0x" + "e" * 40  # stands for a chain's own coin, as wallets and price sources write it
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


def checksummed(address: str) -> str:
    """The address with large letters where EIP-55 wants them.

    Raises:
        ValueError: It is not "0x" and 40 hexadecimal digits.
    """
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f'{address!r} is no address: expected "0x" and 40 hexadecimal digits')
    digits = address[2:].lower()
    large = keccak(digits.encode()).hex()
    return "0x" + "".join(letter.upper() if large[at] >= "8" else letter for at, letter in enumerate(digits))


def address_fault(address: str) -> str | None:
    """What is wrong with an address; None where it has its checksum."""
    try:
        right = checksummed(address)
    except ValueError as exc:
        return str(exc)
    return None if address == right else f"{address} has another checksum than EIP-55 gives ({right})"


def solana_address_fault(address: str) -> str | None:
    """What is wrong with an address of Solana; None where it is base58 of 32 octets. It holds no checksum."""
    places = [_BASE58.find(letter) for letter in address]
    if not places or min(places) < 0:
        return f"{address!r} is no address of Solana: expected base58"
    number = 0
    for place in places:
        number = number * 58 + place
    octets = len(address) - len(address.lstrip("1")) + (number.bit_length() + 7) // 8
    return None if octets == 32 else f"{address!r} is no address of Solana: {octets} octets, expected 32"
