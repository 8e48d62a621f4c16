"""Seeded draws: numbers, octets and addresses that follow from a seed and words alone, in any order of asking."""

from hashlib import blake2b


class Draws:
    """Draws of one thing.

    Args:
        words: What it is; same words, same draws.
    """

    def __init__(self, *words: object) -> None:
        self._key = blake2b(repr(words).encode()).digest()

    def octets(self, *words: object, size: int = 32) -> bytes:
        """`size` octets, at most 64."""
        return blake2b(repr(words).encode(), digest_size=size, key=self._key).digest()

    def below(self, end: int, *words: object) -> int:
        """A number from 0 to end - 1."""
        return int.from_bytes(self.octets(*words), "big") % end

    def between(self, first: int, last: int, *words: object) -> int:
        """A number from first to last, both included."""
        return first + self.below(last - first + 1, *words)

    def address(self, *words: object) -> str:
        """An address in small letters."""
        return "0x" + self.octets(*words, size=20).hex()

    def digest(self, *words: object) -> str:
        """A hash in small letters."""
        return "0x" + self.octets(*words).hex()

    def within(self, *words: object) -> "Draws":
        """The draws of a part of it."""
        return Draws(self._key, *words)
