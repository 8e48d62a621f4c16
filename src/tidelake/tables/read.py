"""Reads of a table: what stands now, or what was known at a time."""

import datetime as dt
from dataclasses import dataclass

import polars as pl
from deltalake import DeltaTable

from tidelake.raw.store import Store
from tidelake.tables.delta import open_table
from tidelake.tables.files import Within, scan_within
from tidelake.tables.schema import Table
from tidelake.tables.versions import conflicts as find_conflicts, standing

ASSUMED = "assumed_known_at"


def _empty(table: Table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(table.schema.empty_table()))


def stored(store: Store, table: Table) -> pl.LazyFrame:
    """Every stored version, as it lies in the Delta table now: what is committed later does not show."""
    found = open_table(store, table.name)
    return _empty(table).lazy() if found is None else pl.scan_delta(found)


def _contested(store: Store, table: Table) -> pl.DataFrame | None:
    """Keys with more than one version; None where there are none.

    Read after the rows: every commit lists its keys before its rows.
    """
    found = open_table(store, table.contested)
    keys = None if found is None else pl.read_delta(found).unique()
    return None if keys is None or keys.is_empty() else keys


def _known_by(
    rows: pl.LazyFrame, table: Table, as_of: dt.datetime | None, latency: dt.timedelta | None
) -> pl.LazyFrame:
    if as_of is None:
        return rows
    as_of = as_of.astimezone(dt.UTC)
    if latency is None:
        return rows.filter(pl.col("known_at") <= as_of)
    late = pl.col("transport") != "ws" if any(f.name == "transport" for f in table.facts) else pl.lit(True)
    assumed = pl.min_horizontal("known_at", pl.col("event_time") + latency)
    known = pl.when(late).then(assumed).otherwise(pl.col("known_at")).alias(ASSUMED)
    return rows.with_columns(known).filter(pl.col(ASSUMED) <= as_of)


@dataclass(frozen=True)
class Contested:
    """Keys of a table that have more than one stored version, and the rows that stand of them."""

    keys: pl.DataFrame
    rows: pl.DataFrame


def contested(
    store: Store,
    table: Table,
    found: DeltaTable,
    *,
    as_of: dt.datetime | None = None,
    assume_latency: dt.timedelta | None = None,
) -> Contested | None:
    """What stands of the keys that have more than one version, by all their versions; None where there are none.

    All other rows stand alone. For a table that is not restatable; arguments as of `scan`.
    """
    keys = _contested(store, table)
    if keys is None:
        return None
    rows = _known_by(pl.scan_delta(found), table, as_of, assume_latency)
    return Contested(keys, standing(table, rows.join(keys.lazy(), on=list(table.key), how="semi").collect()))


def scan(
    store: Store,
    table: Table,
    *,
    as_of: dt.datetime | None = None,
    assume_latency: dt.timedelta | None = None,
    within: Within | None = None,
    retracted: bool = False,
) -> pl.LazyFrame:
    """One row per key: what stands, with its `revision`.

    Args:
        as_of: A time with zone; only what was known at it (known_at <= as_of) counts. Default: all that is known.
        assume_latency: With `as_of`: rows fetched by REST or from an archive count as known at most this long after
            their event, as if they had been captured live; `assumed_known_at` in the result says so.
        within: What the caller will filter by: files without such rows are left out, which is quicker. Other rows may
            still come.
        retracted: Also give rows that were retracted, by their `status`; else they are left out.

    Returns:
        The table's columns and `revision` (Int32, from 1 in the order of versions); rows in no particular order.

    Raises:
        ValueError: `as_of` has no zone, or `assume_latency` stands without it or is negative.
    """
    if as_of is not None and as_of.tzinfo is None:
        raise ValueError(f"as_of={as_of.isoformat()} has no time zone; write {as_of.isoformat()}+00:00 for UTC")
    if assume_latency is not None and as_of is None:
        raise ValueError("assume_latency says when rows count as known and needs as_of beside it")
    if assume_latency is not None and assume_latency < dt.timedelta(0):
        raise ValueError(f"assume_latency={assume_latency} would make rows known before they happened")
    found = open_table(store, table.name)
    if found is None:
        rows = _known_by(_empty(table).lazy(), table, as_of, assume_latency)
        return rows.with_columns(revision=pl.lit(1, pl.Int32))
    if table.restatable:
        rows = standing(table, _known_by(pl.scan_delta(found), table, as_of, assume_latency).collect()).lazy()
        return rows.filter(pl.col("status") == "active") if table.retractable and not retracted else rows
    rows = pl.scan_delta(found) if within is None else scan_within(store, table.name, found, within)
    plain = _known_by(rows, table, as_of, assume_latency).with_columns(revision=pl.lit(1, pl.Int32))
    several = contested(store, table, found, as_of=as_of, assume_latency=assume_latency)
    if several is None:
        return plain
    alone = plain.join(several.keys.lazy(), on=list(table.key), how="anti")
    return pl.concat([alone, several.rows.lazy().select(plain.collect_schema().names())])


def conflicts(store: Store, table: Table) -> pl.DataFrame:
    """Versions that contradict the standing one, of a table that is not restatable; empty where there are none."""
    return find_conflicts(table, contested_rows(store, table))


def contested_rows(store: Store, table: Table) -> pl.DataFrame:
    """All stored versions of the keys that have more than one, of a table that is not restatable."""
    rows = stored(store, table)
    keys = _contested(store, table)
    if table.restatable or keys is None:
        return _empty(table)
    return rows.join(keys.lazy(), on=list(table.key), how="semi").collect()
