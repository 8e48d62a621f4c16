"""Numbers of files as exact integers equal what Python's decimals say of them."""

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import example, given, settings, strategies as st

from tidelake.books.reconstruction.exact_numbers import LARGEST_EXPONENT, exponent_of, is_number, mantissas_of
from tidelake.errors import FormatDrift

DIGITS = 18


def slow_exponent(numbers):
    return min((int(number.normalize().as_tuple().exponent) for number in numbers if number), default=LARGEST_EXPONENT)


def slow_mantissas(numbers, exponent):
    """The mantissas, or None where one of them has more than 18 digits."""
    found = [int(number.scaleb(-exponent)) for number in numbers]
    return found if all(abs(mantissa) < 10**DIGITS for mantissa in found) else None


def check(column, numbers):
    exponent = exponent_of(column)
    assert exponent == slow_exponent(numbers)
    expected = slow_mantissas(numbers, exponent)
    if expected is None:
        with pytest.raises(FormatDrift, match="more than 18 digits"):
            mantissas_of(column, exponent)
        return
    assert mantissas_of(column, exponent).tolist() == expected
    finer = slow_mantissas(numbers, exponent - 2)
    if finer is not None:
        assert mantissas_of(column, exponent - 2).tolist() == finer


MANTISSAS = st.one_of(*(st.integers(-(10**digits) + 1, 10**digits - 1) for digits in (1, 3, 8, 14, 15, 16, 17)))
PLACES = st.one_of(st.integers(-3, 12), st.integers(-20, 25))


@settings(deadline=None, max_examples=500)  # the first call compiles
@given(st.lists(MANTISSAS, max_size=8), PLACES)
@example([1, 10, 100], 25)
@example([9007199254740993, 4503599627370497], 2)
@example([99999999999999999], 0)
def test_doubles_give_the_shortest_decimals_that_read_back(mantissas, places):
    values = [float(Decimal(mantissa).scaleb(-places)) for mantissa in mantissas]
    check(pa.array(values, pa.float64()), [Decimal(repr(value)) for value in values])


@settings(deadline=None, max_examples=300)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12), max_size=5))
def test_any_doubles_are_exact_or_refused(values):
    check(pa.array(values, pa.float64()), [Decimal(repr(value)) for value in values])


@st.composite
def texts(draw):
    """A number of up to 18 digits as text: signs, zeros before and behind, a point anywhere, an exponent."""
    digits = draw(st.text("0123456789", min_size=1, max_size=18))
    at = draw(st.integers(0, len(digits)))
    text = digits[:at] + draw(st.sampled_from(["", "."])) + digits[at:]
    if text.startswith("."):
        text = "0" + text
    text = "0" * draw(st.integers(0, 3)) + text
    if "." in text:
        text += "0" * draw(st.integers(0, 9))
    power = draw(st.sampled_from(["", "", "", "e0", "E3", "e-7", "E+12"]))
    return draw(st.sampled_from(["", "-", "+"])) + text + power


@settings(deadline=None, max_examples=500)
@given(st.lists(texts(), max_size=6), st.integers(0, 2))
def test_texts_are_read_as_they_stand(written, cut):
    column = pa.array(["7", *written, "8"], pa.string()).slice(cut % 2)
    numbers = [Decimal(text) for text in column.to_pylist()]
    check(column, numbers)


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint32(), pa.decimal128(30, 3), pa.float32()])
def test_other_types_are_read_through_their_text(kind):
    column = pa.array([1, 250, 12000], pa.int64()).cast(kind)
    assert exponent_of(column) == 0
    assert mantissas_of(column, -1).tolist() == [10, 2500, 120000]


def test_float32_means_its_own_shortest_decimal():
    column = pa.array([0.1, 0.25], pa.float32())
    assert exponent_of(column) == -2
    assert mantissas_of(column, -2).tolist() == [10, 25]


def test_missing_numbers_count_nothing():
    doubles = pa.array([None, float("nan"), 0.5, 0.0])
    assert exponent_of(doubles) == -1
    assert mantissas_of(doubles, -1).tolist() == [0, 0, 5, 0]
    assert is_number(doubles).tolist() == [False, False, True, True]
    written = pa.array([None, "0.50", "0"])
    assert exponent_of(written) == -1
    assert mantissas_of(written, -1).tolist() == [0, 5, 0]
    assert is_number(written).tolist() == [False, True, True]
    nothing = pa.nulls(2)
    assert exponent_of(nothing) == LARGEST_EXPONENT
    assert mantissas_of(nothing, 0).tolist() == [0, 0]
    assert not is_number(nothing).any()


@pytest.mark.parametrize("text", ["", "abc", "1.2.3", "--1", "1e", "1e99999", "nan", "Infinity", "0x10", "1 000", "."])
def test_texts_that_are_no_numbers_are_named(text):
    with pytest.raises(FormatDrift) as told:
        exponent_of(pa.array(["1", "2", text]))
    assert told.value.line == 2


@pytest.mark.parametrize("value", [float("inf"), -float("inf")])
def test_infinite_doubles_are_named(value):
    with pytest.raises(FormatDrift, match="no number") as told:
        exponent_of(pa.array([1.5, value]))
    assert told.value.line == 1


def test_numbers_that_do_not_fit_the_exponent_of_the_day_are_named():
    with pytest.raises(FormatDrift, match="more than 18 digits") as told:
        mantissas_of(pa.array([1.0, 12345678901.5]), -9)
    assert told.value.line == 1
    with pytest.raises(FormatDrift, match="more than 18 digits"):
        mantissas_of(pa.array(["1", "1234567890123456789"]), 0)


def test_mantissas_hold_up_to_eighteen_digits_exactly():
    largest = 10**DIGITS - 1
    assert mantissas_of(pa.array([str(largest), str(-largest)]), 0).tolist() == [largest, -largest]
    assert mantissas_of(pa.array([999999999.0]), -9).tolist() == [999999999 * 10**9]
