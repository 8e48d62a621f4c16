"""Reconstructed events as the event array of hftbacktest.

Source:  https://hftbacktest.readthedocs.io/en/latest/data.html (hftbacktest 2.4.4)
Quirks:  An event is processed by the exchange at `exch_ts`, and by the local side at `local_ts`: a flag for each. Where
         the two orders differ, an event stands twice, once with each flag.
         A snapshot does not replace levels: before it, what stands is cleared up to its worst price, or, where it tells
         a whole side, to the worst price of any level of the array. Clearing costs time for each tick up to that price,
         so no price is further than needed.
         Of equal times trades stand before the levels that they changed, or queues would be shortened twice.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from tidelake.books.reconstruction.events import clock_between
from tidelake.books.reconstruction.numbers import as_numpy
from tidelake.books.reconstruction.partitions import Partition, windows
from tidelake.books.states import STATES
from tidelake.raw.store import Store
from tidelake.vendors.registry import vendor

EVENT = np.dtype(
    [
        ("ev", "u8"),
        ("exch_ts", "i8"),
        ("local_ts", "i8"),
        ("px", "f8"),
        ("qty", "f8"),
        ("order_id", "u8"),
        ("ival", "i8"),
        ("fval", "f8"),
    ],
    align=True,
)
DEPTH, TRADE, CLEAR, SNAPSHOT = 1, 2, 3, 4
AT_EXCHANGE, AT_LOCAL, BUY, SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28
SIDES = {"bid": BUY, "buy": BUY, "ask": SELL, "sell": SELL}
COLUMNS = (
    "event_type", "event_time", "recv_ns", "side", "price_mantissa", "price_exponent", "size_mantissa", "size_exponent",
    "bid_prices", "bid_sizes", "ask_prices", "ask_sizes", "bids_known", "asks_known", "validity",
)  # fmt: skip
NO_DEPTH = -1
Events = npt.NDArray[np.void]


def hftbacktest_events(
    store: Store, chosen: Sequence[Partition], *, start_ns: int | None = None, end_ns: int | None = None
) -> Events:
    """One array of these days' trades, levels and snapshots that replaced levels, 64 bytes an event.

    `px` and `qty` are the nearest floats; `ival`, which hftbacktest does not read of such events, is the state of the
    book: 0 VALID, 1 SUSPECT, 2 INVALID, 3 UNPROVABLE. Levels before a day's first snapshot are left out; with
    `start_ns`, those before the first row from there on that shows levels of a book that is not INVALID: its known ones
    stand in for a snapshot. The first levels of a day or part, a side with fewer levels than the vendor tells, and any
    snapshot of a vendor that also tells whole books, are taken for whole sides: nothing older stands beside them.

    Args:
        start_ns, end_ns: On the declared clock of the strategy; the end is exclusive.
    """
    parts = [np.empty(0, EVENT)]
    for partition in chosen:
        begun, depth = False, _partial_depth(partition)
        wanted = clock_between(partition, start_ns, end_ns)
        for rows in windows(store, partition, COLUMNS, wanted):
            found, begun = _of_rows(rows, begun, depth, cut=start_ns is not None)
            parts.append(found)
    return in_both_orders(_cleared_to_the_end(np.concatenate(parts)))


def in_both_orders(events: Events) -> Events:
    """Events with the flags of both clocks, so that those with either flag are in the order of its clock.

    They stand by `local_ts`; one that the exchange told later than another with a later `exch_ts` stands there for the
    local side alone, and once more, for the exchange, before the first with a later `exch_ts`.
    """
    events = events[np.argsort(events["local_ts"], kind="stable")]
    times = events["exch_ts"]
    late = times < np.maximum.accumulate(times) if len(times) else np.zeros(0, np.bool_)
    early_places = np.flatnonzero(~late)
    place = np.arange(len(events))
    again = events[late]
    before = np.searchsorted(times[~late], again["exch_ts"], side="right")
    moved = early_places[np.minimum(before, max(len(early_places) - 1, 0))] if len(again) else place[:0]
    both = np.concatenate([events, again])
    both["ev"] |= np.concatenate(
        [np.where(late, AT_LOCAL, AT_LOCAL | AT_EXCHANGE), np.full(len(again), AT_EXCHANGE)]
    ).astype(np.uint64)
    order = np.lexsort(
        (
            np.arange(len(both)),
            np.concatenate([np.zeros(len(events), np.int64), again["exch_ts"]]),
            np.concatenate([np.ones(len(events), np.int8), np.zeros(len(again), np.int8)]),
            np.concatenate([place, moved]),
        )
    )
    return np.asarray(both[order])


def _partial_depth(partition: Partition) -> int:
    """How many levels a snapshot's side has below which others may stand; NO_DEPTH where any may be a whole book."""
    tables = vendor(partition.vendor).tables.values()
    depths = {table.levels.depth for table in tables if table.role == "snapshots" and table.levels is not None}
    tells_wholes = any(table.field("is_snapshot") is not None for table in tables)
    return NO_DEPTH if tells_wholes or len(depths) != 1 else depths.pop()


