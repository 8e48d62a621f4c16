"""Where a number of a window came from: the facts that made it, each with its id, source, clocks and raw place.

Facts are not stored with windows. They are read again, from the files that were replayed or from the raw lanes of the
lake, put in the machine's own order, and the window is made of them once more: whether it says the same is told too.
"""

import datetime as dt
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple, Protocol

import polars as pl

from tidelake.errors import NotInLake
from tidelake.providers.coin_source import CoinFact
from tidelake.providers.registry import COIN_SOURCES
from tidelake.raw.store import Store
from tidelake.stablecoins.explaining import Line, parse_name, plain
from tidelake.stablecoins.lane import ALWAYS_US, Lane
from tidelake.stablecoins.observation import FACTS, MICROS, Observation, Retraction, Telling, refusal
from tidelake.stablecoins.reading import ALL_CHAINS, Asked, alerts, windows
from tidelake.stablecoins.registry import coins as registry
from tidelake.stablecoins.series import Series
from tidelake.stablecoins.setup import ChainSetup, CoinSetup
from tidelake.stablecoins.sources.answers import placed_answers
from tidelake.stablecoins.sources.observations import observation
from tidelake.stablecoins.sources.refs import coin_refs
from tidelake.stablecoins.windows import DECIMALS, Scope, latest, read_price, tokens

FEATURES: Final = {  # what a column of a window is made of
    "price": "price",
    "volume": "volume",
    "liquidity_depth": "liquidity",
    "circulating_supply": "circulating",
    "market_volatility": "volatility",
    "sentiment_score": "sentiment",
    "net_supply_change": "supply",
}
OF_ALERTS: Final = {
    "depeg": "price",
    "mint": "net_supply_change",
    "burn": "net_supply_change",
    "liquidity_drain": "liquidity_depth",
    "volatility": "market_volatility",
    "sentiment": "sentiment_score",
}
WATCH: Final = "watch-"  # the runs of watches, named after their first microsecond


class Told(Protocol):
    """A history that can say where each thing it tells was read."""

    def setups(self, coins: tuple[str, ...] = ()) -> dict[str, CoinSetup]: ...
    def tellings(self, coin: str, known_us: int) -> Iterable[Telling]: ...


class _Part(NamedTuple):
    lane: Lane
    series: Series
    source: str
    place: int
    role: str


def trace(
    store: Store,
    name: str,
    value: str = "",
    *,
    history: Told | None = None,
    run: str = "",
    as_of: dt.datetime | None = None,
) -> Iterator[Line]:
    """The facts that a value of a window was made of; of an alert's window, the value that the alert is about.

    Args:
        name: Id of a window or an alert.
        value: A column of `FEATURES`; of alerts "" is the one that they are about.
        history: What was replayed; None: the answers of providers that the lake keeps, as a watch heard them.
        run: One replay; "" for all, one after the other.
        as_of: Of the version that stood then.

    Raises:
        NotInLake: The name or the value is none, or no replay told of it by then.
        ConfigError: The history knows nothing of the coin.
    """
    coin, chain, kind, start = parse_name(name)
    asked = Asked(coin, chain, run, as_of=as_of)
    window_s = int(kind) if kind.isdecimal() else 0
    if not window_s:
        found = alerts(store, asked, last=True).filter(pl.col("alert_id") == name)
        if found.is_empty():
            raise NotInLake(f"no replay told of an alert {name!r}")
        window_s, value = found["window_s"][0], value or OF_ALERTS[kind]
    if value not in FEATURES:
        names = ", ".join(FEATURES)
        raise NotInLake(
            f"{value!r} is no value of a window that is made of facts; those are {names}", available=tuple(FEATURES)
        )
    near = Asked(coin, None, run, start, start + dt.timedelta(seconds=window_s), as_of)
    rows = windows(store, near, window_s=window_s).filter(pl.col("event_time") == start)
    mine = rows.filter(pl.col("chain") == ("" if chain == ALL_CHAINS else chain))
    if mine.is_empty():
        raise NotInLake(f"no replay told of a window of {window_s} s of {coin} at {start:%Y-%m-%d %H:%M} by then")
    for row in mine.iter_rows(named=True):
        chains = rows.filter(pl.col("run") == row["run"], pl.col("chain") != "")["chain"].to_list()
        known_us = _micros(row["known_at"])
        if history is not None:
            setup, told = history.setups((coin,))[coin], history.tellings(coin, known_us)
        else:
            setup, told = _watched(coin, chains), _answers(store, coin, row["run"], known_us)
        yield from _trace(row, value, setup, told)


