"""One lake with every recording of the core venues, for all tests of this folder; they leave it as it is."""

from pathlib import Path

import pytest

from tests.recorded.independent_reader import CRYPTOFEED, HFTBACKTEST
from tidelake.jobs.imports import import_recordings
from tidelake.raw.store import Store


def import_all(store: Store) -> None:
    for folder, name in ((CRYPTOFEED, "cryptofeed"), (HFTBACKTEST, "hftbacktest")):
        report = import_recordings(store, [folder], format=name)
        assert report.exit_code == 0, [file for file in report.files if file.state == "failed"]


@pytest.fixture(scope="session")
def recorded_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not CRYPTOFEED.is_dir():
        pytest.skip("needs the recorded data in ../shared/data/captures")
    folder = tmp_path_factory.mktemp("recorded") / "lake"
    import_all(Store.open(folder))
    return folder
