"""What is old and what is not, where a venue may start its numbers anew; and Kraken's own example of a checksum."""

import json

import pytest

from tests.books.columns import as_frames, recv_ns
from tests.books.slow_engine import Said
from tidelake.books.engine import BookEngine
from tidelake.books.frames import read_book_frames
from tidelake.books.messages import BookStream
from tidelake.books.states import REASONS, STATES
from tidelake.raw.frame import Frame, encode_line
from tidelake.tables.segment_lines import split

MS = 1_000_000
BOOKS = {"okx": "books", "bybit": "orderbook.50", "deribit": "book.raw"}
RESETTING = ("okx", "bybit")


def said(source, kind, number, at, size="1"):
    """A message of a book that is told every 10 ms; ids step by one."""
    levels = (("bid", "99", size), ("ask", "101", "1")) if kind == "snapshot" else (("bid", "99", size),)
    prev = None if source == "bybit" or kind == "snapshot" else number - 1
    return Said(kind, "BTC-USD", BOOKS[source], levels, None, number, prev, event_ns=(1_000 + 10 * at) * MS)


def judged(source, *messages):
    """State and reason after each, and the engine."""
    engine = BookEngine(source)
    verdicts = engine.run(as_frames(messages, {("BTC-USD", BOOKS[source]): (0, (-1, -1))}), recv_ns(messages))
    codes = zip(verdicts.state.tolist(), verdicts.reason.tolist(), strict=True)
    return [(STATES[state], REASONS[reason]) for state, reason in codes], engine


def best_size(engine, source):
    bid, _ = engine.top(BookStream("BTC-USD", BOOKS[source]))
    return None if bid is None else str(bid.size)


def started(source):
    """A snapshot and five updates, ids 100 to 105, each with its id as size."""
    return [said(source, "update" if at else "snapshot", 100 + at, at, str(100 + at)) for at in range(6)]


@pytest.mark.parametrize("source", BOOKS)
@pytest.mark.parametrize("back", [1, 2, 3, 4])
def test_an_update_that_comes_again_later_changes_nothing(source, back):
    again = said(source, "update", 105 - back, 5 - back, "7")
    states, engine = judged(source, *started(source), again, said(source, "update", 106, 6, "106"))
    assert {state for state, _ in states} == {"VALID"}
    assert best_size(engine, source) == "106"
    assert engine.counters(BookStream("BTC-USD", BOOKS[source]))["out_of_order"] == 1


@pytest.mark.parametrize("source", RESETTING)
@pytest.mark.parametrize("at", [5, 6, 600])
def test_a_low_number_that_is_not_older_follows_a_lost_reset(source, at):
    states, _ = judged(source, *started(source), said(source, "update", 3, at))
    assert states[-1] == ("INVALID", "sequence break")


@pytest.mark.parametrize("source", RESETTING)
def test_a_lost_reset_is_found_also_after_the_clock_went_back(source):
    """The times after which a message is old are those of what was taken last, not the latest of all."""
    day = 8_640_000
    back = [said(source, "update", 106, 6 - day), said(source, "update", 107, 7 - day)]
    states, _ = judged(source, *started(source), *back, said(source, "update", 3, 8 - day))
    assert states[-2] == ("VALID", "")
    assert states[-1] == ("INVALID", "sequence break")


def test_a_reset_of_okx_that_arrives_goes_on():
    reset = Said("update", "BTC-USD", "books", (("bid", "99", "5"),), None, 3, 105, event_ns=(1_000 + 60) * MS)
    states, engine = judged("okx", *started("okx"), reset, said("okx", "update", 4, 7, "6"))
    assert {state for state, _ in states} == {"VALID"}
    assert best_size(engine, "okx") == "6"


