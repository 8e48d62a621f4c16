"""Rows of a table out of single frames, value by value: the slow, obvious reading.

It serves frames that a venue's function flattens, and frames that the columnar reading (`tables.columns`) refuses:
then it finds the bad rows, says why, and keeps the good ones beside them.
"""

from collections.abc import Iterator, Mapping as Dict
from dataclasses import dataclass
from decimal import Decimal

from tidelake.raw.frame import Frame
from tidelake.tables import values
from tidelake.tables.mapping import FieldRule, Mapping, MappingSpec
from tidelake.tables.schema import Table
from tidelake.venues.payloads import DAMAGE, parse_json
from tidelake.venues.spec import Unreadable, Venue

Row = dict[str, object]
MOST_REASON = 500  # letters


@dataclass(frozen=True)
class Rejected:
    """A row or line that could not be read: which, and why."""

    table: str
    line: int
    item: int
    reason: str


def refuse(table: Table, line: int, item: int, reason: str) -> Rejected:
    """A rejection whose reason can be stored, whatever the payload put into it."""
    text = reason.encode("utf-8", "backslashreplace").decode()
    return Rejected(table.name, line, item, text if len(text) <= MOST_REASON else f"{text[:MOST_REASON]}..")


class _Object(dict[str, object]):
    """A JSON object that remembers which keys it held twice, and all their values."""

    __slots__ = ("twice",)

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.twice: dict[str, list[object]] = {}
        if len(self) < len(pairs):
            for key, value in pairs:
                self.twice.setdefault(key, []).append(value)
            self.twice = {key: held for key, held in self.twice.items() if len(held) > 1}


def parse_payload(payload: bytes) -> object:
    """A payload with exact numbers (int, Decimal) and doubled keys remembered.

    Raises:
        ValueError: It is not JSON.
    """
    return parse_json(payload.decode("utf-8"), _Object)


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


def _candidates(node: object, path: str) -> tuple[list[object], str]:
    """All values that a path may mean, and a key on it that stands twice; "" where none does."""
    nodes, doubled = [node], ""
    for step in path.split("."):
        below: list[object] = []
        for one in nodes:
            if isinstance(one, _Object) and step in one.twice:
                doubled = step
                below += one.twice[step]
            else:
                below.append(value_at(one, step))
        nodes = below
    return nodes, doubled


def fits(value: object, wanted: str | int | bool) -> bool:
    """Whether a value is the wanted one, of the same type; a text with * before or after it ends or begins so."""
    if isinstance(wanted, str) and isinstance(value, str):
        if wanted.startswith("*"):
            return value.endswith(wanted[1:])
        if wanted.endswith("*"):
            return value.startswith(wanted[:-1])
    return value == wanted and type(value) is type(wanted)


def matches(payload: object, where: Dict[str, list[str | int | bool]]) -> bool:
    """Whether a payload holds one of the wanted values at each path.

    Raises:
        ValueError: It does by one of the values of a key that stands twice.
    """
    doubled = ""
    for path, wanted in where.items():
        found, twice = _candidates(payload, path)
        if not any(fits(value, w) for value in found for w in wanted):
            return False
        doubled = doubled or twice
    if doubled:
        raise ValueError(f"key {doubled!r} stands twice")
    return True


def _is_excluded(payload: object, unless: Dict[str, list[str | int | bool]]) -> bool:
    return any(matches(payload, {path: words}) for path, words in unless.items())


def _is_own(item: object, spec: MappingSpec) -> bool:
    """Whether a row has what the mapping wants of it, and nothing that it must lack.

    Raises:
        ValueError: A key on the way stands twice.
    """
    has = all(value_at(item, path) is not None for path in spec.has)
    return has and all(value_at(item, path) is None for path in spec.lacks)


def _items(payload: object, rows: str) -> list[object]:
    if not rows:
        return [payload]
    found = [payload]
    for path in rows.removesuffix("[]").split("[]."):
        lists = [value_at(node, path) for node in found]
        if not all(isinstance(listed, list) for listed in lists):
            raise ValueError(f"no list at {rows!r}")
        found = [item for listed in lists if isinstance(listed, list) for item in listed]
    return found


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
            return venue.canonical(rule.before + values.to_text(raw))
        case "size_unit":
            assert venue.size_unit is not None
            return venue.size_unit(values.to_text(raw))
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
        value = _read(rule, raw, venue)
    except (ValueError, ArithmeticError) as exc:
        raise ValueError(f"{name}: {exc}") from exc
    if rule.zero == "missing" and value == 0:
        if name in table.required:
            raise ValueError(f"{name}: 0 at {path!r} stands for none")
        return None
    return value


def read_item(mapping: Mapping, table: Table, venue: Venue, frame: Frame, payload: object, item: object) -> Row:
    """The fact columns of one row; times as us since 1970, decimals as Decimal at scale 18.

    Raises:
        ValueError: A value is missing, of another type, or out of range; the text names the column.
    """
    row: Row = {"source": mapping.source, **mapping.spec.set_}
    for name, rule in mapping.spec.fields.items():
        if not rule.made:
            row[name] = _column(name, rule, payload, item, frame, table, venue)
    for name in table.required:
        made = name in mapping.spec.fields and mapping.spec.fields[name].made
        if row.get(name) is None and not made:
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

    A frame that the mapping's `where` and `unless` do not fit yields nothing, nor does a row that `has` and `lacks`
    leave to another mapping.
    """
    spec = mapping.spec
    try:
        payload = parse_payload(frame.payload) if _needs_payload(mapping) else None
        if not matches(payload, spec.where) or _is_excluded(payload, spec.unless):
            return
        items = list(venue.flatten[spec.flatten](frame, context)) if spec.flatten else _items(payload, spec.rows)
    except DAMAGE as exc:
        yield refuse(table, line, 0, f"{type(exc).__name__}: {exc}")
        return
    for item, content in enumerate(items):
        if isinstance(content, Unreadable):
            yield refuse(table, line, item, content.reason)
            continue
        try:
            if not _is_own(content, spec):
                continue
            yield item, read_item(mapping, table, venue, frame, payload, content)
        except DAMAGE as exc:
            yield refuse(table, line, item, str(exc))


def _needs_payload(mapping: Mapping) -> bool:
    """Whether more than the venue's own function reads the payload."""
    spec = mapping.spec
    above = any(rule.path.startswith("^.") for rule in spec.fields.values())
    return bool(not spec.flatten or spec.where or spec.unless or above)
