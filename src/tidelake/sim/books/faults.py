"""Faults between a venue and its receiver, and the record of those that happened.

lost             an update never arrives              doubled          it arrives again, up to four updates later
reordered        it changes places with the next      late             it arrives two to eight updates late
corrupted        a digit of a size is another         clock-jump       our clock or the venue's leaps, up to a day
reset            the connection ends; up to three updates are sent while there is none
stale-snapshot   a snapshot is older than it should be: a page of before the loss that it is to mend, or the frame of
                 before under a new number
sync-disconnect  the connection ends in the middle of the synchronisation that follows a reset
zero-checksum    the checksum is the constant 0 from now on
"""

import random
import re
from dataclasses import dataclass

from tidelake.errors import ConfigError
from tidelake.sim.books.wire import Wire

FAULTS = (
    "lost",
    "doubled",
    "reordered",
    "corrupted",
    "late",
    "reset",
    "stale-snapshot",
    "sync-disconnect",
    "clock-jump",
    "zero-checksum",
)
CHECKSUM = re.compile(rb'"checksum":-?\d+')


@dataclass(frozen=True, slots=True)
class Happened:
    """A fault that was brought about.

    Attributes:
        kind: One of `FAULTS`.
        symbol: The product whose update it hit first.
        version: That update's version of the book.
        place: How many lines had been received then; of sockets, how many frames the venue had sent.
        note: What exactly was done.
    """

    kind: str
    symbol: str
    version: int
    place: int
    note: str = ""


def checked(kind: str) -> str:
    """The kind, where it is one.

    Raises:
        ConfigError: There is no such fault.
    """
    if kind not in FAULTS:
        raise ConfigError(f"no fault {kind!r} of frames; there are: {', '.join(FAULTS)}", tried=FAULTS)
    return kind


def corrupt(payload: bytes, wire: Wire, levels: list[tuple[int, int]], chance: random.Random) -> tuple[bytes, str]:
    """The message with a digit of one level's size changed, and what was done; levels are ticks and lots."""
    ticks, lots = chance.choice(levels)
    price, size = wire.price(ticks).encode(), wire.size(lots).encode()
    match = re.search(
        rb"(?<![\d.])" + re.escape(price) + rb"(?![\d.])[^\d]{1,40}?" + re.escape(size) + rb"(?![\d.])", payload
    )
    if match is None:
        raise AssertionError(f"no level {price!r} {size!r} in {payload!r}")
    digits = [i for i in range(match.end() - len(size), match.end()) if payload[i : i + 1].isdigit()]
    if len(digits) > 1 and payload[digits[0] : digits[0] + 1] == b"0":
        digits = digits[1:]
    place = chance.choice(digits)
    least = 1 if place == match.end() - len(size) and len(digits) > 1 else 0  # a JSON number begins with no zero
    other = chance.choice([d for d in range(least, 10) if d != payload[place] - 48])
    changed = payload[:place] + str(other).encode() + payload[place + 1 :]
    return (
        changed,
        f"size {size.decode()} at {price.decode()} became {changed[match.end() - len(size) : match.end()].decode()}",
    )


def without_checksum(payload: bytes) -> bytes:
    """The message with the checksum 0."""
    return CHECKSUM.sub(b'"checksum":0', payload)
