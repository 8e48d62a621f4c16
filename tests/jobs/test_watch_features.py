"""What comes to watched coins beside chains and providers: volatility, sentiment, tiers of a rollup by its batches."""

import asyncio
from dataclasses import replace

import msgspec
import pytest

import tidelake
from tests.jobs.chain_relay import mine, rpc
from tests.jobs.test_follow_coins import coin_at
from tests.jobs.test_follow_heads import provider
from tests.jobs.test_rollup_heads import CHILD, FIND, INBOX, ROLLUP, in_batches_up_to, post
from tests.jobs.watch_child import ETHEREUM, EVERY_S
from tests.stablecoins.test_sentiment import polarity, say
from tests.stablecoins.test_volatility import MINUTE, START, keep, slow, walk
from tidelake.jobs.coin_texts import TextFeed
from tidelake.jobs.watch_coins import CoinWatch
from tidelake.stablecoins.records import WindowRow
from tidelake.stablecoins.sources.feed import Feed
from tidelake.stablecoins.sources.refs import coin_refs
from tidelake.stablecoins.sources.volatility import CandleFeed

ARBITRUM = replace(CHILD, name="arbitrum")


class Clock:
    """Stands still until it is set; the few microseconds it gives are to tell its readings apart."""

    def __init__(self, us):
        self.now_ns = us * 1_000

    def __call__(self):
        self.now_ns += 1_000
        return self.now_ns

    def set(self, us):
        self.now_ns = us * 1_000


@pytest.fixture
def lake(tmp_path):
    return tidelake.open(tmp_path / "lake")


async def until(done, task, seconds=90.0):
    async with asyncio.timeout(seconds):
        while not done():
            assert not task.done(), task.result()
            await asyncio.sleep(0.01)


async def ended(task):
    task.cancel()
    return await task


