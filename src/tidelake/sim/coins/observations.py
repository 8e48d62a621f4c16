"""A simulated history as the machines of its coins take it: told with its faults, and as if nothing had gone wrong."""

import heapq
from collections.abc import Iterable, Iterator
from operator import attrgetter

from tidelake.sim.coins import events
from tidelake.sim.coins.csv_files import CLEAN_DELAY_US, clean_heads
from tidelake.sim.coins.history import CoinHistory
from tidelake.sim.coins.market import supplies
from tidelake.stablecoins.observation import Head, Observation, Retraction
from tidelake.stablecoins.setup import GRACE_US, LONGEST_GRACE_US, ChainSetup, CoinSetup

BATCH = 50_000


def setups(history: CoinHistory) -> dict[str, CoinSetup]:
    """The coins of a history; a chain's exposure is its share of the supply as the history begins."""
    plan, decimals = history.plan, history.decimals
    held = supplies(plan, history.pairs, decimals)
    found = {}
    for coin in plan.coins:
        chains = tuple(
            ChainSetup(
                name=chain,
                decimals=decimals[coin, chain],
                grace_us=GRACE_US.get(chain, LONGEST_GRACE_US),
                exposure=held[coin, chain] / 10 ** decimals[coin, chain],
                expects=("supply",) if chain == "solana" else ("circulating", "liquidity", "supply"),
            )
            for chain in plan.chains
            if (coin, chain) in decimals
        )
        found[coin] = CoinSetup(coin=coin, chains=chains, begin_us=plan.start_us)
    return found


def told(history: CoinHistory) -> Iterator[list[Observation]]:
    """What becomes known, in this order; faults included."""
    return _batches(map(observed, history.told()))


def clean(history: CoinHistory) -> Iterator[list[Observation]]:
    """Final facts alone, each known a second after, on chains on which nothing is replaced."""
    facts = (observed(fact, fact.event_us + CLEAN_DELAY_US) for fact in history.facts())
    heads = [map(observed, clean_heads(history.plan, chain)) for chain in history.plan.chains]
    return _batches(heapq.merge(facts, *heads, key=attrgetter("known_us")))


def observed(word: events.Told, known_us: int | None = None) -> Observation:
    """A word of a history as an observation, known then or else when it was told; sentiment is of no chain."""
    known = word.known_us if known_us is None else known_us
    match word:
        case events.Fact():
            chain = "" if word.feature == "sentiment" else word.chain
            return Observation(
                word.feature,
                word.event_us,
                known,
                word.coin,
                chain,
                word.source,
                word.id,
                word.value,
                word.units,
                word.block_number,
            )
        case events.Head():
            head = Head(word.tier2_us, word.tier3_us, word.tier2_block, word.tier3_block)
            number = word.block_number
            return Observation(
                "head", word.event_us, known, chain=word.chain, source="node", block_number=number, told=head
            )
        case events.Retraction():
            taken = Retraction(word.ids_out, word.ids_in, word.reason)
            return Observation("retract", word.event_us, known, chain=word.chain, source="node", told=taken)
        case events.SourceState():
            up = float(word.up)
            return Observation("source", word.event_us, known, chain=word.chain, source=word.source, value=up)


def _batches(seen: Iterable[Observation]) -> Iterator[list[Observation]]:
    batch: list[Observation] = []
    for each in seen:
        batch.append(each)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch
