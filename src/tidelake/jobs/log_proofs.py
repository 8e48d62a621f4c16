"""The logs of a range of blocks, as one provider told them, held against the headers of all these blocks.

The hash of each header is recomputed, and it names the one before as its parent, up to the pinned block in which the
range ends. A block is proven by its bloom where that rules the logs out, else by the root of its receipts, recomputed.
Each block of the range costs a header, and each that its bloom does not decide its receipts: nothing of that is kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from tidelake.chains.headers import Header, parse_header, prove_header
from tidelake.chains.logs import LogFact, LogFilter, compare_logs
from tidelake.chains.receipts import parse_receipts, prove_no_logs, prove_receipts
from tidelake.chains.spec import Chain
from tidelake.errors import FormatDrift, SourceError
from tidelake.jobs.pinned_calls import header_call
from tidelake.lending.day_calls import Pin
from tidelake.transport.rpc import RpcPool
from tidelake.transport.rpc_calls import RpcCall

HEADERS, RECEIPTS = 500, 10  # blocks in hand at once; receipts of one may have a megabyte
SHOWN = 3


class Unprovable(Exception):
    """Nothing speaks against the logs, and a block of the range cannot be proven."""


@dataclass(frozen=True, slots=True)
class Range:
    """Blocks whose logs were told.

    Attributes:
        before: Pin of the block before the first.
        last: Pin of the last.
        asked: By what they were asked for.
    """

    before: Pin
    last: Pin
    asked: LogFilter


def can_prove(chain: Chain) -> bool:
    """Whether headers of the chain are known to hold bloom and receipts root of all their logs, from some block on."""
    return chain.receipts_root_since is not None and chain.header_hash_since is not None and not chain.state_sync


async def prove_logs(pool: RpcPool, chain: Chain, span: Range, told: Sequence[LogFact]) -> str:
    """Why these are not shown to be all logs of a range; "" where each of its blocks proves them.

    Raises:
        FormatDrift: A log is missing, or too much, or was changed; or a header or receipt is not what it must be.
    """
    try:
        await _prove(pool, chain, span, told)
    except (Unprovable, SourceError) as exc:
        return str(exc)
    return ""


async def _prove(pool: RpcPool, chain: Chain, span: Range, told: Sequence[LogFact]) -> None:
    if not can_prove(chain):
        raise Unprovable(f"headers of {chain.title} do not prove which logs there are")
    by_block: dict[int, list[LogFact]] = {}
    for log in told:
        by_block.setdefault(log.block_number, []).append(log)
    parent = span.before.hash
    wanted = range(span.before.number + 1, span.last.number + 1)
    for at in range(0, len(wanted), HEADERS):
        numbers = wanted[at : at + HEADERS]
        undecided = []
        for header in await _headers(pool, chain, numbers):
            if header.parent_hash != parent:
                raise FormatDrift(f"block {header.number} has the parent {header.parent_hash}, and that is {parent}")
            parent = header.hash
            if prove_no_logs(chain, header, span.asked).state != "proven":
                undecided.append(header)
            elif header.number in by_block:
                raise FormatDrift(f"block {header.number} holds no such log by its bloom, and one is told")
        for place in range(0, len(undecided), RECEIPTS):
            await _compare(pool, chain, span.asked, undecided[place : place + RECEIPTS], by_block)
    if parent != span.last.hash:
        raise FormatDrift(f"block {span.last.number} is pinned as {span.last.hash}, and its header is {parent}")


async def _headers(pool: RpcPool, chain: Chain, numbers: Sequence[int]) -> list[Header]:
    answers = await pool.ask([header_call(number) for number in numbers], head=numbers[-1])
    found = []
    for number, answer in zip(numbers, answers, strict=True):
        header = parse_header(answer.value(msgspec.Raw))
        if header is None or header.number != number:
            raise Unprovable(f"{answer.provider} has no block {number}")
        proof = prove_header(chain, header)
        if proof.state == "differs":
            raise FormatDrift(f"{answer.provider}: {proof.reason}")
        if proof.state != "proven":
            raise Unprovable(f"block {number}: {proof.reason}")
        found.append(header)
    return found


async def _compare(
    pool: RpcPool, chain: Chain, asked: LogFilter, headers: Sequence[Header], told: dict[int, list[LogFact]]
) -> None:
    """Hold what was told of blocks against their receipts."""
    calls = [RpcCall("eth_getBlockReceipts", [hex(header.number)]) for header in headers]
    for header, answer in zip(headers, await pool.ask(calls, head=headers[-1].number), strict=True):
        receipts = parse_receipts(chain.name, answer.value(msgspec.Raw))
        if receipts is None:
            raise Unprovable(f"{answer.provider} has no receipts of block {header.number}")
        proof = prove_receipts(chain, header, receipts)
        if proof.state == "differs":
            raise FormatDrift(f"{answer.provider}: {proof.reason}")
        if proof.state != "proven":
            raise Unprovable(f"block {header.number}: {proof.reason}")
        wanted = [log for receipt in receipts for log in receipt.logs if asked.matches(log)]
        if found := compare_logs(told.get(header.number, []), wanted):
            raise FormatDrift(
                f"block {header.number}: by its receipts root {len(found.missing)} logs are missing and "
                f"{len(found.unexpected)} are too much ({', '.join(_places(found.missing or found.unexpected))})"
            )


def _places(logs: Sequence[LogFact]) -> Iterator[str]:
    return (f"log {log.log_index} of {log.tx_hash}" for log in logs[:SHOWN])
