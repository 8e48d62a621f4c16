"""Pinned blocks looked at again: where another block stands now, what was read at the old one is retracted.

A later collection reads the grid times again. Where the last block of a range stands, so do all before it: each holds
the hash of its parent. Where it does not, the last one that does is looked for among those of the range whose hashes
are known, the pinned ones and those that hold logs: so the logs that still are of the chain are left alone.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tidelake.chains.registry import chain as chain_spec
from tidelake.chains.spec import Chain
from tidelake.errors import ConfigError, TidelakeError
from tidelake.jobs.lending_lanes import blocks_writer, days_held, days_writer, logs_held, logs_writer, pins_held
from tidelake.jobs.pinned_blocks import proven_headers
from tidelake.jobs.report import DONE, DONE_WITH_GAPS
from tidelake.lending.log_rows import read_pages
from tidelake.lending.market import Market
from tidelake.lending.recorded import BlockNote, DayNote, LogsNote, logs_lane, read_sections
from tidelake.raw.codec import key_from_environment
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.transport.http import Http, Patience
from tidelake.transport.rpc import RpcPool
from tidelake.transport.rpc_providers import Provider, providers_from_environment


@dataclass(frozen=True, slots=True)
class Rechecked:
    """What became of the pinned blocks of a chain.

    Attributes:
        chain: Which.
        blocks: Blocks looked at.
        retracted: Grid times whose block is none of the chain any more.
        days: States of markets at them.
        ranges: Ranges of logs that are void from some block on.
        reason: Why some could not be looked at; "" where all were.
    """

    chain: str
    blocks: int = 0
    retracted: int = 0
    days: int = 0
    ranges: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RecheckReport:
    """All chains."""

    rows: Sequence[Rechecked]

    @property
    def exit_code(self) -> int:
        """0 all were looked at, 3 some could not be."""
        return DONE_WITH_GAPS if any(row.reason for row in self.rows) else DONE

    @property
    def summary(self) -> str:
        """The report in a line, and the reasons."""
        blocks, gone = sum(row.blocks for row in self.rows), sum(row.retracted for row in self.rows)
        lines = [f"lending recheck: {blocks:,} blocks, {gone:,} are none of their chain any more"]
        return "\n".join(lines + [f"{row.chain}: {row.reason}" for row in self.rows if row.reason])


def recheck_lending(
    store: Store,
    markets: Sequence[Market],
    *,
    last: int = 40,
    providers: Callable[[str], Sequence[Provider]] = providers_from_environment,
    patience: Patience | None = None,
) -> RecheckReport:
    """Look at the newest pinned blocks of each chain again, and retract what was read at those that are gone.

    Args:
        store: The lake's store.
        markets: Of which the states are retracted, and whose chains are looked at: all of the registry, commonly.
        last: How many grid times of each chain, the newest; 0: all.
        providers: Providers of a chain by its name.
        patience: Bounds of retries and of one request.

    Raises:
        StoreError, LedgerBroken: As for any job.
    """
    by_chain: dict[str, list[Market]] = {}
    for market in markets:
        by_chain.setdefault(market.chain, []).append(market)

    async def run() -> list[Rechecked]:
        async with Http(patience=patience) as http:
            return [await _recheck(store, name, found, last, providers, http) for name, found in by_chain.items()]

    return RecheckReport([row for row in asyncio.run(run()) if row.blocks or row.reason])


async def _recheck(
    store: Store,
    name: str,
    markets: Sequence[Market],
    last: int,
    providers: Callable[[str], Sequence[Provider]],
    http: Http,
) -> Rechecked:
    key = key_from_environment()
    pins = sorted(pins_held(store, name, key).values(), key=lambda pin: pin.block)[-last:]
    ranges = [note for note in logs_held(store, name, key).covered if pins and note.end[0] >= pins[0].block]
    numbers = sorted({pin.block for pin in pins} | {note.end[0] for note in ranges})
    if not numbers:
        return Rechecked(name)
    chain = chain_spec(name)
    try:
        pool = RpcPool(name, providers(name), chain_id=chain.chain_id, http=http)
        look = _Look(pool, chain)
        faults = await look.at(numbers)
        gone = [pin for pin in pins if look.differs(pin.block, pin.hash)]
        void = [note for note in ranges if look.differs(*note.end)]
        known = {pin.block: pin.hash for pin in pins_held(store, name, key).values()} if void else {}
        stands = [await look.last_standing(known | _blocks_with_logs(store, name, key, note), note) for note in void]
    except (TidelakeError, ConfigError) as exc:
        return Rechecked(name, reason=str(exc))
    days = _retract(store, name, markets, gone, list(zip(void, stands, strict=True)), look.now, key)
    return Rechecked(name, len(look.now), len(gone), days, len(void), "; ".join(faults.values()))


@dataclass
class _Look:
    """What stands now, by number of the block, as far as it was asked for."""

    pool: RpcPool
    chain: Chain
    now: dict[int, str] = field(default_factory=dict)

    async def at(self, numbers: Sequence[int]) -> Mapping[int, str]:
        """Look at blocks; why some could not be looked at."""
        headers, faults = await proven_headers(self.pool, self.chain, numbers, agree=min(2, len(self.pool.usage)))
        self.now |= {number: header.hash for number, (header, _) in headers.items()}
        return faults

    def differs(self, number: int, old: str) -> bool:
        """Whether another block is known to stand there now."""
        return self.now.get(number, old) != old

    async def last_standing(self, known: Mapping[int, str], note: LogsNote) -> tuple[int, str] | None:
        """The last of these blocks in a range of which it is known that it still stands, found by halves."""
        numbers = sorted(number for number in known if note.first <= number < note.end[0])
        low, high = 0, len(numbers)  # those before `low` stand; of those from `high` on it is not known
        while low < high:
            middle = (low + high) // 2
            number = numbers[middle]
            if number not in self.now:
                await self.at([number])
            low, high = (middle + 1, high) if self.now.get(number) == known[number] else (low, middle)
        return (numbers[low - 1], known[numbers[low - 1]]) if low else None


def _blocks_with_logs(store: Store, name: str, key: bytes | None, void: LogsNote) -> dict[int, str]:
    """Hashes by number of the blocks whose headers were kept beside the logs of a range."""
    found: dict[int, str] = {}
    for entry in Ledger(store).entries(logs_lane(name)):
        for section in read_sections(iter_frames(store, entry.segment, key), LogsNote):
            if section.note.is_void_by(void):
                headers, _ = read_pages(name, section)
                found |= {header.number: header.hash for header in headers.values()}
    return found


def _retract(
    store: Store,
    name: str,
    markets: Sequence[Market],
    gone: Sequence[BlockNote],
    void: Sequence[tuple[LogsNote, tuple[int, str] | None]],
    now: Mapping[int, str],
    key: bytes | None,
) -> int:
    """Write the retractions: states first and the pins last, so that a run that is cut off finds them again."""
    grids = {pin.grid: _reason(pin.block, pin.hash, now) for pin in gone}
    days = 0
    for market in markets if gone else ():
        writer = days_writer(store, name, market.id, key)
        held = days_held(store, market.id, key)
        for grid in [grid for grid in grids if held.state(grid)]:
            old = held.notes[grid]
            writer.put((), DayNote(grid, "RETRACTED", old.block, old.hash, old.time, grids[grid]))
            days += 1
        writer.seal()
    if void:
        logs = logs_writer(store, name, key)
        for note, stands in void:
            number, digest = stands or (None, "")
            retraction = LogsNote(
                first=note.first,
                last=note.last,
                hash_first=note.hash_first,
                hash_last=note.hash_last,
                state="RETRACTED",
                told=note.told,
                reason=_reason(*note.end, now),
                stands=number,
                hash_stands=digest,
            )
            logs.put((), retraction)
        logs.seal()
    if gone:
        blocks = blocks_writer(store, name, key)
        for pin in gone:
            blocks.put((), BlockNote(pin.grid, "RETRACTED", pin.block, pin.hash, pin.time, reason=grids[pin.grid]))
        blocks.seal()
    return days


def _reason(number: int, old: str, now: Mapping[int, str]) -> str:
    return f"block {number} was {old} and is {now[number]}"
