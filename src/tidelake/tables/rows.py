"""Rows of a table out of single frames, value by value: the slow, obvious reading.

It serves frames that a venue's function flattens, and frames that the columnar reading (`tables.columns`) refuses:
then it finds the bad rows, says why, and keeps the good ones beside them.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping as Dict
from dataclasses import dataclass
from decimal import Decimal

from tidelake.raw.frame import Frame
from tidelake.tables import values
from tidelake.tables.mapping import FieldRule, Mapping
from tidelake.tables.schema import Table
from tidelake.venues.spec import Venue

Row = dict[str, object]


@dataclass(frozen=True)
class Rejected:
    """A row or line that could not be read: which, and why."""

    table: str
    line: int
    item: int
    reason: str


class _Object(dict[str, object]):
    """A JSON object that remembers which keys it held twice."""

    __slots__ = ("twice",)

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.twice = {key for key, n in Counter(k for k, _ in pairs).items() if n > 1} if len(self) < len(pairs) else ()


def _not_json(word: str) -> object:
    raise ValueError(f"{word} is not JSON")


def parse_payload(payload: bytes) -> object:
    """A payload with exact numbers (int, Decimal) and doubled keys remembered.

    Raises:
        ValueError: It is not JSON.
    """
    try:
        return json.loads(
            payload.decode("utf-8"), parse_float=Decimal, parse_constant=_not_json, object_pairs_hook=_Object
        )
    except RecursionError as exc:
        raise ValueError("nested too deep") from exc


def value_at(node: object, path: str) -> object:
    """What stands at a dotted path, a number stepping into a list; None where a step is missing.

    Raises:
        ValueError: An object on the way holds the key twice.
    """
    for step in path.split(".") if path else ():
        if isinstance(node, list):
            place = int(step) if step.removeprefix("-").isdecimal() else len(node)
            node = node[place] if -len(node) <= place < len(node) else None
            continue
        if not isinstance(node, dict):
            return None
        if step in getattr(node, "twice", ()):
            raise ValueError(f"key {step!r} stands twice")
        node = node.get(step)
    return node


def matches(payload: object, where: Dict[str, list[str | int | bool]]) -> bool:
    """Whether a payload holds one of the wanted values at each path; a doubled key matches none."""
    try:
        found = ((value_at(payload, path), wanted) for path, wanted in where.items())
        return all(any(value == w and type(value) is type(w) for w in wanted) for value, wanted in found)
    except ValueError:
        return False


def _items(payload: object, rows: str) -> list[object]:
    if not rows:
        return [payload]
    listed = value_at(payload, rows.removesuffix("[]"))
    if not isinstance(listed, list):
        raise ValueError(f"no list at {rows!r}")
    return listed


def _read(rule: FieldRule, raw: object, venue: Venue) -> object:
    match rule.as_:
        case "text":
            return values.to_text(raw)
        case "integer":
            return values.to_integer(raw)
        case "integer_text":
            return str(values.to_integer(raw))
        case "decimal":
            return values.to_decimal(raw)
        case "symbol":
            return venue.canonical(values.to_text(raw))
        case "enum":
            word = str(raw).lower() if isinstance(raw, bool) else values.to_text(raw)
            if word not in rule.values:
                raise ValueError(f"{word!r} is none of {', '.join(rule.values)}")
            return rule.values[word]
        case "iso8601":
            return values.iso8601_us(raw)
        case unit:
            return values.to_event_us(raw, unit)


def _column(
    name: str, rule: FieldRule, payload: object, item: object, frame: Frame, table: Table, venue: Venue
) -> object:
    if rule.frame == "symbol":
        return frame.symbol or None
    if rule.frame == "recv_ns":
        return frame.recv_ns // 1_000
    path = rule.path
    raw = value_at(payload, path[2:]) if path.startswith("^.") else value_at(item, path)
    if raw is None or (raw == "" and name not in table.required):
        if name in table.required:
            raise ValueError(f"{name}: nothing at {path!r}")
        return None
    try:
        return _read(rule, raw, venue)
    except ValueError as exc:
        raise ValueError(f"{name}: {exc}") from exc


def read_item(mapping: Mapping, table: Table, venue: Venue, frame: Frame, payload: object, item: object) -> Row:
    """The fact columns of one row; times as us since 1970, decimals as Decimal at scale 18.

    Raises:
        ValueError: A value is missing, of another type, or out of range; the text names the column.
    """
    row: Row = {"source": mapping.source, **mapping.spec.set_}
    for name, rule in mapping.spec.fields.items():
        if not rule.nth:
            row[name] = _column(name, rule, payload, item, frame, table, venue)
    for name in table.required:
        nth = name in mapping.spec.fields and mapping.spec.fields[name].nth
        if row.get(name) is None and not nth:
            raise ValueError(f"{name} is missing")
    for name in table.positive:
        value = row[name]
        if isinstance(value, Decimal) and value <= 0:
            raise ValueError(f"{name}: {value} is not above zero")
    event_us = row["event_time"]
    assert isinstance(event_us, int)
    values.check_event_us(event_us, frame.recv_ns)
    return row


def read_frame(
    mapping: Mapping, table: Table, venue: Venue, frame: Frame, line: int, context: dict[str, str]
) -> Iterator[tuple[int, Row] | Rejected]:
    """The rows of one frame in order, each with its place (`item`) in it, and the rows it refuses.

    A frame that the mapping's `where` does not fit yields nothing.
    """
    spec = mapping.spec
    try:
        payload = parse_payload(frame.payload)
        if not matches(payload, spec.where):
            return
        items = list(venue.flatten[spec.flatten](frame, context)) if spec.flatten else _items(payload, spec.rows)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as exc:
        yield Rejected(table.name, line, 0, f"{type(exc).__name__}: {exc}")
        return
    for item, content in enumerate(items):
        try:
            yield item, read_item(mapping, table, venue, frame, payload, content)
        except ValueError as exc:
            yield Rejected(table.name, line, item, str(exc))
