"""The one thing that a coin's machine takes: something told of a coin, of a chain, of a source, or that time passed."""

import math
from typing import Final, NamedTuple

import msgspec

MICROS: Final = 1_000_000
AHEAD_US: Final = 86_400 * MICROS  # a source's clock may run so far ahead of ours, as rows of tables may
MOST: Final = 1e18  # dollars, tokens, or a price: our choice, far above anything there is; sums stay finite
MOST_CHANGED: Final = 10**14  # tokens by one mint or burn, our choice: a window of a million such fits decimal(38, 18)

GAUGES: Final = ("price", "volume", "liquidity", "circulating", "volatility", "sentiment")
FACTS: Final = (*GAUGES, "supply")


class Head(msgspec.Struct, frozen=True, gc=False, tag="head"):
    """Where a chain stands: the newest block is that of the observation, these are the newest of the higher tiers.

    Tier 3 never falls, and tier 2 may.

    Attributes:
        tier2_us, tier3_us: Times of those blocks, by the chain's clock, us UTC; -1 where there is none yet.
        tier2_block, tier3_block: Their numbers.
        skipped: Of a chain that numbers slots, the share of the newest ones that have no block.
    """

    tier2_us: int = -1
    tier3_us: int = -1
    tier2_block: int = -1
    tier3_block: int = -1
    skipped: float = 0.0


class Retraction(msgspec.Struct, frozen=True, gc=False, tag="retraction"):
    """Facts that stand no longer, and those that came for them; sets, not pairs.

    Attributes:
        ids: Ids of facts taken out.
        ids_in: Ids of facts that the new blocks hold; they come as observations of their own.
        reason: Why, such as "chain_reorg".
        ancestor, ancestor_us: Number and time of the last block that stands, where blocks of tier 3 are given up on
            somebody's word; -1 elsewhere, and then no fact of tier 3 is taken back.
    """

    ids: tuple[str, ...]
    ids_in: tuple[str, ...] = ()
    reason: str = "chain_reorg"
    ancestor: int = -1
    ancestor_us: int = -1


class Violation(msgspec.Struct, frozen=True, gc=False, tag="violation"):
    """Blocks that were final are contradicted: nothing is taken back, and nothing of the chain becomes FINAL until it
    is "resumed".

    Attributes:
        ids: Ids of facts in those blocks; none where they hold none.
        reason: What was seen.
    """

    ids: tuple[str, ...]
    reason: str


class Observation(msgspec.Struct, frozen=True, gc=False):
    """What was told, when it was so, and when we knew it.

    A fact that comes again under its id with another value is a restatement: the one known later counts.

    Attributes:
        feature: "price", "volume", "liquidity", "circulating", "volatility", "sentiment" or "supply" (a change of it);
            else "head", "retract", "violation", "resumed", "source", "lost" or "clock".
        event_us: The source's clock, us UTC; of a head, the time of the newest block; of "lost" that of the last block
            whose facts will never be told.
        known_us: When we knew it, us UTC.
        coin: Canonical symbol; "" for what concerns all coins (heads, volatility, time).
        chain: Its name in `chains/`; "" for what is of no chain, such as a price by an exchange.
        source: Who told it: "coingecko", "defillama", "logs", "candles", "vader", "binance-spot".
        id: The fact's own id: of chain facts "<chain>:block_hash:tx_hash:log_index", with the chain's name, of
            others "source:coin:feature:event_us".
        value: Of gauges: a price in `quote`, US dollars, tokens, a ratio. Of "source": 0 is down, 1 is back, and what
            was missed has been told by then.
        units: Of "supply": smallest units minted (above zero) or burned (below), exact.
        block_number: Of chain facts and heads; -1 elsewhere.
        quote: What a price is counted in; "USD", or another coin, and then the price tells of both.
        told: Of "head", "retract" and "violation".
    """

    feature: str
    event_us: int
    known_us: int
    coin: str = ""
    chain: str = ""
    source: str = ""
    id: str = ""
    value: float = 0.0
    units: int = 0
    block_number: int = -1
    quote: str = "USD"
    told: Head | Retraction | Violation | None = None


class Telling(NamedTuple):
    """An observation and where it was read: a line of a file, or of a segment of the raw log."""

    seen: Observation
    place: str


def refusal(seen: Observation) -> str:
    """Why a fact cannot be taken; "" where it can. A price is never refused for being far from its peg."""
    if not 0 < seen.event_us <= seen.known_us + AHEAD_US:
        return "event_time outside 1970 to a day after it was known"
    if not math.isfinite(seen.value):
        return f"{seen.feature} is not a finite number"
    if seen.value < 0 and seen.feature not in ("supply", "sentiment"):
        return f"{seen.feature} below zero"
    if seen.value > MOST:
        return f"{seen.feature} above {MOST:g}"
    if seen.feature == "sentiment" and abs(seen.value) > 1:
        return "sentiment outside [-1, 1]"
    if not seen.id:
        return "no id"
    return ""
