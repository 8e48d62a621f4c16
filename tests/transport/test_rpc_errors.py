"""The words of nodes and providers, as they are documented or were seen, and what they mean here."""

import re

import pytest

from tidelake.transport.rpc_calls import RpcCall, RpcError
from tidelake.transport.rpc_errors import TEXTS, meaning_of, speaks_of_size, widest_range

CALL = RpcCall("eth_call", [{}, "0x10"])
LOGS = RpcCall("eth_getLogs", [{"fromBlock": "0x0", "toBlock": "0xffff"}])
SEEN = [
    (3, "execution reverted: Daily limit exceeded", "answer", None),
    (-32015, "VM execution error.", "answer", None),
    (-32000, "invalid opcode: INVALID", "answer", None),
    (-32007, "Slot 9 was skipped, or missing due to ledger jump to recent snapshot", "answer", None),
    (-32009, "Slot 9 was skipped, or missing in long-term storage", "answer", None),
    (-32004, "Block not available for slot 9", "answer", None),
    (-32014, "Block status not yet available for slot 9", "answer", None),
    (-32600, "batch too large", "batch", None),
    (-32000, "batch limit 100 exceeded: 142 requests given", "batch", None),
    (-32010, "The batch request was too large", "batch", None),
    (-32600, "Batch size exceeds the limit allowed by your plan", "batch", None),
    (-32005, "query returned more than 10000 results. Try with this block range [0xBDE5F8, 0xBDE5FA].", "results", 3),
    (
        -32602,
        (
            "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on "
            "the response size, or you can request any block range with a cap of 10K logs in the response. Based on "
            "your parameters and the response size limit, this block range should work: [0x0, 0xd043b8]"
        ),
        "results",
        0xD043B9,
    ),
    (-32602, "query exceeds max results 20000, retry with the range 23879634-23879696", "results", 63),
    (-32000, "query returns too many logs, narrow your filter: 20000", "results", None),
    (-32000, "logs matched by query exceeds limit of 10000", "results", None),
    (-32003, "response too large", "results", None),
    (-32000, "Response is too big", "results", None),
    (-32000, "response size should not greater than 10000000 bytes", "results", None),
    (-32002, "request timed out", "results", None),
    (-32000, "query timeout exceeded", "results", None),
    (-32614, "eth_getLogs is limited to a 10,000 range", "range", 10_000),
    (-32602, "eth_getLogs is limited to 0 - 50 blocks range", "range", 50),
    (-32602, "eth_getLogs is limited to 1024 block range. Please check the parameter requirements", "range", 1024),
    (
        -32600,
        (
            "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range. Based on "
            "your parameters, this block range should work: [0x1180fca, 0x1180fd3]. Upgrade to PAYG."
        ),
        "range",
        10,
    ),
    (-32602, "query exceeds max block range 100000", "range", 100_000),
    (-32000, "query block range exceeds server limit, narrow your filter: 1000", "range", 1_000),
    (-32005, "block range too large, max range: 500", "range", 500),
    (-32602, "block range greater than 10000 max", "range", 10_000),
    (-32000, "block range is larger than max block range, block range = 5120, max block range = 5000", "range", 5_000),
    (-32000, "block range is bigger than maxBlockRange", "range", None),
    (-32701, "exceed maximum block range: 50000", "range", 50_000),
    (-32602, "range 1000000 exceeds limit of 10000", "range", 10_000),
    (35, "ranges over 10000 blocks are not supported on freetier", "range", 10_000),
    (-32603, "eth_getLogs range is too large, max is 1k blocks", "range", 1_000),
    (-32047, "Invalid eth_getLogs request. 'fromBlock'-'toBlock' range too large. Max range: 800", "range", 800),
    (-32000, "block range is too wide (maximum 1024)", "range", 1_024),
    (-32000, "requested too many blocks from 0 to 65535, maximum is set to 2048", "range", 2_048),
    (-32005, "Maximum allowed number of requested blocks is 1000", "range", 1_000),
    (-32600, "requested block range exceeds the range allowed for your plan (65536 > 500)", "range", 500),
    (-32000, "please limit the query to at most 1,000 blocks", "range", 1_000),
    (-32600, "block range is too wide", "range", None),
    (-32600, "Block range limit exceeded.", "range", None),
    (-32005, "daily request count exceeded, request rate limited", "spent", None),
    (402, "Payment Required", "spent", None),
    (429, "Your app has exceeded its compute units per second capacity.", "busy", None),
    (-32007, "50/second request limit reached - reduce calls per second or upgrade your account", "busy", None),
    (-32000, "project ID request rate exceeded", "busy", None),
    (-32000, "missing trie node ef7df5d88c (path ) state 0xef7d is not available, not found", "pruned", None),
    (-32000, "required historical state unavailable (reexec=128)", "pruned", None),
    (4444, "pruned history unavailable", "pruned", None),
    (-32000, "old data not available due to pruning", "pruned", None),
    (-32000, "seek with txNum=19 but data before txNum=26 is not available", "pruned", None),
    (-32002, "No state available for block 0x10", "pruned", None),
    (-32001, "Receipt not available for 'From' block '11052984'.", "pruned", None),
    (-32000, "distance to target block exceeds maximum proof window", "pruned", None),
    (-32002, "project ID does not have access to archive state", "pruned", None),
    (-32000, "header not found", "behind", None),
    (-32000, "header for hash not found", "behind", None),
    (-32001, "block not found: 0x10", "behind", None),
    (-32000, "unknown block number", "behind", None),
    (-32602, "block range extends beyond current head block", "behind", None),
    (-32000, "requested block range [4096, 8192] is beyond latest executed block 4000", "behind", None),
    (-32602, "BlockOutOfRangeError: block height is 0 but requested was 100", "behind", None),
    (-32000, "cannot query unfinalized data", "behind", None),
    (-32011, "no backend is currently healthy to serve traffic", "failed", None),
    (None, "upstream connect error or disconnect/reset before headers", "failed", None),
    (-32000, "context deadline exceeded", "failed", None),
]