@pytest.mark.parametrize("source", BOOKS)
def test_an_old_snapshot_does_not_replace_a_standing_book(source):
    old = said(source, "snapshot", 102, 2, "7")
    states, engine = judged(source, *started(source), old)
    assert {state for state, _ in states} == {"VALID"}
    assert best_size(engine, source) == "105"
    states, engine = judged(source, *started(source), old, said(source, "update", 106, 6, "106"))
    assert states[-1] == ("VALID", "")
    assert best_size(engine, source) == "106"


@pytest.mark.parametrize("source", BOOKS)
@pytest.mark.parametrize(("number", "at"), [(3, 6), (104, 6), (106, 2), (106, 6), (105, 5)])
def test_a_snapshot_that_may_be_new_replaces_the_book(source, number, at):
    """By its number or by its time: a venue that starts anew counts from below, and its clock goes on."""
    states, engine = judged(source, *started(source), said(source, "snapshot", number, at, "7"))
    assert states[-1] == ("VALID", "")
    assert best_size(engine, source) == "7"


def test_a_snapshot_of_bybit_with_number_1_replaces_the_book_whatever_its_time():
    states, engine = judged("bybit", *started("bybit"), said("bybit", "snapshot", 1, 2, "7"))
    assert states[-1] == ("VALID", "")
    assert best_size(engine, "bybit") == "7"


@pytest.mark.parametrize("source", BOOKS)
def test_a_lost_book_takes_any_snapshot(source):
    gap = said(source, "update", 109, 9)
    states, _ = judged(source, *started(source), gap, said(source, "snapshot", 107, 7))
    assert states[-2:] == [("INVALID", "sequence break"), ("VALID", "")]


def test_a_quote_that_differs_asks_for_a_page_and_an_equal_page_settles_it():
    def message(kind, first, last, levels):
        return Said(kind, "BTC-USD", "depth@100ms", levels, first, last)

    book = (("bid", "99", "1"), ("ask", "101", "1"))
    page = message("page", None, 10, book)
    messages = [page, message("update", 11, 12, (("bid", "99", "2"),))]
    wrong = Said("quote", "BTC-USD", "bookTicker", (("bid", "99", "3"), ("ask", "101", "1")), None, 12)
    names = {("BTC-USD", "depth@100ms"): (0, (-1, -1)), ("BTC-USD", "bookTicker"): (0, (-1, -1))}
    engine = BookEngine("binance-spot")

    def run(*more):
        engine.run(as_frames(more, names), recv_ns(more))
        return [(want.by, want.reason) for want in engine.wanted]

    assert run(*messages) == []
    assert run(wrong) == [("page", "differs from the quote with the same update id")]
    assert run(message("page", None, 12, (("bid", "99", "2"), ("ask", "101", "1")))) == []
    assert engine.state(BookStream("BTC-USD", "depth@100ms")) == ("VALID", "")
    assert run(wrong) != []
    assert run(message("page", None, 12, (("bid", "99", "3"), ("ask", "101", "1")))) == [
        ("page", "differs from an audit page")
    ]


@pytest.mark.parametrize(
    ("bids", "state"),
    [
        ((("99", "1"), ("98", "2")), "VALID"),  # the level that an update set below the first page
        ((("99", "1"), ("98", "3")), "INVALID"),
        ((("99", "1"), ("97", "1")), "INVALID"),  # it lacks that level, and goes further down
        ((("99", "1"),), "VALID"),  # it does not go so far down
        ((("99", "1"), ("98", "2"), ("97", "1")), "VALID"),  # of a level below the first page nothing was known
    ],
)
def test_an_audit_compares_what_updates_set_beyond_the_first_page(bids, state):
    def message(kind, first, last, *levels):
        return Said(kind, "BTC-USD", "depth@100ms", levels, first, last)

    asks = ("ask", "101", "1")
    messages = [
        message("page", None, 10, ("bid", "99", "1"), asks),
        message("update", 11, 12, ("bid", "98", "2")),
        message("page", None, 12, *(("bid", *level) for level in bids), asks),
    ]
    engine = BookEngine("binance-spot")
    engine.run(as_frames(messages, {("BTC-USD", "depth@100ms"): (0, (-1, -1))}), recv_ns(messages))
    stream = BookStream("BTC-USD", "depth@100ms")
    assert engine.state(stream)[0] == state
    assert engine.counters(stream)["audits_compared"] == 1


