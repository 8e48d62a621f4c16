"""The quick reading of words of fixed length gives what the slow one gives, and refuses nothing that it takes."""

import pytest
from hypothesis import given, strategies as st

from tidelake.chains import abi
from tidelake.chains.abi import decode_slowly, function
from tidelake.chains.fixed_words import fixed_reader
from tidelake.errors import FormatDrift

PLAIN = st.sampled_from(["uint256", "uint128", "uint40", "uint8", "address", "bool", "bytes32", "bytes4", "int128"])
TYPES = st.recursive(PLAIN, lambda inner: st.lists(inner, min_size=1, max_size=3).map(lambda t: f"({','.join(t)})"))
EDGES = st.sampled_from([0, 1, 2, 2**8 - 1, 2**8, 2**128 - 1, 2**160 - 1, 2**160, 2**224, 2**256 - 1])
WORDS = st.lists(st.one_of(EDGES, st.integers(0, 2**256 - 1)), max_size=8)


@given(st.lists(TYPES, min_size=1, max_size=4).map(tuple), WORDS, st.integers(-2, 2))
def test_quick_reading_is_the_slow_one(types, numbers, cut):
    data = b"".join(number.to_bytes(32, "big") for number in numbers)
    wanted = 32 * sum(abi.words(one) for one in types)
    data = data.ljust(wanted, b"\0")[: wanted + cut] + bytes(max(cut, 0))
    reader = fixed_reader(types)
    try:
        expected = decode_slowly(types, data, "it")
    except FormatDrift:
        assert reader is None or reader(data) is None
        with pytest.raises(FormatDrift):
            abi._decode(types, data, "it")
        return
    assert abi._decode(types, data, "it") == expected
    if not any("int128" in one and "uint128" not in one for one in types):
        assert reader is None or reader(data) == expected


def test_types_of_other_kinds_are_left_to_the_slow_reading():
    assert fixed_reader(("uint256", "string")) is None
    assert fixed_reader(("(uint256,(address,bytes))",)) is None
    assert fixed_reader(("uint256[2]",)) is None
    assert fixed_reader(("int256",)) is None
    assert fixed_reader(()) is not None


def test_calls_that_are_remembered_are_those_of_their_own_arguments():
    name = function("f(uint256)")
    assert name.encode(1) != name.encode(2)
    for wrong in (True, 1.0, "1"):
        with pytest.raises(ValueError, match=r"f\(uint256\)"):
            name.encode(wrong)
