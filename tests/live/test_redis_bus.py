"""The bus over a real Redis: order, resumption, acknowledgement, trimming, and a Redis that goes away."""

import asyncio
import datetime as dt
import random
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.live.live_rows import trades
from tidelake.errors import ConfigError, SourceError
from tidelake.live.redis_bus import RedisBus, RedisSubscription

KEY = "BTC-USD:trades"


@pytest.fixture
def bus(redis_server):
    found = RedisBus(redis_server.url)
    yield found
    found.close()


def wait_for(bus, published):
    for _ in range(12_000):
        if bus.published >= published:
            return
        time.sleep(0.01)
    raise AssertionError(f"{bus.published} rows were published, not {published}")


async def take(rows, count):
    return [await asyncio.wait_for(anext(rows), 120) for _ in range(count)]


def taken(url, count, **words):
    async def work():
        async with RedisSubscription(url, KEY, **words) as rows:
            return await take(rows, count), rows.shed

    return asyncio.run(work())


def seqs(rows):
    return [row.trade_seq for row in rows]


def test_rows_keep_their_order_and_ids_count_by_one(bus, redis_server):
    for first in range(0, 3_000, 100):
        bus.publish("trades", trades(range(first, first + 100)))
        bus.publish("trades", trades(range(first, first + 100), "ETH-USD"))
    wait_for(bus, 6_000)
    found, shed = taken(redis_server.url, 3_000, after="0")
    assert seqs(found) == list(range(3_000))
    assert [int(row.id.partition("-")[2]) for row in found] == list(range(1, 3_001))
    assert shed == bus.shed == 0
    assert found[0].price == trades([0])["price"][0].as_py()


def test_a_subscriber_gets_rows_from_its_start_on(bus, redis_server):
    bus.publish("trades", trades(range(5)))
    wait_for(bus, 5)

    async def work():
        async with RedisSubscription(redis_server.url, KEY) as rows:
            bus.publish("trades", trades(range(5, 9)))
            return await take(rows, 4)

    assert seqs(asyncio.run(work())) == [5, 6, 7, 8]


def test_it_goes_on_after_the_last_id(bus, redis_server):
    bus.publish("trades", trades(range(20)))
    first, _ = taken(redis_server.url, 8, after="0")
    rest, shed = taken(redis_server.url, 12, after=first[-1].id)
    assert seqs(first + rest) == list(range(20))
    assert shed == 0


def test_consumers_of_a_group_share_rows_and_get_back_what_they_did_not_acknowledge(bus, redis_server):
    bus.publish("trades", trades(range(10)))
    words = {"group": "g", "after": "0", "consumer": "one"}

    async def first():
        async with RedisSubscription(redis_server.url, KEY, **words) as rows:
            return await take(rows, 4)  # the last of these is not acknowledged

    async def second():
        async with RedisSubscription(redis_server.url, KEY, **words) as rows:
            found = await take(rows, 7)
            await rows.acknowledge()
            return found

    one, two = asyncio.run(first()), asyncio.run(second())
    assert seqs(one) == [0, 1, 2, 3]
    assert seqs(two) == [3, 4, 5, 6, 7, 8, 9]
    assert one[-1].id == two[0].id
    bus.publish("trades", trades([10]))
    again, _ = taken(redis_server.url, 1, **words)
    assert seqs(again) == [10]


@pytest.mark.parametrize("mode", ["group", "resume"])
@pytest.mark.slow
def test_a_consumer_killed_and_restarted_sees_each_row_once_by_id(bus, redis_server, tmp_path, mode):
    """Eight kills at random; while rows come, and between them."""
    notes, total, sent = tmp_path / "notes", 2_000, 0
    consumer, rng = Path(__file__).parent / "redis_consumer.py", random.Random(7)

    def seen():
        lines = notes.read_text().splitlines() if notes.exists() else []
        return [tuple(line.split()) for line in lines]

    for kill in range(9):
        words = [sys.executable, str(consumer), redis_server.url, str(notes), mode]
        with subprocess.Popen(words) as process:
            until = total if kill == 8 else sent + 200
            while sent < until:
                bus.publish("trades", trades(range(sent, sent + 10)))
                sent += 10
                time.sleep(0.002)
            ended = time.monotonic() + (300 if kill == 8 else rng.uniform(0.3, 1.2))
            while time.monotonic() < ended and len(dict(seen())) < total:
                time.sleep(0.02)
            process.kill()
    found = seen()
    assert sorted(int(number) for number in dict(found).values()) == list(range(total))
    once = list(dict.fromkeys(found))
    assert [int(number) for _, number in once] == list(range(total))  # in order
    assert len(found) - total <= (8 if mode == "group" else 0)  # a kill repeats at most the row that it hit


