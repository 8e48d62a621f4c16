"""The words in which a source of facts about coins is described; `providers/<name>.py` holds one `CoinSource` each.

One reading serves what is asked now, what is asked of the past, and the raw log: a request, its answer and the moment
of receipt say all that a source told.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, TypeAlias

import msgspec

from tidelake.providers.coin_answers import Refused
from tidelake.providers.spec import Key

# price        US dollars for one coin
# volume       US dollars traded in the 24 hours before
# liquidity    US dollars in the pools of exchanges on a chain that hold the coin
# circulating  whole coins
# volatility   of BTC, annualised, as a ratio
# sentiment    from -1 to 1
Feature: TypeAlias = Literal["price", "volume", "liquidity", "circulating", "volatility", "sentiment"]


class CoinRef(msgspec.Struct, frozen=True):
    """A coin, as sources are asked for it.

    Attributes:
        symbol: Its name here.
        coingecko, defillama: Its ids there; "" where they tell of another coin of the registry.
        tokens: Chain and address of each of its tokens; addresses of an EVM in small letters.
    """

    symbol: str
    coingecko: str = ""
    defillama: str = ""
    tokens: tuple[tuple[str, str], ...] = ()


class CoinFact(msgspec.Struct, frozen=True, gc=False):
    """What a source says of a coin at a moment.

    Attributes:
        coin: Symbol; "" where it concerns all coins.
        chain: Name as in `chains/`; "" where it is of no chain, or of all together.
        source: Whose word it is.
        event_us: When it was so, the source's clock, us UTC; that of receipt where it tells no time.
        value: Exact, as the source wrote it; its unit stands at `Feature`.
    """

    feature: Feature
    coin: str
    chain: str
    source: str
    event_us: int
    value: Decimal


class CoinAnswer(msgspec.Struct, frozen=True):
    """What an answer says of the coins that are followed, and what of it was not taken."""

    facts: tuple[CoinFact, ...]
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True)
class CoinSource:
    """One source.

    Attributes:
        name: Its id: of its lane and its health.
        source: Who answers; a provider with several answers has one name for all.
        features: What it tells.
        url: Where it is asked without a key.
        requests, seconds: At most so many requests in so long.
        interval_s: Time between two rounds.
        live: Coins -> the requests of one round, without the host.
        read: A request, the body of its answer, the moment of receipt (our clock, ns UTC) and the coins -> what it
            says; raises FormatDrift where the body is of another form.
        keys: Keys that it takes; the first that is set is used, at its own host.
        history: Coins, first and last moment (s since 1970, both included) -> the requests that ask for the past.
        no_history: Why `history` asks for nothing; "" where it does.
        stands_in_for: The source in whose stead it is asked, while that one does not answer; "" where it is asked
            always.
        witness: Whose word it hands on, where that is not its own: facts name this one, so that nobody takes it for a
            second source. "" elsewhere.
    """

    name: str
    source: str
    features: tuple[Feature, ...]
    url: str
    requests: float
    seconds: float
    interval_s: float
    live: Callable[[Sequence[CoinRef]], list[str]]
    read: Callable[[str, bytes, int, Sequence[CoinRef]], CoinAnswer]
    keys: tuple[Key, ...] = field(default=())
    history: Callable[[Sequence[CoinRef], int, int], list[str]] = lambda coins, first_s, last_s: []
    no_history: str = ""
    stands_in_for: str = ""
    witness: str = ""


def received_us(recv_ns: int) -> int:
    """A moment of receipt in us, rounded up, as `known_at` of tables is."""
    return -(-recv_ns // 1_000)
