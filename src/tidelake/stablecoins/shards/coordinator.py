"""The coordinator: deals a history out to shards, and gives the records that one process gives, in the same order.

A shard that is lost is begun again from where it was saved last, and asked again what it was asked since.
"""

import contextlib
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Final

from tidelake.stablecoins.fleet import SavedFleet
from tidelake.stablecoins.observation import Observation
from tidelake.stablecoins.records import Record
from tidelake.stablecoins.score import PRIOR, Exponents
from tidelake.stablecoins.setup import CoinSetup
from tidelake.stablecoins.shards.links import OpenLink, ShardLost
from tidelake.stablecoins.shards.router import CoinRouter, deal
from tidelake.stablecoins.shards.worker import Save, Start, Take, encode, read_said, read_saved
from tidelake.stablecoins.signals import Rules

PART: Final = 10_000  # observations: while shards work on a part, the next one is routed
LIVES: Final = 3  # of a shard between two saves


class ShardedFleet:
    """Machines of coins in shards; a `Fleet` to whoever uses it.

    Args:
        shards: How many at most; there is none without a coin.
        open_link: Begins a shard.
        saved: Goes on from there; it may be of another number of shards, or of none.

    Attributes:
        failed: Coins whose machine stopped, and why.

    Raises:
        ShardLost: A shard was lost `LIVES` times since it was saved.
    """

    def __init__(
        self,
        setups: Mapping[str, CoinSetup],
        *,
        shards: int,
        open_link: OpenLink,
        rules: Rules | None = None,
        powers: Exponents = PRIOR,
        saved: SavedFleet | None = None,
    ) -> None:
        dealt = deal(tuple(setups), shards)
        self.failed: dict[str, str] = dict(saved.failed) if saved else {}
        self._router = CoinRouter(setups, dealt, saved.unknown if saved else 0)
        self._order = {coin: place for place, coin in enumerate(setups)}
        self._shards = [
            _Shard(open_link, Start({coin: setups[coin] for coin in coins}, rules, powers, _of(saved, coins)))
            for coins in dealt
        ]
        for shard in self._shards:
            shard.answer()

    @property
    def unknown(self) -> int:
        """Observations of coins that nobody follows."""
        return self._router.unknown

    @property
    def restarts(self) -> int:
        """How often a shard was lost and begun again."""
        return sum(shard.restarts for shard in self._shards)

    def take_all(self, seen: Sequence[Observation], out: list[Record]) -> None:
        """Take observations in order, and append what they give rise to."""
        working: list[_Shard] = []
        for start in range(0, len(seen), PART):
            messages = self._route(seen[start : start + PART])
            answers = [shard.answer() for shard in working]
            for shard, message in messages:
                shard.ask(message)
            self._merge(answers, out)
            working = [shard for shard, _ in messages]
        self._merge([shard.answer() for shard in working], out)

    def save(self) -> SavedFleet:
        """The states of all machines; a fleet of the same coins goes on from them, in shards or not."""
        for shard in self._shards:
            shard.ask_state()
        states: dict[str, bytes] = {}
        for shard in self._shards:
            states |= shard.saved().machines
        return SavedFleet({coin: states[coin] for coin in self._order}, dict(self.failed), self.unknown)

    def close(self) -> None:
        """End the shards."""
        for shard in self._shards:
            shard.close()

    def _route(self, seen: Sequence[Observation]) -> "list[tuple[_Shard, bytes]]":
        route = self._router.route
        places: list[list[int]] = [[] for _ in self._shards]
        parts: list[list[Observation]] = [[] for _ in self._shards]
        for place, one in enumerate(seen):
            for shard in route(one):
                places[shard].append(place)
                parts[shard].append(one)
        found = zip(self._shards, places, parts, strict=True)
        return [(shard, encode(Take.of(where, part))) for shard, where, part in found if part]

    def _merge(self, answers: Sequence[bytes], out: list[Record]) -> None:
        order = self._order
        told: list[tuple[int, int, Record]] = []
        for answer in answers:
            said = read_said(answer)
            self.failed |= said.failed
            told += [(place, order[row.coin], row) for place, row in zip(said.places, said.records, strict=True)]
        told.sort(key=itemgetter(0, 1))  # as one process goes through its coins; the records of each stay in order
        out.extend([row for _, _, row in told])


class _Shard:
    """A shard, and what it was asked since it was saved."""

    def __init__(self, open_link: OpenLink, start: Start) -> None:
        self.restarts = 0
        self._open, self._start = open_link, start
        self._since: list[bytes] = []
        self._lives = LIVES
        self._link = open_link()
        self.ask(encode(start))

    def ask(self, message: bytes) -> None:
        self._since.append(message)
        self._asked = True
        try:
            self._link.ask(message)
        except ShardLost:
            self._asked = False

    def answer(self) -> bytes:
        """What it says to what it was asked last."""
        if self._asked:
            with contextlib.suppress(ShardLost):
                return self._link.answer()
        while True:
            self._lives -= 1
            try:
                return self._again()
            except ShardLost:
                if not self._lives:
                    raise

    def ask_state(self) -> None:
        self.ask(encode(Save()))

    def saved(self) -> SavedFleet:
        """The answer to `ask_state`, from which the shard is begun again should it be lost."""
        state = read_saved(self.answer())
        self._start.saved = state
        self._since, self._lives = [encode(self._start)], LIVES
        return state

    def close(self) -> None:
        self._link.close()

    def _again(self) -> bytes:
        self._link.close()
        self._link = self._open()
        self.restarts += 1
        said = b""
        for message in self._since:
            self._link.ask(message)
            said = self._link.answer()
        return said


def _of(saved: SavedFleet | None, coins: Sequence[str]) -> SavedFleet | None:
    """The part of what was saved that is of these coins."""
    if saved is None:
        return None
    failed = {coin: why for coin, why in saved.failed.items() if coin in coins}
    return SavedFleet({coin: saved.machines[coin] for coin in coins}, failed, 0)
