"""The set of hashes against Python's own."""

import numpy as np
from hypothesis import given, settings, strategies as st

from tidelake.kernels.key_set import add_hashes, holds_any

SLOTS = 64
HASHES = st.one_of(st.integers(0, 5), st.integers(60, 66), st.integers(0, 2**64 - 1))  # neighbours meet in a slot


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.lists(HASHES, max_size=12), max_size=5))
def test_key_set_equals_the_set_of_python(batches):
    slots = np.zeros(SLOTS, dtype=np.uint64)
    known: set[int] = set()
    for batch in batches:
        hashes = np.array(batch, dtype=np.uint64)
        values = {max(value, 1) for value in batch}  # 0 marks a free slot and counts as 1
        assert holds_any(hashes, slots) == bool(values & known)
        assert add_hashes(hashes, slots) == len(values - known)
        known |= values
    assert set(slots[slots != 0].tolist()) == known
