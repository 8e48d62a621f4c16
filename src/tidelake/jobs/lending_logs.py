"""Logs of a chain's lending markets: asked together, agreed by two providers where there are two, else provable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from tidelake.chains.logs import LogFact, LogFilter, parse_logs
from tidelake.chains.spec import Chain
from tidelake.errors import FormatDrift, NotServed, ProvidersDisagree, SourceError
from tidelake.jobs.log_proofs import Range, prove_logs
from tidelake.jobs.pinned_blocks import proven_headers
from tidelake.lending.day_calls import Pin
from tidelake.lending.recorded import LogsNote, Page, Proof, page_of
from tidelake.transport.rpc import RpcPool
from tidelake.transport.rpc_logs import LogRange, get_logs

WIDEST = 10**9  # blocks: liquidations are few, and providers with a limit tell it at the first request


@dataclass(slots=True)
class LogWidth:
    """Blocks to ask for at once, as learned from one run to the next of a chain."""

    blocks: int = WIDEST

    def learn(self, pieces: Sequence[LogRange]) -> None:
        """Take over how wide the answers of a run were; where it came in one piece nothing is known to be too wide."""
        if len(pieces) > 1:
            self.blocks = max(piece.last - piece.first + 1 for piece in pieces)


@dataclass(frozen=True, slots=True)
class LogsRun:
    """Blocks whose logs are asked for at once, for the same markets.

    Attributes:
        before: Pin of the block before the first.
        pins: Pins of the grid times in it, in order; the last is its last block.
        markets: Their ids.
        addresses: Contracts.
        topics: First topics, of which one must stand.
    """

    before: Pin
    pins: tuple[Pin, ...]
    markets: tuple[str, ...]
    addresses: tuple[str, ...]
    topics: tuple[str, ...]

    @property
    def first(self) -> int:
        return self.before.number + 1

    @property
    def last(self) -> int:
        return self.pins[-1].number

    def parts(self) -> "list[LogsRun]":
        """One run for each grid time."""
        befores = (self.before, *self.pins)
        return [
            LogsRun(before, (pin,), self.markets, self.addresses, self.topics)
            for before, pin in zip(befores, self.pins, strict=False)
        ]


@dataclass(frozen=True, slots=True)
class Logs:
    """What a run came to."""

    note: LogsNote
    pages: tuple[Page, ...] = ()
    found: tuple[LogFact, ...] = ()


async def read_logs(
    pool: RpcPool, chain: Chain, run: LogsRun, *, agree: int, width: LogWidth, prove: bool = False
) -> list[Logs]:
    """The logs of a run, in one piece; where that fails and it spans several grid times, one by one.

    A piece that fails is one of state SOURCE_FAILED, with the reason. With `prove` the headers of all blocks are asked
    for where one provider alone tells the logs (`log_proofs`).
    """
    try:
        return [await _covered(pool, chain, run, agree, width, prove=prove)]
    except (SourceError, FormatDrift) as exc:
        if len(run.pins) == 1:
            return [Logs(_note(run, "SOURCE_FAILED", agree, str(exc)))]
        if not isinstance(exc, (NotServed, ProvidersDisagree, FormatDrift)) and exc.status is None:
            return [Logs(_note(part, "SOURCE_FAILED", agree, str(exc))) for part in run.parts()]
    return [
        found
        for part in run.parts()
        for found in await read_logs(pool, chain, part, agree=agree, width=width, prove=prove)
    ]


async def _covered(pool: RpcPool, chain: Chain, run: LogsRun, agree: int, width: LogWidth, *, prove: bool) -> Logs:
    pieces = await _pieces(pool, run, agree, width.blocks)
    width.learn(pieces)
    found = [log for piece in pieces for log in parse_logs(chain.name, bytes(piece.answer.result or b""))]
    if orphaned := next((log for log in found if log.removed), None):
        raise FormatDrift(f"the log {orphaned.key} is told as removed: its block was orphaned while it was asked for")
    numbers = sorted({log.block_number for log in found})
    headers, faults = await proven_headers(pool, chain, numbers, agree=agree)
    if faults:
        raise FormatDrift("; ".join(faults.values()))
    _check_blocks(found, {number: header.hash for number, (header, _) in headers.items()}, run)
    pages = [page_of(piece.answer) for piece in pieces] + [page for _, page in headers.values()]
    note = _note(run, "COVERED", agree)
    if prove and agree == 1:
        span = Range(run.before, run.pins[-1], LogFilter(run.addresses, [run.topics]))
        unproven = await prove_logs(pool, chain, span, found)
        proof: Proof = "one provider" if unproven else "receipts root"
        note = msgspec.structs.replace(note, proof=proof, reason=unproven)
    return Logs(note, tuple(pages), tuple(found))


async def _pieces(pool: RpcPool, run: LogsRun, agree: int, width: int) -> list[LogRange]:
    """As two providers agree; where they do not, and there are more, two others are asked."""
    asked = [frozenset[str](), *(frozenset({name}) for name in pool.usage)][
        : None if len(pool.usage) > agree > 1 else 1
    ]
    for apart in asked:
        try:
            return await get_logs(
                pool,
                run.addresses,
                [list(run.topics)],
                run.first,
                run.last,
                agree=agree,
                final=run.last,
                width=width,
                apart=apart,
            )
        except ProvidersDisagree:
            if apart == asked[-1]:
                raise
    raise AssertionError("the last either returns or raises")


def _check_blocks(logs: Sequence[LogFact], hashes: Mapping[int, str], run: LogsRun) -> None:
    known = {**hashes, **{pin.number: pin.hash for pin in run.pins}}
    for log in logs:
        if known[log.block_number] != log.block_hash:
            raise FormatDrift(
                f"a log of block {log.block_number} stands in {log.block_hash}, and the block is "
                f"{known[log.block_number]}: its provider follows another branch"
            )


def _note(run: LogsRun, state: str, agree: int, reason: str = "") -> LogsNote:
    return LogsNote(
        first=run.first,
        last=run.last,
        hash_first=run.before.next_hash,
        hash_last=run.pins[-1].hash,
        state="COVERED" if state == "COVERED" else "SOURCE_FAILED",
        proof="two providers" if agree > 1 else "one provider",
        markets=run.markets,
        reason=reason,
    )
