"""One-minute bars of an exchange as a history: files `<BASE><QUOTE>_1m.parquet` in one folder.

Columns are those of Binance's klines with `wall_clock_utc`, the time at which a bar opens. Of a pair of two coins that
promise the same, such as USDC in USDT, the price tells how far they are apart, not which of them left the peg: below
one the base is worth less than the quote, above one the quote is worth less than the base. `quote` says so in each row.

A bar is known when it ends. Its open stands at its beginning and its close at its end; when its high and its low were,
a bar does not tell: they stand at its middle. Bars of BTCUSDT give the volatility of the market, as those of the lake
do (`sources/volatility.py`).
"""

import datetime as dt
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl

from tidelake.errors import ConfigError
from tidelake.stablecoins.observation import MICROS, Observation, Telling
from tidelake.stablecoins.setup import CoinSetup
from tidelake.stablecoins.sources.observations import observations
from tidelake.stablecoins.sources.volatility import Bar, Volatility

SOURCE: Final = "binance-spot"
QUOTES: Final = ("USDT", "USDC", "BUSD", "USD")
MINUTE_US: Final = 60 * MICROS
WINDOW_US: Final = 300 * MICROS
BAR_FILES: Final = "*_1m.parquet"
BATCH_BARS: Final = 10_000
SCHEMA: Final = {
    "feature": pl.String,
    "event_us": pl.Int64,
    "known_us": pl.Int64,
    "coin": pl.String,
    "source": pl.String,
    "id": pl.String,
    "value": pl.Float64,
    "quote": pl.String,
}
PLACES: Final = (("open", 0), ("low", MINUTE_US // 2), ("high", MINUTE_US // 2), ("close", MINUTE_US - 1))


class BarsFolder:
    """The bars of a folder.

    Attributes:
        refused: Nothing: a file that cannot be read ends the reading.

    Raises:
        ConfigError: It holds none, or none of a coin besides those of BTC.
    """

    tells_time = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.refused: dict[str, str] = {}
        self._pairs: dict[str, str] = {}
        frames = []
        for path in sorted(folder.glob(BAR_FILES)):
            base, quote = split_pair(path.name.removesuffix("_1m.parquet"))
            frame = pl.read_parquet(path).with_columns(open_us=pl.col("wall_clock_utc").dt.epoch("us"))
            if base == "BTC":
                frames.append(_volatility(frame))
            else:
                self._pairs[base] = quote
                frames.append(_prices(frame, base, quote))
        if not self._pairs:
            raise ConfigError(f"{folder} holds no bars of a coin: files such as USDCUSDT_1m.parquet")
        self._rows = pl.concat(frames).sort("known_us", "event_us", "coin", maintain_order=True)

    def __len__(self) -> int:
        return self._rows.height

    @property
    def span_us(self) -> tuple[int, int]:
        """The first and the last time that its rows tell."""
        first, last = self._rows.select(a=pl.col("event_us").min(), b=pl.col("event_us").max()).row(0)
        return first, last

    @property
    def pairs(self) -> dict[str, str]:
        """The coins, and what each is quoted in."""
        return dict(self._pairs)

    def close(self) -> None:
        """Nothing is to be ended here."""

    @property
    def fingerprint(self) -> str:
        """Differs where a file differs."""
        found = hashlib.sha256()
        for path in sorted(self._folder.glob(BAR_FILES)):
            found.update(path.name.encode())
            with path.open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
        return found.hexdigest()[:16]

    def setups(self, coins: tuple[str, ...] = ()) -> dict[str, CoinSetup]:
        """The coins of the folder, or those named: one source of price, no chain."""
        if missing := sorted(set(coins) - set(self._pairs)):
            raise ConfigError(f"{self._folder} has no bars of {', '.join(missing)}; it has {', '.join(self._pairs)}")
        first = self.span_us[0]
        begin = first - first % WINDOW_US
        expects = ("price", "volatility") if "volatility" in self._rows["feature"] else ("price",)
        names = coins or tuple(self._pairs)
        return {coin: CoinSetup(coin=coin, chains=(), begin_us=begin, expects=expects) for coin in names}

    def batches(self) -> Iterator[list[Observation]]:
        """All prices in the order in which their bars ended."""
        for start in range(0, self._rows.height, BATCH_BARS):
            part = self._rows.slice(start, BATCH_BARS)
            yield [_observe(*row) for row in part.iter_rows()]

    def tellings(self, coin: str, known_us: int) -> Iterator[Telling]:
        """What was told of a coin and of volatility up to a time, in the order of `batches`."""
        told = self._rows.filter(pl.col("coin").is_in([coin, ""]), pl.col("known_us") <= known_us)
        for row in told.iter_rows():
            seen = _observe(*row)
            end = f"{dt.datetime.fromtimestamp(seen.known_us / MICROS, dt.UTC):%Y-%m-%d %H:%M}"
            bars = f"{coin}{seen.quote}_1m.parquet, the bar that ends {end}" if seen.coin else f"bars of BTC to {end}"
            yield Telling(seen, bars)


def _observe(
    feature: str, event_us: int, known_us: int, coin: str, source: str, fact_id: str, value: float, quote: str
) -> Observation:
    return Observation(feature, event_us, known_us, coin, "", source, fact_id, value, quote=quote)


def split_pair(pair: str) -> tuple[str, str]:
    """Base and quote of a pair's name.

    Raises:
        ConfigError: It ends in no quote that is known here.
    """
    for quote in QUOTES:
        if pair.endswith(quote) and pair != quote:
            return pair.removesuffix(quote), quote
    raise ConfigError(f"{pair} is quoted in none of {', '.join(QUOTES)}")


def _prices(bars: pl.DataFrame, base: str, quote: str) -> pl.DataFrame:
    parts = [
        bars.select(
            feature=pl.lit("price"),
            event_us=pl.col("open_us") + offset,
            known_us=pl.col("open_us") + MINUTE_US,
            coin=pl.lit(base),
            source=pl.lit(SOURCE),
            id=pl.format(f"{SOURCE}:{base}:price:{{}}:{name}", pl.col("open_us") + offset),
            value=pl.col(name),
            quote=pl.lit(quote),
        )
        for name, offset in PLACES
    ]
    return pl.concat(parts)


def _volatility(bars: pl.DataFrame) -> pl.DataFrame:
    rows = bars.sort("open_us").select("open_us", "close").iter_rows()
    told = Volatility().take(Bar(open_us, close, open_us + MINUTE_US) for open_us, close in rows)
    found = [(o.feature, o.event_us, o.known_us, o.coin, o.source, o.id, o.value, "") for o in observations(told)]
    return pl.DataFrame(found, schema=SCHEMA, orient="row")
