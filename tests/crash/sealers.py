"""What the spawned processes of the tests of sealed files run."""

from multiprocessing.synchronize import Barrier
from pathlib import Path

from tests.processes import PATIENT_SECONDS
from tests.raw.files import LANE, seal
from tidelake.raw.sealed_files import FileLane
from tidelake.raw.store import Store


def seal_files(url: str, paths: list[str], both_open: Barrier | None = None) -> None:
    """Seal each file under its name, once both have the lane open."""
    store = Store.open(url)
    lane = FileLane(store, LANE)
    if both_open is not None:
        both_open.wait(PATIENT_SECONDS)
    for path in paths:
        seal(store, Path(path), lane=lane)
