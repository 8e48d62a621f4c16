"""The life of alerts: fired at once whatever the confidence, then surer with each version of the window, or withdrawn.

PROVISIONAL at first; PROBABLE from a confidence of 0.6; CONFIRMED from 0.8, once the window is FINAL or a second source
agrees; WITHDRAWN where the window, told anew, no longer says so, or other sources of it do not and no later window was
worse with a second source. An alert lasts until some windows in a row are calm,
and is kept until the window that it rests on is FINAL.
"""

from typing import Final

import msgspec

from tidelake.stablecoins.records import AlertRow, WindowRow
from tidelake.stablecoins.signals import NEVER, SEVERITIES, Rules, Signal

PROBABLE_FROM: Final = 0.6
CONFIRMED_FROM: Final = 0.8
STATES: Final = ("PROVISIONAL", "PROBABLE", "CONFIRMED", "WITHDRAWN")
KINDS: Final = ("depeg", "mint", "burn", "liquidity_drain", "volatility", "sentiment")


class Alert(msgspec.Struct):
    """An alert that is still followed; fields as in `AlertRow`.

    Attributes:
        value: What the window said when it fired; the medians that it was measured by move on.
        rank: Place of its state in `STATES`.
        loud_end_us: End of the last window with the signal, however often older ones are told anew.
        settled: Whether the window that it rests on is FINAL.
    """

    id: str
    kind: str
    chain: str
    window_s: int
    window_start_us: int
    event_us: int
    fired_us: int
    level: int
    value: float
    measure: float
    threshold: float
    confidence: float
    corroborated: bool
    loud_end_us: int
    rank: int = 0
    version: int = 0
    ended_us: int | None = None
    settled: bool = False

    @property
    def lasts(self) -> bool:
        """Whether it is not over yet."""
        return self.ended_us is None


