"""What the spawned processes of the tests of sealed files run."""

import time
from pathlib import Path

from tests.raw.files import LANE, seal
from tidelake.raw.sealed_files import FileLane
from tidelake.raw.store import Store


def seal_files(url: str, paths: list[str], start: float = 0.0) -> None:
    """Seal each file under its name, from the moment `start`."""
    store = Store.open(url)
    lane = FileLane(store, LANE)
    time.sleep(max(0.0, start - time.time()))
    for path in paths:
        seal(store, Path(path), lane=lane)
