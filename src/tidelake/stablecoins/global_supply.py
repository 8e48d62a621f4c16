"""A coin's supply over all chains: each unit once, exactly, and what is not known of it named."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tidelake.stablecoins.coin import SOLANA, Balance, Coin, Deployment

# Chain and address, the address of an EVM in small letters (`coin.Deployment.key`).
Account: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the sum, or one that is shown beside it.

    Attributes:
        chain, address: The deployment, or the account whose balance is taken out.
        what: Form of the deployment, or whose account it is.
        units: In smallest units of the deployment.
        decimals: Of these units.
    """

    chain: str
    address: str
    what: str
    units: int
    decimals: int


@dataclass(frozen=True, slots=True)
class GlobalSupply:
    """What there is of a coin over all chains.

    Attributes:
        coin: Symbol of the coin.
        units: Supplies of `counted` less balances of `taken_out`, in units of 10 ** -`decimals` coins, exact.
        decimals: The most that any part of the sum has.
        counted: Deployments that are in the sum.
        taken_out: Balances that were taken out of it.
        apart: Backed tokens (`lock_backed`, `binance_peg`, `issuer_bridged`) and unverified ones: they show where coins
            are and are never added.
        missing: What would belong into the sum and was not told, in words: the sum is then no global supply.
        outside: Where the coin is issued besides the deployments of the registry, in words.
        caveats: Why the sum is not what circulates all the same, in words.
    """

    coin: str
    units: int
    decimals: int
    counted: tuple[Share, ...]
    taken_out: tuple[Share, ...]
    apart: tuple[Share, ...]
    missing: tuple[str, ...]
    outside: tuple[str, ...]
    caveats: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether the sum is what circulates: all was told, nothing is issued elsewhere, and no caveat stands."""
        return not (self.missing or self.outside or self.caveats)


def global_supply(
    coin: Coin,
    supplies: Mapping[Account, int],
    balances: Mapping[Account, int],
    decimals: Mapping[Account, int] | None = None,
) -> GlobalSupply:
    """The sum over chains of what was told at one moment.

    Args:
        coin: The coin.
        supplies: `totalSupply` of deployments, in their smallest units. One that is not told is missing, never zero.
        balances: Balances of accounts of `coin.not_counted`, likewise. One whose chain's supply is not told is not
            taken out of the others.
        decimals: Of deployments that the registry tells none of.

    Raises:
        ValueError: An amount is negative or of none of the coin's accounts; decimals are not known, or others than the
            registry's; or more is taken out of a chain than was told of it.
    """
    _check_accounts(coin, supplies, balances)
    shares = {
        deployment.key: _share(deployment, supplies[deployment.key], decimals or {})
        for deployment in coin.deployments
        if deployment.key in supplies
    }
    counted = [shares[one.key] for one in coin.deployments if one.counted is True and one.key in shares]
    missing = [f"supply on {one.chain}" for one in coin.deployments if one.counted is True and one.key not in shares]
    told = [(balance, balances[account_of(balance)]) for balance in coin.not_counted if account_of(balance) in balances]
    missing += [
        f"balance on {balance.chain} of {balance.address} ({balance.what})"
        for balance in coin.not_counted
        if account_of(balance) not in balances
    ]
    taken_out = [
        Share(*account_of(balance), balance.what, units, share.decimals)
        for balance, units in told
        for share in counted
        if share.chain == balance.chain
    ]
    _check_taken_out(coin, counted, taken_out)
    most = max((share.decimals for share in counted), default=0)
    return GlobalSupply(
        coin=coin.symbol,
        units=_sum(counted, most) - _sum(taken_out, most),
        decimals=most,
        counted=tuple(counted),
        taken_out=tuple(taken_out),
        apart=tuple(shares[one.key] for one in coin.deployments if one.counted is not True and one.key in shares),
        missing=tuple(missing),
        outside=coin.outside,
        caveats=coin.caveats,
    )


def account_of(balance: Balance) -> Account:
    """The account of a balance, as `balances` of `global_supply` has it."""
    return balance.chain, balance.address if balance.chain == SOLANA else balance.address.lower()


def _check_accounts(coin: Coin, supplies: Mapping[Account, int], balances: Mapping[Account, int]) -> None:
    known = {deployment.key for deployment in coin.deployments}, set(map(account_of, coin.not_counted))
    for name, told, accounts in zip(("supply", "balance"), (supplies, balances), known, strict=True):
        for account, units in told.items():
            if account not in accounts:
                raise ValueError(f"{coin.symbol}: no {name} of {account[1]} on {account[0]} is known to the registry")
            if units < 0:
                raise ValueError(f"{coin.symbol}: the {name} of {account[1]} on {account[0]} is {units}, below 0")


def _check_taken_out(coin: Coin, counted: list[Share], taken_out: list[Share]) -> None:
    for share in counted:
        taken = sum(one.units for one in taken_out if one.chain == share.chain)
        if taken > share.units:
            raise ValueError(f"{coin.symbol}: {taken} units are taken out of {share.units} on {share.chain}")


def _share(deployment: Deployment, units: int, told: Mapping[Account, int]) -> Share:
    decimals = told.get(deployment.key, deployment.decimals)
    where = f"{deployment.symbol} on {deployment.chain}"
    if decimals is None:
        raise ValueError(f"{where}: its decimals are not known to the registry, and none were given")
    if deployment.decimals not in (None, decimals):
        raise ValueError(f"{where}: {decimals} decimals were given, the registry says {deployment.decimals}")
    return Share(*deployment.key, deployment.form, units, decimals)


def _sum(shares: list[Share], decimals: int) -> int:
    return sum(int(share.units * 10 ** (decimals - share.decimals)) for share in shares)
