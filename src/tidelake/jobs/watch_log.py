"""What a watch of coins logs of its records: an event each, with the record's fields; windows are too many for that."""

from collections import defaultdict
from collections.abc import Sequence

from tidelake.stablecoins.records import AlertRow, AttestationRow, CorrectionRow, IncidentRow, Record
from tidelake.transport.logger import logger

QUIET_INCIDENTS = ("source_down", "source_back")  # each machine records them; the source itself logs them once


def log_records(records: Sequence[Record]) -> None:
    """Log alerts, facts taken back, incidents, and how many windows of each coin were attested."""
    attested: dict[str, list[AttestationRow]] = defaultdict(list)
    for record in records:
        if isinstance(record, AlertRow):
            _log_alert(record)
        elif isinstance(record, CorrectionRow):
            logger().warning(
                f"fact {record.status}",
                coin=record.coin,
                chain=record.chain,
                event_id=record.event_id,
                tokens=str(record.net_supply_change),
                windows_reopened=record.windows_reopened,
                reason=record.reason,
            )
        elif isinstance(record, IncidentRow) and record.kind not in QUIET_INCIDENTS:
            logger().error(
                record.kind.replace("_", " "),
                coin=record.coin,
                chain=record.chain,
                event_id=record.event_id,
                source=record.source,
                reason=record.reason,
            )
        elif isinstance(record, AttestationRow):
            attested[record.coin].append(record)
    for coin, rows in attested.items():
        logger().info(
            "windows attested",
            coin=coin,
            windows=len(rows),
            chains=sorted({row.chain or "all" for row in rows}),
            until_us=max(row.window_start_us + row.window_s * 1_000_000 for row in rows),
            least_confidence=round(min(row.temporal_confidence for row in rows), 3),
        )


def _log_alert(alert: AlertRow) -> None:
    is_calm = alert.state == "WITHDRAWN" or alert.ended_us is not None
    (logger().info if is_calm else logger().warning)(
        _step(alert),
        coin=alert.coin,
        chain=alert.chain,
        kind=alert.kind,
        severity=alert.severity,
        state=alert.state,
        confidence=round(alert.confidence, 3),
        measure=alert.measure,
        threshold=alert.threshold,
        corroborated=alert.corroborated,
        alert_id=alert.alert_id,
        event_version=alert.event_version,
        reason=alert.reason,
    )


def _step(alert: AlertRow) -> str:
    if alert.state == "WITHDRAWN":
        return "alert withdrawn"
    if alert.ended_us is not None:
        return "alert over"
    return "alert fired" if alert.event_version == 1 else "alert upgraded"  # its state, or its severity
