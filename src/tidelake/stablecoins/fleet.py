"""Machines of many coins: each gets what concerns it, and none can harm another."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from tidelake.stablecoins.machine import Machine
from tidelake.stablecoins.observation import Observation
from tidelake.stablecoins.records import IncidentRow, Record
from tidelake.stablecoins.score import PRIOR, Exponents
from tidelake.stablecoins.setup import CoinSetup
from tidelake.stablecoins.signals import Rules

NOBODY: Final[tuple[Machine, ...]] = ()


class SavedFleet(msgspec.Struct):
    """The states of all machines, written down; `failed` says why those stopped that did."""

    machines: dict[str, bytes]
    failed: dict[str, str]
    unknown: int


class Followers(Protocol):
    """Machines of coins, here or in shards; see `Fleet`."""

    @property
    def failed(self) -> dict[str, str]: ...
    @property
    def unknown(self) -> int: ...
    def take_all(self, seen: Sequence[Observation], out: list[Record]) -> None: ...
    def save(self) -> SavedFleet: ...
    def close(self) -> None: ...


class OpenFleet(Protocol):
    """Begins machines, or lets them go on from where they were saved."""

    def __call__(
        self,
        setups: Mapping[str, CoinSetup],
        *,
        rules: Rules | None = None,
        powers: Exponents = PRIOR,
        saved: SavedFleet | None = None,
    ) -> Followers: ...


class Fleet:
    """One machine for each coin.

    Attributes:
        machines: By coin.
        failed: Coins whose machine stopped, and why; their last state stands, and they take nothing more.
        unknown: Observations of coins that nobody follows.
    """

    def __init__(
        self,
        setups: Mapping[str, CoinSetup],
        *,
        rules: Rules | None = None,
        powers: Exponents = PRIOR,
        saved: SavedFleet | None = None,
    ) -> None:
        self.machines: dict[str, Machine] = {}
        for coin, setup in setups.items():
            if saved is None:
                self.machines[coin] = Machine(setup, rules=rules, powers=powers)
            else:
                self.machines[coin] = Machine.load(setup, saved.machines[coin], rules=rules, powers=powers)
        self.failed: dict[str, str] = dict(saved.failed) if saved else {}
        self.unknown = saved.unknown if saved else 0
        self._route()

    def save(self) -> SavedFleet:
        """Their states; a fleet of the same setups goes on from them."""
        states = {coin: machine.save() for coin, machine in self.machines.items()}
        return SavedFleet(states, dict(self.failed), self.unknown)

    def take_all(self, seen: Sequence[Observation], out: list[Record]) -> None:
        """Take observations in order, and append what they give rise to."""
        take = self.take
        for one in seen:
            take(one, out)

    def close(self) -> None:
        """Nothing is to be ended here."""

    def take(self, seen: Observation, out: list[Record]) -> None:
        """Take one observation, and append what it gives rise to."""
        if seen.coin:
            machine = self._by_coin.get(seen.coin)
            if machine is None:
                self.unknown += seen.coin not in self.machines
                return
            try:
                out.extend(machine.step(seen))
            except Exception as exc:  # a defect met by one coin's data stops that coin alone
                self._stop(machine, seen, exc, out)
            return
        for machine in self._by_chain.get(seen.chain, NOBODY):
            try:
                out.extend(machine.step(seen))
            except Exception as exc:
                self._stop(machine, seen, exc, out)

    def _route(self) -> None:
        alive = [machine for coin, machine in self.machines.items() if coin not in self.failed]
        self._by_coin = {machine.setup.coin: machine for machine in alive}
        self._by_chain: dict[str, tuple[Machine, ...]] = {"": tuple(alive)}
        for machine in alive:
            for chain in machine.setup.chains:
                self._by_chain[chain.name] = (*self._by_chain.get(chain.name, ()), machine)

    def _stop(self, machine: Machine, seen: Observation, exc: Exception, out: list[Record]) -> None:
        coin = machine.setup.coin
        self.failed[coin] = f"{type(exc).__name__}: {exc}"
        self._route()
        out.append(
            IncidentRow(
                coin=coin,
                chain=seen.chain,
                kind="machine_failed",
                event_us=seen.event_us,
                known_us=seen.known_us,
                event_id=seen.id,
                source=seen.source,
                reason=self.failed[coin],
            )
        )
