"""The engine of arrays equals the engine of dicts, whatever happens on the way and however messages are cut."""

import random
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tests.books import venue_streams
from tests.books.columns import as_frames, recv_ns
from tests.books.slow_engine import Said, SlowEngine
from tidelake.books.engine import BookEngine, Verdicts
from tidelake.books.states import REASONS, STATES, rule_words
from tidelake.kernels.book_memory import COUNTERS


def streams_of(source):
    depth = venue_streams.DEPTH if source == "kraken" else 0
    channel = venue_streams.CHANNELS[source]
    books = {(symbol, channel): (depth, (-1, -1)) for symbol in venue_streams.SYMBOLS}
    return books | {(symbol, "bookTicker"): (0, (-1, -1)) for symbol in venue_streams.SYMBOLS}


def fast(engine, messages, streams, cuts=()):
    """Verdicts of the engine, run in parts that end at the cuts."""
    frames, clocks = as_frames(messages, streams), recv_ns(messages)
    ends = [0, *sorted(cuts), len(messages)]
    parts = [engine.run(frames.part(a, b), clocks[a:b]) for a, b in pairwise(ends)]
    return Verdicts(*(np.concatenate([getattr(part, name) for part in parts]) for name in Verdicts.__annotations__))


def told(verdicts):
    columns = (verdicts.state, verdicts.reason, verdicts.proven, verdicts.applied)
    return [
        (STATES[state], REASONS[reason], rule_words(proven), applied)
        for state, reason, proven, applied in zip(*(c.tolist() for c in columns), strict=True)
    ]


def words(verdict):
    state, reason, rules, applied = verdict
    order = ("snapshot", "sequence", "checksum", "quote", "audit", "connection")
    return state, reason, "+".join(rule for rule in order if rule in rules), bool(applied)


@pytest.mark.parametrize("source", venue_streams.SOURCES)
@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_engine_equals_the_engine_of_dicts(source, seed):
    messages = venue_streams.messages(source, seed)
    streams = streams_of(source)
    engine, slow = BookEngine(source), SlowEngine(source, streams)
    verdicts = told(fast(engine, messages, streams))
    expected = [words(verdict) for verdict in slow.run(messages)]
    for i, (ours, theirs) in enumerate(zip(verdicts, expected, strict=True)):
        assert ours == theirs, (i, messages[i])
    for stream in engine.streams():
        kept = slow.books[stream.symbol, stream.channel]
        assert engine.counters(stream) == {name: kept.counts[name] for name in COUNTERS}
        bids, asks = engine.levels(stream)
        assert [(level.price, level.size) for level in bids] == sorted(_sizes(kept.book.bids), reverse=True)
        assert [(level.price, level.size) for level in asks] == sorted(_sizes(kept.book.asks))


def _sizes(side):
    return [(price, Decimal(size)) for price, (_, size) in side.items()]


@pytest.mark.parametrize("source", venue_streams.SOURCES)
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_verdicts_do_not_depend_on_cuts_nor_on_being_written_down(source, seed):
    messages = venue_streams.messages(source, seed)
    streams = streams_of(source)
    whole = told(fast(BookEngine(source), messages, streams))
    cuts = random.Random(seed).sample(range(len(messages)), min(7, len(messages)))
    assert told(fast(BookEngine(source), messages, streams, cuts)) == whole
    engine = BookEngine(source)
    half = len(messages) // 2
    before = told(fast(engine, messages[:half], streams))
    assert before + told(fast(BookEngine.load(engine.dump()), messages[half:], streams)) == whole


def test_generated_streams_reach_every_state_and_reason():
    """What the comparisons above rest on: a reason that no stream brings about would be compared with nothing."""
    found = set()
    for source in venue_streams.SOURCES:
        for seed in range(40):
            messages = venue_streams.messages(source, seed)
            found |= {
                (source, state, reason) for state, reason, *_ in SlowEngine(source, streams_of(source)).run(messages)
            }
    assert {state for _, state, _ in found} == set(STATES)
    too_large = REASONS.index("a level does not fit the book's scale")  # the engine of dicts has no such bound
    assert {reason for *_, reason in found} == {reason for i, reason in enumerate(REASONS) if i != too_large}
    assert ("coinbase", "VALID", "") not in found


def test_a_level_beyond_the_scale_of_its_book_loses_the_book():
    streams = streams_of("kraken")
    fine = Said("snapshot", "BTC-USD", "book-10", (("bid", "0.000000000000000001", "1"),))
    large = Said("update", "BTC-USD", "book-10", (("ask", "900000", "1"),))
    verdicts = told(fast(BookEngine("kraken"), [fine, large], streams))
    assert verdicts[0][:2] == ("VALID", "")
    assert verdicts[1] == ("INVALID", "a level does not fit the book's scale", "", False)
