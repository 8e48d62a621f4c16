"""What the machine must know of a coin before it starts: chains, periods of grace, what to expect and how often."""

from typing import Final

import msgspec

from tidelake.stablecoins.observation import MICROS

# The source document's periods; a chain without one takes the longest.
GRACE_US: Final = {"ethereum": 900 * MICROS, "arbitrum": 120 * MICROS, "solana": 30 * MICROS}
LONGEST_GRACE_US: Final = max(GRACE_US.values())
NO_END_US: Final = 1 << 62
HELD_US: Final = 2 * 86_400 * MICROS  # our choice: two days of windows fit into memory, and most outages into two days

# Time between two tellings, as the source document asks its sources.
INTERVALS_US: Final = {
    "price": 60 * MICROS,
    "volume": 60 * MICROS,
    "liquidity": 180 * MICROS,
    "circulating": 180 * MICROS,
    "volatility": 300 * MICROS,
    "sentiment": 300 * MICROS,
}


class ChainSetup(msgspec.Struct, frozen=True, kw_only=True):
    """A coin on one chain.

    Attributes:
        name: The chain's name.
        decimals: Of the token there.
        grace_us: So long after its end a window waits for late facts.
        exposure: Share of the coin that is there, in (0, 1]; shares are taken relative to their sum.
        follows_heads: Whether heads of the chain are told: its windows are then final only where its blocks are.
        counted: Whether the supply there is part of the coin's; False where it is locked elsewhere and counted there.
        expects: Features of this chain that a window should have.
    """

    name: str
    decimals: int = 6
    grace_us: int = LONGEST_GRACE_US
    exposure: float = 1.0
    follows_heads: bool = True
    counted: bool = True
    expects: tuple[str, ...] = ("liquidity", "supply")


class CoinSetup(msgspec.Struct, frozen=True, kw_only=True):
    """A coin as its machine takes it.

    Attributes:
        coin: Canonical symbol.
        chains: Where it is; none where only prices and the like are known.
        begin_us: The first windows begin here, us UTC, a whole number of the longest window.
        end_us: No window begins here or later, us UTC, a whole number of the longest window; facts of then are refused.
        peg: The price that it promises, in what it is quoted in.
        expects: Features of no chain that a window should have.
        price_sources: How many independent sources of its price there are; with fewer telling, alerts are less sure.
        intervals_us: Time between two tellings of a feature; a value is stale beyond it.
        windows_s: Lengths of windows in seconds, each a divisor of the longest.
        held_us: A window that cannot become FINAL for so long after its end is let go: it stays PROVISIONAL.
    """

    coin: str
    chains: tuple[ChainSetup, ...]
    begin_us: int
    end_us: int = NO_END_US
    peg: float = 1.0
    expects: tuple[str, ...] = ("price", "volume", "volatility", "sentiment")
    price_sources: int = 1
    intervals_us: dict[str, int] = msgspec.field(default_factory=lambda: dict(INTERVALS_US))
    windows_s: tuple[int, ...] = (60, 300)
    held_us: int = HELD_US
