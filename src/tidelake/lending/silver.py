"""The tables that chains and price sources fill, and what reads each."""

from tidelake.errors import NotInLake
from tidelake.raw.ledger import Ledger
from tidelake.raw.store import Store
from tidelake.tables.derive import Reader

SILVER = frozenset({"chain_blocks", "chain_events", "lending_positions", "lending_liquidations", "token_prices"})


LANES = ("blocks.", "lending.", "logs.", "prices.")


def is_collected(store: Store) -> bool:
    """Whether the lake has a lane that these tables are read from."""
    return any(lane.startswith(LANES) for lane in Ledger(store).lanes())


def silver_reader(store: Store, table: str, key: bytes | None) -> Reader:
    """What reads the rows of one of these tables.

    Args:
        store: The lake.
        table: One of `SILVER`.
        key: Of encrypted segments.

    Raises:
        NotInLake: It is none of them.
    """
    from tidelake.lending.log_rows import BlockReader, LogReader
    from tidelake.lending.position_rows import PositionReader
    from tidelake.lending.price_rows import PriceReader
    from tidelake.lending.registry import markets
    from tidelake.tables.registry import table as find_table

    match table:
        case "chain_blocks":
            return BlockReader(store, key)
        case "chain_events" | "lending_liquidations":
            return LogReader(store, find_table(table), markets, key)
        case "lending_positions":
            return PositionReader(markets)
        case "token_prices":
            return PriceReader(markets)
    raise NotInLake(f"{table!r} is none of {', '.join(sorted(SILVER))}", available=tuple(sorted(SILVER)))
