"""A day of ten times the length takes no more memory."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

CHILD = Path(__file__).parent / "peak_memory.py"
SLACK = 40 << 20  # the columns of the longer file take three times as much


def day_columns(rows):
    """Messages of four levels, as numbers."""
    rng = np.random.default_rng(rows)
    message = np.arange(rows) // 4
    return {
        "clock": 1_723_075_200_000_000 + message * 10_000,
        "number": message + 1,
        "bid": rng.random(rows) < 0.5,
        "price": 6_000_000 + rng.integers(-3000, 3000, rows),
        "size": rng.integers(0, 5000, rows),
    }


def write_lake(path, rows):
    columns = day_columns(rows)
    table = pa.table(
        {
            "origin_time": columns["clock"] * 1000 - 5_000_000,
            "received_time": columns["clock"] * 1000,
            "sequence_number": columns["number"],
            "side_is_bid": columns["bid"],
            "price": columns["price"] / 100,
            "size": columns["size"] / 1000,
        }
    )
    pq.write_table(table, path, row_group_size=rows)


def write_tardis(path, rows):
    columns = day_columns(rows)
    table = pa.table(
        {
            "exchange": pa.repeat("binance", rows),
            "symbol": pa.repeat("BTCUSDT", rows),
            "timestamp": columns["clock"] - 5_000,
            "local_timestamp": columns["clock"],
            "is_snapshot": columns["number"] == 1,
            "side": np.where(columns["bid"], "bid", "ask"),
            "price": pa.array(columns["price"] / 100).cast(pa.string()),
            "amount": pa.array(columns["size"] / 1000).cast(pa.string()),
        }
    )
    with gzip.open(path, "wb", compresslevel=1) as out:
        pacsv.write_csv(table, out, pacsv.WriteOptions(quoting_style="none"))


def peak_of(vendor, table, path, rows, scratch):
    command = [sys.executable, str(CHILD), vendor, table, str(path), str(scratch)]
    levels, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert int(levels) == rows
    return int(peak)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell the peak of a process")
@pytest.mark.parametrize(
    ("vendor", "table", "name", "write", "rows"),
    [
        ("crypto-lake", "book_delta_v2", "{}.parquet", write_lake, 300_000),
        ("tardis", "incremental_book_L2", "{}.csv.gz", write_tardis, 300_000),
    ],
)
def test_peak_memory_is_flat_in_the_length_of_the_day(tmp_path, vendor, table, name, write, rows):
    peaks = []
    for count in (rows, 10 * rows):
        path = tmp_path / name.format(count)
        write(path, count)
        peaks.append(peak_of(vendor, table, path, count, tmp_path))
    assert peaks[1] - peaks[0] < SLACK, peaks
