"""Steps that simulated and recorded trades share: the unified table, SQL across venues, and tampering."""

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from tidelake.client import Lake
from tidelake.demo.narrator import Narrator
from tidelake.raw.explain import explain
from tidelake.raw.store import Store
from tidelake.raw.verify import verify
from tidelake.tables.describe import describe_again

COLUMNS = ("source", "symbol", "event_time", "price", "size", "size_unit", "side", "trade_id")
ROWS_OF_EACH = 2
SHOWN = 180  # characters of a frame
PRICES = """
    SELECT source, symbol, count(*) AS trades, round(sum(notional)) AS volume_quote,
        round(sum(notional) / sum(notional / price), 2) AS vwap
    FROM trades WHERE symbol LIKE '{asset}-%' AND notional > 0 GROUP BY ALL ORDER BY source, symbol
"""
BUSIEST = """
    SELECT source, symbol, grain, count(*) AS trades, sum(size) AS volume, any_value(size_unit) AS unit,
        round(sum(price * weight) / sum(weight), 8) AS vwap,
        round(count(*) FILTER (side = 'buy') / count(*), 3) AS share_bought
    FROM (
        SELECT *, CASE size_unit WHEN 'quote' THEN size / price ELSE size END AS weight
        FROM (FROM trades UNION ALL FROM agg_trades)
    ) GROUP BY ALL ORDER BY trades DESC, source, symbol LIMIT 10
"""
DIFFERENCES = """
    WITH bars AS (
        SELECT source, time_bucket(INTERVAL '1 minute', event_time) AS minute, arg_max(price, event_time) AS price
        FROM trades WHERE symbol LIKE '{asset}-%' GROUP BY ALL
    ), apart AS (SELECT *, 1e4 * (price / median(price) OVER (PARTITION BY minute) - 1) AS bp FROM bars)
    SELECT source, count(*) AS minutes, round(avg(bp), 2) AS mean_bp_from_median,
        round(max(abs(bp)), 2) AS largest_bp
    FROM apart GROUP BY source ORDER BY source
"""


def unified_rows(lake: Lake, streams: Sequence[tuple[str, str]]) -> pl.DataFrame:
    """The newest trades of each stream, in the words of the one table."""
    rows = lake.scan("trades").sort("event_time", "trade_seq", "trade_id", descending=True)
    parts = [
        rows.filter(pl.col("source") == source, pl.col("symbol") == symbol).head(ROWS_OF_EACH).select(COLUMNS)
        for source, symbol in streams
    ]
    return pl.concat(pl.collect_all(parts))


def compare_prices(lake: Lake, tell: Narrator, asset: str) -> None:
    """One SQL answer over all venues."""
    tell.step(
        "SQL: one question to all venues",
        f"Trades, volume in the quote currency and volume-weighted price of everything that starts with {asset}-:",
    )
    tell.rows(lake.sql(PRICES.format(asset=asset)))
    tell.tell("How far each venue's last price of each minute is from the median of all, in hundredths of a percent:")
    tell.rows(lake.sql(DIFFERENCES.format(asset=asset)))


def compare_volumes(lake: Lake, tell: Narrator) -> None:
    """One SQL answer over whatever streams there are."""
    tell.step("SQL: one question to all venues", "The busiest streams, single trades and aggregates beside each other:")
    tell.rows(lake.sql(BUSIEST))


def tamper(lake: Lake, tell: Narrator) -> None:
    """The raw log as it is, and a copy of it with one bit flipped."""
    tell.step(
        "Verify: can anyone have changed what was received?",
        "Every sealed segment is named by its hash, and every ledger entry holds the hash of the one before.",
    )
    report = verify(lake.store, describe_for=describe_again(lake.mappings))
    counts = ", ".join(f"{report.counts[name]:,} {name}" for name in ("lanes", "entries", "lines", "bytes"))
    tell.check(not report.problems, f"the whole chain of this lake: {counts}")
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "copy"
        for name in ("raw", "ledger"):
            shutil.copytree(Path(str(lake.store.root)) / name, copy / name)
        victim = min(path for path in (copy / "raw").rglob("*") if path.is_file())
        flip_bit(victim)
        found = verify(Store.open(copy)).problems
        tell.tell("", f"Now one bit of {victim.name} is flipped, in a copy of the lake:")
        for problem in found:
            tell.tell(f"{problem.kind}: {problem.key}")
        named = {problem.key for problem in found} == {victim.relative_to(copy).as_posix()}
        tell.check(named, "verify names exactly that segment")


def flip_bit(path: Path) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(data))


def trace(lake: Lake, tell: Narrator) -> None:
    """From a row back to the bytes that said so."""
    source, symbol = busiest(lake)[0]
    rows = lake.scan("trades").filter(pl.col("source") == source, pl.col("symbol") == symbol)
    row = rows.sort("event_time", "trade_seq", "trade_id").tail(1).collect().row(0, named=True)
    found = explain(lake.store, row["segment"], row["line"], row["item"])
    tell.step(
        "Explain: where does a number come from?",
        f"{source} {symbol}: {row['side']} {row['size'].normalize():f} at {row['price'].normalize():f}, "
        f"{row['event_time']:%Y-%m-%d %H:%M:%S.%f} UTC.",
        f"It stands in line {row['line']}, item {row['item']} of segment {row['segment']}, which says, as received:",
        "",
    )
    frame = found["frame"]
    text = str(frame["payload"])
    tell.tell(
        *filter(None, (str(frame.get("request", ""))[:SHOWN], text[:SHOWN] + (" ..." if len(text) > SHOWN else "")))
    )


def busiest(lake: Lake, sources: Iterable[str] = ()) -> list[tuple[str, str]]:
    """The stream with the most trades of each source."""
    counts = lake.scan("trades").group_by("source", "symbol").len().sort("len", descending=True).collect()
    first: dict[str, str] = {}
    for source, symbol, _ in counts.iter_rows():
        first.setdefault(source, symbol)
    return sorted((s, first[s]) for s in (sources or first) if s in first)
