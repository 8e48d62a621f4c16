"""The double of a Solana node: the same blocks of one seed, links that hold, forks that are told and then are not."""

import json
from itertools import pairwise

import pytest

from tidelake.chains.solana import parse_block
from tidelake.errors import ConfigError
from tidelake.sim.chains.rpc_errors import RpcFault
from tidelake.sim.slots.chain import FINAL_BEHIND, SlotChainSim
from tidelake.sim.slots.node import SlotNode

CONFIRMED, FINALIZED = {"commitment": "confirmed"}, {"commitment": "finalized"}


def chain_at(sim, head):
    return [block for slot in range(head + 1) if (block := sim.block(slot, head)) is not None]


def test_blocks_of_a_seed_are_linked_over_skipped_slots_and_a_fork_changes_its_slots_alone():
    sim = SlotChainSim(seed=5, start_s=1_700_000_000, skipped=0.3, fork_every=50, depth=7)
    assert chain_at(sim, 120) == chain_at(SlotChainSim(5, 1_700_000_000, 400, 0.3, 50, 7), 120)
    for head in (49, 50, 51, 100, 101, 120):
        blocks = chain_at(sim, head)
        for before, block in pairwise(blocks):
            assert (block.parent_slot, block.parent_hash) == (before.slot, before.hash)
        assert len({block.hash for block in blocks}) == len(blocks)
    old, new = ({block.slot: block.hash for block in chain_at(sim, head)} for head in (100, 101))
    changed = {slot for slot in range(101) if old.get(slot) != new.get(slot)}
    assert changed
    assert changed <= set(range(94, 101))
    assert 0.2 < 1 - len(chain_at(sim, 4_000)) / 4_001 < 0.4
    assert sim.newest(4_000).slot - sim.finalized(4_000).slot >= FINAL_BEHIND - 1
    for bad in ({"skipped": 1.0}, {"fork_every": 5, "depth": 5}):
        with pytest.raises(ConfigError):
            SlotChainSim(1, 0, **bad)


def test_node_answers_as_solana_does_and_tells_no_block_above_its_commitment():
    sim = SlotChainSim(seed=6, start_s=0, skipped=0.2)
    node = SlotNode(sim, lambda: 0.4 * 200 + 0.1)
    newest, final = sim.newest(200).slot, sim.finalized(200).slot
    assert [node.answer("getSlot", [one]) for one in (CONFIRMED, FINALIZED)] == [newest, final]
    assert node.answer("getSlot", []) == final
    listed = node.answer("getBlocks", [150, 300, CONFIRMED])
    assert listed == [block.slot for block in chain_at(sim, 200) if block.slot >= 150]
    told = node.answer("getBlock", [newest, CONFIRMED])
    parsed = parse_block(newest, json.dumps(told).encode())
    assert parsed is not None
    assert (parsed.hash, parsed.parent_number) == (sim.newest(200).hash, sim.newest(200).parent_slot)
    skipped = next(slot for slot in range(150, 200) if slot not in listed)
    for slot, options, code in (
        (skipped, CONFIRMED, -32007),
        (newest, FINALIZED, -32004),
        (newest, {"commitment": "processed"}, -32602),
    ):
        with pytest.raises(RpcFault) as refused:
            node.answer("getBlock", [slot, options])
        assert refused.value.code == code
    node.lag = 20
    assert node.answer("getSlot", [CONFIRMED]) == sim.newest(180).slot
    asked = [{"jsonrpc": "2.0", "id": 7, "method": "eth_chainId"}, 5]
    assert [one["error"]["code"] for one in node.respond(json.dumps(asked).encode()).json()] == [-32601, -32600]
    node.down = True
    assert node.respond(b"{}").status == 503
