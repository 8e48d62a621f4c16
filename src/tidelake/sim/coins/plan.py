"""What is planned to happen in a history: spans of trouble, known to the microsecond, and how often small faults do."""

import datetime as dt
import random
import re
from dataclasses import dataclass, field, fields, replace
from typing import Any

from tidelake.errors import ConfigError
from tidelake.sim.coins.events import DAY_US, HOUR_US, MICROS, MINUTE_US

COINS = ("USDC", "USDT", "DAI", "BUSD")
CHAINS = ("ethereum", "arbitrum")
PROVIDERS = ("coingecko", "defillama", "vader", "candles")
MOST_LAG_S = 480
MOST_DEPTH = {"ethereum": 60, "arbitrum": 1_200, "solana": 20}  # less than what is final
NEVER_FLIPS = ("solana",)  # blocks are final before it could
HELP = """\
  depeg:COIN@T+L=D       the coin loses D (0.12) of its price, from T on for L
  reorg:CHAIN@T=N        N blocks up to T are replaced           flip:CHAIN@T=N  and come back soon after
  batches:arbitrum@T+L   no batch is posted                      lag:SOURCE@T+L=S  tells everything S seconds later
  down:SOURCE@T+L        a provider is silent (coingecko, defillama, vader, candles), or the node of a chain is
  seeded                 one of each, drawn from the seed
  T and L: days, hours or minutes, such as 10d, 12h, 40m; T counts from the start"""

_PART = re.compile(r"(depeg|reorg|flip|batches|lag|down):([A-Za-z]+)@([\d.]+[dhm])(?:\+([\d.]+[dhm]))?(?:=([\d.]+))?")
_UNITS = {"d": DAY_US, "h": HOUR_US, "m": MINUTE_US}


@dataclass(frozen=True, slots=True)
class Depeg:
    """A coin leaves its peg at `start_us` and is back at `end_us`; at worst it has lost `depth` of its price."""

    coin: str
    start_us: int
    end_us: int
    depth: float

    def share(self, time_us: int) -> float:
        """How much of the depth is on: rises over a fifth of the span, stays for a fifth, then falls ever slower."""
        if not self.start_us <= time_us < self.end_us:
            return 0.0
        at = (time_us - self.start_us) / (self.end_us - self.start_us)
        if at < 0.2:
            return 5.0 * at
        if at < 0.4:
            return 1.0
        left = (1.0 - at) / 0.6
        return left * left


@dataclass(frozen=True, slots=True)
class Reorg:
    """The `depth` newest blocks at `time_us` are replaced; with `flips` they are the chain's again soon after."""

    chain: str
    time_us: int
    depth: int
    flips: bool = False


@dataclass(frozen=True, slots=True)
class LateBatches:
    """No batch of the chain is posted in [start_us, end_us)."""

    chain: str
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Lag:
    """What a provider says in [start_us, end_us) comes so many seconds later than else."""

    source: str
    start_us: int
    end_us: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Outage:
    """Nothing is told in [start_us, end_us).

    A provider (`chain` is "") never tells of that time. A node ("node" of a chain) tells afterwards what it missed,
    and no heads between.
    """

    source: str
    chain: str
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Rates:
    """How often small things go wrong: shares of what is told, and counts in a day of a chain.

    Attributes:
        doubled: Told again, unchanged, up to 400 s later.
        restated: First told with another value.
        late: Told up to `MOST_LAG_S` later than else.
        reorgs: Reorganisations of a day that nobody planned, most of them of one block.
        changes: Mints and burns of a coin on a chain in a day.
    """

    doubled: float = 0.01
    restated: float = 0.004
    late: float = 0.004
    reorgs: float = 6.0
    changes: float = 120.0


NO_FAULTS = Rates(doubled=0.0, restated=0.0, late=0.0, reorgs=0.0)


