"""A history as a folder of CSV files, with its truth beside it.

    <chain>/price.csv         timestamp,coin,price,volume
    <chain>/liquidity.csv     timestamp,coin,liquidity_depth
    <chain>/circulating.csv   timestamp,coin,circulating_supply
    <chain>/supply.csv        timestamp,coin,net_supply_change
    <chain>/sentiment.csv     timestamp,coin,sentiment_score
    volatility.csv            timestamp,market_volatility

Times are ISO 8601 in UTC. Each file has `known_at` and `source` too, and rows stand in the order in which they were
told; `supply.csv` has `block_number`, `block_hash`, `tx_hash` and `log_index`. Further files say what has no value:

    <chain>/heads.csv         where the chain stood: block and hashes, blocks and times of tier 2 and 3
    <chain>/retractions.csv   what a reorganisation takes back, and what stands instead: ids, with spaces between
    [<chain>/]sources.csv     a source went down (up = 0) or is back (up = 1)

Plain files have the columns above alone, and final facts in the order of their times, for a file without `known_at`
cannot say that a value was taken back; changes of a coin within a second are added up there.

    truth/final/..            the same files as if nothing had gone wrong: final facts alone, known a second after
    truth/minutes.csv         what is true of each coin on each chain in each minute, whoever told it
    truth/orphans.csv         blocks that did not stay: since when, and from when on they did again
    truth/plan.json           what was planned: when a coin was off its peg, and all else
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TextIO

from tidelake.errors import ConfigError
from tidelake.sim.coins.chains import Blocks, tiers_of
from tidelake.sim.coins.events import MICROS, Fact, Head, MinuteTruth, Orphan, Retraction, SourceState, Told
from tidelake.sim.coins.history import SETTLE_US, CoinHistory
from tidelake.sim.coins.plan import CoinPlan

FILES = {
    "price": ("price.csv", "timestamp,coin,price,volume"),
    "liquidity": ("liquidity.csv", "timestamp,coin,liquidity_depth"),
    "circulating": ("circulating.csv", "timestamp,coin,circulating_supply"),
    "supply": ("supply.csv", "timestamp,coin,net_supply_change"),
    "sentiment": ("sentiment.csv", "timestamp,coin,sentiment_score"),
    "volatility": ("volatility.csv", "timestamp,market_volatility"),
}
OF_ALL = ",known_at,source"
OF_SUPPLY = ",block_number,block_hash,tx_hash,log_index"
HEADS = "timestamp,known_at,block_number,block_hash,parent_hash,tier2_timestamp,tier3_timestamp,tier2_block,tier3_block"
RETRACTIONS = "timestamp,known_at,reason,ids_out,ids_in"
SOURCES = "timestamp,known_at,source,up"
MINUTES = (
    "timestamp,coin,chain,price,volume,liquidity_depth,circulating_supply,net_supply_change,sentiment_score,"
    "market_volatility,depeg_share"
)
ORPHANS = "chain,block_number,block_hash,orphaned_at,restored_at"
CLEAN_DELAY_US = MICROS


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: rows of each file of the folder, those of the truth left out, and the counts of both."""

    rows: dict[str, int]
    told: int
    final: int


