"""The coordinator: deals a history out to shards, and gives the records that one process gives, in the same order.

A shard that is lost is begun again from where it was saved last, and asked again what it was asked since.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Final

from tidelake.errors import ConfigError
from tidelake.stablecoins.fleet import SavedFleet
from tidelake.stablecoins.observation import Observation
from tidelake.stablecoins.records import Record
from tidelake.stablecoins.score import PRIOR, Exponents
from tidelake.stablecoins.setup import CoinSetup
from tidelake.stablecoins.shards.links import OpenLink
from tidelake.stablecoins.shards.router import CoinRouter, deal
from tidelake.stablecoins.shards.shard import Shard
from tidelake.stablecoins.shards.worker import Save, Start, Take, Worker, encode, read_said, read_saved
from tidelake.stablecoins.signals import Rules

PART: Final = 10_000  # observations: while shards work on a part, the next one is routed


class ShardedFleet:
    """Machines of coins in shards; a `Fleet` to whoever uses it.

    Args:
        shards: How many at most; there is none without a coin.
        open_link: Begins a shard.
        saved: Goes on from there; it may be of another number of shards, or of none.

    Attributes:
        failed: Coins whose machine stopped, and why.

    Raises:
        ConfigError: There is to be no shard.
        ShardLost: A shard was lost `LIVES` times since it was saved. Go on with a new fleet of what was saved.
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
        if shards < 1:
            raise ConfigError(f"coins cannot be dealt out to {shards} shards; a Fleet has none")
        dealt = deal(tuple(setups), shards)
        self.failed: dict[str, str] = dict(saved.failed) if saved else {}
        self._router = CoinRouter(setups, dealt, saved.unknown if saved else 0)
        self._order = {coin: place for place, coin in enumerate(setups)}
        self._starts = [
            Start({coin: setups[coin] for coin in coins}, rules, powers, _of(saved, coins)) for coins in dealt
        ]
        self._shards: list[Shard] = []
        try:
            for start in self._starts:
                self._shards.append(Shard(partial(open_link, Worker), encode(start)))
            for shard in self._shards:
                shard.answer()
        except BaseException:
            self.close()
            raise

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
        working: list[Shard] = []
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
            shard.ask(encode(Save()))
        states: dict[str, bytes] = {}
        for shard, start in zip(self._shards, self._starts, strict=True):
            start.saved = read_saved(shard.answer())
            shard.saved(encode(start))
            states |= start.saved.machines
        return SavedFleet({coin: states[coin] for coin in self._order}, dict(self.failed), self.unknown)

    def close(self) -> None:
        """End the shards."""
        for shard in self._shards:
            shard.close()

    def _route(self, seen: Sequence[Observation]) -> list[tuple[Shard, bytes]]:
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


def _of(saved: SavedFleet | None, coins: Sequence[str]) -> SavedFleet | None:
    """The part of what was saved that is of these coins."""
    if saved is None:
        return None
    failed = {coin: why for coin, why in saved.failed.items() if coin in coins}
    return SavedFleet({coin: saved.machines[coin] for coin in coins}, failed, 0)
