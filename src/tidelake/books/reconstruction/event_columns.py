"""Batches of events joined, cut and interleaved."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tidelake.books.reconstruction.batch import EventBatch, Integers
from tidelake.books.reconstruction.level_rows import starts_of
from tidelake.kernels.event_order import merge_order
from tidelake.kernels.replay_codes import TRADE

LEVEL_COLUMNS = ("side", "tick", "lots")
EVENT_COLUMNS = ("kind", "clock_ns", "event_ns", "recv_ns", "sequence", "broken", "exact", "file", "row")

Key = Callable[[EventBatch], Integers]
Mask = npt.NDArray[np.bool_]


def sliced(batch: EventBatch, start: int, end: int) -> EventBatch:
    """Events from `start` to before `end`, without copying."""
    low, high = int(batch.level_from[start]), int(batch.level_from[end])
    columns = {name: getattr(batch, name)[start:end] for name in EVENT_COLUMNS}
    levels = {name: getattr(batch, name)[low:high] for name in LEVEL_COLUMNS}
    return EventBatch(
        **columns, **levels, level_from=batch.level_from[start : end + 1] - low, trade_id=batch.trade_id[start:end]
    )


def selected(batch: EventBatch, kept: Mask, length: Integers) -> EventBatch:
    """The events that are kept, each with its first `length` levels only."""
    lengths = np.diff(batch.level_from)
    if kept.all() and np.array_equal(length, lengths):
        return batch
    place = np.arange(len(batch.tick)) - np.repeat(batch.level_from[:-1], lengths)
    levels_kept = place < np.repeat(np.where(kept, length, 0), lengths)
    columns = {name: getattr(batch, name)[kept] for name in EVENT_COLUMNS}
    levels = {name: getattr(batch, name)[levels_kept] for name in LEVEL_COLUMNS}
    return EventBatch(
        **columns, **levels, level_from=starts_of(length[kept]), trade_id=batch.trade_id.filter(pa.array(kept))
    )


def joined(batches: Sequence[EventBatch]) -> EventBatch:
    """The events of all batches, one after the other."""
    if len(batches) == 1:
        return batches[0]
    columns = {
        name: np.concatenate([getattr(batch, name) for batch in batches]) for name in (*EVENT_COLUMNS, *LEVEL_COLUMNS)
    }
    lengths = np.concatenate([np.diff(batch.level_from) for batch in batches])
    ids = pa.concat_arrays([batch.trade_id for batch in batches])
    return EventBatch(**columns, level_from=starts_of(lengths), trade_id=ids)


def interleaved(one: EventBatch, other: EventBatch, from_other: Mask) -> EventBatch:
    """The events of both in an order that keeps that of each: `from_other` is bool[n], where the second's stand."""
    if not len(one) or not len(other):
        return one if len(one) else other
    lengths = _woven(np.diff(one.level_from), np.diff(other.level_from), from_other)
    levels_from_other = np.repeat(from_other, lengths)
    columns = {name: _woven(getattr(one, name), getattr(other, name), from_other) for name in EVENT_COLUMNS}
    levels = {name: _woven(getattr(one, name), getattr(other, name), levels_from_other) for name in LEVEL_COLUMNS}
    ids = _woven_ids(one.trade_id, other.trade_id, from_other)
    return EventBatch(**columns, **levels, level_from=starts_of(lengths), trade_id=ids)


def merged(
    one: Iterator[EventBatch], other: Iterator[EventBatch], one_key: Key, other_key: Key
) -> Iterator[EventBatch]:
    """Two streams as one, by keys that never decrease; the first's before the second's where they are equal.

    Batches must not be empty. No more than one batch of each is held.
    """
    left, right = next(one, None), next(other, None)
    while left is not None and right is not None:
        from_other = np.empty(len(left) + len(right), np.bool_)
        i, j = merge_order(one_key(left), other_key(right), from_other)
        yield interleaved(sliced(left, 0, i), sliced(right, 0, j), from_other[: i + j])
        left = sliced(left, i, len(left)) if i < len(left) else next(one, None)
        right = sliced(right, j, len(right)) if j < len(right) else next(other, None)
    for rest, following in ((left, one), (right, other)):
        if rest is not None:
            yield rest
            yield from following


def without_first(batches: Iterable[EventBatch], count: int) -> Iterator[EventBatch]:
    """The events after the first `count`."""
    for batch in batches:
        if len(batch) > count:
            yield sliced(batch, count, len(batch)) if count else batch
        count = max(count - len(batch), 0)


def in_batches(pieces: Iterable[EventBatch], levels: int) -> Iterator[EventBatch]:
    """The same events, each batch ending with the event that brings it to `levels` levels, however they came."""
    held: list[EventBatch] = []
    for piece in pieces:
        held.append(piece)
        if sum(len(part.tick) for part in held) < levels:
            continue
        whole, start = joined(held), 0
        while (end := int(np.searchsorted(whole.level_from, whole.level_from[start] + levels))) <= len(whole):
            yield sliced(whole, start, end)
            start = end
        held = [sliced(whole, start, len(whole))] if start < len(whole) else []
    if held:
        yield joined(held)


def latest_recv_ns(batch: EventBatch, before: int) -> Integers:
    """int64[n + 1], receive clock by which all that the book shows had come: `before` the events, and after each."""
    of_book = np.where(batch.kind == TRADE, 0, batch.recv_ns)
    return np.maximum.accumulate(np.concatenate([[before], of_book]))


def _woven(one: npt.NDArray[Any], other: npt.NDArray[Any], from_other: Mask) -> npt.NDArray[Any]:
    out = np.empty(len(from_other), one.dtype)
    out[from_other], out[~from_other] = other, one
    return out


def _woven_ids(one: pa.Array, other: pa.Array, from_other: Mask) -> pa.Array:
    if one.null_count == len(one) and other.null_count == len(other):
        return pa.nulls(len(from_other), pa.string())
    places = np.where(from_other, np.cumsum(from_other) - 1 + len(one), np.cumsum(~from_other) - 1)
    return pc.take(pa.concat_arrays([one, other]), pa.array(places))
