"""Random histories of a coin on two chains: the final truth, and a faulted delivery of it that is mended in the end."""

import random
from dataclasses import dataclass, field

import msgspec

from tidelake.stablecoins.observation import Head, Observation, Retraction
from tidelake.stablecoins.setup import ChainSetup, CoinSetup

S = 1_000_000
BEGIN = 1_700_000_100 * S - 1_700_000_100 * S % (300 * S)
GRACE = {"ethereum": 42 * S, "arbitrum": 42 * S}  # shorter than it takes a block to be final
BLOCK_S = {"ethereum": 12, "arbitrum": 4}
TIER2 = {"ethereum": 3, "arbitrum": 5}
TIER3 = {"ethereum": 6, "arbitrum": 20}
SHUFFLED_S = 9  # how far deliveries pass one another
LATE_S = 30  # how late a fact of the market comes, less than the shortest grace


def setup(coin="USDC", **changed):
    chains = (
        ChainSetup(name="ethereum", decimals=6, grace_us=GRACE["ethereum"], exposure=3.0),
        ChainSetup(name="arbitrum", decimals=18, grace_us=GRACE["arbitrum"], counted=changed.pop("counted", True)),
    )
    return CoinSetup(
        coin=coin,
        chains=chains,
        begin_us=BEGIN,
        expects=("price", "volatility", "sentiment"),
        price_sources=2,
        **changed,
    )


@dataclass
class Fact:
    """A fact of the final truth, without a thought of how it is delivered."""

    feature: str
    chain: str
    source: str
    time: int
    value: float = 0.0
    units: int = 0
    block: int = -1
    id: str = ""

    def observed(self, known: int, coin: str) -> Observation:
        of_coin = "" if self.feature == "volatility" else coin
        return Observation(
            self.feature,
            self.time,
            known,
            of_coin,
            self.chain,
            self.source,
            self.id,
            self.value,
            self.units,
            self.block,
        )


@dataclass
class History:
    """Facts in final truth, and how far each chain's head went."""

    coin: str
    minutes: int
    facts: list[Fact]
    clean: list[Observation] = field(default_factory=list)
    faulted: list[Observation] = field(default_factory=list)


def make(seed: int, minutes: int = 20, coin: str = "USDC") -> History:
    rng = random.Random(seed)
    facts = _market(rng, minutes, coin) + [f for chain in BLOCK_S for f in _on_chain(rng, minutes, chain)]
    history = History(coin, minutes, facts)
    end = BEGIN + minutes * 60 * S
    last = end + 1200 * S
    heads = [head for chain in BLOCK_S for head in _heads(chain, last)]
    clock = Observation("clock", last, last)
    told = [fact.observed(fact.time + S, coin) for fact in facts]
    history.clean = [*sorted([*told, *heads], key=lambda seen: seen.known_us), clock]
    history.faulted = [*_fault(rng, facts, heads, coin, end), clock]
    return history


def _market(rng, minutes, coin):
    """Prices by two sources, liquidity by chain, volatility and sentiment; each source falls silent at times."""
    out = []
    lanes = [("price", "", "kraken", 20), ("price", "", "coingecko", 45), ("volatility", "", "candles", 240)]
    lanes += [
        ("sentiment", "", "vader", 200),
        ("liquidity", "ethereum", "defillama", 90),
        ("volume", "", "coingecko", 60),
    ]
    lanes += [("liquidity", "arbitrum", "defillama", 150), ("circulating", "ethereum", "defillama", 170)]
    for feature, chain, source, every in lanes:
        time = BEGIN - rng.randrange(100) * S
        while time < BEGIN + minutes * 60 * S:
            value = 1 + rng.gauss(0, 0.004) if feature == "price" else rng.uniform(0, 1) * (1 if every > 190 else 1e9)
            if feature == "price" and rng.random() < 0.02:
                value = rng.choice([0.87, 1.2, 0.0, 0.5])
            fact_id = f"{source}:{coin}:{feature}:{time}"
            out.append(Fact(feature, chain, source, time, value, id=fact_id))
            time += round(every * rng.uniform(0.3, 1.6) * (8 if rng.random() < 0.05 else 1)) * S + rng.randrange(S)
    return out


