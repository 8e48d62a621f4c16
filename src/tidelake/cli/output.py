"""Rows on stdout: one place that turns what a function returned into a table, JSON or CSV."""

import csv
import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from itertools import chain
from pathlib import PurePath
from typing import Any, TextIO

Row = Mapping[str, Any]


class Format(StrEnum):
    """How rows are written."""

    table = "table"
    json = "json"
    csv = "csv"


def write_rows(rows: object, form: Format, stream: TextIO, columns: Sequence[str] | type = ()) -> None:
    """Write rows; one mapping or struct alone is written as one object.

    Args:
        rows: A Polars frame, or an iterable of (or a single) mapping, msgspec struct or dataclass.
        form: Table (aligned text), JSON (a list of objects, or one object) or CSV (with a header).
        stream: Where to.
        columns: Names and order of the columns, or the struct or dataclass that the rows are; by default those of the
            frame, or of the first row. CSV of no rows is the header alone, or nothing where nobody knows the columns.
    """
    if _is_single(rows):
        _write_single(as_row(rows), form, stream)
        return
    names, found = _named_rows(rows, columns_of(columns) if isinstance(columns, type) else columns)
    if form is Format.json:
        _write_json(names, found, stream)
    elif form is Format.csv:
        _write_csv(names, found, stream)
    else:
        _write_table(names, found, stream)


def write_line(row: object, form: Format, stream: TextIO, *, first: bool) -> None:
    """Write one of many rows that come one by one: JSON objects, CSV, or cells between tabs; a header at the first."""
    told = as_row(row)
    if form is Format.json:
        _write_single(told, form, stream)
        return
    lines = csv.writer(stream, lineterminator="\n", delimiter="," if form is Format.csv else "\t")
    lines.writerows([list(told)] if first else [])
    lines.writerow([_cell(value) for value in told.values()])


def as_row(value: object) -> Row:
    """A mapping, struct or dataclass as a mapping."""
    if isinstance(value, Mapping):
        return value
    return {name: getattr(value, name) for name in columns_of(type(value))}


def columns_of(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass or msgspec struct."""
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    names: tuple[str, ...] | None = getattr(kind, "__struct_fields__", None)
    if names is None:
        raise TypeError(f"cannot show a {kind.__name__} as a row")
    return names


def plain(value: object) -> Any:
    """The value as JSON can say it: decimals as exact text, times as ISO 8601 in UTC, NaN as null."""
    match value:
        case None | bool() | int():
            return value
        case Enum():
            return plain(value.value)
        case str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return decimal_text(value)
        case datetime():
            return time_text(value)
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes():
            return value.hex()
        case PurePath():
            return str(value)
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case Iterable():
            return [plain(item) for item in value]
        case _:
            return {key: plain(item) for key, item in as_row(value).items()}


def decimal_text(value: Decimal) -> str:
    """All digits, without an exponent and without zeros at the end: 0.10 is "0.1", 1E+3 is "1000"."""
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def time_text(value: datetime) -> str:
    """ISO 8601 with a Z; a time without a zone is taken as UTC."""
    in_utc = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return in_utc.isoformat().replace("+00:00", "Z")


def _is_single(rows: object) -> bool:
    return isinstance(rows, Mapping) or hasattr(type(rows), "__struct_fields__") or dataclasses.is_dataclass(rows)


def _named_rows(rows: Any, columns: Sequence[str]) -> tuple[list[str], Iterator[Row]]:
    if hasattr(rows, "iter_rows"):  # a Polars frame, without importing Polars
        return list(columns or rows.columns), rows.iter_rows(named=True)
    found = (as_row(row) for row in rows)
    first = next(found, None)
    if first is None:
        return list(columns), iter(())
    return list(columns or first), chain([first], found)


def _write_single(row: Row, form: Format, stream: TextIO) -> None:
    if form is Format.json:
        stream.write(json.dumps(plain(row), ensure_ascii=False) + "\n")
    elif form is Format.csv:
        _write_csv(list(row), iter([row]), stream)
    else:
        width = max((len(name) for name in row), default=0)
        stream.writelines(f"{name.ljust(width)}  {_cell(value)}".rstrip() + "\n" for name, value in row.items())


def _write_json(names: list[str], rows: Iterator[Row], stream: TextIO) -> None:
    mark = "["
    for row in rows:
        stream.write(f"{mark}\n" + json.dumps({name: plain(row.get(name)) for name in names}, ensure_ascii=False))
        mark = ","
    stream.write("[]\n" if mark == "[" else "\n]\n")


def _write_csv(names: list[str], rows: Iterator[Row], stream: TextIO) -> None:
    minimal = csv.writer(stream, lineterminator="\n")
    quoted = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)  # the former leaves a lone \r bare
    minimal.writerows([names] if names else [])
    for row in rows:
        cells = [_cell(row.get(name)) for name in names]
        (quoted if any("\r" in cell for cell in cells) else minimal).writerow(cells)


def _write_table(names: list[str], rows: Iterator[Row], stream: TextIO) -> None:
    found = [[row.get(name) for name in names] for row in rows]
    if not found:
        stream.write("(no rows)\n")
        return
    cells = [[_cell(value).replace("\n", " ") for value in row] for row in found]
    right = [all(_is_number(row[i]) for row in found) for i in range(len(names))]
    widths = [max(len(line[i]) for line in (names, *cells)) for i in range(len(names))]
    for line in (names, ["-" * width for width in widths], *cells):
        padded = (
            text.rjust(width) if number else text.ljust(width)
            for text, width, number in zip(line, widths, right, strict=True)
        )
        stream.write("  ".join(padded).rstrip() + "\n")


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, (int, float, Decimal)) and not isinstance(value, bool))


def _cell(value: object) -> str:
    told = plain(value)
    if told is None:
        return ""
    if isinstance(told, bool):
        return str(told).lower()
    if isinstance(told, float):
        return format(told, ".10g")
    return told if isinstance(told, str) else json.dumps(told, ensure_ascii=False, separators=(",", ":"))
