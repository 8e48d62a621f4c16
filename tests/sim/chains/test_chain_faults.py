"""Faults of simulated nodes do what the plan says, and nothing else."""

import datetime as dt
import json

import pytest

from tests.sim.chains.asking import fault, post
from tests.sim.chains.driving import REGISTRY, Driven
from tidelake.errors import ConfigError
from tidelake.sim.chains.faults import ChainFaults
from tidelake.sim.chains.node import SimNode
from tidelake.sim.chains.rpc_errors import RpcFault

DRIVEN = Driven("aave_v3_gnosis")
CHAIN, GOOD = DRIVEN.chain, DRIVEN.node
POOL = REGISTRY["aave_v3_gnosis"].contracts["pool"]
LIST = {"to": POOL, "data": "0xd1946dbc"}
FIRST = CHAIN.clock.first_of(CHAIN.first_day)
LOGS = {"fromBlock": hex(FIRST), "toBlock": hex(CHAIN.head), "address": POOL}


def node(plan, seed=1):
    return SimNode(CHAIN, ChainFaults.parse(plan, seed))


def test_lagging_node_knows_nothing_of_the_newest_blocks():
    lagging = node("lag:50")
    assert lagging.ask("eth_blockNumber") == hex(CHAIN.head - 50)
    assert lagging.ask("eth_getBlockByNumber", hex(CHAIN.head - 49), False) is None
    assert fault(lagging, "eth_call", LIST, hex(CHAIN.head - 49)).message == "header not found"
    digest = GOOD.ask("eth_getBlockByNumber", hex(CHAIN.head), False)["hash"]
    assert lagging.ask("eth_getBlockByHash", digest, False) is None
    at = hex(CHAIN.head - 50)
    assert lagging.ask("eth_call", LIST, "latest") == GOOD.ask("eth_call", LIST, at)


def test_pruned_node_has_headers_and_no_old_state():
    pruned, old, new = node("pruned:128"), hex(CHAIN.head - 129), hex(CHAIN.head - 128)
    assert "missing trie node" in fault(pruned, "eth_call", LIST, old).message
    assert "missing trie node" in fault(pruned, "eth_getCode", POOL, old).message
    assert pruned.ask("eth_call", LIST, new) == GOOD.ask("eth_call", LIST, new)
    assert pruned.ask("eth_getBlockByNumber", old, False) == GOOD.ask("eth_getBlockByNumber", old, False)
    assert "pruned" in fault(pruned, "eth_getLogs", LOGS).message


def test_pruned_node_that_does_not_say_so_answers_nothing():
    pruned, old = node("pruned-empty:128"), hex(CHAIN.head - 129)
    assert pruned.ask("eth_call", LIST, old) == "0x" != GOOD.ask("eth_call", LIST, old)
    assert pruned.ask("eth_getLogs", LOGS) == [] != GOOD.ask("eth_getLogs", LOGS)
    assert pruned.ask("eth_getBlockReceipts", old) == []


def test_node_of_another_chain_says_so():
    assert node("wrong-chain:56").ask("eth_chainId") == "0x38" != GOOD.ask("eth_chainId")


def test_node_fails_for_a_day_and_for_no_other():
    day = dt.date(2025, 3, 4)
    down = node("down:2025-03-04")
    ends = [CHAIN.last_of(day + dt.timedelta(i)) for i in (-1, 0, 1)]
    assert [works(down, number) for number in ends] == [True, False, True]
    assert fault(down, "eth_getLogs", LOGS).code == -32603
    assert fault(down, "eth_getBlockByNumber", hex(ends[1]), False).code == -32603
    after = {**LOGS, "fromBlock": hex(ends[1] + 1)}
    assert down.ask("eth_getLogs", after) == GOOD.ask("eth_getLogs", after)


def works(found, number):
    try:
        return found.ask("eth_call", LIST, hex(number)) == GOOD.ask("eth_call", LIST, hex(number))
    except RpcFault:
        return False


def test_logs_are_left_out_cut_and_changed_at_exactly_these_calls():
    whole = GOOD.ask("eth_getLogs", LOGS)
    assert len(whole) > 20
    bad = node("empty-logs:#1,truncated-logs:#2,changed-logs:#3")
    empty, cut, changed, good = (bad.ask("eth_getLogs", LOGS) for _ in range(4))
    assert (empty, cut, good) == ([], whole[: len(whole) // 2], whole)
    assert changed[1:] == whole[1:]
    differing = {name for name in whole[0] if whole[0][name] != changed[0][name]}
    assert differing == {"data"}
    assert [(done.kind, done.number, done.method) for done in bad.done] == [
        ("empty-logs", 1, "eth_getLogs"),
        ("truncated-logs", 2, "eth_getLogs"),
        ("changed-logs", 3, "eth_getLogs"),
    ]


def test_requests_fail_as_planned():
    bad = node("429:#1=7,429-bare:#2,5xx:#3,html:#4,torn:#5,slow:#6=2")
    found = [post(bad, ("eth_chainId", [])) for _ in range(7)]
    assert [answer.status for answer in found[:2]] == [429, 429]
    assert found[0].headers["retry-after"] == "7"
    assert "retry-after" not in found[1].headers
    assert found[2].status in (500, 502, 503, 504)
    assert (found[3].status, found[3].body[:6]) == (200, b"<html>")
    assert found[4].cut_at == len(found[4].body) // 2
    assert [answer.delay_s for answer in found] == [0, 0, 0, 0, 0, 2, 0]
    assert json.loads(found[6].body) == json.loads(post(GOOD, ("eth_chainId", [])).body)
    assert [done.number for done in bad.done] == [1, 2, 3, 4, 5, 6]


def test_same_seed_meets_the_same_faults_in_any_order():
    def hit(seed, order):
        bad = node("5xx:0.3", seed)
        return {i: post(bad, ("eth_getBlockByNumber", [hex(i), False])).status >= 500 for i in order}

    assert hit(3, range(1, 80)) == hit(3, reversed(range(1, 80)))
    assert hit(3, range(1, 80)) != hit(4, range(1, 80))
    assert 10 < sum(hit(3, range(1, 80)).values()) < 40


@pytest.mark.parametrize("text", ["lost:0.1", "429:2", "lag:x", "down:2025-13-01", "orphan:"])
def test_plan_that_is_not_understood_is_refused(text):
    with pytest.raises(ConfigError, match="not understood"):
        ChainFaults.parse(text)
