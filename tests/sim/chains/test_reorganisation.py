"""A simulated chain that reorganises: other blocks, and transactions that stay, move or are gone."""

import datetime as dt

import pytest

from tests.chains.ancestry import common_ancestor
from tests.sim.chains.asking import header
from tests.sim.chains.driving import REGISTRY
from tidelake.sim.chains.chain import SimChain
from tidelake.sim.chains.faults import ChainFaults
from tidelake.sim.chains.node import SimNode
from tidelake.sim.chains.truth import Truth

MARKET = "aave_v3_ethereum"


@pytest.fixture
def chain():
    chain = SimChain("ethereum", markets=[MARKET])
    rows = Truth(chain).liquidations(MARKET, 0, chain.head)
    chain.now_s = chain.clock.time_of(rows[-1].block_number) + 120
    return chain


def rows(chain, first=0):
    return Truth(chain).liquidations(MARKET, first, chain.head)


def names(found):
    return [row.tx_hash for row in found]


def test_blocks_from_there_on_are_others_and_link(chain):
    node, first = SimNode(chain), chain.head - 20
    ours = [header(node, number) for number in range(first - 10, chain.head + 1)]
    chain.reorganise(first)
    now = [header(node, number) for number in range(first - 10, chain.head + 1)]
    fork = common_ancestor(ours, now)
    assert fork is not None
    assert fork.number == first - 1
    assert len(fork.orphaned) == len(fork.adopted) == 21
    assert node.ask("eth_getBlockByHash", ours[-1].hash, False) is None


def test_liquidation_that_is_gone_is_in_no_block(chain):
    before = rows(chain)
    lost, number = before[-1].tx_hash, before[-1].block_number
    node = SimNode(chain)
    assert node.ask("eth_getTransactionReceipt", lost) is not None
    done = chain.reorganise(number, gone=[lost])
    assert done.gone == (lost,)
    assert rows(chain) == [row for row in before if row.tx_hash != lost]
    assert node.ask("eth_getTransactionReceipt", lost) is None
    assert node.ask("eth_getLogs", {"fromBlock": hex(number), "toBlock": hex(number), "address": "0x" + "1" * 40}) == []


def test_liquidation_that_moves_stands_in_another_block(chain):
    moved, number = rows(chain)[-1].tx_hash, rows(chain)[-1].block_number
    there = (number + 4) | 1
    chain.reorganise(number - 3, moved={moved: there})
    found = [row for row in rows(chain) if row.tx_hash == moved]
    assert {row.block_number for row in found} == {there}
    assert {row.block_hash for row in found} == {chain.block(there).hash}
    receipt = SimNode(chain).ask("eth_getTransactionReceipt", moved)
    assert receipt["blockNumber"] == hex(there)
    assert moved not in names(Truth(chain).liquidations(MARKET, number, number))


def test_liquidation_that_stays_has_another_block_hash(chain):
    before = rows(chain)[-1]
    done = chain.reorganise(before.block_number, gone=())
    after = rows(chain)[-1]
    assert before.tx_hash in done.kept
    assert (after.tx_hash, after.log_index, after.what) == (before.tx_hash, before.log_index, before.what)
    assert after.block_hash != before.block_hash


def test_left_to_itself_it_takes_moves_and_keeps_and_all_are_told(chain):
    first = chain.clock.first_of(chain.first_day + 300)
    before = set(names(rows(chain, first)))
    done = chain.reorganise(first)
    assert before == {*done.gone, *done.moved, *done.kept} & before
    assert all((done.gone, done.moved, done.kept))
    after = set(names(rows(chain, first)))
    assert after == before - set(done.gone)


def test_state_is_another_from_there_on_alone(chain):
    first = chain.head - 5
    before = [Truth(chain).positions(MARKET, number) for number in (first - 1, first)]
    chain.reorganise(first)
    after = [Truth(chain).positions(MARKET, number) for number in (first - 1, first)]
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_second_reorganisation_goes_on_from_the_first(chain):
    lost = rows(chain)[-1]
    chain.reorganise(lost.block_number, gone=[lost.tx_hash])
    once = rows(chain)
    hashes = [chain.block(number).hash for number in (lost.block_number - 9, lost.block_number)]
    chain.reorganise(lost.block_number - 8, gone=())
    assert names(rows(chain)) == names(once)
    again = [chain.block(number).hash for number in (lost.block_number - 9, lost.block_number)]
    assert again[0] == hashes[0]
    assert again[1] != hashes[1]


def test_transaction_that_is_not_there_is_refused(chain):
    with pytest.raises(ValueError, match="no such transaction"):
        chain.reorganise(chain.head - 5, gone=["0x" + "77" * 32])


def test_orphaned_block_of_one_node_is_nobody_elses(chain):
    row = rows(chain)[-1]
    number = row.block_number
    good = SimNode(chain)
    before = header(good, number + 1)
    astray = SimNode(chain, ChainFaults.parse(f"orphan:{number}"))
    assert header(good, number).hash == row.block_hash != header(astray, number).hash
    assert header(astray, number).parent_hash == header(good, number).parent_hash
    assert header(good, number + 1) == header(astray, number + 1) == before
    asked = {"fromBlock": hex(number), "toBlock": hex(number), "address": REGISTRY[MARKET].contracts["pool"]}
    assert good.ask("eth_getLogs", asked) != []
    assert astray.ask("eth_getLogs", asked) == []
    assert rows(chain)[-1] == row


def test_head_moves_with_time():
    chain = SimChain("ethereum", markets=[MARKET])
    node = SimNode(chain)
    day = dt.datetime(2025, 2, 1, tzinfo=dt.UTC)
    head = int(node.ask("sim_setTime", int(day.timestamp())), 16)
    assert chain.clock.time_of(head) <= day.timestamp() < chain.clock.time_of(head + 1)
    assert node.ask("eth_getBlockByNumber", hex(head + 1), False) is None


def test_reorganisation_over_the_wire_says_what_it_did(chain):
    first = chain.clock.first_of(chain.first_day + 300)
    said = SimNode(chain).ask("sim_reorganise", hex(first))
    assert set(said) == {"gone", "moved", "kept"}
    assert set(said["gone"]).isdisjoint(names(rows(chain)))
