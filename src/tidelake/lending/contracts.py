"""A market of the registry as its family asks for it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tidelake.config import setting
from tidelake.lending.market import KnownAsset, Market
from tidelake.lending.market_files import read_assets


@dataclass(frozen=True, slots=True)
class MarketContracts:
    """What a family needs to know of a market; see `lending.spec.Contracts`."""

    id: str
    contracts: Mapping[str, str]
    known_tokens: tuple[str, ...] = ()


def contracts_of(market: Market) -> MarketContracts:
    """A market with the tokens that the files of known assets list for it, ours and those of the setting `markets`."""
    own = setting("markets", None, default="")
    return MarketContracts(market.id, market.contracts, _tokens_of_files(own).get(market.id, ()))


@cache
def _tokens_of_files(folder: str) -> dict[str, tuple[str, ...]]:
    return tokens_by_market(read_assets(Path(folder) if folder else None))


def tokens_by_market(assets: Iterable[KnownAsset]) -> dict[str, tuple[str, ...]]:
    """The tokens that suppliers hold of markets that may not be able to list them: those of Compound v2, in order."""
    found: dict[str, list[str]] = {}
    for asset in assets:
        if asset.role == "ctoken" and asset.supply_token is not None:
            found.setdefault(asset.market, []).append(asset.supply_token.lower())
    return {market: tuple(dict.fromkeys(tokens)) for market, tokens in found.items()}
