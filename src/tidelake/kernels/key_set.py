"""A set of hashes with open addressing.

`slots` is uint64[2**k], 0 where a slot is free; all zeros is the empty set. `hashes` is uint64[n]; 0 counts as 1. At
least one slot stays free, which the caller sees to. A hash costs one or two looks into `slots` while half is free.
"""

import numpy as np

from tidelake.kernels.compiling import kernel

ONE = np.uint64(1)  # a plain 1 would turn unsigned numbers into floats


@kernel
def _place(value, slots):
    """The slot that holds the value, or the free one where it belongs."""
    last = np.uint64(len(slots)) - ONE
    at = value & last
    while slots[at] != 0 and slots[at] != value:
        at = (at + ONE) & last
    return at


@kernel
def holds_any(hashes, slots):
    """Whether one of the hashes stands in the set. Oracle: a Python set, under Tests."""
    held = False
    for value in hashes:
        held |= slots[_place(max(value, ONE), slots)] != 0
    return held


@kernel
def add_hashes(hashes, slots):
    """Put hashes into the set, and count those that were not in it yet. Oracle: a Python set, under Tests."""
    added = 0
    for found in hashes:
        value = max(found, ONE)
        at = _place(value, slots)
        added += slots[at] == 0
        slots[at] = value
    return added