class AlertBook(msgspec.Struct):
    """The alerts of a coin.

    Attributes:
        alerts: Those followed.
        quiet_until_us: By kind and chain, the end of the last alert: none begins in a window before it.
        depeg_bound: A price this far from the peg, relative to it, is looked at when it comes, before its window ends.
    """

    depeg_bound: float
    alerts: list[Alert] = []
    quiet_until_us: dict[str, int] = {}

    def asked(self, row: WindowRow) -> list[str]:
        """The kinds of alerts that rest on this window."""
        start, chain = row.window_start_us, row.chain
        return [alert.kind for alert in self.alerts if alert.window_start_us == start and alert.chain == chain]

    def read(
        self, row: WindowRow, signals: list[Signal], rules: Rules, event_us: int, *, closed: bool
    ) -> list[AlertRow]:
        """What a version of a window of the shortest length means for the alerts.

        Args:
            event_us: Time of the fact that is looked at, or the window's end.
            closed: Whether it is the first version since the window closed.
        """
        out: list[AlertRow] = []
        by_kind = {signal.kind: signal for signal in signals}
        for kind in KINDS if by_kind or self.alerts else ():
            signal = by_kind.get(kind)
            mine = [alert for alert in self.alerts if alert.kind == kind and alert.chain == row.chain]
            for alert in mine:
                if alert.window_start_us == row.window_start_us:
                    self._told_anew(alert, row, signal, out)
                elif alert.lasts and row.window_start_us > alert.window_start_us:
                    self._goes_on(alert, row, signal, rules, closed, out)
            if signal and signal.level >= 0 and not any(alert.lasts for alert in mine):
                self._fire(signal, row, event_us, out)
        self.alerts = [alert for alert in self.alerts if alert.rank < 3 and (alert.lasts or not alert.settled)]
        self._set_bound(rules)
        return out

    def _fire(self, signal: Signal, row: WindowRow, event_us: int, out: list[AlertRow]) -> None:
        key = f"{signal.kind}:{row.chain}"
        if row.window_start_us < self.quiet_until_us.get(key, 0):
            return
        alert = Alert(
            id=f"{row.coin}:{row.chain or 'all'}:{signal.kind}:{row.window_start_us // 1_000_000}",
            kind=signal.kind,
            chain=row.chain,
            window_s=row.window_s,
            window_start_us=row.window_start_us,
            event_us=event_us,
            fired_us=row.known_us,
            level=signal.level,
            value=signal.value,
            measure=signal.measure,
            threshold=signal.threshold,
            confidence=signal.confidence,
            corroborated=signal.corroborated,
            loud_end_us=row.window_end_us,
        )
        self.quiet_until_us[key] = row.window_end_us
        self.alerts.append(alert)
        self._say(alert, row, f"{signal.kind} reached {signal.measure:.4g}", out)
        self._surer(alert, row, signal, out)

    def _told_anew(self, alert: Alert, row: WindowRow, signal: Signal | None, out: list[AlertRow]) -> None:
        alert.settled = row.window_state == "FINAL"
        if signal is None or (signal.level < 0 and signal.value != alert.value):
            if row.window_state != "OPEN":  # in an open window the rest of it may still say so
                alert.rank = 3
                self._say(alert, row, "the window, told anew, no longer says so", out)
            return
        self._worse(alert, row, signal, out)
        self._surer(alert, row, signal, out)
        alone = not signal.corroborated and row.price_sources > 1 and alert.kind == "depeg"
        if alert.settled and alone and not _goes_beyond(alert, row, signal):
            alert.rank = 3
            self._say(alert, row, f"{row.price_sources - 1} other sources of the final window do not say so", out)

    def _goes_on(
        self, alert: Alert, row: WindowRow, signal: Signal | None, rules: Rules, closed: bool, out: list[AlertRow]
    ) -> None:
        if signal is not None:
            alert.loud_end_us = max(alert.loud_end_us, row.window_end_us)
            if signal.level >= 0:
                self._worse(alert, row, signal, out)
                self._surer(alert, row, signal, out)
            return
        calm = (row.window_end_us - alert.loud_end_us) // (row.window_end_us - row.window_start_us)
        if closed and calm >= rules.calm_windows:
            alert.ended_us = row.window_end_us
            self.quiet_until_us[f"{alert.kind}:{alert.chain}"] = row.window_end_us
            self._say(alert, row, f"over: {calm} calm windows", out)

    def _worse(self, alert: Alert, row: WindowRow, signal: Signal, out: list[AlertRow]) -> None:
        alert.measure = max(alert.measure, signal.measure)
        if signal.level > alert.level:
            alert.level, alert.threshold = signal.level, signal.threshold
            self._say(alert, row, f"{alert.kind} reached {signal.measure:.4g}", out)

    def _surer(self, alert: Alert, row: WindowRow, signal: Signal, out: list[AlertRow]) -> None:
        alert.corroborated = alert.corroborated or signal.corroborated
        alert.confidence = max(alert.confidence, signal.confidence)
        is_final = row.window_state == "FINAL"
        if alert.confidence >= CONFIRMED_FROM and (is_final or signal.corroborated):
            rank, reason = 2, "the window is FINAL" if is_final else "a second source agrees"
        else:
            rank, reason = int(alert.confidence >= PROBABLE_FROM), f"confidence {alert.confidence:.3g}"
        if rank > alert.rank:
            alert.rank = rank
            self._say(alert, row, reason, out)

    def _say(self, alert: Alert, row: WindowRow, reason: str, out: list[AlertRow]) -> None:
        alert.version += 1
        out.append(
            AlertRow(
                alert_id=alert.id,
                event_version=alert.version,
                coin=row.coin,
                chain=alert.chain,
                kind=alert.kind,
                severity=SEVERITIES[alert.level],
                state=STATES[alert.rank],
                window_s=alert.window_s,
                window_start_us=alert.window_start_us,
                event_us=alert.event_us,
                fired_us=alert.fired_us,
                ended_us=alert.ended_us,
                known_us=row.known_us,
                measure=alert.measure,
                threshold=alert.threshold,
                confidence=alert.confidence,
                corroborated=alert.corroborated,
                reason=reason,
            )
        )

    def _set_bound(self, rules: Rules) -> None:
        lasting = [alert.level for alert in self.alerts if alert.kind == "depeg" and alert.lasts]
        reached = max(lasting, default=-1) + 1
        self.depeg_bound = rules.depeg[reached] if reached < len(rules.depeg) else NEVER


def _goes_beyond(alert: Alert, row: WindowRow, signal: Signal) -> bool:
    """Whether later windows than the one that it rests on say so too, and worse, and a second source agreed."""
    return alert.corroborated and alert.loud_end_us > row.window_end_us and alert.measure > signal.measure
