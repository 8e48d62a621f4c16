"""One shard: the machines of its coins, and the messages that it takes and gives.

It answers each message with one message. Observations come with their place in the whole history's part, and records go
back with the place of the observation that gave rise to them, so that the records of several shards can be put in the
order in which one process makes them.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from tidelake.stablecoins.fleet import Fleet, SavedFleet
from tidelake.stablecoins.observation import Observation
from tidelake.stablecoins.records import Record
from tidelake.stablecoins.score import Exponents
from tidelake.stablecoins.setup import CoinSetup
from tidelake.stablecoins.signals import Rules

WIDEST: Final = 1 << 63  # MessagePack has no wider integer; 18 decimals need them


class Start(msgspec.Struct, tag="start"):
    """Follow these coins, from new or from where they were saved."""

    setups: dict[str, CoinSetup]
    rules: Rules | None
    powers: Exponents
    saved: SavedFleet | None


class Take(msgspec.Struct, tag="take"):
    """Take these observations.

    Attributes:
        places: Of each of `seen`, rising.
        wide: Units too wide for the message, by index in `seen`, where they are 0.
    """

    places: list[int]
    seen: list[Observation]
    wide: dict[int, str]

    @classmethod
    def of(cls, places: list[int], seen: list[Observation]) -> "Take":
        """The message of these; `seen` is changed where units are too wide."""
        wide = {index: str(one.units) for index, one in enumerate(seen) if not -WIDEST <= one.units < WIDEST}
        for index in wide:
            seen[index] = msgspec.structs.replace(seen[index], units=0)
        return cls(places, seen, wide)

    def whole(self) -> Sequence[Observation]:
        """The observations with their units."""
        for index, units in self.wide.items():
            self.seen[index] = msgspec.structs.replace(self.seen[index], units=int(units))
        return self.seen


class Save(msgspec.Struct, tag="save"):
    """Say where the machines stand."""


class Said(msgspec.Struct):
    """Records of a part, with the places of the observations that gave rise to them, and coins that stopped."""

    places: list[int]
    records: list[Record]
    failed: dict[str, str]


Message = Start | Take | Save
encode: Final = msgspec.msgpack.Encoder().encode
_read: Final = msgspec.msgpack.Decoder(Message).decode
read_start: Final = msgspec.msgpack.Decoder(Start).decode
read_said: Final = msgspec.msgpack.Decoder(Said).decode
read_saved: Final = msgspec.msgpack.Decoder(SavedFleet).decode


class Worker:
    """A shard's machines; the first message is `Start`."""

    def __init__(self) -> None:
        self._fleet = Fleet({})

    def answer(self, message: bytes) -> bytes:
        """What it says to a message: `Said` to `Start` and `Take`, a `SavedFleet` to `Save`."""
        return encode(self.say(_read(message)))

    def say(self, asked: Message) -> Said | SavedFleet:
        """The same, not yet written down."""
        if isinstance(asked, Save):
            return self.save()
        if isinstance(asked, Start):
            self._fleet = Fleet(asked.setups, rules=asked.rules, powers=asked.powers, saved=asked.saved)
            return Said([], [], self._fleet.failed)
        said = Said([], [], self._fleet.failed)
        take, records, places = self._fleet.take, said.records, said.places
        for place, seen in zip(asked.places, asked.whole(), strict=True):
            take(seen, records)
            if len(records) > len(places):
                places += [place] * (len(records) - len(places))
        return said

    def save(self) -> SavedFleet:
        """Where the machines stand."""
        return self._fleet.save()


def step(state: bytes, message: bytes) -> tuple[bytes, bytes]:
    """A shard as a pure function: the state after a message, and what is said to it.

    Args:
        state: A `Start` that says where the machines stand; whatever it is, a `Start` as message takes its place.
    """
    asked, worker = _read(message), Worker()
    if isinstance(asked, Start):
        return message, encode(worker.say(asked))
    start = read_start(state)
    worker.say(start)
    said = encode(worker.say(asked))
    if isinstance(asked, Save):
        return state, said
    start.saved = worker.save()
    return encode(start), said
