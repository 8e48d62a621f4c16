"""One market on its way through a collection: what is held of it, and the writer of its lane."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from tidelake.chains.multicall import Call
from tidelake.jobs.lending_lanes import DaysHeld, SectionWriter, days_held, days_writer
from tidelake.jobs.lending_report import MarketReport
from tidelake.lending.contracts import MarketContracts, contracts_of
from tidelake.lending.day_calls import AskBeside, DayCalls
from tidelake.lending.families.registry import family
from tidelake.lending.market import MAIN_CONTRACT, Market
from tidelake.lending.oracle_prices import has_oracle, held_prices
from tidelake.lending.recorded import DayNote
from tidelake.lending.spec import Family
from tidelake.raw.store import Store


@dataclass
class MarketWork:
    """One market.

    Attributes:
        held: What its lane says.
        likely, likely_beside: The calls that were made at the last block that was read, for its state and beside it.
        parts: Block and id of each part that only logs list, in their order.
        blocked: Why its state cannot be read; "" where it can.
    """

    market: Market
    family: Family
    contracts: MarketContracts
    held: DaysHeld
    writer: SectionWriter
    report: MarketReport
    likely: Sequence[Call] = ()
    likely_beside: Sequence[Call] = ()
    parts: list[tuple[int, str]] = field(default_factory=list)
    blocked: str = ""

    @property
    def main(self) -> str:
        """The contract that it must have."""
        return self.market.contracts[MAIN_CONTRACT[self.market.family]]

    @property
    def beside(self) -> AskBeside | None:
        """Asks what its own oracle says of what it holds; None where that is not read."""
        if not has_oracle(self.market.family, self.market.contracts):
            return None
        return partial(held_prices, self.market.contracts)

    def keep(self, day: DayCalls) -> None:
        """Write what became of a grid time."""
        note = day.note()
        if note.state == "OK":
            addresses = tuple(self.family.addresses(self.contracts, day.positions))
            parts = self.parts_at(note.block or 0)
            note = msgspec.structs.replace(note, parts=parts, addresses=addresses, oracle_fault=day.fault_beside)
            self.likely, self.likely_beside = day.made, day.made_beside or self.likely_beside
        self.add(note, day)

    def add(self, note: DayNote, day: DayCalls | None = None) -> None:
        """Write a note, after the answers of a day."""
        self.writer.put(day.pages if day else (), note)
        self.held.add(note)

    def addresses_at(self, grid: str) -> tuple[str, ...]:
        """The contracts whose logs tell its liquidations, as of a grid time."""
        note = self.held.notes.get(grid)
        return note.addresses if note is not None and note.state == "OK" else ()

    def parts_at(self, block: int) -> tuple[str, ...]:
        """The parts that were made up to a block, in their order."""
        return tuple(part for made, part in self.parts if made <= block)


def open_market(store: Store, market: Market, key: bytes | None) -> MarketWork:
    """The work on a market; opens its lane."""
    writer = days_writer(store, market.chain, market.id, key)  # opened first: it seals what a killed run left
    return MarketWork(
        market=market,
        family=family(market.family),
        contracts=contracts_of(market),
        held=days_held(store, market.id, key),
        writer=writer,
        report=MarketReport(market.id, market.chain),
    )
