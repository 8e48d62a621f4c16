"""The columns of the panel: the one place that says what each is, for frames, files, pages and `metadata.json`."""

from dataclasses import dataclass
from typing import Any

import polars as pl

USD_EXACT = pl.Decimal(38, 18)

# What is known of a market on a day. The first two are observations; of the others no amount is told, never a zero.
STATUSES = {
    "OK": "The market was read, and everything that it holds has a price.",
    "PARTLY_PRICED": "The market was read; some of what it holds has no price and is missing from the sums.",
    "NOT_PRICED": "The market was read; nothing that it holds has a price, so there is no amount in USD.",
    "NOT_DEPLOYED": "The market did not exist yet.",
    "SOURCE_FAILED": "Nobody answered when the market was asked for; asked again, somebody may.",
    "REFUSED": "What was answered cannot be true or is not whole; it was kept, and is not believed.",
    "RETRACTED": "The block that was read is no longer part of the chain, and the day was not read again yet.",
    "NOT_COLLECTED": "The tables hold nothing of the day: not asked for, not derived, or the answer is quarantined.",
}
OBSERVED = ("OK", "PARTLY_PRICED")
GAPS = tuple(status for status in STATUSES if status not in (*OBSERVED, "NOT_DEPLOYED"))

# What is known of the logs of a market on a day, by which liquidations are told.
LOG_STATES = {
    "OK": "All logs of the day are known, and two sources agree on them.",
    "UNPROVEN": "All logs of the day were asked for, of one source: it may have left some out.",
    "NOT_DEPLOYED": "The market did not exist yet.",
    "REFUSED": "A log of the day that tells a liquidation of such a market could not be read, or given to one market.",
    "NOT_COLLECTED": "Not all blocks of the day were asked for their logs, or the tables do not hold these yet.",
}
LOG_GAPS = ("REFUSED", "NOT_COLLECTED")


@dataclass(frozen=True, slots=True)
class PanelColumn:
    """A column of the panel.

    Attributes:
        name: Its name.
        type: Of the frame; files hold exact amounts as text.
        unit: What one of it is; "" where it has none.
        meaning: What it is, in a sentence.
    """

    name: str
    type: Any
    unit: str
    meaning: str


def _usd(name: str, meaning: str) -> PanelColumn:
    return PanelColumn(name, pl.Float64(), "USD", meaning)


AMOUNTS = (
    _usd(
        "supplied_usd",
        "What suppliers own of assets that can be lent, interest included: amounts at the day's last block, times the "
        "day's prices. Assets without a price are left out of all sums.",
    ),
    _usd(
        "collateral_usd",
        "Collateral that is kept apart and never lent (Compound v3, Morpho); zero where a protocol has none of that "
        "kind, null where it is not known.",
    ),
    _usd("borrowed_usd", "What borrowers owe, interest included."),
    _usd(
        "available_usd",
        "What lies in the market to be borrowed or withdrawn, collateral that is never lent left out; null where the "
        "protocol does not tell it.",
    ),
    _usd(
        "total_value_usd",
        "Total value locked: supplied_usd + collateral_usd - borrowed_usd. What is borrowed has left the market and is "
        "not counted, as DefiLlama counts it; null where the collateral is not known.",
    ),
    _usd(
        "liquidations_usd",
        "Debt that was repaid in liquidations of the day (of Compound v3: that the protocol absorbed), at the day's "
        "prices. It does not hold the liquidators' bonus, so it compares between protocols.",
    ),
    _usd(
        "seized_usd",
        "Collateral that was seized in these liquidations, the liquidators' bonus included, at the day's prices.",
    ),
    _usd(
        "bad_debt_usd",
        "Debt that liquidations left unpaid, where logs tell it: always of Morpho; of Aave from v3.3 on, null on days "
        "that tell none; null of the others.",
    ),
)
EXACT = tuple(
    PanelColumn(f"{column.name}_exact", USD_EXACT, "USD", f"{column.name}, exact; in files as text.")
    for column in AMOUNTS
)
_KEY = (
    PanelColumn("date", pl.Date(), "UTC day", "The day: its state is that of its last block, before 24:00 UTC."),
    PanelColumn("market", pl.String(), "", "Id of the market, as `tidelake lending markets` lists it."),
    PanelColumn("protocol", pl.String(), "", "Who made it."),
    PanelColumn("version", pl.String(), "", "As its makers call it; null of a market that is not in the registry."),
    PanelColumn("family", pl.String(), "", "Whose contracts it speaks."),
    PanelColumn("chain", pl.String(), "", "Name of the chain."),
    PanelColumn("status", pl.String(), "", f"What is known of the day: {', '.join(STATUSES)}."),
    PanelColumn("reason", pl.String(), "", "Why the status is not OK, as the source or the prices say; else null."),
)
_RATIOS = (
    PanelColumn(
        "utilisation",
        pl.Float64(),
        "ratio",
        "borrowed_usd / supplied_usd: the share of what can be lent that is lent. Null where nothing can be lent; "
        "above 1 where borrowers owe more than suppliers own.",
    ),
    PanelColumn("assets", pl.Int64(), "assets", "Distinct assets that the market lists, as loan or as collateral."),
    PanelColumn("assets_held", pl.Int64(), "assets", "Those of which anything is supplied or borrowed."),
    PanelColumn("assets_priced", pl.Int64(), "assets", "Those held that have a price."),
    PanelColumn(
        "share_priced",
        pl.Float64(),
        "ratio",
        "assets_priced / assets_held: by count, as nobody knows the value of what has no price. Null where none is "
        "held.",
    ),
    PanelColumn(
        "share_agreed",
        pl.Float64(),
        "ratio",
        "The share of supplied_usd + collateral_usd at prices that two sources agree on. Null where nothing is "
        "supplied.",
    ),
    PanelColumn("assets_disagreed", pl.Int64(), "assets", "Held assets on whose price sources disagree."),
    PanelColumn("price_sources", pl.String(), "", "Sources of the prices that were used, in order, between blanks."),
)
_LIQUIDATIONS = (
    PanelColumn("liquidations_status", pl.String(), "", f"What is known of the logs: {', '.join(LOG_STATES)}."),
    PanelColumn(
        "liquidations",
        pl.Int64(),
        "events",
        "Liquidations of the day: each log of one; of Compound v3 each account that was absorbed in a transaction. "
        "Zero only where all logs of the day are known.",
    ),
    PanelColumn("liquidations_unpriced", pl.Int64(), "events", "Those whose debt or collateral has no price or rate."),
)
_EVIDENCE = (
    PanelColumn("block_number", pl.Int64(), "", "The day's last block."),
    PanelColumn("block_hash", pl.String(), "", "Its hash."),
    PanelColumn("finality", pl.String(), "", "soft, safe or final, as last seen; null where nobody looked."),
    PanelColumn(
        "known_at",
        pl.Datetime("us", "UTC"),
        "UTC",
        "When the last thing that the row rests on became known to the lake; in files as text (ISO 8601).",
    ),
)
COLUMNS = (*_KEY, *AMOUNTS[:5], *_RATIOS, *_LIQUIDATIONS, *AMOUNTS[5:], *_EVIDENCE, *EXACT)
SCHEMA = pl.Schema({column.name: column.type for column in COLUMNS})
HELD_AMOUNTS = tuple(column.name for column in AMOUNTS[:5])
LIQUIDATED_AMOUNTS = tuple(column.name for column in AMOUNTS[5:])


def file_type(kind: Any) -> str:
    """What a column of this type is in files."""
    plain = {pl.Float64(): "double", pl.Int64(): "integer", pl.Date(): "date"}
    return plain.get(kind, "text")
