"""Which shard an observation goes to: that of its coin."""

from collections.abc import Mapping, Sequence

from tidelake.stablecoins.observation import Observation
from tidelake.stablecoins.setup import CoinSetup


def deal(coins: Sequence[str], shards: int) -> list[tuple[str, ...]]:
    """Coins of each shard, dealt out in turn; fewer shards where there are fewer coins."""
    return [tuple(coins[place::shards]) for place in range(min(shards, len(coins)))]


class CoinRouter:
    """Routes observations to the shards of their coins.

    Args:
        dealt: The coins of each shard.

    Attributes:
        unknown: Observations of coins that nobody follows; they go nowhere.
    """

    def __init__(self, setups: Mapping[str, CoinSetup], dealt: Sequence[Sequence[str]], unknown: int = 0) -> None:
        self.unknown = unknown
        self._by_coin = {coin: (shard,) for shard, coins in enumerate(dealt) for coin in coins}
        self._by_chain: dict[str, tuple[int, ...]] = {"": tuple(range(len(dealt)))}
        for shard, coins in enumerate(dealt):
            for chain in {chain.name for coin in coins for chain in setups[coin].chains}:
                self._by_chain[chain] = (*self._by_chain.get(chain, ()), shard)

    def route(self, seen: Observation) -> tuple[int, ...]:
        """Shards that it concerns: that of its coin; of what has no coin, all that have a coin on its chain."""
        if seen.coin:
            found = self._by_coin.get(seen.coin, ())
            self.unknown += not found
            return found
        return self._by_chain.get(seen.chain, ())
