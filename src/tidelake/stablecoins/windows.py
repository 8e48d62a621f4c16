"""What a window says: a pure function of the facts that stand before its end, and of how far blocks are final.

Times of windows are [start, end). A value told before the start fills the window and carries its age; without one the
window has none. No price is clipped.
"""

from bisect import bisect_left
from collections.abc import Mapping
from copy import copy
from decimal import Context, Decimal
from typing import Final, NamedTuple

from tidelake.stablecoins.lane import ALWAYS_US, Lane
from tidelake.stablecoins.records import WindowRow
from tidelake.stablecoins.score import PRIOR, Breakdown, Exponents, chain_factors, freshness, score
from tidelake.stablecoins.series import Series
from tidelake.stablecoins.setup import ChainSetup, CoinSetup

OFF_PEG: Final = 0.005  # twice the 0.25 % by which Chainlink's USDC/USD and USDT/USD feeds may lag
AGREEMENT: Final = 0.0025  # that band itself
TIERS: Final = ("tier1", "tier1", "tier2", "tier3")
DECIMALS: Final = 18  # no known coin has more
EXACT: Final = Context(prec=76)
NO_TOKENS: Final = Decimal(0)
NO_SERIES: Final[Mapping[str, Series]] = {}


class Gauge(NamedTuple):
    """A value, the time of its oldest part, and who told it."""

    value: float
    time_us: int
    source: str


class Price(NamedTuple):
    """What the sources of a price say in a window."""

    price: float | None = None
    quote: str | None = None
    low: float | None = None
    high: float | None = None
    sources: int = 0
    agreeing: int = 0
    off_peg_sources: int = 0
    time_us: int = 0
    told_by: tuple[str, ...] = ()


class Supply(NamedTuple):
    """Changes of supply in a window, in 10**-18 tokens, and the last of them."""

    minted: int = 0
    burned: int = 0
    events: int = 0
    block: int = -1
    fact_id: str = ""

    def plus(self, other: "Supply") -> "Supply":
        """Both; the last change is the other's where it has any."""
        block, fact_id = (other.block, other.fact_id) if other.events else (self.block, self.fact_id)
        return Supply(
            self.minted + other.minted, self.burned + other.burned, self.events + other.events, block, fact_id
        )


NO_CHANGE: Final = Supply()


