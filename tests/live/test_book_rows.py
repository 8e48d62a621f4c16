"""Books as a capture tells them, against an engine that is asked after every message."""

from dataclasses import replace

import numpy as np
import pytest

from tests.live.live_rows import BookMessages
from tidelake.books.engine import BookEngine
from tidelake.errors import FormatDrift
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


def test_rows_do_not_depend_on_how_the_messages_are_cut():
    messages = BookMessages(WITH_A_HOLE)
    frames, recv_ns = messages.frames()
    whole = told(messages)
    assert [row["reason"] for row in whole].count("sequence break") == 1
    for size in (1, 2, 7):
        teller, found = BookTeller(BookEngine(messages.source), LEVELS), []
        for start in range(0, len(frames), size):
            part = frames.part(start, min(start + size, len(frames)))
            teller.run(part, recv_ns[start : start + size])
            rows = teller.rows()
            found += rows.to_pylist() if rows is not None else []
        assert found == whole


def test_a_level_that_no_decimal_of_the_rows_can_hold_is_an_error():
    messages = BookMessages(range(1, 5))
    frames, recv_ns = messages.frames()
    odd = replace(frames, price_exponent=np.full_like(frames.price_exponent, -19))
    with pytest.raises(FormatDrift, match=r"does not fit Decimal\(38, 18\)"):
        BookTeller(BookEngine(messages.source), LEVELS).run(odd, recv_ns)
