"""A folder of CSV files as a history: `<chain>/price.csv`, `liquidity.csv`, `supply.csv`, .. and `volatility.csv`.

Columns are `timestamp` (ISO 8601; UTC where no zone is given), `coin`, and what the file is named after:

    price.csv        price, and volume in US dollars
    liquidity.csv    liquidity_depth in US dollars
    circulating.csv  circulating_supply in tokens
    supply.csv       net_supply_change in tokens; below zero is burned
    sentiment.csv    sentiment_score in [-1, 1]
    volatility.csv   market_volatility, for all coins; in the folder itself
    heads.csv        block_number, tier2_timestamp, tier3_timestamp, tier2_block, tier3_block: where the chain stood
    retractions.csv  ids_out, ids_in, reason: facts of the chain that stand no longer, and those in their place; ids
                     with spaces between, "chain:block_hash:tx_hash:log_index"
    sources.csv      source, up: one went down (0) or is back (1), and what was missed has been told by then

Any file may have `source` and `known_at`; what has no `known_at` was known when it happened. A supply file may have
`block_number`, `block_hash`, `tx_hash` and `log_index`. Files in the folder itself are of no chain. Where a chain has
no `heads.csv`, its supply file is taken to hold all changes, and is final when the grace has passed.
"""

import hashlib
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from tidelake.errors import ConfigError
from tidelake.stablecoins.observation import Head, Observation, Retraction
from tidelake.stablecoins.setup import GRACE_US, LONGEST_GRACE_US, ChainSetup, CoinSetup

BATCH_ROWS: Final = 50_000
WINDOW_US: Final = 300_000_000
CSV_DECIMALS: Final = 18
MARKET: Final = ""


class Part(msgspec.Struct, frozen=True):
    """One value column of a file: the feature, its column, and the source where the file names none."""

    feature: str
    column: str
    source: str


FILES: Final[Mapping[str, tuple[Part, ...]]] = {
    "price.csv": (Part("price", "price", "coingecko"), Part("volume", "volume", "coingecko")),
    "liquidity.csv": (Part("liquidity", "liquidity_depth", "defillama"),),
    "circulating.csv": (Part("circulating", "circulating_supply", "defillama"),),
    "supply.csv": (Part("supply", "net_supply_change", "logs"),),
    "sentiment.csv": (Part("sentiment", "sentiment_score", "vader"),),
    "volatility.csv": (Part("volatility", "market_volatility", "candles"),),
}
HEADS: Final = "heads.csv"
WORDS: Final[Mapping[str, Part]] = {
    HEADS: Part("head", "block_number", "heads"),
    "retractions.csv": Part("retract", "ids_out", "heads"),
    "sources.csv": Part("source", "up", ""),
}
RETRACTION_COLUMNS: Final = ("ids_out", "ids_in", "reason")
HEAD_COLUMNS: Final = ("tier2_timestamp", "tier3_timestamp", "tier2_block", "tier3_block")