class Scope:
    """A coin on one chain, or over all of them: the lanes that its windows are made of.

    Args:
        chain: Name of the chain; "" for all.
        lanes: Of all chains of the coin and, under "", of the market.
    """

    def __init__(self, setup: CoinSetup, chain: str, lanes: Mapping[str, Lane], powers: Exponents = PRIOR) -> None:
        self.setup, self.chain, self.powers = setup, chain, powers
        self.chains = tuple(found for found in setup.chains if chain in ("", found.name))
        self.market = lanes[""]
        self.own = tuple(lanes[found.name] for found in self.chains)
        self.lanes = (*self.own, self.market)
        self.exposures = tuple(found.exposure for found in self.chains) or (1.0,)
        expected = {*setup.expects, *(feature for found in self.chains for feature in found.expects)}
        self.expects = tuple(sorted(expected))
        self.level = "single_chain" if chain else "cross_chain"

    def passed_us(self, level: int) -> int:
        """The time up to which the blocks of all its chains are known (0), of tier 2 (1), of tier 3 (2)."""
        return min([lane.passed_us[level] for lane in self.own], default=ALWAYS_US)

    def row(self, start_us: int, end_us: int, state: str, version: int, known_us: int) -> WindowRow:
        """What the window says, as far as is known."""
        is_final = state == "FINAL"
        setup = self.setup
        price = read_price(self.lanes, start_us, end_us, setup.peg)
        volume = self._sum_or_market("volume", end_us)
        liquidity = self._sum("liquidity", end_us)
        circulating = self._sum_or_market("circulating", end_us) if not self.chain else self._sum("circulating", end_us)
        volatility = latest(self.lanes, "volatility", end_us)
        sentiment = latest(self.lanes, "sentiment", end_us)
        supply, uncounted, told = self._supply(start_us, end_us)
        has_block = bool(self.chain) and told.block >= 0

        gauges = {
            "volume": volume,
            "liquidity": liquidity,
            "circulating": circulating,
            "volatility": volatility,
            "sentiment": sentiment,
        }
        times = {name: found.time_us for name, found in gauges.items() if found is not None}
        if price.price is not None:
            times["price"] = price.time_us
        tiers = self._tiers(end_us, is_final)
        intervals = setup.intervals_us
        there = sum(feature in times or (feature == "supply" and supply is not None) for feature in self.expects)
        breakdown = self._breakdown(
            tiers,
            there / len(self.expects) if self.expects else 1.0,
            freshness([(end_us - time) / intervals[name] - 1.0 for name, time in times.items()]),
        )
        tier = min(tiers)
        names = {*price.told_by, *(found.source for found in gauges.values() if found is not None)}
        return WindowRow(
            coin=setup.coin,
            chain=self.chain,
            aggregation_level=self.level,
            window_s=(end_us - start_us) // 1_000_000,
            window_start_us=start_us,
            window_end_us=end_us,
            window_state=state,
            event_version=version,
            known_us=known_us,
            price=price.price,
            price_quote=price.quote,
            price_low=price.low,
            price_high=price.high,
            price_sources=price.sources,
            price_agreeing=price.agreeing,
            price_age_us=None if price.price is None else end_us - price.time_us,
            off_peg_sources=price.off_peg_sources,
            volume=volume and volume.value,
            volume_age_us=volume and end_us - volume.time_us,
            liquidity_depth=liquidity and liquidity.value,
            liquidity_age_us=liquidity and end_us - liquidity.time_us,
            net_supply_change=None if supply is None else tokens(supply.minted - supply.burned),
            minted=None if supply is None else tokens(supply.minted),
            burned=None if supply is None else tokens(supply.burned),
            supply_events=told.events,
            uncounted_supply_change=uncounted,
            circulating_supply=circulating and circulating.value,
            circulating_age_us=circulating and end_us - circulating.time_us,
            market_volatility=volatility and volatility.value,
            volatility_age_us=volatility and end_us - volatility.time_us,
            sentiment_score=sentiment and sentiment.value,
            sentiment_age_us=sentiment and end_us - sentiment.time_us,
            sources=",".join(sorted(names)),
            block_number=told.block if has_block else None,
            tx_hash=_tx_hash(told.fact_id) if has_block else None,
            confirmation_count=max(self.own[0].head_block - told.block, 0) if has_block else None,
            finality_tier=TIERS[tier],
            is_finalized=tier == 3,
            temporal_confidence=score(breakdown, self.powers),
            confidence_breakdown=breakdown,
        )

    def _tiers(self, end_us: int, is_final: bool) -> list[int]:
        if is_final or not self.own:  # the word of an exchange may still be restated, as on a chain without heads
            return [3 if is_final else 2] * len(self.exposures)
        return [tier_of(lane, chain, end_us) for lane, chain in zip(self.own, self.chains, strict=True)]

    def _breakdown(self, tiers: list[int], completeness: float, staleness: float) -> Breakdown:
        finality, cross_chain, least = chain_factors(tiers, self.exposures)
        quiet = 1.0
        for lane, tier in zip(self.own, tiers, strict=bool(self.own)):
            if tier < 3:
                quiet *= (1.0 - lane.reorgs.chance()) * (1.0 - lane.distress)
        return Breakdown(finality, cross_chain, least, completeness, staleness, quiet)

    def rescored(self, before: WindowRow, state: str) -> WindowRow:
        """A row whose facts are the same, with the tiers that its blocks have now."""
        row = copy(before)
        tiers = self._tiers(row.window_end_us, state == "FINAL")
        parts = row.confidence_breakdown
        row.confidence_breakdown = self._breakdown(tiers, parts.completeness, parts.staleness)
        row.temporal_confidence = score(row.confidence_breakdown, self.powers)
        row.window_state = state
        row.finality_tier, row.is_finalized = TIERS[min(tiers)], min(tiers) == 3
        if row.block_number is not None:
            row.confirmation_count = max(self.own[0].head_block - row.block_number, 0)
        return row

    def _sum_or_market(self, feature: str, end_us: int) -> Gauge | None:
        """Of one chain its own value, else the market's; over chains the market's, else their sum."""
        market = latest((self.market,), feature, end_us)
        if not self.chain and market is not None:
            return market
        return self._sum(feature, end_us) or market

    def _sum(self, feature: str, end_us: int) -> Gauge | None:
        """The sum over chains; None where one that should have the feature has none, for a part is not the whole."""
        total, oldest, sources = 0.0, end_us, []
        for lane, chain in zip(self.own, self.chains, strict=True):
            if feature == "circulating" and not self.chain and not chain.counted:
                continue
            found = latest((lane,), feature, end_us)
            if found is None:
                if feature in chain.expects:
                    return None
                continue
            total += found.value
            oldest = min(oldest, found.time_us)
            sources.append(found.source)
        return Gauge(total, oldest, sources[-1]) if sources else None

    def _supply(self, start_us: int, end_us: int) -> tuple[Supply | None, Decimal | None, Supply]:
        """The sum where counted (None unless all its chains know), the net change elsewhere, and all that was told."""
        total = told = NO_CHANGE
        uncounted: Decimal | None = None
        whole, expected = True, False
        for lane, chain in zip(self.own, self.chains, strict=True):
            expected = expected or "supply" in chain.expects
            found = read_supply(lane, chain, start_us, end_us)
            if found is None:
                whole = whole and "supply" not in chain.expects
                continue
            told = told.plus(found)
            if self.chain or chain.counted:
                total = total.plus(found)
            else:
                uncounted = EXACT.add(tokens(found.minted - found.burned), uncounted or NO_TOKENS)
        return total if whole and (expected or told.events) else None, uncounted, told


