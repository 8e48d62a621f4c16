"""Each documented kind of frame becomes the rows that it means, through the mapping that is meant for it."""

import hashlib
from decimal import Decimal

import pyarrow as pa
import pytest

from tests.venues.frames import EXAMPLES, RECV_NS, Example
from tidelake.raw.frame import Frame, encode_line
from tidelake.tables.decode import decode
from tidelake.tables.mapping import load_mappings
from tidelake.tables.registry import TABLES
from tidelake.tables.segment_lines import split

MAPPINGS = {(mapping.source, mapping.spec.name): mapping for mapping in load_mappings()}
STREAMED = {"quotes", "candles", "funding", "open_interest", "liquidations"}
MADE = {"quotes": "quote_id", "funding": "funding_id", "open_interest": "interest_id", "liquidations": "liquidation_id"}


def rows_of(example: Example, table: str):
    frame = Frame(0, RECV_NS, 0, "frame", example.payload.encode(), request=example.request)
    lines = split(encode_line(frame), first_n=0, known_before_ns=0)
    found = decode(TABLES[table], example.source, lines, "", {})
    assert found.rejected == []
    rows = found.rows
    for place, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            rows = rows.set_column(place, field.name, rows[field.name].cast(pa.int64()))
    return rows.to_pylist()


def plain(value: object) -> object:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else value


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e.source}/{e.mapping}")
def test_a_documented_frame_becomes_its_rows_and_nothing_else(example):
    meant = MAPPINGS[example.source, example.mapping].spec.table
    found = rows_of(example, meant)
    assert len(found) == len(example.rows)
    for row, wanted in zip(found, example.rows, strict=True):
        assert {name: plain(row[name]) for name in wanted} == wanted
        assert row["mapping_version"].startswith(f"{example.source}/{example.mapping}@")
        digest = hashlib.sha256(example.payload.encode()).hexdigest()[:16]
        if meant in MADE and MAPPINGS[example.source, example.mapping].spec.fields[MADE[meant]].digest:
            place = f".{row['item']}" if row["item"] else ""
            assert row[MADE[meant]] == f"{row['event_time']}-{digest}{place}"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e.source}/{e.mapping}")
def test_it_means_nothing_in_tables_for_which_it_has_no_example(example):
    meant = {
        MAPPINGS[other.source, other.mapping].spec.table for other in EXAMPLES if other.payload == example.payload
    } | {MAPPINGS[example.source, example.mapping].spec.table}
    for table in (STREAMED | {"trades", "instruments"}) - meant:
        assert rows_of(example, table) == [], table


def test_every_mapping_of_streamed_tables_has_an_example_with_rows():
    wanted = {key for key, m in MAPPINGS.items() if m.spec.table in STREAMED and m.spec.kind == "frame"}
    assert wanted - {(example.source, example.mapping) for example in EXAMPLES if example.rows} == set()


def test_a_bare_pong_is_no_damaged_frame():
    frames = [Frame(n, RECV_NS + n, 0, "frame", text) for n, text in enumerate((b"pong", b"pon"))]
    lines = split(b"".join(map(encode_line, frames)), first_n=0, known_before_ns=0)
    found = decode(TABLES["quotes"], "okx", lines, "", {})
    assert [bad.line for bad in found.rejected] == [1]
