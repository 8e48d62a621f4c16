"""What the other logs of Aave v3 tell: who supplied, withdrew, borrowed and repaid, and the rates of a reserve.

Source: aave-dao/aave-v3-origin at fd1fbd9, src/contracts/interfaces/IPool.sol
Quirks: Rates and indices are rays: integers in units of 10**-27. An index holds the interest up to its log alone.
Samples: aave-v3-polygon-2024-01-06 of the recorded data.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tidelake.chains.abi import event
from tidelake.chains.logs import LogFact

RAY = 10**27
SUPPLY = event(
    "Supply(address indexed reserve, address user, address indexed onBehalfOf, uint256 amount, "
    "uint16 indexed referralCode)"
)
WITHDRAW = event("Withdraw(address indexed reserve, address indexed user, address indexed to, uint256 amount)")
BORROW = event(
    "Borrow(address indexed reserve, address user, address indexed onBehalfOf, uint256 amount, "
    "uint8 interestRateMode, uint256 borrowRate, uint16 indexed referralCode)"
)
REPAY = event(
    "Repay(address indexed reserve, address indexed user, address indexed repayer, uint256 amount, bool useATokens)"
)
UPDATED = event(
    "ReserveDataUpdated(address indexed reserve, uint256 liquidityRate, uint256 stableBorrowRate, "
    "uint256 variableBorrowRate, uint256 liquidityIndex, uint256 variableBorrowIndex)"
)
# By event: of whom the position changes, and who pays or is paid.
WHO = {
    SUPPLY: ("onBehalfOf", "user"),
    WITHDRAW: ("user", "to"),
    BORROW: ("onBehalfOf", "user"),
    REPAY: ("user", "repayer"),
}
FLOWS = {flow.topic0: flow for flow in WHO}


@dataclass(frozen=True, slots=True)
class Flow:
    """An amount that went into a reserve or out of it.

    Attributes:
        event: "Supply", "Withdraw", "Borrow" or "Repay".
        reserve: Its asset.
        owner: Whose position changed.
        payer: Who paid the amount, or was paid it.
        amount: In the asset's smallest unit.
    """

    log: LogFact
    event: str
    reserve: str
    owner: str
    payer: str
    amount: int


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates a year and indices of a reserve, in rays."""

    liquidity_rate: int
    stable_borrow_rate: int
    variable_borrow_rate: int
    liquidity_index: int
    variable_borrow_index: int


def read_flow(log: LogFact) -> Flow | None:
    """The flow that a log tells; None where it tells something else.

    Raises:
        FormatDrift: It is one of these logs, and not of its form.
    """
    form = FLOWS.get(log.topics[0]) if log.topics else None
    if form is None:
        return None
    found = form.decode(log.topics, log.data)
    owner, payer = WHO[form]
    return Flow(log, form.name, found["reserve"], found[owner], found[payer], found["amount"])


def read_rates(log: LogFact) -> tuple[str, Rates] | None:
    """The reserve whose rates a log tells, and these; None and raises as `read_flow`."""
    if not log.topics or log.topics[0] != UPDATED.topic0:
        return None
    reserve, *values = UPDATED.decode(log.topics, log.data).values()
    return reserve, Rates(*values)


def rates_on_grid(
    updates: Iterable[tuple[int, Rates]], start_s: int, end_s: int, step_s: int
) -> Iterator[tuple[int, Rates | None, int]]:
    """The rates of one reserve at the end of each step of a grid.

    Args:
        updates: Time of the block in seconds since 1970, and rates, in the order of their logs.
        start_s, end_s: First step's beginning, and where the grid ends, exclusive.
        step_s: Length of a step.

    Yields:
        A step's beginning, the last rates told before its end, and their age then in seconds; None and -1 before the
        first were told.
    """
    told = iter(updates)
    ahead = next(told, None)
    last: tuple[int, Rates] | None = None
    for step in range(start_s, end_s, step_s):
        while ahead is not None and ahead[0] < step + step_s:
            last, ahead = ahead, next(told, None)
        yield step, last and last[1], -1 if last is None else step + step_s - last[0]
