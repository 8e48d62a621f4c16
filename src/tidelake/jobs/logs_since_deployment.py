"""Logs that are needed from a market's deployment on: those that list its parts, and those that tell amounts which no
call tells.

They are asked for once: of the blocks that no note covers yet, in ranges that end at a block whose header is proven.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from tidelake.chains.logs import parse_logs
from tidelake.chains.spec import Chain
from tidelake.jobs.lending_lanes import LogsHeld
from tidelake.jobs.lending_logs import Logs, LogsRun, LogWidth, read_logs
from tidelake.jobs.pinned_blocks import proven_headers
from tidelake.lending.contracts import contracts_of
from tidelake.lending.day_calls import Pin
from tidelake.lending.families.registry import family
from tidelake.lending.market import Market
from tidelake.lending.recorded import LogsNote, Page, Section, Told, read_page
from tidelake.transport.rpc import RpcPool

RANGE_MS = 30 * 86_400_000  # about so long is a range of logs that tell amounts: what one section holds is bounded
BLOCK_MS = 2_000  # where no block time of the chain is known


@dataclass(frozen=True, slots=True)
class SinceDeployment:
    """Logs of one market that are needed from its deployment on.

    Attributes:
        market: Its id.
        told: "parts" or "state".
        first: The block of the deployment; 1 where it is not known.
        addresses: Contracts.
        topics: First topics, of which one must stand.
    """

    market: str
    told: Told
    first: int
    addresses: tuple[str, ...]
    topics: tuple[str, ...]

    def lacking(
        self, held: LogsHeld, chain: Chain, last: int, *, proven: bool, retry_failed: bool
    ) -> list[tuple[int, int]]:
        """The ranges to ask for up to a block, first and last block of each, in order.

        Ranges of the same blocks are cut at the same blocks in every run; parts are few and come in one range.

        Args:
            held: What is known.
            chain: The chain.
            last: The last block.
            proven: Whether what one provider said is asked for again.
            retry_failed: Whether ranges that failed are.
        """
        most = last + 1 if self.told == "parts" else range_blocks(chain)
        found = []
        for first, end in held.lacking(self.market, self.first, last, proven=proven, told=self.told):
            cuts = [*range(first - first % most + most - 1, end, most), end]
            found += [*zip([first, *(cut + 1 for cut in cuts)], cuts, strict=False)]
        return [one for one in found if retry_failed or (self.market, self.told, *one) not in held.failed]


def since_deployment(market: Market) -> tuple[SinceDeployment, ...]:
    """What of a market's logs is needed from its deployment on: its parts first; nothing for most families."""
    found = family(market.family)
    parts = (found.parts[0].topic0,) if found.parts else ()
    state = tuple(sorted(event.topic0 for event in found.state_events))
    addresses = tuple(found.addresses(contracts_of(market), ()))
    first = max(1, market.deployment.block or 1)
    wanted: tuple[tuple[Told, tuple[str, ...]], ...] = (("parts", parts), ("state", state))
    return tuple(SinceDeployment(market.id, told, first, addresses, topics) for told, topics in wanted if topics)


def range_blocks(chain: Chain) -> int:
    """Blocks of a range of logs that tell amounts."""
    return max(1, RANGE_MS // (chain.block_ms or BLOCK_MS))


async def read_since(
    pool: RpcPool,
    chain: Chain,
    asked: SinceDeployment,
    ranges: Sequence[tuple[int, int]],
    pins: Iterable[Pin],
    *,
    agree: int,
    width: LogWidth,
) -> AsyncIterator[Logs]:
    """The logs of each of these ranges, as it comes; one that fails is one of state SOURCE_FAILED, with the reason.

    Raises:
        SourceError: Nobody tells the headers in which ranges end.
    """
    ends, pages, faults = await _ends(pool, chain, ranges, pins, agree)
    for first, last in ranges:
        if last not in ends:
            note = LogsNote(first, last, "", "", "SOURCE_FAILED", markets=(asked.market,), reason=faults[last])
            yield Logs(msgspec.structs.replace(note, told=asked.told))
            continue
        run = LogsRun(Pin("", first - 1, "", 0), (ends[last],), (asked.market,), asked.addresses, asked.topics)
        (found,) = await read_logs(pool, chain, run, agree=agree, width=width)
        kept = (*found.pages, *pages.get(last, ())) if found.note.state == "COVERED" else ()
        yield replace(found, note=msgspec.structs.replace(found.note, told=asked.told), pages=kept)


async def _ends(
    pool: RpcPool, chain: Chain, ranges: Sequence[tuple[int, int]], pins: Iterable[Pin], agree: int
) -> tuple[dict[int, Pin], dict[int, tuple[Page, ...]], Mapping[int, str]]:
    """The blocks in which ranges end, the headers that were asked for to know them, and why others are not known."""
    known = {pin.number: pin for pin in pins}
    wanted = sorted({last for _, last in ranges} - known.keys())
    headers, faults = await proven_headers(pool, chain, wanted, agree=agree) if wanted else ({}, {})
    found = {number: Pin("", number, header.hash, header.timestamp) for number, (header, _) in headers.items()}
    return known | found, {number: (page,) for number, (_, page) in headers.items()}, faults


def parts_told(sections: Iterable[Section[LogsNote]], market: Market) -> list[tuple[int, str]]:
    """Block and id of each part of a market, as these sections of its "parts" tell them, in the order of their logs.

    Raises:
        FormatDrift: A log of such a section is not of its form.
    """
    told = family(market.family).parts
    assert told is not None, "only families whose parts logs list have such sections"
    event, name = told
    found: dict[str, tuple[int, int]] = {}
    for section in sections:
        if market.id not in section.note.markets:
            continue
        for page in section.pages:
            method, response = read_page(page)
            if method != "eth_getLogs" or response.result is None:
                continue
            for log in parse_logs(market.chain, bytes(response.result)):
                if log.block_number <= section.note.end[0]:
                    part = f"0x{event.decode(log.topics, log.data)[name].hex()}"
                    found.setdefault(part, (log.block_number, log.log_index))
    return [(found[part][0], part) for part in sorted(found, key=lambda part: found[part])]
