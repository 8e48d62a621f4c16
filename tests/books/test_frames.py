"""Messages in the forms that venues send today, as documented; no recording of ours holds them."""

import json
from dataclasses import replace
from unittest.mock import patch

import pytest

from tests.books.segments import as_segment
from tests.property.test_fast_book_frames import assert_same
from tidelake.books import frames as frames_module
from tidelake.books.frames import read_book_frames
from tidelake.books.messages import HEARTBEAT, NONE, OTHER, PAGE, QUOTE, REFUSED, SNAPSHOT, UPDATE, BookStream
from tidelake.raw.frame import Frame, encode_line
from tidelake.venues.coinbase_books import ADVANCED
from tidelake.venues.registry import venue

NOW = 1_790_000_000_000_000_000  # 2026-09-21


def segment(*payloads: str, kind="frame", request="", symbol="") -> bytes:
    frames = (Frame(n, NOW + n, 0, kind, p.encode(), request, "", symbol) for n, p in enumerate(payloads))
    return b"".join(map(encode_line, frames))


def levels(frames) -> list[tuple[int, int, int, int, int]]:
    columns = (frames.side, frames.price, frames.price_exponent, frames.size, frames.size_exponent)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_kraken_v2_keeps_digits_and_takes_its_depth_from_the_confirmation():
    found = assert_same(
        "kraken",
        segment(
            '{"method":"subscribe","result":{"channel":"book","depth":25,"snapshot":true,"symbol":"BTC/USD"},'
            '"success":true}',
            '{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[{"price":45283.50,"qty":0.10000000}],'
            '"asks":[{"qty":1E-8,"price":45285.2}],"checksum":3310070434}]}',
            '{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":45283.50,"qty":0}],"asks":[],'
            '"checksum":1,"timestamp":"2026-09-21T14:13:20.123456Z"}]}',
            '{"channel":"heartbeat"}',
        ),
    )
    assert found.streams == [BookStream("BTC-USD", "book", 25)]
    assert found.kind.tolist() == [SNAPSHOT, UPDATE]
    assert found.checksum.tolist() == [3310070434, 1]
    assert levels(found) == [(0, 4528350, -2, 10000000, -8), (1, 452852, -1, 1, -8), (0, 4528350, -2, 0, 0)]
    assert found.event_ns.tolist() == [0, 1_790_000_000_123_456_000]


def test_okx_checksum_is_absent_since_it_is_constant():
    book = '{"asks":[["8446","95","0","3"]],"bids":[],"ts":"1790000000000","checksum":0,"seqId":9,"prevSeqId":-1}'
    found = assert_same(
        "okx",
        segment(
            f'{{"arg":{{"channel":"books","instId":"BTC-USDT"}},"action":"snapshot","data":[{book}]}}',
            '{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["8446","95","0","3"]],'
            '"bids":[["8445","1","0","1"]],"ts":"1790000000000","seqId":10}]}',
            '{"event":"subscribe","arg":{"channel":"bbo-tbt","instId":"BTC-USDT"}}',
            "pong",
        ),
    )
    assert found.kind.tolist() == [SNAPSHOT, QUOTE]
    assert found.checksum.tolist() == [NONE, NONE]
    assert found.last_id.tolist() == [9, 10]
    assert found.prev_id.tolist() == [-1, NONE]
    assert not found.refused


def test_okx_page_is_of_the_instrument_in_its_request():
    page = '{"code":"0","msg":"","data":[{"asks":[["2","1","0","1"]],"bids":[["1","1","0","1"]],"ts":"1790000000000"}]}'
    found = assert_same(
        "okx", segment(page, kind="page", request="GET https://h/api/v5/market/books?instId=BTC-USDT-SWAP")
    )
    assert found.streams == [BookStream("BTC-USDT-PERP", "")]
    assert found.kind.tolist() == [PAGE]


def test_a_bybit_topic_is_spot_where_the_socket_says_so():
    book = (
        '{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1790000000000,'
        '"data":{"s":"BTCUSDT","b":[["1.50","0"]],"a":[],"u":7,"seq":9}}'
    )
    spot = assert_same("bybit", segment(book, request="wss://stream.bybit.com/v5/public/spot"))
    linear = assert_same("bybit", segment(book, request="wss://stream.bybit.com/v5/public/linear"))
    assert spot.streams == [BookStream("BTC-USDT", "orderbook.50")]
    assert linear.streams == [BookStream("BTC-USDT-PERP", "orderbook.50")]
    assert levels(spot) == [(0, 150, -2, 0, 0)]
    assert spot.last_id.tolist() == [7]