def _watched(coin: str, chains: Iterable[str]) -> CoinSetup:
    """What the machine of a watch knew of a coin, as far as values of providers go."""
    known = registry().get(coin)
    counted = {one.chain for one in known.deployments if one.counted} if known else set(chains)
    lanes = tuple(ChainSetup(name=name, counted=name in counted, expects=()) for name in chains)
    return CoinSetup(coin=coin, chains=lanes, begin_us=0, expects=())


def _answers(store: Store, coin: str, run: str, known_us: int) -> Iterator[Telling]:
    """What providers told of a coin in a watch, in the order in which it was known."""
    begin = run.removeprefix(WATCH)
    since_us = int(begin) if run.startswith(WATCH) and begin.isdecimal() else 0
    refs = coin_refs(registry().values())
    found = [
        Telling(observation(known), f"segment {place}")
        for source in COIN_SOURCES.values()
        for known, place in placed_answers(store, source, refs, since_us, known_us)
        if isinstance(known.told, CoinFact) and known.told.coin == coin
    ]
    yield from sorted(found, key=lambda telling: telling.seen.known_us)


def _trace(row: dict[str, Any], value: str, setup: CoinSetup, told: Iterable[Telling]) -> Iterator[Line]:
    start_us, end_us, known_us = (_micros(row[name]) for name in ("event_time", "window_end", "known_at"))
    lanes = {name: Lane(name, (ALWAYS_US,) * 3) for name in ("", *(chain.name for chain in setup.chains))}
    scope = Scope(setup, row["chain"], lanes)
    feature = FEATURES[value]
    heard: dict[tuple[str, str], list[Telling]] = {}
    for telling in told:
        seen = telling.seen
        lane = lanes.get(seen.chain)
        if lane is None or seen.event_us >= end_us:
            continue
        if isinstance(seen.told, Retraction):
            _take_back(lane, seen, seen.told, end_us)
        elif seen.feature == feature and seen.feature in FACTS and not refusal(seen):
            lane.get(seen.feature, seen.source, seen.quote).put(seen, seen.units or seen.value)
            heard.setdefault((seen.chain, seen.id), []).append(telling)
    parts = sorted(_parts(scope, feature, start_us, end_us, setup.peg), key=lambda part: part.series.times[part.place])
    again = getattr(scope.row(start_us, end_us, row["window_state"], row["event_version"], known_us), value)
    yield Line("trace", row["known_at"], f"{row['run']} {value}", _text(row[value]), _verdict(row, value, again, parts))
    decimals = {chain.name: chain.decimals for chain in setup.chains}
    for part in parts:
        yield _fact(part, heard[part.lane.name, part.series.ids[part.place]], decimals.get(part.lane.name, 0))


def _take_back(lane: Lane, seen: Observation, told: Retraction, end_us: int) -> None:
    series = lane.get("supply", "", "")
    for fact_id in told.ids:
        series.take_back(fact_id, seen.known_us, end_us)
    for fact_id in told.ids_in:
        series.restore(fact_id, seen.known_us)


def _verdict(row: dict[str, Any], value: str, again: Any, parts: list[_Part]) -> str:
    if not parts:
        told = "nobody told a fact of it here"
        is_zero = value == "net_supply_change" and row[value] == 0
        return (
            f"{told}: all blocks were heard, and held none"
            if is_zero
            else f"{told}; a folder that was replayed is named with --history"
        )
    count = f"{len(parts)} fact{'s' if len(parts) > 1 else ''}"
    if again == row[value]:
        return f"made of {count}, which give it again"
    return f"{count} found give {_text(again)}: not what the run was told. Is it the history that was played?"