def _cleared_to_the_end(events: Events) -> Events:
    """Events with a price where a whole side is cleared (NaN): the worst of the side; without those that clear none."""
    kind, whole = events["ev"] & 0xFF, np.isnan(events["px"])
    for flag, worst in ((BUY, np.min), (SELL, np.max)):
        mine = (events["ev"] & flag) != 0
        prices = events["px"][mine & ((kind == DEPTH) | (kind == SNAPSHOT))]
        if len(prices):
            events["px"][mine & whole] = worst(prices)
    return np.asarray(events[~np.isnan(events["px"])])


def _of_rows(rows: pl.DataFrame, begun: bool, depth: int, *, cut: bool) -> tuple[Events, bool]:
    """Events of rows in their order, and whether a book has begun by now.

    Args:
        depth: See `_partial_depth`.
        cut: Whether rows before these were left out, so that any book that is shown and not INVALID begins it.
    """
    if not rows.height:
        return np.empty(0, EVENT), begun
    kind, shows = rows["event_type"], rows["bid_prices"].is_not_null().to_numpy()
    shown = shows & (kind == "snapshot").to_numpy()
    since, first = -1, rows.height
    if not begun:
        begins = np.flatnonzero(shown | (shows & (rows["validity"] != "INVALID").to_numpy()) if cut else shown)
        shown[begins[:1]] = True
        since = first = int(begins[0]) if len(begins) else rows.height
    is_delta = (kind == "delta").to_numpy() & (np.arange(rows.height) > since)
    single = np.flatnonzero(is_delta | (kind == "trade").to_numpy())
    levels, owners = _snapshots(rows, np.flatnonzero(shown), first, depth)
    events = np.concatenate([_singles(rows, single), levels])
    owner = np.concatenate([single, owners])
    return events[np.argsort(owner, kind="stable")], since < rows.height


def _clocked(rows: pl.DataFrame, places: "npt.NDArray[Any]") -> Events:
    events = np.zeros(len(places), EVENT)
    events["exch_ts"] = rows["event_time"].dt.timestamp("us").to_numpy()[places] * 1_000
    events["local_ts"] = rows["recv_ns"].to_numpy()[places]
    states = rows["validity"].replace_strict(list(STATES), range(len(STATES)), return_dtype=pl.Int64).to_numpy()
    events["ival"] = states[places]
    return events


def _singles(rows: pl.DataFrame, places: "npt.NDArray[Any]") -> Events:
    """Trades and levels."""
    events = _clocked(rows, places)
    part = rows[places]
    sides = part["side"].replace_strict(SIDES, default=0, return_dtype=pl.Int64).fill_null(0).to_numpy()
    kinds = np.where((part["event_type"] == "trade").to_numpy(), TRADE, DEPTH)
    events["ev"] = (sides | kinds).astype(np.uint64)
    events["px"] = _floats(part["price_mantissa"], rows["price_exponent"][0])
    events["qty"] = _floats(part["size_mantissa"], rows["size_exponent"][0])
    return events


def _snapshots(
    rows: pl.DataFrame, places: "npt.NDArray[Any]", first: int, depth: int
) -> tuple[Events, "npt.NDArray[Any]"]:
    """For each side what clears it and the levels that replace it; and the row that each is of.

    What clears a whole side has no price yet (NaN): the first row of a book, and all that have not `depth` levels.
    """
    events, owners = [np.empty(0, EVENT)], [np.empty(0, np.int64)]
    for side, flag in (("bid", BUY), ("ask", SELL)):
        known = pl.col(f"{side}s_known")
        part = rows[places].with_columns(pl.col(f"{side}_prices", f"{side}_sizes").list.head(known))
        counts = part[f"{side}_prices"].list.len().to_numpy().astype(np.int64)
        told = np.repeat(places, counts)
        levels = _clocked(rows, told)
        levels["ev"] = SNAPSHOT | flag
        levels["px"] = _floats(part[f"{side}_prices"].list.explode(keep_nulls=False), rows["price_exponent"][0])
        levels["qty"] = _floats(part[f"{side}_sizes"].list.explode(keep_nulls=False), rows["size_exponent"][0])
        partial = (counts == depth) & (places != first)
        cleared = _clocked(rows, places)
        cleared["ev"] = CLEAR | flag
        cleared["px"] = np.nan
        cleared["px"][partial] = levels["px"][np.cumsum(counts)[partial] - 1]
        events += [cleared, levels]
        owners += [places, told]
    return np.concatenate(events), np.concatenate(owners)


def _floats(mantissas: pl.Series, exponent: int) -> "npt.NDArray[Any]":
    array = pa.array(mantissas.to_numpy(), pa.int64())
    return as_numpy(array, exponent, scaled=True)
