"""Receipts as nodes answer them, and their root recomputed: the proof of what a block logged, and of what it did not.

Checked on blocks of Ethereum, Polygon, Arbitrum and a chain of the OP stack; those chains carry
`Chain.receipts_root_since`. A receipt before Byzantium holds a state root in place of its status, one of a typed
transaction begins with its type (0x6a is Arbitrum's own), and a deposit of the OP stack (0x7e) holds its nonce and
version where the node tells a version, as since Canyon. A state sync of Polygon stands outside the root.

The root does not hold a transaction's hash and index, or a log's index: these are compared with the header's list, and
must count on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from tidelake.chains import rlp, trie
from tidelake.chains.bloom import bloom_of
from tidelake.chains.headers import Header
from tidelake.chains.hexadecimal import hex_text, octets, quantity
from tidelake.chains.logs import LogFact, LogFilter, bloom_values, log_of
from tidelake.chains.proof import Proof
from tidelake.chains.spec import Chain
from tidelake.errors import FormatDrift

_HASH, _BLOOM = 32, 256
_DEPOSIT = 0x7E
_NOBODY = "0x" + 40 * "0"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a transaction left.

    Attributes:
        type: Of the transaction, 0 for those without one.
        outcome: Item that stands first in its hash: 1 or nothing by status, or, before Byzantium, a state root.
        cumulative_gas: Gas of the block up to and with it.
        logs_bloom: 256 octets.
        logs: In their order.
        deposit: Nonce and version of a deposit of the OP stack since Canyon.
        system: Whether it is from nobody to nobody, as a system transaction of the chain.
    """

    block_hash: str
    tx_hash: str
    tx_index: int
    type: int
    outcome: bytes
    cumulative_gas: int
    logs_bloom: bytes
    logs: tuple[LogFact, ...]
    deposit: tuple[int, int] | None
    system: bool

    def encoded(self) -> bytes:
        """The octets that stand in the trie."""
        items: list[rlp.Item] = [self.outcome, rlp.integer(self.cumulative_gas), self.logs_bloom, _log_items(self.logs)]
        if self.deposit is not None:
            items += [rlp.integer(value) for value in self.deposit]
        return (bytes((self.type,)) if self.type else b"") + rlp.encode(items)


def parse_receipts(chain: str, answer: bytes) -> list[Receipt] | None:
    """The receipts in the result of `eth_getBlockReceipts`, by index; None where the node has no such block.

    Raises:
        FormatDrift: It is no list, or a receipt in it is not of its form.
    """
    try:
        told = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise FormatDrift(f"receipts of {chain} are no JSON: {exc}") from exc
    if told is None:
        return None
    if not isinstance(told, list):
        raise FormatDrift(f"receipts of {chain} are {type(told).__name__}, expected a list")
    return sorted((receipt_of(chain, receipt) for receipt in told), key=lambda receipt: receipt.tx_index)


def receipt_of(chain: str, told: object) -> Receipt:
    """One decoded receipt.

    Raises:
        FormatDrift: A field is missing or not of its form, or a log in it is another transaction's.
    """
    if not isinstance(told, dict) or not isinstance(told.get("logs"), list):
        raise FormatDrift("a receipt is no object with a list of logs")
    found = Receipt(
        block_hash=hex_text(octets(told.get("blockHash"), "blockHash of a receipt", _HASH)),
        tx_hash=hex_text(octets(told.get("transactionHash"), "transactionHash of a receipt", _HASH)),
        tx_index=quantity(told.get("transactionIndex"), "transactionIndex of a receipt"),
        type=_type(told),
        outcome=_outcome(told),
        cumulative_gas=quantity(told.get("cumulativeGasUsed"), "cumulativeGasUsed of a receipt"),
        logs_bloom=octets(told.get("logsBloom"), "logsBloom of a receipt", _BLOOM),
        logs=tuple(log_of(chain, log) for log in told["logs"]),
        deposit=_deposit(told),
        system=told.get("from") == _NOBODY and told.get("to") == _NOBODY,
    )
    for log in found.logs:
        if (log.block_hash, log.tx_hash, log.tx_index) != (found.block_hash, found.tx_hash, found.tx_index):
            raise FormatDrift(
                f"log {log.log_index} in the receipt of {found.tx_hash}, index {found.tx_index} of {found.block_hash}, "
                f"is of {log.tx_hash}, index {log.tx_index} of {log.block_hash}"
            )
    return found


