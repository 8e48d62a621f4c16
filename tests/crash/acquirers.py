"""What the spawned processes of the tests of acquired files run."""

import datetime as dt

from tidelake.jobs.acquire import AcquireSettings, acquire
from tidelake.raw.store import Store


def acquire_days(url: str, place: str, start: str, end: str, workers: int = 2) -> None:
    """Acquire all tables of Crypto Lake of one symbol."""
    acquire(
        Store.open(url),
        "crypto-lake",
        exchange="BINANCE",
        symbols=["BTC-USDT"],
        start=dt.date.fromisoformat(start),
        end=dt.date.fromisoformat(end),
        place=place,
        settings=AcquireSettings(workers=workers),
    )
