"""Rows of a table out of a segment, column by column: the fast reading.

Arrow reads the envelopes and the wanted fields of all chosen lines at once, with the digits of every number kept. What
it cannot read, and every line with a value that is missing, unknown or out of range, is left to `tables.rows`, which
is slow and says why; both must give the same rows wherever both read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json
from numpy.typing import NDArray

from tidelake.raw.frame import decode_line
from tidelake.tables.mapping import FieldRule, Mapping
from tidelake.tables.rows import parse_payload, value_at
from tidelake.tables.schema import EXACT, TIME, Table
from tidelake.tables.segment_lines import SegmentLines
from tidelake.tables.values import DAY_US, FIRST_TIME_US
from tidelake.venues.spec import Venue

SMALL = 64  # lines; a block that Arrow refuses is halved down to this, then read slowly
BLOCK = 16 << 20  # bytes that Arrow parses as one task (measured: 4 MiB and 1 MiB are slower)
WHOLE = r"^-?(0|[1-9][0-9]{0,17})$"  # written as int64 would be
EXPONENT = rb"[0-9.][eE][+-]?[0-9]"
SAFE = Decimal(10) ** 15  # Arrow's JSON reader does not check the precision of larger ones
SAMPLE = 32  # lines looked at to see which JSON type a field has


@dataclass(frozen=True)
class Columns:
    """What the fast reading found.

    Attributes:
        rows: The table's fact columns, and `line` and `item`; lines in order, items in order within each.
        refused: Indices of lines that the slow reading must read instead; none of their rows is in `rows`.
    """

    rows: pa.Table
    refused: NDArray[np.int64]


class _Node(dict[str, "_Node | pa.DataType"]):
    """Wanted fields as a tree; a leaf is the type to read it as."""

    def put(self, path: str, leaf: pa.DataType) -> None:
        *folders, name = path.split(".")
        node = self
        for folder in folders:
            child = node.setdefault(folder, _Node())
            if not isinstance(child, _Node):
                raise pa.ArrowInvalid(f"{folder} is read as a value and as an object")
            node = child
        node[name] = leaf

    def struct(self) -> pa.DataType:
        return pa.struct([pa.field(k, v.struct() if isinstance(v, _Node) else v) for k, v in self.items()])


def _leaf_type(rule: FieldRule, samples: list[object]) -> pa.DataType:
    """How Arrow shall read a field, from the JSON types seen in a few lines; another type later refuses the block."""
    seen = next((s for s in samples if s is not None), "")
    if isinstance(seen, bool):
        return pa.bool_()
    if isinstance(seen, str):
        return pa.string()
    return EXACT if rule.as_ in ("decimal", "s") else pa.int64()


def _schema(mapping: Mapping, payloads: list[object]) -> pa.Schema:
    spec = mapping.spec
    payload, row = _Node(), _Node()
    for path, wanted in spec.where.items():
        kind = wanted[0]
        payload.put(
            path, pa.bool_() if isinstance(kind, bool) else pa.int64() if isinstance(kind, int) else pa.string()
        )
    listed = spec.rows.removesuffix("[]")
    items = [value_at(p, listed) if spec.rows else p for p in payloads]
    firsts = [i[0] if isinstance(i, list) and i else None for i in items] if spec.rows else items
    for rule in spec.fields.values():
        if rule.path.startswith("^."):
            payload.put(rule.path[2:], _leaf_type(rule, [value_at(p, rule.path[2:]) for p in payloads]))
        elif rule.path:
            leaf = _leaf_type(rule, [value_at(f, rule.path) for f in firsts])
            (row if spec.rows else payload).put(rule.path, leaf)
    body: pa.DataType = payload.struct()
    if spec.rows == "[]":
        body = pa.list_(row.struct())
    elif spec.rows:
        payload.put(listed, pa.list_(row.struct()))
        body = payload.struct()
    return pa.schema([("kind", pa.string()), ("request", pa.string()), ("symbol", pa.string()), ("payload", body)])


def _at(column: pa.Array, path: str) -> pa.Array:
    for step in path.split(".") if path else ():
        column = pc.struct_field(column, step)
    return column


def _parse(text: pa.Buffer, schema: pa.Schema, count: int, longest: int) -> pa.StructArray:
    table = pa_json.read_json(
        pa.BufferReader(text),
        parse_options=pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        read_options=pa_json.ReadOptions(block_size=max(BLOCK, longest + 1)),
    )
    if table.num_rows != count:
        raise pa.ArrowInvalid(f"{count} lines gave {table.num_rows} rows")
    return table.select(schema.names).combine_chunks().to_struct_array().combine_chunks()


def _scaled(column: pa.Array, scale: int) -> pa.Array:
    """Decimals with `scale` digits behind the point as int64 counts of the last one; further digits are cut."""
    cut = pc.cast(column, pa.decimal128(38, scale), safe=False)
    words = np.frombuffer(cut.buffers()[1], dtype=np.int64).reshape(-1, 2)[cut.offset : cut.offset + len(cut), 0]
    return pa.array(words, mask=pc.is_null(column).to_numpy(zero_copy_only=False))


def _integers(column: pa.Array) -> pa.Array:
    if column.type == pa.string():
        column = pc.if_else(pc.match_substring_regex(column, WHOLE), column, pa.scalar(None, pa.string()))
    return pc.cast(column, pa.int64())


def _exact(column: pa.Array) -> pa.Array:
    if column.type == pa.string():
        plain = pc.invert(pc.match_substring_regex(column, "[eE]"))
        return pc.cast(pc.if_else(plain, column, pa.scalar(None, pa.string())), EXACT)
    if column.type == pa.int64():
        return pc.cast(column, EXACT)
    return pc.if_else(pc.less(pc.abs(column), pa.scalar(SAFE, EXACT)), column, pa.scalar(None, EXACT))


def _canonical(column: pa.Array, venue: Venue) -> pa.Array:
    coded = column.dictionary_encode()
    names: list[str | None] = []
    for name in coded.dictionary.to_pylist():
        try:
            names.append(venue.canonical(name))
        except ValueError:
            names.append(None)
    return pa.array(names, pa.string()).take(coded.indices)


def _convert(rule: FieldRule, column: pa.Array, venue: Venue) -> pa.Array:
    """A field in the column's own terms; null where the slow reading must decide."""
    match rule.as_:
        case "text":
            return pc.if_else(pc.not_equal(column, ""), column, pa.scalar(None, pa.string()))
        case "integer":
            return _integers(column)
        case "integer_text":
            return pc.cast(_integers(column), pa.string())
        case "decimal":
            return _exact(column)
        case "symbol":
            return _canonical(column, venue)
        case "enum":
            words = pc.cast(column, pa.string())
            found = pc.index_in(words, value_set=pa.array(list(rule.values)))
            return pa.array(list(rule.values.values()), pa.string()).take(found)
        case "iso8601":
            stamped = pc.cast(column, pa.timestamp("ns", "UTC"))
            return pc.cast(pc.cast(stamped, TIME, safe=False), pa.int64())
        case "s":
            return _scaled(_exact(column), 6)
        case "ms":
            return pc.multiply(_integers(column), pa.scalar(1_000, pa.int64()))
        case "us":
            return _integers(column)
        case "ns":
            return pc.divide(_integers(column), pa.scalar(1_000, pa.int64()))


