"""A watch in a process of its own, so that it can be killed: `python -m tests.jobs.watch_child CONFIG`.

It ends when the file that the configuration names as `stop` is there.
"""

import asyncio
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec

import tidelake
from tests.jobs.test_follow_coins import coin_at
from tests.jobs.test_follow_heads import CHAIN, provider
from tidelake.jobs.coin_polls import PollSettings
from tidelake.jobs.watch_coins import CoinWatch
from tidelake.providers.registry import COIN_SOURCES
from tidelake.transport.rates import Pace

EVERY_S = 0.3  # two watches of one node, and it and its relay have to keep up
ETHEREUM = replace(CHAIN, name="ethereum")


class Config(msgspec.Struct):
    """What is watched, where and by what clock; `nodes` by name."""

    lake: str
    lines: str
    stop: str
    token: str
    nodes: dict[str, str]
    coins_url: str
    second: int


def crawling(begun_ns):
    """A clock that all but stands, a thousandth as fast as the wall's: which of two notes came later must be told."""
    return begun_ns + (time.time_ns() - begun_ns) // 1_000


def watched_coin(token):
    coin = coin_at(token)
    return msgspec.structs.replace(coin, deployments=(msgspec.structs.replace(coin.deployments[0], chain="ethereum"),))


def watch_of(config, **options):
    polls = PollSettings(
        urls=dict.fromkeys(COIN_SOURCES, config.coins_url),
        paces=dict.fromkeys(COIN_SOURCES, Pace(1e6, 1.0)),
        clock=lambda: config.second * 10**9,
    )
    return CoinWatch(
        tidelake.open(config.lake).store,
        [watched_coin(config.token)],
        [(ETHEREUM, [provider(name, url) for name, url in config.nodes.items()])],
        polls=polls,
        jsonl=Path(config.lines),
        every_s=EVERY_S,
        clock=partial(crawling, config.second * 10**9),
        **options,
    )


async def watch(config):
    task = asyncio.create_task(watch_of(config).run())
    while not Path(config.stop).exists() and not task.done():
        await asyncio.sleep(0.05)
    task.cancel()
    return await task


if __name__ == "__main__":
    asyncio.run(watch(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Config)))