def test_rows_are_trimmed_by_age_and_a_late_reader_is_told(bus, redis_server):
    import redis

    bus.publish("trades", trades(range(10)))
    wait_for(bus, 10)
    first, _ = taken(redis_server.url, 3, after="0")
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as client:
        seconds, us = client.time()
        time.sleep(0.02)
        bus.publish("trades", trades(range(10, 15)))
        wait_for(bus, 15)
        client.xtrim("trades:BTC-USD", minid=seconds * 1_000 + us // 1_000 + 1, approximate=False)
        assert client.xlen("trades:BTC-USD") == 5
    rest, shed = taken(redis_server.url, 5, after=first[-1].id)
    assert seqs(rest) == list(range(10, 15))
    assert shed == 7


def test_a_group_that_comes_late_is_told_how_many_rows_were_trimmed(bus, redis_server):
    import redis

    bus.publish("trades", trades(range(10)))
    wait_for(bus, 10)
    words = {"group": "g", "after": "0"}

    async def work():
        async with RedisSubscription(redis_server.url, KEY, **words) as rows:
            await take(rows, 10)
            await rows.acknowledge()
        bus.publish("trades", trades(range(10, 30)))
        wait_for(bus, 30)
        with redis.Redis.from_url(redis_server.url) as client:
            client.xtrim("trades:BTC-USD", maxlen=6, approximate=False)
        async with RedisSubscription(redis_server.url, KEY, **words) as rows:
            return await take(rows, 6), rows.shed

    found, shed = asyncio.run(work())
    assert seqs(found) == list(range(24, 30))
    assert shed == 14


def test_publishing_trims_what_is_older_than_it_keeps(redis_server):
    import redis

    bus = RedisBus(redis_server.url, keep=dt.timedelta(minutes=5))
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as client:
        now = client.time()[0] * 1_000
        for age_s, n in ((1_000, 1), (301, 2), (290, 3)):
            client.xadd("trades:BTC-USD", {"x": "y"}, id=f"{now - age_s * 1_000}-{n}")
        bus.publish("trades", trades([1]))
        bus.close()
        kept = [row_id.partition("-")[2] for row_id, _ in client.xrange("trades:BTC-USD")]
    assert kept == ["3", "4"]


@pytest.mark.slow
def test_a_redis_that_was_away_gets_each_row_once_and_in_order(redis_server):
    bus = RedisBus(redis_server.url)
    for number in range(0, 400, 10):
        bus.publish("trades", trades(range(number, number + 10)))
        time.sleep(0.005)
        if number in (100, 250):
            redis_server.stop()
        if number in (180, 330):
            redis_server.start()
    bus.close()
    assert (bus.published, bus.shed) == (400, 0)
    found, _ = taken(redis_server.url, 400, after="0")
    assert seqs(found) == list(range(400))


def test_a_batch_whose_answer_was_lost_is_not_added_twice(bus, redis_server):
    bus.publish("trades", trades(range(3)))
    wait_for(bus, 3)
    bus._number -= 1  # the publisher does not know that its first batch was taken
    bus.publish("trades", trades(range(3)))
    bus.publish("trades", trades(range(3, 6)))
    wait_for(bus, 9)
    found, _ = taken(redis_server.url, 6, after="0")
    assert seqs(found) == list(range(6))


@asynccontextmanager
async def losing_an_answer(port, mark):
    """A way to a Redis on which the first answer that holds the mark is lost, and the connection with it."""
    lost = []

    async def pump(source, sink, mark):
        while data := await source.read(1 << 20):
            if mark in data and not lost:
                lost.append(data)
                break
            sink.write(data)
        sink.close()

    async def serve(reader, writer):
        answers, questions = await asyncio.open_connection("127.0.0.1", port)
        both = asyncio.gather(pump(reader, questions, b"no such words"), pump(answers, writer, mark))
        await asyncio.gather(both, return_exceptions=True)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", lost


@pytest.mark.parametrize("words", [{"after": "0"}, {"after": "0", "group": "g"}])
def test_rows_whose_answer_was_lost_come_all_the_same(bus, redis_server, words):
    bus.publish("trades", trades(range(100, 110)))
    wait_for(bus, 10)

    async def work():
        last = b"\r\n109\r\n"  # only the answer to a reader holds the last row
        way = losing_an_answer(redis_server.port, last)
        async with way as (url, lost), RedisSubscription(url, KEY, **words) as rows:
            found = await take(rows, 10)
            bus.publish("trades", trades([110]))
            return found + await take(rows, 1), rows.shed, lost

    found, shed, lost = asyncio.run(work())
    assert lost
    assert (seqs(found), shed) == (list(range(100, 111)), 0)


def test_a_row_is_acknowledged_once_redis_is_back(bus, redis_server):
    bus.publish("trades", trades(range(4)))
    wait_for(bus, 4)

    async def work():
        async with RedisSubscription(redis_server.url, KEY, after="0", group="g") as rows:
            found = await take(rows, 2)
            redis_server.stop()
            with pytest.raises(SourceError, match="no Redis answers"):
                await rows.acknowledge()
            redis_server.start()
            return found + await take(rows, 2)

    assert seqs(asyncio.run(work())) == [0, 1, 2, 3]


def test_rows_beyond_the_queue_are_shed_while_redis_is_away_and_publish_does_not_wait(redis_server):
    bus = RedisBus(redis_server.url, queue_rows=100)
    redis_server.stop()
    began = time.monotonic()
    for number in range(0, 1_000, 10):
        bus.publish("trades", trades(range(number, number + 10)))
    assert time.monotonic() - began < 60  # Redis comes back after it alone
    assert bus.shed >= 880  # one batch may be on its way
    redis_server.start()
    bus.close()
    assert bus.published + bus.shed == 1_000
    found, _ = taken(redis_server.url, bus.published, after="0")
    assert seqs(found)[-100:] == list(range(900, 1_000))
    assert seqs(found) == sorted(seqs(found))


def test_wrong_addresses_and_ages_are_refused(redis_server):
    with pytest.raises(ConfigError, match="redis://"):
        RedisBus("http://localhost:1")
    with pytest.raises(ConfigError, match="5 to 15 minutes"):
        RedisBus(redis_server.url, keep=dt.timedelta(minutes=30))
    redis_server.stop()
    with pytest.raises(SourceError, match="no Redis answers"):
        RedisBus(redis_server.url)
    with pytest.raises(SourceError, match="no Redis answers"):
        taken(redis_server.url, 1)
