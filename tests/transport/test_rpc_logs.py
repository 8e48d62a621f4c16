"""Logs over ranges: each block once, whatever the provider's limits, and cut answers found out."""

import asyncio
import itertools
from collections import deque
from contextlib import ExitStack

import pytest
from hypothesis import given, settings, strategies as st

from tests.transport.rpc_node import CONTRACT, Fault, node
from tidelake.errors import AskedTooMuch, FormatDrift, NotServed, SourceError
from tidelake.transport.http import Patience
from tidelake.transport.rpc import RpcPool
from tidelake.transport.rpc_logs import Widths, get_logs

QUICK = Patience(attempts=5, total=20.0, timeout=0.5, first_wait=0.001, longest_wait=0.01)


@pytest.fixture
def nodes():
    with ExitStack() as stack:
        yield lambda **attributes: stack.enter_context(node(**attributes))


def logs_of(providers, first, last, **options):
    async def run():
        async with RpcPool("ethereum", providers, patience=QUICK, seed=1) as pool:
            return await get_logs(pool, [CONTRACT], [], first, last, **options)

    return asyncio.run(run())


def covered(pieces):
    return [(piece.first, piece.last) for piece in pieces]


def assert_whole(pieces, first, last, logs):
    ends = covered(pieces)
    assert ends[0][0] == first
    assert ends[-1][1] == last
    assert all(before[1] + 1 == after[0] for before, after in itertools.pairwise(ends))
    found = [
        (int(log["blockNumber"], 16), int(log["logIndex"], 16)) for piece in pieces for log in piece.answer.value(list)
    ]
    assert found == [(block, index) for block in range(first, last + 1) for index in range(logs(block))]


@given(
    st.integers(0, 500),
    st.integers(1, 300),
    st.integers(1, 120),
    st.integers(1, 60),
    st.integers(1, 40),
    st.sampled_from([None, 1, 3, 50]),
    st.integers(0, 2**32),
)
def test_each_block_is_answered_exactly_once_whatever_is_refused(
    first, blocks, width, most_blocks, most_logs, told, seed
):
    last = first + blocks - 1
    widths = Widths(first, last, width)
    seen: list[int] = []
    requests = 0
    while (piece := widths.take(told)) is not None:
        requests += 1
        size = piece[1] - piece[0] + 1
        logs = sum((block * 2_654_435_761 + seed) % 7 for block in range(piece[0], piece[1] + 1))
        if size > 1 and size > most_blocks:
            widths.refused(*piece, widest=most_blocks if seed % 2 else None)
        elif size > 1 and logs > most_logs:
            widths.refused(*piece)
        else:
            seen.extend(range(piece[0], piece[1] + 1))
            widths.answered(*piece, logs)
    assert sorted(seen) == list(range(first, last + 1))
    assert requests <= 4 * blocks + 20


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 300),
    st.integers(1, 150),
    st.integers(1, 60),
    st.integers(2, 30),
    st.lists(st.integers(0, 2), min_size=1, max_size=9),
    st.sampled_from(["serial", "beside each other"]),
)
def test_a_real_node_with_any_limits_gives_all_logs(first, blocks, most_blocks, most_logs, pattern, manner):
    def logs(block):
        return pattern[block % len(pattern)]

    last = first + blocks - 1
    with node(logs=logs, max_log_blocks=most_blocks, max_logs=most_logs) as one:
        parallel = 1 if manner == "serial" else 8
        assert_whole(logs_of([one.provider()], first, last, width=40, parallel=parallel), first, last, logs)


def test_a_limit_that_is_told_is_kept_at_once(nodes):
    one = nodes(max_log_blocks=100)
    pieces = logs_of([one.provider()], 1, 5_000, width=2_000, parallel=1)
    assert_whole(pieces, 1, 5_000, lambda block: 0)
    assert one.methods().count("eth_getLogs") == 51, "one refusal, then fifty pieces"
    again = nodes(max_log_blocks=100)
    logs_of([again.provider(max_log_blocks=100)], 1, 5_000, parallel=1)
    assert again.methods().count("eth_getLogs") == 50


def test_ranges_grow_where_there_is_little(nodes):
    one = nodes(logs=lambda block: block % 1_000 == 0)
    pieces = logs_of([one.provider()], 0, 99_999, width=1_000, parallel=1)
    assert_whole(pieces, 0, 99_999, one.logs)
    assert len(pieces) <= 8