def _on_chain(rng, minutes, chain):
    out = []
    for block in range(minutes * 60 // BLOCK_S[chain]):
        for index in range(rng.choice([0, 0, 0, 0, 1, 1, 2])):
            units = rng.randrange(-(10**9), 10**9) * (10**9 if chain == "arbitrum" else 1)
            out.append(_mint(chain, block, f"{chain[0]}{block}c", f"tx{block}.{index}", index, units))
    return out


def _mint(chain, block, block_hash, tx, index, units):
    time = BEGIN + block * BLOCK_S[chain] * S
    return Fact("supply", chain, "logs", time, units=units, block=block, id=f"{chain}:{block_hash}:{tx}:{index}")


def _heads(chain, last):
    step = BLOCK_S[chain] * S
    for block in range((last - BEGIN) // step):
        time = BEGIN + block * step
        two, three = block - TIER2[chain], block - TIER3[chain]
        told = Head(
            BEGIN + two * step if two >= 0 else -1,
            BEGIN + three * step if three >= 0 else -1,
            max(two, -1),
            max(three, -1),
        )
        yield Observation("head", time, time + S, "", chain, "node", block_number=block, told=told)


def _fault(rng, facts, heads, coin, end):
    """The same truth, delivered badly: (moment of delivery, observation), sorted by the moment."""
    out: list[tuple[int, Observation]] = []

    def deliver(seen, at):
        out.append((at, seen))
        if rng.random() < 0.15:  # the same message again, also after its window became FINAL
            out.append((at + rng.randrange(400) * S, seen))

    def jitter():
        return rng.randrange(SHUFFLED_S * S)

    outage = {source: _outage(rng, span) for source, span in (("kraken", LATE_S), ("coingecko", LATE_S))}
    for chain in BLOCK_S:
        outage[chain] = begin, stop = _outage(rng, 300)
        out.append((begin, Observation("source", begin, begin, "", chain, "logs", value=0.0)))
        back = stop + (SHUFFLED_S + 1) * S
        out.append((back, Observation("source", back, back, "", chain, "logs", value=1.0)))
    for head in heads:
        deliver(head, head.known_us + jitter())
    orphaned = {chain: _reorgs(rng, chain, facts, coin, end, outage[chain]) for chain in BLOCK_S}
    delayed = {fact_id: at for chain in BLOCK_S for fact_id, at in orphaned[chain][1].items()}
    for chain in BLOCK_S:
        for seen in orphaned[chain][0]:
            deliver(seen, seen.known_us + jitter())
    for fact in facts:
        known = max(fact.time + S, delayed.get(fact.id, 0))
        begin, stop = (
            outage[fact.chain if fact.feature == "supply" else fact.source]
            if (fact.feature == "supply" or fact.source in outage)
            else (0, 0)
        )
        if begin <= known < stop:
            known = stop
        seen = fact.observed(known, coin)
        at = known + jitter()
        if fact.feature not in ("supply", "volume") and not begin <= known <= stop and rng.random() < 0.2:
            at += rng.randrange(LATE_S - SHUFFLED_S) * S
        if fact.feature in ("price", "liquidity", "sentiment") and rng.random() < 0.1:  # restated by its source
            wrong = msgspec.structs.replace(seen, value=seen.value * rng.uniform(0.3, 1.0))
            deliver(wrong, known + jitter())
            seen = msgspec.structs.replace(seen, known_us=known + 12 * S)
        deliver(seen, at)
    return [seen for _, seen in sorted(out, key=lambda pair: pair[0])]


def _outage(rng, longest_s):
    begin = BEGIN + rng.randrange(60, 900) * S
    return begin, begin + rng.randrange(5, longest_s - SHUFFLED_S - 2 if longest_s <= LATE_S else longest_s) * S


def _reorgs(rng, chain, facts, coin, end, outage):
    """Orphaned facts, their retractions, and when the facts of the blocks that replaced theirs were first known."""
    out, delayed = [], {}
    block = rng.randrange(8, 30)
    canonical = [fact for fact in facts if fact.chain == chain and fact.feature == "supply"]
    while block < (end - BEGIN) // (BLOCK_S[chain] * S):
        depth = rng.randint(1, 5 if chain == "ethereum" else 12)
        seen_at = BEGIN + (block + 1) * BLOCK_S[chain] * S + S  # the fork is seen with the next block
        blocks = range(block - depth + 1, block + 1)
        meant = [fact for fact in canonical if fact.block in blocks]
        if not outage[0] - 120 * S <= seen_at <= outage[1] + 120 * S:
            gone = []
            for fact in meant:
                delayed[fact.id] = seen_at
                if rng.random() < 0.6:  # the same transaction, in another block
                    tx, index = fact.id.split(":")[2:]
                    gone.append(_mint(chain, rng.choice(blocks), f"{chain[0]}{block}o", tx, int(index) + 5, fact.units))
            gone += [
                _mint(chain, b, f"{chain[0]}{b}o{block}", f"lost{b}", 9, rng.randrange(-(10**12), 10**12))
                for b in blocks
                if rng.random() < 0.5
            ]
            out += [fact.observed(fact.time + S, coin) for fact in gone]
            told = Retraction(tuple(fact.id for fact in gone), tuple(fact.id for fact in meant))
            out.append(Observation("retract", seen_at, seen_at, "", chain, "node", told=told))
        block += rng.randrange(10, 60)
    return out, delayed
