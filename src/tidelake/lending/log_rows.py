"""Rows of `chain_events` and `lending_liquidations` out of recorded logs, and of `chain_blocks` out of headers.

A log counts where a header of its block, by hash, stands beside it: that tells its time. A retraction takes back the
rows of the sections that it names, which are looked for in the lane before it; those up to the block that stands are
left alone.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import msgspec

from tidelake.chains.headers import Header, parse_header, prove_header
from tidelake.chains.logs import LogFact, parse_logs
from tidelake.chains.registry import CHAINS
from tidelake.errors import FormatDrift, TidelakeError
from tidelake.lending.liquidation_facts import LiquidationFacts
from tidelake.lending.market import Market
from tidelake.lending.recorded import BlockNote, LogsNote, Section, read_page
from tidelake.lending.section_lines import place_sections, sections_before
from tidelake.raw.entry import Entry
from tidelake.raw.frame import Frame
from tidelake.raw.store import Store
from tidelake.tables.chain_blocks import CHAIN_BLOCKS
from tidelake.tables.chain_events import CHAIN_EVENTS
from tidelake.tables.decode import Decoded
from tidelake.tables.fact_rows import FactRow, decoded
from tidelake.tables.rows import Rejected, refuse
from tidelake.tables.schema import Table
from tidelake.tables.segment_lines import SegmentLines
from tidelake.tables.values import check_event_us

BLOCK_LANES, LOG_LANES = "blocks.", "logs."
VERSION = "lending/logs@1"
HEADERS = ("eth_getBlockByNumber", "eth_getBlockByHash")
Facts: TypeAlias = dict[str, object]
# The facts of a log of a section, or None where it is none of the table's.
OfLog: TypeAlias = Callable[[LogsNote, LogFact, Facts], Facts | None]


class LogReader:
    """Reads `chain_events` or `lending_liquidations` (`tables.derive.Reader`).

    Args:
        store: The lake, where retractions find what they take back.
        table: Which of the two.
        read_markets: Reads the registry; called where there is a lane to read.
        key: Of encrypted segments.
    """

    ordered = False

    def __init__(
        self, store: Store, table: Table, read_markets: Callable[[], Mapping[str, Market]], key: bytes | None
    ) -> None:
        self._store = store
        self._table = table
        self._read_markets = read_markets
        self._key = key

    @cached_property
    def _form(self) -> tuple[OfLog, str]:
        """What makes facts of a log, and its version."""
        if self._table is CHAIN_EVENTS:
            return _event_of, VERSION
        facts = LiquidationFacts(self._read_markets())
        return facts.of_log, facts.version

    def serves(self, source: str, lane: str) -> bool:
        return lane.startswith(LOG_LANES)

    def read(self, entry: Entry, lines: SegmentLines) -> Decoded:
        chain = entry.lane.removeprefix(LOG_LANES)
        rows: list[FactRow] = []
        rejected: list[Rejected] = []
        for placed in place_sections(lines, LogsNote):
            if placed.section is None:
                rejected.append(refuse(self._table, placed.line, 0, placed.reason))
                continue
            note = placed.section.note
            sections = [placed.section] if note.state == "COVERED" else []
            if note.state == "RETRACTED":
                where = f'"first":{note.first},"last":{note.last},'
                before = sections_before(self._store, self._key, entry, lines, placed.line, LogsNote, where)
                sections = [one for one in before if one.note.is_void_by(note)]
            found = [fact for section in sections for fact in self._facts(chain, section)]
            for item, fact in enumerate(found):
                if isinstance(fact, str):
                    if note.state == "COVERED":
                        rejected.append(refuse(self._table, placed.line, item, fact))
                elif note.state == "COVERED" or _is_behind(fact, note.stands):
                    rows.append(FactRow(placed.line, item, fact, retracted=note.state == "RETRACTED"))
        return decoded(self._table, rows, rejected, lines, entry, self._form[1], len(lines.recv_ns))

    def close(self) -> None:
        """Nothing is kept between entries."""

    def _facts(self, chain: str, section: Section[LogsNote]) -> Iterator[Facts | str]:
        """The facts of each log that the table holds, or why it has none; of a section that is of another form one."""
        try:
            headers, logs = read_pages(chain, section)
        except (TidelakeError, msgspec.MsgspecError) as exc:
            yield f"blocks {section.note.first} to {section.note.last}: {exc}"
            return
        for log in logs:
            try:
                where = _place(section, log, headers)
                facts = self._form[0](section.note, log, where)
                if facts is not None:
                    yield facts
            except (TidelakeError, ValueError) as exc:
                yield f"log {log.log_index} of block {log.block_number} ({log.tx_hash}): {exc}"


def _is_behind(fact: Facts, stands: int | None) -> bool:
    """Whether a log stands behind the last block that is still of the chain."""
    return stands is None or int(str(fact["block_number"])) > stands


def read_pages(chain: str, section: Section[LogsNote]) -> tuple[dict[str, Header], list[LogFact]]:
    """Headers by hash, and logs in order, each once.

    Raises:
        FormatDrift: An answer is not of its form, or one log is told in two ways.
    """
    headers: dict[str, Header] = {}
    logs: dict[tuple[str, str, str, int], LogFact] = {}
    for page in section.pages:
        method, result = _result(page)
        if result is None:
            continue
        if method in HEADERS and (header := parse_header(result)):
            headers[header.hash] = header
        elif method == "eth_getLogs":
            for log in parse_logs(chain, result):
                if logs.setdefault(log.key, log) != log:
                    raise FormatDrift(f"log {log.log_index} of {log.tx_hash} is told in two ways")
    return headers, sorted(logs.values(), key=lambda log: (log.block_number, log.log_index))


def _result(page: Frame) -> tuple[str, bytes | None]:
    method, response = read_page(page)
    return method, None if response.result is None else bytes(response.result)


def _place(section: Section[LogsNote], log: LogFact, headers: Mapping[str, Header]) -> Facts:
    """Where and when a log stands.

    Raises:
        ValueError: No header of its block stands beside it, or it lies outside of the blocks that were asked for.
    """
    note = section.note
    if log.removed or not note.first <= log.block_number <= note.last:
        raise ValueError(f"it is removed, or none of blocks {note.first} to {note.last}")
    header = headers.get(log.block_hash)
    if header is None or header.number != log.block_number:
        raise ValueError(f"no header of block {log.block_hash} is recorded")
    return {
        "chain": log.chain,
        "block_hash": log.block_hash,
        "tx_hash": log.tx_hash,
        "log_index": log.log_index,
        "block_number": log.block_number,
        "event_time": check_event_us(header.timestamp * 1_000_000, section.frame.recv_ns),
        "proof": note.proof,
    }


def _event_of(note: LogsNote, log: LogFact, where: Facts) -> Facts:
    topics = {f"topic{place}": topic for place, topic in enumerate(log.topics)}
    return {**where, "tx_index": log.tx_index, "address": log.address, **topics, "data": log.data}


@dataclass
class BlockReader:
    """Reads `chain_blocks` (`tables.derive.Reader`); the arguments are those of `LogReader`."""

    store: Store
    key: bytes | None
    ordered: bool = False

    def serves(self, source: str, lane: str) -> bool:
        return lane.startswith(BLOCK_LANES)

    def read(self, entry: Entry, lines: SegmentLines) -> Decoded:
        chain = entry.lane.removeprefix(BLOCK_LANES)
        rows: list[FactRow] = []
        rejected: list[Rejected] = []
        for placed in place_sections(lines, BlockNote):
            try:
                if placed.section is None:
                    raise FormatDrift(placed.reason)
                note = placed.section.note
                sections = [placed.section]
                if note.state == "RETRACTED":
                    before = sections_before(self.store, self.key, entry, lines, placed.line, BlockNote, note.hash)
                    sections = [one for one in before if one.note.state == "PINNED" and one.note.hash == note.hash]
                found = [facts for section in sections for facts in _headers(chain, section)]
                void = note.state == "RETRACTED"
                kept = [facts for facts in found if not void or int(str(facts["block_number"])) >= note.block]
                rows += [FactRow(placed.line, item, facts, retracted=void) for item, facts in enumerate(kept)]
            except (TidelakeError, ValueError, msgspec.MsgspecError) as exc:
                rejected.append(refuse(CHAIN_BLOCKS, placed.line, 0, f"{chain}: {exc}"))
        return decoded(CHAIN_BLOCKS, rows, rejected, lines, entry, VERSION, len(lines.recv_ns))

    def close(self) -> None:
        """Nothing is kept between entries."""


def _headers(chain: str, section: Section[BlockNote]) -> Iterator[Facts]:
    """The facts of each header of a section.

    Raises:
        FormatDrift: One is not of its form, or is not the block of its hash, or the pinned one is not among them.
    """
    found: dict[str, Header] = {}
    for page in section.pages:
        method, result = _result(page)
        if method in HEADERS and result is not None and (header := parse_header(result)):
            found[header.hash] = header
    if section.note.hash not in found:
        raise FormatDrift(f"no header of block {section.note.block} with hash {section.note.hash} is recorded")
    for header in found.values():
        proof = prove_header(CHAINS[chain], header)
        if proof.state == "differs":
            raise FormatDrift(proof.reason)
        yield {
            "chain": chain,
            "block_hash": header.hash,
            "block_number": header.number,
            "parent_hash": header.parent_hash,
            "event_time": check_event_us(header.timestamp * 1_000_000, section.frame.recv_ns),
            "receipts_root": header.receipts_root,
            "hash_proof": proof.state,
            "finality": "final" if section.note.final and header.number <= section.note.block else "soft",
        }
