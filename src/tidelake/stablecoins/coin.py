"""The words in which a stablecoin is described; files of coins (`facts/*.toml`, and yours) hold these as TOML."""

import datetime as dt
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, TypeAlias

import msgspec

from tidelake.chains.abi import Event, event
from tidelake.chains.fact_files import Source

SOLANA = "solana"  # the one chain of coins that `chains/` describes by no EVM facts: no logs, other addresses

# How a token comes to be on a chain.
#   native             minted by the issuer there
#   issuer_burn_mint   same issuer, moved between chains by burning and minting: each chain counts
#   issuer_bridged     bridge tokens run by the issuer; the global figure is taken on the home chain
#   lock_backed        minted against tokens locked elsewhere: they are counted there
#   binance_peg        minted by Binance against tokens that it holds: they are counted there
#   native_unverified  told by somebody to be native, by others not; a doubt says which
Form: TypeAlias = Literal[
    "native", "issuer_burn_mint", "issuer_bridged", "lock_backed", "binance_peg", "native_unverified"
]
COUNTED_FORMS = ("native", "issuer_burn_mint")

# What an event of an issuer's contract tells.
#   mint, burn      the supply grew or shrank by its amount
#   wipe            it shrank because the issuer destroyed what a holder had
#   zero_transfer   a Transfer: from the zero address a mint, to it a burn, else nothing
#   echo            what another event of the same call tells already: never counted
#   replaced        the contract hands over to another one: from here on its events do not tell the supply
Tells: TypeAlias = Literal["mint", "burn", "wipe", "zero_transfer", "echo", "replaced"]

# By what the supply of a deployment is followed.
#   events      the coin's own events, as its contract was read
#   transfers   Transfers from and to the zero address, as its contract was read
#   assumed     the same by the custom of ERC-20: the contract was not read, `totalSupply()` is the check
#   none        nothing here: no logs of an EVM
Changes: TypeAlias = Literal["events", "transfers", "assumed", "none"]


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a page says that is no file of a repository."""

    says: str
    url: str


class Bound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a coin's time begins, or ends.

    Attributes:
        date: UTC day, the first or the last on which it is there; None where only something else was read.
        what: What happened then, in words.
        chain, block: The block, where that was read.
        sources, statements: Where it was read.
    """

    date: dt.date | None = None
    what: str = ""
    chain: str | None = None
    block: int | None = None
    sources: tuple[Source, ...] = ()
    statements: tuple[Statement, ...] = ()


class ProviderIds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What providers call the coin.

    Attributes:
        coingecko: Id at CoinGecko.
        defillama: Id among DefiLlama's stablecoins.
        defillama_symbol: Its symbol there.
        defillama_doublecounted: Whether DefiLlama leaves it out of its sums over coins.
        coinmarketcap: Id at CoinMarketCap; None where none was read.
    """

    coingecko: str
    defillama: str
    defillama_symbol: str
    defillama_doublecounted: bool
    sources: tuple[Source, ...]
    coinmarketcap: str | None = None


class IssuerEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event of the issuer's contract.

    Attributes:
        declaration: `event Name(type indexed name, ..)`.
        tells: What it tells.
        by: The parameter that names who minted or burned (where only that is told, for whom), or whose tokens were
            wiped; None where none does.
    """

    declaration: str
    tells: Tells
    source: Source
    by: str | None = None

    @property
    def event(self) -> Event:
        """The event, to be decoded; raises ValueError where the declaration is none."""
        return _event(self.declaration)

    @property
    def amount(self) -> str | None:
        """The one parameter of type uint256, the amount in smallest units; None where there is not one such."""
        found = [parameter.name for parameter in self.event.parameters if parameter.type == "uint256"]
        return found[0] if len(found) == 1 else None


