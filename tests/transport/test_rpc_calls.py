"""JSON-RPC bodies: what is sent, how answers are matched, and which block a call is about."""

import json

import pytest
from hypothesis import given, strategies as st

from tidelake.errors import FormatDrift
from tidelake.transport.rpc_cache import RpcCache, never_changes
from tidelake.transport.rpc_calls import (
    RpcAnswer,
    RpcCall,
    RpcError,
    block_of,
    blocks_wide,
    encode_calls,
    read_response,
    read_responses,
    rpc_request,
)


def reading_of(body, count):
    return read_responses(body, count)


def said(payload):
    return read_response(payload)


HASH = "0x" + "ab" * 32


def test_a_float_is_refused_wherever_it_hides():
    for params in ([1.0], [{"value": 1e18}], [[{"a": [0.5]}]]):
        with pytest.raises(ValueError, match="a float among the parameters"):
            RpcCall("eth_call", params)
    assert RpcCall("eth_feeHistory", [4, True, None, "0x1"]).params == [4, True, None, "0x1"]


def test_the_same_call_has_the_same_text_whatever_the_order_of_its_keys():
    one = RpcCall("eth_call", [{"to": "0x1", "data": "0x2"}, "0x3"])
    other = RpcCall("eth_call", ({"data": "0x2", "to": "0x1"}, "0x3"))
    assert rpc_request(one) == rpc_request(other)
    assert rpc_request(one) == '{"method":"eth_call","params":[{"data":"0x2","to":"0x1"},"0x3"]}'


