"""Rows of some of a history's files, in the order in which they became known."""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import msgspec
import polars as pl

from tidelake.stablecoins.observation import MICROS, Observation
from tidelake.stablecoins.replay.csv_files import COLUMNS, CsvFile, observe, read_file

BATCH_ROWS: Final = 50_000
DAY_US: Final = 86_400 * MICROS
Key = tuple[int, bool, int, int]  # known_us, whether it is a retraction, event_us, place of the file


class Day(msgspec.Struct, array_like=True, frozen=True):
    """Rows of one coin ("" is none) whose events lie in one UTC day, and that were known in one.

    Attributes:
        event, known: These days, counted from 1970.
        first_us, last_us: The first and the last time that they tell.
    """

    coin: str
    event: int
    known: int
    rows: int
    first_us: int
    last_us: int

    def with_more(self, other: "Day") -> "Day":
        """The same day with the rows of other files."""
        first_us, last_us = min(self.first_us, other.first_us), max(self.last_us, other.last_us)
        return Day(self.coin, self.event, self.known, self.rows + other.rows, first_us, last_us)


class Told(msgspec.Struct):
    """What rows tell of, as a whole.

    Attributes:
        rows: How many can be read.
        days: When.
        features: Those that are told of a coin on a chain: [coin][chain].
        refused: Rows that could not be read, by file and column: how many, and the first of them.
    """

    rows: int
    days: list[Day]
    features: dict[str, dict[str, set[str]]]
    refused: dict[str, str]


class Rows(Protocol):
    """Rows of files, read here or elsewhere."""

    @property
    def told(self) -> Told: ...
    def batches(self) -> Iterator[list[Observation]]: ...
    def close(self) -> None: ...


class CsvRows:
    """Rows of files, held in memory.

    They are in the order of `known_us`; of what became known at one moment, retractions come last, for what they name
    has been told by then; then of `event_us`, then of files and lines.

    Attributes:
        told: What they tell of.

    Raises:
        ConfigError: A file lacks a column.
    """

    def __init__(self, files: Sequence[CsvFile]) -> None:
        refused: dict[str, str] = {}
        parts = [part.with_columns(place=file.place) for file in files for part in read_file(file, refused)]
        parts = [part for part in parts if part.height]
        self._rows = pl.concat(parts).sort(ORDER, maintain_order=True) if parts else pl.DataFrame()
        self.told = _told(self._rows, refused)

    def part(self, start: int, count: int) -> tuple[list[int], list[Observation]]:
        """So many observations from a place on, and the place of the file of each."""
        part = self._rows.slice(start, count)
        columns = [part[name].to_list() for name in COLUMNS]
        return part["place"].to_list(), [observe(*row) for row in zip(*columns, strict=True)]

    def batches(self) -> Iterator[list[Observation]]:
        """All of them."""
        for start in range(0, self._rows.height, BATCH_ROWS):
            yield self.part(start, BATCH_ROWS)[1]

    def of_coin(self, coin: str, known_us: int) -> Iterator[tuple[int, int, Observation]]:
        """What was told of a coin and of chains up to a time: place of the file, row in it from 0, and observation."""
        found = self._rows.filter(pl.col("coin").is_in([coin, ""]), pl.col("known_us") <= known_us)
        for place, row, *told in found.select("place", "row", *COLUMNS).iter_rows():
            yield place, row, observe(*told)

    def close(self) -> None:
        """Nothing is to be ended here."""


ORDER: Final = (pl.col("known_us"), pl.col("feature") == "retract", pl.col("event_us"), pl.col("place"))


def order_key(place: int, seen: Observation) -> Key:
    """By what rows are ordered, as `CsvRows` says; of one file the lines."""
    return seen.known_us, seen.feature == "retract", seen.event_us, place


def _told(rows: pl.DataFrame, refused: dict[str, str]) -> Told:
    if not rows.height:
        return Told(0, [], {}, refused)
    times = pl.col("event_us")
    by_day = rows.group_by("coin", event=times // DAY_US, known=pl.col("known_us") // DAY_US)
    days = [Day(*row) for row in by_day.agg(rows=pl.len(), first=times.min(), last=times.max()).sort(pl.all()).rows()]
    found = rows.filter(pl.col("coin") != "").group_by("coin", "chain").agg(pl.col("feature").unique())
    features: dict[str, dict[str, set[str]]] = {}
    for coin, chain, names in found.iter_rows():
        features.setdefault(coin, {})[chain] = set(names)
    return Told(rows.height, days, features, refused)
