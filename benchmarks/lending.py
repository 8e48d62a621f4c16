"""Lending markets: what it costs to collect all core markets day by day, against two calls each, one by one.

Simulated nodes (`tidelake sim chain`) in a process of their own answer after 25 ms and take 100 requests a second; each
chain has two, so that what is collected is proven by two. One by one is measured on a sample of the same nodes: a
header and a call in turn, on one connection that stays open; its time is that of one such request times their number.
"""

import datetime as dt
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.report import Figure, judge
from benchmarks.timing import take

LATENCY_MS, A_SECOND = 25, 100
START = dt.date(2025, 1, 1)
DAYS, QUICK_DAYS = 365, 20
CALLS_EACH = 2
SAMPLE = 200
TIMES = 10  # fewer requests, and faster
PANEL_S = 10.0
Nodes = Mapping[str, list[tuple[str, str]]]


@contextmanager
def _serving(chains: list[str]) -> Iterator[Nodes]:
    """Two nodes of each chain: names and addresses."""
    command = [sys.executable, "-m", "tidelake", "--format", "json", "sim", "chain", "--also", "other="]
    command += ["--requests", str(A_SECOND), "--latency", str(LATENCY_MS)]
    command += [word for name in chains for word in ("--chain", name)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert child.stdout is not None
        told = ""
        while not told.rstrip().endswith("]"):
            line = child.stdout.readline()
            if not line:
                raise RuntimeError("the simulated chains did not start")
            told += line
        found: dict[str, list[tuple[str, str]]] = {name: [] for name in chains}
        for node in json.loads(told):
            found[node["node"].partition("/")[0]].append((node["node"].replace("/", "-"), node["url"]))
        yield found
    finally:
        child.terminate()
        child.wait(20)


def _seconds_of_one(nodes: Nodes) -> float:
    """Of a request of those that follow one another."""
    where = urlsplit(next(iter(nodes.values()))[0][1])
    asked = (
        {"method": "eth_getBlockByNumber", "params": ["latest", False]},
        {"method": "eth_call", "params": [{"to": "0x" + 40 * "0", "data": "0x18160ddd"}, "latest"]},
    )
    link = http.client.HTTPConnection(where.hostname or "", where.port)
    begun = time.perf_counter()
    for i in range(SAMPLE):
        link.request("POST", where.path, json.dumps({"jsonrpc": "2.0", "id": i, **asked[i % CALLS_EACH]}))
        json.load(link.getresponse())
    link.close()
    return (time.perf_counter() - begun) / SAMPLE


def run(work: Path, *, quick: bool) -> list[Figure]:
    import tidelake
    from tidelake.jobs.collect_lending import CollectSettings
    from tidelake.lending.registry import markets
    from tidelake.transport.rates import Pace
    from tidelake.transport.rpc_providers import UNITS, Provider

    days = QUICK_DAYS if quick else DAYS
    core = [market for market in markets().values() if market.tier == "core"]
    lake = tidelake.open(work / f"lending-{time.time_ns()}")
    with _serving(sorted({market.chain for market in core})) as nodes:
        each = _seconds_of_one(nodes)

        def providers(chain: str) -> list[Provider]:
            pace, units = Pace(A_SECOND, 1.0), UNITS["alchemy"]
            return [Provider(name, url, requests=pace, units=units) for name, url in nodes[chain]]

        settings = CollectSettings(providers=providers)
        cpu = time.process_time()
        report = lake.lending.collect(["core"], START, START + dt.timedelta(days=days), settings)
        cpu = time.process_time() - cpu
    if report.exit_code:
        raise RuntimeError(report.summary)
    derived = take(lambda: lake.derive(["chain_events", "lending_liquidations", "lending_positions"]))
    panel = take(lake.lending_panel)
    one_by_one = CALLS_EACH * len(core) * days
    patient = one_by_one * each
    inputs = (
        f"{len(core)} core markets on {len(nodes)} simulated chains, {days} days; two nodes a chain, each "
        f"{LATENCY_MS} ms and {A_SECOND} requests a second"
    )
    note = f"one by one is the time of {SAMPLE} requests, scaled; units as Alchemy counts them"
    seconds, requests = report.seconds, report.asked.requests
    told = {"calls": report.asked.calls, "compute_units": report.asked.units, "cpu_s": round(cpu, 1)}
    told["compute_units_one_by_one"] = one_by_one // CALLS_EACH * (26 + 20)
    rows = len(core) * days
    return [
        Figure("lending", "collect: HTTP requests", requests, "requests", "one by one", one_by_one,
               one_by_one / requests, f"{TIMES}x", judge(one_by_one >= TIMES * requests), inputs, note, told),
        Figure("lending", "collect: time", seconds, "s", "one by one", patient,
               patient / seconds, f"{TIMES}x", judge(patient >= TIMES * seconds), inputs, note, told),
        Figure("lending", "collect: compute units", report.asked.units / 1e6, "million", "one by one",
               told["compute_units_one_by_one"] / 1e6, told["compute_units_one_by_one"] / report.asked.units),
        Figure("lending", "derive logs and state", derived.wall, "s", inputs=inputs),
        Figure("lending", f"panel of {rows:,} market days, without prices", panel.wall, "s",
               budget=f"{PANEL_S:.0f} s", verdict=judge(panel.wall <= PANEL_S), inputs=inputs),
    ]  # fmt: skip
