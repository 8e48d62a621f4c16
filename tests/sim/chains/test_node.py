"""What a simulated node answers: state at numbers, tags and hashes, Multicall3, logs, batches, errors, limits."""

import msgspec
import pytest

from tests.sim.chains.asking import fault, post
from tests.sim.chains.driving import REGISTRY, Driven
from tidelake.chains import multicall
from tidelake.chains.multicall import Call, decode_results, encode_calls
from tidelake.lending.erc20 import DECIMALS, SYMBOL
from tidelake.sim.chains.chain import SimChain
from tidelake.sim.chains.code import Reverted
from tidelake.sim.chains.limits import Limits, Meter
from tidelake.sim.chains.multicall import AGGREGATE3, parse_calls
from tidelake.sim.chains.node import SimNode

DRIVEN = Driven("compound_v3_eth_usdc")
NODE, CHAIN = DRIVEN.node, DRIVEN.chain
COMET = REGISTRY["compound_v3_eth_usdc"].contracts["comet"]
USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
TOTAL = {"to": COMET, "data": "0x18160ddd"}
MULTICALL = CHAIN.spec.multicall3


def test_state_is_asked_by_number_tag_and_hash():
    number = CHAIN.head
    by_number = NODE.ask("eth_call", TOTAL, hex(number))
    digest = NODE.ask("eth_getBlockByNumber", hex(number), False)["hash"]
    for at in ("latest", {"blockHash": digest}, {"blockHash": digest, "requireCanonical": True}):
        assert NODE.ask("eth_call", TOTAL, at) == by_number
    for tag, behind in (("safe", 32), ("finalized", 64)):
        assert NODE.ask("eth_getBlockByNumber", tag, False)["number"] == hex(number - behind)
        assert NODE.ask("eth_call", TOTAL, tag) == NODE.ask("eth_call", TOTAL, hex(number - behind)) != by_number


def test_block_and_state_beyond_the_head_are_not_there():
    assert NODE.ask("eth_getBlockByNumber", hex(CHAIN.head + 1), False) is None
    assert fault(NODE, "eth_call", TOTAL, hex(CHAIN.head + 1)).message == "header not found"
    assert fault(NODE, "eth_call", TOTAL, {"blockHash": "0x" + "77" * 32}).message == "header for hash not found"
    assert (
        "beyond current head"
        in fault(NODE, "eth_getLogs", {"fromBlock": "0x1", "toBlock": hex(CHAIN.head + 1)}).message
    )


def test_tag_that_a_chain_does_not_tell_is_no_block():
    assert "safe block not found" in fault(SimNode(SimChain("celo")), "eth_getBlockByNumber", "safe", False).message


def test_multicall_answers_from_its_first_block_on():
    calls = [
        Call(USDC, SYMBOL.encode()),
        Call(USDC, DECIMALS.encode()),
        Call(COMET, b"\1\2\3\4"),
        Call("0x" + "9" * 40, b""),
    ]
    asked = {"to": MULTICALL.address, "data": "0x" + encode_calls(calls).hex()}
    found = [NODE.ask("eth_call", asked, hex(MULTICALL.since_block + i)) for i in (-1, 0)]
    assert found[0] == "0x" != found[1]
    results = decode_results(bytes.fromhex(NODE.ask("eth_call", asked, "latest")[2:]), calls)
    assert [(one.success, len(one.data)) for one in results] == [(True, 96), (True, 32), (False, 0), (True, 0)]
    early = decode_results(bytes.fromhex(found[1][2:]), calls)
    assert [(one.success, len(one.data)) for one in early] == [(True, 96), (True, 32), (True, 0), (True, 0)]


def test_call_that_may_not_fail_makes_all_fail_with_a_reason():
    data = multicall.AGGREGATE3.encode([(COMET, False, b"\1\2\3\4")])
    error = fault(NODE, "eth_call", {"to": MULTICALL.address, "data": "0x" + data.hex()}, "latest")
    assert (error.code, error.message) == (3, "execution reverted")
    assert b"Multicall3: call failed" in bytes.fromhex(error.data[2:])


def test_calls_are_read_as_they_were_encoded():
    calls = [Call("0x" + f"{i:040x}", bytes(range(i))) for i in range(70)]
    data = encode_calls(calls)
    assert data[:4] == AGGREGATE3
    assert parse_calls(data[4:]) == [(call.to, True, call.data) for call in calls]
    with pytest.raises(ValueError, match=r"cut short|missing"):
        parse_calls(data[4:-40])


def test_call_that_a_contract_refuses_is_an_error_without_data():
    error = fault(NODE, "eth_call", {"to": COMET, "data": "0x01020304"}, "latest")
    assert (error.code, error.message, error.data) == (-32000, "execution reverted", None)
    assert NODE.ask("eth_call", {"to": "0x" + "9" * 40, "data": "0x01020304"}, "latest") == "0x"
    with pytest.raises(Reverted):
        CHAIN.codes.find(COMET, b"\1\2\3\4")(CHAIN.moment(CHAIN.head))


