"""Facts that a reader found, as columns of a table with where they came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal

import pyarrow as pa

from tidelake.raw.entry import Entry
from tidelake.tables.arrow_types import TIME
from tidelake.tables.decode import Decoded, with_provenance
from tidelake.tables.rows import Rejected, refuse
from tidelake.tables.schema import Table
from tidelake.tables.segment_lines import SegmentLines
from tidelake.tables.values import MOST_DIGITS

MOST_DECIMALS = 18  # of Decimal(38, 18)
_LEAST_TOO_LARGE = 10 ** (MOST_DIGITS + MOST_DECIMALS)


@dataclass(frozen=True, slots=True)
class FactRow:
    """The facts of one row by column, from a line and a place in it; `event_time` in us since 1970.

    `retracted` makes it a version that takes the row back.
    """

    line: int
    item: int
    facts: dict[str, object]
    retracted: bool = False


def decoded(
    table: Table,
    rows: Sequence[FactRow],
    rejected: Sequence[Rejected],
    lines: SegmentLines,
    entry: Entry,
    version: str,
    lines_read: int,
) -> Decoded:
    """What a reader read, in order; a row that does not fit its columns is refused, and those beside it are kept."""
    try:
        columns = _columns(table, rows)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        good, bad = _apart(table, rows)
        return decoded(table, good, [*rejected, *bad], lines, entry, version, lines_read)
    found = with_provenance(table, columns, lines, entry.segment.sha256[:16], version)
    if any(row.retracted for row in rows):
        status = pa.array(["retracted" if row.retracted else "active" for row in rows], pa.string())
        found = found.set_column(found.schema.get_field_index("status"), found.schema.field("status"), status)
    return Decoded(found, sorted(rejected, key=lambda one: (one.line, one.item)), lines_read)


def _columns(table: Table, rows: Sequence[FactRow]) -> pa.Table:
    columns = {}
    for fact in table.facts:
        cells = [row.facts.get(fact.name) for row in rows]
        if fact.name == "event_time":
            columns[fact.name] = pa.array(cells, pa.int64()).cast(TIME)
        else:
            columns[fact.name] = pa.array(cells, fact.type)
        if not fact.nullable and columns[fact.name].null_count:
            raise ValueError(f"{fact.name} is missing")
    columns["line"] = pa.array([row.line for row in rows], pa.int32())
    columns["item"] = pa.array([row.item for row in rows], pa.int32())
    return pa.table(columns)


def _apart(table: Table, rows: Sequence[FactRow]) -> tuple[list[FactRow], list[Rejected]]:
    good, bad = [], []
    for row in rows:
        try:
            _columns(table, [row])
            good.append(row)
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as exc:
            bad.append(refuse(table, row.line, row.item, f"{type(exc).__name__}: {exc}"))
    return good, bad


def whole(raw: int | None, decimals: int | None) -> Decimal | None:
    """An amount in whole assets, exactly; None where it is not told, or does not fit Decimal(38, 18).

    Args:
        raw: In the asset's smallest unit.
        decimals: Places after the point of one whole asset; None where they are not known.
    """
    if raw is None or decimals is None:
        return None
    scaled, left = (
        (raw * 10 ** (MOST_DECIMALS - decimals), 0)
        if decimals <= MOST_DECIMALS
        else divmod(raw, 10 ** (decimals - MOST_DECIMALS))
    )
    if left or abs(scaled) >= _LEAST_TOO_LARGE:
        return None
    return Decimal(scaled).scaleb(-MOST_DECIMALS, _WIDE)


_WIDE = Context(prec=60)
