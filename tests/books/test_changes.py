"""The changes that a judge hands on lead, set one after another, to the books of the engine of dicts."""

import random
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tests.books import venue_streams
from tests.books.columns import as_frames, recv_ns
from tests.books.slow_engine import UNPROVABLE, VALID, SlowEngine
from tests.books.test_engine import streams_of
from tidelake.books.changes import DAY_NS, ChangeJudge
from tidelake.books.engine import BookEngine

DEPTH = 3
STANDS = (VALID, UNPROVABLE)


def changes_of(source, messages, cuts, silent_until=0):
    """By stream: receive clock, whether told and whole, levels, best levels of each change; and what was left out."""
    found, left = {}, []

    def tell(stream, changes):
        rows = found.setdefault((stream.symbol, stream.channel), [])
        for i in range(len(changes)):
            levels = changes.levels.take(np.arange(changes.level_from[i], changes.level_from[i + 1]))
            names = ("side", "price", "price_exponent", "size", "size_exponent")
            cells = zip(*(getattr(levels, name).tolist() for name in names), strict=True)
            rows.append(
                (
                    int(changes.recv_ns[i]),
                    bool(changes.told[i]),
                    bool(changes.whole[i]),
                    [(side, decimal(p, pe), decimal(s, se)) for side, p, pe, s, se in cells],
                    top_of(changes, i),
                )
            )

    judge = ChangeJudge(
        source,
        BookEngine(source),
        DEPTH,
        tell,
        lambda entry, lines: None,
        lambda stream, count, why: left.append((stream.symbol, count, why)),
        lambda stream: silent_until,
    )
    frames, clocks = as_frames(messages, streams_of(source)), recv_ns(messages)
    ends = sorted({0, *cuts, len(messages)})
    for start, stop in pairwise(ends):
        judge.judge(frames.part(start, stop), clocks[start:stop])
    return found, left


def decimal(mantissa, exponent):
    return Decimal(mantissa).scaleb(exponent)


def top_of(changes, i):
    unit = int(changes.unit[i])
    return [
        [(decimal(p, unit), decimal(s, e)) for p, s, e in changes.top[i, side, : changes.counts[i, side]].tolist()]
        for side in (0, 1)
    ]


def sizes(held):
    return {price: Decimal(size) for price, (_, size) in held.items()}


def expected_changes(source, messages):
    """By stream: receive clock, whether the book stands, whether it is to be told whole, and both sides of it."""
    slow = SlowEngine(source, streams_of(source))
    found, last, day = {}, {}, 0
    for said in messages:
        before = {name: kept.state()[0] in STANDS for name, kept in slow.books.items()}
        *_, applied = slow.take(said)
        day = max(day, said.recv_ns // DAY_NS)
        for name, kept in slow.books.items():
            named = name == (said.symbol, said.channel) and said.kind not in ("page", "quote")
            stands = kept.state()[0] in STANDS
            begun = said.kind == "page" and name[0] == said.symbol and stands and not before.get(name)
            if applied and (named or begun):
                now = (day, kept.counts["falls"], kept.counts["snapshots"])
                whole = stands and (last.get(name) != now or begun)
                found.setdefault(name, []).append(
                    (said.recv_ns, stands, whole, sizes(kept.book.bids), sizes(kept.book.asks))
                )
                last[name] = now if stands else None
    return found


@pytest.mark.parametrize("source", venue_streams.SOURCES)
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_changes_lead_to_the_books_of_the_engine_of_dicts(source, seed):
    messages = venue_streams.messages(source, seed)
    chance = random.Random(seed)
    found, _ = changes_of(source, messages, [chance.randrange(len(messages)) for _ in range(3)])
    expected = expected_changes(source, messages)
    assert {name: [row[:3] for row in rows] for name, rows in found.items()} == {
        name: [row[:3] for row in rows] for name, rows in expected.items()
    }
    for name, rows in found.items():
        sides = [{}, {}]
        for (_, told, whole, levels, top), (*_, bids, asks) in zip(rows, expected[name], strict=True):
            if not told:
                assert levels == []
                continue
            sides = [{}, {}] if whole else sides
            for side, price, size in levels:
                sides[side][price] = size
                if not size:
                    del sides[side][price]
            assert sides == [bids, asks]
            assert top == [sorted(bids.items(), reverse=True)[:DEPTH], sorted(asks.items())[:DEPTH]]


def test_a_page_begins_a_book_whole_and_updates_go_on_from_it():
    source = "binance-spot"
    messages = venue_streams.messages(source, 1)
    rows = [row for found in changes_of(source, messages, [])[0].values() for row in found]
    assert any(whole for _, _, whole, *_ in rows)
    assert any(told and not whole for _, told, whole, *_ in rows)


def test_nothing_is_told_up_to_a_clock_and_then_the_whole_book():
    source = "binance-spot"
    messages = venue_streams.messages(source, 1)
    every, _ = changes_of(source, messages, [])
    name = max(every, key=lambda each: len(every[each]))
    clock = every[name][len(every[name]) // 2][0]
    later, left = changes_of(source, messages, [], silent_until=clock)
    assert [row[0] for row in later[name]] == [row[0] for row in every[name] if row[0] > clock]
    assert next(whole for _, told, whole, *_ in later[name] if told)
    assert any(why == "another lane told that time" for _, _, why in left)
