"""Rows of `lending_positions` out of recorded answers: the family's generator is driven over them once more."""

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property

import msgspec

from tidelake.chains.registry import CHAINS
from tidelake.errors import ConfigError, FormatDrift, TidelakeError
from tidelake.lending.contracts import contracts_of
from tidelake.lending.families.registry import family as find_family
from tidelake.lending.market import Market
from tidelake.lending.recorded import DayNote, Section, recorded_answers, replay
from tidelake.lending.section_lines import place_sections
from tidelake.lending.spec import Position
from tidelake.raw.entry import Entry
from tidelake.tables.decode import Decoded
from tidelake.tables.fact_rows import FactRow, decoded, whole
from tidelake.tables.lending_positions import LENDING_POSITIONS
from tidelake.tables.rows import Rejected, refuse
from tidelake.tables.segment_lines import SegmentLines
from tidelake.tables.values import check_event_us

LANES = "lending."
VERSION = 1  # one more with every change here that reads other rows out of the same frames
GRIDS = {"daily": ("%Y-%m-%d", dt.timedelta(days=1)), "hourly": ("%Y-%m-%dT%H", dt.timedelta(hours=1))}
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class PositionReader:
    """Reads `lending_positions` (`tables.derive.Reader`).

    Args:
        read_markets: Reads the registry; called where there is a lane to read.
    """

    ordered = False

    def __init__(self, read_markets: Callable[[], Mapping[str, Market]]) -> None:
        self._read_markets = read_markets

    @cached_property
    def _markets(self) -> Mapping[str, Market]:
        return self._read_markets()

    def serves(self, source: str, lane: str) -> bool:
        return lane.startswith(LANES)

    def read(self, entry: Entry, lines: SegmentLines) -> Decoded:
        """The rows of an entry.

        Raises:
            ConfigError: The market of the lane is not in the registry, or that cannot be read.
        """
        market = market_of(self._markets, entry.lane)
        rows: list[FactRow] = []
        rejected: list[Rejected] = []
        for placed in place_sections(lines, DayNote):
            try:
                if placed.section is None:
                    raise FormatDrift(placed.reason)
                rows += _rows(market, placed.section, placed.line)
            except (TidelakeError, ValueError, ArithmeticError, msgspec.MsgspecError) as exc:
                grid = f"{placed.section.note.grid}: " if placed.section else ""
                rejected.append(refuse(LENDING_POSITIONS, placed.line, 0, f"{market.id} {grid}{exc}"))
        return decoded(LENDING_POSITIONS, rows, rejected, lines, entry, version_of(market), len(lines.recv_ns))

    def close(self) -> None:
        """Nothing is kept between entries."""


def market_of(markets: Mapping[str, Market], lane: str) -> Market:
    """The market of a lane of positions.

    Raises:
        ConfigError: It is not in the registry.
    """
    name = lane.removeprefix(LANES)
    if name not in markets:
        raise ConfigError(
            f"lane {lane} holds a market that is not in the registry. Nothing of it was derived. If it is one of "
            "yours, say where its file is: TIDELAKE_MARKETS."
        )
    return markets[name]


def version_of(market: Market) -> str:
    """Of the code and of the facts by which a market is read."""
    known = contracts_of(market)
    facts = msgspec.json.encode([dict(known.contracts), known.known_tokens], order="sorted")
    return f"lending/{market.family}@{VERSION}.{hashlib.sha256(facts).hexdigest()[:8]}"


def granularity_of(grid: str) -> str:
    """What a grid time is one of."""
    return "block" if grid.isdecimal() else "hourly" if "T" in grid else "daily"


def _rows(market: Market, section: Section[DayNote], line: int) -> list[FactRow]:
    """The rows of one grid time.

    Raises:
        TidelakeError: The pages do not hold what the family asks for, or something else than it expects.
        ValueError: The note contradicts itself, or the answers do.
    """
    note = section.note
    day = _day_facts(market, note, section.frame.recv_ns)
    found = _positions(market, section) if note.state == "OK" else []
    keys = [(position.asset, position.role, position.part) for position in found]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"asset {twice[0]} of role {twice[1]} is told twice")
    if not found:
        return [FactRow(line, 0, {**day, "asset": "", "role": "", "part": ""}, retracted=note.state == "RETRACTED")]
    return [FactRow(line, item, {**day, **_amounts(position)}) for item, position in enumerate(found)]


def _positions(market: Market, section: Section[DayNote]) -> list[Position]:
    note = section.note
    if note.block is None:
        raise ValueError("it is OK at no block")
    _check_block(section, hex(note.block))
    answers = recorded_answers(section, CHAINS[market.chain].multicall3.address)
    family = find_family(market.family)
    return replay(lambda: family.positions(contracts_of(market), note.parts), answers)


class _Asked(msgspec.Struct):
    method: str
    params: tuple[msgspec.Raw, ...]


def _check_block(section: Section[DayNote], block: str) -> None:
    """Refuse state that was asked of another block than the note says."""
    for page in section.pages:
        asked = msgspec.json.decode(page.request, type=_Asked)
        if asked.method == "eth_call" and (len(asked.params) < 2 or bytes(asked.params[1]) != b'"%s"' % block.encode()):
            told = bytes(asked.params[1]).decode() if len(asked.params) > 1 else "no block"
            raise ValueError(f"state was asked at {told}, and the note says block {block}")


def _day_facts(market: Market, note: DayNote, recv_ns: int) -> dict[str, object]:
    kind = granularity_of(note.grid)
    if note.state == "OK" and (note.block is None or note.time is None or not note.hash):
        raise ValueError("it is OK, and block, hash or time are not told")
    time = None if note.time is None else EPOCH + dt.timedelta(seconds=note.time)
    begins = _begin(note.grid, kind, time)
    if time is not None and kind in GRIDS and time >= begins + GRIDS[kind][1]:
        raise ValueError(f"block {note.block} is of {time:%Y-%m-%d %H:%M:%S}, after the end of the grid time")
    event_us = ((begins if time is None else time) - EPOCH) // dt.timedelta(microseconds=1)
    return {
        "chain": market.chain,
        "market": market.id,
        "grid": note.grid,
        "granularity": kind,
        "grid_time": begins,
        "state": note.state,
        "reason": note.reason or None,
        "event_time": check_event_us(event_us, recv_ns),
        "block_number": note.block,
        "block_hash": note.hash or None,
        "protocol": market.protocol,
        "family": market.family,
    }


def _begin(grid: str, kind: str, time: dt.datetime | None) -> dt.datetime:
    """Where a day or hour begins; of a block its clock."""
    if kind in GRIDS:
        return dt.datetime.strptime(grid, GRIDS[kind][0]).replace(tzinfo=dt.UTC)
    if time is None:
        raise ValueError("the time of the block is not told")
    return time


def _amounts(position: Position) -> dict[str, object]:
    found: dict[str, object] = {
        "asset": position.asset,
        "symbol": position.symbol or None,
        "decimals": position.decimals,
        "role": position.role,
        "part": position.part,
        "shares_raw": None if position.shares is None else str(position.shares),
        "active": position.active,
        "frozen": position.frozen,
        "paused": position.paused,
    }
    for name in ("supplied", "borrowed", "available"):
        raw: int | None = getattr(position, name)
        found[name] = whole(raw, position.decimals)
        found[f"{name}_raw"] = None if raw is None else str(raw)
    return found
