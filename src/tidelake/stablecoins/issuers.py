"""What a log tells of a coin's supply, by the rules of the facts, and which logs must be asked for.

A unit is counted once: where a mint emits an event of the issuer and a Transfer from the zero address, one of the two
tells and the other is an echo (`coin.Tells`). Nothing here knows a coin by name.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import msgspec

from tidelake.chains.abi import Event, event
from tidelake.chains.addresses import ZERO_ADDRESS
from tidelake.chains.logs import LogFact, LogFilter
from tidelake.stablecoins.coin import Coin, Deployment, IssuerEvent, Tells

# Source: https://eips.ethereum.org/EIPS/eip-20: a token that creates tokens should log a Transfer from 0x0. That one to
# 0x0 is logged where tokens are burned is custom.
TRANSFER = event("event Transfer(address indexed from, address indexed to, uint256 value)")
ZERO_TOPIC = "0x" + "0" * 64
_BACKED = ("lock_backed", "binance_peg", "issuer_bridged")
_ASKED: tuple[Tells, ...] = ("mint", "burn", "wipe", "replaced")

# Who changed the supply, as far as the facts tell.
#   issuer    the issuer, by a contract that was read
#   mover     a contract that burns on one chain and mints on another: over all chains it changes nothing
#   wipe      the issuer destroyed what a holder had
#   backing   tokens that are backed elsewhere came or went: nothing was issued
#   unknown   the facts do not tell issuing from moving there
Why: TypeAlias = Literal["issuer", "mover", "wipe", "backing", "unknown"]


class SupplyChange(msgspec.Struct, frozen=True, gc=False):
    """What one log says of the supply of one deployment.

    Attributes:
        coin: Symbol of the coin in the registry.
        chain, address: The deployment; the address of its token in small letters.
        kind: "mint", "burn", or "replaced": the contract handed over to another one, and from this log on the supply
            is not told by its events; `by` is the other contract.
        units: In smallest units of the deployment, 0 or more; 0 of "replaced".
        why: Who did it.
        event: Name of the event.
        by: Address that minted or burned (where only that is told, for which it was minted), or that was wiped, in
            small letters; None where the event names none.
        assumed: Whether the contract was never read, and it is taken to log as others do.
        block_number, block_hash, tx_hash, log_index: Where the log stands.
    """

    coin: str
    chain: str
    address: str
    kind: Literal["mint", "burn", "replaced"]
    units: int
    why: Why
    event: str
    by: str | None
    assumed: bool
    block_number: int
    block_hash: str
    tx_hash: str
    log_index: int

    @property
    def change(self) -> int:
        """The units with their sign: a burn is negative."""
        return -self.units if self.kind == "burn" else self.units


@dataclass(frozen=True, slots=True)
class _Told:
    """What an event of a deployment tells."""

    event: Event
    tells: Tells
    amount: str | None
    by: str | None


class SupplyLogs:
    """Reads supply changes out of the logs of coins' deployments.

    The days of a coin play no part: the contract of one that has ended goes on to burn.
    """

    def __init__(self, coins: Iterable[Coin]) -> None:
        self._known = {
            deployment.key: (coin, deployment, _by_topic(coin, deployment))
            for coin in coins
            for deployment in coin.deployments
            if deployment.changes != "none"
        }

    def change(self, log: LogFact) -> SupplyChange | None:
        """What a log says of the supply; None where it says nothing of it, or an echo.

        Raises:
            FormatDrift: It has the first topic of an event that tells, and another form.
            ValueError: It is of no deployment whose supply logs tell.
        """
        known = self._known.get((log.chain, log.address))
        if known is None:
            raise ValueError(f"{log.address} on {log.chain} is no deployment whose logs tell a supply")
        coin, deployment, by_topic = known
        told = by_topic.get(log.topics[0]) if log.topics else None
        if told is None:
            return None
        return _change(coin, deployment, told, log)

    def filters(self, chain: str) -> tuple[LogFilter, ...]:
        """What to ask a chain for, so that all changes of all deployments come: at most three filters.

        A log may fit two of them, or tell nothing: know logs by their keys, and ask `change`.
        """
        asked = [(deployment, topics) for (name, _), (_, deployment, topics) in self._known.items() if name == chain]
        own = [(deployment, topics) for deployment, topics in asked if deployment.changes == "events"]
        by_transfers = [deployment for deployment, _ in asked if deployment.changes != "events"]
        found = [_own_filter(own)] if own else []
        return (*found, *_transfer_filters(by_transfers)) if by_transfers else tuple(found)

    def one_filter(self, chain: str) -> LogFilter | None:
        """One filter that all changes of all deployments fit, for who can ask by one alone; None where no logs tell.

        It is wider than `filters`: where Transfers tell, it asks for all of them.
        """
        asked = [(deployment, topics) for (name, _), (_, deployment, topics) in self._known.items() if name == chain]
        return _own_filter(asked) if asked else None


def filters_of(coin: Coin, deployment: Deployment) -> tuple[LogFilter, ...]:
    """What to ask the chain of one deployment for; nothing where no logs tell its supply."""
    if deployment.changes == "none":
        return ()
    if deployment.changes == "events":
        return (_own_filter([(deployment, _by_topic(coin, deployment))]),)
    return _transfer_filters([deployment])


def _own_filter(asked: list[tuple[Deployment, dict[str, _Told]]]) -> LogFilter:
    topics = dict.fromkeys(topic for _, by_topic in asked for topic in by_topic)
    return LogFilter(tuple(deployment.key[1] for deployment, _ in asked), (tuple(topics),))


def _transfer_filters(deployments: list[Deployment]) -> tuple[LogFilter, LogFilter]:
    """Transfers from the zero address and to it: topics of different places are joined by "and" alone."""
    addresses = tuple(deployment.key[1] for deployment in deployments)
    return (
        LogFilter(addresses, (TRANSFER.topic0, ZERO_TOPIC)),
        LogFilter(addresses, (TRANSFER.topic0, None, ZERO_TOPIC)),
    )


def _by_topic(coin: Coin, deployment: Deployment) -> dict[str, _Told]:
    """The events that tell of a deployment's supply, by first topic; echoes are not among them."""
    if deployment.changes == "events":
        return {told.event.topic0: told for told in _told_by(coin.supply.events)}
    return {TRANSFER.topic0: _Told(TRANSFER, "zero_transfer", "value", None)}


