"""Shards in Pathway's engine, one for each coin: messages go into a table, what machines say to them comes out of one.

Pathway cuts a stream into minibatches where it likes, and promises no order within one. So each message has its turn:
a coin's machine takes those whose turn has come, keeps the ones that are ahead, and drops what it took before. The
state of a coin is bytes that Pathway holds; a step reads it, and writes the next one.
"""

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final

from tidelake.extras import require
from tidelake.stablecoins.shards.links import Answerer, ShardLost
from tidelake.stablecoins.shards.worker import Worker, read_start, step

Turn = tuple[int, bytes]
Kept = tuple[int, bytes, tuple[Turn, ...], tuple[Turn, ...]]
NOTHING: Final[Kept] = (0, b"", (), ())
POLL_S: Final = 1.0
_graph: Final = threading.Lock()  # Pathway builds one graph in a process


def advance(kept: Kept | None, rows: Sequence[Turn]) -> Kept:
    """What Pathway keeps of a coin after a minibatch of its messages, in whatever order these come.

    Args:
        kept: The next turn, the state of `shards.worker.step`, what was said to the minibatch before, and the messages
            that are ahead of their turn.
        rows: Turns, from 0, and messages; one whose turn was taken is dropped.
    """
    turn, state, _, waiting = kept or NOTHING
    ahead = dict((*waiting, *rows))
    said: list[Turn] = []
    while turn in ahead:
        state, answer = step(state, ahead.pop(turn))
        said.append((turn, answer))
        turn += 1
    return turn, state, tuple(said), tuple(sorted(one for one in ahead.items() if one[0] > turn))


def said_by_coin(told: Any) -> Any:
    """The machines, as a step of any Pathway graph.

    Args:
        told: Table of `coin`, `turn` (int, from 0 and without holes for each coin) and `message` (bytes; see
            `shards.worker`, the first one a `Start`). What is deleted from it was taken all the same.

    Returns:
        Table of `coin` and `said`: pairs of the turn and what was said to its message, of the last minibatch.
    """
    pw = require("pathway", "pathway")

    def machine(kept: Kept | None, rows: list[tuple[list[Any], int]]) -> Kept:
        return advance(kept, [(turn, message) for (turn, message), added in rows if added > 0])

    reduced = told.groupby(told.coin).reduce(
        told.coin, kept=pw.reducers.stateful_many(machine)(told.turn, told.message)
    )
    said = pw.apply_with_type(lambda kept: kept[2], list[tuple[int, bytes]], reduced.kept)
    return reduced.select(reduced.coin, said=said)


class PathwayEngine:
    """Opens shards in one run of Pathway, which ends with the last of them.

    Pathway has one graph in a process, which is cleared here; `said_by_coin` is for a graph of yours.

    Raises:
        MissingExtra: Pathway is not installed.
    """

    def __init__(self) -> None:
        self._pathway = require("pathway", "pathway")
        self._run: _Run | None = None

    def open(self, work: Callable[[], Answerer]) -> "PathwayLink":
        """Begin a shard; where the run is over, another is begun.

        Args:
            work: `Worker`, which Pathway runs as the pure function `step`.
        """
        if work is not Worker:
            raise TypeError("Pathway runs the machines of coins, and no other work")
        if self._run is None or self._run.over:
            self._run = _Run(self._pathway)
        return PathwayLink(self._run)


class PathwayLink:
    """A shard in a run of Pathway; its key there is the coin that its first message, a `Start`, tells."""

    def __init__(self, run: "_Run") -> None:
        self._run, self._coin = run, ""
        self._turn, self._closed = -1, False
        run.links += 1

    def ask(self, message: bytes) -> None:
        if self._run.over:
            raise self._run.lost()
        self._coin = self._coin or ",".join(read_start(message).setups)
        self._turn = self._run.put(self._coin, message)

    def answer(self) -> bytes:
        return self._run.get(self._coin, self._turn)

    def close(self) -> None:
        self._run.links -= not self._closed
        self._closed = True
        if not self._run.links:
            self._run.close()


class _Run:
    """A graph of Pathway that runs in a thread of its own.

    Attributes:
        links: How many are open.
        over: Whether it ended.
    """

    def __init__(self, pathway: ModuleType) -> None:
        pw: Any = pathway
        logging.getLogger("pathway_engine.connectors").setLevel(logging.ERROR)  # it warns of each end
        self.links, self.over = 0, False
        self._why = "it was closed"
        self._turns: Counter[str] = Counter()
        self._said: dict[str, queue.SimpleQueue[Turn | None]] = {}
        self._begun, self._ended = begun, ended = threading.Event(), threading.Event()

        class Messages(pw.io.python.ConnectorSubject):  # type: ignore[misc]
            def run(self) -> None:
                begun.set()
                while not ended.wait(POLL_S) and threading.main_thread().is_alive():
                    pass  # Python waits at its end for this thread, also where nobody closed the run

        schema = pw.schema_from_types(coin=str, turn=int, message=bytes)
        with _graph:
            pw.internals.parse_graph.G.clear()  # what ran in this process before would run again
            self._messages = Messages(datasource_name="tidelake")
            told = pw.io.python.read(self._messages, schema=schema, autocommit_duration_ms=None)
            pw.io.subscribe(said_by_coin(told), on_change=self._take)
            self._thread = threading.Thread(target=self._work, args=(pw,), name="tidelake-pathway")
            self._thread.start()
            begun.wait()

    def put(self, coin: str, message: bytes) -> int:
        """Send a message; its turn."""
        turn = self._turns[coin]
        self._turns[coin] += 1
        self._said.setdefault(coin, queue.SimpleQueue())
        self._messages.next(coin=coin, turn=turn, message=message)
        self._messages.commit()
        return turn

    def get(self, coin: str, turn: int) -> bytes:
        """Wait for what is said to the message of this turn."""
        while not (self.over and self._said[coin].empty()):
            found = self._said[coin].get()
            if found is not None and found[0] == turn:
                return found[1]
        raise self.lost()

    def lost(self) -> ShardLost:
        return ShardLost(f"Pathway's run ended: {self._why}")

    def close(self) -> None:
        self.over = True
        self._ended.set()
        self._thread.join()  # the engine crashes a process that ends before it

    def _take(self, key: Any, row: dict[str, Any], time: int, is_addition: bool) -> None:
        if is_addition:
            for turn in row["said"]:
                self._said[row["coin"]].put(turn)

    def _work(self, pw: Any) -> None:
        try:
            pw.run(monitoring_level=pw.MonitoringLevel.NONE, default_logging=False)
        except BaseException as exc:  # a panic of the engine is no Exception
            self._why = f"{type(exc).__name__}: {exc}"
        finally:
            self.over = True
            self._begun.set()
            self._ended.set()
            for waiting in tuple(self._said.values()):
                waiting.put(None)
