"""One lake with every recording of the core venues, for all tests of this folder; they leave it as it is."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import tidelake
from tests.recorded.independent_reader import CRYPTOFEED, HFTBACKTEST
from tidelake.jobs.imports import import_recordings
from tidelake.raw.store import Store


def import_all(folder: Path) -> None:
    for recordings, name in ((CRYPTOFEED, "cryptofeed"), (HFTBACKTEST, "hftbacktest")):
        report = import_recordings(Store.open(folder), [recordings], format=name)
        assert report.exit_code == 0, [file for file in report.files if file.state == "failed"]


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A copy of a folder that the first of all workers of the run to ask for it has made."""
    own = tmp_path_factory.mktemp("recorded")
    whole_run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        whole_run = whole_run.parent
    made = whole_run / f"{name}-made-once"
    with (whole_run / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make(own / "being-made")
            (own / "being-made").rename(made)
    return Path(shutil.copytree(made, own / "lake"))


@pytest.fixture(scope="session")
def recorded_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All recordings imported, nothing derived."""
    if not CRYPTOFEED.is_dir():
        pytest.skip("needs the recorded data in ../shared/data/captures")
    return made_once(tmp_path_factory, "recorded", import_all)


@pytest.fixture(scope="session")
def derived_folder(recorded_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with all tables."""

    def make(folder: Path) -> None:
        shutil.copytree(recorded_folder, folder)
        tidelake.open(folder).derive()

    return made_once(tmp_path_factory, "derived", make)
