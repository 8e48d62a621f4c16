"""The simulated venues, one file each: the wire format of the public REST interface, from the market."""

import importlib

from tidelake.errors import NotInLake
from tidelake.sim.answer import SimVenue

MODULES = {
    "binance-spot": "binance",
    "bybit": "bybit",
    "coinbase": "coinbase",
    "deribit": "deribit",
    "kraken": "kraken",
    "okx": "okx",
}


def simulated(source: str) -> SimVenue:
    """The simulated venue of this source id.

    Raises:
        NotInLake: There is none; `available` lists those that exist.
    """
    if source not in MODULES:
        raise NotInLake(f"no simulated venue {source!r}; there are: {', '.join(MODULES)}", available=tuple(MODULES))
    module = importlib.import_module(f"{__name__}.{MODULES[source]}")
    venue: SimVenue = module.VENUE
    return venue
