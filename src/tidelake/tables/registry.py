"""The canonical tables by name."""

from tidelake.errors import NotInLake
from tidelake.tables.book_deltas import BOOK_DELTAS
from tidelake.tables.book_snapshots import BOOK_SNAPSHOTS
from tidelake.tables.candles import CANDLES
from tidelake.tables.funding import FUNDING
from tidelake.tables.instruments import INSTRUMENTS
from tidelake.tables.liquidations import LIQUIDATIONS
from tidelake.tables.open_interest import OPEN_INTEREST
from tidelake.tables.quotes import QUOTES
from tidelake.tables.regimes import REGIMES
from tidelake.tables.schema import Table
from tidelake.tables.trades import TRADES

TABLES = {
    t.name: t
    for t in (
        INSTRUMENTS,
        TRADES,
        QUOTES,
        CANDLES,
        BOOK_SNAPSHOTS,
        BOOK_DELTAS,
        FUNDING,
        OPEN_INTEREST,
        LIQUIDATIONS,
        REGIMES,
    )
}


def table(name: str) -> Table:
    """The table of that name.

    Raises:
        NotInLake: There is none; `available` lists those that exist.
    """
    try:
        return TABLES[name]
    except KeyError:
        raise NotInLake(f"no table {name!r}; tables: {', '.join(TABLES)}", available=tuple(TABLES)) from None
