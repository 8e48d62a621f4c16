"""Field mappings: which payloads of a source hold rows of a table, and which field means what.

A mapping stands in YAML beside its venue, or in a user's own directory, where one of the same source and name replaces
ours. `docs/add-a-venue.md` explains each word by example.
"""

import datetime as dt
import hashlib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import msgspec
import yaml

from tidelake.errors import ConfigError

LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # eight times as fast where it is built
As = Literal[
    "text", "integer", "integer_text", "decimal", "symbol", "size_unit", "enum", "s", "ms", "us", "ns", "iso8601"
]


class FieldRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename={"as_": "as"}):
    """Where a column's value stands and how it is read; one of `path`, `frame`, `nth` and `digest`.

    Attributes:
        path: Dots lead from the row into objects; `^.` starts at the payload. Of a flattened record: its field.
        as_: How the value is read (`tables.values`); "symbol" and "size_unit" are what the venue says of its own name.
        values: For "enum": the venue's word to ours; any other word is refused.
        frame: "symbol" (that the page was asked for) or "recv_ns" (as event time).
        nth: True for trade_id where the venue gives no id: made of time, price, size, side and a count of equal ones.
        digest: True for an id where the venue gives none and equal messages say nothing new: event time in us, a dash,
            and the first 16 hex digits of the payload's SHA-256; from its second row on, a dot and the row's place.
        before: For "symbol": what the venue leaves out before its name in these payloads.
        zero: "missing" where the venue writes 0 for what it has not (an empty side, no next time): the column is null.
    """

    path: str = ""
    as_: As = "text"
    values: dict[str, str] = {}
    frame: Literal["", "symbol", "recv_ns"] = ""
    nth: bool = False
    digest: bool = False
    before: str = ""
    zero: Literal["", "missing"] = ""

    @property
    def made(self) -> bool:
        """Whether the value is made of the finished row, not read."""
        return self.nth or self.digest


class MappingSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename={"set_": "set"}):
    """One mapping as written.

    Attributes:
        request: Words of which the request, or the address of the socket, holds one; any does where there are none.
        not_request: Words of which it holds none.
        where: By path, the values that a payload may have there; a text that begins or ends with * stands for all that
            end or begin so.
        unless: As `where`, but what a payload must not have at any of the paths.
        has, lacks: Paths in a row where it has a value, or has none; other rows are not this mapping's. null is none.
        rows: Where the list of rows stands; each `[]` on the way to it is a list of objects.
    """

    name: str
    table: str
    kind: Literal["frame", "page"]
    fields: dict[str, FieldRule]
    request: str | list[str] = ""
    not_request: list[str] = []
    where: dict[str, list[str | int | bool]] = {}
    unless: dict[str, list[str | int | bool]] = {}
    has: list[str] = []
    lacks: list[str] = []
    rows: str = ""
    flatten: str = ""
    set_: dict[str, str] = {}
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None

    @property
    def requests(self) -> list[str]:
        """The words of `request` as a list."""
        return self.request if isinstance(self.request, list) else [self.request] if self.request else []

    def is_answered(self, request: str) -> bool:
        """Whether payloads of this request are the mapping's."""
        named = not self.requests or any(word in request for word in self.requests)
        return named and not any(word in request for word in self.not_request)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    mappings: list[MappingSpec]


@dataclass(frozen=True, eq=False)
class Mapping:
    """A mapping with its source and version; `version` changes when any word of it does, not when the language grows.

    It equals itself alone, so that what follows from it is worked out once (`tables.field_tree`, `tables.decode`).
    """

    source: str
    spec: MappingSpec
    version: str = field(default="")


def _read(text: str, where: str) -> list[Mapping]:
    try:
        file = msgspec.convert(yaml.load(text, Loader=LOADER), _File)
    except (yaml.YAMLError, msgspec.ValidationError) as exc:
        raise ConfigError(f"mapping file {where} is not valid: {exc}", tried=(where,)) from exc
    mappings = []
    for spec in file.mappings:
        digest = hashlib.sha256(msgspec.json.encode(spec, order="sorted")).hexdigest()[:8]
        mappings.append(Mapping(file.source, spec, f"{file.source}/{spec.name}@{digest}"))
    return mappings


def _read_own(path: Path) -> list[Mapping]:
    """A user's file: also checked against the tables and venues that exist."""
    try:
        mappings = _read(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"mapping file {path} cannot be read: {exc}", tried=(str(path),)) from exc
    for mapping in mappings:
        if problem := _problem(mapping):
            raise ConfigError(f"mapping file {path} is not valid: {mapping.spec.name}: {problem}", tried=(str(path),))
    return mappings


def _problem(mapping: Mapping) -> str:
    from tidelake.tables.registry import TABLES  # needs pyarrow
    from tidelake.venues.registry import venues

    spec = mapping.spec
    if mapping.source not in venues():
        return f"no venue {mapping.source!r}; known venues: {', '.join(venues())}"
    if spec.table not in TABLES:
        return f"no table {spec.table!r}; tables: {', '.join(TABLES)}"
    if spec.flatten and spec.flatten not in venues()[mapping.source].flatten:
        return f"{mapping.source} has no flatten function {spec.flatten!r}"
    if any(path.startswith("^.") for path in (*spec.has, *spec.lacks)):
        return "has and lacks hold paths in a row: none of them begins with ^."
    columns = {fact.name for fact in TABLES[spec.table].facts}
    for name in (*spec.fields, *spec.set_):
        if name not in columns:
            return f"{spec.table} has no column {name!r}"
    for name, rule in spec.fields.items():
        if bool(rule.path) + bool(rule.frame) + rule.nth + rule.digest != 1:
            return f"{name} needs one of path, frame, nth and digest"
        if (rule.as_ == "enum") != bool(rule.values):
            return f"{name}: values belong to enum, and enum needs them"
        if rule.as_ == "size_unit" and venues()[mapping.source].size_unit is None:
            return f"{name}: {mapping.source} says no unit by product; write it under set"
        if rule.before and rule.as_ != "symbol":
            return f"{name}: before belongs to symbol"
    return ""


@cache
def _shipped() -> tuple[Mapping, ...]:
    folder = files("tidelake.venues")
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    return tuple(m for f in found for m in _read(f.read_text(encoding="utf-8"), f.name))


def load_mappings(directory: Path | None = None) -> tuple[Mapping, ...]:
    """All mappings: ours, and those of a user's directory in place of ours of the same source and name.

    Raises:
        ConfigError: The directory does not exist or a file in it is not a mapping file.
    """
    merged = {(m.source, m.spec.name): m for m in _shipped()}
    if directory is not None:
        if not directory.is_dir():
            raise ConfigError(f"mapping directory {directory} does not exist", tried=(str(directory),))
        for path in sorted(directory.glob("*.y*ml")):
            merged |= {(m.source, m.spec.name): m for m in _read_own(path)}
    return tuple(merged.values())
