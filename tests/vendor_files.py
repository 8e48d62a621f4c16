"""Small files as vendors deliver them, made from a seed: what `books acquire` takes, and tests of all that follows it.

Every function gives rows as dictionaries by the vendor's own column names, in file order; `write_parquet` and
`write_csv` make files of them. Prices walk around 60,000 in ticks of 0.01, sizes are whole 0.001.
"""

import csv
import datetime as dt
import gzip
import io
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

DAY = dt.date(2024, 8, 8)
LAKE_PLACE = {"exchange": "BINANCE", "symbol": "BTC-USDT"}
TARDIS_PLACE = {"exchange": "binance", "symbol": "BTCUSDT"}
OLD_NAMES = {
    "origin_time": "timestamp",
    "received_time": "receipt_timestamp",
    "quantity": "amount",
    "trade_id": "id",
}
LATENCY_NS = 5_000_000

Row = dict[str, Any]


def day_start_ns(day: dt.date) -> int:
    """Midnight UTC at which the day begins, ns since 1970."""
    return int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp()) * 1_000_000_000


def clocks_ns(count: int, day: dt.date, *, from_hour: float = 0, until_hour: float = 24) -> list[int]:
    """`count` times spread evenly over those hours of the day, whole microseconds."""
    start = day_start_ns(day) + int(from_hour * 3600e9)
    step = int((until_hour - from_hour) * 3600e9) // count // 1000 * 1000
    return [start + step * i + step // 2 // 1000 * 1000 for i in range(count)]


def mids(count: int, seed: int) -> list[int]:
    """A walk of the mid price, in ticks of 0.01."""
    rng, at, found = random.Random(seed), 6_000_000, []
    for _ in range(count):
        at += rng.randint(-20, 20)
        found.append(at)
    return found


def _size(rng: random.Random) -> float:
    return rng.randint(1, 4000) / 1000


def lake_trades(count: int = 200, *, day: dt.date = DAY, seed: int = 1, **place: str) -> list[Row]:
    """Trades in Crypto Lake's columns."""
    rng = random.Random(seed)
    return [
        {
            "side": rng.choice(("buy", "sell")),
            "quantity": _size(rng),
            "price": mid / 100,
            "trade_id": str(1000 + i),
            "origin_time": ns,
            "received_time": ns + LATENCY_NS,
            **LAKE_PLACE,
            **place,
        }
        for i, (ns, mid) in enumerate(zip(clocks_ns(count, day), mids(count, seed), strict=True))
    ]


def lake_book(count: int = 100, *, day: dt.date = DAY, seed: int = 1, depth: int = 20, **place: str) -> list[Row]:
    """Snapshots of the best `depth` levels in Crypto Lake's columns; sequences 100, 200, .."""
    rng = random.Random(seed)
    rows = []
    for i, (ns, mid) in enumerate(zip(clocks_ns(count, day), mids(count, seed), strict=True)):
        row: Row = {"origin_time": ns, "received_time": ns + LATENCY_NS, "sequence_number": 100 * (i + 1)}
        for level in range(depth):
            row |= {
                f"bid_{level}_price": (mid - 1 - level) / 100,
                f"bid_{level}_size": _size(rng),
                f"ask_{level}_price": (mid + 1 + level) / 100,
                f"ask_{level}_size": _size(rng),
            }
        rows.append({**row, **LAKE_PLACE, **place})
    return rows


def lake_deltas(count: int = 300, *, day: dt.date = DAY, seed: int = 1, **place: str) -> list[Row]:
    """Messages of 1 to 4 levels in Crypto Lake's columns of `book_delta_v2`; one in five levels is removed."""
    rng = random.Random(seed)
    rows = []
    for i, (ns, mid) in enumerate(zip(clocks_ns(count, day), mids(count, seed), strict=True)):
        for _ in range(rng.randint(1, 4)):
            is_bid, away = rng.random() < 0.5, rng.randint(1, 60)
            rows.append(
                {
                    "origin_time": ns,
                    "received_time": ns + LATENCY_NS,
                    "sequence_number": i + 1,
                    "side_is_bid": is_bid,
                    "price": (mid - away if is_bid else mid + away) / 100,
                    "size": 0.0 if rng.random() < 0.2 else _size(rng),
                    **LAKE_PLACE,
                    **place,
                }
            )
    return rows


def tardis_trades(count: int = 200, *, day: dt.date = DAY, seed: int = 1, **place: str) -> list[Row]:
    """Trades in Tardis' columns."""
    return [
        {
            **TARDIS_PLACE,
            **place,
            "timestamp": row["origin_time"] // 1000,
            "local_timestamp": row["received_time"] // 1000,
            "id": row["trade_id"],
            "side": row["side"],
            "price": f"{row['price']:.2f}",
            "amount": f"{row['quantity']:.3f}",
        }
        for row in lake_trades(count, day=day, seed=seed)
    ]


def tardis_deltas(count: int = 300, *, day: dt.date = DAY, seed: int = 1, depth: int = 40, **place: str) -> list[Row]:
    """A whole book of `depth` levels a side, then messages, in Tardis' columns of `incremental_book_L2`."""
    start = (day_start_ns(day) + LATENCY_NS) // 1000
    rng = random.Random(seed)
    whole = [
        (side, (6_000_000 + sign * (level + 1)) / 100, _size(rng))
        for side, sign in (("bid", -1), ("ask", 1))
        for level in range(depth)
    ]
    rows = [_tardis_delta(start, start, True, *level) for level in whole]
    for row in lake_deltas(count, day=day, seed=seed):
        clocks = row["origin_time"] // 1000, row["received_time"] // 1000
        rows.append(_tardis_delta(*clocks, False, "bid" if row["side_is_bid"] else "ask", row["price"], row["size"]))
    return [{**row, **place} for row in rows]


def _tardis_delta(event: int, local: int, whole: bool, side: str, price: float, size: float) -> Row:
    return {
        **TARDIS_PLACE,
        "timestamp": event,
        "local_timestamp": local,
        "is_snapshot": "true" if whole else "false",
        "side": side,
        "price": f"{price:.2f}",
        "amount": f"{size:.3f}",
    }


def tardis_book(count: int = 100, *, day: dt.date = DAY, seed: int = 1, depth: int = 25, **place: str) -> list[Row]:
    """Snapshots of 25 levels in Tardis' columns of `book_snapshot_25`; levels past `depth` are empty."""
    rows = []
    for row in lake_book(count, day=day, seed=seed, depth=depth):
        made: Row = {
            **TARDIS_PLACE,
            **place,
            "timestamp": row["origin_time"] // 1000,
            "local_timestamp": row["received_time"] // 1000,
        }
        for level in range(25):
            for side in ("ask", "bid"):
                price, size = row.get(f"{side}_{level}_price"), row.get(f"{side}_{level}_size")
                made[f"{side}s[{level}].price"] = "" if price is None else f"{price:.2f}"
                made[f"{side}s[{level}].amount"] = "" if size is None else f"{size:.3f}"
        rows.append(made)
    return rows


def renamed(rows: Sequence[Row], names: dict[str, str] = OLD_NAMES) -> list[Row]:
    """The same rows under other column names, in the same order."""
    return [{names.get(name, name): value for name, value in row.items()} for row in rows]


def write_parquet(path: Path, rows: Sequence[Row], *, row_group: int = 1000) -> Path:
    """A Parquet file of the rows; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=row_group)
    return path


def write_csv(path: Path, rows: Sequence[Row]) -> Path:
    """A gzip CSV file of the rows, the same bytes each time; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    return path


def lake_path(table: str, day: dt.date = DAY, *, exchange: str = "BINANCE", symbol: str = "BTC-USDT") -> str:
    """Where Crypto Lake lays the first file of a day."""
    return f"{table}/exchange={exchange}/symbol={symbol}/dt={day}/1.snappy.parquet"


def tardis_path(table: str, day: dt.date = DAY, *, exchange: str = "binance", symbol: str = "BTCUSDT") -> str:
    """Where Tardis lays the file of a day."""
    return f"{exchange}/{table}/{day:%Y/%m/%d}/{symbol}.csv.gz"
