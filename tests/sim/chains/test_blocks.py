"""Headers and receipts of the simulated chains prove by what the product makes of them, and link."""

import datetime as dt
import json

import pytest

from tests.chains.ancestry import check_links
from tests.sim.chains.asking import header
from tidelake.chains.headers import prove_header
from tidelake.chains.logs import LogFilter, parse_logs
from tidelake.chains.receipts import parse_receipts, prove_no_logs, prove_receipts
from tidelake.sim.chains.blocks import STRETCH
from tidelake.sim.chains.chain import SimChain
from tidelake.sim.chains.node import SimNode

NAMES = ("ethereum", "arbitrum", "polygon", "base")
NODES = {name: SimNode(SimChain(name)) for name in NAMES}


def receipts(node, number):
    answer = node.answer("eth_getBlockReceipts", [hex(number)])
    return parse_receipts(node.view.chain.spec.name, answer)


def busy(chain, every):
    return list(chain.busy_blocks(chain.clock.first_of(chain.first_day), chain.head))[::every]


@pytest.mark.parametrize("name", NAMES)
def test_last_blocks_of_days_and_hours_and_blocks_with_liquidations_prove(name):
    node = NODES[name]
    chain = node.view.chain
    ends = [chain.last_of(dt.date(2025, 1, 1) + dt.timedelta(i)) for i in range(0, 365, 9)]
    ends += [chain.clock.at((chain.first_day + 40) * 86_400 + 3_600 * hour - 1) for hour in range(24)]
    for number in [*ends, *busy(chain, 60)]:
        found = header(node, number)
        assert prove_header(chain.spec, found).state == "proven"
        assert prove_receipts(chain.spec, found, receipts(node, number)).state == "proven"


@pytest.mark.parametrize("name", NAMES)
def test_blocks_link_and_only_the_beginnings_of_stretches_do_not_prove(name):
    node = NODES[name]
    chain = node.view.chain
    last = chain.last_of(dt.date(2025, 6, 1))
    run = [header(node, number) for number in range(last - 60, last + 60)]
    check_links(run)
    states = {found.number: prove_header(chain.spec, found).state for found in run}
    assert set(states.values()) == {"proven", "unprovable"}
    assert all((state == "unprovable") <= (number % STRETCH == 0) for number, state in states.items())


def test_logs_of_answers_are_those_of_receipts():
    node = NODES["ethereum"]
    for number in busy(node.view.chain, 200):
        held = [log for receipt in receipts(node, number) for log in receipt.logs]
        asked = {"fromBlock": hex(number), "toBlock": hex(number)}
        by_hash = {"blockHash": header(node, number).hash}
        for query in (asked, by_hash):
            found = parse_logs("ethereum", node.answer("eth_getLogs", [query]))
            assert found == held != []


def test_blooms_rule_out_what_is_not_there():
    node = NODES["ethereum"]
    chain, number = node.view.chain, busy(NODES["ethereum"].view.chain, 60)[5]
    logs = [log for receipt in receipts(node, number) for log in receipt.logs]
    nothing = LogFilter(("0x" + "12" * 20,))
    assert prove_no_logs(chain.spec, header(node, number), nothing).state == "proven"
    assert prove_no_logs(chain.spec, header(node, number), LogFilter((logs[-1].address,))).state != "proven"


def test_any_order_of_asking_gives_the_same_chain_and_another_seed_another():
    one, other, strange = SimNode(SimChain("gnosis")), SimNode(SimChain("gnosis")), SimNode(SimChain("gnosis", 2))
    numbers = [one.view.head - 40 * i for i in range(20)]
    told = [one.ask("eth_getBlockByNumber", hex(number), True) for number in numbers]
    again = [other.ask("eth_getBlockByNumber", hex(number), True) for number in reversed(numbers)]
    assert told == again[::-1]
    assert told[0] != strange.ask("eth_getBlockByNumber", hex(numbers[0]), True)


def test_block_is_known_by_its_hash_to_a_node_that_never_told_it():
    number = SimChain("gnosis").last_of(dt.date(2025, 3, 3))
    digest = SimChain("gnosis").block(number).hash
    node = SimNode(SimChain("gnosis"))
    assert node.ask("eth_getBlockByHash", digest, False)["number"] == hex(number)
    assert node.ask("eth_getBlockByHash", "0x" + "77" * 32, False) is None


def test_receipts_are_found_by_transaction():
    node = NODES["base"]
    number = busy(node.view.chain, 60)[3]
    held = json.loads(node.answer("eth_getBlockReceipts", [hex(number)]))
    assert [node.ask("eth_getTransactionReceipt", one["transactionHash"]) for one in held] == held
    assert node.ask("eth_getTransactionReceipt", "0x" + "77" * 32) is None
