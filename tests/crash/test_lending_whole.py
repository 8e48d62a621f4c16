"""From simulated nodes to the panel: markets collected, killed and run again equal the truth to the last wei.

The truth is the generator's state (`sim.chains.truth`) and drawn prices; no decoder of ours has a part in it.
"""

import datetime as dt
import http.client
import json
import time
from urllib.parse import urlsplit

import pytest

import tidelake
from tests.jobs.lending_lake import assert_true, collect, collect_killed, fill
from tests.jobs.lending_truth import REGISTRY
from tests.jobs.served_chains import serving_chains
from tidelake.sim.chains.chain import SimChain

SAMPLE = (
    "aave_v2_polygon",  # dies within the year
    "aave_v3_ethereum_horizon",  # deployed within the days
    "compound_v2_ethereum",
    "compound_v3_eth_usdc",
    "moonwell_base",
    "morpho_blue_base",
)
CORE = tuple(market.id for market in REGISTRY.values() if market.tier == "core")
LATENCY_S, A_SECOND = 0.025, 100
ONE_BY_ONE = 2  # requests for a market and day
TIMES = 10  # as many requests, and as long


def chains_of(ids):
    return sorted({REGISTRY[name].chain for name in ids})


def seconds_one_by_one(served, count=200):
    """Seconds of one request after the other on one connection, a header and a call in turn: of one, on average."""
    where = urlsplit(next(iter(served.addresses.values()))[0][1])
    asked = (
        {"method": "eth_getBlockByNumber", "params": ["latest", False]},
        {"method": "eth_call", "params": [{"to": "0x" + 40 * "0", "data": "0x18160ddd"}, "latest"]},
    )
    link = http.client.HTTPConnection(where.hostname, where.port)
    begun = time.perf_counter()
    for i in range(count):
        link.request("POST", where.path, json.dumps({"jsonrpc": "2.0", "id": i, **asked[i % 2]}))
        json.load(link.getresponse())
    link.close()
    return (time.perf_counter() - begun) / count


@pytest.mark.slow
def test_sample_of_each_family_killed_three_times_is_the_truth(tmp_path):
    start, days = dt.date(2025, 7, 24), 10
    chains = {name: SimChain(name) for name in chains_of(SAMPLE)}
    lake = tidelake.open(tmp_path / "lake")
    with serving_chains(list(chains)) as served:
        url = str(tmp_path / "lake")
        assert collect_killed(url, served, SAMPLE, start, days, kills=3, apart=20) == 3
        report = collect(url, served.addresses, served.paced, SAMPLE, start, days)
        assert report.exit_code == 0, report.summary
    fill(lake)
    assert assert_true(lake, chains, SAMPLE, start, days, tmp_path / "panel") == len(SAMPLE) * days


@pytest.mark.soak
def test_year_of_all_core_markets_is_the_truth_and_costs_a_tenth(tmp_path):
    start, days = dt.date(2025, 1, 1), 365
    chains = {name: SimChain(name) for name in chains_of(CORE)}
    with serving_chains(list(chains), requests=A_SECOND, latency_s=LATENCY_S) as served:
        each = seconds_one_by_one(served)
        begun = served.asked()
        report = collect(str(tmp_path / "lake"), served.addresses, served.paced, CORE, start, days)
        cost = served.asked() - begun
        assert report.exit_code == 0, report.summary
        assert cost.requests == report.asked.requests
        one_by_one = ONE_BY_ONE * len(CORE) * days
        print(f"undisturbed: {cost.requests:,} HTTP requests, {cost.calls:,} calls, {cost.units:,} compute units")
        print(f"in {report.seconds:.1f} s; one by one {one_by_one:,} requests, {one_by_one * each:.0f} s (of a sample)")
        begun, started = served.asked(), time.monotonic()
        url = str(tmp_path / "killed")
        assert collect_killed(url, served, CORE, start, days, kills=10, apart=cost.requests // 12) == 10
        last = collect(url, served.addresses, served.paced, CORE, start, days)
        assert last.exit_code == 0, last.summary
        again = served.asked() - begun
        print(f"killed ten times: {again.requests:,} HTTP requests, {again.units:,} compute units")
        print(f"in {time.monotonic() - started:.1f} s")
    for place in ("lake", "killed"):
        lake = tidelake.open(tmp_path / place)
        fill(lake)
        assert assert_true(lake, chains, CORE, start, days, tmp_path / f"panel-{place}") == len(CORE) * days
    assert cost.requests * TIMES <= one_by_one
    assert again.requests * TIMES <= one_by_one * 2, "what a kill loses is little"
    assert report.seconds * TIMES <= one_by_one * each
