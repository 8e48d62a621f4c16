"""Rows of the `trades` table made by column, for benchmarks of tables too large to derive in a benchmark.

Prices walk, sizes are skewed, ids count on, times rise; seeded, so that every run reads the same rows.
"""

import datetime as dt
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidelake.tables.arrow_types import EXACT, TIME
from tidelake.tables.registry import table

DAY_US = 86_400_000_000
FIRST_PRICE_CENTS = {"BTC-USD": 4_200_000, "ETH-USD": 230_000, "SOL-USD": 9_800, "LTC-USD": 7_100, "ADA-USD": 55}


def _exact(units: "np.ndarray[tuple[int], np.dtype[np.int64]]", digits: int) -> pa.Array:
    """Counts of the last of `digits` places behind the point, as Decimal(38, 18)."""
    words = np.zeros((len(units), 2), dtype=np.int64)
    words[:, 0] = units
    narrow = pa.Array.from_buffers(pa.decimal128(18, digits), len(units), [None, pa.py_buffer(words)])
    return pc.cast(narrow, EXACT)


def trades_of_day(source: str, symbol: str, day: dt.date, count: int, first_id: int) -> pa.Table:
    """`count` trades of one source, symbol and day, in order of time, with all columns of the table."""
    schema = table("trades").schema
    draw = np.random.default_rng(crc32(f"{source} {symbol} {day}".encode()))
    start = (day - dt.date(1970, 1, 1)).days * DAY_US
    us = start + np.sort(draw.integers(0, DAY_US, count))
    cents = FIRST_PRICE_CENTS.get(symbol, 10_000)
    price = np.maximum(cents + np.cumsum(draw.integers(-3, 4, count)), 1).astype(np.int64)
    size = np.maximum((10 ** draw.normal(6.5, 0.8, count)).astype(np.int64), 1)  # of 1e-8
    ids = np.arange(first_id, first_id + count)
    late_ns = draw.integers(20_000_000, 80_000_000, count)
    recv_ns = us * 1_000 + late_ns
    sides = pa.array(["buy", "sell"]).take(pa.array(draw.integers(0, 2, count)))

    def constant(value: object, kind: pa.DataType) -> pa.Array:
        return pa.repeat(pa.scalar(value, kind), count)

    columns = {
        "source": constant(source, pa.string()),
        "symbol": constant(symbol, pa.string()),
        "grain": constant("trade", pa.string()),
        "trade_id": pc.cast(pa.array(ids), pa.string()),
        "trade_seq": pa.array(ids),
        "event_time": pa.array(us).cast(TIME),
        "price": _exact(price, 2),
        "size": _exact(size, 8),
        "size_unit": constant("base", pa.string()),
        "side": sides,
        "transport": constant("ws", pa.string()),
        "known_at": pa.array(-(-recv_ns // 1_000)).cast(TIME),
        "recv_ns": pa.array(recv_ns),
        "status": constant("active", pa.string()),
        "segment": constant(f"{crc32(f'{source}{day}'.encode()):016x}", pa.string()),
        "line": pa.array(np.arange(count, dtype=np.int32)),
        "item": constant(0, pa.int32()),
        "parser_version": constant(1, pa.int32()),
        "mapping_version": constant("0123456789abcdef", pa.string()),
        "date": constant(day, pa.date32()),
    }
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)