class Mover(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A contract that mints and burns to move tokens between chains: what it does is no issuance.

    Attributes:
        chain, address: Where it stands; it is the minter or burner of the token's events.
        what: Its name.
    """

    chain: str
    address: str
    what: str
    source: Source


class SupplyRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a coin's supply comes and goes.

    Attributes:
        says: The rule in words.
        applies_to: For which deployments it was read, in words.
        zero_address_transfers: Whether mints and burns log Transfers from and to the zero address; None: not read.
        events: Events of the contract that were read.
        movers: Contracts that mint and burn to move the token between chains.
        movers_known_on: Chains of which all such contracts are listed: there, whoever else mints is the issuer.
        notes: What to know of it, in words.
        sources: Where the rule was read; none where no contract was.
    """

    says: str
    sources: tuple[Source, ...]
    applies_to: str | None = None
    zero_address_transfers: bool | None = None
    events: tuple[IssuerEvent, ...] = ()
    movers: tuple[Mover, ...] = ()
    movers_known_on: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Balance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account whose balance of the coin is taken out of the sum over chains, or that holds what backs a token.

    Attributes:
        what: Whose account it is.
        since: From when on, UTC, as its source counts it; None where that was not read.
    """

    chain: str
    address: str
    what: str
    source: Source
    since: dt.datetime | None = None


class ContractDeploy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the token's contract was deployed: block, and its UTC day; without sources a doubt says where from."""

    block: int
    date: dt.date
    sources: tuple[Source, ...] = ()


class Deployment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A coin's token on one chain.

    Attributes:
        chain: Name of the chain, as in `chains/`, or "solana".
        address: Its contract (with the checksum of EIP-55), or its mint account on Solana.
        symbol: What it calls itself there.
        decimals: Of its amounts; None where they were not read: ask `decimals()`.
        form: How it comes to be there.
        counted: Whether its supply is part of the coin's global supply; None where that is not known.
        changes: By what its supply is followed.
        escrows: Accounts that hold the tokens which back it.
        ccip_token_pool: Its token pool of Chainlink's CCIP; None where none was read.
        deploy: When its contract was deployed; None where that was not read.
    """

    chain: str
    address: str
    symbol: str
    form: Form
    changes: Changes
    sources: tuple[Source, ...]
    decimals: int | None = None
    counted: bool | None = None
    escrows: tuple[Balance, ...] = ()
    ccip_token_pool: str | None = None
    deploy: ContractDeploy | None = None
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Chain and address, the address of an EVM in small letters, as logs have it."""
        return self.chain, self.address if self.chain == SOLANA else self.address.lower()


class Coin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One stablecoin, over all its chains.

    Attributes:
        symbol: Its name here, unique: "USDC".
        issuer: Who makes it.
        peg_mechanism: As DefiLlama sorts it.
        home: Where it is issued, in words; None where it was not told.
        start: From when on it is there; None where nothing was read: it is taken as there always.
        end: Until when; None where it has not ended, as far as was read.
        not_counted: Balances that are taken out of the global supply.
        outside: Where it is issued besides these deployments, in words: their sum is then too small.
        caveats: Why their sum is not what circulates all the same, in words.
        contracts: Further contracts on Ethereum by name, that its rule or notes speak of.
    """

    symbol: str
    issuer: str
    peg_mechanism: Literal["fiat-backed", "crypto-backed", "algorithmic"]
    ids: ProviderIds
    supply: SupplyRule
    deployments: tuple[Deployment, ...]
    home: str | None = None
    start: Bound | None = None
    end: Bound | None = None
    not_counted: tuple[Balance, ...] = ()
    outside: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    contracts: Mapping[str, str] = msgspec.field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    note_sources: tuple[Source, ...] = ()

    def there_on(self, day: dt.date) -> bool:
        """Whether it is there on a UTC day; its first and last day are days on which it is."""
        first = self.start.date if self.start else None
        last = self.end.date if self.end else None
        return (first is None or first <= day) and (last is None or day <= last)


@lru_cache
def _event(declaration: str) -> Event:
    return event(declaration)
