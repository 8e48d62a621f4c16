"""Logs as facts: known by chain, block hash, transaction hash and log index, never by the transaction alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from tidelake.chains.bloom import may_hold
from tidelake.chains.hexadecimal import hex_text, octets, quantity
from tidelake.errors import FormatDrift

_HASH, _ADDRESS, _MOST_TOPICS = 32, 20, 4
Topics: TypeAlias = Sequence[str | Sequence[str] | None]
Key: TypeAlias = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class LogFact:
    """A log that stands in a block. All texts are "0x.." in small letters, but the chain's name.

    Attributes:
        removed: The node's word that its block was orphaned; it is kept, and proves nothing.
    """

    chain: str
    block_number: int
    block_hash: str
    tx_hash: str
    tx_index: int
    log_index: int
    address: str
    topics: tuple[str, ...]
    data: str
    removed: bool = False

    @property
    def key(self) -> Key:
        """Chain, block hash, transaction hash, log index."""
        return self.chain, self.block_hash, self.tx_hash, self.log_index


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which logs are asked for.

    Attributes:
        addresses: Of the contracts; none asks for those of all.
        topics: By place: one, several of which one must stand there, or None for any.
    """

    addresses: tuple[str, ...] = ()
    topics: Topics = ()

    def joined(self, other: "LogFilter") -> "LogFilter":
        """A filter that all logs fit which fit one of the two, others too; each names addresses and first topics.

        Raises:
            ValueError: One asks for all addresses or first topics, or for topics of other places.
        """
        for one in (self, other):
            if not one.addresses or len(one.topics) != 1 or one.topics[0] is None:
                raise ValueError(f"{one} cannot be joined: it names no addresses, or not the first topic alone")
        topics = [topic for one in (self, other) for found in one._wanted() for topic in sorted(found)]
        return LogFilter(tuple(dict.fromkeys((*self.addresses, *other.addresses))), (tuple(dict.fromkeys(topics)),))

    def parameters(self, first: int, last: int) -> dict[str, object]:
        """The parameter of `eth_getLogs` for blocks `first` to `last`, both inclusive."""
        return {"fromBlock": hex(first), "toBlock": hex(last), **self._parameters()}

    def of_block(self, digest: str) -> dict[str, object]:
        """The parameter of `eth_getLogs` for the block of that hash, and no other of its height."""
        return {"blockHash": digest, **self._parameters()}

    def _parameters(self) -> dict[str, object]:
        asked: dict[str, object] = {}
        if self.addresses:
            asked["address"] = list(self.addresses)
        if self.topics:
            asked["topics"] = [
                topic if topic is None or isinstance(topic, str) else list(topic) for topic in self.topics
            ]
        return asked

    def matches(self, log: LogFact) -> bool:
        """Whether it asks for this log."""
        if self.addresses and log.address not in {address.lower() for address in self.addresses}:
            return False
        if len(log.topics) < len(self.topics):
            return False
        return all(not wanted or topic in wanted for topic, wanted in zip(log.topics, self._wanted(), strict=False))

    def ruled_out(self, bloom: bytes) -> bool:
        """Whether a block's bloom proves that the block holds no such log."""
        if self.addresses and not any(may_hold(bloom, _value(address)) for address in self.addresses):
            return True
        return any(wanted and not any(may_hold(bloom, _value(topic)) for topic in wanted) for wanted in self._wanted())

    def _wanted(self) -> Iterator[frozenset[str]]:
        """For each place the topics of which one must stand there, none for any."""
        for topic in self.topics:
            yield frozenset(one.lower() for one in ((topic,) if isinstance(topic, str) else topic or ()))


@dataclass(frozen=True, slots=True)
class LogDifference:
    """What an answer lacks and what it has too much; a changed log stands in both."""

    missing: tuple[LogFact, ...]
    unexpected: tuple[LogFact, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected)


def parse_logs(chain: str, answer: bytes) -> list[LogFact]:
    """The logs in the result of `eth_getLogs`, in its order.

    Raises:
        FormatDrift: It is no list, or a log in it is pending, told twice, or not of its form.
    """
    try:
        told = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise FormatDrift(f"logs of {chain} are no JSON: {exc}") from exc
    if not isinstance(told, list):
        raise FormatDrift(f"logs of {chain} are {type(told).__name__}, expected a list")
    logs = [log_of(chain, log) for log in told]
    if len({log.key for log in logs}) < len(logs):
        raise FormatDrift(f"logs of {chain}: one is told twice, by block, transaction and log index")
    return logs


def log_of(chain: str, told: object) -> LogFact:
    """One decoded log.

    Raises:
        FormatDrift: It is pending, or a field is missing or not of its form.
    """
    if not isinstance(told, Mapping):
        raise FormatDrift(f"a log is {type(told).__name__}, expected an object")
    topics = told.get("topics")
    if not isinstance(topics, list) or len(topics) > _MOST_TOPICS:
        raise FormatDrift(f"topics of a log are {topics!r}, expected a list of at most {_MOST_TOPICS}")
    removed = told.get("removed", False)
    if not isinstance(removed, bool):
        raise FormatDrift(f"removed of a log is {removed!r}, expected true or false")
    return LogFact(
        chain=chain,
        block_number=quantity(told.get("blockNumber"), "blockNumber of a log"),
        block_hash=hex_text(octets(told.get("blockHash"), "blockHash of a log", _HASH)),
        tx_hash=hex_text(octets(told.get("transactionHash"), "transactionHash of a log", _HASH)),
        tx_index=quantity(told.get("transactionIndex"), "transactionIndex of a log"),
        log_index=quantity(told.get("logIndex"), "logIndex of a log"),
        address=hex_text(octets(told.get("address"), "address of a log", _ADDRESS)),
        topics=tuple(hex_text(octets(topic, "topic of a log", _HASH)) for topic in topics),
        data=hex_text(octets(told.get("data"), "data of a log")),
        removed=removed,
    )


def bloom_values(logs: Iterable[LogFact]) -> Iterator[bytes]:
    """The addresses and topics that a bloom is made of."""
    for log in logs:
        yield _value(log.address)
        yield from map(_value, log.topics)


def compare_logs(told: Iterable[LogFact], expected: Iterable[LogFact]) -> LogDifference:
    """How an answer differs from the logs that stand in proven receipts."""
    found, wanted = set(told), set(expected)
    return LogDifference(
        missing=tuple(sorted(wanted - found, key=lambda log: (log.block_number, log.log_index))),
        unexpected=tuple(sorted(found - wanted, key=lambda log: (log.block_number, log.log_index))),
    )


def _value(text: str) -> bytes:
    return bytes.fromhex(text[2:])