@dataclass(frozen=True)
class CoinPlan:
    """A history: the same plan gives the same history, on every machine.

    Attributes:
        start_us: Its first minute, a whole day UTC.
        days: How long it is; blocks go on until all of it is final.
        chains: Of which the first is the home of all coins: sentiment is told there.

    Raises:
        ConfigError: It has no coin or chain, or something is planned for one that is not in it, or outside its time.
    """

    seed: int = 1
    start_us: int = 1_704_067_200 * MICROS  # 2024-01-01
    days: int = 30
    coins: tuple[str, ...] = COINS
    chains: tuple[str, ...] = CHAINS
    rates: Rates = field(default_factory=Rates)
    depegs: tuple[Depeg, ...] = ()
    reorgs: tuple[Reorg, ...] = ()
    late_batches: tuple[LateBatches, ...] = ()
    lags: tuple[Lag, ...] = ()
    outages: tuple[Outage, ...] = ()

    @property
    def end_us(self) -> int:
        """The end of its last minute."""
        return self.start_us + self.days * DAY_US

    def __post_init__(self) -> None:
        wrong = sorted(set(self.chains) - set(MOST_DEPTH))
        if wrong or not self.chains or not self.coins or self.days < 1 or self.start_us % DAY_US:
            raise ConfigError(
                f"a history needs coins, whole days and chains of {', '.join(MOST_DEPTH)}; "
                f"got {', '.join(self.coins)}, {self.days} days, {', '.join(self.chains)}"
            )
        spans: tuple[Depeg | LateBatches | Lag | Outage, ...]
        spans = (*self.depegs, *self.late_batches, *self.lags, *self.outages)
        for planned in spans:
            if not self.start_us <= planned.start_us < planned.end_us <= self.end_us:
                raise ConfigError(f"{planned} is not within the history")
        for depeg in self.depegs:
            if depeg.coin not in self.coins or not 0 < depeg.depth < 1:
                raise ConfigError(f"{depeg}: no such coin in the history, or a depth outside 0 to 1")
        for lag in self.lags:
            if lag.source not in PROVIDERS or not 0 < lag.seconds <= MOST_LAG_S:
                raise ConfigError(f"{lag}: not one of {', '.join(PROVIDERS)}, or more than {MOST_LAG_S} s")
        for reorg in self.reorgs:
            most = MOST_DEPTH.get(reorg.chain, 0) if reorg.chain in self.chains else 0
            if reorg.flips and reorg.chain in NEVER_FLIPS:
                raise ConfigError(f"{reorg}: {reorg.chain} has final blocks before it could flip")
            if not 1 <= reorg.depth <= most or not self.start_us < reorg.time_us < self.end_us:
                raise ConfigError(f"{reorg}: not within the history, or not of 1 to {most} blocks")
        if any(late.chain != "arbitrum" or late.chain not in self.chains for late in self.late_batches):
            raise ConfigError("batches are posted by arbitrum alone, which must be in the history")
        for out in self.outages:
            if not (out.source in PROVIDERS and not out.chain) and not (
                out.source == "node" and out.chain in self.chains
            ):
                raise ConfigError(f"{out}: neither one of {', '.join(PROVIDERS)} nor a chain of the history")

    def with_crisis(self, text: str) -> "CoinPlan":
        """With what a text such as "depeg:USDC@10d+12h=0.12,reorg:ethereum@250h=32" plans.

        Raises:
            ConfigError: A part is not understood, or cannot be.
        """
        plan = self
        for part in filter(None, (part.strip() for part in text.split(","))):
            plan = plan.seeded() if part == "seeded" else plan._with(part)
        return plan

    def _with(self, part: str) -> "CoinPlan":
        found = _PART.fullmatch(part)
        if found is None:
            raise ConfigError(f"{part!r} is not understood; there are:\n{HELP}")
        kind, whom, begin, length, amount = found.groups()
        start_us = self.start_us + _length(begin)
        if (length is None) != (kind in ("reorg", "flip")) or (amount is None) != (kind in ("batches", "down")):
            raise ConfigError(f"{part!r} says too little or too much; there are:\n{HELP}")
        end_us = start_us + _length(length) if length else start_us
        size = float(amount) if amount else 0.0
        if kind == "depeg":
            return replace(self, depegs=(*self.depegs, Depeg(whom, start_us, end_us, size)))
        if kind in ("reorg", "flip"):
            return replace(self, reorgs=(*self.reorgs, Reorg(whom, start_us, int(size), kind == "flip")))
        if kind == "batches":
            return replace(self, late_batches=(*self.late_batches, LateBatches(whom, start_us, end_us)))
        if kind == "lag":
            return replace(self, lags=(*self.lags, Lag(whom, start_us, end_us, size)))
        out = Outage("node", whom, start_us, end_us) if whom in self.chains else Outage(whom, "", start_us, end_us)
        return replace(self, outages=(*self.outages, out))

    def seeded(self) -> "CoinPlan":
        """With a crisis drawn from the seed: a coin leaves its peg for hours, and meanwhile all else goes wrong too."""
        chance = random.Random(f"{self.seed} crisis")
        span_us = self.days * DAY_US
        start_us = self.start_us + int((0.2 + 0.3 * chance.random()) * span_us) // MINUTE_US * MINUTE_US
        end_us = start_us + int((0.08 + 0.12 * chance.random()) * min(span_us, 10 * DAY_US)) // MINUTE_US * MINUTE_US
        coin = self.coins[int(chance.random() * len(self.coins))]

        def within(share: float) -> int:
            return start_us + int(share * (end_us - start_us)) // MINUTE_US * MINUTE_US

        def clear(share: float) -> int:
            """A time at which a reorganisation touches no other day."""
            time_us = within(share)
            midnight = time_us - time_us % DAY_US
            return min(max(time_us, midnight + 10 * MINUTE_US), midnight + DAY_US - 2 * MINUTE_US)

        home = self.chains[0]
        deep = MOST_DEPTH[home]
        plan = replace(
            self,
            depegs=(*self.depegs, Depeg(coin, start_us, end_us, round(0.04 + 0.1 * chance.random(), 3))),
            reorgs=(
                *self.reorgs,
                Reorg(home, clear(0.1), max(1, deep // 20)),
                Reorg(home, clear(0.3), max(1, deep // 8), flips=home not in NEVER_FLIPS),
                Reorg(home, clear(0.5), max(1, deep * 3 // 4)),
                *(Reorg(chain, clear(0.4), max(1, MOST_DEPTH[chain] // 5)) for chain in self.chains[1:]),
            ),
            lags=(*self.lags, Lag("defillama", within(0.15), within(0.35), 300.0)),
            outages=(
                *self.outages,
                Outage("coingecko", "", within(0.6), within(0.6) + 20 * MINUTE_US),
                Outage("node", self.chains[-1], within(0.75), within(0.75) + 15 * MINUTE_US),
            ),
        )
        if "arbitrum" in self.chains:
            late = LateBatches("arbitrum", within(0.2), within(0.2) + 45 * MINUTE_US)
            plan = replace(plan, late_batches=(*plan.late_batches, late))
        return plan

    def told(self) -> dict[str, Any]:
        """The plan as JSON can hold it."""
        return {each.name: _told(getattr(self, each.name)) for each in fields(self)}


def _told(value: object) -> Any:
    if isinstance(value, tuple):
        return [_told(each) for each in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    return value


def _length(text: str) -> int:
    return int(float(text[:-1]) * _UNITS[text[-1]])


def day_us(day: dt.date) -> int:
    """The begin of a day, UTC."""
    return (day - dt.date(1970, 1, 1)).days * DAY_US
