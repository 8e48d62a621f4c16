"""Rows of a table out of a segment, column by column: the fast reading.

Kernels find the wanted values of all chosen lines and write plain ones straight into columns, every digit kept. A line
with a value that is missing, unknown, out of range, or merely unusual (a long exponent, an escape, a key that stands
twice) is left to `tables.rows`, which is slow and says why; both must give the same rows wherever both read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidelake.kernels.json_tokens import FALSE, TRUE
from tidelake.kernels.json_values import read_decimals, read_iso_times, read_seconds
from tidelake.tables.arrow_types import EXACT
from tidelake.tables.field_tokens import FoundTokens, Indices, Mask, Tokens, find
from tidelake.tables.field_tree import PAYLOAD, build_tree, full_path
from tidelake.tables.mapping import FieldRule, Mapping
from tidelake.tables.schema import Table
from tidelake.tables.segment_lines import SegmentLines
from tidelake.tables.values import DAY_US, FIRST_TIME_US, LAST_TIME_US
from tidelake.venues.spec import Venue

MOST_MS = LAST_TIME_US // 1_000

Column = tuple[pa.Array, Mask]  # values, and which of them are good


@dataclass(frozen=True)
class Columns:
    """What the fast reading found.

    Attributes:
        rows: The table's fact columns, and `line` and `item`; lines in order, items in order within each.
        refused: Indices of lines that the slow reading must read instead; none of their rows is in `rows`.
    """

    rows: pa.Table
    refused: Indices


def _present(values: pa.Array) -> Column:
    return values, values.is_valid().to_numpy(zero_copy_only=False)


def _exact(tokens: Tokens) -> Column:
    out = np.zeros((len(tokens.types), 2), dtype=np.uint64)
    good = np.empty(len(out), dtype=np.bool_)
    read_decimals(tokens.text, tokens.places, tokens.types, out, good)
    valid = pa.py_buffer(np.packbits(good, bitorder="little"))
    return pa.Decimal128Array.from_buffers(EXACT, len(out), [valid, pa.py_buffer(out)]), good


def _words(rule: FieldRule, tokens: Tokens) -> Column:
    texts = tokens.texts()
    for word, kind in (("true", TRUE), ("false", FALSE)):
        if word in rule.values:
            texts = pc.if_else(pa.array(tokens.types == kind), word, texts)
    places = pc.index_in(texts, value_set=pa.array(list(rule.values)))
    return _present(pa.array(list(rule.values.values()), pa.string()).take(places))


def _by_name(tokens: Tokens, say: Callable[[str], str]) -> Column:
    """What a venue says of its own names, each asked for once."""
    coded = tokens.texts().dictionary_encode()
    names: list[str | None] = []
    for name in coded.dictionary.to_pylist():
        try:
            names.append(say(name))
        except ValueError:
            names.append(None)
    return _present(pa.array(names, pa.string()).take(coded.indices))


def _times(unit: str, tokens: Tokens) -> tuple[Indices, Mask]:
    if unit == "iso8601":
        return tokens.read_int64(read_iso_times)
    if unit == "s":
        return tokens.read_int64(read_seconds)
    counts, whole = tokens.integers
    good = whole & (counts >= 0)
    if unit == "ms":
        return counts * 1_000, good & (counts <= MOST_MS)
    return (counts // 1_000 if unit == "ns" else counts), good


def _is_zero(values: pa.Array) -> Mask:
    same = pc.fill_null(pc.equal(values, pa.scalar(0, values.type)), False)
    zero: Mask = same.to_numpy(zero_copy_only=False)
    return zero


def _convert(rule: FieldRule, tokens: Tokens, venue: Venue) -> Column:
    match rule.as_:
        case "text":
            return _present(tokens.texts())
        case "integer" | "integer_text":
            whole, good = tokens.integers
            values = pa.array(whole, mask=~good)
            return (values if rule.as_ == "integer" else pc.cast(values, pa.string())), good
        case "decimal":
            return _exact(tokens)
        case "symbol":
            return _by_name(tokens, lambda name: venue.canonical(rule.before + name))
        case "size_unit":
            assert venue.size_unit is not None
            return _by_name(tokens, venue.size_unit)
        case "enum":
            return _words(rule, tokens)
        case unit:
            us, good = _times(unit, tokens)
            good &= np.abs(us) <= LAST_TIME_US
            return pa.array(us, mask=~good), good


def in_validity(mapping: Mapping, recv_ns: Indices) -> Mask:
    """Which receive times lie in the mapping's dates; `valid_from` inclusive, `valid_to` exclusive, UTC days."""
    mask = np.ones(len(recv_ns), dtype=np.bool_)
    if mapping.spec.valid_from:
        mask &= recv_ns >= np.datetime64(mapping.spec.valid_from, "ns").astype(np.int64)
    if mapping.spec.valid_to:
        mask &= recv_ns < np.datetime64(mapping.spec.valid_to, "ns").astype(np.int64)
    return mask


