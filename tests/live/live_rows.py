"""Rows as a capture publishes them."""

import datetime as dt
import json
from decimal import Decimal

import pyarrow as pa

from tidelake.books.frames import read_book_frames
from tidelake.live.rows import BOOK_SCHEMA, row_type
from tidelake.raw.frame import Frame, encode_line
from tidelake.tables.registry import TABLES
from tidelake.tables.segment_lines import split

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
START_US = 1_714_521_600_000_000


def trades(numbers, symbol="BTC-USD", source="coinbase"):
    """Rows of `trades` with these numbers."""
    rows = []
    for number in numbers:
        at = EPOCH + dt.timedelta(microseconds=START_US + number)
        facts = {
            "source": source, "symbol": symbol, "grain": "trade", "trade_id": str(number), "trade_seq": number,
            "event_time": at, "price": Decimal("60000.10"), "size": Decimal("0.00000001"), "size_unit": "base",
            "side": "buy", "transport": "ws",
        }  # fmt: skip
        told = {"known_at": at, "recv_ns": (START_US + number) * 1_000 + 7, "status": "active", "segment": ""}
        told |= {"line": 0, "item": 0, "parser_version": 1, "mapping_version": "m", "date": at.date()}
        rows.append(facts | told)
    return pa.Table.from_pylist(rows, TABLES["trades"].schema)


def books(rows):
    """Rows of `book`: dicts of what differs from a VALID book of one level a side."""
    plain = {
        "source": "coinbase", "symbol": "BTC-USD", "channel": "level2", "event_time": None, "recv_ns": 0,
        "update_id": None, "validity": "VALID", "reason": "", "rule": "snapshot", "bid_prices": [], "bid_sizes": [],
        "ask_prices": [], "ask_sizes": [],
    }  # fmt: skip
    return pa.Table.from_pylist([plain | row for row in rows], BOOK_SCHEMA)


def book(bids=(("99", "1"),), asks=(("101", "1"),), row_id="1-1", **changed):
    """One `book` row as a subscriber gets it."""
    levels = {
        "bid_prices": tuple(Decimal(price) for price, _ in bids),
        "bid_sizes": tuple(Decimal(size) for _, size in bids),
        "ask_prices": tuple(Decimal(price) for price, _ in asks),
        "ask_sizes": tuple(Decimal(size) for _, size in asks),
    }
    plain = {"source": "a", "symbol": "BTC-USD", "channel": "l2", "event_time": None, "recv_ns": 0, "update_id": None}
    plain |= {"validity": "VALID", "reason": "", "rule": "snapshot"}
    return row_type("book")(id=row_id, **(plain | levels | changed))


class BookMessages:
    """Messages of a book of Binance spot: an update, the page, then updates by number; each sets one level."""

    source = "binance-spot"

    def __init__(self, numbers=range(1, 40)):
        page = {"lastUpdateId": numbers[0], "bids": [["100.00", "1"]], "asks": [["101.00", "1"]]}
        payloads = []
        for number in numbers:
            side, price = ("b", "100.") if number % 3 else ("a", "101.")
            data = {"e": "depthUpdate", "E": 1_700_000_000_000 + number, "s": "BTCUSDT", "U": number, "u": number}
            level = [f"{price}{number % 7:02}", str(number % 4)]
            payloads.append(
                ("frame", {"stream": "btcusdt@depth@100ms", "data": data | {"b": [], "a": [], side: [level]}})
            )
        payloads.insert(1, ("page", page))
        self.lines = b"".join(self._line(n, kind, told) for n, (kind, told) in enumerate(payloads))

    def _line(self, n, kind, told):
        asked = "GET https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=5000"
        feed, symbol, request, status = ("book", "BTC-USDT", asked, 200) if kind == "page" else ("", "", "", 0)
        text = json.dumps(told).encode()
        at = 1_700_000_000 * 10**9 + n
        return encode_line(Frame(n, at, n, kind, text, request=request, feed=feed, symbol=symbol, status=status))

    def frames(self):
        """As the engine takes them."""
        lines = split(self.lines, first_n=0, known_before_ns=0)
        found = read_book_frames(self.source, lines, {})
        return found, lines.recv_ns[found.line]
