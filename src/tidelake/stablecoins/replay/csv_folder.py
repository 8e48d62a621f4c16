"""A folder of CSV files as a history: see `csv_files` for what they hold.

Where a chain has no `heads.csv`, its supply file is taken to hold all changes, and is final when the grace has passed.
Rows whose time stands alone are refused: those that lie more than `APART_DAYS` from the stretch of days that has most
rows. Else one wrong year would be years of windows.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tidelake.errors import ConfigError
from tidelake.stablecoins.observation import Observation, Telling
from tidelake.stablecoins.replay.csv_files import HEADS, MARKET, CsvFile, csv_files
from tidelake.stablecoins.replay.csv_rows import DAY_US, CsvRows, Rows
from tidelake.stablecoins.replay.csv_values import DECIMALS
from tidelake.stablecoins.setup import GRACE_US, LONGEST_GRACE_US, ChainSetup, CoinSetup

WINDOW_US: Final = 300_000_000
APART_DAYS: Final = 31  # our choice


class CsvFolder:
    """A history in a folder.

    Args:
        folder: Of the files.
        read: Reads the rows of files.

    Raises:
        ConfigError: The folder holds no such file or no row that can be read, or a file lacks a column.
    """

    tells_time = False

    def __init__(self, folder: Path, *, read: Callable[[Sequence[CsvFile]], Rows] = CsvRows) -> None:
        self._folder = folder
        self._files = csv_files(folder)
        self._rows = read(self._files)
        if not len(self):
            self.close()
            raise ConfigError(f"the files in {folder} hold no row that can be read")
        days = self._rows.told.days
        self._events = longest_stretch((day.event, day.rows) for day in days)
        self._known = longest_stretch((day.known, day.rows) for day in days)
        self._days = [day for day in days if day.event in self._events and day.known in self._known]
        self._strays = sum(day.rows for day in days) - sum(day.rows for day in self._days)

    def __len__(self) -> int:
        return self._rows.told.rows

    @property
    def refused(self) -> dict[str, str]:
        """Rows that could not be read, by file and column: how many, and the first of them."""
        found = self._rows.told.refused
        if not self._strays:
            return found
        why = f"{self._strays} rows lie more than {APART_DAYS} days from most others; give them a folder of their own"
        return {**found, "times": why}

    @property
    def span_us(self) -> tuple[int, int]:
        """The first and the last time that its rows tell."""
        return min(day.first_us for day in self._days), max(day.last_us for day in self._days)

    @property
    def fingerprint(self) -> str:
        """Differs where a file differs."""
        found = hashlib.sha256()
        for file in self._files:
            found.update(f"{file.name}\0".encode())
            with open(file.path, "rb") as opened:
                found.update(hashlib.file_digest(opened, "sha256").digest())
        return found.hexdigest()[:16]

    def setups(self, coins: tuple[str, ...] = ()) -> dict[str, CoinSetup]:
        """The coins of the folder, or those named, as far as files tell of them.

        A feature is expected where it has a file; amounts are in tokens, so that decimals do not matter. A coin's
        windows begin with that in which it is first told of.
        """
        features = {
            coin: found
            for coin, found in self._rows.told.features.items()
            if any(day.coin == coin for day in self._days)
        }
        names = coins or tuple(sorted(features))
        if missing := sorted(set(names) - set(features)):
            raise ConfigError(f"{self._folder} tells nothing of {', '.join(missing)}; it has {', '.join(features)}")
        return {coin: self._setup(coin, features[coin]) for coin in names}

    def _setup(self, coin: str, features: Mapping[str, set[str]]) -> CoinSetup:
        market = features.get(MARKET, set()) | ({"volatility"} if self._has("volatility.csv") else set())
        shared = {"price", "volume", "sentiment"}  # told by chain in such folders, and the coin's all the same
        every = market | {feature for found in features.values() for feature in found if feature in shared}
        chains = tuple(
            ChainSetup(
                name=chain,
                decimals=DECIMALS,
                grace_us=GRACE_US.get(chain, LONGEST_GRACE_US),
                follows_heads=(self._folder / chain / HEADS).is_file(),
                expects=tuple(sorted(features[chain] - shared)),
            )
            for chain in sorted(set(features) - {MARKET})
        )
        first = min(day.first_us for day in self._days if day.coin == coin)
        return CoinSetup(coin=coin, chains=chains, begin_us=first - first % WINDOW_US, expects=tuple(sorted(every)))

    def _has(self, name: str) -> bool:
        return (self._folder / name).is_file()

    def batches(self) -> Iterator[list[Observation]]:
        """All rows as observations, in the order in which they were known, then of their times, then of files."""
        return map(self._without_strays, self._rows.batches()) if self._strays else self._rows.batches()

    def _without_strays(self, batch: list[Observation]) -> list[Observation]:
        events, known = self._events, self._known
        return [seen for seen in batch if seen.event_us // DAY_US in events and seen.known_us // DAY_US in known]

    def tellings(self, coin: str, known_us: int) -> Iterator[Telling]:
        """What was told of a coin and of its chains up to a time, in the order of `batches`."""
        rows = self._rows if isinstance(self._rows, CsvRows) else CsvRows(self._files)
        names = {file.place: file.name for file in self._files}
        for place, row, seen in rows.of_coin(coin, known_us):
            yield Telling(seen, f"{names[place]} line {row + 2}")  # the header is line 1

    def close(self) -> None:
        """End what reads the rows, where that runs elsewhere."""
        self._rows.close()


def longest_stretch(days: Iterable[tuple[int, int]]) -> range:
    """The days that have most rows, of stretches with more than `APART_DAYS` between them; of equals the last.

    Args:
        days: Days and how many rows they have; one may come again.
    """
    stretches: list[list[int]] = []  # first day, last day, rows
    for day, rows in sorted(days):
        if stretches and day - stretches[-1][1] <= APART_DAYS:
            stretches[-1][1:] = day, stretches[-1][2] + rows
        else:
            stretches.append([day, day, rows])
    first, last, _ = max(stretches, key=lambda found: (found[2], found[0]))
    return range(first, last + 1)
