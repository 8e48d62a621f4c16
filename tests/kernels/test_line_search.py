import numpy as np
from hypothesis import given, settings, strategies as st

from tidelake.kernels.line_search import BLOCK, mark_holding

texts = st.text("ab", max_size=3 * BLOCK).map(str.encode)


@settings(deadline=None)  # the first call compiles
@given(st.lists(texts, max_size=5), st.text("ab", min_size=1, max_size=6).map(str.encode), st.integers(0, 3))
def test_a_line_is_marked_where_find_finds_the_token(lines, token, sparse):
    lines = [line + b"-" * BLOCK * sparse + line[:2] for line in lines]
    offsets = np.cumsum([0, *map(len, lines)])
    text = np.frombuffer(b"".join(lines), np.uint8)
    mark_holding(text, offsets, np.frombuffer(token, np.uint8), held := np.zeros(len(lines), np.bool_))
    assert held.tolist() == [line.find(token) >= 0 for line in lines]
