"""What the spawned processes of the derive crash tests run."""

from tidelake.raw.store import Store
from tidelake.tables.derive import derive_table
from tidelake.tables.trades import TRADES


def derive_some(url: str, max_entries: int) -> None:
    """Derive `trades`, a few entries in each commit."""
    derive_table(Store.open(url), TRADES, max_entries=max_entries)
