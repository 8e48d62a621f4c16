"""Crypto market data that can be proved: verbatim capture, exactly-once tables, point-in-time reads.

    import tidelake

    lake = tidelake.open("./lake")
    lake.sql("select source, count(*) from trades group by source")

Names are imported when they are first used, so that `import tidelake` stays light.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidelake.client import Lake as Lake, open as open
    from tidelake.errors import (
        ConfigError as ConfigError,
        FormatDrift as FormatDrift,
        LaneMoved as LaneMoved,
        LedgerBroken as LedgerBroken,
        MissingExtra as MissingExtra,
        NotInLake as NotInLake,
        SequenceGap as SequenceGap,
        SourceError as SourceError,
        TidelakeError as TidelakeError,
    )

__version__ = "0.1.0"

_HOMES = {
    "tidelake.client": ("Lake", "open"),
    "tidelake.errors": (
        "ConfigError",
        "FormatDrift",
        "LaneMoved",
        "LedgerBroken",
        "MissingExtra",
        "NotInLake",
        "SequenceGap",
        "SourceError",
        "TidelakeError",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """The public name, from its module."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
