"""The tables of the stablecoin product: windows, alerts, corrections, attestations and incidents.

Each version of a window and each step of an alert is a row of its own; the last version of a window stands. `run` names
the replay, or the live follower, that said it: what two of them say of one window stands side by side.
"""

from tidelake.tables.schema import Column, Table, event_time, exact, text

FILLED_BY = "stablecoins replay"
PARTITIONS = ("coin", "date")


def _number(name: str) -> Column:
    return Column(name, "float64", nullable=True)


def _age(name: str) -> Column:
    return Column(name, "int64", nullable=True)


STABLECOIN_WINDOWS = Table(
    name="stablecoin_windows",
    facts=(
        text("run"),
        text("coin"),
        text("chain"),
        text("aggregation_level"),
        Column("window_s", "int32"),
        event_time(),
        Column("window_end", "time"),
        text("window_id"),
        text("window_state"),
        Column("event_version", "int32"),
        _number("price"),
        Column("price_quote", "text", nullable=True),
        _number("price_low"),
        _number("price_high"),
        Column("price_sources", "int32"),
        Column("price_agreeing", "int32"),
        _age("price_age_us"),
        Column("off_peg_sources", "int32"),
        _number("volume"),
        _age("volume_age_us"),
        _number("liquidity_depth"),
        _age("liquidity_age_us"),
        exact("net_supply_change", nullable=True),
        exact("minted", nullable=True),
        exact("burned", nullable=True),
        Column("supply_events", "int32"),
        exact("uncounted_supply_change", nullable=True),
        _number("circulating_supply"),
        _age("circulating_age_us"),
        _number("market_volatility"),
        _age("volatility_age_us"),
        _number("sentiment_score"),
        _age("sentiment_age_us"),
        text("sources"),
        Column("block_number", "int64", nullable=True),
        Column("tx_hash", "text", nullable=True),
        Column("confirmation_count", "int64", nullable=True),
        text("finality_tier"),
        Column("is_finalized", "bool"),
        Column("temporal_confidence", "float64"),
        Column("confidence_finality", "float64"),
        Column("confidence_cross_chain", "float64"),
        Column("confidence_cross_chain_minimum", "float64"),
        Column("confidence_completeness", "float64"),
        Column("confidence_staleness", "float64"),
        Column("confidence_reorg", "float64"),
    ),
    key=("run", "coin", "chain", "window_s", "event_time", "event_version"),
    restatable=False,
    partition_by=PARTITIONS,
    sort_by=("chain", "window_s", "event_time", "event_version"),
    filled_by=FILLED_BY,
)

STABLECOIN_ALERTS = Table(
    name="stablecoin_alerts",
    facts=(
        text("run"),
        text("coin"),
        text("alert_id"),
        Column("event_version", "int32"),
        text("chain"),
        text("kind"),
        text("severity"),
        text("state"),
        Column("window_s", "int32"),
        Column("window_start", "time"),
        event_time(),
        Column("fired_at", "time"),
        Column("ended_at", "time", nullable=True),
        Column("measure", "float64"),
        Column("threshold", "float64"),
        Column("confidence", "float64"),
        Column("corroborated", "bool"),
        text("reason"),
    ),
    key=("run", "coin", "alert_id", "event_version"),
    restatable=False,
    partition_by=PARTITIONS,
    sort_by=("event_time", "alert_id", "event_version"),
    filled_by=FILLED_BY,
)

STABLECOIN_CORRECTIONS = Table(
    name="stablecoin_corrections",
    facts=(
        text("run"),
        text("coin"),
        text("chain"),
        text("event_id"),
        event_time(),
        text("correction"),
        text("reason"),
        exact("net_supply_change"),
        text("replacement_event_ids"),
        Column("windows_reopened", "int32"),
    ),
    key=("run", "coin", "event_id", "correction", "known_at"),
    restatable=False,
    partition_by=PARTITIONS,
    sort_by=("chain", "event_time", "event_id"),
    filled_by=FILLED_BY,
)

STABLECOIN_ATTESTATIONS = Table(
    name="stablecoin_attestations",
    facts=(
        text("run"),
        text("coin"),
        text("chain"),
        Column("window_s", "int32"),
        event_time(),
        Column("sequence", "int64"),
        Column("temporal_confidence", "float64"),
        text("content_sha256"),
        text("previous_sha256"),
        text("sha256"),
    ),
    key=("run", "coin", "chain", "window_s", "sequence"),
    restatable=False,
    partition_by=PARTITIONS,
    sort_by=("chain", "window_s", "event_time"),
    filled_by=FILLED_BY,
)

STABLECOIN_INCIDENTS = Table(
    name="stablecoin_incidents",
    facts=(
        text("run"),
        text("coin"),
        text("chain"),
        text("kind"),
        event_time(),
        text("event_id"),
        text("told_by"),
        text("reason"),
    ),
    key=("run", "coin", "chain", "kind", "event_time", "event_id", "known_at"),
    restatable=False,
    partition_by=PARTITIONS,
    sort_by=("event_time", "chain"),
    filled_by=FILLED_BY,
)

STABLECOIN_TABLES = (
    STABLECOIN_WINDOWS,
    STABLECOIN_ALERTS,
    STABLECOIN_CORRECTIONS,
    STABLECOIN_ATTESTATIONS,
    STABLECOIN_INCIDENTS,
)
