"""Block headers as nodes answer them, and their hashes recomputed.

Checked on headers of Ethereum from Frontier to Osaka, of Polygon, of Arbitrum and of a chain of the OP stack; those
chains carry `Chain.header_hash_since`. Tendermint chains (Cronos) make their hashes otherwise.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from tidelake.chains import rlp
from tidelake.chains.hexadecimal import hex_text, octets, quantity
from tidelake.chains.keccak import keccak
from tidelake.chains.proof import Proof
from tidelake.chains.spec import Chain
from tidelake.errors import FormatDrift

_HASH, _ADDRESS, _BLOOM, _NONCE = 32, 20, 256, 8
_INTEGER, _ANY = -1, None  # as a length in _FIELDS

# The hashed fields in their order, with their octets; those from baseFeePerGas on came with later forks.
_FIELDS: tuple[tuple[str, int | None], ...] = (
    ("parentHash", _HASH),
    ("sha3Uncles", _HASH),
    ("miner", _ADDRESS),
    ("stateRoot", _HASH),
    ("transactionsRoot", _HASH),
    ("receiptsRoot", _HASH),
    ("logsBloom", _BLOOM),
    ("difficulty", _INTEGER),
    ("number", _INTEGER),
    ("gasLimit", _INTEGER),
    ("gasUsed", _INTEGER),
    ("timestamp", _INTEGER),
    ("extraData", _ANY),
    ("mixHash", _HASH),
    ("nonce", _NONCE),
    ("baseFeePerGas", _INTEGER),
    ("withdrawalsRoot", _HASH),
    ("blobGasUsed", _INTEGER),
    ("excessBlobGas", _INTEGER),
    ("parentBeaconBlockRoot", _HASH),
    ("requestsHash", _HASH),
)
_REQUIRED = 15

# What nodes tell beside the hashed fields. A field that is neither may be one of a fork that we do not know.
_BESIDE = frozenset(
    {
        "author",
        "hash",
        "l1BlockNumber",
        "milliTimestamp",
        "sendCount",
        "sendRoot",
        "size",
        "totalDifficulty",
        "transactions",
        "uncles",
        "withdrawals",
    }
)


@dataclass(frozen=True, slots=True)
class Header:
    """A block's header. Hashes are "0x.." in small letters.

    Attributes:
        timestamp: The block's clock, in seconds since 1970.
        logs_bloom: 256 octets.
        transactions: Hashes of its transactions, in their order; None where the node did not tell them.
        told: The node's answer, as it was.
    """

    number: int
    hash: str
    parent_hash: str
    timestamp: int
    transactions_root: str
    receipts_root: str
    logs_bloom: bytes
    transactions: tuple[str, ...] | None
    told: Mapping[str, object] = field(repr=False, compare=False)

    @property
    def time(self) -> dt.datetime:
        """The block's clock, UTC."""
        return dt.datetime.fromtimestamp(self.timestamp, dt.UTC)


def parse_header(answer: bytes) -> Header | None:
    """The header in the result of `eth_getBlockByNumber` or `eth_getBlockByHash`; None where there is no such block.

    Raises:
        FormatDrift: The result is no block, or a pending one.
    """
    try:
        told = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise FormatDrift(f"a block is no JSON: {exc}") from exc
    if told is None:
        return None
    if not isinstance(told, dict):
        raise FormatDrift(f"a block is {type(told).__name__}, expected an object")
    return header_of(told)


def header_of(told: Mapping[str, object]) -> Header:
    """The header in a decoded answer.

    Raises:
        FormatDrift: A field is missing or not of its form.
    """

    def digest(name: str) -> str:
        return hex_text(octets(told.get(name), f"{name} of a block", _HASH))

    return Header(
        number=quantity(told.get("number"), "number of a block"),
        hash=digest("hash"),
        parent_hash=digest("parentHash"),
        timestamp=quantity(told.get("timestamp"), "timestamp of a block"),
        transactions_root=digest("transactionsRoot"),
        receipts_root=digest("receiptsRoot"),
        logs_bloom=octets(told.get("logsBloom"), "logsBloom of a block", _BLOOM),
        transactions=_transactions(told.get("transactions")),
        told=told,
    )


def hash_of_header(told: Mapping[str, object]) -> str:
    """Keccak-256 of the header in Ethereum's form.

    Raises:
        FormatDrift: A field is missing or not of its form.
    """
    present = [(name, form) for place, (name, form) in enumerate(_FIELDS) if place < _REQUIRED or name in told]
    return hex_text(keccak(rlp.encode([_item(told.get(name), name, form) for name, form in present])))


def prove_header(chain: Chain, header: Header) -> Proof:
    """Whether the block's hash is that of its fields.

    Raises:
        FormatDrift: A field is missing or not of its form.
    """
    unknown = header.told.keys() - {name for name, _ in _FIELDS} - _BESIDE
    found = hash_of_header(header.told)
    if found == header.hash:
        return Proof("proven", "hash of the header")
    if not chain.hashes_header(header.number):
        return Proof("unprovable", f"hashes of {chain.title} are not known to be made as Ethereum's are")
    if unknown:
        return Proof("unprovable", f"fields that we do not know: {', '.join(sorted(unknown))}")
    return Proof("differs", f"block {header.number}: the fields hash to {found}, told {header.hash}")


def _transactions(told: object) -> tuple[str, ...] | None:
    if not isinstance(told, list):
        return None
    hashes = (entry.get("hash") if isinstance(entry, dict) else entry for entry in told)
    return tuple(hex_text(octets(found, "hash of a transaction", _HASH)) for found in hashes)


def _item(value: object, name: str, form: int | None) -> bytes:
    if form == _INTEGER:
        return rlp.integer(quantity(value, f"{name} of a block"))
    return octets(value, f"{name} of a block", form)
