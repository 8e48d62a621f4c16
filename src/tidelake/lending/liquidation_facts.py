"""What a log tells of a liquidation: the market that it belongs to, its tokens and its amounts.

The market follows from the address that logged. Decimals are those of the registry's known assets: the amounts in whole
tokens are null where it does not know the token, and the integers stand all the same.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from tidelake.chains.addresses import NATIVE
from tidelake.chains.logs import LogFact
from tidelake.config import setting
from tidelake.lending.contracts import MarketContracts, contracts_of
from tidelake.lending.families.registry import FAMILIES
from tidelake.lending.market import KnownAsset, Market
from tidelake.lending.market_files import read_assets
from tidelake.lending.recorded import LogsNote
from tidelake.lending.spec import Liquidation
from tidelake.tables.fact_rows import whole

VERSION = 1
NATIVE_DECIMALS = 18  # on every chain of the registry
BY_ASKING = ("compound_v2",)  # families whose contracts no file lists whole: who was asked for owns the logs of others
TOPICS = {topic: event.name for family in FAMILIES.values() for topic, event in family.by_topic.items()}


class LiquidationFacts:
    """Reads liquidations of the markets of a registry.

    Attributes:
        version: Of the code and of the facts.
    """

    def __init__(self, markets: Mapping[str, Market]) -> None:
        assets = _assets(setting("markets", None, default=""))
        self._markets = markets
        self._contracts = {name: contracts_of(market) for name, market in markets.items() if market.family in FAMILIES}
        self._addresses = {name: _own_addresses(markets[name], known) for name, known in self._contracts.items()}
        self._decimals = _decimals(markets, assets)
        self._behind = {
            (markets[asset.market].chain, asset.supply_token.lower()): (asset.asset or NATIVE).lower()
            for asset in assets
            if asset.role == "ctoken" and asset.supply_token and asset.market in markets
        }
        facts = repr((sorted(self._decimals.items()), sorted(self._behind.items())))
        self.version = f"lending/liquidations@{VERSION}.{hashlib.sha256(facts.encode()).hexdigest()[:8]}"

    def of_log(self, note: LogsNote, log: LogFact, where: dict[str, object]) -> dict[str, object] | None:
        """The facts of a liquidation; None where the log tells of something else.

        Raises:
            FormatDrift: It has the first topic of a liquidation, and another form.
            ValueError: Its address belongs to no market that was asked for, or to several.
        """
        topic = log.topics[0] if log.topics else ""
        if topic not in TOPICS:
            return None
        market = self._market_of(note.markets, log)
        family = FAMILIES[market.family]
        if topic not in family.by_topic:
            return None
        return {**where, **self._facts(market, family.liquidation(self._contracts[market.id], log))}

    def _market_of(self, asked: Sequence[str], log: LogFact) -> Market:
        """The market whose contract logged. A cToken that is in no file belongs to the one Compound v2 asked for."""
        known = [name for name in asked if name in self._contracts]
        owners = [name for name in known if log.address in self._addresses[name]]
        if not owners:
            owners = [name for name in known if self._markets[name].family in BY_ASKING]
        if len(owners) != 1:
            raise ValueError(f"{log.address} is of {len(owners)} of the markets {', '.join(asked) or '(none)'}")
        return self._markets[owners[0]]

    def _facts(self, market: Market, found: Liquidation) -> dict[str, object]:
        debt = found.debt_token or self._debt_token(market, found)
        decimals = self._decimals.get((market.chain, debt or ""))
        collateral = found.collateral_token
        of_collateral = self._decimals.get((market.chain, collateral or ""))
        return {
            "collateral_asset": collateral or "",
            "market": market.id,
            "protocol": market.protocol,
            "family": market.family,
            "event": TOPICS[found.log.topics[0]],
            "borrower": found.borrower,
            "liquidator": found.liquidator,
            "part": found.part,
            "debt_asset": debt,
            "debt_decimals": decimals,
            **_amount("debt_repaid", found.debt_repaid, decimals),
            "collateral_decimals": of_collateral,
            **_amount("collateral_seized", found.collateral_seized, of_collateral),
            **_amount("bad_debt", found.bad_debt, decimals),
        }

    def _debt_token(self, market: Market, found: Liquidation) -> str | None:
        """The token of a debt that the log does not name: the base asset, or what stands behind a known cToken."""
        if found.debt_repaid is None:
            return None
        if market.base is not None:
            return market.base.address.lower()
        return self._behind.get((market.chain, found.part))


def _amount(name: str, raw: int | None, decimals: int | None) -> dict[str, object]:
    return {name: whole(raw, decimals), f"{name}_raw": None if raw is None else str(raw)}


def _own_addresses(market: Market, known: MarketContracts) -> frozenset[str]:
    told = FAMILIES[market.family].addresses(known, ())
    return frozenset(address.lower() for address in (*told, *known.known_tokens))


@cache
def _assets(folder: str) -> tuple[KnownAsset, ...]:
    return read_assets(Path(folder) if folder else None)


def _decimals(markets: Mapping[str, Market], assets: Iterable[KnownAsset]) -> dict[tuple[str, str], int]:
    """By chain and token, of those that all files tell alike."""
    told: dict[tuple[str, str], set[int]] = {}
    for asset in assets:
        if asset.market not in markets:
            continue
        chain = markets[asset.market].chain
        for address, decimals in ((asset.asset, asset.decimals), (asset.supply_token, asset.supply_decimals)):
            if address and decimals is not None:
                told.setdefault((chain, address.lower()), set()).add(decimals)
    for market in markets.values():
        told[market.chain, NATIVE] = {NATIVE_DECIMALS}
        if market.base is not None:
            told.setdefault((market.chain, market.base.address.lower()), set()).add(market.base.decimals)
    return {token: next(iter(found)) for token, found in told.items() if len(found) == 1}
