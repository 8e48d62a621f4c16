"""What a watch took, out of the lanes in which it was kept: its replay gives the rows that the watch gave."""

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from heapq import merge

import msgspec

from tidelake.errors import ConfigError, FormatDrift
from tidelake.jobs.coin_lake import lake_parts, scorer
from tidelake.raw.store import Store
from tidelake.stablecoins.coin import Coin
from tidelake.stablecoins.observation import Observation
from tidelake.stablecoins.registry import coins as registry
from tidelake.stablecoins.setup import CoinSetup
from tidelake.stablecoins.sources.chain_told import read_observations
from tidelake.stablecoins.sources.feed import merge_known
from tidelake.stablecoins.sources.observations import observation
from tidelake.stablecoins.sources.refs import coin_refs
from tidelake.stablecoins.sources.sentiment import Polarity
from tidelake.stablecoins.sources.watch_lane import LANE, Run, read_parts, stream_of


class WatchedHistory:
    """One watch, in the order in which it took what it was told, the words that time passed included.

    Args:
        store: The lake's store.
        run: Name of the watch.
        coins: Those that it watched; default: by their symbols, those of the registry.
        polarity: As for `LakeHistory`.

    Attributes:
        refused: What lanes do not hold of what was taken, and why; filled as it is played.

    Raises:
        NotInLake: The lake holds no such watch.
        ConfigError: A coin of it is not in the registry.
    """

    tells_time = True

    def __init__(self, store: Store, run: str, *, coins: Sequence[Coin] = (), polarity: Polarity | None = None) -> None:
        self.refused: dict[str, str] = {}
        self._store, self._run = store, run
        self._polarity = polarity or scorer(store, self.refused)
        self._parts = read_parts(store, run)
        self._setups = self._parts[0].setups
        known = {coin.symbol: coin for coin in coins} or registry()
        if missing := sorted(set(self._setups) - set(known)):
            raise ConfigError(f"{run} watched {', '.join(missing)}, which the registry does not know any more")
        self._coins = [known[name] for name in self._setups]

    def __len__(self) -> int:
        return self._parts[-1].end

    @property
    def fingerprint(self) -> str:
        """Differs where more of the watch is held."""
        return f"{self._run}-{hashlib.sha256(msgspec.json.encode(self._parts)).hexdigest()[:16]}"

    def setups(self, coins: tuple[str, ...] = ()) -> dict[str, CoinSetup]:
        """As the watch had them.

        Raises:
            ConfigError: Only some of its coins are asked for.
        """
        if coins and set(coins) != set(self._setups):
            raise ConfigError(f"{self._run} is replayed whole: it watched {', '.join(self._setups)}")
        return dict(self._setups)

    def batches(self) -> Iterator[list[Observation]]:
        """What was taken, part by part; ends where lanes hold no more.

        Raises:
            FormatDrift: Lanes hold something else than what was taken.
        """
        streams = _Streams(self._told())
        for part in self._parts:
            own, found = iter(part.own), list[Observation]()
            try:
                for run in part.order:
                    found += [next(own) for _ in range(run.count)] if not run.stream else streams.take(run)
            except EOFError as exc:
                held = part.first + len(found)
                self.refused[LANE] = (
                    f"{held:,} of {len(self):,} observations are held: {exc}; a lane may not be sealed yet"
                )
                yield found
                return
            yield found

    def close(self) -> None:
        """Nothing is to be ended here."""

    def _told(self) -> Iterator[Observation]:
        """All that the lanes hold, of the watch and of others, by the time at which it was known."""
        lanes = {(name, lane.name) for name, setup in self._setups.items() for lane in setup.chains}
        feeds = (
            seen
            for seen in map(observation, merge_known(lake_parts(self._store, coin_refs(self._coins), self._polarity)))
            if not seen.chain or (seen.coin, seen.chain) in lanes
        )
        names = {lane.name.partition("/")[0]: None for setup in self._setups.values() for lane in setup.chains}
        chains = (read_observations(self._store, name, self._coins, self._run) for name in names)
        return merge(feeds, *chains, key=lambda seen: seen.known_us)


class _Streams:
    """Observations by stream, read as far as they are asked for."""

    def __init__(self, told: Iterator[Observation]) -> None:
        self._told = told
        self._waiting: defaultdict[str, deque[Observation]] = defaultdict(deque)

    def take(self, run: Run) -> list[Observation]:
        """Those of a run; what was known before it was not taken by the watch.

        Raises:
            EOFError: The lanes hold no more of the stream.
            FormatDrift: What follows in them was known at another time.
        """
        waiting = self._waiting[run.stream]
        while True:
            self._fill(run.stream)
            if waiting[0].known_us >= run.known_us:
                break
            waiting.popleft()
        if waiting[0].known_us != run.known_us:
            raise FormatDrift(f"{run.stream} holds nothing that was known at {run.known_us}, which the watch took")
        found = []
        for _ in range(run.count):
            self._fill(run.stream)
            found.append(waiting.popleft())
        return found

    def _fill(self, stream: str) -> None:
        while not self._waiting[stream]:
            seen = next(self._told, None)
            if seen is None:
                raise EOFError(f"no more of {stream!r}")
            self._waiting[stream_of(seen)].append(seen)
