"""The registry of lending markets: read, and held against what must be true of every market."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from tidelake.chains.addresses import address_fault
from tidelake.chains.fact_files import Problem, refuse_problems
from tidelake.chains.registry import CHAINS
from tidelake.config import setting
from tidelake.lending.market import FAMILIES, MAIN_CONTRACT, VARIANTS, Market
from tidelake.lending.market_files import read_markets

_ID = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")


def markets(folder: Path | str | None = None) -> dict[str, Market]:
    """All markets by id, ours and those of a folder of yours: `folder`, or that of the setting `markets`.

    Raises:
        ConfigError: A file cannot be read, or a market has a problem.
    """
    own = setting("markets", folder, default="")
    found = read_markets(Path(own) if own else None)
    refuse_problems(validate(found), "lending markets")
    return {market.id: market for market in found}


def validate(found: Iterable[Market]) -> list[Problem]:
    """What is wrong with markets, in their order; nothing where all is well."""
    found = tuple(found)
    times = Counter(market.id for market in found)
    problems = [Problem(name, f"{count} markets have this id") for name, count in times.items() if count > 1]
    problems += _shared_contracts(found)
    return problems + [Problem(market.id, text) for market in found for text in _problems(market)]


def _shared_contracts(found: Iterable[Market]) -> Iterator[Problem]:
    """Markets of one contract: its value would be counted twice, and its liquidations be of neither."""
    first: dict[tuple[str, str], str] = {}
    for market in found:
        name = MAIN_CONTRACT.get(market.family, "")
        if name not in market.contracts:
            continue
        owner = first.setdefault((market.chain, market.contracts[name].lower()), market.id)
        if owner != market.id:
            yield Problem(market.id, f"{name}: {market.contracts[name]} is that of {owner}")


def _problems(market: Market) -> Iterator[str]:
    if not _ID.fullmatch(market.id):
        yield "the id is not of small letters, digits and single underscores"
    yield from _kind_problems(market)
    for name, address in _addresses(market):
        if fault := address_fault(address):
            yield f"{name}: {fault}"
    yield from _deployment_problems(market)
    yield from _history_problems(market)
    if not market.sources:
        yield "no source is named"
    if market.status != "active" and not market.evidence:
        yield f"nothing is named that the status {market.status!r} rests on"


def _kind_problems(market: Market) -> Iterator[str]:
    if market.chain not in CHAINS:
        yield f"no chain {market.chain!r}; known chains: {', '.join(CHAINS)}"
    if market.family not in FAMILIES:
        yield f"no family {market.family!r}; known families: {', '.join(FAMILIES)}"
        return
    if MAIN_CONTRACT[market.family] not in market.contracts:
        yield f"a market of {market.family} needs the contract {MAIN_CONTRACT[market.family]!r}"
    variants = VARIANTS.get(market.family, ())
    if market.variant is not None and market.variant not in variants:
        yield f"no variant {market.variant!r} of {market.family}; known: {', '.join(variants) or 'none'}"
    if (market.base is None) == (market.family == "compound_v3"):
        yield "a market of compound_v3 has a base asset, others have none"


def _deployment_problems(market: Market) -> Iterator[str]:
    told = market.deployment
    if told.block is None and not market.doubts:
        yield "no deployment block is told, and no doubt says so"
    if told.block is not None and told.block < 0:
        yield f"deployment block {told.block} is below 0"
    if told.time is not None and told.time.tzinfo is None:
        yield "the time of the deployment has no time zone"


def _history_problems(market: Market) -> Iterator[str]:
    for name in dict.fromkeys(entry.contract for entry in market.history):
        dated = [entry for entry in market.history if entry.contract == name]
        if any(before.registered_by > after.registered_by for before, after in pairwise(dated)):
            yield f"the history of {name} is not in the order of its days"
        if market.contracts.get(name) != dated[-1].address:
            yield f"the last {name} of the history is not that of the contracts"


def _addresses(market: Market) -> Iterator[tuple[str, str]]:
    yield from market.contracts.items()
    for entry in market.history:
        yield f"{entry.contract} of {entry.registered_by}", entry.address
    if market.base is not None:
        yield "base", market.base.address
