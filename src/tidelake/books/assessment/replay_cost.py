"""What the full replay of a day takes, reckoned from counts and depths: memory is flat in the length of the day.

The process itself, one book indexed by tick, a batch of each stream under way, and, where a stream is not in its order,
what sorts it. Time is levels by the rates of one core; a snapshot is as many levels as it has room for. To write the
rows of the replay costs more, and is not in it.
"""

from collections.abc import Mapping
from pathlib import Path

from tidelake.books.assessment.agreement import BATCH_LEVELS
from tidelake.books.assessment.figures import ReplayCost, TableFigures
from tidelake.books.reconstruction.vendor_reading import is_csv
from tidelake.vendors.spec import Role

PROCESS_BYTES = 230 << 20  # interpreter, Polars, Arrow, DuckDB and compiled kernels, measured
BOOK_BYTES = 11 << 20  # `kernels.dense_book`
LEVEL_BYTES = 400  # of a level under way: as read, as exact numbers, in its own stream, merged; measured 190 to 470
SORT_BYTES, SORTED_LEVEL_BYTES = 512 << 20, 150  # the sorter's limit; what it holds of a level
PARQUET_LEVELS, CSV_LEVELS = 5_000_000, 1_500_000  # a second, measured on files of recorded books


def estimate_cost(tables: Mapping[Role, TableFigures]) -> ReplayCost:
    """The cost of replaying these tables."""
    parts = {"process": PROCESS_BYTES, "book": BOOK_BYTES}
    for table in tables.values():
        parts[f"batches of {table.table}"] = min(_levels(table), BATCH_LEVELS) * LEVEL_BYTES
    for table in tables.values():
        if table.sequences.out_of_order:
            parts[f"sorting {table.table}"] = min(_levels(table) * SORTED_LEVEL_BYTES, SORT_BYTES)
    seconds = sum(_levels(table) / _rate(table) for table in tables.values())
    return ReplayCost(sum(parts.values()), seconds, parts)


def _levels(table: TableFigures) -> int:
    return table.rows * (2 * table.snapshots.depth if table.snapshots else 1)


def _rate(table: TableFigures) -> int:
    return CSV_LEVELS if is_csv(Path(table.files[0])) else PARQUET_LEVELS
