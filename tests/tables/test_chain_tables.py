"""The tables of chains: what a log or a header tells fits their columns, every digit of it."""

import pytest

from tidelake.tables.chain_blocks import CHAIN_BLOCKS
from tidelake.tables.chain_events import CHAIN_EVENTS


@pytest.mark.parametrize(
    ("table", "key"),
    [
        (CHAIN_BLOCKS, ("chain", "block_hash")),
        (CHAIN_EVENTS, ("chain", "block_hash", "tx_hash", "log_index")),
    ],
)
def test_facts_are_known_by_their_block(table, key):
    assert table.key == key
    assert set(key) | {"chain", "date", *table.sort_by, *table.partition_by} <= set(table.columns)
    assert not set(key) & set(table.values)
    assert {field.name: field.nullable for field in table.contested_schema} == dict.fromkeys(key, False)


def test_values_of_256_bits_are_kept_as_text():
    rows = CHAIN_EVENTS.no_rows.to_pydict()
    assert CHAIN_EVENTS.schema.field("data").type == CHAIN_EVENTS.schema.field("topic0").type == "string"
    assert rows.keys() == set(CHAIN_EVENTS.columns)