def test_logs_are_chosen_by_addresses_and_topics():
    first, last = CHAIN.clock.first_of(CHAIN.first_day), CHAIN.clock.first_of(CHAIN.first_day + 120)
    whole = {"fromBlock": hex(first), "toBlock": hex(last)}
    all_of_comet = NODE.ask("eth_getLogs", {**whole, "address": COMET})
    assert {log["address"] for log in all_of_comet} == {COMET.lower()}
    kinds = sorted({log["topics"][0] for log in all_of_comet})
    assert len(kinds) == 2
    one = NODE.ask("eth_getLogs", {**whole, "address": [COMET, "0x" + "9" * 40], "topics": [kinds[0]]})
    assert one == [log for log in all_of_comet if log["topics"][0] == kinds[0]] != []
    borrower = one[0]["topics"][2]
    his = NODE.ask("eth_getLogs", {**whole, "address": COMET, "topics": [kinds, None, [borrower]]})
    assert his == [log for log in all_of_comet if log["topics"][2] == borrower] != []
    assert NODE.ask("eth_getLogs", {**whole, "address": COMET, "topics": [None] * 4 + [kinds]}) == []


def test_logs_without_addresses_are_all_those_of_the_blocks():
    number = next(CHAIN.busy_blocks(CHAIN.clock.first_of(CHAIN.first_day), CHAIN.head))
    found = NODE.ask("eth_getLogs", {"fromBlock": hex(number - 20), "toBlock": hex(number)})
    held = [
        log
        for at in range(number - 20, number + 1)
        for receipt in NODE.ask("eth_getBlockReceipts", hex(at))
        for log in receipt["logs"]
    ]
    assert found == held != []


def test_logs_have_limits_of_range_and_number():
    node = SimNode(CHAIN, limits=Limits(log_blocks=1000, logs=3))
    asked = {"fromBlock": hex(CHAIN.head - 1000), "toBlock": hex(CHAIN.head), "address": COMET}
    assert (fault(node, "eth_getLogs", asked).message) == "query exceeds max block range 1000"
    few = SimNode(CHAIN, limits=Limits(logs=3))
    error = fault(few, "eth_getLogs", {**asked, "fromBlock": hex(CHAIN.head - 10**6)})
    assert (error.code, error.message[:39]) == (-32005, "query returned more than 3 results. Try")
    first, last = (int(end, 16) for end in error.message.split("[")[1].rstrip("].").split(", "))
    assert len(few.ask("eth_getLogs", {**asked, "fromBlock": hex(first), "toBlock": hex(last)})) <= 3


def test_batch_keeps_order_and_ids_and_its_size_is_limited():
    answer = post(NODE, ("eth_chainId", []), ("eth_nothing", []), ("eth_call", []))
    told = answer.json()
    assert [one["id"] for one in told] == [0, 1, 2]
    assert told[0]["result"] == "0x1"
    assert [one["error"]["code"] for one in told[1:]] == [-32601, -32602]
    assert post(NODE, ("eth_chainId", []), one=True).json()["result"] == "0x1"
    small = SimNode(CHAIN, limits=Limits(batch=2))
    assert small.respond(post_body(3)).json()["error"]["message"] == "batch limit 2 exceeded"
    assert len(small.respond(post_body(2)).json()) == 2
    assert NODE.respond(b"{").json()["error"]["code"] == -32700
    assert [one["error"]["code"] for one in NODE.respond(b"[5]").json()] == [-32600]
    assert NODE.respond(b"[]").json()["error"]["code"] == -32600


def post_body(count):
    return msgspec.json.encode(
        [{"jsonrpc": "2.0", "id": i, "method": "eth_chainId", "params": []} for i in range(count)]
    )


def test_rates_are_of_requests_and_of_units_and_tell_when_to_come_again():
    now = [100.0]
    meter = Meter(Limits(requests=2, units=100), clock=lambda: now[0])
    assert [meter.wait(["eth_call"]) for _ in range(2)] == [0, 0]
    assert meter.wait(["eth_call"]) == pytest.approx(0.5)
    now[0] += 0.5
    assert meter.wait(["eth_call"]) == 0
    now[0] += 10
    assert meter.wait(["eth_getLogs"]) == 0
    assert meter.wait(["eth_getLogs"]) == pytest.approx(0.2)
    assert (meter.requests, meter.calls, meter.units) == (6, 6, 4 * 26 + 120)


def test_request_of_more_units_than_a_second_has_is_taken_when_none_are_owed():
    now = [0.0]
    meter = Meter(Limits(units=100), clock=lambda: now[0])
    assert meter.wait(["eth_call"] * 10) == 0
    assert meter.wait(["eth_call"]) == pytest.approx(1.86)


def test_refused_request_is_a_429_with_retry_after():
    node = SimNode(CHAIN, limits=Limits(requests=1))
    assert post(node, ("eth_chainId", [])).status == 200
    refused = post(node, ("eth_chainId", []))
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert refused.json()["error"]["code"] == 429
