"""Payloads made to hurt: each ends in rows or in quarantine with a reason, and its lane goes on."""

import json
from typing import Any
from unittest.mock import patch

import pytest

from tests.contract.samples import read
from tidelake.raw.frame import Frame, encode_line
from tidelake.tables import decode as decode_module
from tidelake.tables.decode import Decoded, decode
from tidelake.tables.describe import describe_for
from tidelake.tables.registry import TABLES
from tidelake.tables.rows import read_frame
from tidelake.tables.segment_lines import split

START = 1_700_000_000 * 10**9
MATCH = (
    '{"type":"match","trade_id":%d,"side":"buy","size":"1","price":"100","product_id":"BTC-USD",'
    '"time":"2023-11-14T22:13:20.000000Z"}'
)
TRADE = '{"e":"trade","E":1700000000000,"s":"BTCUSDT","t":%d,"p":"1","q":"1","T":1700000000000,"m":true}'
ITEM = '{"T":%s,"s":"BTCUSDT","S":"Buy","v":"1","p":"100","i":%s,"BT":false}'
KRAKEN_PAGE = (
    '{"error":[],"result":{"XXBTZUSD":[["1","1",1700000000.1,"b","m","",1],["1","1",%s,"b","m","",2],'
    '["1","1",1700000000.3,"b","m","",3]],"last":"1"}}'
)


def frame(payload: str, n: int = 0, **more: Any) -> Frame:
    return Frame(n, START + n, 0, more.pop("kind", "frame"), payload.encode(), **more)


def v5(*items: str) -> str:
    return '{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1,"data":[' + ",".join(items) + "]}"


@pytest.mark.parametrize("spelled", ["1e9999999", "0e999999999", "1e99999999999999999999", "1" * 5_000, '"\\ud800"'])
def test_page_with_one_impossible_time_keeps_the_other_trades(spelled):
    page = frame(
        KRAKEN_PAGE % spelled, kind="page", request="GET https://x/0/public/Trades?pair=XBTUSD", symbol="BTC-USD"
    )
    found = read("kraken", (page,))
    assert found.rows["trade_seq"].to_pylist() == [1, 3]
    assert [(r.line, r.item) for r in found.rejected] == [(0, 1)]
    assert found.rejected[0].reason.startswith("event")
    assert len(found.rejected[0].reason.encode()) < 600


@pytest.mark.parametrize(
    ("time", "trade_id"), [("1e9999999", '"u"'), ("1700000000000", '"\\ud800"'), ("0e99999999", '"u"')]
)
def test_segment_with_an_impossible_value_is_described_and_read(time, trade_id):
    good = ITEM % ("1700000000000", '"a"')
    plain = encode_line(frame(v5(good, ITEM % (time, trade_id)))) + encode_line(
        frame(v5(good.replace('"a"', '"b"')), 1)
    )
    claims, _ = describe_for("bybit")(plain, {})
    assert [(claim.symbol, claim.count) for claim in claims] == [("BTC-USDT", 2)]
    found = decode(TABLES["trades"], "bybit", split(plain, first_n=0, known_before_ns=0), "0" * 16, {})
    assert found.rows["trade_id"].to_pylist() == ["a", "b"]
    assert [(r.line, r.item) for r in found.rejected] == [(0, 1)]
    found.rejected[0].reason.encode()


def both(source: str, payloads: list[str]) -> Decoded:
    """What both readings say, which is the same."""
    frames = tuple(frame(payload, n) for n, payload in enumerate(payloads))
    fast = read(source, frames)
    with patch.object(decode_module, "read_columns", side_effect=RuntimeError("broken")):
        slow = read(source, frames)
    assert fast.rows.equals(slow.rows)
    assert fast.rejected == slow.rejected
    return fast


def escaped(text: str, word: str) -> str:
    return text.replace(f'"{word}"', f'"\\u{ord(word[0]):04x}{word[1:]}"', 1)


