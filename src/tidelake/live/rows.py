"""Rows as subscribers get them: one frozen Struct per feed, made from the columns of its table.

A row has the facts of its table, `known_at` and `recv_ns`; where it stands in the raw log is not known before its part
is sealed. `id` is the bus's: "<ms>-<n>", n counting the rows of the stream by one, so that a hole in the ids is a row
that was shed.
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tidelake.tables.arrow_types import EXACT, TIME
from tidelake.tables.registry import TABLES

LISTS = ("bid_prices", "bid_sizes", "ask_prices", "ask_sizes")
BOOK_SCHEMA = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("event_time", TIME),
        pa.field("recv_ns", pa.int64(), nullable=False),
        pa.field("update_id", pa.int64()),
        pa.field("validity", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        *(pa.field(name, pa.list_(EXACT), nullable=False) for name in LISTS),
    ]
)
"""A book after a message: its state as `books.states` says it, and its best levels; none while it is INVALID."""

_TYPES: dict[str, Any] = {
    "text": str,
    "exact": Decimal,
    "time": dt.datetime,
    "date": dt.date,
    "int8": int,
    "int32": int,
    "int64": int,
}
_OF_ARROW: dict[pa.DataType, Any] = {pa.string(): str, TIME: dt.datetime, pa.int64(): int}


@cache
def row_type(feed: str) -> Any:
    """The Struct of a feed's rows."""
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = [("id", str)]
    if feed == "book":
        for field in BOOK_SCHEMA:
            kind = _OF_ARROW.get(field.type, tuple[Decimal, ...])
            fields.append((field.name, kind | None, None) if field.nullable else (field.name, kind))
    else:
        facts = [(c.name, _TYPES[c.kind], c.nullable) for c in TABLES[feed].facts]
        for name, kind, nullable in (*facts, ("known_at", dt.datetime, False), ("recv_ns", int, False)):
            fields.append((name, kind | None, None) if nullable else (name, kind))
    title = "".join(word.capitalize() for word in feed.removesuffix("s").split("_"))
    return msgspec.defstruct(title, fields, module=__name__, frozen=True, kw_only=True)


@cache
def columns(feed: str) -> tuple[str, ...]:
    """The columns that a row has beside its id."""
    return tuple(name for name in row_type(feed).__struct_fields__ if name != "id")


def structs(feed: str, rows: pa.Table, first_n: int, ms: int) -> Iterator[Any]:
    """The rows of a table; ids count from `first_n`."""
    make, names = row_type(feed), columns(feed)
    lists = [name in LISTS for name in names]
    cells = zip(*(rows[name].to_pylist() for name in names), strict=True)
    for n, row in enumerate(cells, first_n):
        told = (tuple(cell) if many else cell for cell, many in zip(row, lists, strict=True))
        yield make(id=f"{ms}-{n}", **dict(zip(names, told, strict=True)))


def texts(feed: str, rows: pa.Table) -> list[list[str]]:
    """Each row as names and texts in turn, null cells left out: what a stream entry holds."""
    names = columns(feed)
    cells = zip(*(_texts(rows[name]) for name in names), strict=True)
    return [[word for name, cell in zip(names, row, strict=True) if cell is not None for word in (name, cell)]
            for row in cells]  # fmt: skip


def _texts(column: pa.ChunkedArray) -> Sequence[str | None]:
    if pa.types.is_list(column.type):
        return [json.dumps([_plain(number) for number in cell]) for cell in column.to_pylist()]
    if pa.types.is_decimal(column.type):
        return [None if number is None else _plain(number) for number in column.to_pylist()]
    if column.type == TIME:
        column = pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ")
    words: list[str | None] = pc.cast(column, pa.string()).to_pylist()
    return words


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def read_struct(feed: str, row_id: str, cells: Mapping[str, str]) -> Any:
    """The row of a stream entry; names that this version does not know are left out."""
    told: dict[str, Any] = dict(cells, id=row_id)
    told |= {name: json.loads(cells[name]) for name in LISTS if name in cells}
    return msgspec.convert(told, row_type(feed), strict=False)
