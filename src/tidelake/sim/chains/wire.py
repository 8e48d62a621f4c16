"""Blocks, receipts and logs of a simulated chain as nodes write them in JSON; put together as text, which is fast."""

from collections.abc import Iterable

from tidelake.sim.chains.blocks import BEGINS, GAS_EACH, Block, log_bloom
from tidelake.sim.chains.events import Log

EMPTY = b"[]"


def quoted(octets: bytes) -> bytes:
    """Octets as a JSON text."""
    return b'"0x' + octets.hex().encode() + b'"'


def block_json(block: Block, *, full: bool) -> bytes:
    """A block, with its transactions or their hashes."""
    fields = ",".join(f'"{name}":"{value}"' for name, value in block.fields.items())
    if full:
        listed = ",".join(_transaction(block, place) for place in range(len(block.transactions)))
    else:
        listed = ",".join(f'"{sent.hash}"' for sent in block.transactions)
    begins = f',"{BEGINS}":"0x1"' if block.begins else ""
    more = ',"withdrawals":[]' if "withdrawalsRoot" in block.fields else ""
    return (
        f'{{"hash":"{block.hash}",{fields},"size":"0x400","uncles":[]{more}{begins},"transactions":[{listed}]}}'
    ).encode()


def _place(block: Block, place: int) -> str:
    return (
        f'"blockHash":"{block.hash}","blockNumber":"{block.number:#x}",'
        f'"transactionHash":"{block.transactions[place].hash}","transactionIndex":"{place:#x}"'
    )


def _transaction(block: Block, place: int) -> str:
    sent = block.transactions[place]
    return (
        f'{{"blockHash":"{block.hash}","blockNumber":"{block.number:#x}","from":"{sent.sender}","to":"{sent.to}",'
        f'"gas":"{GAS_EACH:#x}","hash":"{sent.hash}","input":"0x","nonce":"0x1","transactionIndex":"{place:#x}",'
        '"type":"0x2","value":"0x0"}'
    )


def receipt_json(block: Block, place: int) -> bytes:
    """The receipt of one of its transactions."""
    sent = block.transactions[place]
    logs = b",".join(log_json(block, place, i) for i in range(len(sent.logs)))
    begin = (
        f'{{{_place(block, place)},"type":"0x2","status":"0x1","contractAddress":null,"from":"{sent.sender}",'
        f'"to":"{sent.to}","gasUsed":"{GAS_EACH:#x}","cumulativeGasUsed":"{GAS_EACH * (place + 1):#x}",'
        f'"effectiveGasPrice":"0x3b9aca07","logsBloom":"0x{log_bloom(sent.logs).hex()}","logs":['
    )
    return begin.encode() + logs + b"]}"


def receipts_json(block: Block) -> bytes:
    """All receipts of a block."""
    return b"[" + b",".join(receipt_json(block, place) for place in range(len(block.transactions))) + b"]"


def log_json(block: Block, place: int, i: int) -> bytes:
    """The log at place `i` of one of its transactions."""
    log = block.transactions[place].logs[i]
    topics = ",".join(f'"{topic}"' for topic in log.topics)
    return (
        f'{{"address":"{log.address}","topics":[{topics}],"data":"0x{log.data.hex()}",{_place(block, place)},'
        f'"logIndex":"{block.first_log[place] + i:#x}","removed":false}}'
    ).encode()


def matches(log: Log, addresses: frozenset[str], topics: Iterable[frozenset[str]]) -> bool:
    """Whether a filter asks for a log; an empty set asks for any."""
    if addresses and log.address not in addresses:
        return False
    wanted = list(topics)
    if len(log.topics) < len(wanted):
        return False
    return all(not some or topic in some for some, topic in zip(wanted, log.topics, strict=False))
