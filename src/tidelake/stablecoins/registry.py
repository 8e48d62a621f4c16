"""The registry of stablecoins: read, and held against what must be true of every coin."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from tidelake.chains.addresses import address_fault, solana_address_fault
from tidelake.chains.fact_files import Problem, fact_files, read_facts, refuse_problems
from tidelake.chains.registry import CHAINS
from tidelake.config import setting
from tidelake.stablecoins.coin import COUNTED_FORMS, SOLANA, Bound, Coin, Deployment, IssuerEvent

_CHAINS = (*CHAINS, SOLANA)
_MOST_DECIMALS = 36  # more would not be a token's; 18 is the most of those known
_TELL_BY_EVENTS = frozenset({"mint", "burn", "wipe"})


class _File(msgspec.Struct, forbid_unknown_fields=True):
    coin: tuple[Coin, ...] = ()


def coins(at: dt.date | None = None, folder: Path | str | None = None) -> dict[str, Coin]:
    """Coins by symbol, ours and those of a folder of yours: `folder`, or that of the setting `coins`.

    Args:
        at: A UTC day: only the coins that are there on it, first and last day included. None: all. A coin without
            a date is taken as there, and one of its doubts says so.
        folder: Where files of yours are.

    Raises:
        ConfigError: A file cannot be read, or a coin has a problem.
    """
    own = setting("coins", folder, default="")
    found = read_coins(Path(own) if own else None)
    refuse_problems(validate(found), "stablecoins")
    return {coin.symbol: coin for coin in found if at is None or coin.there_on(at)}


def read_coins(folder: Path | None = None) -> tuple[Coin, ...]:
    """All coins of the files `*.toml`, ours first, then those of `folder`, by name of file.

    Raises:
        ConfigError: A file is not TOML or not of the form; the message names the file and the place in it.
    """
    found = fact_files("tidelake.stablecoins", folder, ".toml", "stablecoins")
    return tuple(coin for file in found for coin in read_facts(file, _File).coin)


def validate(found: Iterable[Coin]) -> list[Problem]:
    """What is wrong with coins, in their order; nothing where all is well."""
    found = tuple(found)
    times = Counter(coin.symbol for coin in found)
    problems = [Problem(name, f"{count} coins have this symbol") for name, count in times.items() if count > 1]
    problems += [Problem(coin.symbol, text) for coin in found for text in _problems(coin)]
    return problems + list(_shared_addresses(found))


def _shared_addresses(found: tuple[Coin, ...]) -> Iterator[Problem]:
    """A log's coin follows from its chain and address, so that no two deployments may have the same."""
    owners: dict[tuple[str, str], str] = {}
    for coin in found:
        for deployment in coin.deployments:
            chain, address = key = deployment.key
            if key in owners:
                yield Problem(coin.symbol, f"{address} on {chain} is told twice, first of {owners[key]}")
            owners.setdefault(key, coin.symbol)


def _problems(coin: Coin) -> Iterator[str]:
    if not coin.symbol or coin.symbol != coin.symbol.strip() or ":" in coin.symbol:
        yield f"the symbol {coin.symbol!r} is empty, or has a colon or spaces around it"
    if not coin.deployments:
        yield "no deployment is told"
    if not coin.ids.sources:
        yield "no source of the ids of providers is named"
    yield from _time_problems(coin)
    for chain in dict.fromkeys(balance.chain for balance in coin.not_counted):
        if sum(one.chain == chain and one.counted is True for one in coin.deployments) != 1:
            yield f"balances on {chain} are not counted, which needs exactly one counted deployment there"
    for of, chain, address in _accounts(coin):
        if fault := _account_fault(chain, address):
            yield f"{of}: {fault}"
    yield from _rule_problems(coin)
    for deployment in coin.deployments:
        where = f"{deployment.symbol} on {deployment.chain}"
        yield from (f"{where}: {text}" for text in _deployment_problems(coin, deployment))


def _time_problems(coin: Coin) -> Iterator[str]:
    start, end = coin.start or Bound(), coin.end or Bound()
    if start.date is None and not coin.doubts:
        yield "no day of its start is told, and no doubt says so"
    if start.date and end.date and start.date > end.date:
        yield f"it ends on {end.date}, before it starts on {start.date}"
    for name, bound in (("start", coin.start), ("end", coin.end)):
        if bound is not None and not bound.sources and not bound.statements:
            yield f"nothing is named that its {name} rests on"
        if bound is not None and (bound.block is None) != (bound.chain is None):
            yield f"its {name} needs both chain and block, or neither"


