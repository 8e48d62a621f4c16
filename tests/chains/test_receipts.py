"""Receipts proven by their root: a log changed, left out, added or moved is found; nothing is believed for nothing."""

import copy

import pytest

from tests.chains.generated import (
    NOBODY,
    ZERO,
    address,
    block,
    bloom_text,
    digest,
    header,
    log_json,
    receipt_json,
    receipts,
    three_receipts,
)
from tests.chains.vectors import OP_DEPOSIT, OP_STACK
from tidelake.chains.logs import LogFilter
from tidelake.chains.proof import Proof
from tidelake.chains.receipts import parse_receipts, prove_no_logs, prove_receipts, root_of_receipts
from tidelake.chains.registry import chain
from tidelake.errors import FormatDrift

ETHEREUM, POLYGON, SONIC = chain("ethereum"), chain("polygon"), chain("sonic")


def prove(head, told, on=ETHEREUM):
    return prove_receipts(on, head, receipts(told))


def test_whole_block_is_proven_on_every_chain():
    head, told = block(three_receipts())
    for on in (ETHEREUM, POLYGON, SONIC):
        assert prove(head, told, on).state == "proven"
    assert prove(head, list(reversed(told))).state == "proven"


def changed_data(told):
    told[0]["logs"][0]["data"] = "0x02"


def changed_topic(told):
    told[2]["logs"][0]["topics"][1] = digest("topic", "c")
    told[2]["logsBloom"] = bloom_text(told[2]["logs"])


def changed_bloom(told):
    told[1]["logsBloom"] = told[0]["logsBloom"]


def changed_address(told):
    told[0]["logs"][0]["address"] = address("thief")
    told[0]["logsBloom"] = bloom_text(told[0]["logs"])


def changed_status(told):
    told[1]["status"] = "0x1"


def omitted_log(told):
    del told[0]["logs"][1]
    told[2]["logs"][0]["logIndex"] = "0x1"
    told[0]["logsBloom"] = bloom_text(told[0]["logs"])


def omitted_receipt(told):
    del told[1]
    told[1]["transactionIndex"] = "0x1"
    told[1]["logs"][0]["transactionIndex"] = "0x1"


def added_log(told):
    told[1]["logs"] = [{**log_json(told[1]["transactionHash"], 1, index=2), "blockHash": told[1]["blockHash"]}]
    told[2]["logs"][0]["logIndex"] = "0x3"
    told[1]["logsBloom"] = bloom_text(told[1]["logs"])


def other_log_index(told):
    told[2]["logs"][0]["logIndex"] = "0x5"


def other_transaction(told):
    for one in (told[2], told[2]["logs"][0]):
        one["transactionHash"] = digest("tx", 9)


def other_block_number(told):
    told[2]["logs"][0]["blockNumber"] = "0x8"


def other_block(told):
    for one in (told[1], *told[1]["logs"]):
        one["blockHash"] = ZERO


def everything_left_out(told):
    told.clear()


@pytest.mark.parametrize(
    "damage",
    [
        changed_data,
        changed_topic,
        changed_bloom,
        changed_address,
        changed_status,
        omitted_log,
        omitted_receipt,
        added_log,
        other_log_index,
        other_transaction,
        other_block_number,
        other_block,
        everything_left_out,
    ],
)
def test_every_damage_is_found(damage):
    head, told = block(three_receipts())
    damage(told)
    assert prove(head, told).state == "differs"
    assert prove(head, told, SONIC).state == "unprovable"


def test_empty_block_is_proven_where_headers_hold_roots_and_nowhere_else():
    head, told = block([])
    assert prove(head, told).state == "proven"
    assert prove(head, told, SONIC).state == "unprovable"


def test_state_sync_outside_the_root_is_named_and_the_rest_is_proven():
    sync = digest("tx", 3)
    system = receipt_json(3, [log_json(sync, 3, index=3)], type="0x0", **{"from": NOBODY, "to": NOBODY})
    head, told = block([*three_receipts(), system], outside=1)
    assert prove(head, told, POLYGON) == Proof("proven", "receipts root", (sync,))
    assert prove(head, told, ETHEREUM).state == "differs"
    changed_data(told)
    assert prove(head, told, POLYGON).state == "differs"


def test_state_sync_within_the_root_is_proven_with_it():
    system = receipt_json(3, [], type="0x0", **{"from": NOBODY, "to": NOBODY})
    head, told = block([*three_receipts(), system])
    assert prove(head, told, POLYGON).outside == ()
    assert prove(head, told, POLYGON).state == "proven"


def test_deposit_of_the_op_stack_holds_nonce_and_version():
    head = header(OP_STACK)
    assert prove(head, [OP_DEPOSIT], chain("base")).state == "proven"
    assert prove(head, [{**OP_DEPOSIT, "depositNonce": "0x112"}], chain("base")).state == "differs"
    assert prove(head, [{key: OP_DEPOSIT[key] for key in OP_DEPOSIT if "deposit" not in key}]).state == "differs"


def test_receipt_before_byzantium_holds_a_state_root():
    told = receipt_json(0, [], type="0x0", root=digest("state"))
    with_root = root_of_receipts(receipts([told]))
    assert with_root != root_of_receipts(receipts([{**told, "root": None}]))
    assert with_root == root_of_receipts(receipts([{key: told[key] for key in told if key != "type"}]))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("status",), "0x2"),
        (("status",), None),
        (("type",), "0x80"),
        (("cumulativeGasUsed",), 5),
        (("logsBloom",), "0x00"),
        (("logs",), None),
        (("logs", 0, "transactionHash"), ZERO),
        (("logs", 0, "blockHash"), digest("x")),
        (("logs", 0, "topics"), [ZERO] * 5),
        (("logs", 0, "data"), "0x1"),
        (("logs", 0, "removed"), "no"),
    ],
)
def test_receipt_not_of_its_form_is_refused(path, value):
    told = copy.deepcopy(three_receipts()[0])
    *way, last = path
    node = told
    for step in way:
        node = node[step]
    node[last] = value
    with pytest.raises(FormatDrift):
        receipts([told])


@pytest.mark.parametrize("answer", [b"", b"{}", b"[5]", b'["\xff"]', b'[{"logs": 5}]'])
def test_answer_that_is_no_list_of_receipts_is_refused(answer):
    with pytest.raises(FormatDrift):
        parse_receipts("ethereum", answer)


def test_node_without_the_block_says_null():
    assert parse_receipts("ethereum", b"null") is None


def test_bloom_alone_proves_that_nothing_asked_for_was_logged():
    head, _ = block(three_receipts())
    absent = LogFilter((address("nobody here"),))
    present = LogFilter((address("pool"),), (digest("topic", "a"),))
    assert prove_no_logs(ETHEREUM, head, absent).state == "proven"
    assert prove_no_logs(ETHEREUM, head, LogFilter((), (digest("topic", "z"),))).state == "proven"
    assert prove_no_logs(ETHEREUM, head, present).state == "unprovable"
    assert prove_no_logs(ETHEREUM, head, LogFilter()).state == "unprovable"
    assert prove_no_logs(POLYGON, head, absent).state == "unprovable"
    assert prove_no_logs(SONIC, head, absent).state == "unprovable"
    empty, _ = block([])
    assert prove_no_logs(ETHEREUM, empty, LogFilter()).state == "proven"
