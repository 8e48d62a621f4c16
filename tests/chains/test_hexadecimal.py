"""Quantities and octets as nodes write them, and addresses with a checksum."""

import pytest
from hypothesis import given, strategies as st

from tidelake.chains.addresses import checksummed
from tidelake.chains.hexadecimal import hex_text, octets, quantity
from tidelake.errors import FormatDrift


@given(st.integers(0, 2**256 - 1))
def test_quantity_reads_back_every_integer_of_256_bits(number):
    assert quantity(hex(number), "x") == number


@pytest.mark.parametrize(
    "wrong", [None, 5, "5", "0x", "0x1_0", "0x 1", " 0x1", "0x1\n", "-0x1", "0xg", "0x1" + 64 * "0"]
)
def test_what_is_no_quantity_is_refused_by_name(wrong):
    with pytest.raises(FormatDrift, match="gasUsed"):
        quantity(wrong, "gasUsed")


@given(st.binary(max_size=64))
def test_octets_read_back_every_text(value):
    assert octets(hex_text(value), "x") == value
    assert octets("0x" + value.hex().upper(), "x", len(value)) == value


@pytest.mark.parametrize("wrong", [None, 5, "ab", "0xa", "0x zz", "0xab cd", "0xab\n", "0X12"])
def test_what_is_no_octets_is_refused_by_name(wrong):
    with pytest.raises(FormatDrift, match="data"):
        octets(wrong, "data")


def test_octets_of_another_length_are_refused():
    with pytest.raises(FormatDrift, match="has 3 octets, expected 2"):
        octets("0x123456", "topic", 2)


@pytest.mark.parametrize(
    "address",
    [  # the examples of EIP-55
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ],
)
def test_checksum_of_an_address_is_that_of_eip_55(address):
    assert checksummed(address.lower()) == address
    assert checksummed("0x" + address[2:].upper()) == address


@pytest.mark.parametrize("wrong", ["", "0x12", 40 * "a", "0x" + 39 * "a" + "g"])
def test_what_is_no_address_is_refused(wrong):
    with pytest.raises(ValueError, match="is no address"):
        checksummed(wrong)
