"""What a replay tells people: alerts as they come, and figures at its end."""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from tidelake.stablecoins.records import AlertRow, CorrectionRow, IncidentRow, Record
from tidelake.stablecoins.replay.run import ReplayReport


class AlertLine(msgspec.Struct, frozen=True):
    """An alert as it stood at the end, times in UTC."""

    coin: str
    chain: str
    kind: str
    severity: str
    state: str
    event_time: datetime
    fired_at: datetime
    ended_at: datetime | None
    measure: float
    threshold: float
    confidence: float
    corroborated: bool
    reason: str

    @classmethod
    def of(cls, alert: AlertRow) -> "AlertLine":
        return cls(
            coin=alert.coin,
            chain=alert.chain,
            kind=alert.kind,
            severity=alert.severity,
            state=alert.state,
            event_time=_time(alert.event_us),
            fired_at=_time(alert.fired_us),
            ended_at=None if alert.ended_us is None else _time(alert.ended_us),
            measure=alert.measure,
            threshold=alert.threshold,
            confidence=alert.confidence,
            corroborated=alert.corroborated,
            reason=alert.reason,
        )


class Narrator:
    """Says each step of an alert, each correction and each incident, by the clock at which it was known."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def __call__(self, records: list[Record]) -> None:
        for record in records:
            if isinstance(record, AlertRow):
                where = f"{record.coin} {record.chain}".strip()
                told = f"{record.kind} {record.severity} {record.state}, confidence {record.confidence:.2f}"
                self._say(f"{_time(record.known_us):%Y-%m-%d %H:%M:%S} {where}: {told} ({record.reason})")
            elif isinstance(record, CorrectionRow):
                told = f"{record.status} {record.event_id}, {record.net_supply_change} tokens ({record.reason})"
                self._say(f"{_time(record.known_us):%Y-%m-%d %H:%M:%S} {record.coin} {record.chain}: {told}")
            elif isinstance(record, IncidentRow) and record.kind != "refused":
                told = f"{record.kind} {record.event_id} ({record.reason})"
                self._say(f"{_time(record.known_us):%Y-%m-%d %H:%M:%S} {record.coin} {record.chain}: {told}")


def summary(report: ReplayReport) -> str:
    """The figures of a run, in a line or two."""
    counts = report.counts
    text = f"{report.observations:,} observations"
    text += f" ({report.resumed_at:,} of them before)" if report.resumed_at else ""
    text += f": {counts['WindowRow']:,} versions of windows, {counts['AttestationRow']:,} attested; "
    text += f"{counts['AlertRow']:,} steps of alerts, {counts['CorrectionRow']:,} corrections, "
    text += f"{counts['IncidentRow']:,} incidents"
    if report.unknown:
        text += f"; {report.unknown:,} observations of coins that are not followed"
    for coin, why in report.failed.items():
        text += f"\n{coin} stopped: {why}. Its last state stands; the other coins went on."
    return text if report.done else f"{text}\nnot at the end: run it again to go on"


def _time(time_us: int) -> datetime:
    return datetime.fromtimestamp(time_us / 1e6, UTC)
