"""Metrics and logs of a watch: what stands in them is what the machines, the tables and the sources say."""

import asyncio
import time
import urllib.request
from collections import Counter

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

import tidelake
from tests.jobs.coin_server import serving_coins
from tests.stablecoins import histories
from tests.stablecoins.histories import BEGIN, S
from tidelake.chains.heads import Block, Correction, Incident, Standing
from tidelake.jobs.chain_log import log_output
from tidelake.jobs.coin_polls import PollSettings
from tidelake.jobs.watch_coins import CoinWatch
from tidelake.jobs.watch_log import log_records
from tidelake.jobs.watch_metrics import WatchMetrics
from tidelake.metrics import serving_metrics
from tidelake.providers.registry import COIN_SOURCES
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.observation import Observation
from tidelake.stablecoins.records import AlertRow, WindowRow
from tidelake.stablecoins.registry import read_coins
from tidelake.stablecoins.sources.feed import Health
from tidelake.tables.delta import exists
from tidelake.tables.read import scan
from tidelake.tables.stablecoins import STABLECOIN_TABLES
from tidelake.transport.http import Patience
from tidelake.transport.rates import Pace


def samples(text):
    """Value by name and labels."""
    families = text_string_to_metric_families(text)
    return {(one.name, *sorted(one.labels.items())): one.value for family in families for one in family.samples}


def asked(metrics):
    with serving_metrics(metrics.registry, "0") as url, urllib.request.urlopen(url, timeout=30) as answer:
        return samples(answer.read().decode())


@pytest.fixture
def logged():
    with structlog.testing.capture_logs() as found:
        yield found
    structlog.reset_defaults()


def played(seed):
    """A fleet that took a faulted history with an end that does not hold, and what came of it."""
    made = histories.make(seed, 30)
    fleet, records = Fleet({"USDC": histories.setup()}), []
    for seen in made.faulted:
        fleet.take(seen, records)
    return made, fleet, records


