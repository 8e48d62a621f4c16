"""Posted batches: the event as it was recorded, the functions as their selectors are published, the search."""

import json
from typing import cast

import pytest
from hypothesis import given, strategies as st

from tests.recorded.independent_reader import DATA
from tidelake.chains.arbitrum import CHAIN
from tidelake.chains.base import CHAIN as BASE
from tidelake.chains.batches import (
    BATCH_DELIVERED,
    FIND_BATCH,
    L1_CONFIRMATIONS,
    BatchSearch,
    Posted,
    batch_filter,
    read_batch,
)
from tidelake.chains.heads import Tier
from tidelake.chains.logs import LogFact
from tidelake.chains.spec import Rollup
from tidelake.errors import ConfigError, FormatDrift

RECORDED = DATA / "chains" / "blocks" / "native_block_17300000.json"
ROLLUP = cast("Rollup", CHAIN.rollup)
TOPIC = "0x7394f4a19a13c7b92b5bb71033245305946ef78452f7b4986ac1390b5df4ebd7"
INBOX = "0x1c479675ad559dc151f6ec7ed3fbf8cee79582b6"


def delivered(number, block, digest, address=INBOX):
    words = [7, 900, 10, 20, 30, 40, 1]
    return LogFact(
        chain="ethereum",
        block_number=block,
        block_hash=digest,
        tx_hash="0x" + "05" * 32,
        tx_index=0,
        log_index=3,
        address=address,
        topics=(TOPIC, f"0x{number:064x}", "0x" + "aa" * 32, "0x" + "bb" * 32),
        data="0x" + "".join(f"{word:064x}" for word in words),
    )


def test_topic_and_selectors_are_those_that_are_published():
    # Bindings that abigen made of nitro-contracts tell the selectors; the topic stands in recorded logs.
    assert BATCH_DELIVERED.topic0 == TOPIC
    assert FIND_BATCH.selector.hex() == "81f1adaf"
    assert L1_CONFIRMATIONS.selector.hex() == "e5ca238c"


def test_fields_of_a_batch_stand_where_the_event_puts_them():
    found = read_batch(ROLLUP, delivered(205_000, 17_300_000, "0x" + "0c" * 32))
    assert (found.number, found.block_number, found.log_index) == (205_000, 17_300_000, 3)
    assert (found.before, found.after) == ("0x" + "aa" * 32, "0x" + "bb" * 32)
    assert (found.delayed_read, found.times, found.parent_numbers, found.data_location) == (900, (10, 20), (30, 40), 1)


@pytest.mark.skipif(not RECORDED.is_file(), reason="needs the recorded block in ../shared/data/chains/blocks")
def test_the_one_recorded_batch_is_found_among_310_logs():
    text = RECORDED.read_text()
    told = [log for log in _logs(json.loads(text)) if log["topics"][:1] == [TOPIC]]
    assert len(told) == 1
    (log,) = told
    fact = LogFact(
        chain="ethereum",
        block_number=int(log["blockNumber"]),
        block_hash=log["blockHash"],
        tx_hash=log["transactionHash"],
        tx_index=int(log["transactionIndex"]),
        log_index=int(log["logIndex"]),
        address=log["address"].lower(),
        topics=tuple(log["topics"]),
        data=log["data"],
    )
    assert batch_filter(ROLLUP).matches(fact)
    found = read_batch(ROLLUP, fact)
    words = [log["data"][2:][at : at + 64] for at in range(0, len(log["data"]) - 2, 64)]
    assert (found.number, found.delayed_read) == (0x3202A, 0xD216F)
    assert found.times == (int(words[2], 16), int(words[3], 16)) == (0x64674D07, 0x6468AC97)
    assert found.parent_numbers == (0x107E3A0, 0x107FA2C)
    assert found.data_location == 0


def _logs(node):
    if isinstance(node, dict):
        if "topics" in node and "data" in node:
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from _logs(one)


def test_logs_of_others_and_rollups_without_an_inbox_are_refused():
    with pytest.raises(FormatDrift, match="none of the sequencer inbox"):
        read_batch(ROLLUP, delivered(1, 1, "0x01", address="0x" + "12" * 20))
    with pytest.raises(ConfigError):
        batch_filter(cast("Rollup", BASE.rollup))


def test_a_batch_counts_where_its_block_is_active_and_as_far_as_that_is_settled():
    posted = Posted()
    for number, block, digest in ((5, 100, "a"), (6, 101, "b"), (7, 102, "gone"), (8, 103, "gone too")):
        posted.add(read_batch(ROLLUP, delivered(number, block, digest)))
    tiers: dict[tuple[int, str], Tier] = {(100, "a"): 3, (101, "b"): 2}
    assert posted.newest(lambda number, digest: tiers.get((number, digest)), 1) == 6
    assert posted.newest(lambda number, digest: tiers.get((number, digest)), 3) == 5
    posted.add(read_batch(ROLLUP, delivered(7, 102, "again")))  # posted anew, in another block
    tiers[102, "again"] = 1
    assert posted.newest(lambda number, digest: tiers.get((number, digest)), 1) == 7
    posted.forget_before(7)
    assert sorted(posted.batches) == [7, 8]
    assert posted.newest(lambda number, digest: None, 1) == -1


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(0, 60), st.data())
def test_search_finds_the_last_block_of_each_batch_in_few_questions(sizes, unposted, data):
    of = [batch for batch, size in enumerate(sizes, start=10) for _ in range(size)]  # batch of block 1, 2, ..
    tip = len(of) + unposted
    search = BatchSearch(0)
    for batch in data.draw(st.permutations(range(9, 10 + len(sizes)))):
        asked = 0
        while (block := search.probe(batch, tip)) is not None:
            search.answer(block, of[block - 1] if block <= len(of) else None)
            asked += 1
        assert search.last_in(batch) == sum(one <= batch for one in of)
        assert asked <= tip.bit_length() + 1


def test_a_block_in_no_batch_is_asked_for_again_once_there_may_be_one():
    search = BatchSearch(0)
    search.answer(1, None)
    assert (search.probe(10, 1), search.last_in(10)) == (None, 0)
    search.renew()
    assert search.probe(10, 1) == 1
    search.answer(1, 10)
    assert search.last_in(10) == 1
