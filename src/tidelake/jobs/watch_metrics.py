"""The metrics of a watch of coins; docs/stablecoins.md lists them.

Counters rise as things happen. The others say how things stood when they were looked at last, which a watch does once a
second: whoever asks in between gets the same again, and never a mixture of two moments.
"""

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tidelake.stablecoins.machine import Machine
from tidelake.stablecoins.observation import FACTS, MICROS, Observation
from tidelake.stablecoins.outputs import TABLES
from tidelake.stablecoins.records import AlertRow, CorrectionRow, IncidentRow, Record
from tidelake.stablecoins.sources.feed import Health

LATENCY_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class WatchMetrics:
    """Metrics of one watch.

    Args:
        clock: Wall clock, ns since 1970, by which things become known.

    Attributes:
        registry: They and the process's own, to be served.
    """

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._seen = _Seen()
        registry.register(self._seen)
        self._facts = Counter(
            "tidelake_facts_taken", "Facts that machines were given.", ("source", "feature"), registry=registry
        )
        self._written = Counter(
            "tidelake_records_written", "Records that lie in a table.", ("table",), registry=registry
        )
        self._latency = Histogram(
            "tidelake_record_latency_seconds",
            "From the receipt of the newest answer that a record rests on until the record lies in its table.",
            registry=registry,
            buckets=LATENCY_S,
        )
        self._alerts = Counter(
            "tidelake_alert_steps", "Steps in the lives of alerts.", ("coin", "kind", "state"), registry=registry
        )
        self._corrections = Counter(
            "tidelake_corrections", "Facts taken back, or standing again.", ("chain", "correction"), registry=registry
        )
        self._incidents = Counter("tidelake_incidents", "Incidents.", ("chain", "kind"), registry=registry)

    def took(self, seen: Observation) -> None:
        """Count what a machine was given."""
        if seen.feature in FACTS:
            self._facts.labels(seen.source, seen.feature).inc()

    def stored(self, records: Sequence[Record]) -> None:
        """Count what lies in the tables as of now; any thread may call it."""
        now_us = self._clock() // 1_000
        for kind, count in Tally(map(type, records)).items():
            self._written.labels(TABLES[kind].name).inc(count)
        for record in records:
            self._latency.observe(max(0, now_us - record.known_us) / MICROS)
            if isinstance(record, AlertRow):
                self._alerts.labels(record.coin, record.kind, record.state).inc()
            elif isinstance(record, CorrectionRow):
                self._corrections.labels(record.chain, record.status).inc()
            elif isinstance(record, IncidentRow):
                self._incidents.labels(record.chain, record.kind).inc()

    def look(
        self,
        machines: Mapping[str, Machine],
        failed: Iterable[str],
        states: Mapping[str, str],
        health: Sequence[Health],
    ) -> None:
        """Look how things stand.

        Args:
            machines: By coin.
            failed: Coins whose machine stopped.
            states: By source: condition of a provider, standing of a node.
            health: Of providers.
        """
        stopped = set(failed)
        self._seen.families = [
            *_of_coins(machines, stopped),
            *_of_chains(machines),
            *_of_sources(states, health),
        ]


class _Seen(Collector):
    """What was seen at the last look."""

    def __init__(self) -> None:
        self.families: Sequence[Metric] = ()

    def collect(self) -> Iterable[Metric]:
        return self.families


def _of_coins(machines: Mapping[str, Machine], stopped: set[str]) -> list[Metric]:
    windows = GaugeMetricFamily(
        "tidelake_windows",
        "Windows by state, over scopes and lengths; FINAL: since the run began.",
        labels=("coin", "state"),
    )
    alerts = GaugeMetricFamily("tidelake_alerts", "Alerts that last.", labels=("coin", "kind"))
    ended = GaugeMetricFamily("tidelake_machine_stopped", "1: the coin's machine stopped.", labels=("coin",))
    for coin, machine in machines.items():
        state = machine.state
        begin_us = machine.setup.begin_us
        counts = {
            "OPEN": len(state.tracks),
            "PROVISIONAL": sum(len(track.standing) for track in state.tracks),
            "FINAL": sum((track.final_us - begin_us) // track.window_us for track in state.tracks),
        }
        for name, count in counts.items():
            windows.add_metric((coin, name), count)
        for kind, count in Tally(alert.kind for alert in state.book.alerts if alert.lasts).items():
            alerts.add_metric((coin, kind), count)
        ended.add_metric((coin,), float(coin in stopped))
    return [windows, alerts, ended]


def _of_chains(machines: Mapping[str, Machine]) -> list[Metric]:
    """The furthest that any machine was told of each chain."""
    lanes = [lane for machine in machines.values() for name, lane in machine.state.lanes.items() if name]
    block = GaugeMetricFamily("tidelake_chain_block", "Newest block whose logs are known.", labels=("chain",))
    final = GaugeMetricFamily("tidelake_chain_final_block", "Newest block of tier 3.", labels=("chain",))
    passed = GaugeMetricFamily(
        "tidelake_chain_tier_timestamp_seconds", "Time of the newest block of each tier.", labels=("chain", "tier")
    )
    halted = GaugeMetricFamily(
        "tidelake_chain_halted", "1: a final block was contradicted; nothing becomes FINAL.", labels=("chain",)
    )
    for name in dict.fromkeys(lane.name for lane in lanes):
        mine = [lane for lane in lanes if lane.name == name]
        halted.add_metric((name,), float(any(lane.halted for lane in mine)))
        ahead = max(mine, key=lambda lane: lane.head_block)
        if ahead.head_block < 0:
            continue
        block.add_metric((name,), ahead.head_block)
        final.add_metric((name,), ahead.final_block)
        for tier, time_us in enumerate(ahead.passed_us, 1):
            if time_us >= 0:
                passed.add_metric((name, str(tier)), time_us / MICROS)
    return [block, final, passed, halted]


def _of_sources(states: Mapping[str, str], health: Sequence[Health]) -> list[Metric]:
    state = GaugeMetricFamily("tidelake_source_state", "1 with the state of now.", labels=("source", "state"))
    answered = GaugeMetricFamily(
        "tidelake_source_answer_timestamp_seconds", "When a provider answered last.", labels=("source",)
    )
    answers = CounterMetricFamily("tidelake_source_answers", "Rounds answered whole.", labels=("source",))
    failures = CounterMetricFamily("tidelake_source_failures", "Rounds that were not.", labels=("source",))
    refused = CounterMetricFamily("tidelake_source_refused_values", "Values not taken.", labels=("source",))
    for name, told in states.items():
        state.add_metric((name, told), 1.0)
    for one in health:
        if one.last_answer_us is not None:
            answered.add_metric((one.name,), one.last_answer_us / MICROS)
        answers.add_metric((one.name,), one.answers)
        failures.add_metric((one.name,), one.failures)
        refused.add_metric((one.name,), one.refused)
    return [state, answered, answers, failures, refused]
