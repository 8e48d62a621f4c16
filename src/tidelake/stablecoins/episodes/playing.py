"""One folder of bars played to the machines of its coins: the price that they saw, and the life of each alert."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from tidelake.errors import ConfigError
from tidelake.stablecoins.episodes.registry import Episode
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.observation import MICROS
from tidelake.stablecoins.records import AlertRow, Record, WindowRow
from tidelake.stablecoins.replay.bars import BAR_FILES, BarsFolder
from tidelake.stablecoins.replay.player import with_clock
from tidelake.stablecoins.replay.run import SETTLE_US
from tidelake.stablecoins.signals import SEVERITIES, History, Rules

WINDOW_S: Final = 60
DAY_US: Final = 86_400 * MICROS
TIME: Final = pl.Datetime("us", "UTC")
SCHEMA: Final = {
    "at": pl.Int64, "known": pl.Int64, "price": pl.Float64, "low": pl.Float64, "high": pl.Float64,
    "volatility": pl.Float64, "usual": pl.Float64,
}  # fmt: skip


class Step(msgspec.Struct, frozen=True):
    """A step in the life of an alert; `measure` is the worst until then."""

    at: dt.datetime
    severity: str
    state: str
    measure: float
    reason: str


class Life(msgspec.Struct, frozen=True):
    """An alert from its first step to its last.

    Attributes:
        fired_at: When it was known, UTC.
        ended_at: End of the window by which it was over; None where it was not.
        severity, state, measure: At the last step, the measure being the worst.
        is_calm: Whether it fired on a calm day: then it is a false alarm.
    """

    alert_id: str
    kind: str
    fired_at: dt.datetime
    ended_at: dt.datetime | None
    severity: str
    state: str
    measure: float
    is_calm: bool
    steps: tuple[Step, ...]

    def reached(self, severity: str) -> Step | None:
        """The step by which it reached a severity, or one above it; None where it did not."""
        least = SEVERITIES.index(severity)
        return next((step for step in self.steps if SEVERITIES.index(step.severity) >= least), None)


@dataclass(frozen=True)
class Played:
    """What the machine of one coin saw and said.

    Attributes:
        folder: Name of the folder of the bars.
        coin, quote: The pair.
        minutes: A row for each minute that is told: its start `at`, when it was first `known`, `price`, `low`, `high`
            in the quote, `volatility` and the `usual` one that it was held against; null where there was none.
        lives: The alerts, in the order in which they fired.
        episodes: The crises within these bars.
        failed: Why the machine stopped; "" where it did not.
    """

    folder: str
    coin: str
    quote: str
    minutes: pl.DataFrame
    lives: tuple[Life, ...]
    episodes: tuple[Episode, ...]
    failed: str = ""

    @property
    def pair(self) -> str:
        """Coin and quote."""
        return f"{self.coin}/{self.quote}"

    @property
    def calm(self) -> pl.DataFrame:
        """The minutes outside all episodes."""
        outside = [pl.col("at").dt.epoch("us").is_between(*e.span_us, closed="left").not_() for e in self.episodes]
        return self.minutes.filter(*outside)

    @property
    def calm_days(self) -> float:
        """How many days those are."""
        return self.calm.height * WINDOW_S * MICROS / DAY_US


def bar_folders(folder: Path) -> list[Path]:
    """The folder, where it holds bars of a coin, else those of its folders that hold some, by name."""
    found = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    with_bars = [path for path in found if any(not file.name.startswith("BTC") for file in path.glob(BAR_FILES))]
    if not with_bars:
        raise ConfigError(
            f"neither {folder} nor a folder in it holds bars of a coin: files such as USDCUSDT_1m.parquet"
        )
    return with_bars


def play_bars(folder: Path, episodes: Sequence[Episode], rules: Rules | None = None) -> list[Played]:
    """Play a folder of bars, coin by coin in the order of their names.

    Args:
        episodes: All that are known; those of other times are passed over.

    Raises:
        ConfigError: The folder holds no bars of a coin.
    """
    rules = rules or Rules()
    history = BarsFolder(folder)
    setups = history.setups()
    fleet = Fleet(setups, rules=rules)
    kept: dict[str, list[Record]] = {coin: [] for coin in setups}
    for batch in with_clock(history.batches(), SETTLE_US):
        records: list[Record] = []
        fleet.take_all(batch, records)
        for record in records:
            if isinstance(record, AlertRow) or (
                isinstance(record, WindowRow) and record.window_s == WINDOW_S and record.event_version == 1
            ):
                kept[record.coin].append(record)
    first, last = history.span_us
    inside = tuple(e for e in episodes if e.span_us[0] <= last and first < e.span_us[1])
    found = []
    for coin, records in sorted(kept.items()):
        steps: dict[str, list[AlertRow]] = {}
        for record in records:
            if isinstance(record, AlertRow):
                steps.setdefault(record.alert_id, []).append(record)
        lives = tuple(_life(each, inside) for each in steps.values())
        minutes = _minutes(records, rules)
        failed = fleet.failed.get(coin, "")
        found.append(Played(folder.name, coin, history.pairs[coin], minutes, lives, inside, failed))
    return found


def _minutes(records: Iterable[Record], rules: Rules) -> pl.DataFrame:
    """The minutes in which a price was told, with the median that their volatility was held against."""
    past = History()
    rows = []
    for record in records:
        if isinstance(record, WindowRow) and record.price_sources:
            usual = past.usual.get("volatility")
            past.remember(record, rules)
            told = (record.window_start_us, record.known_us, record.price, record.price_low, record.price_high)
            rows.append((*told, record.market_volatility, usual))
    found = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return found.with_columns(pl.col("at", "known").cast(TIME))


def _life(steps: Sequence[AlertRow], inside: Sequence[Episode]) -> Life:
    last = steps[-1]
    return Life(
        alert_id=last.alert_id,
        kind=last.kind,
        fired_at=_time(last.fired_us),
        ended_at=None if last.ended_us is None else _time(last.ended_us),
        severity=last.severity,
        state=last.state,
        measure=last.measure,
        is_calm=not any(episode.span_us[0] <= last.fired_us < episode.span_us[1] for episode in inside),
        steps=tuple(Step(_time(each.known_us), each.severity, each.state, each.measure, each.reason) for each in steps),
    )


def _time(time_us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(time_us / MICROS, dt.UTC)
