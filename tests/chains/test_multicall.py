"""The codec of aggregate3, word by word, against eth-abi."""

import pytest
from eth_abi.abi import decode, encode
from hypothesis import given, strategies as st

from tidelake.chains.multicall import AGGREGATE3, Call, CallResult, decode_calls, decode_results, encode_calls
from tidelake.errors import FormatDrift

ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda octets: "0x" + octets.hex())
CALLS = st.lists(st.builds(Call, ADDRESSES, st.binary(max_size=70)), max_size=6)
RESULTS = st.lists(st.builds(CallResult, st.booleans(), st.binary(max_size=70)), max_size=6)


def encoded(results):
    return encode(["(bool,bytes)[]"], [[(result.success, result.data) for result in results]])


@given(CALLS)
def test_calls_are_written_as_eth_abi_writes_them_and_read_back(calls):
    told = [(call.to, True, call.data) for call in calls]
    assert encode_calls(calls) == AGGREGATE3.selector + encode(["(address,bool,bytes)[]"], [told])
    assert decode_calls(encode_calls(calls)) == calls


@given(RESULTS)
def test_results_are_read_as_eth_abi_wrote_them(results):
    assert decode_results(encoded(results), [Call("0x", b"")] * len(results)) == results


@given(RESULTS, st.data())
def test_a_changed_answer_is_read_as_eth_abi_reads_it_or_refused(results, data):
    answer = bytearray(encoded(results))
    answer[data.draw(st.integers(0, len(answer) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = decode_results(bytes(answer), [Call("0x", b"")] * len(results))
    except FormatDrift:
        return
    (told,) = decode(["(bool,bytes)[]"], bytes(answer))
    assert [(result.success, result.data) for result in found] == list(told)
    assert encoded(found) == answer


@given(CALLS, st.integers(1, 31))
def test_calls_cut_short_are_refused(calls, cut):
    with pytest.raises(FormatDrift):
        decode_calls(encode_calls(calls)[:-cut])


def test_an_address_of_another_length_is_refused():
    with pytest.raises(ValueError, match="no address"):
        encode_calls([Call("0x1234", b"")])
