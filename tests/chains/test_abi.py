"""Calls, answers and logs by declared types; what is not exactly of them is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from tests.recorded.independent_reader import DATA
from tidelake.chains.abi import Parameter, event, function, split_types
from tidelake.chains.keccak import keccak
from tidelake.chains.multicall import AGGREGATE3, Call, CallResult, decode_results, encode_calls
from tidelake.errors import FormatDrift

WORD = 64  # digits
USER = "0x" + 19 * "ab" + "cd"
ABI = DATA / "lending" / "abi.json"
TRANSFER = event("event Transfer(address indexed from, address indexed to, uint256 value)")
BALANCE_OF = function("balanceOf(address)", "uint256")


def word(number):
    return f"{number:064x}"


def declared(node, found):
    """Every function and event in the fact file, wherever it stands."""
    if isinstance(node, dict):
        if {"signature", "name"} <= node.keys() and ("selector" in node or "topic0" in node):
            found.append(node)
        for below in node.values():
            declared(below, found)
    elif isinstance(node, list):
        for below in node:
            declared(below, found)
    return found


@pytest.fixture(scope="module")
def facts():
    if not ABI.is_file():
        pytest.skip("needs the facts in ../shared/data/lending/abi.json")
    return declared(json.loads(Path(ABI).read_text()), [])


def test_every_selector_and_topic_of_the_facts_is_reproduced(facts):
    functions = [fact for fact in facts if "selector" in fact]
    events = [fact for fact in facts if "topic0" in fact]
    assert len(functions) > 60
    assert len(events) > 60
    for fact in functions:
        found = function(fact["signature"], ",".join(output["type"] for output in fact.get("outputs", [])))
        assert (found.signature, "0x" + found.selector.hex()) == (fact["signature"], fact["selector"])
    for fact in events:
        assert "0x" + keccak(fact["signature"].encode()).hex() == fact["topic0"]


def test_every_event_of_the_facts_is_read_from_its_declaration(facts):
    read = [fact for fact in facts if "decl" in fact and "inputs" in fact]
    assert len(read) > 50
    for fact in read:
        found = event(fact["decl"])
        assert (found.signature, found.topic0) == (fact["signature"], fact["topic0"])
        told = [(given["name"], given["type"], given.get("indexed", False)) for given in fact["inputs"]]
        assert [(one.name, one.type, one.indexed) for one in found.parameters] == told


def test_call_is_selector_and_words():
    assert BALANCE_OF.encode(USER).hex() == "70a08231" + 24 * "0" + USER[2:]
    assert BALANCE_OF.decode(bytes.fromhex(word(5))) == (5,)


@pytest.mark.parametrize("wrong", [(), (USER, 1), ("0x12",), (5,)])
def test_arguments_of_other_types_are_refused(wrong):
    with pytest.raises(ValueError, match="balanceOf"):
        BALANCE_OF.encode(*wrong)


@given(st.integers(0, 2**256 - 1), st.integers(-(2**127), 2**127 - 1), st.booleans(), st.binary(max_size=70))
def test_values_of_every_size_come_back(big, small, flag, data):
    echo = function("echo(uint256,int128,bool,bytes)", "uint256,int128,bool,bytes")
    assert echo.decode(echo.encode(big, small, flag, data)[4:]) == (big, small, flag, data)


@pytest.mark.parametrize(
    ("returns", "answer", "says"),
    [
        ("uint256", "", "no contract"),
        ("uint256", word(5)[:-2], "31 octets, expected 32"),
        ("uint256", word(5) + word(6), "64 octets, expected 32"),
        ("uint8", word(256), "not"),
        ("bool", word(2), "not"),
        ("address", "01" + word(1)[2:], "not"),
        ("(uint256,uint256)[2]", 3 * word(1), "96 octets, expected 128"),
        ("bytes", word(32) + word(2) + "ffff" + 58 * "0", "not"),
        ("bytes", word(32) + word(2) + "ffff" + 60 * "0" + word(0), "no encoder"),
        ("bytes", word(64) + word(0) + word(0), "no encoder"),
        ("bytes", word(2**200) + word(0), "not"),
        ("string", word(32) + word(1) + "ff" + 62 * "0", "not"),
        ("uint256[]", word(32) + word(2**64) + word(1), "not"),
    ],
)
def test_answers_that_are_not_exactly_of_the_types_are_refused(returns, answer, says):
    with pytest.raises(FormatDrift, match=says):
        function("asked()", returns).decode(bytes.fromhex(answer))


def test_function_that_returns_nothing_takes_an_empty_answer():
    assert function("touch()").decode(b"") == ()


def test_log_gives_its_values_in_the_order_of_declaration():
    mixed = event("event Mixed(uint256 amount, address indexed who, (uint64,bytes2)[2] pairs, int256 indexed change)")
    topics = [mixed.topic0, "0x" + 24 * "0" + USER[2:], "0x" + 64 * "f"]
    pairs = word(1) + "abcd" + 60 * "0" + word(2) + "ffff" + 60 * "0"
    assert mixed.decode(topics, "0x" + word(7) + pairs) == {
        "amount": 7,
        "who": USER,
        "pairs": ((1, b"\xab\xcd"), (2, b"\xff\xff")),
        "change": -1,
    }


def test_indexed_value_without_fixed_length_is_its_hash():
    named = event("event Named(string indexed name, uint256[2] indexed pair)")
    topics = [named.topic0, "0x" + keccak(b"x").hex(), "0x" + 64 * "1"]
    assert named.decode(topics, "0x") == {"name": keccak(b"x"), "pair": bytes.fromhex(64 * "1")}


@pytest.mark.parametrize(
    ("topics", "data"),
    [
        ([], "0x" + word(1)),
        (["0x" + 64 * "0", "0x" + word(1), "0x" + word(2)], "0x" + word(1)),
        ([TRANSFER.topic0, "0x" + word(1)], "0x" + word(1)),
        ([TRANSFER.topic0, "0x" + word(1), "0x" + word(2), "0x" + word(3)], "0x"),
        ([TRANSFER.topic0, "0x" + word(1), "0x" + word(2)], "0x"),
        ([TRANSFER.topic0, "0x" + word(1), "0x" + word(2)], "0x" + word(1) + "00"),
        ([TRANSFER.topic0, "0x" + word(1), "0x01" + word(2)[2:]], "0x" + word(1)),
        ([TRANSFER.topic0, "0x" + word(1), "0x02"], "0x" + word(1)),
    ],
)
def test_log_of_another_event_or_form_is_refused(topics, data):
    with pytest.raises(FormatDrift, match=r"Transfer\(address,address,uint256\)"):
        TRANSFER.decode(topics, data)


@pytest.mark.parametrize("wrong", ["", "Transfer", "f(uint256", "f(uint256,)", "f(,)", "f((uint256)", "f(uint256))"])
def test_what_is_no_declaration_is_refused(wrong):
    with pytest.raises(ValueError):
        function(wrong)


@pytest.mark.parametrize("wrong", ["event E(uint256)", "event E(uint256 a, uint256 a)", "event E(uint256 indexed)"])
def test_events_want_a_name_for_each_value(wrong):
    with pytest.raises(ValueError, match="name of its own"):
        event(wrong)


def test_types_are_split_outside_parentheses_alone():
    assert split_types("bool, (bytes,(int8,bool)[])[] x ,string") == ["bool", "(bytes,(int8,bool)[])[] x", "string"]
    assert split_types("") == []
    pairs, one = event("E((address, bool)[] indexed pairs, (bytes32) one)").parameters
    assert pairs == Parameter("pairs", "(address,bool)[]", True)
    assert one == Parameter("one", "(bytes32)", False)


def test_aggregate3_is_known_by_its_selector():
    assert AGGREGATE3.selector.hex() == "82ad56cb"


def test_calls_go_out_and_results_come_back_in_order():
    calls = [Call(USER, b"\x01\x02"), Call("0x" + 40 * "1", b"")]
    sent = encode_calls(calls)
    (asked,) = function("aggregate3((address,bool,bytes)[])", "(address,bool,bytes)[]").decode(sent[4:])
    assert asked == ((USER, True, b"\x01\x02"), ("0x" + 40 * "1", True, b""))
    answer = function("results((bool,bytes)[])").encode([(True, b"\x05"), (False, b"")])[4:]
    assert decode_results(answer, calls) == [CallResult(True, b"\x05"), CallResult(False, b"")]
    with pytest.raises(FormatDrift, match="2 results to 1 calls"):
        decode_results(answer, calls[:1])
    with pytest.raises(FormatDrift, match="no contract"):
        decode_results(b"", calls)
