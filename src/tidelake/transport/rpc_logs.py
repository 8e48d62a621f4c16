"""`eth_getLogs` over any range of blocks: each block is asked for in exactly one of the requests that count.

How many blocks go into a request follows from what providers refuse and from how much they answer: too wide a range,
too many logs, or no answer in time make it narrower, and answers with few logs make it wider again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from tidelake.errors import AskedTooMuch, FormatDrift, SourceError
from tidelake.transport.rpc import RpcPool
from tidelake.transport.rpc_calls import RpcAnswer, RpcCall

FIRST_WIDTH = 2_000
MANY_LOGS = 2_500  # a quarter of the commonest limit, 10,000: with as many the range grows no more
PATIENT = 16  # answers before a width that was refused is tried again
# Providers that cut an answer without a word do so at a round number.
ROUND = 1_000


@dataclass(frozen=True, slots=True)
class LogRange:
    """The logs of blocks `first` to `last`, both inclusive."""

    first: int
    last: int
    answer: RpcAnswer


class _Log(msgspec.Struct):
    blockNumber: str  # noqa: N815


class Widths:
    """Cuts a range of blocks into pieces, each block into one, and learns how wide they may be.

    Args:
        first, last: The range, both inclusive.
        width: Blocks of the first piece.
    """

    def __init__(self, first: int, last: int, width: int = FIRST_WIDTH) -> None:
        self.width = width
        self._left = [(first, last)] if first <= last else []
        self._refused: int | None = None
        self._answers = 0

    def take(self, most: int | None = None) -> tuple[int, int] | None:
        """The next piece, of at most so many blocks; None where nothing is left to ask for."""
        if not self._left:
            return None
        first, last = self._left.pop()
        end = min(last, first + min(self.width, most or self.width) - 1)
        if end < last:
            self._left.append((end + 1, last))
        return first, end

    def answered(self, first: int, last: int, logs: int) -> None:
        """A piece was answered with so many logs."""
        self._answers += 1
        if last - first + 1 < self.width or logs >= MANY_LOGS:
            return
        wider = 2 * self.width
        if self._refused is not None and wider >= self._refused:
            if self._answers < PATIENT:
                return
            self._refused = None
        self.width = wider

    def refused(self, first: int, last: int, widest: int | None = None) -> None:
        """A piece of at least two blocks was too much, or its answer may be cut: it goes into smaller pieces."""
        blocks = last - first + 1
        assert blocks > 1, "one block cannot be cut"
        self.width = min(self.width, widest if widest and widest < blocks else blocks // 2)
        self._refused = min(blocks, self._refused or blocks)
        self._answers = 0
        self._left.append((first, last))


async def get_logs(
    pool: RpcPool,
    addresses: Sequence[str],
    topics: Sequence[str | Sequence[str] | None],
    first: int,
    last: int,
    *,
    agree: int = 1,
    final: int | None = None,
    width: int = FIRST_WIDTH,
    parallel: int = 8,
    apart: frozenset[str] = frozenset(),
) -> list[LogRange]:
    """The logs of a range of blocks, in the pieces in which they were answered.

    Args:
        pool: Who is asked.
        addresses: Contracts; none means all.
        topics: As `eth_getLogs` takes them, by position: one, several of which one must fit, or None for any.
        first, last: Blocks, both inclusive; only providers that know `last` are asked.
        agree: So many providers must give equal answers.
        final: As for `RpcPool.ask`.
        width: Blocks of the first request.
        parallel: Requests under way at once.
        apart: Providers that are not asked.

    Returns:
        Pieces in order that cover each block exactly once. An empty answer is what its provider said, and no proof.

    Raises:
        SourceError: As `RpcPool.ask`, or an answer for a single block is cut.
        FormatDrift: An answer holds no list of logs, or logs of blocks that were not asked for.
    """
    widths = Widths(first, last, width)
    wanted: dict[str, object] = {"topics": list(topics)}
    if addresses:
        wanted["address"] = list(addresses)
    found: list[LogRange] = []
    running: set[asyncio.Task[LogRange | None]] = set()
    done: set[asyncio.Task[LogRange | None]] = set()
    try:
        while True:
            while len(running) < parallel and (piece := widths.take(pool.widest_logs())) is not None:
                running.add(asyncio.ensure_future(_ask(pool, widths, wanted, piece, agree, final, apart)))
            if not running:
                return sorted(found, key=lambda piece: piece.first)
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            found += [answered for task in done if (answered := task.result()) is not None]
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, *done, return_exceptions=True)


async def _ask(
    pool: RpcPool,
    widths: Widths,
    wanted: Mapping[str, object],
    piece: tuple[int, int],
    agree: int,
    final: int | None,
    apart: frozenset[str],
) -> LogRange | None:
    first, last = piece
    call = RpcCall("eth_getLogs", [{"fromBlock": hex(first), "toBlock": hex(last), **wanted}])
    try:
        (answer,) = await pool.ask([call], agree=agree, final=final, head=last, apart=apart)
    except AskedTooMuch as exc:
        if first == last:
            raise
        widths.refused(first, last, exc.widest)
        return None
    logs = _count(answer, first, last)
    most = pool.most_logs(answer.provider)
    cut = most is not None and logs >= most
    if first < last and (cut or (logs and logs % ROUND == 0)):
        widths.refused(first, last)
        return None
    if cut:
        text = f"{answer.provider}: block {first} has at least {logs} logs, at which its answers are cut"
        raise SourceError(f"{text}. Ask for fewer contracts or topics at a time", retryable=False)
    widths.answered(first, last, logs)
    return LogRange(first, last, answer)


def _count(answer: RpcAnswer, first: int, last: int) -> int:
    logs = answer.value(list[_Log])
    try:
        strays = [log.blockNumber for log in logs if not first <= int(log.blockNumber, 16) <= last]
    except ValueError as exc:
        raise FormatDrift(f"{answer.provider}: eth_getLogs: a block number is no hex number ({exc})") from exc
    if strays:
        raise FormatDrift(f"{answer.provider}: eth_getLogs of {first} to {last} answered a log of block {strays[0]}")
    return len(logs)
