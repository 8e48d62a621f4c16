"""Rows of windows as forecasts: the factors of their scores, and whether what they state was what became final."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tidelake.errors import ConfigError
from tidelake.stablecoins.calibration.stated import Stated, departures, stated
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.observation import MICROS, Observation
from tidelake.stablecoins.records import Record, WindowRow
from tidelake.stablecoins.replay.player import with_clock
from tidelake.stablecoins.setup import CoinSetup

FACTORS: Final = ("finality", "cross_chain", "completeness", "staleness", "reorg")
SETTLE_US: Final = 2 * 3600 * MICROS
MINUTE_US: Final = 60 * MICROS
OPEN_AT_US: Final = 30 * MICROS  # OPEN windows are asked half a minute after each full minute

Floats = npt.NDArray[np.float64]
Key = tuple[str, str, int, int]


@dataclass(frozen=True)
class Samples:
    """Forecasts of one history, or of several.

    Attributes:
        factors: float64[n, 5], as `FACTORS` names them, before their exponents.
        came_true: bool[n].
        is_open: bool[n], rows of OPEN windows; the others are PROVISIONAL.
        departures: How many rows said something else than the final row, by what it was of.
        unsettled: Windows that have no FINAL row in the truth; their rows are no samples.
        finals, finals_wrong: FINAL rows of the history as it was told, and how many of them depart from the truth.
    """

    factors: Floats
    came_true: npt.NDArray[np.bool_]
    is_open: npt.NDArray[np.bool_]
    departures: Counter[str]
    unsettled: int
    finals: int
    finals_wrong: int

    def __len__(self) -> int:
        return len(self.came_true)

    def only(self, mask: npt.NDArray[np.bool_]) -> "Samples":
        """Those of the mask; the counts stay those of all."""
        return Samples(
            self.factors[mask],
            self.came_true[mask],
            self.is_open[mask],
            self.departures,
            self.unsettled,
            self.finals,
            self.finals_wrong,
        )


def join(parts: Iterable[Samples]) -> Samples:
    """Samples of several histories together."""
    all_parts = list(parts)
    if not all_parts:
        raise ConfigError("there are no samples to join")
    return Samples(
        np.concatenate([part.factors for part in all_parts]),
        np.concatenate([part.came_true for part in all_parts]),
        np.concatenate([part.is_open for part in all_parts]),
        sum((part.departures for part in all_parts), Counter()),
        sum(part.unsettled for part in all_parts),
        sum(part.finals for part in all_parts),
        sum(part.finals_wrong for part in all_parts),
    )


def collect(
    setups: Mapping[str, CoinSetup],
    told: Iterable[list[Observation]],
    clean: Iterable[list[Observation]],
    until_us: int,
) -> Samples:
    """Samples of a history: each version of each PROVISIONAL window, and each OPEN window once a minute.

    Args:
        setups: Its coins.
        told: What became known, faults included, in the order of `known_us`.
        clean: Its final facts alone: their FINAL rows are the truth.
        until_us: Windows that end later are left out, for the history ends there.

    Raises:
        ConfigError: The truth has no FINAL window, or a machine stopped.
    """
    truth: dict[Key, Stated] = {}
    for row in _rows(setups, clean):
        if row.window_state == "FINAL" and row.window_end_us <= until_us:
            truth[_key(row)] = stated(row)
    if not truth:
        raise ConfigError("the history has no FINAL window: it is too short, or its chains never become final")
    factors: list[tuple[float, ...]] = []
    came_true: list[bool] = []
    is_open: list[bool] = []
    wrong: Counter[str] = Counter()
    unsettled: set[Key] = set()
    finals = finals_wrong = 0
    for row in _rows(setups, told, asks_open=True):
        if row.window_end_us > until_us:
            continue
        key = _key(row)
        final = truth.get(key)
        if final is None:
            unsettled.add(key)
            continue
        apart = departures(stated(row), final)
        if row.window_state == "FINAL":
            finals += 1
            finals_wrong += bool(apart)
            continue
        parts = row.confidence_breakdown
        factors.append((parts.finality, parts.cross_chain, parts.completeness, parts.staleness, parts.reorg))
        came_true.append(not apart)
        is_open.append(row.window_state == "OPEN")
        wrong.update(apart)
    return Samples(
        np.array(factors, dtype=np.float64).reshape(-1, len(FACTORS)),
        np.array(came_true, dtype=np.bool_),
        np.array(is_open, dtype=np.bool_),
        wrong,
        len(unsettled),
        finals,
        finals_wrong,
    )


def _rows(
    setups: Mapping[str, CoinSetup], batches: Iterable[list[Observation]], *, asks_open: bool = False
) -> Iterator[WindowRow]:
    fleet = Fleet(setups)
    records: list[Record] = []
    ask_us = 0
    for batch in with_clock(batches, SETTLE_US):
        for seen in batch:
            if asks_open and seen.known_us >= ask_us:
                if ask_us:
                    for machine in fleet.machines.values():
                        yield from machine.open_rows()
                ask_us = seen.known_us - seen.known_us % MINUTE_US + OPEN_AT_US
                ask_us += MINUTE_US if ask_us <= seen.known_us else 0
            fleet.take(seen, records)
        yield from (record for record in records if isinstance(record, WindowRow))
        records.clear()
    if fleet.failed:
        raise ConfigError(f"machines stopped: {fleet.failed}")


def _key(row: WindowRow) -> Key:
    return row.coin, row.chain, row.window_s, row.window_start_us
