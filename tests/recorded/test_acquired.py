"""Recorded days in the layouts of vendors: every file passes the checks, so that they do not refuse what is good."""

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from tests.recorded.independent_reader import HFTBACKTEST
from tests.sampling import one_in
from tidelake.books.ready import local_path, ready_files
from tidelake.books.vendor_manifest import Manifest
from tidelake.jobs.acquire import acquire
from tidelake.jobs.vendor_exports import export_to_vendor
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.vendors.registry import vendor as find_vendor

pytestmark = [
    pytest.mark.skipif(not HFTBACKTEST.is_dir(), reason="needs the recorded data in ../shared/data/captures"),
    pytest.mark.slow,
]

STREAMS = [
    ("binance-spot", "BTC-USDT"),
    ("binance-spot", "ETH-USDT"),
    ("binance-usdm", "BTC-USDT-PERP"),
    ("binance-coinm", "BTC-USD-PERP"),
]
DAYS = dt.date(2024, 8, 8), dt.date(2024, 8, 10)


@pytest.fixture(scope="module")
def recorded(recorded_folder: Path) -> Store:
    return Store.open(recorded_folder)


@pytest.mark.parametrize(
    ("name", "streams"),
    one_in(
        3,
        [
            ("crypto-lake", STREAMS[::2]),
            ("crypto-lake", STREAMS[1::2]),
            ("tardis", STREAMS[::2]),
            ("tardis", STREAMS[1::2]),
        ],
    ),
    ids=["lake", "lake too", "tardis too", "tardis"],
)
def test_recorded_days_pass_every_check_and_are_kept_verbatim(
    recorded: Store, tmp_path: Path, name: str, streams: list[tuple[str, str]]
) -> None:
    vendor, store, folder = find_vendor(name), Store.open(tmp_path / "lake"), tmp_path / "source"
    for source, symbol in streams:
        export_to_vendor(recorded, folder, name, source=source, symbol=symbol)
        exchange, own = vendor.exchange(source, symbol), vendor.vendor_symbol(source, symbol)
        report = acquire(store, name, exchange=exchange, symbols=[own], start=DAYS[0], end=DAYS[1], place=str(folder))
        assert [row.reason for row in report.rows if row.state == "failed"] == []
    written = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    ready = ready_files(store)
    assert sorted(file.name for file in ready) == written
    assert {(file.source, file.symbol) for file in ready} == set(streams)
    for file in ready:
        assert local_path(store, file).read_bytes() == (folder / file.name).read_bytes()
        (frame,) = iter_frames(store, Ledger(store).entry(file.lane, file.seq).segment)
        figures = {check.name: check.found for check in msgspec.json.decode(frame.payload, type=Manifest).checks}
        assert figures.get("crossed snapshots share", 0) == 0
        assert figures.get("sequence steps back share", 0) == 0
