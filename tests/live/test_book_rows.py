"""Books as a capture tells them, against an engine that is asked after every message."""

import pytest

from tests.live.live_rows import BookMessages
from tidelake.books.engine import BookEngine
from tidelake.jobs import capture_told
from tidelake.jobs.capture_told import BookTeller

WITH_A_HOLE = [*range(1, 20), *range(22, 30)]
LEVELS = 3


def told(messages, levels=LEVELS):
    teller = BookTeller(BookEngine(messages.source), levels)
    teller.run(*messages.frames())
    rows = teller.rows()
    assert rows is not None
    assert teller.rows() is None
    return rows.to_pylist()


@pytest.mark.parametrize("numbers", [range(1, 40), WITH_A_HOLE], ids=["whole", "hole"])
def test_a_row_after_each_message_says_what_the_engine_holds(numbers):
    messages = BookMessages(numbers)
    frames, recv_ns = messages.frames()
    engine, rows = BookEngine(messages.source), {row["recv_ns"]: row for row in told(messages)}
    compared = 0
    for i in range(len(frames)):
        engine.run(frames.part(i, i + 1), recv_ns[i : i + 1])
        row = rows.get(int(recv_ns[i]), {})
        for book in engine.streams() if row else ():
            bids, asks = engine.levels(book, LEVELS)
            assert (row["validity"], row["reason"]) == engine.state(book)
            if row["validity"] == "INVALID":
                bids = asks = []
            assert list(zip(row["bid_prices"], row["bid_sizes"], strict=True)) == bids
            assert list(zip(row["ask_prices"], row["ask_sizes"], strict=True)) == asks
            compared += 1
    assert compared == len(rows) >= 19
    broken = [row for row in rows.values() if row["reason"] == "sequence break"]
    assert [row["update_id"] for row in broken] == ([22] if numbers is WITH_A_HOLE else [])


@pytest.mark.parametrize("cuts", [1, 2, 5])
def test_a_long_batch_is_told_in_steps_and_a_loss_is_never_hidden(cuts, monkeypatch):
    monkeypatch.setattr(capture_told, "MOST_CUTS", cuts)
    rows = told(BookMessages(WITH_A_HOLE))
    monkeypatch.setattr(capture_told, "MOST_CUTS", 10_000)
    assert any(row["reason"] == "sequence break" for row in rows)
    assert len(rows) <= 2 * cuts
    ones = {row["recv_ns"]: row for row in told(BookMessages(WITH_A_HOLE))}
    standing = [row for row in rows if row["validity"] == "VALID"]
    assert all(ones[row["recv_ns"]] == row for row in standing)
    assert standing or cuts == 1
