"""The `quarantine` table: what could not be read, where it stands, and why. Nothing is lost: the bytes are in raw."""

from collections.abc import Iterable

import pyarrow as pa

from tidelake.tables.arrow_types import TIME, arrow_schema
from tidelake.tables.rows import Rejected
from tidelake.tables.schema import Column, text

NAME = "quarantine"
PARTITION_BY = ("source", "date")
SCHEMA = arrow_schema(
    (
        text("source"),
        text("table"),
        text("lane"),
        Column("seq", "int64"),
        text("segment"),
        Column("line", "int32"),
        Column("item", "int32"),
        text("reason"),
        Column("known_at", "time"),
        Column("recv_ns", "int64"),
        Column("date", "date"),
    )
)


def rows(
    rejected: Iterable[Rejected],
    *,
    source: str,
    lane: str,
    seq: int,
    segment: str,
    recv_ns: list[int],
    known_ns: list[int],
) -> pa.Table:
    """Rows of the table; `recv_ns` and `known_ns` are those of each rejected line, `date` is the day of receipt."""
    listed = list(rejected)
    times = pa.array([-(-ns // 1_000) for ns in known_ns], pa.int64()).cast(TIME)
    received = pa.array([ns // 1_000 for ns in recv_ns], pa.int64()).cast(TIME)
    count = len(listed)
    return pa.table(
        {
            "source": [source] * count,
            "table": [r.table for r in listed],
            "lane": [lane] * count,
            "seq": [seq] * count,
            "segment": [segment] * count,
            "line": [r.line for r in listed],
            "item": [r.item for r in listed],
            "reason": [r.reason[:500] for r in listed],
            "known_at": times,
            "recv_ns": recv_ns,
            "date": received.cast(pa.date32()),
        },
        schema=SCHEMA,
    )
