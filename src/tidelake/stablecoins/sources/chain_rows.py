"""Rows of `chain_blocks` and `chain_events` out of lanes of watched chains (`sources/chain_lane.py`).

Notes say which blocks became active, which went out, and which logs an active block has; the answers beside them tell
the rest. An answer that a note rests on may stand in an entry before.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from tidelake.chains.headers import Header, parse_header, prove_header
from tidelake.chains.heads import Block, Tiers
from tidelake.chains.logs import LogFact
from tidelake.chains.registry import CHAINS
from tidelake.errors import FormatDrift, TidelakeError
from tidelake.raw.entry import Entry
from tidelake.raw.frame import Frame, decode_line
from tidelake.raw.ledger import Ledger
from tidelake.raw.store import Store
from tidelake.stablecoins.sources.chain_lane import (
    ANSWERS,
    HEADERS,
    NOTES,
    ChainNote,
    LogsTold,
    NodeAnswer,
    chain_lane,
    logs_among,
    read_answer,
    read_note,
)
from tidelake.tables.chain_blocks import CHAIN_BLOCKS
from tidelake.tables.chain_events import CHAIN_EVENTS
from tidelake.tables.decode import Decoded
from tidelake.tables.derive import read_entry_lines
from tidelake.tables.fact_rows import FactRow, decoded
from tidelake.tables.rows import Rejected, refuse
from tidelake.tables.schema import Table
from tidelake.tables.segment_lines import SegmentLines
from tidelake.tables.values import check_event_us

WATCHED = frozenset({CHAIN_BLOCKS.name, CHAIN_EVENTS.name})
VERSION = "stablecoins/chains@1"
FINALITY = {1: "soft", 2: "safe", 3: "final"}
Facts: TypeAlias = dict[str, Any]


def is_watched(store: Store) -> bool:
    """Whether the lake has a lane of a watched chain."""
    return any(serves(lane.removeprefix("coins."), lane) for lane in Ledger(store).lanes())


def serves(source: str, lane: str) -> bool:
    """Whether it is the lane of a watched chain."""
    return source in CHAINS and lane == chain_lane(source)


@dataclass
class _Held:
    """What entries tell of blocks, by hash; of what is told twice the later word, but entries are read backwards."""

    headers: dict[str, Header] = field(default_factory=dict)
    soft: dict[int, str] = field(default_factory=dict)  # of one entry, as far as its notes were read
    answers: dict[str, list[NodeAnswer]] = field(default_factory=dict)
    logs: dict[str, LogsTold] = field(default_factory=dict)

    def take(self, frame: Frame) -> None:
        if frame.feed == NOTES:
            note = read_note(frame)
            if note.logs is not None:
                self.logs[note.logs.block.hash] = note.logs
        elif frame.feed == ANSWERS:
            answer = read_answer(frame)
            if answer.method in HEADERS and answer.result is not None:
                if (header := parse_header(answer.result)) is not None:
                    self.headers.setdefault(header.hash, header)
            elif answer.block_hash:
                self.answers.setdefault(answer.block_hash, []).append(answer)


class WatchedReader:
    """Reads one of the two tables (`tables.derive.Reader`).

    Args:
        store: The lake.
        table: Which.
        key: Of encrypted segments.
    """

    ordered = False

    def __init__(self, store: Store, table: Table, key: bytes | None) -> None:
        self._store, self._table, self._key = store, table, key

    def serves(self, source: str, lane: str) -> bool:
        return serves(source, lane)

    def read(self, entry: Entry, lines: SegmentLines) -> Decoded:
        held = _Held()
        notes: list[tuple[int, ChainNote]] = []
        rejected: list[Rejected] = []
        for line in range(len(lines.recv_ns)):
            frame = decode_line(lines.lines[line].as_py())
            try:
                held.take(frame)
                if frame.feed == NOTES:
                    notes.append((line, read_note(frame)))
            except FormatDrift as exc:
                rejected.append(refuse(self._table, line, 0, str(exc)))
        self._look_back(entry, held, [note for _, note in notes])
        rows: list[FactRow] = []
        of_note = self._blocks if self._table is CHAIN_BLOCKS else self._events
        for line, note in notes:
            for item, (facts, retracted) in enumerate(of_note(entry.source, held, note)):
                if isinstance(facts, str):
                    rejected.append(refuse(self._table, line, item, facts))
                    continue
                try:
                    facts["event_time"] = check_event_us(facts["event_time"], int(lines.recv_ns[line]))
                except ValueError as exc:
                    rejected.append(refuse(self._table, line, item, str(exc)))
                else:
                    rows.append(FactRow(line, item, facts, retracted=retracted))
        return decoded(self._table, rows, rejected, lines, entry, VERSION, len(notes))

    def close(self) -> None:
        """Nothing is kept between entries."""

    def _look_back(self, entry: Entry, held: _Held, notes: list[ChainNote]) -> None:
        """Read entries before this one, the newest first, as long as one is wanted that is not held."""
        ledger = Ledger(self._store)
        for seq in range(entry.seq - 1, -1, -1):
            wanted = self._wanted(held, notes)
            if not wanted:
                return
            lines = read_entry_lines(self._store, ledger.entry(entry.lane, seq), self._key)
            if not any(digest.encode() in lines.plain for digest in wanted):
                continue
            before = _Held()
            for place in range(len(lines.recv_ns)):
                try:
                    before.take(decode_line(lines.lines[place].as_py()))
                except FormatDrift:
                    continue  # it is refused where its own entry is read
            held.headers = before.headers | held.headers
            held.logs = before.logs | held.logs
            for digest in wanted:
                held.answers.setdefault(digest, []).extend(before.answers.get(digest, ()))

    def _wanted(self, held: _Held, notes: list[ChainNote]) -> set[str]:
        """Hashes of blocks of which something is not held."""
        out = {block.hash for note in notes if note.correction for block in note.correction.out}
        if self._table is CHAIN_BLOCKS:
            named = {block.hash for note in notes for block in note.adopted}
            named |= {digest for note in notes for digest in (note.safe, note.final) if digest}
            return (named | out) - set(held.headers)
        told = [note.logs for note in notes if note.logs] + [held.logs[digest] for digest in out if digest in held.logs]
        return {one.block.hash for one in told if one.keys and one.block.hash not in held.answers} | (
            out - set(held.logs)
        )

    def _blocks(self, chain: str, held: _Held, note: ChainNote) -> Iterator[tuple[Facts | str, bool]]:
        correction = note.correction
        for block in correction.out if correction else ():
            held.soft.pop(block.number, None)
            yield _block_row(chain, held, block.hash, Tiers(-1, -1, -1)), True
        tiers = note.moved.tiers if note.moved else Tiers(note.adopted[-1].number, -1, -1) if note.adopted else None
        if tiers is None:
            return
        settled = [held.soft.pop(number) for number in sorted(held.soft) if number <= tiers.final]
        boundary = [digest for digest in (note.safe, note.final) if digest in held.headers]
        for digest in dict.fromkeys((*settled, *(block.hash for block in note.adopted), *boundary)):
            yield _block_row(chain, held, digest, tiers), False
        held.soft |= {block.number: block.hash for block in note.adopted if block.number > tiers.final}

    def _events(self, chain: str, held: _Held, note: ChainNote) -> Iterator[tuple[Facts | str, bool]]:
        told = [(note.logs, False)] if note.logs else []
        told += [
            (held.logs[block.hash], True)
            for block in (note.correction.out if note.correction else ())
            if block.hash in held.logs  # else it went out before its logs were told
        ]
        for logs, retracted in told:
            found = logs_among(chain, logs, held.answers.get(logs.block.hash, ()))
            if found is None:
                yield f"no answer holds the {len(logs.keys)} logs of block {logs.block.hash}", retracted
            for log in found or ():
                yield _event_row(log, logs.block, logs.proof), retracted


def _block_row(chain: str, held: _Held, digest: str, tiers: Tiers) -> Facts | str:
    header = held.headers.get(digest)
    if header is None:
        return f"no header of block {digest} is recorded"
    try:
        proof = prove_header(CHAINS[chain], header)
    except (TidelakeError, ValueError, msgspec.MsgspecError) as exc:
        return f"block {digest}: {exc}"
    if proof.state == "differs":
        return proof.reason
    return {
        "chain": chain,
        "block_hash": header.hash,
        "block_number": header.number,
        "parent_hash": header.parent_hash,
        "event_time": header.timestamp * 1_000_000,
        "receipts_root": header.receipts_root,
        "hash_proof": proof.state,
        "finality": FINALITY[tiers.of(header.number)],
        "confirmations": max(0, tiers.head - header.number),
    }


def _event_row(log: LogFact, block: Block, proof: str) -> Facts:
    topics = {f"topic{place}": topic for place, topic in enumerate(log.topics)}
    return {
        "chain": log.chain,
        "block_hash": log.block_hash,
        "tx_hash": log.tx_hash,
        "log_index": log.log_index,
        "block_number": log.block_number,
        "tx_index": log.tx_index,
        "event_time": block.time_us,
        "address": log.address,
        **topics,
        "data": log.data,
        "proof": proof,
    }