def test_metrics_count_what_a_history_says_and_how_its_machine_stands():
    made, fleet, records = played(3)
    latest_us = max(record.known_us for record in records)
    metrics = WatchMetrics(clock=lambda: (latest_us + 400_000) * 1_000)
    for seen in made.faulted:
        metrics.took(seen)
    metrics.stored(records)
    health = Health("coingecko", ("price",), "down", "503", answers=7, failures=3, last_answer_us=5 * S)
    metrics.look(fleet.machines, [], {"coingecko": "down", "ethereum:alpha": "FOLLOWS"}, [health])
    told = asked(metrics)

    facts = Counter((one.source, one.feature) for one in made.faulted)
    assert (
        told["tidelake_facts_taken_total", ("feature", "price"), ("source", "coingecko")] == facts["coingecko", "price"]
    )
    assert not [key for key in told if ("feature", "head") in key]
    written = Counter(type(one).__name__ for one in records)
    assert told["tidelake_records_written_total", ("table", "stablecoin_windows")] == written["WindowRow"] > 100
    assert told[("tidelake_record_latency_seconds_count",)] == len(records)
    assert told["tidelake_record_latency_seconds_bucket", ("le", "0.25")] == 0
    soon = sum(latest_us + 400_000 - one.known_us <= S // 2 for one in records)
    assert told["tidelake_record_latency_seconds_bucket", ("le", "0.5")] == soon > 0
    state = fleet.machines["USDC"].state
    final = len({one.window_id for one in records if isinstance(one, WindowRow) and one.window_state == "FINAL"})
    assert told["tidelake_windows", ("coin", "USDC"), ("state", "FINAL")] == final > 0
    assert told["tidelake_windows", ("coin", "USDC"), ("state", "OPEN")] == len(state.tracks)
    lane = state.lanes["ethereum"]
    assert told["tidelake_chain_block", ("chain", "ethereum")] == lane.head_block
    assert told["tidelake_chain_final_block", ("chain", "ethereum")] == lane.final_block
    passed = "tidelake_chain_tier_timestamp_seconds"
    assert told[passed, ("chain", "ethereum"), ("tier", "3")] == pytest.approx(lane.passed_us[2] / S)
    assert told["tidelake_chain_halted", ("chain", "ethereum")] == 0
    assert told["tidelake_machine_stopped", ("coin", "USDC")] == 0
    corrections = {key: value for key, value in told.items() if key[0] == "tidelake_corrections_total"}
    assert sum(corrections.values()) == written["CorrectionRow"] > 0
    assert told["tidelake_source_state", ("source", "coingecko"), ("state", "down")] == 1
    assert told["tidelake_source_answer_timestamp_seconds", ("source", "coingecko")] == 5
    assert told["tidelake_source_failures_total", ("source", "coingecko")] == 3
    assert told[("process_resident_memory_bytes",)] > 1 << 20


def test_state_that_a_source_has_left_is_told_no_more():
    metrics = WatchMetrics()
    metrics.look({}, [], {"coingecko": "up"}, [])
    metrics.look({}, [], {"coingecko": "down"}, [])
    states = [key[2] for key in asked(metrics) if key[0] == "tidelake_source_state"]
    assert states == [("state", "down")]


def test_records_are_logged_as_events_with_fields_and_windows_of_a_coin_in_one(logged):
    _, _, records = played(3)
    log_records(records)
    kinds = Counter(type(one).__name__ for one in records)
    events = Counter(one["event"] for one in logged)
    assert events["fact invalidated"] + events["fact restored"] == kinds["CorrectionRow"] > 0
    (attested,) = [one for one in logged if one["event"] == "windows attested"]
    assert (attested["coin"], attested["windows"], attested["log_level"]) == ("USDC", kinds["AttestationRow"], "info")


def test_steps_of_an_alert_are_fired_upgraded_and_over(logged):
    fleet, records = Fleet({"USDC": histories.setup()}), []
    for minute in range(20):
        for at in (BEGIN + minute * 60 * S, BEGIN + minute * 60 * S + 30 * S):
            for source in ("coingecko", "kraken"):
                value = 0.97 if minute < 2 else 0.9 if minute < 5 else 1.0
                seen = Observation("price", at, at, "USDC", "", source, f"{source}{at}", value)
                fleet.take(seen, records)
    log_records(records)
    steps = [one for one in logged if one.get("kind") == "depeg" and one["chain"] == ""]
    assert (steps[0]["event"], steps[-1]["event"]) == ("alert fired", "alert over")
    assert {one["event"] for one in steps[1:-1]} == {"alert upgraded"}
    assert [one["log_level"] for one in steps] == ["warning"] * (len(steps) - 1) + ["info"]
    assert len(steps) == sum(isinstance(one, AlertRow) and not one.chain for one in records)


def test_reorganisation_is_logged_with_its_depth_and_blocks_and_a_halt_as_an_error(logged):
    old = [Block(at, f"0xa{at}", at - 1, f"0xa{at - 1}", at) for at in range(4)]
    new = [Block(at, f"0xb{at}", at - 1, f"0xb{at - 1}", at) for at in range(2, 5)]
    log_output(
        Correction("ethereum", old[1], tuple(old[2:]), tuple(new), (2, 1), (1, 1, 1), ("a", "b"), "two", 10, 2_000_010)
    )
    log_output(Incident("ethereum", old[0], (old[1],), ("a", "b"), "final block contradicted", 1, 2))
    log_output(Standing("ethereum", "a", "GONE", "no answer", 3))
    reorganisation, halt, node = logged
    assert reorganisation["event"] == "reorganisation"
    assert (reorganisation["depth"], reorganisation["ancestor"], reorganisation["highest_tier_out"]) == (2, 1, 2)
    assert reorganisation["blocks_out"] == ["2:0xa2", "3:0xa3"]
    assert reorganisation["blocks_in"] == ["2:0xb2", "3:0xb3", "4:0xb4"]
    assert reorganisation["corrected_after_s"] == 2
    assert (halt["event"], halt["log_level"], halt["contradicted"]) == ("chain halted", "error", ["1:0xa1"])
    assert (node["event"], node["node"], node["state"], node["log_level"]) == ("node", "a", "GONE", "warning")


def test_watch_tells_its_metrics_while_it_runs_and_its_records_are_in_the_tables(tmp_path, logged):
    lake = tidelake.open(tmp_path / "lake")
    coins = [coin for coin in read_coins() if coin.symbol in ("USDC", "DAI")]
    metrics = WatchMetrics()
    with serving_coins() as server, serving_metrics(metrics.registry, "0") as url:
        server.now_s = lambda: int(time.time())
        server.prices["usd-coin"] = 0.9
        server.dead.add("pools")
        polls = PollSettings(
            urls=dict.fromkeys(COIN_SOURCES, server.url),
            paces=dict.fromkeys(COIN_SOURCES, Pace(1e6, 1.0)),
            intervals=dict.fromkeys(COIN_SOURCES, 0.1),
            patience=Patience(attempts=1, total=5.0, timeout=5.0, first_wait=0.01, longest_wait=0.01),
        )
        watching = CoinWatch(lake.store, coins, [], polls=polls, listen=log_records, metrics=metrics)

        async def until_told():
            task = asyncio.create_task(watching.run())
            down = "tidelake_source_state", ("source", "defillama-pools"), ("state", "down")
            alert = "tidelake_alerts", ("coin", "USDC"), ("kind", "depeg")
            fired = ("tidelake_records_written_total", ("table", "stablecoin_alerts"))
            told = {}
            while not {down, alert, fired} <= set(told) and not task.done():
                await asyncio.sleep(0.1)
                answer = await asyncio.to_thread(urllib.request.urlopen, url, timeout=30)
                with answer:
                    told = samples(answer.read().decode())
            task.cancel()
            return told, await task

        told, report = asyncio.run(asyncio.wait_for(until_told(), 120))
    assert told["tidelake_facts_taken_total", ("feature", "price"), ("source", "coingecko")] >= 2
    assert told["tidelake_alert_steps_total", ("coin", "USDC"), ("kind", "depeg"), ("state", "PROVISIONAL")] == 1
    assert {one["event"] for one in logged} >= {"alert fired", "source down"}
    stored = sum(
        scan(lake.store, table).collect().height for table in STABLECOIN_TABLES if exists(lake.store, table.name)
    )
    assert stored == sum(report.counts.values()) > 0
