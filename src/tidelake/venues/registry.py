"""Finds the venues: every module of this package that holds a `VENUE`, by its source id."""

import importlib
import pkgutil
from functools import cache

import tidelake.venues as package
from tidelake.errors import NotInLake
from tidelake.venues.spec import Venue


@cache
def venues() -> dict[str, Venue]:
    """All venues by source id, in alphabetical order."""
    modules = (importlib.import_module(f"{package.__name__}.{m.name}") for m in pkgutil.iter_modules(package.__path__))
    found = (module.VENUE for module in modules if hasattr(module, "VENUE"))
    return {venue.source: venue for venue in sorted(found, key=lambda v: v.source)}


def venue(source: str) -> Venue:
    """The venue with this source id.

    Raises:
        NotInLake: No venue has it; `available` lists those that exist.
    """
    try:
        return venues()[source]
    except KeyError:
        known = tuple(venues())
        raise NotInLake(f"no venue {source!r}; known venues: {', '.join(known)}", available=known) from None
