"""Where a provider is asked, how fast, and with which headers: with a key at its own host, else without one."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from tidelake.providers.coin_source import CoinSource
from tidelake.providers.spec import PriceProvider
from tidelake.transport.rates import Pace


@dataclass(frozen=True, slots=True)
class Place:
    """Address without its path, pace of the host, and headers that go there and nowhere else."""

    url: str
    pace: Pace
    headers: Mapping[str, str] = field(default_factory=dict)


def place_of(provider: PriceProvider | CoinSource, urls: Mapping[str, str], paces: Mapping[str, Pace]) -> Place:
    """The place of a provider.

    Args:
        urls: Asked instead, by name; a key is not sent there.
        paces: Limits in place of its own, by name.
    """
    pace = paces.get(provider.name)
    if url := urls.get(provider.name):
        return Place(url.rstrip("/"), pace or Pace(provider.requests, provider.seconds))
    for key in provider.keys:
        if value := os.environ.get(key.variable):
            return Place(key.url, pace or Pace(key.requests, key.seconds), {key.header: value})
    return Place(provider.url, pace or Pace(provider.requests, provider.seconds))
