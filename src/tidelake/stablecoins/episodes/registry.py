"""Days on which stablecoins were in trouble, as facts with their sources; all other days count as calm."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from tidelake.chains.fact_files import Problem, Source, fact_files, read_facts, refuse_problems
from tidelake.stablecoins.coin import Statement
from tidelake.stablecoins.observation import MICROS

_DAY_US = 86_400 * MICROS


class Episode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One crisis.

    Attributes:
        name: Unique among all.
        title: The same for people.
        start, end: First and last UTC day, both part of it.
        says: What happened, in words.
        statements, sources: Where that was read; one of them at least.
        doubts: What is not sure about its days.
    """

    name: str
    title: str
    start: dt.date
    end: dt.date
    says: str
    statements: tuple[Statement, ...] = ()
    sources: tuple[Source, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def span_us(self) -> tuple[int, int]:
        """[start, end), us UTC."""
        first, last = (
            int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()) * MICROS for day in (self.start, self.end)
        )
        return first, last + _DAY_US


class _File(msgspec.Struct, forbid_unknown_fields=True):
    episode: tuple[Episode, ...] = ()


def episodes(folder: Path | None = None) -> tuple[Episode, ...]:
    """Ours and those of the files `*.toml` of a folder of yours, by their first day.

    Raises:
        ConfigError: A file cannot be read, or an episode has a problem.
    """
    files = fact_files("tidelake.stablecoins.episodes", folder, ".toml", "episodes")
    found = [episode for file in files for episode in read_facts(file, _File).episode]
    refuse_problems(list(_problems(found)), "episodes")
    return tuple(sorted(found, key=lambda episode: (episode.start, episode.name)))


def _problems(found: Iterable[Episode]) -> Iterator[Problem]:
    for name, times in Counter(episode.name for episode in found).items():
        if times > 1:
            yield Problem(name, f"{times} episodes have this name")
    for episode in found:
        if episode.end < episode.start:
            yield Problem(episode.name, f"it ends on {episode.end}, before it begins on {episode.start}")
        if not episode.statements and not episode.sources:
            yield Problem(episode.name, "nothing says where its days were read")
