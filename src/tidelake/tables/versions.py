"""Versions of a key: which row stands, which repeats, which contradicts. Frames in, frames out.

The versions of a key are ordered by (recv_ns, segment, line, item), never by arrival, so that a rebuild with segments
in another order ends in the same rows.
"""

import polars as pl

from tidelake.tables.schema import VERSION_ORDER, Table

KNOWN = "known_at"
ORDER = (*VERSION_ORDER, KNOWN)  # two lanes may hold the same bytes, known from different times on


def are_all_new(table: Table, old: pl.DataFrame, keys: pl.DataFrame) -> bool:
    """Whether no two rows can be versions of one key, which is the rule; `drop_repeats` then would keep them all.

    Args:
        old: Stored rows of the same keys.
        keys: The key of each row to add.
    """
    return old.is_empty() and keys.select(table.key).hash_rows().n_unique() == keys.height


def drop_repeats(table: Table, old: pl.DataFrame, new: pl.DataFrame) -> tuple[pl.Series, pl.DataFrame]:
    """Places of those rows of `new` that are worth storing beside `old`, and keys that then have many stored versions.

    A row of a table that is not restatable is dropped when an equal version, told in the same manner, stands before it
    in version order and was known no later: no read at any time could show it. Everything else is kept, whatever came
    first. (`assume_latency` takes other manners as known at other times, so those must stay.)

    Args:
        old: Stored rows of the same keys: key, values, manner, version order and known_at.
        new: Rows to add, the same columns.

    Returns:
        The places in ascending order, and the keys that have more than one stored version.
    """
    keys, values = list(table.key), [*table.values, *table.manner]
    needed = [*keys, *values, *VERSION_ORDER, KNOWN]
    place = "__place"
    marked = new.with_row_index(place).select(place, *needed)
    both = pl.concat([old.select(pl.lit(None, pl.UInt32).alias(place), *needed), marked])
    many = both.filter(pl.len().over(keys) > 1).sort(*ORDER, place)  # of the very same row, the stored one is first
    seen_by = pl.col(KNOWN).cum_min().shift(1).over([*keys, *values])
    judged = many.with_columns(repeat=(seen_by <= pl.col(KNOWN)).fill_null(False))
    repeats = judged.filter(pl.col("repeat") & pl.col(place).is_not_null())
    kept = marked.select(place).join(repeats.select(place), on=place, how="anti", maintain_order="left")
    left = judged.filter(~pl.col("repeat") | pl.col(place).is_null())
    contested = left.group_by(keys).len().filter(pl.col("len") > 1).select(keys)
    return kept[place], contested


def number_revisions(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """All versions of their keys, `revision` from 1; of consecutive equal ones the first stays."""
    keys, values = list(table.key), list(table.compared)
    ordered = rows.sort(ORDER)
    if not values:
        changed = pl.int_range(pl.len()).over(keys) == 0
    else:
        state = pl.struct(values)
        changed = (state.ne_missing(state.shift(1)).over(keys)) | (pl.int_range(pl.len()).over(keys) == 0)
    kept = ordered.filter(changed)
    return kept.with_columns(revision=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over(keys))


def standing(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """One row per key: the last revision where the table is restatable, the first where it is not; in no order.

    Of rows that are told together (`Table.told_with`) those keys stand that the last telling holds.
    """
    alone = _are_alone(table, rows)
    single = rows.filter(alone).with_columns(revision=pl.lit(1, pl.Int32))
    return pl.concat([single, _judged(table, rows.filter(~alone))])


def _are_alone(table: Table, rows: pl.DataFrame) -> pl.Series:
    """Of each row whether it stands unjudged: no other row has its key, and what is told with it was told once.

    Keys are compared by a hash: two that share one are judged, which is slower and finds the same.
    """
    alone = ~rows.select(table.key).hash_rows().is_duplicated()
    if not table.told_with or rows.is_empty():
        return alone
    together = pl.col("together")
    once = [(pl.col(name).min() == pl.col(name).max()).over(together) for name in VERSION_ORDER[:-1]]
    marked = rows.select(*VERSION_ORDER[:-1], alone=alone, together=rows.select(table.told_with).hash_rows())
    return marked.select(pl.all_horizontal(pl.col("alone").all().over(together), *once)).to_series()


def _judged(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    numbered = number_revisions(table, rows)
    keep = pl.col("revision").max() if table.restatable else pl.col("revision").min()
    last = numbered.filter(pl.col("revision") == keep.over(list(table.key)))
    if not table.told_with:
        return last
    telling = list(VERSION_ORDER[:-1])
    last_told = rows.sort(telling).unique(table.told_with, keep="last").select(*table.told_with, *telling)
    kept = rows.join(last_told, on=[*table.told_with, *telling], how="semi")
    return last.join(kept, on=list(table.key), how="semi", maintain_order="left")


def conflicts(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """What contradicts the standing version of a table that is not restatable, by key; `revision` counts from 2.

    Of equal contradictions the first counts, and the standing version told again later is none: which of such repeats
    are stored depends on the order of arrival, the answer must not.
    """
    keys = list(table.key)
    told = rows.sort(ORDER).unique([*keys, *table.values], keep="first", maintain_order=True)
    numbered = told.with_columns(revision=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over(keys))
    return numbered.filter(pl.col("revision") > 1).sort([*keys, "revision"])
