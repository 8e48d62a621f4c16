"""Replays of coins put together: which history, whose machines, where records go. Terminal and API both begin here."""

import datetime as dt
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from tidelake.errors import ConfigError
from tidelake.jobs.coin_lake import LakeHistory
from tidelake.jobs.coin_watched import WatchedHistory
from tidelake.live.redis_shards import RedisLink
from tidelake.raw.store import Store
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.records import Record
from tidelake.stablecoins.replay.bars import BarsFolder
from tidelake.stablecoins.replay.csv_folder import CsvFolder
from tidelake.stablecoins.replay.csv_rows import CsvRows
from tidelake.stablecoins.replay.run import History, Replay
from tidelake.stablecoins.score import PRIOR, Exponents
from tidelake.stablecoins.setup import CoinSetup
from tidelake.stablecoins.shards.coordinator import ShardedFleet
from tidelake.stablecoins.shards.features import FeatureShards
from tidelake.stablecoins.shards.links import OpenLink, ProcessLink
from tidelake.stablecoins.shards.pathway_engine import PathwayEngine

# csv   <chain>/price.csv and so on, in a folder
# bars  USDCUSDT_1m.parquet and so on, in a folder
# lake  what the lake holds
HistoryKind: TypeAlias = Literal["csv", "bars", "lake"]
Runner: TypeAlias = Literal["plain", "pathway"]


class CoinHistory(History, Protocol):
    """A history that knows its coins."""

    @property
    def tells_time(self) -> bool: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def refused(self) -> dict[str, str]: ...
    def setups(self, coins: tuple[str, ...] = ()) -> dict[str, CoinSetup]: ...
    def close(self) -> None: ...


def open_history(
    store: Store | None,
    kind: HistoryKind,
    folder: Path | None = None,
    *,
    start: dt.datetime | None = None,
    end: dt.datetime | None = None,
    assume_latency: dt.timedelta | None = None,
    watch: str = "",
    feature_shards: bool = False,
    bus: str = "",
) -> CoinHistory:
    """The history of a folder, or of the lake; close it when it was played.

    Args:
        store: Of "lake".
        folder: Of "csv" and "bars".
        start, end: Of "lake", what was known in [start, end); with a zone.
        assume_latency: Of "lake"; see `LakeHistory`.
        watch: Of "lake", what the watch of this name took, as it took it.
        feature_shards: Of "csv", read each feature in a process of its own.
        bus: Reach these over this Redis.

    Raises:
        ConfigError: A folder is missing, is not for this kind, or holds no history; or a span is given beside one.
        NotInLake: The lake holds nothing of coins that was known then, or no such watch.
    """
    if feature_shards and kind != "csv":
        raise ConfigError("--feature-shards read the files of --from csv; bars tell of prices alone, and lanes of all")
    if kind == "lake":
        assert store is not None
        if folder is not None:
            raise ConfigError(f"a replay of the lake takes no folder, and {folder} is given")
        if watch:
            if start or end or assume_latency is not None:
                raise ConfigError("a watch is replayed as it was: it takes no start, end or latency")
            return WatchedHistory(store, watch)
        return LakeHistory(store, start_us=_us(start), end_us=_us(end), assume_latency=assume_latency)
    if folder is None:
        raise ConfigError(f"a replay of {kind} needs the folder of its files; the lake is replayed with --from lake")
    if start or end or watch or assume_latency is not None:
        raise ConfigError("a start, an end, a latency and a watch are of the lake; a folder is played whole")
    if kind == "bars":
        return BarsFolder(folder)
    return CsvFolder(folder, read=partial(FeatureShards, open_link=_link(bus)) if feature_shards else CsvRows)


def open_replay(
    store: Store,
    history: CoinHistory,
    kind: HistoryKind,
    *,
    coins: Sequence[str] = (),
    run: str = "",
    jsonl: Path | None = None,
    shards: int = 0,
    bus: str = "",
    runner: Runner = "plain",
    listen: Callable[[list[Record]], None] | None = None,
    powers: Exponents = PRIOR,
) -> tuple[str, Replay]:
    """The run's name and the run, ready to be played.

    Args:
        coins: Only these.
        run: Its name; default: made of the history, the coins and the exponents, so that the same again goes on.
        jsonl: Folder that gets a folder of JSON lines of the run's name.
        shards: Deal the coins out to so many processes; 0: all in this one.
        bus: Reach the shards over this Redis.
        runner: "pathway" runs a machine for each coin in Pathway's engine, without `shards`.
        listen: Gets records as they are made.
        powers: Exponents of the score.

    Raises:
        ConfigError: A folder tells nothing of a coin, or of none at all, or the run was begun with something else; see
            `Replay`.
        NotInLake: The lake does not.
        MissingExtra: Pathway is asked for and not installed.
    """
    setups = history.setups(tuple(coins))
    if not setups:
        raise ConfigError("the history tells of no coin, so there is nothing to play")
    played = history.fingerprint
    fitted = f"-{sha256(powers.version.encode()).hexdigest()[:8]}" if powers.version else ""
    name = run or f"{kind}-{played}-{'-'.join(sorted(setups))}{fitted}"
    link = _link(bus)
    if runner == "pathway":
        if shards:
            raise ConfigError("Pathway has a shard for each coin: leave out --shards")
        link, shards = PathwayEngine().open, len(setups)
    fleet = partial(ShardedFleet, shards=shards, open_link=link) if shards else Fleet
    return name, Replay(
        store,
        name,
        setups,
        history=f"{kind} {played}",
        jsonl=jsonl,
        listen=listen,
        open_fleet=fleet,
        powers=powers,
        passes_time=not history.tells_time,
    )


def _link(bus: str) -> OpenLink:
    return partial(RedisLink, bus) if bus else ProcessLink


def _us(at: dt.datetime | None) -> int | None:
    return None if at is None else (at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