def write_folder(history: CoinHistory, folder: Path, *, plain: bool = False, truth: bool = True) -> Written:
    """Write a history and its truth.

    Args:
        folder: Is made; may be empty, but not hold anything yet.
        plain: Only the columns that users' own files have.
        truth: Whether to write that too.

    Raises:
        ConfigError: The folder holds something.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} holds something already: a history would be mixed with it")
    with ExitStack() as stack:
        delivered = _Files(folder, stack, plain=plain)
        clean = _Files(folder / "truth" / "final", stack, plain=False) if truth else None
        beside = _Truth(folder / "truth", stack) if truth else None
        told = final = 0
        for minute in history.minutes():
            told += len(minute.told)
            final += len(minute.facts)
            delivered.write(_plain(minute.facts) if plain else minute.told)
            if clean is not None and beside is not None:
                clean.write(replace(fact, known_us=fact.event_us + CLEAN_DELAY_US) for fact in minute.facts)
                beside.write(minute.truths, minute.orphans)
        if clean is not None:
            for chain in history.plan.chains:
                clean.write(clean_heads(history.plan, chain))
        rows = {**delivered.rows}
    if truth:
        text = json.dumps(history.plan.told(), indent=1)
        (folder / "truth" / "plan.json").write_text(text + "\n", encoding="utf-8")
    return Written(dict(sorted(rows.items())), told, final)


def clean_heads(plan: CoinPlan, chain: str) -> Iterator[Head]:
    """The heads of a chain on which nothing is replaced, by a node that is never down, until all is final."""
    blocks = Blocks(plan.seed, chain, plan.start_us)
    tiers = tiers_of(chain, plan, blocks)
    number = blocks.pace.base
    while (event_us := blocks.time_us(number)) < plan.end_us + SETTLE_US:
        known_us = blocks.seen_us(number)
        two, three = tiers.at(number, known_us)
        here, before = blocks.hash_of(number), blocks.hash_of(number - 1)
        times = blocks.time_us(two), blocks.time_us(three)
        yield Head(event_us, known_us, chain, number, here, before, *times, two, three)
        number += blocks.pace.told


class _Files:
    """The files of one folder, each made with its first row."""

    def __init__(self, folder: Path, stack: ExitStack, *, plain: bool) -> None:
        self._folder, self._stack, self._plain = folder, stack, plain
        self._open: dict[str, TextIO] = {}
        self.rows: Counter[str] = Counter()

    def write(self, told: Iterable[Told]) -> None:
        """Append; a volume goes into the row of its price, which stands just before it."""
        price: Fact | None = None
        for each in told:
            before, price = price, None
            if before is not None:
                volume = _volume_of(before, each)
                self._price(before, volume)
                if volume:
                    continue
            if not isinstance(each, Fact):
                self._word(each)
            elif each.feature == "price":
                price = each
            else:
                self._fact(each)
        if price is not None:
            self._price(price, "")

    def _price(self, fact: Fact, volume: str) -> None:
        self._row(fact, f"{fact.coin},{fact.value!r},{volume}")

    def _fact(self, fact: Fact) -> None:
        if fact.feature == "supply":
            more = f",{fact.block_number},{fact.block_hash},{fact.tx_hash},{fact.log_index}"
            self._row(fact, f"{fact.coin},{token_text(fact.units, fact.decimals)}", "" if self._plain else more)
        elif fact.feature == "volume":
            self._row(replace(fact, feature="price"), f"{fact.coin},,{fact.value!r}")
        else:
            self._row(fact, f"{fact.coin},{fact.value!r}" if fact.coin else repr(fact.value))

    def _row(self, fact: Fact, values: str, more: str = "") -> None:
        name, columns = FILES[fact.feature]
        if self._plain:
            self._append(fact.chain, name, columns, f"{iso(fact.event_us)},{values}")
            return
        header = columns + OF_ALL + (OF_SUPPLY if fact.feature == "supply" else "")
        row = f"{iso(fact.event_us)},{values},{iso(fact.known_us)},{fact.source}{more}"
        self._append(fact.chain, name, header, row)

    def _word(self, told: Head | Retraction | SourceState) -> None:
        times = f"{iso(told.event_us)},{iso(told.known_us)}"
        if isinstance(told, Head):
            tiers = f"{iso(told.tier2_us)},{iso(told.tier3_us)},{told.tier2_block},{told.tier3_block}"
            row = f"{times},{told.block_number},{told.block_hash},{told.parent_hash},{tiers}"
            self._append(told.chain, "heads.csv", HEADS, row)
        elif isinstance(told, Retraction):
            row = f"{times},{told.reason},{' '.join(told.ids_out)},{' '.join(told.ids_in)}"
            self._append(told.chain, "retractions.csv", RETRACTIONS, row)
        else:
            self._append(told.chain, "sources.csv", SOURCES, f"{times},{told.source},{int(told.up)}")

    def _append(self, chain: str, name: str, header: str, row: str) -> None:
        key = f"{chain}/{name}" if chain else name
        file = self._open.get(key)
        if file is None:
            file = self._open[key] = _made(self._folder / key, header, self._stack)
        file.write(row + "\n")
        self.rows[key] += 1


def _volume_of(price: Fact, after: Told) -> str:
    """The volume that was told with a price, by what came after it; "" where none was."""
    if not isinstance(after, Fact) or after.feature != "volume":
        return ""
    place = price.event_us, price.known_us, price.coin, price.chain
    return repr(after.value) if place == (after.event_us, after.known_us, after.coin, after.chain) else ""


class _Truth:
    """Minutes and orphans."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._minutes = _made(folder / "minutes.csv", MINUTES, stack)
        self._orphans = _made(folder / "orphans.csv", ORPHANS, stack)

    def write(self, truths: Iterable[MinuteTruth], orphans: Iterable[Orphan]) -> None:
        """Append."""
        for true in truths:
            self._minutes.write(
                f"{iso(true.start_us)},{true.coin},{true.chain},{true.price!r},{true.volume!r},{true.liquidity!r},"
                f"{true.circulating!r},{token_text(true.net_units, true.decimals)},{true.sentiment!r},"
                f"{true.volatility!r},{true.depeg!r}\n"
            )
        for orphan in orphans:
            restored = iso(orphan.restored_us) if orphan.restored_us >= 0 else ""
            self._orphans.write(
                f"{orphan.chain},{orphan.block_number},{orphan.block_hash},{iso(orphan.orphaned_us)},{restored}\n"
            )


def _plain(facts: Iterable[Fact]) -> list[Fact]:
    """With all changes of a coin on a chain within a second as one."""
    sums: dict[tuple[str, str, int], int] = {}
    for fact in facts:
        if fact.feature == "supply":
            key = fact.coin, fact.chain, fact.event_us
            sums[key] = sums.get(key, 0) + fact.units
    found = []
    for fact in facts:
        if fact.feature != "supply":
            found.append(fact)
        elif (units := sums.pop((fact.coin, fact.chain, fact.event_us), None)) is not None:
            found.append(replace(fact, units=units))
    return found


def _made(path: Path, header: str, stack: ExitStack) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = stack.enter_context(path.open("w", encoding="utf-8", newline="\n"))
    file.write(header + "\n")
    return file


def token_text(units: int, decimals: int) -> str:
    """Smallest units as tokens, exact."""
    whole, rest = divmod(abs(units), 10**decimals)
    sign = "-" if units < 0 else ""
    return f"{sign}{whole}.{rest:0{decimals}d}".rstrip("0").rstrip(".")


def iso(time_us: int) -> str:
    """ISO 8601 in UTC, with microseconds where there are any."""
    seconds, rest = divmod(time_us, MICROS)
    return f"{_second(seconds)}.{rest:06d}Z" if rest else f"{_second(seconds)}Z"


@lru_cache(4_096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
