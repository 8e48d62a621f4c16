"""The blocks that grid times are pinned to: found by search on headers, proven, and looked at again later.

A pin is the pair of headers on both sides of a moment: the first has an earlier clock, the second has not, and names
the first as its parent. Where there are several providers, two must tell the pair alike.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from tidelake.chains.headers import Header, parse_header, prove_header
from tidelake.chains.spec import Chain
from tidelake.errors import FormatDrift, NotServed, ProvidersDisagree, SourceError
from tidelake.jobs.pinned_calls import header_call
from tidelake.lending.block_search import BlockSearch
from tidelake.lending.day_calls import Pin
from tidelake.lending.grid import Moment
from tidelake.lending.recorded import Page, page_of
from tidelake.transport.rpc import RpcPool
from tidelake.transport.rpc_calls import RpcAnswer, RpcCall

FIRST_BLOCK = 1  # the clock of block 0 is 1970 on some chains


class _Clock(msgspec.Struct):
    number: str
    timestamp: str


@dataclass(frozen=True, slots=True)
class Pinned:
    """A pin, and the two headers that prove it."""

    pin: Pin
    pages: tuple[Page, ...]


@dataclass(frozen=True, slots=True)
class Pins:
    """What a search came to.

    Attributes:
        found: By grid time.
        failed: Grid times whose block nobody told or proved, and why.
        unsettled: Grid times that have none: the chain is not settled so far, or began later.
    """

    found: Mapping[str, Pinned]
    failed: Mapping[str, str]
    unsettled: Mapping[str, str]


async def last_settled(pool: RpcPool, chain: Chain, *, final: bool = True) -> Header:
    """The last block that is final by the chain's policy; with `final` False the newest. The highest of all providers'.

    Where a node tells none, the newest of those that are older than the policy's time to wait.

    Raises:
        SourceError: Nobody answers.
    """
    newest = await _highest(pool, "latest")
    if not final:
        return newest
    policy = chain.finality_at(newest.number)
    if policy.final is not None:
        try:
            return await _highest(pool, policy.final)
        except SourceError:
            pass  # some nodes do not know the tag
    end = newest.timestamp - policy.wait_s
    search = await _search(pool, [end], {newest.number: newest.timestamp})
    return await _header(pool, header_call(search.bounds(end)[0]), frozenset())


async def _highest(pool: RpcPool, tag: str) -> Header:
    names = frozenset(pool.usage)
    call = RpcCall("eth_getBlockByNumber", [tag, False])
    found = await asyncio.gather(*(_header(pool, call, names - {name}) for name in names), return_exceptions=True)
    headers = [one for one in found if isinstance(one, Header)]
    if headers:
        return max(headers, key=lambda header: header.number)
    raise next(one for one in found if isinstance(one, BaseException))


async def find_pins(
    pool: RpcPool,
    chain: Chain,
    moments: Sequence[Moment],
    last: Header,
    known: Mapping[int, int],
    *,
    agree: int,
    final: bool = True,
) -> Pins:
    """The pins of grid times, as far as settled blocks reach.

    Args:
        last: The last block that is settled, see `last_settled`.
        known: Clocks of blocks that are pinned already, by number.
        agree: So many providers must tell the headers alike.
        final: Whether only blocks count that are final by the chain's policy.

    Raises:
        SourceError: Nobody answers, or the answers are of two chains.
        ConfigError: There are fewer providers than must agree.
    """
    later = f"the chain is settled up to {last.time:%Y-%m-%d %H:%M:%S} UTC alone"
    unsettled = {one.label: later for one in moments if one.end_s > last.timestamp}
    within = [one for one in moments if one.label not in unsettled]
    search = await _search(pool, [one.end_s for one in within], {**known, last.number: last.timestamp})
    unsettled |= {one.label: "the chain began later" for one in within if one.end_s <= search.first_clock}
    lower, failed = {}, {}
    for one in within:
        if one.label not in unsettled:
            low = search.found(one.end_s)
            if low is None:
                failed[one.label] = search.fault(one.end_s)
            else:
                lower[one.label] = low
    wanted = sorted({number for low in lower.values() for number in (low, low + 1)})
    headers, faults = await proven_headers(pool, chain, wanted, agree=agree)
    found = {}
    for one in within:
        if one.label in lower:
            low = lower[one.label]
            fault = faults.get(low) or faults.get(low + 1) or _misfit(one, headers[low][0], headers[low + 1][0])
            if fault:
                failed[one.label] = fault
            else:
                found[one.label] = _pinned(one.label, headers[low], headers[low + 1], final=final)
    return Pins(found, failed, unsettled)


def _pinned(grid: str, low: tuple[Header, Page], high: tuple[Header, Page], *, final: bool) -> Pinned:
    header = low[0]
    return Pinned(Pin(grid, header.number, header.hash, header.timestamp, high[0].hash, final), (low[1], high[1]))


def _misfit(moment: Moment, low: Header, high: Header) -> str:
    if high.parent_hash != low.hash:
        return f"block {high.number} has the parent {high.parent_hash}, and block {low.number} is {low.hash}"
    if not low.timestamp < moment.end_s <= high.timestamp:
        return f"the clocks of blocks {low.number} and {high.number} do not lie around the end of {moment.label}"
    return ""


async def proven_headers(
    pool: RpcPool, chain: Chain, numbers: Sequence[int], *, agree: int
) -> tuple[dict[int, tuple[Header, Page]], dict[int, str]]:
    """Headers with their answers, and why others are none: nobody has them, or providers do not agree.

    With three providers or more, what two of them say stands.

    Raises:
        SourceError: Nobody answers at all.
    """
    found: dict[int, tuple[Header, Page]] = {}
    faults: dict[int, str] = {}
    calls = [header_call(number) for number in numbers]
    try:
        answers: Iterable[RpcAnswer] = await pool.ask(calls, agree=agree)
    except (NotServed, ProvidersDisagree) as exc:
        if len(calls) > 1:
            half = len(calls) // 2
            for part in (numbers[:half], numbers[half:]):
                more, wrong = await proven_headers(pool, chain, part, agree=agree)
                found |= more
                faults |= wrong
            return found, faults
        if not calls or (answer := await _by_two(pool, calls[0], agree)) is None:
            return {}, {number: str(exc) for number in numbers}
        answers = [answer]
    for number, answer in zip(numbers, answers, strict=True):
        fault, header = _proven(chain, number, answer)
        if header is None:
            faults[number] = fault
        else:
            found[number] = header, page_of(answer)
    return found, faults


async def _by_two(pool: RpcPool, call: RpcCall, agree: int) -> RpcAnswer | None:
    """What two providers say, of all that there are; None where no two do."""
    said: dict[str, RpcAnswer] = {}
    apart: frozenset[str] = frozenset()
    while agree > 1:
        try:
            (answer,) = await pool.ask([call], apart=apart)
        except SourceError:
            return None
        apart |= {answer.provider}
        header = parse_header(answer.result) if answer.result is not None else None
        if header is not None:
            if header.hash in said:
                return answer
            said[header.hash] = answer
    return None


def _proven(chain: Chain, number: int, answer: RpcAnswer) -> tuple[str, Header | None]:
    try:
        header = parse_header(answer.value(msgspec.Raw))
        if header is None or header.number != number:
            return f"{answer.provider} has no block {number}", None
        proof = prove_header(chain, header)
    except (FormatDrift, SourceError) as exc:
        return f"{answer.provider}: {exc}", None
    if proof.state == "differs":
        return f"{answer.provider}: {proof.reason}", None
    return "", header


async def _search(pool: RpcPool, ends: Sequence[int], known: Mapping[int, int]) -> BlockSearch:
    clocks = dict(known)
    if FIRST_BLOCK not in clocks:
        first, faults = await _clocks(pool, [FIRST_BLOCK])
        if faults:
            raise SourceError(faults[FIRST_BLOCK], retryable=True)
        clocks |= first
    search = BlockSearch([end for end in ends if end > clocks[FIRST_BLOCK]], clocks)
    while wanted := search.wanted():
        found, faults = await _clocks(pool, wanted)
        search.learn(found)
        search.untold(faults)
    return search


async def _clocks(pool: RpcPool, numbers: Sequence[int]) -> tuple[dict[int, int], dict[int, str]]:
    """The clocks of blocks, and why others are not told."""
    answers = await pool.ask([header_call(number) for number in numbers])
    found, faults = {}, {}
    for number, answer in zip(numbers, answers, strict=True):
        try:
            told: _Clock | None = answer.value(_Clock | None)  # type: ignore[arg-type]
        except SourceError as exc:
            faults[number] = str(exc)
            continue
        if told is None or int(told.number, 16) != number:
            faults[number] = f"{answer.provider} has no block {number}"
        else:
            found[number] = int(told.timestamp, 16)
    return found, faults


async def _header(pool: RpcPool, call: RpcCall, apart: frozenset[str]) -> Header:
    (answer,) = await pool.ask([call], apart=apart)
    header = parse_header(answer.value(msgspec.Raw))
    if header is None:
        raise SourceError(f"{answer.provider} has no block {call.params[0]}", retryable=True)
    return header
