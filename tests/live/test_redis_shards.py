"""Shards over a real Redis: the records of one process, also where a shard or Redis itself is killed."""

import os
import signal
from functools import partial
from itertools import chain

import pytest

from tests.stablecoins import fleets
from tidelake.errors import ConfigError, SourceError
from tidelake.live.redis_shards import RedisLink
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.replay.csv_files import csv_files
from tidelake.stablecoins.replay.csv_rows import CsvRows
from tidelake.stablecoins.shards.coordinator import ShardedFleet
from tidelake.stablecoins.shards.features import FeatureShards
from tidelake.stablecoins.shards.links import ShardLost
from tidelake.stablecoins.shards.worker import Save, Worker, encode


def test_shards_over_redis_say_the_same_also_where_one_is_killed(redis_server):
    import redis

    links = []

    def opened(work):
        links.append(RedisLink(redis_server.url, work))
        return links[-1]

    setups, seen = fleets.setups(), fleets.delivery(17, minutes=3)
    fleet, wanted = Fleet(setups), []
    fleet.take_all(seen, wanted)
    sharded, out = ShardedFleet(setups, shards=2, open_link=opened), []
    middle = len(seen) // 2
    sharded.take_all(seen[:middle], out)
    sharded.save()
    links[0].process.kill()
    sharded.take_all(seen[middle:], out)
    assert (out, sharded.save()) == (wanted, fleet.save())
    assert sharded.restarts == 1
    sharded.close()
    assert redis.Redis.from_url(redis_server.url).keys("tidelake:shard:*") == []
    assert not any(link.process.is_alive() for link in links)


def test_files_read_by_shards_of_features_over_redis_are_merged(redis_server, tmp_path):
    (tmp_path / "ethereum").mkdir()
    (tmp_path / "ethereum" / "price.csv").write_text(f"timestamp,coin,price\n{priced('USDC')}{priced('DAI')}")
    (tmp_path / "volatility.csv").write_text("timestamp,market_volatility\n2024-01-01T00:00:01Z,0.5\n")
    files = csv_files(tmp_path)
    apart = FeatureShards(files, open_link=partial(RedisLink, redis_server.url), part=2)
    assert list(chain.from_iterable(apart.batches())) == list(chain.from_iterable(CsvRows(files).batches()))
    apart.close()


def priced(coin):
    return "".join(f"2024-01-01T00:00:0{second}Z,{coin},1.0\n" for second in range(3))


def test_a_redis_that_goes_ends_the_run_with_what_to_do(redis_server):
    sharded = ShardedFleet(fleets.setups(), shards=1, open_link=partial(RedisLink, redis_server.url))
    redis_server.stop()
    with pytest.raises(SourceError, match="no Redis answers"):
        sharded.take_all(fleets.delivery(1, minutes=1)[:100], [])
    sharded.close()


def test_what_was_asked_and_is_gone_from_redis_is_no_endless_wait(redis_server):
    import redis

    link = RedisLink(redis_server.url, Worker)
    link.ask(encode(Save()))
    assert link.answer()
    assert link.process.pid
    os.kill(link.process.pid, signal.SIGSTOP)
    link.ask(encode(Save()))
    redis.Redis.from_url(redis_server.url).flushall()
    with pytest.raises(ShardLost, match="gone"):
        link.answer()
    link.process.kill()
    link.close()


def test_an_address_of_no_redis_is_refused():
    with pytest.raises(ConfigError):
        RedisLink("http://localhost", Worker)
