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

BY_COLUMN = [mapping for mapping in load_mappings() if not mapping.spec.flatten]

LEFT = {  # frames of other channels that show the same letters and hold no list: only the slow reading can tell
    ("deribit", "trades"): 2,  # the answer that names the subscribed streams, and a bar of `chart.trades`
    ("kraken", "ticker-v2"): 1,  # a ticker of version 1
}


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
    """Documented trades of each category; an option's address is the one that a function reads."""
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
    assert refused(mapping) == LEFT.get((mapping.source, mapping.spec.name), 0)


def test_trades_of_bybit_name_their_product_and_unit_by_their_address():
    found = decoding.decode(TABLES["trades"], "bybit", lines_of(list(bybit_trades())), "", {})
    assert found.rejected == []
    rows = [
        (r["symbol"], r["size_unit"], r["mapping_version"].split("/")[1].split("@")[0]) for r in found.rows.to_pylist()
    ]
    assert rows[::2] == rows[1::2]
    assert rows[::2] == [
        ("BTC-USDT", "base", "trades-v5-spot"),
        ("BTC-USDT-PERP", "base", "trades-v5-linear"),
        ("BTC-USD-PERP", "quote", "trades-v5-inverse"),
        ("BTC-USDC-20251226-60000-C", "base", "trades-v5"),
        ("BTC-USDT-PERP", "base", "trades-v5"),
    ]
