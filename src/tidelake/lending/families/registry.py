"""The families by name."""

from tidelake.errors import NotInLake
from tidelake.lending.families import aave_v2, aave_v3, compound_v2, compound_v3, morpho_blue
from tidelake.lending.spec import Family

FAMILIES = {
    family.name: family
    for family in (aave_v2.FAMILY, aave_v3.FAMILY, compound_v2.FAMILY, compound_v3.FAMILY, morpho_blue.FAMILY)
}


def family(name: str) -> Family:
    """The family of that name.

    Raises:
        NotInLake: There is none that is read; `available` lists those that are.
    """
    try:
        return FAMILIES[name]
    except KeyError:
        known = tuple(FAMILIES)
        raise NotInLake(
            f"no family {name!r} of lending protocols; read are {', '.join(known)}", available=known
        ) from None