def test_one_call_is_an_object_and_several_are_a_batch():
    one, two = RpcCall("eth_blockNumber"), RpcCall("eth_chainId")
    assert json.loads(encode_calls([one])) == {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
    assert [(call["id"], call["method"]) for call in json.loads(encode_calls([one, two]))] == [
        (1, "eth_blockNumber"),
        (2, "eth_chainId"),
    ]


RESPONSES = st.lists(
    st.tuples(
        st.one_of(st.integers(-1, 6), st.none(), st.sampled_from(["1", "x", 1.0, True])),
        st.sampled_from(["result", "error", "both", "null", "neither", "error-null"]),
    ),
    max_size=8,
)


def response(number, kind, value):
    error = {"code": -32000, "message": f"m{value}"}
    parts = {
        "result": {"result": value},
        "error": {"error": error},
        "both": {"result": value, "error": error},
        "null": {"result": None},
        "neither": {},
        "error-null": {"result": value, "error": None},
    }
    return {"jsonrpc": "2.0", "id": number, **parts[kind]}


@given(RESPONSES, st.integers(2, 5))
def test_a_batch_is_matched_as_the_slow_way_does(items, count):
    objects = [response(number, kind, value) for value, (number, kind) in enumerate(items)]
    reading = reading_of(json.dumps(objects).encode(), count)
    for place in range(1, count + 1):
        fit = [
            one
            for one in objects
            if type(one["id"]) is int and one["id"] == place and ("result" in one or one.get("error"))
        ]
        found = reading.responses[place - 1]
        if len(fit) != 1:
            assert found is None
            assert reading.fault
        else:
            assert json.loads(found.payload) == fit[0]
            assert (found.error is not None) == bool(fit[0].get("error"))
            if found.error is None:
                assert json.loads(bytes(found.result)) == fit[0]["result"]
    clean = sorted(str(one["id"]) for one in objects) == [str(at) for at in range(1, count + 1)]
    assert bool(reading.fault) == (not clean or any(found is None for found in reading.responses))


@pytest.mark.parametrize("body", [b"", b"[", b"{", b"null", b"17", b'"x"', b"[1]", b"<html>", b"\xff\xfe", b"[" * 5000])
@pytest.mark.parametrize("count", [1, 3])
def test_what_is_no_answer_is_told_and_never_raises(body, count):
    reading = reading_of(body, count)
    assert (reading.responses, reading.whole) == ((None,) * count, None)
    assert reading.fault


def test_big_integers_and_the_payload_stay_as_they_were():
    body = (
        b' {"jsonrpc" : "2.0","id":1, "result":{"big":115792089237316195423570985008687907853269984665640564039457}}\n'
    )
    (found,) = reading_of(body, 1).responses
    assert found.payload == body.strip()
    assert bytes(found.result) == b'{"big":115792089237316195423570985008687907853269984665640564039457}'


def test_an_error_of_any_shape_is_read():
    def error_of(told):
        return said(json.dumps({"id": 1, "error": told}).encode()).error

    assert error_of({"code": 3, "message": "no", "data": {"a": [1]}}) == RpcError(3, "no", '{"a":[1]}')
    assert error_of({"code": "3"}) == RpcError(None, "")
    assert error_of("plain") == RpcError(None, "plain")
    assert str(error_of({"code": -1, "message": "x"})) == "-1 x"


def test_a_value_of_another_type_is_format_drift():
    answer = RpcAnswer(RpcCall("eth_blockNumber"), said(b'{"id":1,"result":17}').result, None, b"", "a", 0, 0, 1)
    with pytest.raises(FormatDrift, match="a: eth_blockNumber"):
        answer.value(str)


@pytest.mark.parametrize(
    ("method", "params", "block", "wide"),
    [
        ("eth_call", [{"to": "0x1"}, "0x10"], 16, None),
        ("eth_call", [{"to": "0x1"}], "latest", None),
        ("eth_call", [{"to": "0x1"}, {"blockHash": HASH, "requireCanonical": True}], HASH, None),
        ("eth_call", [{"to": "0x1"}, {"blockNumber": "0x10"}], 16, None),
        ("eth_getStorageAt", ["0x1", "0x0", "0x10"], 16, None),
        ("eth_getBlockByNumber", ["finalized", False], "finalized", None),
        ("eth_getBlockByHash", [HASH, False], HASH, None),
        ("eth_getBlockReceipts", [HASH], HASH, None),
        ("eth_getLogs", [{"fromBlock": "0x1", "toBlock": "0xa"}], 10, 10),
        ("eth_getLogs", [{"fromBlock": "0x1"}], "latest", None),
        ("eth_getLogs", [{"blockHash": HASH}], HASH, None),
        ("eth_blockNumber", [], None, None),
        ("eth_getTransactionReceipt", [HASH], None, None),
    ],
)
def test_the_block_of_a_call(method, params, block, wide):
    call = RpcCall(method, params)
    assert (block_of(call), blocks_wide(call)) == (block, wide)
    assert never_changes(call, 16) == (block == HASH or (isinstance(block, int) and block <= 16))
    assert never_changes(call, None) == (block == HASH)


def answer_of(call, result, **more):
    payload = b'{"id":7,"result":' + result + b"}"
    return RpcAnswer(call, said(payload).result, None, payload, "a", 5, 6, 1, **more)


def test_the_cache_believes_nothing_only_when_two_say_it(tmp_path):
    cache = RpcCache("ethereum", tmp_path)
    logs, block = RpcCall("eth_getLogs", [{"blockHash": HASH}]), RpcCall("eth_getBlockByHash", [HASH, False])
    cache.keep(answer_of(logs, b"[]"))
    cache.keep(answer_of(block, b"null"))
    assert (cache.find(logs), cache.find(block)) == (None, None)
    cache.keep(answer_of(logs, b"[]", agreed=("b",)))
    assert [found.agreed for found in (cache.find(logs, agree=2),) if found] == [("b",)]
    assert cache.find(logs, agree=3) is None


def test_the_cache_drops_what_was_not_used_and_ignores_damage(tmp_path):
    calls = [RpcCall("eth_call", [{"to": str(at)}, "0x1"]) for at in range(4)]
    memory = RpcCache("ethereum", most_bytes=3 * 1_018)
    for call in calls[:3]:
        memory.keep(answer_of(call, b'"' + b"x" * 998 + b'"'))
    assert memory.find(calls[0]) is not None
    memory.keep(answer_of(calls[3], b'"' + b"x" * 998 + b'"'))
    assert [memory.find(call) is not None for call in calls] == [True, False, True, True]
    assert memory.hits == 4
    kept = answer_of(calls[0], b'"0x1"')
    RpcCache("ethereum", tmp_path).keep(kept)
    assert RpcCache("ethereum", tmp_path).find(calls[0]) == kept
    assert RpcCache("polygon", tmp_path).find(calls[0]) is None
    (file,) = tmp_path.rglob("*.json")
    for damage in (b"", file.read_bytes()[:-3], file.read_bytes().replace(b"eth_call", b"eth_xall")):
        whole = file.read_bytes()
        file.write_bytes(damage)
        assert RpcCache("ethereum", tmp_path).find(calls[0]) is None
        file.write_bytes(whole)
