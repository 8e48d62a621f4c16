"""What a lake holds of coins, as a history to replay: what was polled, the past that was asked for, candles and texts.

All of it in the order in which it was known, read by the code that reads it live. Node lanes are not merged in here:
two watches of one chain may have left blocks out between them, and a head says that none is missing. They are replayed
as the watch took them (`coin_watched`).
"""

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import msgspec

from tidelake.errors import ConfigError, MissingExtra, NotInLake
from tidelake.jobs.coin_past import read_past
from tidelake.jobs.coin_texts import TextFeed
from tidelake.providers.coin_source import CoinRef
from tidelake.providers.registry import COIN_SOURCES
from tidelake.raw.ledger import Ledger
from tidelake.raw.store import Store
from tidelake.stablecoins.coin import Coin
from tidelake.stablecoins.coin_setup import coin_setup
from tidelake.stablecoins.observation import FACTS, MICROS, Observation
from tidelake.stablecoins.registry import coins as registry
from tidelake.stablecoins.setup import CoinSetup
from tidelake.stablecoins.sources.answers import answers_lane, read_answers
from tidelake.stablecoins.sources.feed import Known, merge_known
from tidelake.stablecoins.sources.observations import observations
from tidelake.stablecoins.sources.refs import coin_refs
from tidelake.stablecoins.sources.sentiment import LANE, Polarity, vader
from tidelake.stablecoins.sources.volatility import CandleFeed

BATCH: Final = 50_000
WINDOW_US: Final = 300 * MICROS
MARKET: Final = ""
ANY_DECIMALS: Final = 18  # where the registry has none: no supply is told here that they would scale


class LakeHistory:
    """The facts of a lake that were known in [start_us, end_us).

    Args:
        store: The lake's store.
        start_us, end_us: By the clock at which things were known, us UTC; None for no bound.
        assume_latency: Take the past and candles as known at most so long after their event; None: from when they were
            asked for. Of the past, facts told several times count by their last value.
        polarity: Scores texts; default: VADER, and without the extra texts are left out and `refused` says so.

    Attributes:
        refused: What was left out, by where it lies, and why.

    Raises:
        NotInLake: It holds no facts of coins of then.
        ValueError: `assume_latency` is negative.
    """

    tells_time = False

    def __init__(
        self,
        store: Store,
        *,
        start_us: int | None = None,
        end_us: int | None = None,
        assume_latency: dt.timedelta | None = None,
        polarity: Polarity | None = None,
    ) -> None:
        self.refused: dict[str, str] = {}
        self._store, self._latency = store, assume_latency
        self._start_us, self._end_us = start_us or 0, end_us
        self._coins = registry()
        self._refs = coin_refs(self._coins.values())
        self._polarity = polarity or scorer(store, self.refused)
        self._features: dict[str, dict[str, set[str]]] = {}
        self._count, self._first_us = 0, 0
        self.fingerprint = self._look()

    def __len__(self) -> int:
        return self._count

    def close(self) -> None:
        """Nothing is to be ended here."""

    def setups(self, coins: tuple[str, ...] = ()) -> dict[str, CoinSetup]:
        """The coins of which the lake tells, or those named; a feature is expected where it is told.

        No heads are told, so that windows of a chain are final when its grace has passed.

        Raises:
            NotInLake: It tells nothing of a coin that is named.
        """
        told = {coin for coin in self._features if coin}
        if missing := sorted(set(coins) - told):
            raise NotInLake(f"the lake holds no facts of {', '.join(missing)}", available=tuple(sorted(told)))
        found = {}
        for name in coins or sorted(told):
            try:
                found[name] = self._setup(self._coins[name])
            except ConfigError as exc:
                self.refused[name] = str(exc)
        return found

    def batches(self) -> Iterator[list[Observation]]:
        """All facts and turns of sources, in the order in which they were known."""
        told = self._told()
        while batch := list(islice(told, BATCH)):
            yield batch

    def _setup(self, coin: Coin) -> CoinSetup:
        features = self._features[coin.symbol]
        of_chains = {chain: told for chain, told in features.items() if chain}
        setup = coin_setup(
            coin,
            self._first_us - self._first_us % WINDOW_US,
            heads=(),
            chains=of_chains,
            decimals={one.key: ANY_DECIMALS for one in coin.deployments},
            expects=tuple(sorted(features.get(MARKET, set()) | self._features.get(MARKET, {}).get(MARKET, set()))),
        )
        chains = tuple(
            msgspec.structs.replace(chain, expects=tuple(sorted(of_chains[chain.name])))
            for chain in setup.chains
            if chain.name in of_chains
        )
        return msgspec.structs.replace(setup, chains=chains)

    def _look(self) -> str:
        """Read all of it once: what there is, since when, and a hash that differs where a fact does."""
        found = hashlib.sha256()
        encode = msgspec.json.Encoder().encode
        for seen in self._told():
            self._count += 1
            if seen.feature in FACTS:
                self._features.setdefault(seen.coin, {}).setdefault(seen.chain, set()).add(seen.feature)
                self._first_us = self._first_us or seen.known_us
            found.update(encode(seen))
        if not any(self._features):
            raise NotInLake(
                "the lake holds no facts of coins that were known then; `tidelake stablecoins watch` and `.. backfill` "
                "fetch them, and what was backfilled is known from when it was asked for, unless a latency is assumed"
            )
        return found.hexdigest()[:16]

    def _told(self) -> Iterator[Observation]:
        end_us = self._end_us
        for known in merge_known(self._parts()):
            if end_us is not None and known.known_us >= end_us:
                return
            if known.known_us >= self._start_us:
                yield from observations([known])

    def _parts(self) -> list[Iterator[Known]]:
        asked = [one.name for one in COIN_SOURCES.values() if not one.no_history]
        past = read_past(self._store, self._refs, asked, assume_latency=self._latency)
        return [*lake_parts(self._store, self._refs, self._polarity, self._latency), past]


def lake_parts(
    store: Store,
    coins: Sequence[CoinRef],
    polarity: Polarity | None,
    assume_latency: dt.timedelta | None = None,
) -> list[Iterator[Known]]:
    """What the lake holds of each source that is asked live, each in the order in which it was known.

    Args:
        polarity: Scores texts; without it they are left out.
        assume_latency: Take candles as known at most so long after their end.
    """
    polled = [read_answers(store, answers_lane(one.name), one, coins) for one in COIN_SOURCES.values()]
    candles = CandleFeed(store, assume_latency=assume_latency).history()
    texts = [TextFeed(store, coins, polarity=polarity).history()] if polarity else []
    return [*polled, candles, *texts]


def scorer(store: Store, refused: dict[str, str]) -> Polarity | None:
    """VADER where the lake holds texts; without the extra `refused` says so."""
    if not Ledger(store).head(LANE).next_n:
        return None
    try:
        return vader()
    except MissingExtra as exc:
        refused[LANE] = str(exc)
        return None