def _valid_lines(mapping: Mapping, parsed: pa.StructArray, recv_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    spec = mapping.spec
    mask = pc.equal(parsed.field("kind"), spec.kind)
    if spec.request:
        mask = pc.and_(mask, pc.match_substring(parsed.field("request"), spec.request))
    for path, wanted in spec.where.items():
        column = _at(parsed.field("payload"), path)
        mask = pc.and_(mask, pc.is_in(column, value_set=pa.array(wanted, column.type)))
    fits: NDArray[np.bool_] = pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return fits & in_validity(mapping, recv_ns)


def in_validity(mapping: Mapping, recv_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which receive times lie in the mapping's dates; `valid_from` inclusive, `valid_to` exclusive, UTC days."""
    mask = np.ones(len(recv_ns), dtype=bool)
    if mapping.spec.valid_from:
        mask &= recv_ns >= np.datetime64(mapping.spec.valid_from, "ns").astype(np.int64)
    if mapping.spec.valid_to:
        mask &= recv_ns < np.datetime64(mapping.spec.valid_to, "ns").astype(np.int64)
    return mask


def _explode(parsed: pa.StructArray, rows: str) -> tuple[pa.StructArray, NDArray[np.int64], NDArray[np.int64]]:
    """The row structs, for each its place in `parsed`, and its place in the list there."""
    payload = parsed.field("payload")
    if not rows:
        return payload, np.arange(len(payload)), np.zeros(len(payload), dtype=np.int64)
    listed = _at(payload, rows.removesuffix("[]"))
    if listed.null_count:
        raise pa.ArrowInvalid(f"no list at {rows!r}")
    parent = pc.list_parent_indices(listed).to_numpy().astype(np.int64)
    lengths = pc.list_value_length(listed).to_numpy(zero_copy_only=False)
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)
    return pc.list_flatten(listed), parent, np.arange(len(parent)) - starts[parent]


def _facts(
    mapping: Mapping, table: Table, venue: Venue, parsed: pa.StructArray, recv_ns: NDArray[np.int64]
) -> tuple[dict[str, pa.Array], NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Fact columns, which rows are good, and for each row its place in `parsed` and its item."""
    spec = mapping.spec
    rows, parent, item = _explode(parsed, spec.rows)
    parents = pa.array(parent)
    found: dict[str, pa.Array] = {}
    good = np.ones(len(parent), dtype=bool)
    for name, rule in spec.fields.items():
        if rule.nth:
            continue
        if rule.frame:
            raw = parsed.field("symbol").take(parents) if rule.frame == "symbol" else pa.array(recv_ns[parent] // 1_000)
            found[name] = raw
        elif rule.path.startswith("^."):
            raw = _at(parsed.field("payload"), rule.path[2:]).take(parents)
            found[name] = _convert(rule, raw, venue)
        else:
            raw = _at(rows, rule.path)
            found[name] = _convert(rule, raw, venue)
        if name not in table.required:  # a value that is there but not readable is not a missing one
            good &= pc.or_(pc.is_null(raw), pc.is_valid(found[name])).to_numpy(zero_copy_only=False)
    constants = {"source": mapping.source, **spec.set_}
    found |= {name: pa.repeat(pa.scalar(value), len(parent)) for name, value in constants.items()}
    for name in table.required:
        if name in found:
            good &= found[name].is_valid().to_numpy(zero_copy_only=False)
        elif not (name in spec.fields and spec.fields[name].nth):
            good[:] = False
    for name in table.positive:
        if name in found:
            good &= pc.fill_null(pc.greater(found[name], pa.scalar(Decimal(0), EXACT)), False).to_numpy(
                zero_copy_only=False
            )
    event_us = pc.fill_null(found["event_time"], 0).to_numpy()
    good &= (event_us >= FIRST_TIME_US) & (event_us <= recv_ns[parent] // 1_000 + DAY_US)
    return found, good, parent, item


def _assemble(table: Table, found: dict[str, pa.Array], line: NDArray[np.int64], item: NDArray[np.int64]) -> pa.Table:
    columns = {}
    for fact in table.facts:
        column = found.get(fact.name)
        columns[fact.name] = pa.nulls(len(line), fact.type) if column is None else pc.cast(column, fact.type)
    columns["line"] = pa.array(line.astype(np.int32))
    columns["item"] = pa.array(item.astype(np.int32))
    return pa.table(columns)


def _read_block(
    mapping: Mapping, table: Table, venue: Venue, lines: SegmentLines, chosen: NDArray[np.int64]
) -> Columns:
    text = lines.text(chosen)
    texts = lines.lines.take(pa.array(chosen[:SAMPLE]))
    payloads = [p for p in map(_sample, texts.to_pylist()) if p is not None]
    schema = _schema(mapping, payloads)
    refused = np.empty(0, dtype=np.int64)
    if "decimal128" in str(schema):  # numbers with an exponent overflow in Arrow without a word
        odd = pc.match_substring_regex(lines.lines.take(pa.array(chosen)), EXPONENT).to_numpy(zero_copy_only=False)
        if odd.any():
            refused, chosen = chosen[odd], chosen[~odd]
            text = lines.text(chosen)
    longest = int(pc.max(pc.binary_length(lines.lines)).as_py() or 0)
    parsed = _parse(text, schema, len(chosen), longest)
    recv_ns = lines.recv_ns[chosen]
    wanted = _valid_lines(mapping, parsed, recv_ns)
    if not wanted.all():
        parsed, recv_ns, chosen = parsed.filter(pa.array(wanted)), recv_ns[wanted], chosen[wanted]
    found, good, parent, item = _facts(mapping, table, venue, parsed, recv_ns)
    bad_parents = np.unique(parent[~good])
    if len(bad_parents):
        keep = ~np.isin(parent, bad_parents)
        found = {name: column.filter(pa.array(keep)) for name, column in found.items()}
        refused = np.union1d(refused, chosen[bad_parents])
        parent, item = parent[keep], item[keep]
    return Columns(_assemble(table, found, chosen[parent], item), refused)


def _sample(line: bytes) -> object:
    try:
        return parse_payload(decode_line(line).payload)
    except ValueError:
        return None


def _blocks(
    mapping: Mapping, table: Table, venue: Venue, lines: SegmentLines, chosen: NDArray[np.int64]
) -> Iterator[Columns]:
    if len(chosen) == 0:
        return
    try:
        yield _read_block(mapping, table, venue, lines, chosen)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError, OverflowError, ValueError):
        if len(chosen) <= SMALL:
            empty = _assemble(table, {}, np.empty(0, np.int64), np.empty(0, np.int64))
            yield Columns(empty, chosen)
            return
        middle = len(chosen) // 2
        yield from _blocks(mapping, table, venue, lines, chosen[:middle])
        yield from _blocks(mapping, table, venue, lines, chosen[middle:])


def read_columns(
    mapping: Mapping, table: Table, venue: Venue, lines: SegmentLines, chosen: NDArray[np.int64]
) -> Columns:
    """The rows that a mapping without `flatten` finds in the chosen lines, in order."""
    blocks = list(_blocks(mapping, table, venue, lines, chosen))
    if not blocks:
        return Columns(_assemble(table, {}, np.empty(0, np.int64), np.empty(0, np.int64)), np.empty(0, dtype=np.int64))
    refused = np.unique(np.concatenate([b.refused for b in blocks]))
    return Columns(pa.concat_tables([b.rows for b in blocks]), refused)
