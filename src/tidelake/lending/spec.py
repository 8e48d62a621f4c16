"""The words in which a family of lending protocols is described.

A family never does I/O. `positions` is a generator: it yields calls, all of which can be made together, is sent their
results, and returns what they say. Who collects drives it over the nodes of a chain and keeps every answer; who derives
drives it over the answers that were kept. So both read a market by the same code.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from tidelake.chains.abi import Event, Function
from tidelake.chains.addresses import NATIVE as NATIVE, ZERO_ADDRESS as ZERO_ADDRESS
from tidelake.chains.logs import LogFact
from tidelake.chains.multicall import Call, CallResult
from tidelake.errors import FormatDrift

T = TypeVar("T")
Asking: TypeAlias = Generator[list[Call], Sequence[CallResult], T]
Role = Literal["loan", "collateral"]


class Contracts(Protocol):
    """What a family needs to know of a market."""

    @property
    def id(self) -> str: ...

    @property
    def contracts(self) -> Mapping[str, str]: ...

    @property
    def known_tokens(self) -> Sequence[str]:
        """Contracts that are known to belong to it, where an early version cannot list them; else empty."""


@dataclass(frozen=True, slots=True)
class Position:
    """What a market holds of one asset at a block. Amounts are integers in the asset's smallest unit.

    Attributes:
        asset: Address in small letters; `NATIVE` for the chain's own coin.
        symbol: As its contract tells it; "" where it tells none.
        decimals: Places after the point of one whole asset.
        role: "loan": it is lent out, and may be collateral too. "collateral": it is never lent.
        supplied: What suppliers own, interest included up to the last accrual.
        borrowed: What borrowers owe, likewise.
        available: What lies in the market to be borrowed or withdrawn; None where the protocol does not tell.
        part: Which part of the market it belongs to, where one asset has several (a cToken, a market id); else "".
        shares: How many of the supply token that is its `part` (a cToken) `supplied` stands behind, in its smallest
            unit: seized collateral is told in these; None elsewhere.
        active, frozen, paused: As the protocol tells; None where it does not.
    """

    asset: str
    symbol: str
    decimals: int
    role: Role
    supplied: int
    borrowed: int
    available: int | None
    part: str = ""
    shares: int | None = None
    active: bool | None = None
    frozen: bool | None = None
    paused: bool | None = None


@dataclass(frozen=True, slots=True)
class Liquidation:
    """One liquidation of a borrower, told by one log; one for each collateral that was taken.

    Attributes:
        log: The log that tells it.
        borrower, liquidator: Addresses.
        debt_token, debt_repaid: What was paid back, in the smallest unit; None where another log tells it.
        collateral_token, collateral_seized: What was taken; of Compound v2 in units of the cToken. None as above.
        bad_debt: Debt that nobody paid, in units of `debt_token`; None where the protocol does not tell it here.
        part: As in `Position`.
    """

    log: LogFact
    borrower: str
    liquidator: str
    debt_token: str | None = None
    debt_repaid: int | None = None
    collateral_token: str | None = None
    collateral_seized: int | None = None
    bad_debt: int | None = None
    part: str = ""


@dataclass(frozen=True)
class Family:
    """A family of protocols whose contracts are read alike.

    Attributes:
        name: As the registry says it.
        positions: A market, and parts of it that the caller knows of (`parts`), -> its positions.
        addresses: A market and its positions -> the contracts whose logs tell liquidations.
        events: The events that tell them.
        liquidation: A market and a log of these events -> what it tells; raises FormatDrift where it is of
            another form.
        state_events: The events that tell amounts which no call tells; all of them since the deployment are needed.
        parts: The event that tells of a new part, and the name of its parameter, where only logs list the parts.
    """

    name: str
    positions: Callable[[Contracts, Sequence[str]], Asking[list[Position]]]
    addresses: Callable[[Contracts, Sequence[Position]], list[str]]
    events: tuple[Event, ...]
    liquidation: Callable[[Contracts, LogFact], Liquidation]
    parts: tuple[Event, str] | None = None
    state_events: tuple[Event, ...] = ()
    by_topic: Mapping[str, Event] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_topic", {event.topic0: event for event in self.events})


def told(function: Function, result: CallResult, contract: str) -> tuple[Any, ...]:
    """The values of a call that must succeed.

    Raises:
        FormatDrift: It failed, or returned something else than the function does.
    """
    if not result.success:
        raise FormatDrift(f"{function.signature} of {contract} failed: 0x{result.data[:68].hex()}")
    try:
        return function.decode(result.data)
    except FormatDrift as exc:
        raise FormatDrift(f"{contract}: {exc}") from exc


def number(function: Function, result: CallResult, contract: str) -> int:
    """The one integer of a call that must succeed; raises as `told` does."""
    return int(told(function, result, contract)[0])


def address(function: Function, result: CallResult, contract: str) -> str:
    """The one address of a call that must succeed, in small letters; raises as `told` does."""
    return str(told(function, result, contract)[0]).lower()


def addresses(function: Function, result: CallResult, contract: str) -> list[str]:
    """The list of addresses of a call that must succeed, in small letters; raises as `told` does."""
    return [str(one).lower() for one in told(function, result, contract)[0]]