def _told_by(events: Iterable[IssuerEvent]) -> Iterator[_Told]:
    for told in events:
        if told.tells in _ASKED:
            by = told.event.parameters[0].name if told.tells == "replaced" else told.by
            yield _Told(told.event, told.tells, told.amount, by)


def _change(coin: Coin, deployment: Deployment, told: _Told, log: LogFact) -> SupplyChange | None:
    values = told.event.decode(log.topics, log.data)
    kind = _kind(told.tells, values)
    if kind is None:
        return None
    by = values[told.by] if told.by else None
    return SupplyChange(
        coin=coin.symbol,
        chain=deployment.chain,
        address=log.address,
        kind=kind,
        units=values[told.amount] if told.amount and kind != "replaced" else 0,
        why=_why(coin, deployment, told.tells, by),
        event=told.event.name,
        by=by,
        assumed=deployment.changes == "assumed",
        block_number=log.block_number,
        block_hash=log.block_hash,
        tx_hash=log.tx_hash,
        log_index=log.log_index,
    )


def _kind(tells: Tells, values: dict[str, Any]) -> Literal["mint", "burn", "replaced"] | None:
    if tells == "zero_transfer":
        minted, burned = values["from"] == ZERO_ADDRESS, values["to"] == ZERO_ADDRESS
        return None if minted == burned else "mint" if minted else "burn"
    if tells == "replaced":
        return "replaced"
    return "mint" if tells == "mint" else "burn"


def _why(coin: Coin, deployment: Deployment, tells: Tells, by: str | None) -> Why:
    if tells == "wipe":
        return "wipe"
    if deployment.form in _BACKED:
        return "backing"
    movers = {mover.address.lower() for mover in coin.supply.movers if mover.chain == deployment.chain}
    if by is not None and by in movers:
        return "mover"
    on_one_chain = sum(other.counted is True for other in coin.deployments) == 1
    told_apart = on_one_chain or deployment.chain in coin.supply.movers_known_on
    return "issuer" if told_apart and deployment.changes != "assumed" else "unknown"
