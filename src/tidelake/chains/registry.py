"""The chains by name."""

from tidelake.chains import (
    arbitrum,
    avalanche,
    base,
    bnb,
    celo,
    ethereum,
    fantom,
    gnosis,
    hyperevm,
    ink,
    linea,
    mantle,
    megaeth,
    metis,
    moonbeam,
    optimism,
    plasma,
    polygon,
    ronin,
    scroll,
    soneium,
    sonic,
    unichain,
    xlayer,
    zksync,
)
from tidelake.chains.solana import SOLANA, SlotChain
from tidelake.chains.spec import Chain
from tidelake.errors import NotInLake

CHAINS: dict[str, Chain] = {
    module.CHAIN.name: module.CHAIN
    for module in (
        ethereum,
        arbitrum,
        base,
        optimism,
        polygon,
        avalanche,
        bnb,
        gnosis,
        scroll,
        linea,
        metis,
        sonic,
        zksync,
        celo,
        plasma,
        mantle,
        ink,
        unichain,
        ronin,
        moonbeam,
        megaeth,
        soneium,
        xlayer,
        fantom,
        hyperevm,
    )
}


SLOT_CHAINS: dict[str, SlotChain] = {SOLANA.name: SOLANA}


def followed_chain(name: str) -> Chain | SlotChain:
    """The chain of that name, one that numbers slots too.

    Raises:
        NotInLake: As for `chain`.
    """
    return SLOT_CHAINS.get(name) or chain(name)


def chain(name: str) -> Chain:
    """The chain of that name.

    Raises:
        NotInLake: There is none; `available` lists those that exist.
    """
    try:
        return CHAINS[name]
    except KeyError:
        known = tuple(CHAINS)
        raise NotInLake(f"no chain {name!r}; known chains: {', '.join(known)}", available=known) from None
