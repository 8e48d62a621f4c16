"""The setup of a coin's machine from what the registry knows of the coin.

A lane is one deployment: tokens that count and tokens that are locked elsewhere are never added, nor are amounts of
different decimals. The first deployment on a chain (a counted one before others, else in the order of the registry) has
the chain's name, and so the facts that providers tell of the chain; each further one has "chain/SYMBOL".
"""

import datetime as dt
from collections.abc import Collection, Mapping

from tidelake.errors import ConfigError
from tidelake.stablecoins.coin import Coin, Deployment
from tidelake.stablecoins.observation import MICROS
from tidelake.stablecoins.setup import GRACE_US, LONGEST_GRACE_US, NO_END_US, ChainSetup, CoinSetup

NO_NUMBERS: Mapping[str, int] = {}
NO_DECIMALS: Mapping[tuple[str, str], int] = {}
NO_SHARES: Mapping[str, float] = {}


def lanes_of(coin: Coin) -> dict[str, Deployment]:
    """The deployments of a coin by the names of their lanes, in the order of the registry.

    Raises:
        ConfigError: Two on one chain have one symbol.
    """
    names: dict[tuple[str, str], str] = {}
    for deployment in sorted(coin.deployments, key=lambda one: one.counted is not True):
        chain = deployment.chain
        name = f"{chain}/{deployment.symbol}" if chain in names.values() else chain
        if name in names.values():
            raise ConfigError(f"{coin.symbol}: two further tokens on {chain} are called {deployment.symbol}")
        names[deployment.key] = name
    return {names[deployment.key]: deployment for deployment in coin.deployments}


def coin_setup(
    coin: Coin,
    begin_us: int,
    *,
    heads: Collection[str],
    chains: Collection[str] | None = None,
    expects: tuple[str, ...] = ("price", "volume", "volatility", "sentiment"),
    chain_expects: tuple[str, ...] = ("liquidity",),
    decimals: Mapping[tuple[str, str], int] = NO_DECIMALS,
    grace_us: Mapping[str, int] = NO_NUMBERS,
    exposure: Mapping[str, float] = NO_SHARES,
    price_sources: int = 1,
    windows_s: tuple[int, ...] = (60, 300),
) -> CoinSetup:
    """The setup of a coin on these chains.

    A deployment of which it is not known whether it counts is kept apart, as those that do not count. A lane expects
    "supply" where its chain's heads are followed and logs tell it.

    Args:
        begin_us: No window begins before this time, us UTC, nor before the coin's first day.
        heads: Chains whose heads are followed.
        chains: Which chains; None: all of the coin.
        expects: Features of no chain that windows should have.
        chain_expects: Features that providers tell by chain: windows of the lanes of chains should have them.
        decimals: By `Deployment.key`, where the registry has none; what the registry knows is not overridden.
        grace_us: By chain, in place of those of `GRACE_US`.
        exposure: Share of the coin by lane; 1 where none is given, and shares are taken relative to their sum.
        price_sources: How many independent sources of its price there are.
        windows_s: Lengths of windows in seconds.

    Raises:
        ConfigError: The coin is not on a chain that is asked for, decimals are known of nobody, or its days end before
            the first window.
    """
    lanes = lanes_of(coin)
    there = {deployment.chain for deployment in lanes.values()}
    wanted = there if chains is None else set(chains)
    if missing := sorted(wanted - there):
        raise ConfigError(f"{coin.symbol} is not on {', '.join(missing)}; it is on {', '.join(sorted(there))}")
    longest_us = max(windows_s) * MICROS
    begin_us = max(begin_us, _midnight_us(coin.start.date) if coin.start and coin.start.date else 0)
    begin_us += -begin_us % longest_us
    end_us = _midnight_us(coin.end.date + dt.timedelta(1)) if coin.end and coin.end.date else NO_END_US
    if begin_us >= end_us:
        raise ConfigError(f"{coin.symbol} ended on {coin.end and coin.end.date}: it has no window after it")
    return CoinSetup(
        coin=coin.symbol,
        chains=tuple(
            ChainSetup(
                name=name,
                decimals=_decimals(coin, one, decimals),
                grace_us=grace_us.get(one.chain, GRACE_US.get(one.chain, LONGEST_GRACE_US)),
                exposure=exposure.get(name, 1.0),
                follows_heads=one.chain in heads,
                counted=one.counted is True,
                expects=(
                    *(chain_expects if name == one.chain else ()),
                    *(("supply",) if one.chain in heads and one.changes != "none" else ()),
                ),
            )
            for name, one in lanes.items()
            if one.chain in wanted
        ),
        begin_us=begin_us,
        end_us=end_us,
        expects=expects,
        price_sources=price_sources,
        windows_s=windows_s,
    )


def _decimals(coin: Coin, deployment: Deployment, known: Mapping[tuple[str, str], int]) -> int:
    found = known.get(deployment.key) if deployment.decimals is None else deployment.decimals
    if found is None:
        raise ConfigError(
            f"{coin.symbol}: nobody knows the decimals of {deployment.symbol} on {deployment.chain}, "
            f"{deployment.address}. Ask its contract for decimals() and give them, or leave the chain out."
        )
    return found


def _midnight_us(day: dt.date) -> int:
    return int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp()) * MICROS