def advanced(*payloads: str):
    coinbase = replace(venue("coinbase"), source="coinbase-advanced", books=ADVANCED)
    with patch.object(frames_module, "find_venue", lambda source: coinbase):
        return assert_same("coinbase-advanced", segment(*payloads))


def event(kind: str, product: str, *updates: tuple[str, str, str]) -> dict[str, object]:
    changes = [
        {"side": side, "event_time": "1970-01-01T00:00:00Z", "price_level": price, "new_quantity": size}
        for side, price, size in updates
    ]
    return {"type": kind, "product_id": product, "updates": changes}


def told(channel: str, number: int, *events: object) -> str:
    return json.dumps(
        {"channel": channel, "timestamp": "2026-09-21T14:13:20.123456789Z", "sequence_num": number, "events": events}
    )


def test_coinbase_advanced_numbers_every_frame_of_the_connection():
    found = advanced(
        told("l2_data", 0, event("snapshot", "BTC-USD", ("bid", "21921.73", "0.06317902"), ("offer", "21921.74", "1"))),
        told("subscriptions", 1, {"subscriptions": {"level2": ["BTC-USD"]}}),
        told("heartbeats", 2, {"current_time": "2026", "heartbeat_counter": "3049"}),
        told("l2_data", 3, event("update", "BTC-USD", ("bid", "21921.73", "0")), event("update", "ETH-USD")),
    )
    assert found.kind.tolist() == [SNAPSHOT, OTHER, HEARTBEAT, UPDATE, UPDATE]
    assert found.conn_seq.tolist() == [0, 1, 2, 3, 3]
    assert found.item.tolist() == [0, 0, 0, 0, 1]
    assert [found.streams[n].symbol if n >= 0 else "" for n in found.stream] == [
        "BTC-USD",
        "",
        "",
        "BTC-USD",
        "ETH-USD",
    ]
    assert levels(found) == [(0, 2192173, -2, 6317902, -8), (1, 2192174, -2, 1, 0), (0, 2192173, -2, 0, 0)]


def test_an_unreadable_update_stands_as_lost_in_its_book():
    found = advanced(
        told("l2_data", 0, event("update", "BTC-USD", ("bid", "1", "2"))),
        told("l2_data", 1, event("update", "BTC-USD", ("bid", "1", "-2"))),
        told("l2_data", 2, event("update", "BTC-USD", ("left", "1", "2"))),
    )
    assert found.kind.tolist() == [UPDATE, REFUSED, REFUSED]
    assert found.conn_seq.tolist() == [0, 1, 2]
    assert found.stream.tolist() == [0, 0, 0]
    assert [(r.line, r.reason) for r in found.refused] == [
        (1, "'-2' is negative"),
        (2, "side 'left' is none of ('bid', 'offer')"),
    ]


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ('"0.050"', (50, -3)),
        ('"0.00000000"', (0, -8)),
        ("12", (12, 0)),
        ("5.0e-4", (50, -5)),
        ('"9223372036854775807"', (9223372036854775807, 0)),
        ('"92233720368547758070"', (9223372036854775807, 1)),
        ('"12345678901234567.8000"', (1234567890123456780, -2)),
    ],
)
def test_digits_are_kept_as_sent(text: str, digits: tuple[int, int]):
    found = assert_same(
        "binance-spot", segment(f'{{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":2,"b":[["1",{text}]],"a":[]}}')
    )
    assert (found.size.tolist(), found.size_exponent.tolist()) == ([digits[0]], [digits[1]])


@pytest.mark.parametrize("text", ['"9223372036854775808"', '"-1"', "null", '"NaN"', "true", '"1e400"', '""'])
def test_what_is_no_number_of_64_bits_is_refused(text: str):
    found = assert_same(
        "binance-spot", segment(f'{{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":2,"b":[["1",{text}]],"a":[]}}')
    )
    assert found.kind.tolist() == [REFUSED]
    assert found.streams == [BookStream("BTC-USDT", "depth")]
    assert len(found.refused) == 1


def test_a_page_without_a_name_is_of_the_one_symbol_before_it():
    update = '{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":2,"b":[],"a":[["2","3"]]}'
    page = Frame(1, NOW, 0, "page", b'{"lastUpdateId":7,"bids":[["1","2"]],"asks":[]}', "depth snapshot")
    first = encode_line(Frame(0, NOW, 0, "frame", update.encode()))
    found = assert_same("binance-spot", first + encode_line(page))
    assert found.streams == [BookStream("BTC-USDT", ""), BookStream("BTC-USDT", "depth")]
    assert found.last_id.tolist() == [2, 7]
    alone = read_book_frames("binance-spot", as_segment(encode_line(replace(page, n=0))), {})
    assert not len(alone)
    assert len(alone.refused) == 1