class CsvFolder:
    """A history in a folder.

    Of what became known at one moment, retractions come last: what they name has been told by then.

    Attributes:
        refused: Rows that could not be read, by file and column: how many, and the first of them.

    Raises:
        ConfigError: The folder holds no such file, or a file lacks a column.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = sorted(path for path in folder.glob("*.csv") if path.name in (*FILES, "sources.csv"))
        self._files += sorted(path for path in folder.glob("*/*.csv") if path.name in (*FILES, *WORDS))
        if not self._files:
            names = ", ".join((*FILES, *WORDS))
            raise ConfigError(f"no history in {folder}: it holds none of {names}, nor do its folders, one per chain")
        self.refused: dict[str, str] = {}
        parts = [part for path in self._files for part in self._read_file(path) if part.height]
        if not parts:
            raise ConfigError(f"the files in {folder} hold no row that can be read")
        self._rows = pl.concat(parts).sort("known_us", pl.col("feature") == "retract", "event_us", maintain_order=True)

    def __len__(self) -> int:
        return self._rows.height

    @property
    def span_us(self) -> tuple[int, int]:
        """The first and the last time that its rows tell."""
        first, last = self._rows.select(a=pl.col("event_us").min(), b=pl.col("event_us").max()).row(0)
        return first, last

    @property
    def fingerprint(self) -> str:
        """Differs where a file differs."""
        found = hashlib.sha256()
        for path in self._files:
            found.update(f"{path.relative_to(self._folder).as_posix()}\0".encode())
            with path.open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
        return found.hexdigest()[:16]

    def setups(self, coins: tuple[str, ...] = ()) -> dict[str, CoinSetup]:
        """The coins of the folder, or those named, as far as files tell of them.

        A feature is expected where it has a file; amounts are in tokens, so that decimals do not matter.
        """
        told = self._rows.filter(pl.col("coin") != "").group_by("coin", "chain").agg(pl.col("feature").unique())
        features: dict[str, dict[str, set[str]]] = {}
        for coin, chain, found in told.iter_rows():
            features.setdefault(coin, {})[chain] = set(found)
        names = coins or tuple(sorted(features))
        if missing := sorted(set(names) - set(features)):
            raise ConfigError(f"{self._folder} tells nothing of {', '.join(missing)}; it has {', '.join(features)}")
        return {coin: self._setup(coin, features[coin]) for coin in names}

    def _setup(self, coin: str, features: Mapping[str, set[str]]) -> CoinSetup:
        market = features.get(MARKET, set()) | ({"volatility"} if self._has("volatility.csv") else set())
        shared = {"price", "volume", "sentiment"}  # told by chain in such folders, and the coin's all the same
        every = market | {feature for found in features.values() for feature in found if feature in shared}
        chains = tuple(
            ChainSetup(
                name=chain,
                decimals=CSV_DECIMALS,
                grace_us=GRACE_US.get(chain, LONGEST_GRACE_US),
                follows_heads=(self._folder / chain / HEADS).is_file(),
                expects=tuple(sorted(features[chain] - shared)),
            )
            for chain in sorted(set(features) - {MARKET})
        )
        first = self.span_us[0]
        return CoinSetup(coin=coin, chains=chains, begin_us=first - first % WINDOW_US, expects=tuple(sorted(every)))

    def _has(self, name: str) -> bool:
        return (self._folder / name).is_file()

    def batches(self) -> Iterator[list[Observation]]:
        """All rows as observations, in the order in which they were known, then of their times, then of files."""
        for start in range(0, self._rows.height, BATCH_ROWS):
            part = self._rows.slice(start, BATCH_ROWS)
            columns = [part[name].to_list() for name in COLUMNS]
            yield [_observe(*row) for row in zip(*columns, strict=True)]

    def _read_file(self, path: Path) -> Iterator[pl.DataFrame]:
        name = path.relative_to(self._folder).as_posix()
        chain = path.parent.name if path.parent != self._folder else MARKET
        rows = pl.read_csv(path, infer_schema=False, row_index_name="row")
        if not rows.height:
            return
        lacking = {"timestamp"} - set(rows.columns)
        if path.name not in ("volatility.csv", *WORDS):
            lacking |= {"coin"} - set(rows.columns)
        if path.name in WORDS:
            parts: tuple[Part, ...] = (WORDS[path.name],)
            lacking |= {parts[0].column, *(("source",) if path.name == "sources.csv" else ())} - set(rows.columns)
        else:
            parts = tuple(part for part in FILES[path.name] if part.column in rows.columns)
            lacking |= set() if parts else {FILES[path.name][0].column}
        if lacking:
            raise ConfigError(f"{path} lacks {', '.join(sorted(lacking))}; it has {', '.join(rows.columns)}")
        for part in parts:
            yield self._unify(name, chain, part, rows)

    def _unify(self, name: str, chain: str, part: Part, rows: pl.DataFrame) -> pl.DataFrame:
        """One value column as rows of `COLUMNS`; rows without a value say nothing, others unread are noted."""
        has = set(rows.columns)
        event = _time("timestamp")
        found = rows.filter(pl.col(part.column).is_not_null()).select(
            row=pl.col("row"),
            feature=pl.lit(part.feature),
            event_us=event,
            known_us=_time("known_at") if "known_at" in has else event,
            coin=pl.col("coin").str.strip_chars() if "coin" in has else pl.lit(""),
            chain=pl.lit(chain),
            source=pl.col("source") if "source" in has else pl.lit(part.source),
            value=pl.lit(0.0) if part.feature == "retract" else pl.col(part.column).cast(pl.Float64, strict=False),
            amount=pl.col(part.column) if part.feature == "supply" else pl.lit(None, pl.String),
            block_number=pl.col("block_number").cast(pl.Int64, strict=False)
            if "block_number" in has and part.feature in ("supply", "head")
            else pl.lit(-1, pl.Int64),
            native=_native(has) if part.feature == "supply" else pl.lit(None, pl.String),
            **{
                column: (_time(column) if column.endswith("timestamp") else pl.col(column).cast(pl.Int64, strict=False))
                if part.feature == "head" and column in has
                else pl.lit(-1, pl.Int64)
                for column in HEAD_COLUMNS
            },
            **{
                column: pl.col(column) if part.feature == "retract" and column in has else pl.lit(None, pl.String)
                for column in RETRACTION_COLUMNS
            },
        )
        good = found.drop_nulls(["event_us", "known_us", "coin", "source", "value", "block_number"])
        if good.height < found.height:
            bad = found.join(good.select("row"), on="row", how="anti")
            first = bad["row"][0]
            self.refused[f"{name} {part.column}"] = (
                f"{bad.height} of {found.height} rows cannot be read; the first is row {first}"
            )
        made = pl.format("{}:{}:{}:{}", "source", "coin", "feature", "event_us")
        return good.with_columns(id=pl.coalesce("native", made)).select(COLUMNS)


COLUMNS: Final = (
    "feature",
    "event_us",
    "known_us",
    "coin",
    "chain",
    "source",
    "id",
    "value",
    "amount",
    "block_number",
    *HEAD_COLUMNS,
    *RETRACTION_COLUMNS,
)


def _time(column: str) -> pl.Expr:
    """Microseconds UTC of ISO 8601 text; null where it is none. A bare number has no unit, and is none."""
    text = pl.col(column).str.strip_chars()
    zoned = text.str.to_datetime(time_unit="us", time_zone="UTC", format="%Y-%m-%dT%H:%M:%S%.f%#z", strict=False)
    plain = text.str.to_datetime(time_unit="us", format="%Y-%m-%dT%H:%M:%S%.f", strict=False)
    spaced = text.str.to_datetime(time_unit="us", format="%Y-%m-%d %H:%M:%S%.f", strict=False)
    return pl.coalesce(zoned.dt.epoch("us"), plain.dt.epoch("us"), spaced.dt.epoch("us"))


def _native(has: set[str]) -> pl.Expr:
    """The fact's own id where the file tells block, transaction and log."""
    if not {"block_hash", "tx_hash", "log_index"} <= has:
        return pl.lit(None, pl.String)
    return pl.format("{}:{}:{}:{}", pl.lit("chain"), "block_hash", "tx_hash", "log_index")


def _observe(
    feature: str,
    event_us: int,
    known_us: int,
    coin: str,
    chain: str,
    source: str,
    fact_id: str,
    value: float,
    amount: str | None,
    block_number: int,
    *words: Any,
) -> Observation:
    units = 0
    told: Head | Retraction | None = None
    if amount is not None:
        try:
            units = int(Decimal(amount).scaleb(CSV_DECIMALS))
        except (InvalidOperation, ValueError, OverflowError):
            value = float("nan")  # the machine refuses it by name
    elif feature == "head":
        told, value = Head(*words[: len(HEAD_COLUMNS)]), 0.0
    elif feature == "retract":
        ids_out, ids_in, reason = words[len(HEAD_COLUMNS) :]
        told = Retraction(tuple(ids_out.split()), tuple((ids_in or "").split()), reason or "chain_reorg")
    return Observation(
        feature, event_us, known_us, coin, chain, source, fact_id, value, units, block_number, "USD", told
    )
