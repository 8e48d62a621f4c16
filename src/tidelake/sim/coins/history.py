"""A history of stablecoins over chains: what is true in each minute, and what is told of it, with faults.

    history = CoinHistory(CoinPlan(seed=7).with_crisis("seeded"))
    for told in history.told(): ...       # what sources say, in the order in which it becomes known
    for fact in history.facts(): ...      # what they have said of it in the end

Each of them begins anew, and keeps no more than a day.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from random import Random

from tidelake.sim.coins.chains import Blocks, Spans, tiers_of
from tidelake.sim.coins.delivery import DOUBLED_WITHIN_US, Lane, Queue
from tidelake.sim.coins.events import (
    DAY_US,
    MICROS,
    MINUTE_US,
    Fact,
    Head,
    Minute,
    MinuteTruth,
    Orphan,
    Retraction,
    SourceState,
    Told,
)
from tidelake.sim.coins.market import CoinMarket, supplies
from tidelake.sim.coins.plan import MOST_LAG_S, CoinPlan, Outage
from tidelake.sim.coins.supply import SupplyOfChain

SETTLE_US = 75 * MINUTE_US  # after the end blocks go on, until all are final
CATCH_UP = 1_000  # a node tells what it missed so many times as fast as it happened
DECIMALS = {"DAI": 18, "BUSD": 18}
OTHER_DECIMALS = 6
ON_SOLANA = ("USDC", "USDT")


class CoinHistory:
    """The history of a plan.

    Attributes:
        pairs: All (coin, chain) that it tells of.
        decimals: Of the coin's token there.

    Raises:
        ConfigError: There is no room for what is planned.
    """

    def __init__(self, plan: CoinPlan) -> None:
        self.plan = plan
        self.pairs = tuple(
            (coin, chain) for coin in plan.coins for chain in plan.chains if chain != "solana" or coin in ON_SOLANA
        )
        self.decimals = {
            (coin, chain): OTHER_DECIMALS if chain == "solana" else DECIMALS.get(coin, OTHER_DECIMALS)
            for coin, chain in self.pairs
        }
        for chain in plan.chains:
            _Chain(self, chain, Queue()).supply.check()

    def minutes(self) -> Iterator[Minute]:
        """All of it; after the end of the plan there are some minutes more, in which blocks become final."""
        plan, queue = self.plan, Queue()
        market, talk = CoinMarket(plan, self.pairs), _Talk(self, queue)
        chains = [_Chain(self, chain, queue) for chain in plan.chains]
        supply = supplies(plan, self.pairs, self.decimals)
        for outage in plan.outages:
            _say_outage(outage, queue)
        for minute_us in range(plan.start_us, plan.end_us + SETTLE_US, MINUTE_US):
            facts: list[Fact] = []
            truths: list[MinuteTruth] = []
            orphans: list[Orphan] = []
            if minute_us < plan.end_us:
                if not (minute_us - plan.start_us) % DAY_US:
                    for chain in chains:
                        orphans += chain.begin_day(minute_us)
                changes = [fact for chain in chains for fact in chain.changes(minute_us)]
                net: defaultdict[tuple[str, str], int] = defaultdict(int)
                for change in changes:
                    net[change.coin, change.chain] += change.units
                market.step(minute_us)
                facts = talk.minute(minute_us, market, supply)
                facts += changes
                facts.sort(key=_by_event)
                truths = self._truths(minute_us, market, supply, net)
                for pair, units in net.items():
                    supply[pair] += units
            for chain in chains:
                chain.tell_heads(minute_us)
            told = queue.before(minute_us + MINUTE_US)
            yield Minute(minute_us, tuple(told), tuple(facts), tuple(truths), tuple(orphans))

    def told(self) -> Iterator[Told]:
        """What becomes known, in this order; faults included."""
        for minute in self.minutes():
            yield from minute.told

    def facts(self) -> Iterator[Fact]:
        """Final facts by their times: without what was taken back, each once, with its last value."""
        for minute in self.minutes():
            yield from minute.facts

    def truths(self) -> Iterator[MinuteTruth]:
        """What is true in each minute of each coin on each chain."""
        for minute in self.minutes():
            yield from minute.truths

    def _truths(
        self,
        minute_us: int,
        market: CoinMarket,
        supply: dict[tuple[str, str], int],
        net: dict[tuple[str, str], int],
    ) -> list[MinuteTruth]:
        found = []
        for pair in self.pairs:
            coin, chain = pair
            decimals = self.decimals[pair]
            found.append(
                MinuteTruth(
                    minute_us,
                    coin,
                    chain,
                    market.prices[pair],
                    market.volumes[pair],
                    market.liquidity[pair],
                    supply[pair] / 10**decimals,
                    net.get(pair, 0),
                    decimals,
                    market.sentiment[coin],
                    market.volatility,
                    market.depeg[coin],
                )
            )
        return found


class _Talk:
    """What providers measure in each minute."""

    def __init__(self, history: CoinHistory, queue: Queue) -> None:
        plan, self._decimals = history.plan, history.decimals
        home = plan.chains[0]
        self._prices, self._pools, self._circulating = [], [], []
        for place, pair in enumerate(history.pairs):
            coin, chain = pair
            source = "coingecko" if chain == home else "defillama"  # of other chains the price of the token there
            self._prices.append((pair, Lane(plan, queue, coin, source, chain, "price")))
            if chain != "solana":
                self._pools.append((place % 3, pair, Lane(plan, queue, coin, "defillama", chain, "liquidity")))
                lane = Lane(plan, queue, coin, "defillama", chain, "circulating")
                self._circulating.append(((place + 1) % 3, pair, lane))
        self._moods = [
            (place % 5, coin, Lane(plan, queue, coin, "vader", home, "sentiment"))
            for place, coin in enumerate(plan.coins)
        ]
        self._candles = Lane(plan, queue, "", "candles", "", "volatility")

    def minute(self, minute_us: int, market: CoinMarket, supply: dict[tuple[str, str], int]) -> list[Fact]:
        """Tell them; what is told of them at last."""
        facts: list[Fact] = []
        number = minute_us // MINUTE_US
        for pair, lane in self._prices:
            two = (("price", market.prices[pair]), ("volume", market.volumes[pair]))
            _measure(lane, pair[0], minute_us, two, facts)
        for turn, pair, lane in self._pools:
            if number % 3 == turn:
                _measure(lane, pair[0], minute_us, (("liquidity", market.liquidity[pair]),), facts)
        for turn, pair, lane in self._circulating:
            if number % 3 == turn:
                amount = supply[pair] / 10 ** self._decimals[pair]
                _measure(lane, pair[0], minute_us, (("circulating", amount),), facts)
        for turn, coin, lane in self._moods:
            if number % 5 == turn:
                _measure(lane, coin, minute_us, (("sentiment", market.sentiment[coin]),), facts)
        if not number % 5:
            _measure(self._candles, "", minute_us, (("volatility", market.volatility),), facts)
        return facts


def _measure(lane: Lane, coin: str, minute_us: int, values: tuple[tuple[str, float], ...], facts: list[Fact]) -> None:
    event_us = lane.time_us(minute_us)
    if lane.is_silent(event_us):
        return
    known_us, source, chain = event_us + lane.behind_us(event_us), lane.source, lane.chain
    facts += lane.tell(
        *[
            Fact(feature, event_us, known_us, coin, chain, source, f"{source}:{coin}:{feature}:{event_us}", value)
            for feature, value in values
        ]
    )


class _Chain:
    """Heads, mints and burns of one chain, as its node tells them."""

    def __init__(self, history: CoinHistory, chain: str, queue: Queue) -> None:
        plan = history.plan
        self._plan, self._chain, self._queue = plan, chain, queue
        self._blocks, self._spans = Blocks(plan.seed, chain, plan.start_us), Spans()
        self._tiers = tiers_of(chain, plan, self._blocks)
        decimals = {coin: digits for (coin, name), digits in history.decimals.items() if name == chain}
        self.supply = SupplyOfChain(plan, chain, decimals, self._blocks, self._spans)
        self._outages = sorted((o for o in plan.outages if o.chain == chain), key=lambda outage: outage.start_us)
        self._chance = Random(f"{plan.seed} logs {chain}")
        self._late_us = (15 if chain == "solana" else MOST_LAG_S) * MICROS
        self._head = self._blocks.pace.base
        self._of_minute: dict[int, list[Fact]] = {}

    def begin_day(self, day_us: int) -> list[Orphan]:
        """Make a day, and tell it; its orphaned blocks."""
        day = self.supply.day(day_us)
        self._of_minute = {}
        last: dict[str, int] = {}
        for told in day.told:
            if isinstance(told, Retraction):
                self._queue.put(replace(told, known_us=self._after_outage(told.known_us)))
            else:
                last[told.id] = self._tell(told)
        for fact in day.facts:
            minute_us = fact.event_us - fact.event_us % MINUTE_US
            self._of_minute.setdefault(minute_us, []).append(replace(fact, known_us=last[fact.id]))
        return [
            replace(
                orphan,
                orphaned_us=self._after_outage(orphan.orphaned_us),
                restored_us=self._after_outage(orphan.restored_us) if orphan.restored_us >= 0 else -1,
            )
            for orphan in day.orphans
        ]

    def changes(self, minute_us: int) -> list[Fact]:
        """Final facts of blocks of this minute."""
        return self._of_minute.get(minute_us, [])

    def _tell(self, fact: Fact) -> int:
        chance, rates = self._chance.random, self._plan.rates
        known_us = fact.known_us
        if chance() < rates.late:
            known_us += int(chance() * self._late_us)
        known_us = self._after_outage(known_us)
        self._queue.put(replace(fact, known_us=known_us))
        if chance() < rates.doubled:
            self._queue.put(replace(fact, known_us=known_us + 1 + int(chance() * DOUBLED_WITHIN_US)))
        return known_us

    def _after_outage(self, known_us: int) -> int:
        for outage in self._outages:
            if outage.start_us <= known_us < outage.end_us:
                return outage.end_us + (known_us - outage.start_us) // CATCH_UP
        return known_us

    def tell_heads(self, minute_us: int) -> None:
        """Tell the heads of a minute."""
        blocks, rates, chance = self._blocks, self._plan.rates, self._chance.random
        step, end_us = blocks.pace.told, minute_us + MINUTE_US
        while (event_us := blocks.time_us(self._head)) < end_us:
            number, known_us = self._head, blocks.seen_us(self._head)
            self._head += step
            two, three = self._tiers.at(number, known_us)
            if any(outage.start_us <= known_us < back_us(outage) for outage in self._outages):
                continue
            own, parent = self._spans.branches(number)
            digest, parent_digest = blocks.hash_of(number, own), blocks.hash_of(number - 1, parent)
            head = Head(
                event_us,
                known_us,
                self._chain,
                number,
                digest,
                parent_digest,
                blocks.time_us(two),
                blocks.time_us(three),
                two,
                three,
            )
            self._queue.put(head)
            if chance() < rates.doubled:
                self._queue.put(replace(head, known_us=known_us + 1 + int(chance() * DOUBLED_WITHIN_US)))


def back_us(outage: Outage) -> int:
    """When a source is back: a node has told by then what it missed."""
    return outage.end_us + ((outage.end_us - outage.start_us) // CATCH_UP + MICROS if outage.chain else 0)


def _say_outage(outage: Outage, queue: Queue) -> None:
    source, chain = ("logs", outage.chain) if outage.chain else (outage.source, "")
    queue.put(SourceState(outage.start_us, outage.start_us, chain, source, up=False))
    queue.put(SourceState(back_us(outage), back_us(outage), chain, source, up=True))


def _by_event(fact: Fact) -> int:
    return fact.event_us
