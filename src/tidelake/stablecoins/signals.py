"""What a window's row says of risk: a depeg, an odd mint or burn, liquidity that drains, volatility, sentiment.

Each signal has three levels: notice, warning, severe. Where no source is named, a threshold is our choice.
"""

from bisect import bisect_left, insort
from collections.abc import Container
from typing import Final

import msgspec

from tidelake.stablecoins.records import WindowRow
from tidelake.stablecoins.score import TIER_WEIGHTS, freshness
from tidelake.stablecoins.setup import CoinSetup
from tidelake.stablecoins.windows import OFF_PEG

SEVERITIES: Final = ("notice", "warning", "severe")
NEVER: Final = 1e200  # JSON knows no infinity
Levels = tuple[float, float, float]


class Rules(msgspec.Struct, frozen=True):
    """When a signal is one.

    Attributes:
        depeg: Distance from the peg, relative to it. 0.5 % is twice what Chainlink's feeds of USDC and USDT may lag;
            3 % is what Moody's Analytics calls a depeg (Digital Asset Monitor, 2023).
        depeg_over: Below it for `calm_windows` the depeg is over: a price that hovers about the level does not flap.
        supply_share: Minted or burned in a window, relative to what circulates.
        supply_odd: The same where that is not known: relative to the median of the windows that had any.
        drain: What liquidity lost of the highest of the last hour.
        volatility: Relative to the median of those told in the last seven days. Of 47 calm days of
            BTC five reach the first level, two the second, none the third (`episodes.volatility_levels`).
        sentiment: How far below zero.
        over: Of the other signals: the share of its first level below which one is over.
        calm_windows: So many windows in a row without it end an alert.
        memory: Values that a median of mints or burns is taken of at most; none is taken of fewer than `least`.
        volatility_memory: The same of volatility, which is told every five minutes.
    """

    depeg: Levels = (OFF_PEG, 0.01, 0.03)
    depeg_over: float = 0.003
    supply_share: Levels = (0.005, 0.02, 0.05)
    supply_odd: Levels = (20.0, 50.0, 100.0)
    drain: Levels = (0.1, 0.2, 0.4)
    volatility: Levels = (4.5, 6.0, 8.0)
    sentiment: Levels = (0.5, 0.7, 0.85)
    over: float = 0.7
    calm_windows: int = 5
    memory: int = 288
    volatility_memory: int = 7 * 288
    least: int = 24


