"""Files of a history: `<chain>/price.csv`, `liquidity.csv`, `supply.csv`, .. and `volatility.csv`.

Columns are `timestamp` (ISO 8601; UTC where no zone is given), `coin`, and what the file is named after:

    price.csv        price, and volume in US dollars
    liquidity.csv    liquidity_depth in US dollars
    circulating.csv  circulating_supply in tokens
    supply.csv       net_supply_change in tokens; below zero is burned
    sentiment.csv    sentiment_score in [-1, 1]
    volatility.csv   market_volatility, for all coins; in the folder itself
    heads.csv        block_number, tier2_timestamp, tier3_timestamp, tier2_block, tier3_block: where the chain stood
    retractions.csv  ids_out, ids_in, reason: facts of the chain that stand no longer, and those in their place; ids
                     with spaces between, "<chain>:block_hash:tx_hash:log_index", as "ethereum:0x12..:0x34..:7"
    sources.csv      source, up: one went down (0) or is back (1), and what was missed has been told by then

Any file may have `source` and `known_at`; what has no `known_at` was known when it happened. A supply file may have
`block_number`, `block_hash`, `tx_hash` and `log_index`. Files in the folder itself are of no chain. Where a chain has
no `heads.csv`, its supply file is taken to hold all changes, and is final when the grace has passed.
"""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from tidelake.errors import ConfigError
from tidelake.stablecoins.observation import Head, Observation, Retraction
from tidelake.stablecoins.replay.csv_text import read_text
from tidelake.stablecoins.replay.csv_values import NAME, time_us, units_of

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


class CsvFile(msgspec.Struct, frozen=True):
    """One file.

    Attributes:
        path: Where it is.
        name: Relative to its folder.
        chain: The chain of its rows; "" for none.
        place: Its place among the files of the folder.
    """

    path: str
    name: str
    chain: str
    place: int

    @property
    def kind(self) -> str:
        """Its last name, which tells what it holds."""
        return self.name.rpartition("/")[2]


def csv_files(folder: Path) -> list[CsvFile]:
    """The files of a folder: those of no chain first, then chain by chain.

    Raises:
        ConfigError: It holds none, or a folder of it can name no chain.
    """
    found = sorted(path for path in folder.glob("*.csv") if path.name in (*FILES, "sources.csv"))
    found += sorted(path for path in folder.glob("*/*.csv") if path.name in (*FILES, *WORDS))
    if not found:
        names = ", ".join((*FILES, *WORDS))
        raise ConfigError(f"no history in {folder}: it holds none of {names}, nor do its folders, one per chain")
    chains = [path.parent.name if path.parent != folder else MARKET for path in found]
    for chain in set(chains) - {MARKET}:
        if chain == "all" or not re.match(NAME, chain):
            raise ConfigError(
                f"{folder / chain} holds files of a history and can be no chain: ids name chains, "
                "so that none is called all, nor has a blank or : in its name"
            )
    return [
        CsvFile(str(path), path.relative_to(folder).as_posix(), chain, place)
        for place, (path, chain) in enumerate(zip(found, chains, strict=True))
    ]


def read_file(file: CsvFile, refused: dict[str, str]) -> Iterator[pl.DataFrame]:
    """Its rows, of `COLUMNS`, once for each value column.

    Args:
        refused: Gets how many rows cannot be read, and the first of them, by file and column.

    Raises:
        ConfigError: The file lacks a column.
    """
    rows = read_text(Path(file.path))
    if not rows.height:
        return
    lacking = {"timestamp"} - set(rows.columns)
    if file.kind not in ("volatility.csv", *WORDS):
        lacking |= {"coin"} - set(rows.columns)
    if file.kind in WORDS:
        parts: tuple[Part, ...] = (WORDS[file.kind],)
        lacking |= {parts[0].column, *(("source",) if file.kind == "sources.csv" else ())} - set(rows.columns)
    else:
        parts = tuple(part for part in FILES[file.kind] if part.column in rows.columns)
        lacking |= set() if parts else {FILES[file.kind][0].column}
    if lacking:
        there = rows.columns[1:-1]
        raise ConfigError(f"{file.path} lacks {', '.join(sorted(lacking))}; it has {', '.join(there)}")
    for part in parts:
        yield _unify(file, part, rows, refused)


