"""The words in which a lending market is described; files of markets (`facts/*.toml`, and yours) hold these as TOML."""

import datetime as dt
from collections.abc import Mapping
from typing import Literal

import msgspec

from tidelake.chains.fact_files import Source

FAMILIES = ("aave_v2", "aave_v3", "compound_v2", "compound_v3", "euler_v2", "fluid", "morpho_blue")

# The contract that a family's reads begin with, which every market of it has.
MAIN_CONTRACT = {
    "aave_v2": "pool",
    "aave_v3": "pool",
    "compound_v2": "comptroller",
    "compound_v3": "comet",
    "euler_v2": "evault_factory",
    "fluid": "liquidity",
    "morpho_blue": "morpho",
}

# Members of a family whose logs or reads differ in one thing that the family's code must know.
VARIANTS = {"aave_v2": ("radiant",), "compound_v2": ("venus_isolated",)}


class DatedContract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A contract that was replaced, or replaces one.

    Attributes:
        contract: Which of the market's contracts.
        address: Its address.
        registered_by: UTC day by which the address book held it: some days after it was in use.
        commit: The commit of the address book that brought it.
    """

    contract: str
    address: str
    registered_by: dt.date
    commit: str


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token, with the decimals of its amounts."""

    symbol: str
    address: str
    decimals: int


class Deployment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Since when a market is there.

    Attributes:
        block: Block of its deployment; None where none was read, and then a doubt says so.
        of: What was deployed in it.
        time: Time of the block, UTC; None where it was not read.
        date: UTC day of the block, where no time was read.
        provider_block: Block of its addresses provider.
        registry_block: First block of the official subgraph.
        defillama_start: First day that DefiLlama counts.
        listed_by: Day by which its makers' repository listed it.
        sources: Where it was read; doubts name what was read elsewhere.
    """

    sources: tuple[Source, ...]
    block: int | None = None
    of: str | None = None
    time: dt.datetime | None = None
    date: dt.date | None = None
    provider_block: int | None = None
    registry_block: int | None = None
    defillama_start: dt.date | None = None
    listed_by: dt.date | None = None


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a status rests on, and where it was read."""

    basis: str
    source: Source


class Market(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One market: a set of contracts of one protocol on one chain, the unit of the panel.

    Attributes:
        id: Its name, unique: `aave_v3_ethereum`.
        protocol: Who made it.
        version: As its makers call it.
        family: Whose contracts it speaks, one of `FAMILIES`.
        variant: In what it differs from the family; None where in nothing.
        title: The makers' name of the market.
        chain: Name of the chain.
        tier: "core" or "extended", a judgement; "own" for markets of yours.
        status: "active", or "deprecated": it stays in the panel.
        contracts: Addresses by name; a replaced one is today's here, and `history` has all.
        deployment: Since when it is there.
        evidence: What the status rests on.
        sources: Where the contracts were read.
        assets_read: Where its known assets were read.
        base: The asset that a Compound v3 market lends.
        history: Contracts that were replaced, oldest first.
        doubts: What is not sure, in words.
        notes: What to know of it, in words.
    """

    id: str
    protocol: str
    version: str
    family: str
    title: str
    chain: str
    tier: Literal["core", "extended", "own"]
    status: Literal["active", "deprecated"]
    contracts: Mapping[str, str]
    deployment: Deployment
    sources: tuple[Source, ...]
    evidence: tuple[Evidence, ...] = ()
    assets_read: tuple[Source, ...] = ()
    base: Token | None = None
    history: tuple[DatedContract, ...] = ()
    variant: str | None = None
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def contract_at(self, name: str, day: dt.date) -> str:
        """The address of a contract that stood on a UTC day, as far as the address book tells.

        It is known to lag by some days: reads that must hold at every block begin with a contract without history.

        Raises:
            KeyError: The market has no such contract.
        """
        dated = [entry for entry in self.history if entry.contract == name]
        if not dated:
            return self.contracts[name]
        return next((entry.address for entry in reversed(dated) if entry.registered_by <= day), dated[0].address)


class KnownAsset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An asset of a market as a file told it: no list is complete, the chain tells which there are.

    Attributes:
        market: Id of the market.
        role: "reserve" (Aave), "base" or "collateral" (Compound v3), "ctoken" (Compound v2).
        symbol: Of the asset; None where it was not read.
        decimals: Of the asset's amounts; None where they were not read.
        asset: Its contract; None for the chain's own coin.
        supply_token: The token that suppliers hold: aToken, cToken.
        supply_symbol: Its symbol.
        supply_decimals: Of its amounts.
        debt_token: The token of variable debt.
        since_block: Block in which the supply token was deployed.
    """

    market: str
    role: Literal["reserve", "base", "collateral", "ctoken"]
    symbol: str | None
    decimals: int | None
    asset: str | None
    supply_token: str | None
    supply_symbol: str | None
    supply_decimals: int | None
    debt_token: str | None
    since_block: int | None
