"""Transactions of a simulated chain that log something of a lending market, and what is true of each log."""

from dataclasses import dataclass

from tidelake.sim.chains.draws import Draws
from tidelake.sim.chains.words import address_topic, topic, word

TRANSFER = topic("Transfer(address,address,uint256)")


@dataclass(frozen=True, slots=True)
class Log:
    """What a contract logs; `topics` as "0x.." in small letters."""

    address: str
    topics: tuple[str, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Liquidated:
    """What is true of one log that tells a liquidation; the model's words, none of a decoder.

    Attributes:
        market: Id of the market.
        event: Name of the event.
        debt_token, debt_repaid, collateral_token, collateral_seized, bad_debt, part: As the log tells them; None or ""
            where it does not.
        debt_asset, collateral_asset: The assets behind, also where the log does not name them; None where the log is
            not of that side.
    """

    market: str
    event: str
    borrower: str
    liquidator: str
    debt_token: str | None = None
    debt_repaid: int | None = None
    collateral_token: str | None = None
    collateral_seized: int | None = None
    bad_debt: int | None = None
    part: str = ""
    debt_asset: str | None = None
    collateral_asset: str | None = None


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction with logs.

    Attributes:
        hash: Its own, on whatever branch and in whatever block it stands.
        number: Block that it stands in where nothing was reorganised.
        sender, to: Addresses.
        logs: In their order.
        truths: Of each log what is true of it; None where it tells no liquidation.
        moves: By how much collateral of a Morpho market grew: (market id, amount).
    """

    hash: str
    number: int
    sender: str
    to: str
    logs: tuple[Log, ...]
    truths: tuple[Liquidated | None, ...]
    moves: tuple[tuple[str, int], ...] = ()


def transfer(draws: Draws, token: str, *words: object) -> Log:
    """A log of another kind, such as stands before those that are looked for."""
    topics = (TRANSFER, *(address_topic(draws.address(end, *words)) for end in ("from", "to")))
    return Log(token, topics, word(draws.below(10**24, "amount", *words)))


def liquidations_a_day(draws: Draws, day: int, *, crash: bool) -> int:
    """How many there are in a market: mostly none, and many where prices fell."""
    rest = draws.below(100, "count", day)
    few = next(count for count, end in enumerate((55, 80, 93, 100)) if rest < end)
    return few + (draws.between(2, 9, "crash", day) if crash else 0)