def _parts(scope: Scope, feature: str, start_us: int, end_us: int, peg: float) -> Iterator[_Part]:
    if feature == "price":
        yield from _prices(scope, start_us, end_us, peg)
    elif feature == "supply":
        for lane in scope.own:
            for source, series in lane.of("supply"):
                for place in range(bisect_left(series.times, start_us), series.before(end_us) + 1):
                    yield _Part(lane, series, source, place, "a change in the window")
    else:
        for lanes in _gauges(scope, feature, end_us):
            gauge = latest(lanes, feature, end_us)
            if gauge is None:
                continue
            role = "the last of the window" if gauge.time_us >= start_us else "a fill: the last before the window"
            for lane in lanes:
                found = lane.series.get(feature, {}).get(gauge.source)
                place = -1 if found is None else found.before(end_us)
                if found is not None and place >= 0 and found.times[place] == gauge.time_us:
                    yield _Part(lane, found, gauge.source, place, role)


def _prices(scope: Scope, start_us: int, end_us: int, peg: float) -> Iterator[_Part]:
    price = read_price(scope.lanes, start_us, end_us, peg)
    for lane in scope.lanes:
        for source, series in lane.of("price"):
            last = series.before(end_us)
            if source not in price.told_by or last < 0:
                continue
            if not price.sources:
                if series.times[last] == price.time_us and series.values[last] == price.price:
                    yield _Part(lane, series, source, last, "a fill: the last before the window")
                continue
            for place in range(bisect_left(series.times, start_us), last + 1):
                role = "the last of its source, of which the price is the median" if place == last else "in its range"
                yield _Part(lane, series, source, place, role)


def _gauges(scope: Scope, feature: str, end_us: int) -> list[tuple[Lane, ...]]:
    """The lanes of which the last value counts, one for each part of a sum, as `Scope` takes them."""
    if feature in ("volatility", "sentiment"):
        return [scope.lanes]
    whole = feature != "circulating" or bool(scope.chain)
    own: list[tuple[Lane, ...]] = [
        (lane,) for lane, chain in zip(scope.own, scope.chains, strict=True) if whole or chain.counted
    ]
    if feature == "liquidity":
        return own
    market = latest((scope.market,), feature, end_us)
    has_own = any(latest(lanes, feature, end_us) for lanes in own)
    return [(scope.market,)] if market is not None and not (scope.chain and has_own) else own


def _fact(part: _Part, tellings: list[Telling], decimals: int) -> Line:
    fact_id, event_us = part.series.ids[part.place], part.series.times[part.place]
    known_us, value = part.series.told[fact_id].known_us, part.series.values[part.place]
    mine = [each for each in tellings if (each.seen.units or each.seen.value) == value]
    first = min(mine, key=lambda each: each.seen.known_us)
    where = f" on {part.lane.name}" if part.lane.name else ""
    told = f"{part.role}; told by {first.seen.source}{where}, known {_clock(first.seen.known_us)}; {first.place}"
    for each in tellings:
        if (each.seen.units or each.seen.value) != value:
            other = _amount(each.seen.units, decimals) if each.seen.units else _text(each.seen.value)
            told += f"; {other} was told at {_clock(each.seen.known_us)}, {each.place}"
    told += f"; told {len(mine)} times, last {_clock(known_us)}" if len(mine) > 1 else ""
    shown = _amount(int(value), decimals) if first.seen.units else f"{_text(value)} {first.seen.quote}".strip()
    if first.seen.feature != "price" and not first.seen.units:
        shown = _text(value)
    return Line("trace", dt.datetime.fromtimestamp(event_us / MICROS, dt.UTC), fact_id, shown, told)


def _amount(units: int, decimals: int) -> str:
    return f"{plain(tokens(units * 10 ** (DECIMALS - decimals)))} tokens"


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:,.10g}" if isinstance(value, float) else plain(value)


def _clock(time_us: int) -> str:
    return f"{dt.datetime.fromtimestamp(time_us / MICROS, dt.UTC):%Y-%m-%d %H:%M:%S}"


def _micros(time: dt.datetime) -> int:
    return (time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
