"""Reads files in the layouts of vendors as a user would, and replays them: no code of the product."""

import gzip
from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

Sides = tuple[dict[Any, Any], dict[Any, Any]]


def lake_rows(path: Path) -> list[dict[str, Any]]:
    """Rows with their clocks as ns."""
    table = pq.read_table(path)
    for name in table.schema.names:
        if name.endswith("_time"):
            table = table.set_column(table.schema.get_field_index(name), name, table[name].cast("int64"))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def csv_rows(path: Path) -> list[dict[str, str]]:
    """Rows as texts."""
    names, *lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    return [dict(zip(names.split(","), line.split(","), strict=True)) for line in lines]


def lake_books(rows: list[dict[str, Any]]) -> Iterator[tuple[int, Sides]]:
    """Of a day, receive clock of each message and the book after it; floats."""
    sides: Sides = ({}, {})
    for (recv_ns, *_), group in groupby(rows, lambda row: (row["received_time"], row["sequence_number"])):
        for row in group:
            sides[not row["side_is_bid"]][row["price"]] = row["size"]
        yield recv_ns, tuple({p: s for p, s in side.items() if s} for side in sides)  # type: ignore[misc]


def tardis_books(rows: list[dict[str, str]]) -> Iterator[tuple[int, Sides]]:
    """Of a day, receive clock of each message in us and the book after it; exact."""
    sides: Sides = ({}, {})
    was = "false"
    for (recv_us, whole), group in groupby(rows, lambda row: (row["local_timestamp"], row["is_snapshot"])):
        if whole == "true" and was == "false":
            sides = ({}, {})
        was = whole
        for row in group:
            sides[row["side"] == "ask"][Decimal(row["price"])] = Decimal(row["amount"])
        yield int(recv_us), tuple({p: s for p, s in side.items() if s} for side in sides)  # type: ignore[misc]
