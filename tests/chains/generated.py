"""Blocks that hold together: parents, hashes, blooms and roots; each test breaks one thing."""

import copy
import json

from tidelake.chains.bloom import bloom_of
from tidelake.chains.headers import Header, hash_of_header, parse_header
from tidelake.chains.hexadecimal import hex_text
from tidelake.chains.keccak import keccak
from tidelake.chains.receipts import Receipt, parse_receipts, root_of_receipts
from tidelake.chains.trie import EMPTY_ROOT

ZERO = "0x" + 64 * "0"
NOBODY = "0x" + 40 * "0"
NO_BLOOM = "0x" + 512 * "0"


def digest(*words):
    return hex_text(keccak(repr(words).encode()))


def address(name):
    return digest("address", name)[:42]


def header_json(number, parent, *, fork="", root=EMPTY_ROOT, bloom=NO_BLOOM, transactions=()):
    told = {
        "parentHash": parent,
        "sha3Uncles": digest("uncles"),
        "miner": address("miner"),
        "stateRoot": digest("state", number, fork),
        "transactionsRoot": digest("transactions", number),
        "receiptsRoot": root,
        "logsBloom": bloom,
        "difficulty": "0x0",
        "number": hex(number),
        "gasLimit": "0x1c9c380",
        "gasUsed": "0x5208",
        "timestamp": hex(1_700_000_000 + 12 * number),
        "extraData": "0x",
        "mixHash": digest("mix", number),
        "nonce": "0x0000000000000000",
        "transactions": list(transactions),
    }
    return {**told, "hash": hash_of_header(told)}


def header(told) -> Header:
    found = parse_header(json.dumps(told).encode())
    assert found is not None
    return found


def run(first, last, *, parent=ZERO, fork=""):
    """Headers of blocks `first` to `last`, linked."""
    found = []
    for number in range(first, last + 1):
        found.append(header(header_json(number, parent, fork=fork)))
        parent = found[-1].hash
    return found


def log_json(tx, place, *, index, name="pool", topics=("a",), data="0x01"):
    return {
        "address": address(name),
        "topics": [digest("topic", topic) for topic in topics],
        "data": data,
        "blockNumber": "0x7",
        "transactionHash": tx,
        "transactionIndex": hex(place),
        "blockHash": ZERO,
        "logIndex": hex(index),
        "removed": False,
    }


def receipt_json(place, logs, **others):
    tx = digest("tx", place)
    return {
        "blockHash": ZERO,
        "blockNumber": "0x7",
        "transactionHash": tx,
        "transactionIndex": hex(place),
        "type": "0x2",
        "status": "0x1",
        "cumulativeGasUsed": hex(21_000 * (place + 1)),
        "from": address("sender"),
        "to": address("pool"),
        "logs": logs,
        "logsBloom": bloom_text(logs),
        **others,
    }


def bloom_text(logs):
    return hex_text(bloom_of(bytes.fromhex(text[2:]) for log in logs for text in (log["address"], *log["topics"])))


def receipts(told) -> list[Receipt]:
    found = parse_receipts("ethereum", json.dumps(told).encode())
    assert found is not None
    return found


def block(told, outside=0):
    """Header and receipts of block 7, of these receipts; the root leaves the last `outside` of them out."""
    told = copy.deepcopy(told)
    held = told[: len(told) - outside]
    head = header_json(
        7,
        digest("parent"),
        root=root_of_receipts(receipts(held)) if held else EMPTY_ROOT,
        bloom=bloom_text([log for receipt in held for log in receipt["logs"]]),
        transactions=[receipt["transactionHash"] for receipt in told],
    )
    for receipt in told:
        receipt["blockHash"] = head["hash"]
        for log in receipt["logs"]:
            log["blockHash"] = head["hash"]
    return header(head), told


def three_receipts():
    first, third = digest("tx", 0), digest("tx", 2)
    return [
        receipt_json(0, [log_json(first, 0, index=0), log_json(first, 0, index=1, topics=(), data="0x")]),
        receipt_json(1, [], type="0x0", status="0x0"),
        receipt_json(2, [log_json(third, 2, index=2, name="other", topics=("a", "b"), data="0x" + 64 * "f")]),
    ]
