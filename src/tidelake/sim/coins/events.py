"""What a simulated history tells, and what is true of it. Times are microseconds UTC."""

from dataclasses import dataclass
from typing import TypeAlias

MICROS = 1_000_000
MINUTE_US = 60 * MICROS
HOUR_US = 3_600 * MICROS
DAY_US = 86_400 * MICROS


@dataclass(frozen=True, slots=True)
class Fact:
    """A value as a source told it. Told again under its id with another value, it is a restatement.

    Attributes:
        feature: "price", "volume", "liquidity", "circulating", "supply", "sentiment" or "volatility".
        event_us: The source's clock; of supply that of its block.
        known_us: When it was told.
        coin: Symbol; "" of volatility, which is the market's.
        chain: Where it was told of; "" of volatility.
        id: "<chain>:block_hash:tx_hash:log_index" of supply, by the chain's name; else "source:coin:feature:event_us";
            on one chain it names one fact.
        value: Price and volume in US dollars, liquidity in US dollars, circulating in tokens, the rest are ratios; 0 of
            supply.
        units: Of supply the smallest units minted, below zero burned; else 0.
        decimals: Of the coin's token there.
        block_number, block_hash, tx_hash, log_index: Of supply; -1 and "" else.
    """

    feature: str
    event_us: int
    known_us: int
    coin: str
    chain: str
    source: str
    id: str
    value: float = 0.0
    units: int = 0
    decimals: int = 0
    block_number: int = -1
    block_hash: str = ""
    tx_hash: str = ""
    log_index: int = -1


@dataclass(frozen=True, slots=True)
class Head:
    """Where a node says that its chain stands: the newest block, and the newest ones of tier 2 and 3."""

    event_us: int
    known_us: int
    chain: str
    block_number: int
    block_hash: str
    parent_hash: str
    tier2_us: int
    tier3_us: int
    tier2_block: int
    tier3_block: int


@dataclass(frozen=True, slots=True)
class Retraction:
    """A reorganisation as it is seen: ids of facts that stand no longer, and of those that stand now."""

    event_us: int
    known_us: int
    chain: str
    ids_out: tuple[str, ...]
    ids_in: tuple[str, ...]
    reason: str = "chain_reorg"


@dataclass(frozen=True, slots=True)
class SourceState:
    """A source went down, or is back and has told what it will tell of the time between.

    `chain` is "" of providers, which are down for all chains.
    """

    event_us: int
    known_us: int
    chain: str
    source: str
    up: bool


Told: TypeAlias = Fact | Head | Retraction | SourceState


@dataclass(frozen=True, slots=True)
class MinuteTruth:
    """What is true of a coin on a chain from `start_us` for a minute, whether or not anyone tells it.

    Attributes:
        circulating: Tokens as the minute begins, before its changes.
        net_units: Smallest units minted less those burned in blocks of the minute, on the chain as it ends.
        depeg: How much of a planned depeg is on, from 0 to 1.
    """

    start_us: int
    coin: str
    chain: str
    price: float
    volume: float
    liquidity: float
    circulating: float
    net_units: int
    decimals: int
    sentiment: float
    volatility: float
    depeg: float


@dataclass(frozen=True, slots=True)
class Orphan:
    """A block that was the chain's and is not: since when, and from when on it was again (-1: never)."""

    chain: str
    block_number: int
    block_hash: str
    orphaned_us: int
    restored_us: int


@dataclass(frozen=True, slots=True)
class Minute:
    """A minute of a history.

    Attributes:
        start_us: It is [start_us, start_us + 60 s).
        told: What became known in it, in this order; faults included.
        facts: Final facts whose time is in it, by their times, whenever they were told; `known_us` is that of their
            final value.
        truths: What is true in it; empty after the history's end, while blocks become final.
        orphans: Blocks of reorganisations that were seen on the day that begins with it; else empty.
    """

    start_us: int
    told: tuple[Told, ...]
    facts: tuple[Fact, ...]
    truths: tuple[MinuteTruth, ...]
    orphans: tuple[Orphan, ...]
