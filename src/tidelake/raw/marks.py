"""Marks: how far a table has read a lane, as one number that also names the entry it read last.

A Delta transaction version is an int64. Its upper 40 bits hold the entry's number, which has twelve digits in a key
(10^12 < 2^40), its lower 23 bits the first bits of the entry's hash. So marks of a lane grow as it does, and a lane
whose end was lost and written again shows: by chance, one such lane in eight million does not.
"""

from tidelake.raw.entry import Entry, encode_entry, entry_hash

HASH_BITS = 23
NO_MARK = -1


def mark_at(seq: int, sha256: str) -> int:
    """The mark of the entry with this number and hash; `NO_MARK` where the number is -1."""
    return NO_MARK if seq < 0 else seq << HASH_BITS | hash_bits(sha256)


def mark_of(entry: Entry) -> int:
    """The mark of an entry."""
    return mark_at(entry.seq, entry_hash(encode_entry(entry)))


def seq_of(mark: int) -> int:
    """The number of the entry that a mark names; -1 for `NO_MARK`."""
    return mark >> HASH_BITS


def hash_bits_of(mark: int) -> int:
    """The bits of its entry's hash that a mark holds."""
    return mark & (1 << HASH_BITS) - 1


def hash_bits(sha256: str) -> int:
    """The bits of a hash that a mark holds."""
    return int(sha256[:6], 16) >> (24 - HASH_BITS)
