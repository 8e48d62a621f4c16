"""Logs as facts, what a filter asks for, and how two lists of them differ."""

import dataclasses
import json

import pytest

from tests.chains.generated import address, digest, log_json
from tidelake.chains.logs import LogFilter, compare_logs, log_of, parse_logs
from tidelake.errors import FormatDrift

TX = digest("tx", 0)


def fact(**others):
    return log_of("ethereum", log_json(TX, 0, **{"index": 0, **others}))


def test_log_is_read_as_a_fact_in_small_letters():
    told = log_json(TX, 0, index=4, data="0xAB")
    told["address"] = "0x" + told["address"][2:].upper()
    found = parse_logs("ethereum", json.dumps([told]).encode())
    assert found == [fact(index=4, data="0xab")]
    assert found[0].key == ("ethereum", found[0].block_hash, TX, 4)


def test_log_told_twice_is_refused():
    told = log_json(TX, 0, index=4)
    with pytest.raises(FormatDrift, match="told twice"):
        parse_logs("ethereum", json.dumps([told, told]).encode())


@pytest.mark.parametrize("name", ["blockNumber", "blockHash", "transactionHash", "transactionIndex", "logIndex"])
def test_pending_log_is_refused(name):
    with pytest.raises(FormatDrift, match=name):
        parse_logs("ethereum", json.dumps([{**log_json(TX, 0, index=0), name: None}]).encode())


@pytest.mark.parametrize("answer", [b"", b"null", b"{}", b"[5]", b'"0x"', b'["\xff"]'])
def test_answer_that_is_no_list_of_logs_is_refused(answer):
    with pytest.raises(FormatDrift):
        parse_logs("ethereum", answer)


def topic(name):
    return digest("topic", name)


@pytest.mark.parametrize(
    ("asked", "matches"),
    [
        (LogFilter(), True),
        (LogFilter((address("pool"),)), True),
        (LogFilter(("0x" + address("pool")[2:].upper(), address("x"))), True),
        (LogFilter((address("x"),)), False),
        (LogFilter((), (topic("a"),)), True),
        (LogFilter((), (topic("b"),)), False),
        (LogFilter((), (None, topic("b"))), True),
        (LogFilter((), (None, topic("a"))), False),
        (LogFilter((), ((topic("x"), topic("a")), (topic("b"),))), True),
        (LogFilter((), (topic("a"), topic("b"), None)), False),
    ],
)
def test_filter_asks_by_address_and_by_topic_at_its_place(asked, matches):
    assert asked.matches(fact(topics=("a", "b"))) is matches


def test_filter_is_written_as_nodes_want_it():
    asked = LogFilter((address("pool"),), (topic("a"), None, (topic("b"), topic("c"))))
    assert asked.parameters(16, 255) == {
        "fromBlock": "0x10",
        "toBlock": "0xff",
        "address": [address("pool")],
        "topics": [topic("a"), None, [topic("b"), topic("c")]],
    }
    digest = "0x" + "12" * 32
    assert asked.of_block(digest) == {
        "blockHash": digest,
        "address": [address("pool")],
        "topics": [topic("a"), None, [topic("b"), topic("c")]],
    }
    assert LogFilter().parameters(0, 0) == {"fromBlock": "0x0", "toBlock": "0x0"}


def test_difference_names_missing_unexpected_and_changed_logs():
    logs = [fact(index=index) for index in range(4)]
    assert not compare_logs(logs, logs)
    assert compare_logs([], []) == compare_logs(logs, reversed(logs))
    changed = dataclasses.replace(logs[2], data="0x02")
    found = compare_logs([logs[0], changed, logs[3]], logs[:3])
    assert found
    assert found.missing == (logs[1], logs[2])
    assert found.unexpected == (changed, logs[3])