class History(msgspec.Struct):
    """What a scope's windows said before, as first told; medians are taken of it.

    Attributes:
        minted, burned: Of windows that had any.
        liquidity: Of the last hour, a window each.
        volatility: Values that were fresh; of the coin alone, not of its chains.
        ordered: Those that medians are taken of, by name, from the least.
        usual: The median of each of these, by name, where there are enough.
        bound: Tokens; a mint or burn of so many is looked at when it comes, not when its window ends.
    """

    minted: list[float] = []
    burned: list[float] = []
    liquidity: list[float] = []
    volatility: list[float] = []
    ordered: dict[str, list[float]] = {}
    usual: dict[str, float] = {}
    bound: float = NEVER

    def remember(self, row: WindowRow, rules: Rules) -> None:
        """Take a window that closed; to be called once for each."""
        for kind, amount, values in (("mint", row.minted, self.minted), ("burn", row.burned, self.burned)):
            if amount:
                self._keep_usual(kind, values, float(amount), rules.memory, rules.least)
        if row.circulating_supply:
            self.bound = rules.supply_share[0] * row.circulating_supply
        else:
            usual = [self.usual[kind] for kind in ("mint", "burn") if kind in self.usual]
            self.bound = rules.supply_odd[0] * min(usual, default=NEVER)
        if row.liquidity_depth is not None:
            _keep(self.liquidity, row.liquidity_depth, 3600 // row.window_s)
        if not row.chain and row.market_volatility is not None and _is_fresh(row.volatility_age_us, row):
            most = rules.volatility_memory
            self._keep_usual("volatility", self.volatility, row.market_volatility, most, rules.least)

    def _keep_usual(self, kind: str, values: list[float], value: float, most: int, least: int) -> None:
        ordered = self.ordered.get(kind)
        if ordered is None:
            ordered = self.ordered[kind] = sorted(values)
        insort(ordered, value)
        if len(values) >= most:
            del ordered[bisect_left(ordered, values[0])]
        _keep(values, value, most)
        if (count := len(ordered)) >= least:
            self.usual[kind] = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2


class Signal(msgspec.Struct, frozen=True, gc=False):
    """A measure that reached its first level, or keeps an alert alive that was there before.

    Attributes:
        level: 0, 1, 2 for notice, warning, severe; -1 where it did not reach the first.
        value: What the row says, of which the measure was made.
        confidence: Of what it rests on alone.
        corroborated: Whether a second source says so, or final blocks do.
    """

    kind: str
    level: int
    value: float
    measure: float
    threshold: float
    confidence: float
    corroborated: bool


def read_signals(
    row: WindowRow, setup: CoinSetup, rules: Rules, past: History, asked: Container[str] = ()
) -> list[Signal]:
    """The signals in a row; price, volatility and sentiment are the coin's, not a chain's.

    Args:
        asked: Kinds that are wanted also where they fell back.
    """
    found: list[Signal] = []
    off_chain = TIER_WEIGHTS[3 if row.is_finalized else 2]  # such a fact may be restated until its grace has passed

    def note(kind: str, value: float, measure: float, levels: Levels, over: float, sure: float, agreed: bool) -> None:
        measure = min(measure, NEVER)  # of next to nothing anything is a multiple without end
        level = sum(measure >= reached for reached in levels) - 1
        if level >= 0 or measure >= over or kind in asked:
            found.append(Signal(kind, level, value, measure, levels[max(level, 0)], sure, agreed))

    if not row.chain:
        if row.price_sources and row.price_low is not None and row.price_high is not None:
            furthest = max(row.price_low, row.price_high, key=lambda price: abs(price - setup.peg))
            away = abs(furthest - setup.peg) / setup.peg
            share = row.off_peg_sources / max(row.price_sources, setup.price_sources)
            note("depeg", furthest, away, rules.depeg, rules.depeg_over, off_chain * share, row.off_peg_sources > 1)
        if (mood := row.sentiment_score) is not None and mood < 0:
            sure = off_chain * _freshness(row.sentiment_age_us, "sentiment", setup)
            note("sentiment", mood, -mood, rules.sentiment, rules.over * rules.sentiment[0], sure, False)
        usual = past.usual.get("volatility")
        if usual and (now := row.market_volatility) is not None:
            sure = off_chain * _freshness(row.volatility_age_us, "volatility", setup)
            over = rules.over * rules.volatility[0]
            note("volatility", now, now / usual, rules.volatility, over, sure, False)
    parts = row.confidence_breakdown
    on_chain = parts.finality * parts.cross_chain * parts.reorg
    for kind, tokens in (("mint", row.minted), ("burn", row.burned)):
        if not tokens:
            continue
        amount = float(tokens)
        if row.circulating_supply:
            share, levels = amount / row.circulating_supply, rules.supply_share
        elif kind in past.usual:
            share, levels = amount / past.usual[kind], rules.supply_odd
        else:
            continue
        note(kind, amount, share, levels, rules.over * levels[0], on_chain, row.is_finalized)
    if past.liquidity and (depth := row.liquidity_depth) is not None and (highest := max(past.liquidity)) > 0:
        sure = off_chain * _freshness(row.liquidity_age_us, "liquidity", setup)
        fallen = 1.0 - depth / highest
        note("liquidity_drain", depth, fallen, rules.drain, rules.over * rules.drain[0], sure, False)
    return found


def _keep(values: list[float], value: float, most: int) -> None:
    values.append(value)
    if len(values) > most:
        del values[0]


def _is_fresh(age_us: int | None, row: WindowRow) -> bool:
    return age_us is not None and age_us <= row.window_end_us - row.window_start_us


def _freshness(age_us: int | None, feature: str, setup: CoinSetup) -> float:
    return 0.0 if age_us is None else freshness([age_us / setup.intervals_us[feature] - 1.0])