def read_price(lanes: tuple[Lane, ...], start_us: int, end_us: int, peg: float) -> Price:
    """The price of a window: the median of the sources that tell one in it, each by its last.

    Of two middle ones the one further from the peg counts, so that it is one that was told, and no depeg is averaged
    away. Where no source told one, the last that any told before fills it.
    """
    votes: dict[str, tuple[int, float, str]] = {}
    low = high = 0.0
    off: set[str] = set()
    filler: tuple[int, float, float, str, str] | None = None
    for lane in lanes:
        for source, series in lane.series.get("price", NO_SERIES).items():
            place = series.before(end_us)
            if place < 0:
                continue
            time, value = series.times[place], series.values[place]
            if time < start_us:
                candidate = (time, abs(value - peg), value, series.quote, source)
                if filler is None or candidate > filler:
                    filler = candidate
                continue
            least = most = value
            if place and series.times[place - 1] >= start_us:
                part = series.values[bisect_left(series.times, start_us) : place + 1]
                least, most = min(part), max(part)
            low, high = (min(low, least), max(high, most)) if votes else (least, most)
            if most - peg >= OFF_PEG * peg or peg - least >= OFF_PEG * peg:
                off.add(source)
            mine = (time, value, series.quote)
            if source not in votes or mine > votes[source]:
                votes[source] = mine
    if not votes:
        if filler is None:
            return Price()
        return Price(filler[2], filler[3], time_us=filler[0], told_by=(filler[4],))
    if len(votes) == 1:
        ((source, (time, price, quote)),) = votes.items()
        return Price(price, quote, low, high, 1, 1, len(off), time, (source,))
    ordered = sorted((value, time, quote) for time, value, quote in votes.values())
    middle = ordered[(len(ordered) - 1) // 2 : len(ordered) // 2 + 1]
    price, time, quote = max(middle, key=lambda vote: (abs(vote[0] - peg), vote))
    agreeing = sum(abs(vote[0] - price) <= AGREEMENT * peg for vote in ordered)
    return Price(price, quote, low, high, len(votes), agreeing, len(off), time, tuple(votes))


def latest(lanes: tuple[Lane, ...], feature: str, end_us: int) -> Gauge | None:
    """The last value of a feature before `end_us` in any of the lanes; of equal times the last source by name."""
    best: tuple[int, str, float] | None = None
    for lane in lanes:
        for source, series in lane.series.get(feature, NO_SERIES).items():
            place = series.before(end_us)
            if place >= 0:
                found = (series.times[place], source, series.values[place])
                if best is None or found > best:
                    best = found
    return None if best is None else Gauge(best[2], best[0], best[1])


def read_supply(lane: Lane, chain: ChainSetup, start_us: int, end_us: int) -> Supply | None:
    """Changes of supply in the window; None where none was told and it is not known that there were none."""
    series = lane.series.get("supply", NO_SERIES).get("")
    stop = series.before(end_us) if series is not None else -1
    if series is None or stop < 0 or series.times[stop] < start_us:
        is_known = "supply" in chain.expects and lane.passed_us[0] >= end_us and not lane.down
        return Supply(0, 0, 0, -1, "") if is_known else None
    begin = bisect_left(series.times, start_us)
    scale = 10 ** (DECIMALS - chain.decimals)
    changes = series.values[begin : stop + 1]
    minted = scale * sum(int(change) for change in changes if change > 0)
    burned = -scale * sum(int(change) for change in changes if change < 0)
    return Supply(minted, burned, len(changes), series.blocks[stop], series.ids[stop])


def tier_of(lane: Lane, chain: ChainSetup, end_us: int) -> int:
    """The tier of all blocks before `end_us`; 0 where the head has not passed. Without heads it is 2 until FINAL."""
    if not chain.follows_heads:
        return 2
    return sum(passed >= end_us for passed in lane.passed_us)


def tokens(parts: int) -> Decimal:
    """Whole tokens of 10**-18 tokens, exact.

    Raises:
        OverflowError: So many fit no row.
    """
    if abs(parts) >= 10**38:
        raise OverflowError(f"{parts:.3e} of 10**-18 tokens do not fit decimal(38, 18)")
    return EXACT.scaleb(Decimal(parts), -DECIMALS) if parts else NO_TOKENS


def _tx_hash(fact_id: str) -> str | None:
    parts = fact_id.split(":")
    return parts[2] if len(parts) == 4 else None
