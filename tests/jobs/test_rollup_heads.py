"""Tiers of a rollup's blocks by batches that a real parent node logs, and a real node that says which holds which.

Bytecode stands at the addresses of the inbox and of NodeInterface: block n is in batch n / 10, up to a block that the
test sets.
"""

from dataclasses import replace
from typing import cast

import pytest

from tests.anvil_node import CHAIN_ID
from tests.jobs.chain_relay import mine, reorganise, rpc
from tests.jobs.test_follow_heads import CHAIN as PARENT, FAST, Listener, block_zero, provider, run
from tidelake.chains.arbitrum import CHAIN as ARBITRUM
from tidelake.chains.base import CHAIN as BASE
from tidelake.chains.batches import batch_filter
from tidelake.chains.heads import Correction, Tiers
from tidelake.chains.spec import Rollup
from tidelake.errors import ConfigError
from tidelake.jobs.follow_heads import HeadFollower
from tidelake.jobs.rollup_heads import RollupHeads

ROLLUP = cast("Rollup", ARBITRUM.rollup)
CHILD = replace(ARBITRUM, name="child", chain_id=CHAIN_ID, finality=(replace(ARBITRUM.finality[1], since_block=0),))
TOPIC = "7394f4a19a13c7b92b5bb71033245305946ef78452f7b4986ac1390b5df4ebd7"
# LOG4 of 224 zero octets with the topic, the word it is called with, 0 and 0.
INBOX = "0x" + "60006000" + "600035" + "7f" + TOPIC + "60e06000a400"
# Reverts where the block (after the selector) is beyond what slot 0 holds, else returns a tenth of it.
FIND = "0x" + "6004358060005410601757" + "600a900460005260206000f35b60006000fd"


def post(parent, batch):
    sender = rpc(parent, "eth_accounts")[0]
    asked = {"from": sender, "to": ROLLUP.contracts["sequencer_inbox"], "gas": hex(100_000), "data": f"0x{batch:064x}"}
    rpc(parent, "eth_sendTransaction", asked)


def in_batches_up_to(child, block):
    rpc(child, "anvil_setStorageAt", ROLLUP.system["node_interface"], "0x0", f"0x{block:064x}")


def test_blocks_are_of_tier_2_when_posted_and_of_tier_3_when_the_posting_block_is_final(start_anvil):
    parent, child = start_anvil().url, start_anvil().url
    rpc(parent, "anvil_setCode", ROLLUP.contracts["sequencer_inbox"], INBOX)
    rpc(child, "anvil_setCode", ROLLUP.system["node_interface"], FIND)
    mine(child, 100)
    in_batches_up_to(child, 69)

    async def scenario():
        wanted = batch_filter(ROLLUP)
        async with HeadFollower(
            PARENT, [provider("parent", parent), provider("again", parent)], wanted=wanted, every_s=FAST
        ) as above:
            batches = RollupHeads(CHILD, lambda: above.tracker)
            heard = Listener(above, batches.hear)
            await heard.until(lambda: above._tracker is not None)
            async with HeadFollower(
                CHILD, [provider("child", child)], start=block_zero(child), settled=batches.heads, every_s=FAST
            ) as below:
                listener = Listener(below)
                await listener.settled(Tiers(100, -1, -1))
                post(parent, 5)  # the parent's block 1
                await listener.settled(Tiers(100, 59, -1))
                mine(parent, 4)  # final after four
                await listener.settled(Tiers(100, 59, 59))
                post(parent, 6)
                await listener.settled(Tiers(100, 69, 59))
                reorganise(parent, 1)  # without the batch
                await heard.until(lambda: heard.of(Correction) != [])
                await listener.settled(Tiers(100, 59, 59))
                in_batches_up_to(child, 84)
                post(parent, 8)
                await listener.settled(Tiers(100, 84, 59))
                mine(child, 1)
                await listener.settled(Tiers(101, 84, 59))

    run(scenario())


def test_a_chain_whose_nodes_name_no_batches_is_refused():
    with pytest.raises(ConfigError):
        RollupHeads(BASE, lambda: pytest.fail("has no parent to ask"))
