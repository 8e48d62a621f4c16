"""Quotes, bars, mark prices and open interest of the recordings equal an independent reading of the frames."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tidelake
from tests.recorded.independent_reader import CRYPTOFEED, HFTBACKTEST, SYMBOLS, cryptofeed_frames, recordings

pytestmark = [
    pytest.mark.skipif(not CRYPTOFEED.is_dir(), reason="needs the recorded data in ../shared/data/captures"),
    pytest.mark.slow,
]

TABLES = ("quotes", "candles", "funding", "open_interest", "liquidations")
Quote = tuple[object, ...]  # source, symbol, channel, id or None, bid price, bid size, ask price, ask size


def number(value: object) -> Decimal | None:
    """The value, or None for an empty side, which venues write as nothing or as 0."""
    found = Decimal(str(value)) if value not in (None, "") else Decimal(0)
    return found or None


def binance(frame: Any) -> Iterator[Quote]:
    data = frame.get("data", {})
    if frame.get("stream", "").endswith("@bookTicker"):
        yield data["s"], "bookTicker", str(data["u"]), data["b"], data["B"], data["a"], data["A"]


def coinbase(frame: Any) -> Iterator[Quote]:
    if frame["type"] == "ticker":
        yield frame["product_id"], "ticker", str(frame["sequence"]), frame["best_bid"], None, frame["best_ask"], None


def kraken(frame: Any) -> Iterator[Quote]:
    if isinstance(frame, list) and frame[-2] == "ticker":
        bid, ask = frame[1]["b"], frame[1]["a"]
        yield frame[-1], "ticker", None, bid[0], bid[2], ask[0], ask[2]


def okx(frame: Any) -> Iterator[Quote]:
    if frame.get("arg", {}).get("channel") == "tickers":
        for row in frame.get("data", []):
            yield row["instId"], "tickers", None, row["bidPx"], row["bidSz"], row["askPx"], row["askSz"]


def deribit(frame: Any) -> Iterator[Quote]:
    params = frame.get("params", {})
    if params.get("channel", "").startswith("ticker."):
        row = params["data"]
        sides = (row[f"best_{side}_{what}"] for side in ("bid", "ask") for what in ("price", "amount"))
        yield row["instrument_name"], "ticker", None, *sides


READERS = {
    "binance-spot": binance,
    "binance-usdm": binance,
    "binance-coinm": binance,
    "coinbase": coinbase,
    "kraken": kraken,
    "okx": okx,
    "deribit": deribit,
}


def told() -> Iterator[tuple[str, Quote]]:
    """Source and quote, by the venue's symbol, of every frame."""
    for source, _, frames in recordings():
        if source in READERS:
            for _, frame in frames:
                for quote in READERS[source](frame):
                    yield source, quote


@pytest.fixture(scope="module")
def lake(derived_folder: Path) -> tidelake.Lake:
    return tidelake.open(derived_folder)


@pytest.fixture(scope="module")
def quotes(lake: tidelake.Lake) -> pl.DataFrame:
    return lake.scan("quotes").collect()


def test_every_quote_of_the_frames_is_in_the_table_once(quotes: pl.DataFrame):
    wanted: dict[tuple[object, ...], None] = {}
    unnumbered: Counter[tuple[object, ...]] = Counter()
    for source, (_, channel, number_, *sides) in told():
        cells = tuple(map(number, sides))
        if number_ is None:
            unnumbered[source, channel, *cells] += 1
        else:
            wanted[source, channel, number_, *cells] = None
    names = ["source", "channel", "quote_id", "bid_price", "bid_size", "ask_price", "ask_size"]
    numbered = quotes.filter(~pl.col("source").is_in(["kraken", "okx", "deribit"]))
    found = Counter(numbered.select(names).iter_rows())
    assert found == Counter(list(wanted))
    others = quotes.filter(pl.col("source").is_in(["kraken", "okx", "deribit"]))
    assert Counter(others.drop("quote_id").select([n for n in names if n != "quote_id"]).iter_rows()) == unnumbered
    judged = {source: set(part["validity"]) for (source,), part in quotes.group_by("source")}
    assert all(judged[source] == {"UNPROVABLE"} for source in ("kraken", "okx", "deribit", "coinbase"))
    assert all("VALID" in judged[source] for source in ("binance-spot", "binance-coinm"))
    assert quotes["source"].value_counts().height == 7


def test_counts_by_source_are_those_of_the_frames(quotes: pl.DataFrame):
    frames = Counter(source for source, _ in told())
    assert dict(quotes["source"].value_counts().iter_rows()) == frames
    assert sum(frames.values()) == len(quotes)


def test_times_are_the_venues_where_it_tells_one(quotes: pl.DataFrame):
    late = quotes.with_columns(late=pl.col("recv_ns") // 1000 - pl.col("event_time").dt.epoch("us"))
    lag = dict(late.group_by("source").agg(pl.col("late").max()).iter_rows())
    assert lag["binance-spot"] == lag["kraken"] == 0  # no time on the wire: our receipt
    for source in ("binance-usdm", "binance-coinm", "okx", "deribit"):
        assert -5_000_000 < lag[source] < 60_000_000, source


def test_bars_mark_prices_and_open_interest_are_those_of_the_frames(lake: tidelake.Lake):
    bars: set[tuple[Any, ...]] = set()
    tickers = 0
    for path in sorted(CRYPTOFEED.glob("*.ws.*")):
        venue = path.name.split(".")[0]
        for _, frame in cryptofeed_frames(path) if venue in ("BINANCE", "BINANCE_FUTURES", "DERIBIT") else ():
            bar = frame.get("data", {}).get("k", {}) if "stream" in frame else {}
            if bar.get("x") is True:
                prices = (Decimal(bar[key]) for key in ("o", "h", "l", "c", "v", "q"))
                bars.add((venue, bar["t"] * 1000, *prices, bar["n"]))
            tickers += frame.get("params", {}).get("channel", "").startswith("ticker.")
    sources = {"BINANCE": "binance-spot", "BINANCE_FUTURES": "binance-usdm"}
    names = ["open", "high", "low", "close", "volume", "volume_quote", "trades"]
    found = lake.scan("candles").filter(pl.col("origin") == "venue").collect()
    rows = found.select("source", pl.col("event_time").dt.epoch("us"), *names)
    assert set(rows.iter_rows()) == {(sources[venue], *rest) for venue, *rest in bars}
    assert len(found) == len(bars) > 0
    for table in ("funding", "open_interest"):
        said = lake.scan(table).collect()
        assert dict(said["source"].value_counts().iter_rows()) == {"deribit": tickers} == {"deribit": 89}
    assert lake.scan("liquidations").collect().is_empty()


def test_nothing_of_the_streams_is_quarantined(lake: tidelake.Lake):
    assert lake.sql(f'select * from quarantine where "table" in {TABLES}').is_empty()


def test_symbols_that_the_independent_reader_knows_are_named_as_it_names_them(quotes: pl.DataFrame):
    known = {name for names in SYMBOLS.values() for name in names.values()}
    assert {"NKN-USDT", "BTC-USD-20220527", "BTC-USD-PERP"} <= set(quotes["symbol"]) & known
    assert HFTBACKTEST.is_dir()
