"""Numbers as vendors write them, against Python's own exact ones."""

from decimal import Decimal

import numpy as np
from hypothesis import given, strategies as st

from tidelake.jobs.vendor_numbers import to_floats, to_texts

NUMBERS = st.lists(st.tuples(st.integers(0, 10**18 - 1) | st.integers(0, 99_999), st.integers(-30, 25)), min_size=1)


def columns(numbers):
    mantissa, exponent = zip(*numbers, strict=True)
    return np.array(mantissa, np.int64), np.array(exponent, np.int64)


@given(NUMBERS)
def test_floats_are_the_nearest(numbers):
    assert to_floats(*columns(numbers)).tolist() == [float(Decimal(m).scaleb(e)) for m, e in numbers]


@given(NUMBERS)
def test_texts_have_all_digits_and_no_zero_too_many(numbers):
    texts = to_texts(*columns(numbers)).to_pylist()
    for text, (mantissa, exponent) in zip(texts, numbers, strict=True):
        assert Decimal(text) == Decimal(mantissa).scaleb(exponent)
        assert "E" not in text
        assert not ("." in text and text.endswith(("0", ".")))
        assert text == "0" or not text.startswith("00")
