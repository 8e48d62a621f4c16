"""The canonical tables by name."""

from tidelake.errors import NotInLake
from tidelake.tables.book_deltas import BOOK_DELTAS
from tidelake.tables.book_snapshots import BOOK_SNAPSHOTS
from tidelake.tables.candles import CANDLES
from tidelake.tables.chain_blocks import CHAIN_BLOCKS
from tidelake.tables.chain_events import CHAIN_EVENTS
from tidelake.tables.funding import FUNDING
from tidelake.tables.instruments import INSTRUMENTS
from tidelake.tables.lending_liquidations import LENDING_LIQUIDATIONS
from tidelake.tables.lending_positions import LENDING_POSITIONS
from tidelake.tables.liquidations import LIQUIDATIONS
from tidelake.tables.market_events import MARKET_EVENTS
from tidelake.tables.open_interest import OPEN_INTEREST
from tidelake.tables.quotes import QUOTES
from tidelake.tables.regimes import REGIMES
from tidelake.tables.schema import Table
from tidelake.tables.stablecoins import STABLECOIN_TABLES
from tidelake.tables.token_prices import TOKEN_PRICES
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
        MARKET_EVENTS,
        CHAIN_BLOCKS,
        CHAIN_EVENTS,
        LENDING_POSITIONS,
        LENDING_LIQUIDATIONS,
        TOKEN_PRICES,
        *STABLECOIN_TABLES,
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
