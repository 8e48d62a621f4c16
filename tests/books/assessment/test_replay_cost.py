"""The reckoned memory against the peak of a process that replays the day."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from tests.books.assessment.market_day import DAY, MarketDay, clean_day

FACTOR = 1.5  # at most so far from what was measured, either way
REPLAY = """
import re, sys
import datetime as dt
from pathlib import Path
from tidelake.books.assessment.agreement import measure_agreement
from tidelake.books.assessment.day_grid import DayGrid
from tidelake.books.assessment.day_measuring import DayPath
from tidelake.vendors.registry import vendor

folder = Path(sys.argv[1])
files = [DayPath(table, folder / f"{table}.parquet", table, "") for table in ("book", "book_delta_v2")]
grid = DayGrid.of(dt.date.fromisoformat(sys.argv[2]))
measure_agreement(files, vendor("crypto-lake"), grid)  # compiles the kernels where they are new
print(1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]))
"""


def peak(folder: Path) -> int:
    """Bytes of memory that a process has at most while it replays a folder's day, kernels compiled before."""
    command = [sys.executable, "-c", REPLAY, str(folder), str(DAY)]
    return [int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(2)][1]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks of memory are read from /proc")
@pytest.mark.parametrize("copies", [1, 12])
def test_memory_is_what_was_reckoned_and_flat_in_the_rows(tmp_path: Path, copies: int):
    day = clean_day()
    many = MarketDay(_copies(day.deltas, copies), _copies(day.snapshots, copies), day.trades.clear())
    found = many.assessed(tmp_path)
    measured, reckoned = peak(tmp_path), found.figures.cost.memory_bytes
    assert measured / FACTOR < reckoned < measured * FACTOR
    assert measured < 600 << 20


def _copies(table: pl.DataFrame, copies: int) -> pl.DataFrame:
    """Each row of the day so many times over, one after the other, with numbers and clocks that go on rising."""
    number = pl.col("sequence_number") * copies
    return pl.concat(table.with_columns(number + i, pl.col("received_time") + i) for i in range(copies)).sort(
        "sequence_number", maintain_order=True
    )
