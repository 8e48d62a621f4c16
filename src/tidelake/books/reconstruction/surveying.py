"""What must be known of a stream's files before they are read as one: exponents, and whether they are in order."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from tidelake.books.reconstruction.batch import Integers
from tidelake.books.reconstruction.exact_numbers import LARGEST_EXPONENT, exponent_of
from tidelake.books.reconstruction.level_rows import VendorFile, in_batch, numbers_of
from tidelake.books.reconstruction.vendor_reading import read_columns
from tidelake.errors import FormatDrift
from tidelake.kernels.event_order import (
    FALLS,
    HIGHEST,
    LARGEST,
    LOWEST,
    MEASURES,
    ONES,
    ROWS,
    STEPS,
    furthest_back,
    measure_numbers,
)

WORDS = ("sequence", "trade_id", "price", "size", "levels")
CONSECUTIVE_SHARE = 0.99
NUMBERED_SHARE = 0.99  # of rows: then those without a number are damage, not a vendor's way
MOST_BACK_NS = 60_000_000_000  # messages overtake each other by seconds at most


@dataclass(frozen=True, slots=True)
class Numbering:
    """What the numbers of a stream's rows say, in the order that they were read.

    Attributes:
        rows: How many there are.
        numbered: Whether all have a number that orders them; 0 throughout is none, and so are numbers that begin anew.
        falls: How often a number is below that of the row before: 0 where the order holds.
        consecutive: Whether at least 99 % of the steps up are 1. Then a larger one proves that something is missing.
        begins_anew: Whether the numbers put rows before others that were received more than a minute earlier: they
            were counted from the start again, or count something else.
    """

    rows: int
    numbered: bool
    falls: int
    consecutive: bool
    begins_anew: bool = False


@dataclass(frozen=True, slots=True)
class Survey:
    """Of the files of one stream: exponents by which all their numbers are whole, and their numbering."""

    price_exponent: int
    size_exponent: int
    numbering: Numbering


def survey(files: Sequence[VendorFile], batch_rows: int) -> Survey:
    """Reads all numbers of the files once.

    Raises:
        FormatDrift: A file cannot be read, or a number is none; the text names file and row. Or at least 99 % of the
            deltas or snapshots have a sequence, and others have none.
    """
    unnumbered, lacking = 0, ""
    exponents = [LARGEST_EXPONENT, LARGEST_EXPONENT]
    state = _nothing_measured()
    for file, first, batch in _batches(files, batch_rows):
        with in_batch(file.path, first):
            for what, column in _number_columns(batch, file):
                exponents[what] = exponent_of(column, exponents[what])
            numbers = numbers_of(batch, file.table)
            measure_numbers(numbers, state)
        without = np.flatnonzero(numbers < 0)
        if len(without) and not unnumbered:
            lacking = f"{file.path.name}: row {first + int(without[0])}"
        unnumbered += len(without)
    if files[0].table.role != "trades":
        _refuse_unnumbered(int(state[ROWS]), unnumbered, lacking)
    price_exponent, size_exponent = exponents
    return Survey(price_exponent, size_exponent, _numbering(state))


def measure_ordered(batches: Iterable[tuple[Integers, Integers]]) -> Numbering:
    """The numbering of rows in the order of their numbers; batches of numbers and receive clocks in ns."""
    state, latest, furthest = _nothing_measured(), 0, 0
    for numbers, recv_ns in batches:
        measure_numbers(numbers, state)
        latest, back = furthest_back(recv_ns, latest)
        furthest = max(furthest, back)
    found = _numbering(state)
    anew = furthest > MOST_BACK_NS
    return replace(found, numbered=False, consecutive=False, begins_anew=True) if anew else found


def _refuse_unnumbered(rows: int, unnumbered: int, first: str) -> None:
    """Raises where few rows have no sequence: without it for all, nothing would show what is missing."""
    if 0 < unnumbered <= (1 - NUMBERED_SHARE) * rows:
        raise FormatDrift(
            f"{first}: sequence expected, none found, nor in {unnumbered:,} of {rows:,} rows of the day; the others "
            "are numbered, and without these numbers nothing shows what is missing. Nothing of the day was taken. Get "
            "the file again, or take another strategy"
        )


def _nothing_measured() -> Integers:
    state = np.zeros(MEASURES, np.int64)
    state[LOWEST], state[HIGHEST] = LARGEST, -1
    return state


def _numbering(state: Integers) -> Numbering:
    steps = int(state[STEPS])
    return Numbering(
        rows=int(state[ROWS]),
        numbered=bool(state[LOWEST] >= 0 and state[HIGHEST] > 0),
        falls=int(state[FALLS]),
        consecutive=steps > 0 and int(state[ONES]) >= CONSECUTIVE_SHARE * steps,
    )


def _batches(files: Sequence[VendorFile], batch_rows: int) -> Iterator[tuple[VendorFile, int, pa.RecordBatch]]:
    for file in files:
        first = 0
        for batch in read_columns(file.path, file.table, WORDS, batch_rows):
            yield file, first, batch
            first += len(batch)


def _number_columns(batch: pa.RecordBatch, file: VendorFile) -> Iterator[tuple[int, pa.Array]]:
    """0 and a column of prices, or 1 and a column of sizes."""
    if file.table.levels is None:
        yield 0, batch.column("price")
        yield 1, batch.column("size")
        return
    for _, _, what, name in file.table.levels.columns():
        yield int(what == "size"), batch.column(name)
