"""What sources say of stablecoins, in one form for all of them; numbers are exact, as the source wrote them.

A value that is out of its range is handed on as None, and a `Refused` beside it says why: a zero price or a time in
another unit never passes as a value. What a source leaves out is None, never zero.
"""

from decimal import Decimal, DecimalException
from typing import Literal, TypeAlias

import msgspec

MOST_UNITS = Decimal("1e18")  # of coins or of US dollars: more is another unit
MOST_PRICE = Decimal("1e9")  # US dollars for a coin
FIRST_US = 1_356_998_400_000_000  # 2013-01-01: the sources are younger
Moment: TypeAlias = Literal["now", "day", "week", "month"]
MOMENTS: tuple[Moment, ...] = ("now", "day", "week", "month")


class Refused(msgspec.Struct, frozen=True):
    """A value, or a whole coin, that was not taken.

    Attributes:
        coin: Id at the source; the place in the answer where it tells none.
        field: The source's name of the value; "" for the whole coin.
        reason: What was found and expected.
    """

    coin: str
    field: str
    reason: str


class CoinMarket(msgspec.Struct, frozen=True, gc=False):
    """What a source says of a coin's market.

    Attributes:
        coin: Id at the source.
        symbol, name: As the source has them; no ids: several coins share a symbol.
        event_us: When the source last changed this, its clock, microseconds UTC.
        price_usd: US dollars for one coin, never clipped.
        volume_usd_24h: Traded in the 24 hours before, in US dollars.
        market_cap_usd: In US dollars.
        circulating, total: Supplies in whole coins.
    """

    coin: str
    symbol: str
    name: str
    event_us: int
    price_usd: Decimal | None
    volume_usd_24h: Decimal | None
    market_cap_usd: Decimal | None
    circulating: Decimal | None
    total: Decimal | None


class Amounts(msgspec.Struct, frozen=True):
    """Coins that circulate, in whole coins: at the answer's moment, and a day, a week and a month before.

    None: the source told none.
    """

    now: Decimal | None
    day: Decimal | None
    week: Decimal | None
    month: Decimal | None


class ChainAmounts(msgspec.Struct, frozen=True):
    """What circulates on one chain.

    Attributes:
        name: The source's name of the chain.
        chain: Ours; None where the chain is not known here.
    """

    name: str
    chain: str | None
    amounts: Amounts


class CoinCirculating(msgspec.Struct, frozen=True):
    """What a source says circulates of a coin.

    Attributes:
        coin: Id at the source.
        symbol, name: As the source has them.
        peg: What it is pegged to, as the source names it: "peggedUSD".
        mechanism: As the source sorts it: "fiat-backed".
        price_usd: US dollars for one coin.
        total: Over all chains, as the source adds them.
        chains: By chain.
    """

    coin: str
    symbol: str
    name: str
    peg: str
    mechanism: str
    price_usd: Decimal | None
    total: Amounts
    chains: tuple[ChainAmounts, ...]


class ChainTotal(msgspec.Struct, frozen=True):
    """What all coins of a peg on one chain are worth, in US dollars, as the source adds them."""

    name: str
    chain: str | None
    peg: str
    usd: Decimal


class SumDifference(msgspec.Struct, frozen=True):
    """A total that is not the sum of its parts.

    Attributes:
        of: Id of the coin; the peg for the total over chains.
        moment: For which moment.
        told: The total; None where none was told beside parts.
        summed: The sum of the parts.
    """

    of: str
    moment: Moment
    told: Decimal | None
    summed: Decimal


class Refusals:
    """Gathers what was not taken while an answer is read."""

    def __init__(self) -> None:
        self.found: list[Refused] = []

    def number(self, coin: str, field: str, told: object, most: Decimal, *, positive: bool = False) -> Decimal | None:
        """A number that was told, None where it is null, or refused: below 0 (or 0), above `most`, or no number."""
        if told is None:
            return None
        try:
            value = told if isinstance(told, Decimal) else Decimal(str(told))
        except DecimalException:
            value = None
        if value is None or not value.is_finite():
            self.refuse(coin, field, f"{str(told)[:60]!r} is no number")
            return None
        if value < 0 or value > most or (positive and value == 0):
            self.refuse(coin, field, f"{value} is not {'above' if positive else 'from'} 0 and at most {most:f}")
            return None
        return value

    def refuse(self, coin: str, field: str, reason: str) -> None:
        """Keep the reason."""
        self.found.append(Refused(coin, field, reason))
