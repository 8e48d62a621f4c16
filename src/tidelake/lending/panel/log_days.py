"""On which days all logs of a market are known: only there does a day without a liquidation have none.

The logs of a day are those of the blocks after the last block of the day before, up to its own last block.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import msgspec
import polars as pl

from tidelake.lending.families.registry import FAMILIES
from tidelake.lending.market import Market
from tidelake.lending.panel.logs_in_tables import LogsInTables, logs_in_tables
from tidelake.lending.recorded import BlockNote, LogsNote, Section, blocks_lane, logs_lane, read_sections
from tidelake.raw.codec import key_from_environment
from tidelake.raw.frame import Frame
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store

SCHEMA: dict[str, Any] = {
    "market": pl.String,
    "date": pl.Date,
    "logs_state": pl.String,
    "known_at": pl.Datetime("us", "UTC"),
}
DAY = dt.timedelta(days=1)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


NoteT = TypeVar("NoteT", BlockNote, LogsNote)


@dataclass(frozen=True, slots=True)
class Told(Generic[NoteT]):
    """A note of a lane.

    Attributes:
        known_us: The latest receive clock of the lane up to it, in us since 1970.
        events: The first topics that the logs it closes were asked by; None where they were asked by none.
    """

    note: NoteT
    known_us: int
    events: frozenset[str] | None = None

    def holds(self, topics: Collection[str]) -> bool:
        """Whether logs of all these first topics are among those that were asked for."""
        return self.events is None or self.events.issuperset(topics)


@dataclass(frozen=True)
class ChainNotes:
    """What the raw log says of a chain's blocks and logs, in the order in which it was told."""

    pins: list[Told[BlockNote]]
    ranges: list[Told[LogsNote]]


def read_chain_notes(store: Store, chain: str, as_of: dt.datetime | None = None) -> ChainNotes:
    """The notes of a chain that were known at a moment (default: all); on logs as far as the tables hold them."""
    pins = list(_told(store, blocks_lane(chain), BlockNote, as_of))
    if not pins:
        return ChainNotes([], [])
    return ChainNotes(pins, list(_told(store, logs_lane(chain), LogsNote, as_of, logs_in_tables(store, chain))))


