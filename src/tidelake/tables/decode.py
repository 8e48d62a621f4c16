"""Rows of a table out of a sealed segment: every mapping of its source, fast where possible, each bad row named."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidelake.raw.frame import Frame, decode_line
from tidelake.tables.arrow_types import TIME
from tidelake.tables.columns import Columns, in_validity, read_columns
from tidelake.tables.field_tree import MAPPINGS
from tidelake.tables.mapping import Mapping, load_mappings
from tidelake.tables.rows import Rejected, Row, parse_payload, read_frame, refuse
from tidelake.tables.schema import PARSER_VERSION, Table
from tidelake.tables.segment_lines import SegmentLines
from tidelake.venues.registry import venue as find_venue
from tidelake.venues.spec import Context, Venue

ROW_ORDER = [("line", "ascending"), ("item", "ascending")]
NTH_MEMORY_NS = 10 * 10**9  # equal trades are counted on over a segment's end when received within so long
ESCAPE = b"\\u"  # a line that holds it may spell any word in other bytes
log = logging.getLogger(__name__)


@dataclass
class Decoded:
    """What one segment holds for one table.

    Attributes:
        rows: All columns of the table's schema, ordered by (line, item).
        rejected: Rows and lines that could not be read.
        lines_read: Lines that a mapping of this table fitted.
    """

    rows: pa.Table
    rejected: list[Rejected] = field(default_factory=list)
    lines_read: int = 0


def _quoted(word: str) -> bytes:
    """A word of `where` as it stands in a line, with those of its quotes that are known to stand there too."""
    text = json.dumps(word.strip("*"), ensure_ascii=False)
    return text[word.startswith("*") : len(text) - word.endswith("*")].encode()


@lru_cache(MAPPINGS)
def _tokens(mapping: Mapping) -> tuple[bytes, ...]:
    """Bytes of which every line that the mapping fits holds one: the rarest of its demands."""
    spec = mapping.spec
    if token := find_venue(mapping.source).tokens.get(spec.flatten):
        return (token, ESCAPE)
    asked = [_quoted(f"*{word}*") for word in spec.requests]
    words = [[_quoted(w) for w in wanted if isinstance(w, str)] for wanted in spec.where.values()]
    if spec.kind == "page" or not any(words):  # all frames of a socket hold its address
        words.append(asked)
    best = max((w for w in words if w), key=lambda w: min(map(len, w)), default=[])
    return tuple(best) if not best or best is asked else (*best, ESCAPE)


def _from_rows(table: Table, rows: Sequence[tuple[int, int, Row]]) -> pa.Table:
    """Slow rows as columns of the facts, `line` and `item`."""
    columns = {}
    for fact in table.facts:
        cells = [row.get(fact.name) for _, _, row in rows]
        columns[fact.name] = pa.array(cells, pa.int64()).cast(TIME) if fact.type == TIME else pa.array(cells, fact.type)
    columns["line"] = pa.array([line for line, _, _ in rows], pa.int32())
    columns["item"] = pa.array([item for _, item, _ in rows], pa.int32())
    return pa.table(columns)


def _storable(
    table: Table, rows: Sequence[tuple[int, int, Row]], rejected: list[Rejected]
) -> tuple[pa.Table, list[Rejected]]:
    """Slow rows as columns; one that does not fit its column's type is refused, and the rows beside it are kept."""
    try:
        return _from_rows(table, rows), rejected
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        good, refused = [], []
        for row in rows:
            try:
                _from_rows(table, [row])
                good.append(row)
            except (pa.ArrowException, ValueError, TypeError, OverflowError) as exc:
                refused.append(refuse(table, row[0], row[1], f"{type(exc).__name__}: {exc}"))
        return _from_rows(table, good), rejected + refused


def _name_equal_ones(rows: pa.Table, name: str, lines: SegmentLines, context: Context, memory: str) -> pa.Table:
    """Fills `trade_id` with time, price, size, side and a count of equal ones that goes on from the last segment.

    What is forgotten goes by the receive clock: the time of a single trade may be wrong by a day.
    """
    before: dict[str, list[int]] = json.loads(context.get(memory, "{}"))
    counts = Counter({what: count for what, (count, _) in before.items()})
    heard = {what: recv_ns for what, (_, recv_ns) in before.items()}
    received = lines.recv_ns[rows["line"].to_numpy()].tolist()
    names: list[str] = []
    facts = ("symbol", "event_time", "price", "size", "side")
    times = rows["event_time"].cast(pa.int64()).to_pylist()
    cells = zip(*(times if f == "event_time" else rows[f].to_pylist() for f in facts), received, strict=True)
    for symbol, us, price, size, side, recv_ns in cells:
        what = f"{us}:{_plain(price)}:{_plain(size)}:{side}"
        counts[f"{symbol} {what}"] += 1
        heard[f"{symbol} {what}"] = recv_ns
        names.append(f"{what}:{counts[f'{symbol} {what}']}")
    if received:
        kept = {w: (n, heard[w]) for w, n in counts.items() if heard[w] >= received[-1] - NTH_MEMORY_NS}
        context[memory] = json.dumps(kept)
    return rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), pa.array(names, pa.string()))


