"""Where a watch of coins stands, in one file beside the lake's part files: what a killed one goes on from.

The file is written before each batch of records is stored, and holds the batch: where a watch was killed in between the
next one stores it, and each table knows by its number whether it has it. What was told after stands in the lanes.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Final, Self

import msgspec

from tidelake.errors import ConfigError
from tidelake.jobs.watched_chain import ChainPlace
from tidelake.raw.crash_points import reach
from tidelake.raw.store import Store
from tidelake.stablecoins.fleet import SavedFleet
from tidelake.stablecoins.records import Record
from tidelake.stablecoins.setup import CoinSetup
from tidelake.stablecoins.state_files import read_state, write_state
from tidelake.transport.logger import logger

FORM: Final = 1


class WatchState(msgspec.Struct):
    """Where a run stands after a batch.

    Attributes:
        form: Of this file; one of another form is not gone on from.
        run: Its name.
        begun_us: When it began, us UTC.
        setups: Of its machines, by coin, as they were when it began.
        number: Of the batch.
        taken: Observations so far.
        fleet: The machines.
        counts: Records so far, by kind, with those of the batch.
        sizes: Bytes that files of JSON lines have without the batch.
        heard: When the last of what was taken of each feed was known, us UTC.
        chains: How far each chain was taken.
        records: The batch.
    """

    form: int
    run: str
    begun_us: int
    setups: dict[str, CoinSetup]
    number: int
    taken: int
    fleet: SavedFleet
    counts: dict[str, int]
    sizes: dict[str, int]
    heard: dict[str, int]
    chains: dict[str, ChainPlace]
    records: list[Record]


class WatchFile:
    """The file of watches of the same coins on the same chains; nobody else has it open.

    Raises:
        ConfigError: Such a watch runs already.
    """

    def __init__(self, store: Store, coins: Iterable[str], chains: Iterable[str], *, polls: bool) -> None:
        what = sorted(coins), sorted(chains), polls
        name = hashlib.sha256(msgspec.json.encode(what)).hexdigest()[:16]
        self._path = store.spool() / "stablecoins" / f"watch-{name}.json"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            text = f"a watch of {', '.join(what[0])} on {', '.join(what[1])} runs already on this lake"
            raise ConfigError(f"{text}: end it first, or watch other coins or chains") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def load(self, setups: Mapping[str, CoinSetup]) -> WatchState | None:
        """Where the last watch stands; None where there was none, or it cannot be gone on with.

        Args:
            setups: As they would be now: where more differs than the begin and what is expected, facts about the coins
                have changed.
        """
        found = read_state(self._path)
        if not found or msgspec.json.decode(found, type=_Form).form != FORM:
            return None
        state = msgspec.json.decode(found, type=WatchState)
        if _lasting(state.setups) == _lasting(setups):
            return state
        logger().warning("facts about the coins have changed: a new run begins", before=state.run)
        return None

    def written(self, state: WatchState) -> bytes:
        """What `save` takes."""
        return msgspec.json.encode(state)

    def save(self, written: bytes) -> None:
        """Put a state in place of the one before."""
        write_state(self._path, written)
        reach("watch-saved")

    def close(self) -> None:
        """Let others have it."""
        os.close(self._lock)


class _Form(msgspec.Struct):
    form: int = 0


def _lasting(setups: Mapping[str, CoinSetup]) -> list[CoinSetup]:
    return [msgspec.structs.replace(setups[coin], begin_us=0, expects=()) for coin in sorted(setups)]
