"""Simulated markets by family: contracts that answer from a seeded model, and what is true of them."""

from tidelake.sim.chains.families.aave import AavePool
from tidelake.sim.chains.families.compound_v2 import Comptroller
from tidelake.sim.chains.families.compound_v3 import Comet
from tidelake.sim.chains.families.morpho import Morpho
from tidelake.sim.chains.families.place import Place, SimMarket

SIMULATED = ("aave_v2", "aave_v3", "compound_v2", "compound_v3", "morpho_blue")


def simulated_market(place: Place) -> SimMarket:
    """The market at a place, of one of the families of `SIMULATED`."""
    family = place.market.family
    if family == "compound_v2":
        return Comptroller(place)
    if family == "compound_v3":
        return Comet(place)
    if family == "morpho_blue":
        return Morpho(place)
    return AavePool(place, is_v3=family == "aave_v3")