def _name_by_digest(rows: pa.Table, name: str, lines: SegmentLines) -> pa.Table:
    """Fills an id with event time and a digest of the payload; from a payload's second row on, with its place too."""
    digests: dict[int, str] = {}
    names = []
    times = rows["event_time"].cast(pa.int64()).to_pylist()
    for us, line, item in zip(times, rows["line"].to_pylist(), rows["item"].to_pylist(), strict=True):
        if line not in digests:
            payload = decode_line(lines.lines[line].as_py()).payload
            digests[line] = hashlib.sha256(payload).hexdigest()[:16]
        names.append(f"{us}-{digests[line]}" + (f".{item}" if item else ""))
    return rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), pa.array(names, pa.string()))


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def with_provenance(
    table: Table, rows: pa.Table, lines: SegmentLines, segment: str, version: str | pa.Array
) -> pa.Table:
    """Facts, `line` and `item` as rows of the table; `known_at` is the receive clock, up to a whole microsecond.

    `version` is that of the mapping or rule that read the rows, or one for each row.
    """
    line = rows["line"].to_numpy()
    count = len(rows)
    known_us = -(-lines.known_ns[line] // 1_000)
    added = {
        "known_at": pa.array(known_us, pa.int64()).cast(TIME),
        "recv_ns": pa.array(lines.recv_ns[line]),
        "status": pa.repeat(pa.scalar("active"), count),
        "segment": pa.repeat(pa.scalar(segment), count),
        "parser_version": pa.repeat(pa.scalar(PARSER_VERSION, pa.int32()), count),
        "mapping_version": pa.repeat(pa.scalar(version), count) if isinstance(version, str) else version,
        "date": pc.cast(rows["event_time"], pa.date32()),
    }
    columns = {name: rows[name] for name in rows.schema.names} | added
    return pa.table({name: columns[name] for name in table.schema.names}, schema=table.schema)


def _read_slowly(
    mapping: Mapping,
    table: Table,
    venue: Venue,
    lines: SegmentLines,
    chosen: NDArray[np.int64],
    noting: NDArray[np.int64],
    context: Context,
) -> tuple[list[tuple[int, int, Row]], list[Rejected]]:
    """Rows of the chosen lines; each is read with the context as it stands there, moved on by the noting lines."""
    rows: list[tuple[int, int, Row]] = []
    rejected: list[Rejected] = []
    spec = mapping.spec
    if not len(chosen):
        return rows, rejected
    context = dict(context)
    both = np.union1d(chosen, noting)
    for line, notes, wanted in zip(
        both.tolist(), np.isin(both, noting).tolist(), np.isin(both, chosen).tolist(), strict=True
    ):
        frame = decode_line(lines.lines[line].as_py())
        if notes:
            _note(venue, frame, context)
        if not wanted or frame.kind != spec.kind or not spec.is_answered(frame.request):
            continue
        if frame.payload != (bare := frame.payload.strip()):  # venues look at the first byte
            frame = replace(frame, payload=bare)
        try:
            said = list(read_frame(mapping, table, venue, frame, line, context))
        except MemoryError:
            raise
        except Exception as exc:  # whatever a payload does to a reader, it must not stop its lane
            log.exception("a reader of %s failed", mapping.version)
            said = [refuse(table, line, 0, f"the reader failed: {type(exc).__name__}: {exc}")]
        for found in said:
            if isinstance(found, Rejected):
                rejected.append(found)
            else:
                rows.append((line, found[0], found[1]))
    return rows, rejected


def _note(venue: Venue, frame: Frame, context: Context) -> None:
    if venue.note_context is None:
        return
    try:
        venue.note_context(frame, context)
    except Exception:  # as above: what it should have said is then missing, and the frames that need it are refused
        log.exception("%s could not read what a frame says of later ones", venue.source)


def _read_fast(mapping: Mapping, table: Table, venue: Venue, lines: SegmentLines, chosen: NDArray[np.int64]) -> Columns:
    """The columnar reading; where it fails, it has refused every line."""
    try:
        return read_columns(mapping, table, venue, lines, chosen)
    except MemoryError:
        raise
    except Exception:  # the slow reading then says which line is to blame
        log.exception("the columnar reading of %s failed", mapping.version)
        return Columns(_from_rows(table, []), chosen)


def _read_mapping(
    mapping: Mapping,
    table: Table,
    venue: Venue,
    lines: SegmentLines,
    wrapped: NDArray[np.int64],
    torn: NDArray[np.int64],
    noting: NDArray[np.int64],
    segment: str,
    context: Context,
) -> Decoded:
    chosen = lines.holding(_tokens(mapping))
    if len(wrapped) or len(torn):
        chosen = np.setdiff1d(chosen, np.union1d(wrapped, torn))
    chosen = chosen[in_validity(mapping, lines.recv_ns[chosen])]
    if len(chosen) and (mapping.spec.requests or mapping.spec.not_request):
        chosen = lines.answering(chosen, mapping.spec.is_answered)
    wrapped = wrapped[in_validity(mapping, lines.recv_ns[wrapped])]
    if not len(chosen) and not len(wrapped):  # most mappings, in the small pieces of a live capture
        return Decoded(table.no_rows, [], 0)
    if mapping.spec.flatten:
        slow, rejected = _read_slowly(mapping, table, venue, lines, np.union1d(chosen, wrapped), noting, context)
        rows, rejected = _storable(table, slow, rejected)
    else:
        found = _read_fast(mapping, table, venue, lines, chosen)
        refused = np.union1d(found.refused, wrapped) if len(wrapped) else found.refused
        rows = found.rows
        if not len(rows) and not len(refused):  # its neighbour of the same words fits, the one for combined streams
            return Decoded(table.no_rows, [], 0)
        slow, rejected = _read_slowly(mapping, table, venue, lines, refused, noting[:0], context)
        if slow:
            added, rejected = _storable(table, slow, rejected)
            rows = (pa.concat_tables([rows, added]) if len(rows) else added).sort_by(ROW_ORDER)
    for name, rule in mapping.spec.fields.items():
        if rule.nth:
            rows = _name_equal_ones(rows, name, lines, context, f"nth:{mapping.spec.name}")
        if rule.digest:
            rows = _name_by_digest(rows, name, lines)
    complete = with_provenance(table, rows.combine_chunks(), lines, segment, mapping.version)
    line = rows["line"].to_numpy()
    both = np.concatenate((line, np.array([r.line for r in rejected], dtype=line.dtype)))
    return Decoded(complete, rejected, len(np.unique(both)) if rejected else _runs(line))


def _runs(ordered: NDArray[np.int32]) -> int:
    """Number of different values in an ordered array."""
    return int(np.count_nonzero(np.diff(ordered))) + bool(len(ordered))


def _unwrap(table: Table, venue: Venue, lines: SegmentLines) -> tuple[NDArray[np.int64], list[Rejected]]:
    """Lines whose payload stands in base64: those that are JSON after all, and a rejection of those that are none.

    No mapping can fit the latter; what only speaks to the connection is neither. The former show no token and no field
    where the fast reading looks for them: JSON over several lines, or with white space around it.
    """
    wrapped: list[int] = []
    rejected = []
    for line in lines.wrapped().tolist():
        frame = decode_line(lines.lines[line].as_py())
        if frame.kind not in ("frame", "page") or not frame.payload:
            continue
        try:
            parse_payload(frame.payload)
        except ValueError as exc:
            if any(sockets.answer(frame.payload) for sockets in venue.sockets):  # a venue's own "pong"
                continue
            rejected.append(refuse(table, line, 0, f"not JSON: {exc}"))
        wrapped.append(line)
    bad = [r.line for r in rejected]
    return np.setdiff1d(np.array(wrapped, dtype=np.int64), bad), rejected


def _noting(venue: Venue, lines: SegmentLines, wrapped: NDArray[np.int64]) -> NDArray[np.int64]:
    """Lines that the venue's `note_context` reads; a payload in base64 shows no token, so it is asked for each."""
    if venue.note_context is None:
        return np.empty(0, dtype=np.int64)
    held = lines.holding((venue.context_token, ESCAPE) if venue.context_token else ())
    return np.union1d(held, wrapped).astype(np.int64)


def decode(
    table: Table,
    source: str,
    lines: SegmentLines,
    segment: str,
    context: Context,
    mappings: Iterable[Mapping] | None = None,
) -> Decoded:
    """The rows of `table` in a segment of `source`.

    Args:
        table: Which table.
        source: Source id of the segment's lane.
        lines: The segment, from `segment_lines.split`.
        segment: First 16 hex digits of the plaintext's SHA-256.
        context: What earlier frames of the lane said; updated to the state after this segment.
        mappings: All known mappings; default: those that ship.
    """
    venue = find_venue(source)
    wanted = [m for m in mappings or load_mappings() if m.source == source and m.spec.table == table.name]
    asked = bool(wanted) or venue.note_context is not None
    wrapped, rejected = _unwrap(table, venue, lines) if asked else (np.empty(0, dtype=np.int64), [])
    rejected = rejected if wanted else []
    noting = _noting(venue, lines, wrapped)
    torn = np.array([r.line for r in rejected], dtype=np.int64)
    parts = [_read_mapping(m, table, venue, lines, wrapped, torn, noting, segment, context) for m in wanted]
    for line in noting.tolist():
        _note(venue, decode_line(lines.lines[line].as_py()), context)
    full = [p.rows for p in parts if len(p.rows)] or [table.no_rows]
    rows = pa.concat_tables(full).sort_by(ROW_ORDER) if len(full) > 1 else full[0]
    rejected += [r for p in parts for r in p.rejected]
    rejected = list({(r.line, r.item): r for r in reversed(rejected)}.values())[::-1]  # two mappings may refuse a line
    return Decoded(rows, rejected, sum(p.lines_read for p in parts))
