"""Coins of the registry as sources are asked for them."""

from collections.abc import Iterable

from tidelake.providers.coin_source import CoinRef
from tidelake.stablecoins.coin import Coin


def coin_refs(coins: Iterable[Coin]) -> tuple[CoinRef, ...]:
    """Each coin with its ids and tokens, in order.

    Two coins of the registry may have one id at a provider (USDC and USDC.e do): what the provider tells is then that
    of the coin of which more deployments are counted, and the other one has no id there.
    """
    found = sorted(coins, key=lambda coin: -sum(one.counted is True for one in coin.deployments))
    gecko: dict[str, str] = {}
    llama: dict[str, str] = {}
    for coin in found:
        gecko.setdefault(coin.ids.coingecko, coin.symbol)
        llama.setdefault(coin.ids.defillama, coin.symbol)
    refs = (
        CoinRef(
            symbol=coin.symbol,
            coingecko=coin.ids.coingecko if gecko[coin.ids.coingecko] == coin.symbol else "",
            defillama=coin.ids.defillama if llama[coin.ids.defillama] == coin.symbol else "",
            tokens=tuple(one.key for one in coin.deployments),
        )
        for coin in found
    )
    return tuple(sorted(refs, key=lambda ref: ref.symbol))