def _unify(file: CsvFile, part: Part, rows: pl.DataFrame, refused: dict[str, str]) -> pl.DataFrame:
    """One value column as rows of `COLUMNS`; rows without a value say nothing, others unread are noted."""
    has = set(rows.columns)
    event = time_us("timestamp")
    said = [part.column, *({"ids_in"} & has if part.feature == "retract" else ())]
    found = rows.filter(pl.any_horizontal(pl.col(said).is_not_null(), "torn")).select(
        row=pl.col("row"),
        feature=pl.lit(part.feature),
        event_us=event,
        known_us=time_us("known_at") if "known_at" in has else event,
        coin=pl.col("coin").str.strip_chars() if "coin" in has else pl.lit(""),
        chain=pl.lit(file.chain),
        source=pl.col("source") if "source" in has else pl.lit(part.source),
        value=_names_facts(has, file.chain)
        if part.feature == "retract"
        else pl.col(part.column).cast(pl.Float64, strict=False),
        amount=pl.col(part.column) if part.feature == "supply" else pl.lit(None, pl.String),
        block_number=pl.col("block_number").cast(pl.Int64, strict=False)
        if "block_number" in has and part.feature in ("supply", "head")
        else pl.lit(-1, pl.Int64),
        native=_native(has, file.chain) if part.feature == "supply" else pl.lit(None, pl.String),
        **{
            column: _of_head(column) if part.feature == "head" and column in has else pl.lit(-1, pl.Int64)
            for column in HEAD_COLUMNS
        },
        **{
            column: pl.col(column) if part.feature == "retract" and column in has else pl.lit(None, pl.String)
            for column in RETRACTION_COLUMNS
        },
    )
    good = found.drop_nulls(["event_us", "known_us", "coin", "source", "value", "block_number"])
    if "coin" in has:
        good = good.filter(pl.col("coin").str.contains(NAME))
    if good.height < found.height:
        bad = found.join(good.select("row"), on="row", how="anti")
        first = bad["row"][0]
        refused[f"{file.name} {part.column}"] = (
            f"{bad.height} of {found.height} rows cannot be read; the first is row {first}"
        )
    made = pl.format("{}:{}:{}:{}", "source", "coin", "feature", "event_us")
    return good.with_columns(id=pl.coalesce("native", made)).select(*COLUMNS, "row")


def _of_head(column: str) -> pl.Expr:
    return time_us(column) if column.endswith("timestamp") else pl.col(column).cast(pl.Int64, strict=False)


def _native(has: set[str], chain: str) -> pl.Expr:
    """The fact's own id where the file tells block, transaction and log."""
    if not {"block_hash", "tx_hash", "log_index"} <= has:
        return pl.lit(None, pl.String)
    return pl.format("{}:{}:{}:{}", pl.lit(chain), "block_hash", "tx_hash", "log_index")


def _names_facts(has: set[str], chain: str) -> pl.Expr:
    """0 where all ids of a retraction are of the chain; null elsewhere: another form would silently name nothing."""
    form = rf"^\s*(?:{re.escape(chain)}:\S+(?:\s+|$))+$"
    named = [
        pl.col(column).fill_null(f"{chain}:-").str.contains(form) for column in ("ids_out", "ids_in") if column in has
    ]
    return pl.when(pl.all_horizontal(named)).then(0.0)


def observe(
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
    """A row of `COLUMNS` as an observation."""
    units = 0
    told: Head | Retraction | None = None
    if amount is not None:
        exact = units_of(amount)
        units, value = (0, math.nan) if exact is None else (exact, 0.0)  # the machine refuses it by name
    elif feature == "head":
        told, value = Head(*words[: len(HEAD_COLUMNS)]), 0.0
    elif feature == "retract":
        ids_out, ids_in, reason = words[len(HEAD_COLUMNS) :]
        told = Retraction(tuple((ids_out or "").split()), tuple((ids_in or "").split()), reason or "chain_reorg")
    return Observation(
        feature, event_us, known_us, coin, chain, source, fact_id, value, units, block_number, "USD", told
    )