def test_volatility_and_sentiment_come_to_the_windows_and_what_has_no_source_is_absent_and_not_waited_for(
    lake, tmp_path
):
    (folder := tmp_path / "texts").mkdir()
    closes, first, clock = walk(70), START // MINUTE, Clock(START + 62 * MINUTE)
    keep(lake, {minute: close for minute, close in closes.items() if minute < first + 62}, START + 62 * MINUTE)
    coins, rows = [coin_at("0x" + "33" * 20)], list[WindowRow]()

    def watching(texts):
        bars = CandleFeed(lake.store)
        spoken = TextFeed(lake.store, coin_refs(coins), folder=texts, polarity=polarity, clock=clock)
        bars.interval_s = spoken.interval_s = 0.05
        listen = lambda told: rows.extend(one for one in told if isinstance(one, WindowRow))  # noqa: E731
        feeds: list[Feed] = [bars, spoken]
        return *feeds, CoinWatch(lake.store, coins, [], feeds=feeds, clock=clock, listen=listen, anew=True)

    def row_of(minute):
        start = START + minute * MINUTE
        found = [one for one in rows if (one.window_s, one.window_start_us, one.chain) == (60, start, "")]
        return found[-1] if found else None

    async def with_texts():
        bars, spoken, watch = watching(folder)
        task = asyncio.create_task(watch.run())
        await until(lambda: bars._ticks > 0, task)
        clock.set(START + 64 * MINUTE + MINUTE // 2)
        say(folder, clock, 0.5)
        await until(lambda: spoken.health()[0].condition == "up", task)
        keep(lake, {minute: close for minute, close in closes.items() if minute < first + 65}, START + 65 * MINUTE)
        clock.set(START + 66 * MINUTE + 1_000)
        await until(lambda: (one := row_of(64)) and one.market_volatility and one.sentiment_score, task)
        return await ended(task)

    report = asyncio.run(with_texts())
    assert {line.source: line.state for line in report.sources} == {"candles": "up", "vader": "up"}
    row = row_of(64)
    assert row is not None
    assert row.market_volatility == pytest.approx(slow(closes, first + 65)[START + 65 * MINUTE - 1])
    assert row.sentiment_score == 0.5
    assert row.confidence_breakdown.completeness == 1.0
    stored = lake.scan("stablecoin_windows").collect()
    assert row.market_volatility in stored["market_volatility"].to_list()

    rows.clear()

    async def without_texts():
        bars, _, watch = watching(None)
        task = asyncio.create_task(watch.run())
        await until(lambda: bars._ticks > 0, task)
        clock.set(START + 72 * MINUTE)
        await until(lambda: row_of(71), task)
        return await ended(task)

    clock.set(START + 70 * MINUTE)
    keep(lake, closes, START + 70 * MINUTE)
    lines = {line.source: line for line in asyncio.run(without_texts()).sources}
    assert lines["vader"].state == "absent"
    assert lines["vader"].detail == "no texts are configured: setting `texts`, TIDELAKE_TEXTS"
    assert all(one.sentiment_score is None for one in rows)


def two_chains(start_anvil):
    parent, child = start_anvil().url, start_anvil().url
    rpc(parent, "anvil_setCode", ROLLUP.contracts["sequencer_inbox"], INBOX)
    rpc(child, "anvil_setCode", ROLLUP.system["node_interface"], FIND)
    mine(child, 100)
    in_batches_up_to(child, 69)
    coin = coin_at("0x" + "33" * 20)
    deployments = [msgspec.structs.replace(coin.deployments[0], chain=name) for name in ("ethereum", "arbitrum")]
    return parent, child, msgspec.structs.replace(coin, deployments=tuple(deployments))


def test_tiers_of_arbitrum_are_those_of_its_batches_also_where_a_watch_is_gone_on_with(start_anvil, lake):
    parent, child, coin = two_chains(start_anvil)
    nodes = [(ARBITRUM, [provider("child", child)]), (ETHEREUM, [provider("parent", parent)])]

    def told(watch):
        return {line.source: line.detail for line in watch.sources()}

    def lane(watch):
        return watch._fleet.machines["USDC"].state.lanes["arbitrum"]

    async def first():
        watch = CoinWatch(lake.store, [coin], nodes, every_s=EVERY_S)
        task = asyncio.create_task(watch.run())
        await until(lambda: told(watch).get("arbitrum:child") == "block 100, safe -1, final -1", task)
        await until(lambda: told(watch)["arbitrum:finality"] == "no batch was seen yet, of ethereum", task)
        post(parent, 5)
        await until(lambda: told(watch)["arbitrum:child"] == "block 100, safe 59, final -1", task)
        mine(parent, 4)
        await until(lambda: lane(watch).final_block == 59, task)
        assert told(watch)["arbitrum:finality"] == "batch 5 is posted, batch 5 in a final block, of ethereum"
        return await ended(task)

    report = asyncio.run(first())
    assert {line.state for line in report.sources} == {"FOLLOWS", "up"}

    async def again():
        watch = CoinWatch(lake.store, [coin], nodes, every_s=EVERY_S)
        task = asyncio.create_task(watch.run())
        await until(lambda: told(watch).get("arbitrum:child") == "block 100, safe 59, final 59", task)
        assert told(watch)["arbitrum:finality"] == "batch 5 is posted, batch 5 in a final block, of ethereum"
        post(parent, 6)
        await until(lambda: told(watch)["arbitrum:child"] == "block 100, safe 69, final 59", task)
        return await ended(task)

    second = asyncio.run(again())
    assert (second.run, second.resumed) == (report.run, True)


def test_without_ethereum_the_tiers_of_arbitrum_are_those_of_its_nodes_and_a_line_says_so(start_anvil, lake):
    _, child, coin = two_chains(start_anvil)

    async def scenario():
        watch = CoinWatch(lake.store, [coin], [(ARBITRUM, [provider("child", child)])], every_s=EVERY_S)
        task = asyncio.create_task(watch.run())
        await until(lambda: watch._fleet.machines["USDC"].state.lanes["arbitrum"].final_block == 96, task)
        return await ended(task)

    lines = {line.source: line for line in asyncio.run(scenario()).sources}
    assert lines["arbitrum:child"].detail == "block 100, safe 98, final 96"
    assert lines["arbitrum:finality"].state == "up"
    assert lines["arbitrum:finality"].detail.startswith("by the tags of its own nodes: ethereum is not followed")
