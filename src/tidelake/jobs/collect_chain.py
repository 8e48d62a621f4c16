"""The markets of one chain collected: blocks pinned, state read at them, logs between them; all into the raw log.

Nothing is remembered but the lanes. A run that was killed is run again, and goes on after the last section.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from tidelake.errors import ConfigError, FormatDrift, SourceError
from tidelake.jobs.chain_logs import ChainLogs
from tidelake.jobs.lending_lanes import blocks_writer, pins_held
from tidelake.jobs.lending_plan import ChainPlan, wanted_moments
from tidelake.jobs.lending_report import MarketReport
from tidelake.jobs.market_work import MarketWork, open_market
from tidelake.jobs.pinned_blocks import Pinned, find_pins, last_settled, proven_headers
from tidelake.jobs.pinned_calls import ask_days
from tidelake.lending.day_calls import DayCalls, Pin
from tidelake.lending.grid import Granularity, Moment, moment_before
from tidelake.lending.recorded import BlockNote, DayNote
from tidelake.raw.store import Store
from tidelake.transport.rpc import RpcPool
from tidelake.transport.rpc_calls import RpcCall

DONE_STATES = ("OK", "NOT_DEPLOYED")
PINNED_AT_ONCE = 100  # grid times: what a killed run has to look for again; fewer take more requests
GIVES_UP = 3  # requests in a row after which nothing was answered: the rest of the chain is not asked for
Progress = Callable[[str, int], None]


Task: TypeAlias = tuple[MarketWork, Pin]


class ChainCollection:
    """Collects markets of one chain.

    Args:
        store: The lake's store.
        plan: What is to be done; see `plan_chain`.
        moments: The grid times that were asked for.
        pool: Providers of the chain.
        turns: Bounds how many requests' worth of markets are in hand at once, over all chains.
        granularity: Of the grid.
        final: Whether only blocks count that are final by the chain's policy.
        retry_failed: Whether grid times that failed are asked for again.
        prove: Whether logs that one provider alone tells are held against the headers of all blocks.
        key: Encrypts segments.
        progress: Called with a market and how many of its grid times are done more.
    """

    def __init__(
        self,
        store: Store,
        plan: ChainPlan,
        moments: Sequence[Moment],
        pool: RpcPool,
        turns: asyncio.Semaphore,
        *,
        granularity: Granularity = "daily",
        final: bool = True,
        retry_failed: bool = False,
        prove: bool = False,
        key: bytes | None = None,
        progress: Progress = lambda market, done: None,
    ) -> None:
        self.chain = plan.chain
        self._moments = list(moments)
        self._pool = pool
        self._turns = turns
        self._granularity = granularity
        self._final = final
        self._retry_failed = retry_failed
        self._progress = progress
        self._agree = min(2, len(pool.usage))
        self._blocks = blocks_writer(store, self.chain.name, key)
        self.work = {market.id: open_market(store, market, key) for market in plan.markets.values()}
        self._logs = ChainLogs(
            store, self.chain, self.work, pool, turns, retry_failed=retry_failed, prove=prove, key=key
        )
        pinned = pins_held(store, self.chain.name, key)
        self.pins = {grid: _pin_of(note) for grid, note in pinned.items()}
        self._unpinned: dict[str, str] = {}
        self._silent = 0
        self._stopped = ""

    async def run(self) -> list[MarketReport]:
        """Collect, and say what became of each market. Errors of sources stand in the reports."""
        try:
            await self._pin()
            if self._granularity == "block":
                await self._pin_blocks()
            await self._logs.read_parts(self._pinned())
            await self._read_state()
            await self._logs.read_liquidations(list(self._pairs()))
            await self._logs.read_state_events({name: self._read_pins(work) for name, work in self.work.items()})
        except (SourceError, FormatDrift, ConfigError) as exc:
            self._stopped = str(exc)
        for writer in (self._blocks, *(work.writer for work in self.work.values())):
            writer.seal()
        self._logs.seal()
        for work in self.work.values():
            self._tell(work)
        return [work.report for work in self.work.values()]

    async def _pin(self) -> None:
        """Pin the grid times, and the one before the first, from which the logs of the first are counted."""
        if not self._moments:
            return
        wanted = [one for one in (moment_before(self._moments[0]), *self._moments) if one.label not in self.pins]
        if not wanted:
            return
        last = await last_settled(self._pool, self.chain, final=self._final)
        for at in range(0, len(wanted), PINNED_AT_ONCE):
            known = {pin.number: pin.time for pin in self.pins.values()}
            some = wanted[at : at + PINNED_AT_ONCE]
            pins = await find_pins(self._pool, self.chain, some, last, known, agree=self._agree, final=self._final)
            for moment in some:
                if moment.label in pins.found:
                    self._keep_pin(pins.found[moment.label])
            self._unpinned |= {**pins.unsettled, **pins.failed}
            if self._granularity != "block":
                self._note_unpinned(pins.failed)

    def _note_unpinned(self, faults: Mapping[str, str]) -> None:
        """Grid times whose block was asked for in vain have failed for every market that wants them."""
        for work in self.work.values():
            for moment in self._wanted(work):
                if moment.label in faults:
                    reason = f"its last block is not proven: {faults[moment.label]}"
                    work.add(DayNote(moment.label, "SOURCE_FAILED", reason=reason))
                    self._progress(work.market.id, 1)

    async def _pin_blocks(self) -> None:
        """Take every block between the first and last pinned grid time as a grid time of its own."""
        ends = [self.pins[one.label] for one in self._moments if one.label in self.pins]
        before = self.pins.get(moment_before(self._moments[0]).label)
        if not ends or before is None:
            self._moments = []
            return
        numbers = [n for n in range(before.number + 1, ends[-1].number + 1) if str(n) not in self.pins]
        headers, faults = await proven_headers(
            self._pool, self.chain, [*numbers, ends[-1].number + 1], agree=self._agree
        )
        for number in numbers:
            if number in headers and number + 1 in headers:
                (low, page), (high, _) = headers[number], headers[number + 1]
                pin = Pin(str(number), number, low.hash, low.timestamp, high.hash, self._final)
                self._keep_pin(Pinned(pin, (page,)))
        self._unpinned |= {str(number): fault for number, fault in faults.items()}
        self._moments = [Moment(str(n), n) for n in range(before.number + 1, ends[-1].number + 1)]
        self.pins[str(before.number)] = before

    def _keep_pin(self, pinned: Pinned) -> None:
        pin = pinned.pin
        note = BlockNote(pin.grid, "PINNED", pin.number, pin.hash, pin.time, pin.next_hash, pin.final)
        self._blocks.put(pinned.pages, note)
        self.pins[pin.grid] = pin

    def _pinned(self) -> list[Pin]:
        return [self.pins[one.label] for one in self._moments if one.label in self.pins]

    def _read_pins(self, work: MarketWork) -> list[Pin]:
        """The pins at which a market was read."""
        return [pin for pin in self._pinned() if work.held.state(pin.grid) == "OK"]

    def _wanted(self, work: MarketWork) -> list[Moment]:
        if work.blocked:
            return []
        return wanted_moments(self._moments, work.held, retry_failed=self._retry_failed)

    async def _read_state(self) -> None:
        """Read the first grid time alone, which shows what each market will be asked; then many side by side."""
        wanted = {name: self._wanted(work) for name, work in self.work.items()}
        for name, moments in wanted.items():
            self._note_early(self.work[name], moments)
        opening, rest = _opening(self._tasks(wanted))
        for chunk in self._chunks(opening):
            await self._ask(chunk)
        chunks = self._chunks(rest)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(4):
                    group.create_task(self._work_off(chunks))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _work_off(self, chunks: Iterator[list[Task]]) -> None:
        for chunk in chunks:
            if self._silent >= GIVES_UP:
                return
            await self._ask(chunk)

    async def _ask(self, chunk: list[Task]) -> None:
        async with self._turns:
            days = [self._day(work, pin) for work, pin in chunk]
            await ask_days(self._pool, days)
        for (work, _), day in zip(chunk, days, strict=True):
            work.keep(day)
            self._progress(work.market.id, 1)
        self._silent = 0 if any(day.state != "SOURCE_FAILED" for day in days) else self._silent + 1

    def _tasks(self, wanted: dict[str, list[Moment]]) -> list[Task]:
        """What is to be asked: in the order of blocks, then of markets."""
        found = [
            (self.work[name], self.pins[moment.label])
            for name, moments in wanted.items()
            for moment in moments
            if moment.label in self.pins and self.work[name].held.state(moment.label) not in DONE_STATES
        ]
        return sorted(found, key=lambda task: task[1].number)

    def _note_early(self, work: MarketWork, moments: Sequence[Moment]) -> None:
        """Grid times before the block of the deployment need no answer."""
        deployed = work.market.deployment.block
        for moment in moments:
            pin = self.pins.get(moment.label)
            if pin is not None and deployed is not None and pin.number < deployed:
                reason = f"deployed in block {deployed}"
                work.add(DayNote(pin.grid, "NOT_DEPLOYED", pin.number, pin.hash, pin.time, reason))
                self._progress(work.market.id, 1)

    def _chunks(self, tasks: Sequence[Task]) -> Iterator[list[Task]]:
        """As many tasks as one request takes with their headers, about."""
        chunk: list[Task] = []
        calls, last = 0, -1
        for work, pin in tasks:
            more = 1 + (pin.number != last)
            if chunk and calls + more > self._room:
                yield chunk
                chunk, calls, last, more = [], 0, -1, 2
            chunk.append((work, pin))
            calls, last = calls + more, pin.number
        if chunk:
            yield chunk

    @property
    def _room(self) -> int:
        return self._pool.room([RpcCall("eth_call", [{}, "0x0"])] * 1000)

    def _day(self, work: MarketWork, pin: Pin) -> DayCalls:
        parts = work.parts_at(pin.number)
        return DayCalls(
            pin,
            lambda: work.family.positions(work.contracts, parts),
            work.main,
            self.chain.multicall3,
            work.likely,
            look=work.market.deployment.block is None,
            beside=work.beside,
            likely_beside=work.likely_beside,
        )

    def _pairs(self) -> Iterator[tuple[Pin, Pin]]:
        """Each pinned grid time, after the pin of the one before."""
        before = self._before_first()
        for moment in self._moments:
            pin = self.pins.get(moment.label)
            if before is not None and pin is not None and pin.number > before.number:
                yield before, pin
            before = pin

    def _before_first(self) -> Pin | None:
        if not self._moments:
            return None
        first = self._moments[0]
        label = str(int(first.label) - 1) if first.label.isdecimal() else moment_before(first).label
        return self.pins.get(label)

    def _tell(self, work: MarketWork) -> None:
        """Count what stands now."""
        report = work.report
        report.wanted = len(self._moments)
        for moment in self._moments:
            state = work.held.state(moment.label)
            if state == "OK":
                report.ok += 1
                if fault := work.held.notes[moment.label].oracle_fault:
                    report.without_oracle += 1
                    report.says(f"{moment.label}: its oracle: {fault}")
            elif state == "NOT_DEPLOYED":
                report.not_deployed += 1
            elif state:
                report.failed += 1
                report.says(f"{moment.label}: {state}: {work.held.notes[moment.label].reason}")
            else:
                report.not_reached += 1
                report.says(
                    work.blocked
                    or self._stopped
                    or self._unpinned.get(moment.label, "providers do not answer any more")
                )
        name = work.market.id
        pairs = list(self._pairs())
        report.logs_missing = sum(self._logs.misses(name, pair) for pair in pairs)
        report.logs_proven = sum(self._logs.proves(name, pair) for pair in pairs)
        read = sum(work.held.state(pin.grid) == "OK" for _, pin in pairs)
        report.logs_unproven = read - report.logs_missing - report.logs_proven
        report.state_logs_missing = sum(self._logs.misses_state(name, pin) for pin in self._pinned())
        for missing, told in (
            (report.logs_missing, ("liquidations",)),
            (report.state_logs_missing, ("parts", "state")),
        ):
            if missing:
                fault = self._stopped or self._logs.fault(name, *told) or "not known of every grid time"
                report.says(f"logs: {fault}")


def _opening(tasks: list[Task]) -> tuple[list[Task], list[Task]]:
    """The first task of each market, and the others."""
    seen: set[str] = set()
    first: list[Task] = []
    rest: list[Task] = []
    for task in tasks:
        (rest if task[0].market.id in seen else first).append(task)
        seen.add(task[0].market.id)
    return first, rest


def _pin_of(note: BlockNote) -> Pin:
    return Pin(note.grid, note.block, note.hash, note.time, note.next_hash, note.final)