@pytest.mark.parametrize(
    ("source", "made", "key", "word"), [("coinbase", MATCH, "type", "match"), ("binance-spot", TRADE, "e", "trade")]
)
def test_discriminator_in_other_bytes_is_read_and_a_doubled_one_is_told(source, made, key, word):
    twice = f'{{"{key}":"{word}",'
    payloads = [
        made % 1,
        escaped(made % 2, word),
        escaped(made % 3, key),
        (made % 4).replace("{", twice, 1),
        (made % 5).replace("{", twice.replace(word, "heartbeat"), 1),
        escaped(escaped((made % 6).replace("{", twice, 1), word), word),
        (made % 7).replace(word, "heartbeat", 1).replace("{", twice.replace(word, "other"), 1),
    ]
    found = both(source, payloads)
    assert found.rows["trade_seq"].to_pylist() == [1, 2, 3]
    assert [r.line for r in found.rejected] == [3, 4, 5]
    assert all(f"key '{key}' stands twice" in r.reason for r in found.rejected)


@pytest.mark.parametrize(
    ("source", "payload", "word"),
    [
        ("kraken", '[1,[["1","1","1699999999.5","s","l",""]],"trade","XBT/USD"]', "trade"),
        ("bybit", v5(ITEM % ("1700000000000", '"a"')), "publicTrade.BTCUSDT"),
        ("deribit", json.dumps({
            "method": "subscription",
            "params": {"channel": "trades.BTC-PERPETUAL.raw", "data": [{
                "instrument_name": "BTC-PERPETUAL", "trade_id": "1", "trade_seq": 1, "timestamp": 1700000000000,
                "price": 1, "amount": 10, "direction": "buy"}]}}), "trades.BTC-PERPETUAL.raw"),
    ],
)  # fmt: skip
def test_escaped_word_of_a_frame_is_read(source, payload, word):
    said = escaped(payload, word)
    assert said != payload
    plain, other = read(source, (frame(payload),)), read(source, (frame(said),))
    assert len(plain.rows) == 1
    assert other.rows.equals(plain.rows)


def test_reader_that_fails_refuses_its_line_alone():
    def fail(mapping, table, venue, said, line, context):
        if line == 1:
            raise SystemError("a defect of ours")
        return read_frame(mapping, table, venue, said, line, context)

    payloads = [v5(ITEM % ("1700000000000", f'"{n}"')) for n in range(3)]
    with patch.object(decode_module, "read_frame", side_effect=fail):
        found = read("bybit", tuple(frame(payload, n) for n, payload in enumerate(payloads)))
    assert found.rows["trade_id"].to_pylist() == ["0", "2"]
    assert [(r.line, "a defect of ours" in r.reason) for r in found.rejected] == [(1, True)]


def test_segment_that_cannot_be_described_claims_nothing():
    plain = encode_line(frame(MATCH % 1))
    assert describe_for("coinbase")(plain, {"a": "b"})[0]
    with patch("tidelake.tables.describe.decode", side_effect=SystemError("a defect of ours")):
        assert describe_for("coinbase")(plain, {"a": "b"}) == ((), {"a": "b"})


def kraken(time: str, at: int) -> Frame:
    return Frame(at, START + at, 0, "frame", f'[9,[["354.1","0.5","{time}","s","l",""]],"trade","XBT/USD"]'.encode())


def test_equal_trades_are_counted_on_though_a_clock_of_the_venue_ran_ahead():
    context: dict[str, str] = {}
    ids: list[str] = []
    for frames in ([kraken("1700003600.0", 0), kraken("1699999999.5", 1)], [kraken("1699999999.5", 2)]):
        plain = b"".join(map(encode_line, frames))
        found = decode(TABLES["trades"], "kraken", split(plain, first_n=frames[0].n, known_before_ns=0), "", context)
        ids += found.rows["trade_id"].to_pylist()
    assert [trade_id.rpartition(":")[2] for trade_id in ids] == ["1", "1", "2"]
    assert len(set(ids)) == 3


def test_memory_of_equal_trades_ends_by_the_receive_clock():
    context: dict[str, str] = {}
    for n in range(3):
        told = Frame(n, START + n * decode_module.NTH_MEMORY_NS, 0, "frame", kraken(f"{1699999999 + n}.5", n).payload)
        decode(TABLES["trades"], "kraken", split(encode_line(told), first_n=n, known_before_ns=0), "", context)
    assert sorted(json.loads(context["nth:trades-v1"])) == [
        f"BTC-USD {1699999999 + n}500000:354.1:0.5:sell" for n in (1, 2)
    ]
