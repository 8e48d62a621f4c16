"""The logs of one chain's markets, asked for as far as they are not known, into the lane of the chain."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TypeAlias

from tidelake.chains.spec import Chain
from tidelake.jobs.lending_lanes import logs_held, logs_writer, read_logs_of
from tidelake.jobs.lending_logs import Logs, LogsRun, LogWidth, read_logs
from tidelake.jobs.lending_plan import SPAN
from tidelake.jobs.log_proofs import can_prove
from tidelake.jobs.logs_since_deployment import SinceDeployment, parts_told, read_since, since_deployment
from tidelake.jobs.market_work import MarketWork
from tidelake.lending.day_calls import Pin
from tidelake.lending.liquidation_facts import BY_ASKING
from tidelake.lending.recorded import Told
from tidelake.raw.store import Store
from tidelake.transport.rpc import RpcPool

# The pin of a grid time, after that of the one before.
Pair: TypeAlias = tuple[Pin, Pin]


class ChainLogs:
    """Collects logs of markets of one chain.

    Args:
        store: The lake's store.
        chain: The chain.
        work: Its markets by id; opened before.
        pool: Providers of the chain.
        turns: Bounds how much is in hand at once, over all chains.
        retry_failed: Whether ranges that failed are asked for again.
        prove: Whether logs of liquidations that one provider alone tells are held against the headers of all blocks.
        key: Encrypts segments.
    """

    def __init__(
        self,
        store: Store,
        chain: Chain,
        work: Mapping[str, MarketWork],
        pool: RpcPool,
        turns: asyncio.Semaphore,
        *,
        retry_failed: bool = False,
        prove: bool = False,
        key: bytes | None = None,
    ) -> None:
        self._store, self._chain, self._pool, self._turns, self._key = store, chain, pool, turns, key
        self._work = work
        self._since = {name: since_deployment(one.market) for name, one in work.items()}
        self._retry_failed = retry_failed
        self._agree = min(2, len(pool.usage))
        self._prove = prove and self._agree == 1 and can_prove(chain)
        self._writer = logs_writer(store, chain.name, key)  # opened first: it seals what a killed run left
        self._held = logs_held(store, chain.name, key)
        self._widths: dict[Told, LogWidth] = {told: LogWidth() for told in ("liquidations", "parts", "state")}

    def seal(self) -> None:
        """Seal what was written."""
        self._writer.seal()

    async def read_parts(self, pins: Sequence[Pin]) -> None:
        """The parts that only logs list, up to the last of these pins; without them a market is blocked."""
        last = max((pin.number for pin in pins), default=None)
        works = [work for work in self._work.values() if work.family.parts is not None]
        if last is None or not works:
            return
        for work in works:
            await self._read_since(work, "parts", last, pins)
        self._writer.seal()
        sections = read_logs_of(self._store, self._chain.name, "parts", self._key)
        for work in works:
            work.parts = parts_told(sections, work.market)
            if self._lacks(work, "parts", last):
                work.blocked = f"its parts are not known: {self.fault(work.market.id, 'parts') or 'nobody was asked'}"

    async def read_state_events(self, pins: Mapping[str, Sequence[Pin]]) -> None:
        """The events that tell amounts which no call tells, up to the last of a market's pins."""
        for name, found in pins.items():
            if found:
                await self._read_since(self._work[name], "state", max(pin.number for pin in found), found)

    async def _read_since(self, work: MarketWork, told: Told, last: int, pins: Sequence[Pin]) -> None:
        for asked in self._asked(work, told):
            proven = self._agree > 1
            ranges = asked.lacking(self._held, self._chain, last, proven=proven, retry_failed=self._retry_failed)
            width = self._widths[told]
            found = read_since(self._pool, self._chain, asked, ranges, pins, agree=self._agree, width=width)
            async with self._turns:
                async for logs in found:
                    self._keep(logs)

    async def read_liquidations(self, pairs: Sequence[Pair]) -> None:
        """The logs that tell liquidations, of grid times that are OK."""
        for run in self._runs(pairs):
            parts = run.parts() if self._prove else [run]  # proofs take long: each is kept when it is done
            for part in parts:
                async with self._turns:
                    width = self._widths["liquidations"]
                    found = await read_logs(
                        self._pool, self._chain, part, agree=self._agree, width=width, prove=self._prove
                    )
                for logs in found:
                    self._keep(logs)

    def _keep(self, logs: Logs) -> None:
        self._writer.put(logs.pages, logs.note)
        self._held.add(logs.note)
        if logs.note.reason:
            for market in logs.note.markets:
                self._work[market].report.says(f"logs: {logs.note.reason}")

    def _runs(self, pairs: Sequence[Pair]) -> Iterator[LogsRun]:
        """Grid times in a row whose logs are wanted of the same markets, at most 30."""
        rows = [(before, pin, self._wanted(before, pin)) for before, pin in pairs]
        for wanted, run in groupby(rows, key=lambda row: row[2]):
            found = list(run)
            for together in self._told_apart(wanted):
                for at in range(0, len(found), SPAN):
                    part = found[at : at + SPAN]
                    yield self._run(part[0][0], [pin for _, pin, _ in part], together)

    def _told_apart(self, markets: Sequence[str]) -> list[tuple[str, ...]]:
        """The markets in as few groups as let each log be given to one of its group, whoever reads it later."""
        by_asking = [name for name in markets if self._work[name].market.family in BY_ASKING]
        first = tuple(name for name in markets if name not in by_asking[1:])
        return [group for group in (first, *((name,) for name in by_asking[1:])) if group]

    def _wanted(self, before: Pin, pin: Pin) -> tuple[str, ...]:
        """The markets that stand at a grid time and whose logs of it are to be asked for."""
        proven = self._agree > 1 or self._prove
        missing = (name for name in self._work if self._lacks_liquidations(name, (before, pin), proven=proven))
        return tuple(name for name in missing if self._retry_failed or not self._was_tried(name, before, pin))

    def _was_tried(self, market: str, before: Pin, pin: Pin) -> bool:
        place: tuple[str, Told, int, int] = (market, "liquidations", before.number + 1, pin.number)
        return place in self._held.failed or place in self._held.unproven

    def _run(self, before: Pin, pins: Sequence[Pin], markets: tuple[str, ...]) -> LogsRun:
        works = [self._work[name] for name in markets]
        addresses = {one for work in works for pin in (before, *pins) for one in work.addresses_at(pin.grid)}
        topics = {event.topic0 for work in works for event in work.family.events}
        return LogsRun(before, tuple(pins), markets, tuple(sorted(addresses)), tuple(sorted(topics)))

    def misses(self, market: str, pair: Pair) -> bool:
        """Whether a market is OK at a grid time whose liquidations are not known: of two providers by both."""
        return self._lacks_liquidations(market, pair, proven=self._agree > 1)

    def proves(self, market: str, pair: Pair) -> bool:
        """Whether a market is OK at a grid time whose liquidations are proven."""
        is_ok = self._work[market].held.state(pair[1].grid) == "OK"
        return is_ok and not self._lacks_liquidations(market, pair, proven=True)

    def _lacks_liquidations(self, market: str, pair: Pair, *, proven: bool) -> bool:
        before, pin = pair
        if self._work[market].held.state(pin.grid) != "OK":
            return False
        return not self._held.covers(market, before.number + 1, pin.number, proven=proven)

    def misses_state(self, market: str, pin: Pin) -> bool:
        """Whether a market is OK at a grid time, and amounts that only logs tell are not known of it."""
        work = self._work[market]
        if work.held.state(pin.grid) != "OK":
            return False
        return any(self._lacks(work, told, pin.number) for told in ("parts", "state"))

    def _lacks(self, work: MarketWork, told: Told, last: int) -> bool:
        proven = self._agree > 1
        return any(
            not self._held.covers(work.market.id, asked.first, last, proven=proven, told=told)
            for asked in self._asked(work, told)
        )

    def _asked(self, work: MarketWork, told: Told) -> list[SinceDeployment]:
        return [asked for asked in self._since[work.market.id] if asked.told == told]

    def fault(self, market: str, *told: Told) -> str:
        """Why logs of a market that tell this are not known or proven, by one of the ranges; "" where none failed."""
        failed = [*self._held.failed.items(), *self._held.unproven.items()]
        return next((note.reason for (name, kind, *_), note in failed if name == market and kind in told), "")
