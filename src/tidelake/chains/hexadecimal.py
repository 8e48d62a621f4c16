"""Quantities and octets as nodes write them: "0x" and hexadecimal digits. Integers never pass through floats."""

import binascii
import re

from tidelake.errors import FormatDrift

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")
_SHOWN = 60  # letters of a refused value that a message repeats


def quantity(value: object, what: str) -> int:
    """The integer that a "0x.." text says; `what` names it in the error.

    Raises:
        FormatDrift: It is no such text, or more than 256 bits long.
    """
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise FormatDrift(f'{what} is {_shown(value)}, expected an integer as "0x.."')
    return int(value, 16)


def octets(value: object, what: str, length: int | None = None) -> bytes:
    """The bytes that a "0x.." text says, two digits each; `length` is how many it must be.

    Raises:
        FormatDrift: It is no such text, or not of that length.
    """
    if not isinstance(value, str) or value[:2] != "0x":
        raise FormatDrift(f'{what} is {_shown(value)}, expected octets as "0x.."')
    try:
        found = binascii.unhexlify(value[2:])
    except ValueError as exc:
        raise FormatDrift(f'{what} is {_shown(value)}, expected octets as "0x..": {exc}') from None
    if length is not None and len(found) != length:
        raise FormatDrift(f"{what} has {len(found)} octets, expected {length}: {_shown(value)}")
    return found


def hex_text(value: bytes) -> str:
    """Octets as "0x" and small letters."""
    return "0x" + value.hex()


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}.."
