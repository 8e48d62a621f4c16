"""How early alerts came: first fired at each severity, against the worst moment of the history."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from tidelake.stablecoins.records import AlertRow
from tidelake.stablecoins.signals import SEVERITIES


class LeadTime(msgspec.Struct, frozen=True):
    """The first alert of a severity.

    Attributes:
        fired_at: When it was known; None where there was none.
        worst_at: When the worst was known.
        lead: `worst_at` less `fired_at`; below zero it came late.
        alerts: Alerts that reached the severity.
        calm_alerts: Those of them that fired on days that the user calls calm.
    """

    severity: str
    fired_at: datetime | None
    worst_at: datetime
    lead: timedelta | None
    alerts: int
    calm_alerts: int


def lead_times(steps: Iterable[AlertRow], kind: str, worst_us: int, crisis_us: tuple[int, int]) -> list[LeadTime]:
    """A row for each severity, by the steps of all alerts of a history.

    Args:
        worst_us: When the worst was known, us UTC.
        crisis_us: When the crisis was, [start, end), us UTC; what fires outside is a false alarm.
    """
    reached: dict[tuple[str, str], int] = {}
    for step in steps:
        if step.kind == kind:
            for severity in SEVERITIES[: SEVERITIES.index(step.severity) + 1]:
                reached.setdefault((severity, step.alert_id), step.known_us)
    out = []
    for severity in SEVERITIES:
        times = sorted(at for (found, _), at in reached.items() if found == severity)
        first = min([at for at in times if crisis_us[0] <= at < crisis_us[1]], default=None)
        calm = sum(not crisis_us[0] <= at < crisis_us[1] for at in times)
        lead = None if first is None else timedelta(microseconds=worst_us - first)
        fired = None if first is None else datetime.fromtimestamp(first / 1e6, UTC)
        out.append(LeadTime(severity, fired, datetime.fromtimestamp(worst_us / 1e6, UTC), lead, len(times), calm))
    return out
