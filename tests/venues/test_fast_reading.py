"""What no function of a venue flattens is read by column: none of its good frames is left to the slow reading."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any
from unittest.mock import patch

import pytest

from tests.contract.samples import sample
from tests.venues.frames import BYBIT_SPOT, EXAMPLES, INVERSE, LINEAR, RECV_NS
from tidelake.raw.frame import Frame, encode_line
from tidelake.tables import decode as decoding
from tidelake.tables.columns import Columns, read_columns
from tidelake.tables.mapping import Mapping, load_mappings
from tidelake.tables.registry import TABLES
from tidelake.tables.segment_lines import SegmentLines, split

PAGE = "GET https://api.bybit.com/v5/market/recent-trade?limit=60"
BY_COLUMN = [mapping for mapping in load_mappings() if not mapping.spec.flatten]


def lines_of(frames: list[Frame]) -> SegmentLines:
    plain = b"".join(encode_line(replace(frame, n=n)) for n, frame in enumerate(frames))
    return split(plain, first_n=0, known_before_ns=0)


@cache
def frames_of(source: str) -> list[Frame]:
    made = sample(source, "made")
    said = [
        Frame(0, RECV_NS, 0, "frame", e.payload.encode(), request=e.request) for e in EXAMPLES if e.source == source
    ]
    frames = [*(made.frames if made else ()), *said, *(bybit_trades() if source == "bybit" else ())]
    return sorted(frames, key=lambda frame: frame.recv_ns)


def bybit_trades() -> Iterator[Frame]:
    """Documented trades of each category, and one from an address that names none."""
    option = LINEAR.replace("linear", "option")
    for place, (address, name) in enumerate(
        [
            (BYBIT_SPOT, "BTCUSDT"),
            (LINEAR, "BTCUSDT"),
            (INVERSE, "BTCUSD"),
            (option, "BTC-26DEC25-60000-C"),
            ("", "BTCUSDT"),
        ]
    ):
        row: dict[str, object] = {
            "T": RECV_NS // 10**6,
            "s": name,
            "S": "Buy",
            "v": "0.001",
            "p": "16578.50",
            "i": f"id-{place}",
            "BT": False,
        }
        if address != BYBIT_SPOT:
            row["L"] = "PlusTick"
        message = {"topic": f"publicTrade.{name}", "type": "snapshot", "ts": RECV_NS // 10**6, "data": [row, row]}
        yield Frame(0, RECV_NS, 0, "frame", json.dumps(message).encode(), request=address)


def refused(mapping: Mapping) -> int:
    lines = lines_of(frames_of(mapping.source))
    left: list[int] = []

    def noted(*args: Any) -> Columns:
        found = read_columns(*args)
        left.extend(found.refused.tolist())
        return found

    with patch.object(decoding, "read_columns", noted):
        decoding.decode(TABLES[mapping.spec.table], mapping.source, lines, "", {}, [mapping])
    return len(left)


@pytest.mark.parametrize("mapping", BY_COLUMN, ids=lambda m: f"{m.source}/{m.spec.name}")
def test_no_good_frame_is_left_to_the_slow_reading(mapping):
    assert frames_of(mapping.source)
    assert refused(mapping) == 0


def told(source: str, frames: list[Frame], *names: str) -> list[tuple[Any, ...]]:
    """What the rows of some frames say, and the mapping that read each."""
    found = decoding.decode(TABLES["trades"], source, lines_of(frames), "", {})
    assert found.rejected == []
    return [
        (row["mapping_version"].split("/")[1].split("@")[0], *(row[name] for name in names))
        for row in found.rows.to_pylist()
    ]


def test_trades_of_bybit_name_their_product_and_unit_by_their_address():
    rows = told("bybit", list(bybit_trades()), "symbol", "size_unit")
    assert rows[::2] == rows[1::2]
    assert rows[::2] == [
        ("trades-v5-spot", "BTC-USDT", "base"),
        ("trades-v5", "BTC-USDT-PERP", "base"),
        ("trades-v5", "BTC-USD-PERP", "quote"),
        ("trades-v5", "BTC-USDC-20251226-60000-C", "base"),
        ("trades-v5-unaddressed", "BTC-USDT-PERP", "base"),
    ]


def test_pages_of_bybit_name_their_product_by_their_category():
    row = {"execId": "a", "symbol": "BTCUSDT", "price": "1", "size": "2", "side": "Buy", "time": str(RECV_NS // 10**6)}
    pages = [
        Frame(0, RECV_NS, 0, "page", json.dumps({"result": {"category": c, "list": [row]}}).encode(), PAGE, status=200)
        for c in ("linear", "spot")
    ]
    assert told("bybit", pages, "symbol") == [("trades-page", "BTC-USDT-PERP"), ("trades-page-spot", "BTC-USDT")]


def okx(channel: str, *counts: str, **more: str) -> Frame:
    row = {"instId": "BTC-USD-SWAP", "px": "1", "sz": "2", "side": "buy", "ts": str(RECV_NS // 10**6)}
    data = [{**row, "tradeId": str(n), **({"count": c} if c else {})} for n, c in enumerate(counts, 7)]
    message = {"arg": {"channel": channel}, **more, **({"data": data} if counts else {})}
    return Frame(0, RECV_NS, 0, "frame", json.dumps(message).encode(), request="wss://ws.okx.com:8443/ws/v5/public")


def test_trades_of_okx_are_joined_where_their_channel_counts_them():
    frames = [okx("trades", event="subscribe"), okx("trades", "3", "", "1"), okx("trades-all", "1")]
    assert told("okx", frames, "item", "trade_id", "trade_seq", "grain", "size_unit") == [
        ("trades-joined", 0, "7", None, "aggregate", "contracts"),
        ("trades", 1, "8", 8, "trade", "contracts"),
        ("trades-joined", 2, "9", None, "aggregate", "contracts"),
        ("trades-all", 0, "7", 7, "trade", "contracts"),
    ]


def test_trades_of_several_events_are_counted_through():
    row = {"product_id": "BTC-USD", "price": "1", "size": "2", "side": "BUY", "time": "2026-09-21T14:13:20.25Z"}
    events = [{"trades": [{**row, "trade_id": str(n)} for n in ids]} for ids in ((1, 2), (), (3,))]
    body = json.dumps({"channel": "market_trades", "events": events}).encode()
    rows = told("coinbase-advanced", [Frame(0, RECV_NS, 0, "frame", body)], "item", "trade_id", "side")
    assert rows == [("market-trades", n - 1, str(n), "sell") for n in (1, 2, 3)]
