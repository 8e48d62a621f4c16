"""Blocks of a simulated chain: headers that link and whose hashes prove, transactions and receipts.

A hash holds that of the parent, and so all blocks before it. So that any block can be made without these, each eighth
begins a stretch: its hash is given by a draw and is not that of its fields, which it says by a field of its own
(`BEGINS`). The last block of an hour, and each in which a market logs something, is none of these.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from tidelake.chains import rlp
from tidelake.chains.bloom import bloom_of
from tidelake.chains.keccak import keccak
from tidelake.chains.trie import EMPTY_ROOT, root_of_list
from tidelake.sim.chains.draws import Draws
from tidelake.sim.chains.events import Log, transfer

STRETCH = 8
BEGINS = "simulatedStretch"
GAS_EACH = 90_000
ZERO_HASH = "0x" + 64 * "0"
_UNCLES = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
_REQUESTS = "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_NONCE = "0x0000000000000000"
_FILLERS = 16
_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction in a block."""

    hash: str
    sender: str
    to: str
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A block.

    Attributes:
        fields: The hashed fields in their order, as nodes write them.
        first_log: Index of the first log of each transaction.
    """

    number: int
    hash: str
    branch: int
    timestamp: int
    begins: bool
    fields: dict[str, str]
    transactions: tuple[Sent, ...]
    first_log: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Filling:
    """Transactions of others that stand first in a block, with what they make of root and bloom where they are all."""

    transactions: tuple[tuple[str, str, tuple[Log, ...]], ...]
    root: str
    bloom: bytes


class Blocks:
    """The blocks of a chain.

    Args:
        draws: Of the chain.
        full_header: Whether headers have all fields of Ethereum, else those up to the base fee.
        time_of: Time of a block.
        begins: Whether a block begins a stretch.
        parent_branch: Branch of a block's parent: number and branch of the block -> branch.
        sent: Transactions of markets in a block: number, branch -> these.
    """

    def __init__(
        self,
        draws: Draws,
        *,
        full_header: bool,
        time_of: Callable[[int], int],
        begins: Callable[[int], bool],
        parent_branch: Callable[[int, int], int],
        sent: Callable[[int, int], tuple[Sent, ...]],
    ) -> None:
        self._draws = draws
        self._full = full_header
        self._time_of = time_of
        self._begins = begins
        self._parent_branch = parent_branch
        self._sent = sent
        self._fillings = [self._filling(place) for place in range(_FILLERS)]
        self.block = lru_cache(_KEPT)(self._block)

    def hash_of(self, number: int, branch: int) -> str:
        """The hash of a block."""
        if number < 0:
            return ZERO_HASH
        return self._given(number, branch) if self._begins(number) else self.block(number, branch).hash

    def _given(self, number: int, branch: int) -> str:
        return self._draws.digest("hash", number, branch)

    def _block(self, number: int, branch: int) -> Block:
        parent = self.hash_of(number - 1, self._parent_branch(number, branch))
        filling = self._fillings[self._draws.octets("filling", number, branch, size=1)[0] % _FILLERS]
        markets = self._sent(number, branch)
        filled = tuple(
            Sent(self._draws.digest("tx", number, branch, place), *rest)
            for place, rest in enumerate(filling.transactions)
        )
        transactions = filled + markets
        root, bloom = _root_and_bloom(transactions) if markets else (filling.root, filling.bloom)
        timestamp = self._time_of(number)
        fields = self._fields(number, branch, parent, timestamp, len(transactions), root, bloom)
        begins = self._begins(number)
        found = self._given(number, branch) if begins else "0x" + keccak(rlp.encode(_items(fields))).hex()
        places = _first_logs(transactions)
        return Block(number, found, branch, timestamp, begins, fields, transactions, places)

    def _fields(
        self, number: int, branch: int, parent: str, timestamp: int, count: int, root: str, bloom: bytes
    ) -> dict[str, str]:
        drawn = self._draws.octets("state", number, branch, size=64).hex()
        more = self._draws.octets("other", number, branch, size=64).hex()
        fields = {
            "parentHash": parent,
            "sha3Uncles": _UNCLES,
            "miner": "0x" + more[:40],
            "stateRoot": "0x" + drawn[:64],
            "transactionsRoot": "0x" + more[64:] if count else EMPTY_ROOT,
            "receiptsRoot": root,
            "logsBloom": "0x" + bloom.hex(),
            "difficulty": "0x0",
            "number": hex(number),
            "gasLimit": "0x2255100",
            "gasUsed": hex(count * GAS_EACH),
            "timestamp": hex(timestamp),
            "extraData": "0x73696d756c61746564",
            "mixHash": "0x" + drawn[64:],
            "nonce": _NONCE,
            "baseFeePerGas": hex(10**9 + int(more[40:46], 16)),
        }
        if self._full:
            fields |= {
                "withdrawalsRoot": EMPTY_ROOT,
                "blobGasUsed": "0x20000",
                "excessBlobGas": "0x0",
                "parentBeaconBlockRoot": "0x" + more[:64],
                "requestsHash": _REQUESTS,
            }
        return fields

    def _filling(self, place: int) -> _Filling:
        draws = self._draws.within("filling", place)
        made = []
        for i in range(place % 4):
            logs = tuple(transfer(draws, draws.address("token", i), i, k) for k in range(draws.below(3, "logs", i)))
            made.append((draws.address("sender", i), draws.address("to", i), logs))
        sent = tuple(Sent(ZERO_HASH, *rest) for rest in made)
        return _Filling(tuple(made), *_root_and_bloom(sent))


def log_bloom(logs: tuple[Log, ...]) -> bytes:
    """The bloom of logs."""
    return bloom_of(bytes.fromhex(text[2:]) for log in logs for text in (log.address, *log.topics))


def _root_and_bloom(transactions: tuple[Sent, ...]) -> tuple[str, bytes]:
    """The root of their receipts, and the bloom of all their logs."""
    together = 0
    receipts = []
    for place, sent in enumerate(transactions):
        bloom = log_bloom(sent.logs)
        together |= int.from_bytes(bloom, "big")
        receipts.append(_receipt(place, bloom, sent.logs))
    return "0x" + root_of_list(receipts).hex(), together.to_bytes(256, "big")


def _receipt(place: int, bloom: bytes, logs: tuple[Log, ...]) -> bytes:
    told: list[rlp.Item] = [[_octets(log.address), [_octets(topic) for topic in log.topics], log.data] for log in logs]
    return b"\x02" + rlp.encode([b"\x01", rlp.integer(GAS_EACH * (place + 1)), bloom, told])


def _first_logs(transactions: tuple[Sent, ...]) -> tuple[int, ...]:
    found, at = [], 0
    for sent in transactions:
        found.append(at)
        at += len(sent.logs)
    return tuple(found)


_INTEGERS = frozenset(
    {
        "baseFeePerGas",
        "blobGasUsed",
        "difficulty",
        "excessBlobGas",
        "gasLimit",
        "gasUsed",
        "number",
        "timestamp",
    }
)


def _items(fields: dict[str, str]) -> list[rlp.Item]:
    return [
        rlp.integer(int(value, 16)) if name in _INTEGERS else bytes.fromhex(value[2:]) for name, value in fields.items()
    ]


def _octets(text: str) -> bytes:
    return bytes.fromhex(text[2:])
