"""Shards of features: prices, liquidity, supply, volatility and sentiment are read apart, and merged again.

Each reads the files of its feature and makes observations of them; the coordinator of them puts those in the order in
which one reader would give them. What reads keeps nothing: a shard that is lost is begun again and asked from where it
was.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from tidelake.errors import ConfigError
from tidelake.stablecoins.observation import Observation
from tidelake.stablecoins.replay.csv_files import CsvFile
from tidelake.stablecoins.replay.csv_rows import CsvRows, Day, Key, Told, order_key
from tidelake.stablecoins.shards.links import OpenLink
from tidelake.stablecoins.shards.shard import Shard
from tidelake.stablecoins.shards.worker import Take, encode

FEATURES: Final[Mapping[str, tuple[str, ...]]] = {
    "price": ("price.csv", "sources.csv"),
    "liquidity": ("liquidity.csv", "circulating.csv"),
    "supply": ("supply.csv", "heads.csv", "retractions.csv"),
    "volatility": ("volatility.csv",),
    "sentiment": ("sentiment.csv",),
}
PART: Final = 20_000  # rows: while they are merged, the next ones are read


class Open(msgspec.Struct, tag="open"):
    """Read these files; the answer is `Opened`."""

    files: list[CsvFile]


class Opened(msgspec.Struct):
    """What the files tell of, or why they cannot be read."""

    told: Told
    error: str = ""


class More(msgspec.Struct, tag="more"):
    """Give so many rows, from a place on; the answer is a `Take`, with the place of the file of each."""

    start: int
    count: int


_read: Final = msgspec.msgpack.Decoder(Open | More).decode
_read_opened: Final = msgspec.msgpack.Decoder(Opened).decode
_read_part: Final = msgspec.msgpack.Decoder(Take).decode


class Reader:
    """The work of a shard: the rows of its files; the first message is `Open`."""

    def __init__(self) -> None:
        self._rows = CsvRows(())

    def answer(self, message: bytes) -> bytes:
        """What it says to a message: `Opened` to `Open`, a `Take` to `More`."""
        asked = _read(message)
        if isinstance(asked, Open):
            try:
                self._rows = CsvRows(asked.files)
            except ConfigError as exc:
                return encode(Opened(self._rows.told, str(exc)))
            return encode(Opened(self._rows.told))
        return encode(Take.of(*self._rows.part(asked.start, asked.count)))


class FeatureShards:
    """Rows of files, read by a shard for each feature that they tell of.

    Args:
        files: Of a folder.
        open_link: Begins a shard.
        part: Rows that a shard is asked for at a time.

    Attributes:
        told: What they tell of.

    Raises:
        ConfigError: A file lacks a column.
        ShardLost: A shard was lost again and again.
    """

    def __init__(self, files: Sequence[CsvFile], *, open_link: OpenLink, part: int = PART) -> None:
        dealt = {name: [file for file in files if file.kind in kinds] for name, kinds in FEATURES.items()}
        self._part = part
        self._shards = {
            name: (Shard(partial(open_link, Reader), encode(Open(of_name))), encode(Open(of_name)))
            for name, of_name in dealt.items()
            if of_name
        }
        self._rows: dict[str, int] = {}
        self._runs: list[_Run] = []
        found: list[Told] = []
        for name, (shard, start) in self._shards.items():
            opened = _read_opened(shard.answer())
            if opened.error:
                self.close()
                raise ConfigError(opened.error)
            found.append(opened.told)
            self._rows[name] = opened.told.rows
            shard.saved(start)
        self.told = _together(found)

    @property
    def features(self) -> tuple[str, ...]:
        """Those that have a shard."""
        return tuple(self._shards)

    @property
    def restarts(self) -> int:
        """How often a shard was lost and begun again."""
        return sum(shard.restarts for shard, _ in self._shards.values())

    def batches(self) -> Iterator[list[Observation]]:
        """All of them, as `CsvRows` orders them; may be begun again before it has ended."""
        for run in self._runs:
            run.let_go()
        self._runs = runs = [
            _Run(shard, start, self._rows[name], self._part)
            for name, (shard, start) in self._shards.items()
            if self._rows[name]
        ]
        while True:
            for run in runs:
                run.fill()
            runs = [run for run in runs if run.keys]
            if not runs:
                return
            bound = min((run.keys[-1] for run in runs if run.more), default=max(run.keys[-1] for run in runs))
            keys: list[Key] = []
            seen: list[Observation] = []
            for run in runs:
                of_run = run.up_to(bound)
                keys += of_run[0]
                seen += of_run[1]
            yield [seen[at] for at in sorted(range(len(keys)), key=keys.__getitem__)]

    def close(self) -> None:
        """End the shards."""
        for shard, _ in self._shards.values():
            shard.close()


class _Run:
    """The rows of one shard, as far as they have been read and not handed on."""

    def __init__(self, shard: Shard, start: bytes, rows: int, part: int) -> None:
        self.keys: list[Key] = []
        self._seen: list[Observation] = []
        self._shard, self._start, self._rows, self._part = shard, start, rows, part
        self._asked = self._read = 0
        self._ask()

    @property
    def more(self) -> bool:
        """Whether the shard has rows that were not read yet."""
        return self._read < self._rows

    def fill(self) -> None:
        """Read the next rows, where there are none left and the shard has more."""
        if self.keys or not self.more:
            return
        take = _read_part(self._shard.answer())
        self._seen = list(take.whole())
        self.keys = [order_key(place, seen) for place, seen in zip(take.places, self._seen, strict=True)]
        self._read = self._asked
        self._shard.saved(self._start)
        if self.more:
            self._ask()

    def let_go(self) -> None:
        """Take the answer that nobody waited for any more."""
        if self._asked > self._read:
            self._shard.answer()
            self._shard.saved(self._start)
            self._read = self._asked

    def up_to(self, bound: Key) -> tuple[list[Key], list[Observation]]:
        """Take out what is not after the bound."""
        cut = bisect_right(self.keys, bound)
        found = self.keys[:cut], self._seen[:cut]
        del self.keys[:cut], self._seen[:cut]
        return found

    def _ask(self) -> None:
        self._shard.ask(encode(More(self._asked, self._part)))
        self._asked = min(self._asked + self._part, self._rows)


def _together(found: Sequence[Told]) -> Told:
    days: dict[tuple[str, int, int], Day] = {}
    whole = Told(sum(told.rows for told in found), [], {}, {})
    for told in found:
        for day in told.days:
            key = day.coin, day.event, day.known
            days[key] = day.with_more(days[key]) if key in days else day
        whole.refused |= told.refused
        for coin, chains in told.features.items():
            for chain, names in chains.items():
                whole.features.setdefault(coin, {}).setdefault(chain, set()).update(names)
    whole.days = [days[key] for key in sorted(days)]
    return whole
