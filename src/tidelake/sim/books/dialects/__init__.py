"""The dialects of the simulated venues' sockets, one file for each family."""

import importlib

from tidelake.errors import NotInLake
from tidelake.sim.books.wire import Dialect

MODULES = {
    "binance-spot": "binance",
    "binance-usdm": "binance",
    "binance-coinm": "binance",
    "coinbase": "coinbase",
    "coinbase-advanced": "coinbase_advanced",
    "kraken": "kraken",
    "okx": "okx",
    "bybit": "bybit",
    "deribit": "deribit",
}


def dialect(source: str) -> Dialect:
    """How this venue talks over its sockets.

    Raises:
        NotInLake: There is none; `available` lists those that exist.
    """
    if source not in MODULES:
        raise NotInLake(
            f"no simulated sockets of {source!r}; there are: {', '.join(MODULES)}", available=tuple(MODULES)
        )
    module = importlib.import_module(f"{__name__}.{MODULES[source]}")
    found: dict[str, Dialect] = module.DIALECTS
    return found[source]