def _rule_problems(coin: Coin) -> Iterator[str]:
    for told in coin.supply.events:
        yield from _event_problems(told)
    for chain in coin.supply.movers_known_on:
        if chain not in _CHAINS:
            yield f"no chain {chain!r}, on which all movers are known; known chains: {', '.join(_CHAINS)}"


def _event_problems(told: IssuerEvent) -> Iterator[str]:
    try:
        parameters = told.event.parameters
    except ValueError as exc:
        yield str(exc)
        return
    if told.tells in _TELL_BY_EVENTS and told.amount is None:
        yield f"{told.event.signature} needs exactly one uint256, its amount"
    by = next((parameter for parameter in parameters if parameter.name == told.by), None)
    if told.by is not None and (by is None or by.type != "address"):
        yield f"{told.event.signature} has no parameter {told.by!r} of type address"
    if told.tells == "zero_transfer" and told.event.signature != "Transfer(address,address,uint256)":
        yield f"{told.event.signature} is no Transfer of ERC-20"


def _deployment_problems(coin: Coin, deployment: Deployment) -> Iterator[str]:
    if not deployment.sources:
        yield "no source is named"
    if deployment.decimals is not None and not 0 <= deployment.decimals <= _MOST_DECIMALS:
        yield f"{deployment.decimals} decimals, expected 0 to {_MOST_DECIMALS}"
    yield from _count_problems(deployment)
    yield from _changes_problems(coin, deployment)
    if deployment.deploy is not None and deployment.deploy.block < 0:
        yield f"deploy block {deployment.deploy.block} is below 0"
    if deployment.deploy is not None and not deployment.deploy.sources and not deployment.doubts:
        yield "nothing is named that its deploy block rests on, and no doubt says so"
    for escrow in deployment.escrows:
        if escrow.since is not None and escrow.since.tzinfo is None:
            yield f"the time of {escrow.what} has no time zone"


def _count_problems(deployment: Deployment) -> Iterator[str]:
    expected = None if deployment.form == "native_unverified" else deployment.form in COUNTED_FORMS
    if deployment.counted is not expected:
        told = {True: "counted in the global supply", False: "not counted", None: "of unknown count"}
        yield f"{deployment.form} and {told[deployment.counted]}, expected {told[expected]}"
    if deployment.counted is None and not deployment.doubts:
        yield "whether it counts is not known, and no doubt says why"


def _changes_problems(coin: Coin, deployment: Deployment) -> Iterator[str]:
    if (deployment.changes == "none") != (deployment.chain == SOLANA):
        yield f"changes {deployment.changes!r} on {deployment.chain}: 'none' is for {SOLANA}, and only for it"
    told = {event.tells for event in coin.supply.events}
    if deployment.changes == "events" and not {"mint", "burn"} <= told:
        yield "followed by events, and the coin has not both one that tells mints and one that tells burns"
    if deployment.changes == "transfers" and "zero_transfer" not in told:
        yield "followed by transfers, and no event of the coin tells by them"


def _accounts(coin: Coin) -> Iterator[tuple[str, str, str]]:
    """All addresses: whose, chain, address."""
    for name, address in coin.contracts.items():
        yield name, "ethereum", address
    for mover in coin.supply.movers:
        yield mover.what, mover.chain, mover.address
    for balance in coin.not_counted:
        yield balance.what, balance.chain, balance.address
    for deployment in coin.deployments:
        where = f"{deployment.symbol} on {deployment.chain}"
        yield where, deployment.chain, deployment.address
        if deployment.ccip_token_pool is not None:
            yield f"token pool of {where}", deployment.chain, deployment.ccip_token_pool
        for escrow in deployment.escrows:
            yield f"escrow of {where}", escrow.chain, escrow.address


def _account_fault(chain: str, address: str) -> str | None:
    if chain not in _CHAINS:
        return f"no chain {chain!r}; known chains: {', '.join(_CHAINS)}"
    return solana_address_fault(address) if chain == SOLANA else address_fault(address)
