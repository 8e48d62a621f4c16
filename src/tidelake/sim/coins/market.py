"""The market of simulated coins, minute by minute: prices, volumes, liquidity, sentiment, and volatility of BTC.

Draws are uniform and put together by sums and products alone, for logarithms and the like differ between machines, and
`sum` of floats between versions of Python.
"""

import math
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from tidelake.sim.coins.events import DAY_US
from tidelake.sim.coins.plan import CoinPlan

MOST_AWAY = 0.003  # so far a price is from its peg at most where no depeg was planned, but for the chain's spread
HOURS_A_YEAR = 8760.0
# Of the first chain: US dollars traded in a day, and of liquidity; of each further chain a fifth of the one before.
SIZES = {"USDC": (9e9, 9e9), "USDT": (45e9, 8.5e9), "DAI": (4e8, 1.2e9), "BUSD": (2e9, 2.5e9)}
OTHER_SIZES = (1e8, 5e8)


@dataclass(slots=True)
class CoinState:
    """A coin now: how far from its peg, sentiment, how much of a depeg is on; by chain spread and liquidity's drift."""

    chance: random.Random
    away: float = 0.0
    mood: float = 0.0
    depeg: float = 0.0
    lost: float = 0.0
    drained: float = 0.0


class CoinMarket:
    """Where prices and the like are in a minute; a step moves it to the next one.

    Args:
        pairs: All (coin, chain) of the history.

    Attributes:
        volatility: Of BTC, annualised, from the squared returns of the last 60 minutes.
        prices, volumes, liquidity: By (coin, chain).
        sentiment, depeg: By coin.
    """

    def __init__(self, plan: CoinPlan, pairs: tuple[tuple[str, str], ...]) -> None:
        self._plan, self._pairs = plan, pairs
        self._coins = {coin: CoinState(random.Random(f"{plan.seed} market {coin}")) for coin in plan.coins}
        self._btc = random.Random(f"{plan.seed} market BTC")
        self._squares: deque[float] = deque([9e-8] * 60, 60)
        self._spreads = {pair: (random.Random(f"{plan.seed} spread {pair[0]} {pair[1]}"), 0.0, 0.0) for pair in pairs}
        self._sizes = {pair: _sizes(pair[0], plan.chains.index(pair[1])) for pair in pairs}
        self.volatility = 0.0
        self.prices: dict[tuple[str, str], float] = {}
        self.volumes: dict[tuple[str, str], float] = {}
        self.liquidity: dict[tuple[str, str], float] = {}
        self.sentiment: dict[str, float] = {}
        self.depeg: dict[str, float] = {}

    def step(self, minute_us: int) -> None:
        """Go on to this minute; called once for each, in order."""
        worst = 0.0
        for coin, state in self._coins.items():
            self._step_coin(coin, state, minute_us)
            worst = max(worst, state.depeg)
        drawn = (self._btc.random() + self._btc.random() + self._btc.random() - 1.5) * 6e-4 * (1.0 + 3.0 * worst)
        self._squares.append(drawn * drawn)
        self.volatility = round(math.sqrt(math.fsum(self._squares) * HOURS_A_YEAR), 4)
        of_day = minute_us % DAY_US / DAY_US
        busy = 1.3 - 1.2 * abs(of_day - 0.6) if of_day > 0.1 else 0.7 + 0.1 * of_day  # most at 14:24 UTC
        for pair in self._pairs:
            self._step_pair(pair, busy)

    def _step_coin(self, coin: str, state: CoinState, minute_us: int) -> None:
        chance = state.chance.random
        share = lost = 0.0
        for planned in self._plan.depegs:
            if planned.coin == coin:
                on = planned.share(minute_us)
                share, lost = max(share, on), max(lost, on * planned.depth)
        state.depeg, state.lost = share, lost
        state.away = 0.97 * state.away + 2.5e-4 * (chance() + chance() + chance() - 1.5)
        state.away = min(max(state.away, -MOST_AWAY), MOST_AWAY)
        state.mood = 0.995 * state.mood + 0.02 * (chance() - 0.5)
        state.drained += 0.02 * (0.6 * share - state.drained)
        self.sentiment[coin] = round(min(max(0.15 + state.mood - 0.9 * share, -1.0), 1.0), 4)
        self.depeg[coin] = share

    def _step_pair(self, pair: tuple[str, str], busy: float) -> None:
        state = self._coins[pair[0]]
        random_of, spread, drift = self._spreads[pair]
        chance = random_of.random
        spread = 0.9 * spread + 5e-5 * (1.0 + 20.0 * state.depeg) * (chance() + chance() - 1.0)
        drift = min(max(drift + 2e-4 * (chance() - 0.5), -0.1), 0.1)
        self._spreads[pair] = random_of, spread, drift
        volume, liquidity = self._sizes[pair]
        self.prices[pair] = round(1.0 + state.away + spread - state.lost, 6)
        self.volumes[pair] = float(int(volume * busy * (1.0 + 6.0 * state.depeg) * (0.98 + 0.04 * chance())))
        self.liquidity[pair] = float(int(liquidity * (1.0 + drift) * (1.0 - state.drained)))


def _sizes(coin: str, place: int) -> tuple[float, float]:
    volume, liquidity = SIZES.get(coin, OTHER_SIZES)
    return volume / 5**place, liquidity / 5**place


def supplies(
    plan: CoinPlan, pairs: tuple[tuple[str, str], ...], decimals: Mapping[tuple[str, str], int]
) -> dict[tuple[str, str], int]:
    """Smallest units of each coin on each chain as the history begins: three times its liquidity."""
    return {pair: 3 * int(_sizes(pair[0], plan.chains.index(pair[1]))[1]) * 10 ** decimals[pair] for pair in pairs}
