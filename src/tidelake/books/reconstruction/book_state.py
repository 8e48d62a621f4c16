"""A replay written down as bytes, so that another process goes on where it stood."""

import msgspec
import numpy as np
import zstandard

from tidelake.books.reconstruction.batch import Integers
from tidelake.books.reconstruction.compared import SnapshotSource
from tidelake.books.reconstruction.replay import Replay
from tidelake.errors import ReplayRefused
from tidelake.kernels.dense_book import apply_messages, empty_book
from tidelake.kernels.replay_book import write_levels
from tidelake.kernels.replay_compare import COUNT, STATE

VERSION = 1


class _Levels(msgspec.Struct, frozen=True):
    """Levels of a side, the best first; each tick as its distance from the one before, for those pack well."""

    steps: bytes
    lots: bytes


class _Written(msgspec.Struct, frozen=True):
    version: int
    clock_ns: int
    recv_ns: int
    grid_ns: int
    waiting: SnapshotSource | None
    state: bytes
    differences: bytes
    bids: _Levels
    asks: _Levels


def write_state(replay: Replay) -> bytes:
    """The book and all that its next event depends on; the options of the replay are not among it."""
    written = _Written(
        version=VERSION,
        clock_ns=replay.clock_ns,
        recv_ns=replay.recv_ns,
        grid_ns=replay.grid_ns,
        waiting=replay.waiting,
        state=replay.state.tobytes(),
        differences=replay.differences[:, : replay.state[COUNT]].tobytes(),
        bids=_written_levels(replay, 0),
        asks=_written_levels(replay, 1),
    )
    return zstandard.compress(msgspec.msgpack.encode(written))


def read_state(replay: Replay, written: bytes) -> None:
    """Puts a replay where the written one stood; it must have the same options.

    Raises:
        ReplayRefused: These bytes are no state that this version wrote.
    """
    try:
        kept = msgspec.msgpack.decode(zstandard.decompress(written), type=_Written)
    except (zstandard.ZstdError, msgspec.MsgspecError) as exc:
        raise _unreadable(replay, str(exc)) from exc
    if kept.version != VERSION or len(kept.state) != 8 * STATE:
        raise _unreadable(replay, f"version {kept.version}, expected {VERSION}")
    replay.clock_ns, replay.recv_ns, replay.grid_ns = kept.clock_ns, kept.recv_ns, kept.grid_ns
    replay.waiting = kept.waiting
    replay.state = _integers(kept.state)
    differences = _integers(kept.differences).reshape(5, -1)
    replay.differences = np.zeros((5, max(64, differences.shape[1])), np.int64)
    replay.differences[:, : differences.shape[1]] = differences
    replay.book = empty_book()  # type: ignore[no-untyped-call]
    for which, levels in enumerate((kept.bids, kept.asks)):
        tick = np.cumsum(_integers(levels.steps))
        side, end = np.full(len(tick), which, np.uint8), np.array([len(tick)], np.int64)
        apply_messages(*replay.book, side, tick, _integers(levels.lots), end, np.empty((1, 2), np.int64))


def _written_levels(replay: Replay, which: int) -> _Levels:
    none = np.empty(0, np.int64)
    count = write_levels(replay.book, which, none, none)
    tick, lots = np.empty(count, np.int64), np.empty(count, np.int64)
    write_levels(replay.book, which, tick, lots)
    return _Levels(np.diff(tick, prepend=0).tobytes(), lots.tobytes())


def _integers(plain: bytes) -> Integers:
    return np.frombuffer(plain, np.int64).copy()


def _unreadable(replay: Replay, why: str) -> ReplayRefused:
    return ReplayRefused(
        f"The written state of a replay cannot be read: {why}. Nothing was changed; replay the day from its start.",
        place=replay.place,
    )
