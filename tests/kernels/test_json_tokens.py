import numpy as np
from hypothesis import given, settings, strategies as st

from tidelake.kernels.json_tokens import _string_end

PIECES = [b"a", b'"', b"\\", b"#", b"[", b"\xa2", b"\xdc", b"\x00", b"plain text"]
texts = st.lists(st.sampled_from(PIECES)).map(b"".join)


def naive_end(text: bytes, at: int, end: int) -> tuple[int, bool]:
    escaped = False
    while at < end:
        if text[at : at + 1] == b'"':
            return at, escaped
        if text[at : at + 1] == b"\\":
            escaped = True
            at += 1
        at += 1
    return end, escaped


@settings(deadline=None)  # the first call compiles
@given(texts, st.integers(0, 9), st.integers(0, 9))
def test_a_string_ends_at_its_first_quote_that_is_not_escaped(text, start, short):
    start, end = min(start, len(text)), max(len(text) - short, 0)
    found = _string_end(np.frombuffer(text, np.uint8), start, end)
    assert found == naive_end(text, start, end)
