"""Rows of vendor files as exact integers: what a stream is made of before it is cut into messages."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tidelake.books.reconstruction.batch import Codes, Integers
from tidelake.books.reconstruction.exact_numbers import is_number, mantissas_of
from tidelake.books.reconstruction.vendor_reading import read_columns
from tidelake.errors import FormatDrift
from tidelake.kernels.replay_codes import NO_SEQUENCE
from tidelake.vendors.spec import ASK, BID, Field, VendorTable

UNIT_NS = {"ns": 1, "us": 1_000}
SIDES = {BID: 0, "buy": 0, ASK: 1, "sell": 1, "unknown": 2}
WORDS = ("event_time", "recv_time", "sequence", "is_snapshot", "trade_id", "side", "price", "size", "levels")
MOST_ID_DIGITS = 18


@dataclass(frozen=True, slots=True)
class VendorFile:
    """A file of a day.

    Attributes:
        place: Its place among the day's files.
        path: The file itself.
        table: What it holds.
        first_ns, last_ns: Least and greatest receive clock, where the table has several files; 0 without rows.
    """

    place: int
    path: Path
    table: VendorTable
    first_ns: int = 0
    last_ns: int = 0


@dataclass(frozen=True, slots=True)
class LevelRows:
    """n rows with m levels: one each, but in a snapshot as many as it tells, bids before asks, the best first.

    Attributes:
        file: int64[n], place of the file.
        row: int64[n], row in it, from 0.
        event_ns: int64[n], ns since 1970; 0 where the exchange told none.
        recv_ns: int64[n].
        number: int64[n], the sequence, or the trade id as a number; NO_SEQUENCE where there is none.
        whole: bool[n], True where the row is of a whole book.
        trade_id: string[n].
        level_from: int64[n + 1], where the levels of each row begin.
        side: uint8[m], as in `EventBatch`.
        tick: int64[m].
        lots: int64[m].
    """

    file: Integers
    row: Integers
    event_ns: Integers
    recv_ns: Integers
    number: Integers
    whole: npt.NDArray[np.bool_]
    trade_id: pa.Array
    level_from: Integers
    side: Codes
    tick: Integers
    lots: Integers

    def __len__(self) -> int:
        return len(self.row)

    def slice(self, start: int, end: int) -> "LevelRows":
        """Rows from `start` to before `end`, without copying."""
        low, high = int(self.level_from[start]), int(self.level_from[end])
        of_rows = {name: getattr(self, name)[start:end] for name in ROW_FIELDS}
        of_levels = {name: getattr(self, name)[low:high] for name in LEVEL_FIELDS}
        return LevelRows(**of_rows, **of_levels, level_from=self.level_from[start : end + 1] - low)


LEVEL_FIELDS = ("side", "tick", "lots")
ROW_FIELDS = tuple(
    field.name for field in fields(LevelRows) if field.name not in LEVEL_FIELDS and field.name != "level_from"
)


def joined(parts: Sequence[LevelRows]) -> LevelRows:
    """The rows of all parts, one after the other."""
    if len(parts) == 1:
        return parts[0]
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in (*ROW_FIELDS, *LEVEL_FIELDS)
        if name != "trade_id"
    }
    lengths = np.concatenate([np.diff(part.level_from) for part in parts])
    ids = pa.concat_arrays([part.trade_id for part in parts])
    return LevelRows(**columns, trade_id=ids, level_from=starts_of(lengths))


def starts_of(lengths: Integers) -> Integers:
    """int64[n + 1], where each of n runs begins that stand one after the other."""
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts


def read_rows(file: VendorFile, exponents: tuple[int, int], batch_rows: int) -> Iterator[LevelRows]:
    """The rows of a file in its order, with prices and sizes in units of 10**exponent.

    Raises:
        FormatDrift: The file is not as its table says; the text names file and row.
    """
    first = 0
    for batch in read_columns(file.path, file.table, WORDS, batch_rows):
        with in_batch(file.path, first):
            rows = _rows_of(batch, file, first, exponents)
        yield rows
        first += len(batch)


@contextmanager
def in_batch(path: Path, first: int) -> Iterator[None]:
    """Errors in a batch that begins with row `first` name the file, and the row in it."""
    try:
        yield
    except FormatDrift as exc:
        place, line = ("", None) if exc.line is None else (f" row {first + exc.line}:", first + exc.line)
        raise FormatDrift(f"{path.name}:{place} {exc}", line=line) from exc
    except pa.ArrowException as exc:
        raise FormatDrift(f"{path.name}: in the rows from {first} on: {exc}; nothing of the day was taken") from exc


def numbers_of(batch: pa.RecordBatch, table: VendorTable) -> Integers:
    """int64[n]: the sequence of each row, of trades the id where it is a number; NO_SEQUENCE where there is none."""
    word = "trade_id" if table.role == "trades" else "sequence"
    if word not in batch.schema.names:
        return np.full(len(batch), NO_SEQUENCE)
    column = batch.column(word)
    return _id_numbers(id_texts(column)) if word == "trade_id" else _sequences(column)


def id_texts(column: pa.Array) -> pa.Array:
    """string[n]: trade ids as text; an empty one is null."""
    if pa.types.is_floating(column.type):
        column = _whole(column)
    texts = pc.cast(column, pa.string())
    return pc.if_else(pc.equal(texts, ""), None, texts)


def recv_clocks(batch: pa.RecordBatch, table: VendorTable) -> Integers:
    """int64[n] ns since 1970; a row without one is refused."""
    values = _clock(batch, table, "recv_time")
    _refuse_any(values == 0, "recv_time", "none")
    return values


def _rows_of(batch: pa.RecordBatch, file: VendorFile, first: int, exponents: tuple[int, int]) -> LevelRows:
    table, count = file.table, len(batch)
    level_from, side, tick, lots = (_wide_levels if table.levels else _single_levels)(batch, table, exponents)
    names = batch.schema.names
    return LevelRows(
        file=np.full(count, file.place),
        row=np.arange(first, first + count),
        event_ns=_clock(batch, table, "event_time"),
        recv_ns=recv_clocks(batch, table),
        number=numbers_of(batch, table),
        whole=_flags(batch.column("is_snapshot")) if "is_snapshot" in names else np.zeros(count, np.bool_),
        trade_id=id_texts(batch.column("trade_id")) if "trade_id" in names else pa.nulls(count, pa.string()),
        level_from=level_from,
        side=side,
        tick=tick,
        lots=lots,
    )


def _single_levels(
    batch: pa.RecordBatch, table: VendorTable, exponents: tuple[int, int]
) -> tuple[Integers, Codes, Integers, Integers]:
    field = table.field("side")
    assert field is not None
    price, size = batch.column("price"), batch.column("size")
    for word, column in (("price", price), ("size", size)):
        _refuse_any(~is_number(column), word, "none")
    tick, lots = mantissas_of(price, exponents[0]), mantissas_of(size, exponents[1])
    _refuse_any(lots < 0, "size", "a negative one")
    return np.arange(len(batch) + 1), _side_codes(batch.column("side"), field), tick, lots


def _wide_levels(
    batch: pa.RecordBatch, table: VendorTable, exponents: tuple[int, int]
) -> tuple[Integers, Codes, Integers, Integers]:
    """Levels of snapshots, those without a price or a size left out."""
    assert table.levels is not None
    depth = table.levels.depth
    numbers = np.empty((2, len(batch), 2 * depth), np.int64)
    there = np.ones((len(batch), 2 * depth), np.bool_)
    for side, level, what, name in table.levels.columns():
        column, at, is_size = batch.column(name), SIDES[side] * depth + level, what == "size"
        numbers[int(is_size), :, at] = mantissas_of(column, exponents[is_size])
        there[:, at] &= is_number(column)
    tick, lots = numbers
    _refuse_any(np.any(lots < 0, axis=1), "size", "a negative one")
    there &= lots != 0
    sides = np.broadcast_to(np.repeat(np.array([0, 1], np.uint8), depth), there.shape)
    return starts_of(there.sum(axis=1)), sides[there], tick[there], lots[there]


def _refuse_any(bad: Any, word: str, found: str) -> None:
    if bad.any():
        raise FormatDrift(f"{word} expected, {found} found; nothing of the day was taken", line=int(bad.argmax()))


def _side_codes(column: pa.Array, field: Field) -> Codes:
    assert field.values is not None
    if pa.types.is_boolean(column.type) and not column.null_count:
        codes: Codes = np.array([SIDES[field.values["false"]], SIDES[field.values["true"]]], np.uint8)
        picked: Codes = codes[np.asarray(column).view(np.uint8)]
        return picked
    texts = pc.cast(column, pa.string())
    places = pc.index_in(texts, value_set=pa.array(list(field.values)))
    _refuse_any(np.asarray(places.is_null()), f"side: one of {', '.join(field.values)}", "another value")
    told: Codes = np.array([SIDES[side] for side in field.values.values()], np.uint8)[np.asarray(places)]
    return told


def _flags(column: pa.Array) -> npt.NDArray[np.bool_]:
    flags = pc.cast(column, pa.bool_())
    _refuse_any(np.asarray(flags.is_null()), "is_snapshot", "none")
    return np.asarray(flags)


def _clock(batch: pa.RecordBatch, table: VendorTable, word: str) -> Integers:
    """int64[n] ns since 1970; 0 where there is none."""
    column = batch.column(word) if word in batch.schema.names else pa.nulls(len(batch))
    if pa.types.is_timestamp(column.type):
        unit, column = 1, column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64())
    elif pa.types.is_integer(column.type) or pa.types.is_null(column.type):
        unit = UNIT_NS[table.unit]
    else:
        raise FormatDrift(f"{word} is {column.type}: expected whole numbers or timestamps")
    values = np.asarray(_filled(column, 0))
    _refuse_any(values > np.iinfo(np.int64).max // unit, word, "a time after the year 2262")
    clocks: Integers = np.maximum(values, 0) * unit
    return clocks


def _sequences(column: pa.Array) -> Integers:
    if pa.types.is_floating(column.type):
        column = _whole(column)
    elif not (pa.types.is_integer(column.type) or pa.types.is_null(column.type)):
        raise FormatDrift(f"sequence is {column.type}: expected whole numbers")
    numbers: Integers = np.maximum(np.asarray(_filled(column, NO_SEQUENCE)), NO_SEQUENCE)
    return numbers


def _whole(column: pa.Array) -> pa.Array:
    """Doubles that hold whole numbers, as integers; NaN is null."""
    values = column.to_numpy(zero_copy_only=False)
    told = ~np.isnan(values)
    _refuse_any(told & ((np.rint(values) != values) | (np.abs(values) > 2.0**53)), "whole number", "another")
    return pa.array(np.where(told, values, 0).astype(np.int64), mask=~told)


def _filled(column: pa.Array, value: int) -> pa.Array:
    column = column.cast(pa.int64())
    return column.fill_null(value) if column.null_count else column


def _id_numbers(texts: pa.Array) -> Integers:
    """Ids of up to 18 digits, without a zero in front, as numbers."""
    plain = pc.match_substring_regex(texts, f"^(0|[1-9][0-9]{{0,{MOST_ID_DIGITS - 1}}})$")
    numbers = pc.cast(pc.if_else(plain, texts, str(NO_SEQUENCE)), pa.int64())
    return np.asarray(_filled(numbers, NO_SEQUENCE))
