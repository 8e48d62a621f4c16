"""The words in which a source of token prices is described; `providers/<name>.py` holds one `PriceProvider` each.

A price is asked for at the end of a UTC day: there the block stands at which markets are read that day. Numbers are
handed on as the text that the source wrote.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

DAY_S = 86_400
MOST_AWAY_S = 6 * 3600  # a price told further from the asked moment is none of it


@dataclass(frozen=True, slots=True, order=True)
class Token:
    """A token on a chain.

    Attributes:
        chain: Name of the chain, as in `chains/`.
        address: Its contract in small letters; `chains.addresses.NATIVE` for the chain's own coin.
    """

    chain: str
    address: str


@dataclass(frozen=True, slots=True)
class PricePage:
    """One request, without the host: `days` of each of `tokens`."""

    path: str
    tokens: tuple[Token, ...]
    days: tuple[dt.date, ...]


@dataclass(frozen=True, slots=True)
class PriceTold:
    """What a source says of a token on a day.

    Attributes:
        moment_s: When the price was that, by the source, in seconds since 1970; None where it told no price.
        price: In US dollars for a whole token, as the source wrote it; None where it has none.
        confidence: From 0 to 1, as written; None where the source tells none.
        symbol, decimals: Of the token, as the source tells them.
    """

    token: Token
    day: dt.date
    moment_s: int | None = None
    price: str | None = None
    confidence: str | None = None
    symbol: str | None = None
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """An API key: the variable of the environment that holds it, the header it goes by, its host and its limit."""

    variable: str
    header: str
    url: str
    requests: float
    seconds: float


@dataclass(frozen=True)
class PriceProvider:
    """One source of prices.

    Attributes:
        name: Its id: of its lane, of its rows, on the command line.
        url: Where it is asked without a key.
        requests, seconds: At most so many requests in so long.
        keys: Keys that it takes; the first that is set is used, at its own host.
        serves: Whether it can be asked for a token.
        pages: Days that are wanted of tokens -> the fewest requests that ask for them, in a fixed order.
        asked: A request as it was sent -> tokens and days that it asked for; raises FormatDrift where it is none.
        read: A request and the body of its answer -> what it says of each token and day that was asked for, in order;
            raises FormatDrift where the body is of another form.
        answers: Statuses beside 200 that are answers: there is no such token.
    """

    name: str
    url: str
    requests: float
    seconds: float
    serves: Callable[[Token], bool]
    pages: Callable[[Mapping[Token, Sequence[dt.date]]], list[PricePage]]
    asked: Callable[[str], PricePage]
    read: Callable[[str, bytes], list[PriceTold]]
    keys: tuple[Key, ...] = ()
    answers: frozenset[int] = frozenset()


def end_of(day: dt.date) -> int:
    """The end of a UTC day, in seconds since 1970."""
    return (day - dt.date(1970, 1, 1)).days * DAY_S + DAY_S


def day_ending(moment_s: int) -> dt.date:
    """The UTC day that ends then.

    Raises:
        ValueError: None does.
    """
    if moment_s % DAY_S:
        raise ValueError(f"no UTC day ends {moment_s} s after 1970")
    return dt.date(1970, 1, 1) + dt.timedelta(days=moment_s // DAY_S - 1)
