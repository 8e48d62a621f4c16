"""The sources by name: of prices, in the order in which they are taken at their word, of facts on coins, of texts."""

from tidelake.errors import NotInLake
from tidelake.providers import (
    coingecko,
    coingecko_markets,
    defillama,
    defillama_current,
    defillama_pools,
    defillama_stablecoins,
    reddit,
    x,
)
from tidelake.providers.coin_source import CoinSource
from tidelake.providers.spec import PriceProvider
from tidelake.providers.text_source import TextSource

PROVIDERS = {provider.name: provider for provider in (defillama.PROVIDER, coingecko.PROVIDER)}


def provider(name: str) -> PriceProvider:
    """The source of that name.

    Raises:
        NotInLake: There is none; `available` lists those that exist.
    """
    try:
        return PROVIDERS[name]
    except KeyError:
        known = tuple(PROVIDERS)
        raise NotInLake(f"no source of prices {name!r}; known are {', '.join(known)}", available=known) from None


COIN_SOURCES = {
    source.name: source
    for source in (
        coingecko_markets.SOURCE,
        defillama_stablecoins.SOURCE,
        defillama_pools.SOURCE,
        defillama_current.SOURCE,
    )
}

TEXT_SOURCES: dict[str, TextSource] = {source.name: source for source in (reddit.SOURCE, x.SOURCE)}


def coin_source(name: str) -> CoinSource:
    """The source of facts about coins of that name.

    Raises:
        NotInLake: There is none; `available` lists those that exist.
    """
    try:
        return COIN_SOURCES[name]
    except KeyError:
        known = tuple(COIN_SOURCES)
        raise NotInLake(f"no source of coins {name!r}; known are {', '.join(known)}", available=known) from None