# The book, and its checksum, of https://docs.kraken.com/api/docs/guides/spot-ws-book-v2
ASKS = (
    "45285.2 0.00100000, 45286.4 1.54571953, 45286.6 1.54571109, 45289.6 1.54560911, 45290.2 0.15890660, "
    "45291.8 1.54553491, 45294.7 0.04454749, 45296.1 0.35380000, 45297.5 0.09945542, 45299.5 0.18772827"
)
BIDS = (
    "45283.5 0.10000000, 45283.4 1.54582015, 45282.1 0.10000000, 45281.0 0.10000000, 45280.3 1.54592586, "
    "45279.0 0.07990000, 45277.6 0.03310103, 45277.5 0.30000000, 45277.3 1.54602737, 45276.6 0.15445238"
)
DOCUMENTED = 3310070434


def pairs(side):
    return [tuple(level.split(" ")) for level in side.split(", ")]


def kraken_v2(asks, bids, checksum, kind="snapshot"):
    def levels(side):
        return ",".join(f'{{"price":{price},"qty":{size}}}' for price, size in side)

    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":[{levels(bids)}],'
        f'"asks":[{levels(asks)}],"checksum":{checksum},"timestamp":"2023-10-06T17:35:55.440295Z"}}]}}'
    ).encode()


def judged_frames(*payloads):
    plain = b"".join(
        encode_line(Frame(n, 1_700_000_000_000_000_000 + n, n, "frame", payload, "wss://ws.kraken.com/v2"))
        for n, payload in enumerate(payloads)
    )
    lines = split(plain, first_n=0, known_before_ns=0)
    frames = read_book_frames("kraken", lines, {})
    verdicts = BookEngine("kraken").run(frames, lines.recv_ns[frames.line])
    return [(STATES[state], proven) for state, proven in zip(verdicts.state, verdicts.proven.tolist(), strict=True)]


def test_the_documented_checksum_of_kraken_v2_is_that_of_the_documented_book():
    same = kraken_v2((), pairs(BIDS)[1:2], DOCUMENTED, "update")  # says again what stands there
    beyond = kraken_v2((), [("45276.5", "2.00000000")], DOCUMENTED, "update")  # an eleventh level is not summed
    found = judged_frames(kraken_v2(pairs(ASKS), pairs(BIDS), DOCUMENTED), same, beyond)
    assert [state for state, _ in found] == ["VALID"] * 3
    assert all(proven & 4 for _, proven in found)


@pytest.mark.parametrize("place", range(10))
def test_a_zero_at_the_end_counts_in_the_checksum_of_kraken_v2(place):
    bids = pairs(BIDS)
    bids[place] = (bids[place][0], bids[place][1] + "0")
    ((state, proven),) = judged_frames(kraken_v2(pairs(ASKS), bids, DOCUMENTED))
    assert (state, proven) == ("INVALID", 0)


def test_numbers_without_their_last_zeros_are_padded_to_the_decimals_of_the_instrument():
    def bare(text):
        return str(json.loads(text)) if "." in text else text

    def message(checksum):
        levels = [("ask", *map(bare, level)) for level in pairs(ASKS)]
        levels += [("bid", *map(bare, level)) for level in pairs(BIDS)]
        return Said("snapshot", "BTC-USD", "book", tuple(levels), checksum=checksum)

    for checksum, state in ((DOCUMENTED, "VALID"), (DOCUMENTED + 1, "INVALID")):
        messages = [message(checksum)]
        frames = as_frames(messages, {("BTC-USD", "book"): (10, (1, 8))})
        assert STATES[BookEngine("kraken").run(frames, recv_ns(messages)).state[0]] == state