def _told(
    store: Store, lane: str, kind: type[NoteT], as_of: dt.datetime | None, tables: LogsInTables | None = None
) -> Iterator[Told[NoteT]]:
    until_us = None if as_of is None else (as_of - EPOCH) // dt.timedelta(microseconds=1)
    key = key_from_environment()
    known_ns = 0
    for entry in Ledger(store).entries(lane):
        known_ns = max(known_ns, entry.known_before_ns)
        sections: Iterator[Section[NoteT]] = read_sections(iter_frames(store, entry.segment, key), kind)
        for section in sections:
            known_ns = max(known_ns, section.frame.recv_ns, *(page.recv_ns for page in section.pages))
            known_us = -(-known_ns // 1_000)
            is_held = tables is None or tables.hold(entry.seq, section.frame.n - entry.first_n)
            if is_held and (until_us is None or known_us <= until_us):
                yield Told(section.note, known_us, _events_asked(section.pages))


class _Filter(msgspec.Struct):
    topics: list[str | list[str] | None] = []


class _Asked(msgspec.Struct):
    method: str
    params: tuple[msgspec.Raw, ...]


def _events_asked(pages: Iterable[Frame]) -> frozenset[str] | None:
    """The first topics that all requests for logs name; None where there is none that names any."""
    found: frozenset[str] | None = None
    for page in pages:
        asked = msgspec.json.decode(page.request, type=_Asked)
        if asked.method != "eth_getLogs":
            continue
        topics = msgspec.json.decode(asked.params[0], type=_Filter).topics
        first = topics[0] if topics else None
        if first is not None:
            named = frozenset([first] if isinstance(first, str) else first)
            found = named if found is None else found & named
    return found


def judge_logs(notes: Mapping[str, ChainNotes], markets: Iterable[Market], days: Sequence[dt.date]) -> pl.DataFrame:
    """What is known of the logs of markets that tell liquidations: `market`, `date`, `logs_state` and `known_at`.

    Args:
        notes: By chain.
        markets: Of the registry.
        days: UTC days.
    """
    rows: list[tuple[object, ...]] = []
    for market in markets:
        told = notes.get(market.chain)
        if told is not None and market.family in FAMILIES:
            topics = FAMILIES[market.family].by_topic
            ranges = [one for one in told.ranges if one.note.told == "liquidations" and one.holds(topics)]
            rows += judge_log_days(market.id, told.pins, ranges, days, market.deployment.block)
    frame = pl.DataFrame(rows, schema=SCHEMA | {"known_at": pl.Int64}, orient="row")
    return frame.with_columns(pl.from_epoch("known_at", "us").dt.replace_time_zone("UTC"))


def judge_log_days(
    market: str,
    pins: Iterable[Told[BlockNote]],
    ranges: Iterable[Told[LogsNote]],
    days: Sequence[dt.date],
    deployed: int | None,
) -> list[tuple[str, dt.date, str, int]]:
    """The days whose logs are known, in order: market, day, "OK" or "UNPROVEN", and when that was known, in us.

    Args:
        market: Its id.
        pins: Notes on the last blocks of days.
        ranges: Notes on ranges of blocks whose logs are known, of any markets.
        days: UTC days.
        deployed: The block before which there is nothing; None where it is not known.
    """
    pinned = _standing_pins(pins)
    covered = sorted(_standing_ranges(market, ranges), key=lambda told: (told.note.first, told.note.last))
    found = []
    for day in sorted(days):
        before, last = pinned.get((day - DAY).isoformat()), pinned.get(day.isoformat())
        if before is None or last is None:
            continue
        first_block, last_block = max(before.note.block + 1, deployed or 0), last.note.block
        covered = [told for told in covered if told.note.end[0] >= first_block]
        over = [told for told in covered if told.note.first <= last_block]
        proven = [told for told in over if told.note.proof != "one provider"]
        known_us = max(before.known_us, last.known_us, *(told.known_us for told in over), 0)
        if first_block <= last_block and _are_covered(over, first_block, last_block):
            state = "OK" if _are_covered(proven, first_block, last_block) else "UNPROVEN"
            found.append((market, day, state, known_us))
    return found


def _standing_pins(pins: Iterable[Told[BlockNote]]) -> dict[str, Told[BlockNote]]:
    """The last block of each grid time that has one."""
    found: dict[str, Told[BlockNote]] = {}
    for told in pins:
        if told.note.state == "PINNED":
            found[told.note.grid] = told
        else:
            found.pop(told.note.grid, None)
    return found


def _standing_ranges(market: str, ranges: Iterable[Told[LogsNote]]) -> list[Told[LogsNote]]:
    """The ranges of a market, each as far as no later note takes it back."""
    found: dict[tuple[object, ...], Told[LogsNote]] = {}
    for told in ranges:
        note = told.note
        ends = (note.first, note.last, note.hash_first, note.hash_last)
        if note.state == "RETRACTED":
            found = {
                key: rest for key, kept in found.items() if (rest := _rest(kept, note) if key[:4] == ends else kept)
            }
        elif note.state == "COVERED" and market in note.markets:
            found[*ends, note.proof] = told
    return list(found.values())


def _rest(told: Told[LogsNote], retraction: LogsNote) -> Told[LogsNote] | None:
    left = told.note.after(retraction)
    return None if left is None else replace(told, note=left)


def _are_covered(ranges: Sequence[Told[LogsNote]], first: int, last: int) -> bool:
    """Whether ranges, ordered by their first block, hold each block from `first` to `last`, both inclusive."""
    wanted = first
    for told in ranges:
        if wanted > last or told.note.first > wanted:
            break
        wanted = max(wanted, told.note.end[0] + 1)
    return wanted > last


def is_known_since(market: str, ranges: Iterable[Told[LogsNote]], first: int, last: int) -> bool:
    """Whether all logs of a market are known from block `first` to block `last`, both inclusive."""
    covered = sorted(_standing_ranges(market, ranges), key=lambda told: (told.note.first, told.note.last))
    return first <= last and _are_covered(covered, first, last)
