"""List columns of levels, out of arrays: which rows have which levels."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tidelake.books.reconstruction.batch import Codes, Integers
from tidelake.kernels.dense_book import NO_TICK

SIDES = ("bid", "ask")


@dataclass(frozen=True)
class Lists:
    """Levels of some rows: for each side counts int64[r], and ticks and lots of all rows, one after the other."""

    rows: Integers
    counts: tuple[Integers, Integers]
    ticks: tuple[Integers, Integers]
    lots: tuple[Integers, Integers]


def shown_lists(rows: Integers, tick: Integers, lots: Integers) -> Lists:
    """Of levels as a replay shows them, [r, 2, levels]."""
    there = tick != NO_TICK
    counts = there.sum(axis=2)
    return Lists(
        rows,
        (counts[:, 0], counts[:, 1]),
        (tick[:, 0][there[:, 0]], tick[:, 1][there[:, 1]]),
        (lots[:, 0][there[:, 0]], lots[:, 1][there[:, 1]]),
    )


def told_lists(rows: Integers, counts: Integers, side: Codes, tick: Integers, lots: Integers) -> Lists:
    """Of snapshots as a vendor told them, `counts` levels each, in any order; the best come first.

    Of a price that is told twice the last counts, as it does in the book.
    """
    owner = np.repeat(np.arange(len(rows)), counts)
    found_counts, ticks, sizes = [], [], []
    for which in range(2):
        mine = np.flatnonzero(side == which)
        key = -tick[mine] if which == 0 else tick[mine]
        if not _in_order(owner[mine], key):
            mine = mine[np.lexsort((key, owner[mine]))]
            again = (owner[mine[1:]] == owner[mine[:-1]]) & (tick[mine[1:]] == tick[mine[:-1]])
            mine = mine[~np.append(again, False)]
        mine = mine[lots[mine] > 0]
        found_counts.append(np.bincount(owner[mine], minlength=len(rows)).astype(np.int64))
        ticks.append(tick[mine])
        sizes.append(lots[mine])
    return Lists(rows, (found_counts[0], found_counts[1]), (ticks[0], ticks[1]), (sizes[0], sizes[1]))


def _in_order(owner: Integers, key: Integers) -> bool:
    same = owner[1:] == owner[:-1]
    return bool((~same | (key[1:] > key[:-1])).all())


def joined_lists(parts: list[Lists]) -> Lists:
    """All of them, in the order of their rows."""
    if len(parts) == 1:
        return parts[0]
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(rows, kind="stable")
    counts, ticks, lots = [], [], []
    for which in range(2):
        count = np.concatenate([part.counts[which] for part in parts])
        starts = np.cumsum(count) - count
        counts.append(count[order])
        taken = np.repeat(starts[order] - (np.cumsum(counts[-1]) - counts[-1]), counts[-1]) + np.arange(count.sum())
        ticks.append(np.concatenate([part.ticks[which] for part in parts])[taken])
        lots.append(np.concatenate([part.lots[which] for part in parts])[taken])
    return Lists(rows[order], (counts[0], counts[1]), (ticks[0], ticks[1]), (lots[0], lots[1]))


def list_columns(lists: Lists, height: int) -> dict[str, pa.Array]:
    """The four list columns of `height` rows; null where a row has no levels of either side's list."""
    none = np.ones(height, np.bool_)
    none[lists.rows] = False
    columns = {}
    for which, side in enumerate(SIDES):
        counts = np.zeros(height, np.int64)
        counts[lists.rows] = lists.counts[which]
        offsets = np.zeros(height + 1, np.int32)
        np.cumsum(counts, out=offsets[1:])
        for name, values in (("prices", lists.ticks[which]), ("sizes", lists.lots[which])):
            columns[f"{side}_{name}"] = pa.ListArray.from_arrays(
                pa.array(offsets), pa.array(values), mask=pa.array(none)
            )
    return columns