def _fitting(mapping: Mapping, found: FoundTokens) -> tuple[Mask, Mask]:
    """Lines that the mapping fits, and lines where only the slow reading can tell."""
    spec = mapping.spec
    unsure = found.odd.copy()
    fits = found.of_lines("kind").is_one_of([spec.kind])
    for demands, is_wanted in ((spec.where, True), (spec.unless, False)):
        for path, words in demands.items():
            tokens = found.of_lines(f"{PAYLOAD}.{path}")
            fits &= tokens.is_one_of(words) == is_wanted
            unsure |= tokens.is_escaped()
    unsure |= fits & found.listless
    return fits & ~unsure, unsure


def _own(mapping: Mapping, found: FoundTokens) -> Mask:
    """Rows that have what the mapping wants of them, and nothing that they must lack."""
    own = np.ones(len(found.row_line), dtype=np.bool_)
    for paths, is_wanted in ((mapping.spec.has, True), (mapping.spec.lacks, False)):
        for path in paths:
            own &= found.of_rows(full_path(mapping, path)).is_there() == is_wanted
    return own


def _facts(
    mapping: Mapping, table: Table, venue: Venue, found: FoundTokens, recv_ns: Indices
) -> tuple[dict[str, pa.Array], Mask]:
    """Columns of the rows, and which rows are good in all of them. `recv_ns`: receive clock of each row."""
    spec = mapping.spec
    columns: dict[str, pa.Array] = {}
    good = np.ones(len(recv_ns), dtype=np.bool_)
    of_rows = cache(found.of_rows)  # a trade's id and its number are one field
    for name, rule in spec.fields.items():
        if rule.made:
            continue
        if rule.frame == "recv_ns":
            columns[name] = pa.array(recv_ns // 1_000)
            continue
        tokens = of_rows("symbol" if rule.frame else full_path(mapping, rule.path))
        columns[name], read = _convert(rule, tokens, venue)
        absent = tokens.is_absent()
        if rule.zero == "missing":
            absent |= _is_zero(columns[name])
        good &= (read & ~absent) if name in table.required else (read | absent)
        if name not in table.required and absent.any():
            columns[name] = pc.if_else(pa.array(absent), pa.scalar(None, columns[name].type), columns[name])
    constants = {"source": mapping.source, **spec.set_}
    columns |= {name: pa.repeat(pa.scalar(value), len(recv_ns)) for name, value in constants.items()}
    made = {name for name, rule in spec.fields.items() if rule.made}
    if any(name not in columns and name not in made for name in table.required):
        good[:] = False
    for name in table.positive:
        if name in columns:
            good &= pc.fill_null(pc.greater(columns[name], pa.scalar(0, EXACT)), False).to_numpy(zero_copy_only=False)
    event_us = pc.fill_null(columns["event_time"], 0).to_numpy(zero_copy_only=False)
    good &= (event_us >= FIRST_TIME_US) & (event_us <= recv_ns // 1_000 + DAY_US)
    return columns, good


def _assemble(table: Table, found: dict[str, pa.Array], line: Indices, item: Indices) -> pa.Table:
    columns = {}
    for fact in table.facts:
        column = found.get(fact.name)
        if column is None:
            column = pa.nulls(len(line), fact.type)
        columns[fact.name] = column if column.type == fact.type else pc.cast(column, fact.type)
    columns["line"] = pa.array(line.astype(np.int32))
    columns["item"] = pa.array(item.astype(np.int32))
    return pa.table(columns)


def _items(row_line: Indices) -> Indices:
    """Place of each row among those of its line."""
    starts = np.flatnonzero(np.diff(row_line, prepend=-1))
    return np.arange(len(row_line)) - np.repeat(starts, np.diff(np.append(starts, len(row_line))))


def read_columns(mapping: Mapping, table: Table, venue: Venue, lines: SegmentLines, chosen: Indices) -> Columns:
    """The rows that a mapping without `flatten` finds in the chosen lines, in order."""
    tree = build_tree(mapping)
    no_rows = table.no_rows.select([*(fact.name for fact in table.facts), "line", "item"])
    if tree is None or not len(chosen):
        return Columns(no_rows, chosen)
    found = find(tree, lines, chosen)
    fits, unsure = _fitting(mapping, found)
    if not fits.any():
        return Columns(no_rows, chosen[unsure])
    row_line = found.row_line
    recv_ns = lines.recv_ns[chosen[row_line]]
    columns, good = _facts(mapping, table, venue, found, recv_ns)
    own = _own(mapping, found)
    bad = unsure.copy()
    bad[row_line[~good & own]] = True
    keep = (fits & ~bad)[row_line] & own
    item = _items(row_line)
    if not keep.all():
        columns = {name: column.filter(pa.array(keep)) for name, column in columns.items()}
        row_line, item = row_line[keep], item[keep]
    return Columns(_assemble(table, columns, chosen[row_line], item), chosen[bad & (fits | unsure)])
