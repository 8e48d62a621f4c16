"""Headers that a node told, as long as they are needed."""

import asyncio
import json
from dataclasses import replace
from typing import Any, cast

from tidelake.chains.ethereum import CHAIN
from tidelake.jobs.provider_heads import ProviderHeads

UNPROVEN = replace(CHAIN, header_hash_since=None)


def block(number):
    told = dict.fromkeys(
        ("parentHash", "sha3Uncles", "stateRoot", "transactionsRoot", "receiptsRoot", "mixHash"), "0x" + "00" * 32
    )
    sizes = {"miner": 20, "logsBloom": 256, "nonce": 8, "extraData": 0}
    told |= {name: "0x" + "00" * size for name, size in sizes.items()}
    told |= dict.fromkeys(("difficulty", "gasLimit", "gasUsed", "baseFeePerGas"), "0x1")
    return told | {
        "number": hex(number),
        "hash": f"0x{number:064x}",
        "timestamp": hex(1_700_000_000 + number),
        "transactions": [],
    }


class Answer:
    error, recv_ns = None, 5_000

    def __init__(self, told):
        self._told = told

    def value(self, _):
        return json.dumps(self._told).encode()


class Pool:
    """A node at block 7."""

    async def ask(self, calls):
        return [Answer(block(7)) for _ in calls]


def test_header_is_kept_without_what_was_told_until_it_is_forgotten_and_then_not_kept_again():
    node = ProviderHeads(UNPROVEN, cast("Any", Pool()), "alpha")
    (head,) = asyncio.run(node.heads(("latest",)))
    (kept,) = [one for one in node.headers.values() if one]
    assert (kept[0].number, kept[0].told, kept[1]) == (7, {}, False)
    node.forget(head.block.hash)
    node.forget("0x" + "99" * 32)
    asyncio.run(node.heads(("latest",)))
    assert node.headers == {head.block.hash: None}
