"""What the spawned processes of the derive crash tests run."""

from unittest.mock import patch

from tests.lending.test_position_rows import READ
from tidelake.lending.position_rows import PositionReader
from tidelake.raw.store import Store
from tidelake.tables import maintain
from tidelake.tables.derive import Derived, derive_table
from tidelake.tables.lending_positions import LENDING_POSITIONS
from tidelake.tables.trades import TRADES


def derive_some(url: str, max_entries: int) -> None:
    """Derive `trades`, a few entries in each commit."""
    derive_table(Store.open(url), TRADES, max_entries=max_entries)


def derive_merging(url: str, max_entries: int) -> Derived:
    """The same, with a merge after every fourth commit."""
    with patch.multiple(maintain, MERGE_EVERY=4, CROWD=2):
        return derive_table(Store.open(url), TRADES, max_entries=max_entries)


def derive_positions(url: str, max_entries: int) -> None:
    """Derive `lending_positions` of pretended markets, a few entries in each commit."""
    reader = PositionReader(lambda: READ)
    derive_table(Store.open(url), LENDING_POSITIONS, reader=reader, max_entries=max_entries)
