"""The bus inside a process: order, typed rows, and a slow subscriber that stalls nobody."""

import asyncio
import datetime as dt
import threading
import time
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from tests.live.live_rows import EPOCH, START_US, books, trades
from tidelake.errors import ConfigError, NotInLake
from tidelake.live.bus import Bus
from tidelake.live.names import stream_name
from tidelake.live.row_queue import Batch, RowQueue
from tidelake.live.rows import read_struct, structs, texts


def collect(subscription):
    async def work():
        return [row async for row in subscription]

    return asyncio.run(asyncio.wait_for(work(), 20))


def test_rows_are_typed_as_the_tables_columns():
    bus = Bus()
    rows = bus.subscribe("BTC-USD:trades")
    bus.publish("trades", trades([5]))
    bus.finish()
    (row,) = collect(rows)
    assert (row.price, row.size, row.side) == (Decimal("60000.1"), Decimal("1E-8"), "buy")
    assert row.event_time == EPOCH + dt.timedelta(microseconds=START_US + 5)
    assert (row.trade_seq, row.recv_ns) == (5, (START_US + 5) * 1_000 + 7)
    assert row.id.endswith("-1")
    with pytest.raises(AttributeError):
        row.price = Decimal(1)


def test_each_symbol_has_its_own_stream_in_order():
    bus = Bus()
    bitcoin, ether = bus.subscribe("BTC-USD:trades"), bus.subscribe("ETH-USD:trades")
    for number in range(50):
        mixed = [trades([number]), trades([1_000 + number], "ETH-USD"), trades([500 + number])]
        for rows in mixed:
            bus.publish("trades", rows)
    bus.finish()
    found = collect(bitcoin)
    assert [row.trade_seq for row in found] == [each for number in range(50) for each in (number, 500 + number)]
    assert [int(row.id.partition("-")[2]) for row in found] == list(range(1, 101))
    assert [row.trade_seq for row in collect(ether)] == [1_000 + number for number in range(50)]


def test_a_slow_subscriber_loses_the_oldest_and_neither_publisher_nor_others_wait():
    bus = Bus()
    slow, quick = bus.subscribe("BTC-USD:trades", queue_rows=10), bus.subscribe("BTC-USD:trades")
    began = time.process_time()
    for number in range(0, 100, 4):
        bus.publish("trades", trades(range(number, number + 4)))
    assert time.process_time() - began < 5
    bus.finish()
    found = collect(slow)
    assert slow.shed == 90
    assert [row.trade_seq for row in found] == list(range(90, 100))
    assert found[0].id.endswith("-91")  # the hole shows in the ids
    assert [row.trade_seq for row in collect(quick)] == list(range(100))
    assert quick.shed == 0


def test_rows_come_while_a_thread_publishes():
    bus = Bus()
    subscription = bus.subscribe("BTC-USD:trades")

    def work():
        for number in range(300):
            bus.publish("trades", trades([number]))
        bus.finish()

    thread = threading.Thread(target=work)
    thread.start()
    found = collect(subscription)
    thread.join()
    assert [row.trade_seq for row in found] == list(range(300))


def test_nothing_comes_to_a_closed_subscription():
    async def work():
        bus = Bus()
        async with bus.subscribe("BTC-USD:trades") as rows:
            bus.publish("trades", trades([1]))
            first = await anext(rows)
        bus.publish("trades", trades([2]))
        return bus, first, [row async for row in rows]

    bus, first, after = asyncio.run(work())
    assert first.trade_seq == 1
    assert after == []
    assert bus.subscriptions() == []


@pytest.mark.parametrize("text", ["BTC-USD", "BTC-USD:nope", ":trades", "trades"])
def test_unknown_streams_are_refused_with_what_there_is(text):
    with pytest.raises(NotInLake) as caught:
        stream_name(text)
    assert "trades" in caught.value.available


def test_places_in_a_stream_need_redis(tmp_path):
    import tidelake

    live = tidelake.open(tmp_path / "lake").live
    with pytest.raises(ConfigError, match="Redis"):
        live.subscribe("BTC-USD:trades", after="0")
    with pytest.raises(ConfigError, match="Redis"):
        live.subscribe("BTC-USD:trades", group="g")
    with pytest.raises(ConfigError, match="book or quotes"):
        live.subscribe("BTC-USD:spread", over="trades")


@given(st.lists(st.integers(1, 7), max_size=20), st.integers(1, 12))
def test_queue_keeps_the_latest_rows_and_counts_the_others(sizes, bound):
    queue, sent = RowQueue(bound), 0
    for size in sizes:
        queue.put(Batch("k", trades(range(sent, sent + size)), sent, 0))
        sent += size
        assert len(queue) <= bound
    left = []
    while (batch := queue.take()) is not None:
        numbers = batch.rows["trade_seq"].to_pylist()
        assert batch.first_n == numbers[0]
        left += numbers
    assert left == list(range(max(0, sent - bound), sent))
    assert queue.shed == sent - len(left)


def test_texts_of_an_entry_give_the_same_row_back():
    level = {"bid_prices": [Decimal("99.5"), Decimal(99)], "bid_sizes": [Decimal(1), Decimal("1E-18")]}
    for feed, rows in (
        ("trades", trades([3, 4])),
        ("book", books([level | {"event_time": EPOCH + dt.timedelta(microseconds=1_500_001)}, {"update_id": 7}])),
    ):
        said = list(structs(feed, rows, 1, 9))
        for n, (words, row) in enumerate(zip(texts(feed, rows), said, strict=True), 1):
            assert read_struct(feed, f"9-{n}", dict(zip(words[::2], words[1::2], strict=True))) == row