def test_wide_questions_go_to_who_takes_them(nodes):
    one, two = nodes(max_log_blocks=10), nodes()
    pieces = logs_of([one.provider(), two.provider("two")], 1, 4_000, width=1_000, parallel=1)
    assert {piece.answer.provider for piece in pieces} == {"two"}
    assert one.methods().count("eth_getLogs") == 1


def test_a_question_that_gets_no_answer_in_time_is_made_smaller(nodes):
    one = nodes(logs=lambda block: 1, silent_over=30)
    pieces = logs_of([one.provider()], 1, 60, width=60, parallel=1)
    assert_whole(pieces, 1, 60, one.logs)
    assert covered(pieces)[0] == (1, 30)


def test_a_gateway_that_gives_up_is_asked_for_less(nodes):
    one = nodes(logs=lambda block: 1, faults=deque([None, Fault(504, b"<html>"), Fault(413, b"too large")]))
    pieces = logs_of([one.provider()], 1, 60, width=60, parallel=1)
    assert_whole(pieces, 1, 60, one.logs)
    assert covered(pieces)[0] == (1, 15)


def test_an_answer_cut_without_a_word_is_found_by_its_round_number(nodes):
    one = nodes(logs=lambda block: 7, cut_logs=1_000)
    assert_whole(logs_of([one.provider()], 1, 500, width=500, parallel=1), 1, 500, one.logs)


def test_an_answer_cut_where_the_provider_is_known_to_cut_is_found(nodes):
    one = nodes(logs=lambda block: 7, cut_logs=256)
    assert_whole(logs_of([one.provider(max_logs=256)], 1, 200, width=200, parallel=1), 1, 200, one.logs)
    two = nodes(logs=lambda block: 300, cut_logs=256)
    with pytest.raises(SourceError, match="block 1 has at least 256 logs"):
        logs_of([two.provider(max_logs=256)], 1, 1)


def test_a_round_number_of_logs_that_is_the_truth_is_believed(nodes):
    one = nodes(logs=lambda block: 1_000 if block == 5 else 0)
    assert_whole(logs_of([one.provider()], 1, 10, width=10, parallel=1), 1, 10, one.logs)


def test_what_is_too_much_for_one_block_ends_it(nodes):
    one = nodes(logs=lambda block: 50, max_logs=20)
    with pytest.raises(AskedTooMuch, match="query returned more than 20 results"):
        logs_of([one.provider()], 1, 4)


def test_logs_come_from_nodes_that_know_the_last_block(nodes):
    one, two = nodes(head=450, logs=lambda block: 1), nodes(head=500, logs=lambda block: 1)
    pieces = logs_of([one.provider(), two.provider("two")], 401, 500, width=10)
    assert_whole(pieces, 401, 500, two.logs)
    assert {piece.answer.provider for piece in pieces if piece.last > 450} == {"two"}
    with pytest.raises(NotServed):
        logs_of([one.provider()], 401, 500, width=200)


def test_a_node_that_answers_nothing_is_found_out_by_a_second(nodes):
    one, two = nodes(answers={"eth_getLogs": lambda params: []}), nodes(logs=lambda block: 1)
    with pytest.raises(SourceError, match=r"one and two do not agree on eth_getLogs.*0 items against 10 items"):
        logs_of([one.provider(), two.provider("two")], 1, 10, agree=2)
    one.answers.clear()
    one.logs = two.logs
    (piece,) = logs_of([one.provider(), two.provider("two")], 1, 10, agree=2)
    assert (piece.answer.provider, piece.answer.agreed) == ("one", ("two",))


@pytest.mark.parametrize("answer", [{"logs": []}, "0x", [{"blockNumber": "0x99"}], [{"blockNumber": "nine"}], [{}]])
def test_what_are_no_logs_of_these_blocks_is_format_drift(nodes, answer):
    one = nodes(answers={"eth_getLogs": lambda params: answer})
    with pytest.raises(FormatDrift, match="eth_getLogs"):
        logs_of([one.provider()], 1, 10)


def test_no_blocks_are_no_request(nodes):
    one = nodes()
    assert logs_of([one.provider()], 11, 10) == []
    assert not one.asked


def test_cancelling_leaves_nothing_behind(nodes):
    one = nodes(always=Fault(silence=0.4))

    async def run():
        async with RpcPool("ethereum", [one.provider()], patience=QUICK) as pool:
            task = asyncio.create_task(get_logs(pool, [], [], 1, 100_000))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return [other for other in asyncio.all_tasks() if other is not asyncio.current_task()]

    assert asyncio.run(run()) == []
