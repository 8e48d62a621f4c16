"""The vendors by name."""

from tidelake.errors import NotInLake
from tidelake.vendors import crypto_lake, tardis
from tidelake.vendors.spec import Vendor

VENDORS = {vendor.name: vendor for vendor in (crypto_lake.VENDOR, tardis.VENDOR)}


def vendor(name: str) -> Vendor:
    """The vendor of that name.

    Raises:
        NotInLake: There is none; `available` lists those that exist.
    """
    try:
        return VENDORS[name]
    except KeyError:
        known = tuple(VENDORS)
        raise NotInLake(f"no vendor {name!r}; known vendors: {', '.join(known)}", available=known) from None
