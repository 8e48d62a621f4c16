"""What a reader of the panel must know beside it: what was asked, of what it is made, and what each column means."""

import datetime as dt
import importlib.metadata
from collections.abc import Mapping
from typing import Any

import polars as pl

from tidelake.lending.market import Market
from tidelake.lending.panel.columns import COLUMNS, LOG_STATES, OBSERVED, STATUSES, file_type
from tidelake.lending.panel.reading import Panel
from tidelake.lending.price_judgement import ORDER, TOLERANCE
from tidelake.lending.price_rows import prices_lane
from tidelake.lending.recorded import blocks_lane, logs_lane, positions_lane
from tidelake.providers.registry import PROVIDERS
from tidelake.raw.ledger import Ledger, head_after
from tidelake.raw.store import Store


def describe_panel(store: Store, panel: Panel, hashes: Mapping[str, str]) -> dict[str, Any]:
    """The content of `metadata.json`: text, numbers, lists and mappings, and no clock of the day of the export.

    Args:
        store: The lake.
        panel: The panel.
        hashes: SHA-256 of the files beside it.
    """
    asked, rows = panel.asked, panel.rows
    return {
        "what": "What lending markets hold and what is liquidated in them: one row for each market and UTC day.",
        "form": "balanced" if asked.balanced else "unbalanced",
        "start": panel.days[0].isoformat(),
        "end": (panel.days[-1] + dt.timedelta(days=1)).isoformat(),
        "end_is": "exclusive",
        "as_of": asked.as_of.isoformat() if asked.as_of else None,
        "rows": rows.height,
        "files": dict(hashes),
        "coverage": {name: _counts(rows[name]) for name in ("status", "liquidations_status")},
        "prices": {
            "order": list(ORDER),
            "tolerance": str(TOLERANCE),
            "days_by_status": _counts(panel.facts.prices["price_status"]),
        },
        "versions": {"tidelake": importlib.metadata.version("tidelake"), **_versions(panel)},
        "markets": [_market(rows, market) for market in panel.markets],
        "inputs": _inputs(store, panel),
        "columns": [
            {"name": one.name, "type": file_type(one.type), "unit": one.unit, "meaning": one.meaning} for one in COLUMNS
        ],
        "statuses": STATUSES,
        "liquidations_statuses": LOG_STATES,
    }


def _counts(column: pl.Series) -> dict[str, int]:
    return dict(sorted(column.drop_nulls().value_counts().rows()))


def _versions(panel: Panel) -> dict[str, list[str]]:
    """By which versions of the readers the rows beneath were made."""
    facts = {"positions": panel.facts.positions, "liquidations": panel.facts.liquidations}
    return {name: frame["mapping_version"].drop_nulls().unique().sort().to_list() for name, frame in facts.items()}


def _market(rows: pl.DataFrame, market: Market) -> dict[str, Any]:
    mine = rows.filter(pl.col("market") == market.id)
    observed = mine.filter(pl.col("status").is_in(OBSERVED))["date"]
    first, last = observed.min(), observed.max()
    deployed = market.deployment
    return {
        "id": market.id,
        "title": market.title,
        "protocol": market.protocol,
        "version": market.version,
        "family": market.family,
        "variant": market.variant,
        "chain": market.chain,
        "tier": market.tier,
        "status": market.status,
        "deployed_block": deployed.block,
        "deployed_at": deployed.time.isoformat() if deployed.time else None,
        "first_observed": first.isoformat() if isinstance(first, dt.date) else None,
        "last_observed": last.isoformat() if isinstance(last, dt.date) else None,
        "days": _counts(mine["status"]),
        "doubts": list(market.doubts),
        "sources": list(market.sources),
    }


def _inputs(store: Store, panel: Panel) -> list[dict[str, Any]]:
    """The lanes that the panel is made of, each with its last entry that was known then, and that entry's hash."""
    ledger = Ledger(store)
    chains = {market.chain for market in panel.markets}
    wanted = {positions_lane(market.id) for market in panel.markets}
    wanted |= {lane(chain) for chain in chains for lane in (blocks_lane, logs_lane)}
    wanted |= {prices_lane(provider) for provider in PROVIDERS}
    found = []
    for lane in sorted(wanted & set(ledger.lanes())):
        head = ledger.head(lane)
        if (as_of := panel.asked.as_of) is not None:
            known = [entry for entry in ledger.entries(lane) if entry.known_ns <= as_of.timestamp() * 1e9]
            if not known:
                continue
            head = head_after(known[-1])
        found.append({"lane": lane, "entries": head.seq + 1, "sha256": head.hash})
    return found