def root_of_receipts(receipts: Sequence[Receipt]) -> str:
    """The root of receipts in the order of their index."""
    return hex_text(trie.root_of_list([receipt.encoded() for receipt in receipts]))


def prove_receipts(chain: Chain, header: Header, receipts: Sequence[Receipt]) -> Proof:
    """Whether these are all receipts of the block, with all their logs, as the header's root holds them.

    The header itself is proven by `headers.prove_header`. On a chain that is not known to make roots as Ethereum does,
    a right root proves what it is made of, but an empty one proves nothing: some chains tell it of every block.
    """
    found = _prove(chain, header, receipts, ())
    if found.state == "differs" and chain.state_sync and receipts and receipts[-1].system:
        return _prove(chain, header, receipts[:-1], (receipts[-1].tx_hash,))
    return found


def prove_no_logs(chain: Chain, header: Header, asked: LogFilter) -> Proof:
    """Whether the header alone says that the block holds no log that the filter asks for.

    The header itself is proven by `headers.prove_header`.
    """
    if not chain.holds_receipts(header.number):
        return Proof("unprovable", f"headers of {chain.title} are not known to hold the bloom of their logs")
    if chain.state_sync:
        return Proof("unprovable", "a state sync logs outside root and bloom")
    if any(header.logs_bloom) and not asked.ruled_out(header.logs_bloom):
        return Proof("unprovable", "the bloom does not rule the logs out")
    return Proof("proven", "logs bloom")


def _prove(chain: Chain, header: Header, receipts: Sequence[Receipt], outside: tuple[str, ...]) -> Proof:
    fault = _misfit(header, receipts, outside)
    if fault is None and root_of_receipts(receipts) != header.receipts_root:
        fault = f"{len(receipts)} receipts have another root than the header tells"
    if fault is None and (receipts or chain.holds_receipts(header.number)):
        return Proof("proven", "receipts root", outside)
    if not chain.holds_receipts(header.number):
        return Proof("unprovable", f"headers of {chain.title} are not known to hold the root of their receipts")
    return Proof("differs", f"block {header.number}: {fault}")


def _misfit(header: Header, receipts: Sequence[Receipt], outside: tuple[str, ...]) -> str | None:
    """What the root does not hold and must fit all the same."""
    if any(receipt.block_hash != header.hash for receipt in receipts):
        return "a receipt is of another block"
    if [receipt.tx_index for receipt in receipts] != list(range(len(receipts))):
        return "the receipts' indexes do not count from 0"
    if header.transactions is not None:
        listed = [digest for digest in header.transactions if digest not in outside]
        if [receipt.tx_hash for receipt in receipts] != listed:
            return f"{len(receipts)} receipts are not those of its {len(listed)} transactions"
    logs = [log for receipt in receipts for log in receipt.logs]
    if [log.log_index for log in logs] != list(range(len(logs))):
        return "the logs' indexes do not count from 0"
    if any(log.block_number != header.number for log in logs):
        return "a log is of another block number"
    if any(bloom_of(bloom_values(receipt.logs)) != receipt.logs_bloom for receipt in receipts):
        return "a receipt's bloom is not that of its logs"
    return None


def _log_items(logs: Sequence[LogFact]) -> rlp.Item:
    return [
        [
            bytes.fromhex(log.address[2:]),
            [bytes.fromhex(topic[2:]) for topic in log.topics],
            bytes.fromhex(log.data[2:]),
        ]
        for log in logs
    ]


def _type(told: dict[str, object]) -> int:
    found = quantity(told.get("type", "0x0"), "type of a receipt")
    if found > 0x7F:
        raise FormatDrift(f"type of a receipt is {found:#x}, expected at most 0x7f")
    return found


def _outcome(told: dict[str, object]) -> bytes:
    if told.get("root") is not None:
        return octets(told["root"], "root of a receipt", _HASH)
    status = quantity(told.get("status"), "status of a receipt")
    if status > 1:
        raise FormatDrift(f"status of a receipt is {status}, expected 0 or 1")
    return rlp.integer(status)


def _deposit(told: dict[str, object]) -> tuple[int, int] | None:
    if _type(told) != _DEPOSIT or told.get("depositReceiptVersion") is None:
        return None
    return (
        quantity(told.get("depositNonce"), "depositNonce of a receipt"),
        quantity(told["depositReceiptVersion"], "depositReceiptVersion of a receipt"),
    )