@pytest.mark.parametrize(("code", "text", "meaning", "widest"), SEEN, ids=[text[:40] for _, text, _, _ in SEEN])
def test_words_mean_what_is_documented(code, text, meaning, widest):
    error = RpcError(code, text)
    assert meaning_of(error, LOGS) == meaning
    if meaning in ("results", "range"):
        assert widest_range(error) == widest
        assert meaning_of(error, CALL) not in ("results", "range"), "of a call they say nothing"
    assert speaks_of_size(error) == (meaning in ("batch", "results"))


def test_every_text_of_the_table_decides_for_words_that_were_seen():
    """A row that an earlier one always forestalls would be dead."""
    deciding = {
        next(row.text for row in TEXTS if re.search(row.text, text, re.IGNORECASE))
        for _, text, _, _ in [*SEEN, (0, "range 9009594 is bigger than range limit 2000", "", None)]
        if any(re.search(row.text, text, re.IGNORECASE) for row in TEXTS)
    }
    assert {row.text for row in TEXTS} - deciding == set()


def test_words_may_stand_in_the_data():
    error = RpcError(-32602, "invalid params", '{"payload":"range 9009594 is bigger than range limit 2000"}')
    assert (meaning_of(error, LOGS), widest_range(error)) == ("range", 2_000)


def test_unknown_words_about_many_blocks_may_be_of_its_size_and_else_are_asked_elsewhere():
    error = RpcError(-32602, "nobody wrote this down")
    assert (meaning_of(error, LOGS), meaning_of(error, CALL)) == ("results", "answer")
    narrow = RpcCall("eth_getLogs", [{"fromBlock": "0x1", "toBlock": "0x1"}])
    assert meaning_of(RpcError(-32000, "who knows"), narrow) == "elsewhere"
    assert meaning_of(RpcError(-32601, "no such method"), LOGS) == "elsewhere"
    assert meaning_of(RpcError(-32005, "limit exceeded"), CALL) == "busy"
