"""How a history is told: when, how often, and how wrong at first."""

import heapq
from collections.abc import Iterable
from dataclasses import replace
from random import Random

from tidelake.sim.coins.events import MICROS, Fact, Told
from tidelake.sim.coins.plan import MOST_LAG_S, CoinPlan

# From a fact's time until its source tells it, at least and at most; and the most with all faults, so that it comes
# before its windows can be final: Ethereum and Arbitrum need 12 minutes at least, Solana half a minute.
LAGS_US = {
    ("coingecko", "price"): (300_000, 3_000_000),
    ("defillama", "price"): (5_000_000, 20_000_000),
    ("defillama", "liquidity"): (20_000_000, 90_000_000),
    ("defillama", "circulating"): (20_000_000, 90_000_000),
    ("vader", "sentiment"): (1_000_000, 5_000_000),
    ("candles", "volatility"): (200_000, 1_000_000),
}
MOST_BEHIND_US = {"ethereum": 570 * MICROS, "arbitrum": 570 * MICROS, "solana": 25 * MICROS}
DOUBLED_WITHIN_US = 400 * MICROS
LEAST_WRONG, MOST_WRONG = 0.002, 0.05  # share by which what is restated was wrong at first


class Queue:
    """What was said and is not known yet; it comes out by `known_us`, equals in the order in which they went in."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Told]] = []
        self._count = 0

    def put(self, told: Told) -> None:
        """Take it in."""
        self._count += 1
        heapq.heappush(self._heap, (told.known_us, self._count, told))

    def before(self, time_us: int) -> list[Told]:
        """What becomes known before a time."""
        heap, out = self._heap, []
        while heap and heap[0][0] < time_us:
            out.append(heapq.heappop(heap)[2])
        return out

    def __len__(self) -> int:
        return len(self._heap)


class Lane:
    """Tells the facts of one source about one coin on one chain, with that source's faults.

    Args:
        name: Seeds its draws.
    """

    def __init__(self, plan: CoinPlan, queue: Queue, name: str, source: str, chain: str, feature: str) -> None:
        self.source, self.chain = source, chain
        self.chance = Random(f"{plan.seed} told {name} {source} {chain} {feature}")
        self.offset_us = int(self.chance.random() * 48 * MICROS)
        self._queue, self._rates = queue, plan.rates
        self._least, most = LAGS_US.get((source, feature), (0, 1))
        self._spread = most - self._least
        self._most = MOST_BEHIND_US[chain] if chain else min(MOST_BEHIND_US[each] for each in plan.chains)
        self._lags = [lag for lag in plan.lags if lag.source == source]
        self._outages = [out for out in plan.outages if out.source == source and not out.chain]

    def time_us(self, minute_us: int) -> int:
        """When the source measures in this minute."""
        return minute_us + self.offset_us + int(self.chance.random() * 9 * MICROS)

    def is_silent(self, event_us: int) -> bool:
        """Whether what it measured then is never told."""
        return any(out.start_us <= event_us < out.end_us for out in self._outages)

    def behind_us(self, event_us: int) -> int:
        """From the time of what it measures until it is told."""
        chance = self.chance.random
        behind = self._least + int(chance() * self._spread)
        if self._lags:
            behind += sum(int(lag.seconds * MICROS) for lag in self._lags if lag.start_us <= event_us < lag.end_us)
        if chance() < self._rates.late:
            behind += int(chance() * MOST_LAG_S * MICROS)
        return min(behind, self._most - MICROS)

    def tell(self, *facts: Fact) -> Iterable[Fact]:
        """Tell facts that are measured together; what is at last told of them.

        The first of them is what may be restated.
        """
        chance, rates, queue = self.chance.random, self._rates, self._queue
        first = facts[0]
        if chance() < rates.restated:
            share = LEAST_WRONG + chance() * (MOST_WRONG - LEAST_WRONG)
            wrong = replace(first, value=round(first.value * (1.0 + (share if chance() < 0.5 else -share)), 6))
            for told in (wrong, *facts[1:]):
                queue.put(told)
            room = first.event_us + self._most - first.known_us
            first = replace(first, known_us=first.known_us + 1 + int(chance() * (room - 1)))
            queue.put(first)
        else:
            for told in facts:
                queue.put(told)
        if chance() < rates.doubled:
            again_us = first.known_us + 1 + int(chance() * DOUBLED_WITHIN_US)
            for told in (first, *facts[1:]):
                queue.put(replace(told, known_us=again_us))
        return first, *facts[1:]
