"""RLP and the root of a trie, against their definitions written out slowly."""

import pytest
from hypothesis import given, settings, strategies as st

from tidelake.chains import rlp, trie
from tidelake.chains.bloom import bloom_of, may_hold
from tidelake.chains.hexadecimal import hex_text
from tidelake.chains.keccak import keccak


@pytest.mark.parametrize(
    ("item", "expected"),
    [  # the examples of Ethereum's documentation of RLP
        (b"dog", "83646f67"),
        ([b"cat", b"dog"], "c88363617483646f67"),
        (b"", "80"),
        ([], "c0"),
        (rlp.integer(0), "80"),
        (b"\x00", "00"),
        (rlp.integer(15), "0f"),
        (rlp.integer(1024), "820400"),
        ([[], [[]], [[], [[]]]], "c7c0c1c0c3c0c1c0"),
        (55 * b"a", "b7" + 55 * "61"),
        (56 * b"a", "b838" + 56 * "61"),
        (256 * b"a", "b90100" + 256 * "61"),
        ([30 * b"a", 30 * b"b"], "f83e" + "9e" + 30 * "61" + "9e" + 30 * "62"),
    ],
)
def test_rlp_gives_the_documented_examples(item, expected):
    assert rlp.encode(item).hex() == expected


def slow_node(pairs):
    """The node of keys, as text of hexadecimal digits, by the definition of the yellow paper."""
    if len(pairs) == 1:
        ((key, value),) = pairs.items()
        return [slow_path(key, 2), value]
    shared = shared_beginning(pairs)
    if shared:
        return [slow_path(shared, 0), slow_held({key[len(shared) :]: value for key, value in pairs.items()})]
    below = [{key[1:]: value for key, value in pairs.items() if key[0] == digit} for digit in "0123456789abcdef"]
    return [slow_held(group) if group else b"" for group in below] + [b""]


def shared_beginning(keys):
    first = min(keys)
    return next(first[:n] for n in range(len(first), -1, -1) if all(key.startswith(first[:n]) for key in keys))


def slow_held(pairs):
    node = slow_node(pairs)
    return node if len(rlp.encode(node)) < 32 else keccak(rlp.encode(node))


def slow_path(digits, flag):
    return bytes.fromhex(f"{flag + 1}{digits}" if len(digits) % 2 else f"{flag}0{digits}")


def slow_root(values):
    keys = [rlp.encode(place.to_bytes(4, "big").lstrip(b"\0")).hex() for place in range(len(values))]
    return keccak(rlp.encode(slow_node(dict(zip(keys, values, strict=True)))))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 300).flatmap(
        lambda n: st.lists(
            st.one_of(st.binary(min_size=1, max_size=4), st.binary(min_size=30, max_size=70)), min_size=n, max_size=n
        )
    )
)
def test_root_equals_that_of_the_definition(values):
    assert trie.root_of_list(values) == slow_root(values)


@pytest.mark.parametrize("length", [1, 2, 127, 128, 129, 255, 256, 257, 700])
def test_root_is_right_where_the_keys_grow_by_an_octet(length):
    values = [bytes([place % 251 + 1]) * (1 + place % 40) for place in range(length)]
    assert trie.root_of_list(values) == slow_root(values)


def test_root_of_nothing_is_the_empty_root():
    assert hex_text(trie.root_of_list([])) == trie.EMPTY_ROOT == hex_text(keccak(rlp.encode(b"")))


@given(st.lists(st.binary(min_size=20, max_size=32), max_size=20), st.binary(min_size=20, max_size=32))
def test_bloom_never_denies_what_it_holds(values, other):
    bloom = bloom_of(values)
    assert len(bloom) == 256
    assert all(may_hold(bloom, value) for value in values)
    assert bloom_of([]) == bytes(256)
    assert not may_hold(bytes(256), other)


def test_bloom_sets_the_bits_of_the_yellow_paper():
    bits = {int.from_bytes(keccak(b"x")[at : at + 2], "big") % 2048 for at in (0, 2, 4)}
    bloom = bloom_of([b"x"])
    assert {bit for bit in range(2048) if bloom[255 - bit // 8] >> bit % 8 & 1} == bits
