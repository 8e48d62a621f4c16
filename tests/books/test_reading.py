"""The book that a lake serves: at a moment, proven, or not at all unless asked for."""

from decimal import Decimal

import pytest

from tests.books.test_rows import START_MS, lake_of
from tidelake.errors import BookNotProven, NotInLake


def at(place: int) -> str:
    """The receive time of the frame at this place of the stream."""
    ms = START_MS + 100 * place
    return f"2024-08-08T23:54:{ms // 1_000 % 60:02d}.{ms % 1_000:03d}Z"


def levels(side):
    return [(str(level.price), str(level.size)) for level in side]


def test_a_book_stands_as_it_was_at_each_moment(tmp_path):
    lake = lake_of(tmp_path, per_entry=2)
    book = lake.book("binance-spot", "BTC-USDT").at(at(1))
    assert levels(book.bids) == [("100.10", "1.000"), ("100.00", "2.0")]
    assert levels(book.asks) == [("100.20", "0.50"), ("100.30", "3.00")]
    book = lake.book("binance-spot", "BTC-USDT").at(at(2))
    assert levels(book.bids) == [("100.10", "1.000"), ("100.05", "0.25"), ("100.00", "2.0")]
    assert levels(book.asks) == [("100.30", "3.00")]
    assert (book.state, book.reason, book.channel) == ("VALID", "", "depth@100ms")
    assert lake.book("binance-spot", "BTC-USDT").at().bids[0] == (Decimal("100.11"), Decimal(1))
    assert len(lake.book("binance-spot", "BTC-USDT").at(depth=1).bids) == 1


@pytest.mark.parametrize(("place", "reason"), [(0, "no snapshot yet"), (5, "sequence break"), (6, "sequence break")])
def test_a_book_that_is_not_proven_is_not_served_unless_asked_for(tmp_path, place, reason):
    lake = lake_of(tmp_path)
    with pytest.raises(BookNotProven) as caught:
        lake.book("binance-spot", "BTC-USDT").at(at(place))
    assert (caught.value.state, caught.value.reason) == ("INVALID", reason)
    assert "unproven=True" in str(caught.value)
    book = lake.book("binance-spot", "BTC-USDT").at(at(place), unproven=True)
    assert (book.state, book.reason) == ("INVALID", reason)


def test_a_book_that_had_not_come_is_not_in_the_lake(tmp_path):
    lake = lake_of(tmp_path)
    for source, symbol, when in (("binance-spot", "ETH-USDT", at(8)), ("kraken", "BTC-USD", at(8))):
        with pytest.raises(NotInLake):
            lake.book(source, symbol).at(when)
    with pytest.raises(NotInLake):
        lake.book("binance-spot", "BTC-USDT").at("2024-08-08T23:00:00Z")
    with pytest.raises(NotInLake) as caught:
        lake.book("binance-spot", "BTC-USDT").at(channel="depth@0ms")
    assert caught.value.available == ("depth@100ms",)
