"""Recorded books and trades in the layouts of vendors, read as events: they are those of the slow way."""

import re
from types import SimpleNamespace

import pytest

from tests.books.reconstruction.slow_events import events_of, expected_of, slow_day
from tests.recorded.independent_reader import HFTBACKTEST
from tests.sampling import one_in
from tidelake.books.reconstruction.merging import day_events
from tidelake.jobs.vendor_exports import export_to_vendor
from tidelake.kernels.replay_codes import DELTA, PART, TRADE, WHOLE
from tidelake.raw.store import Store
from tidelake.vendors.registry import vendor as find_vendor

pytestmark = [
    pytest.mark.skipif(not HFTBACKTEST.is_dir(), reason="needs the recorded data in ../shared/data/captures"),
    pytest.mark.slow,
]

ON_DAY = re.compile("2024[-/]08[-/]08")
KINDS = {"crypto-lake": {TRADE, DELTA, PART}, "tardis": {TRADE, DELTA, PART, WHOLE}}


@pytest.mark.parametrize(("name", "clock"), one_in(2, [("crypto-lake", "recv"), ("tardis", "event")]))
def test_events_of_a_recorded_day_equal_the_slow_way(recorded_folder, tmp_path, name, clock):
    vendor, source, symbol = find_vendor(name), "binance-spot", "BTC-USDT"
    export_to_vendor(Store.open(recorded_folder), tmp_path / "files", name, source=source, symbol=symbol)
    paths = sorted(path for path in (tmp_path / "files").rglob("*") if path.is_file() and ON_DAY.search(str(path)))
    files = [
        SimpleNamespace(path=path, table=table, sha256="")
        for table in vendor.tables
        for path in paths
        if table in path.parts
    ]
    assert len(files) == 3
    slow = slow_day(files, vendor, clock=clock, with_deltas=True)
    day = day_events(files, vendor, clock=clock, with_deltas=True, scratch=tmp_path, batch_levels=5000)
    found = events_of(day)
    assert (day.price_exponent, day.size_exponent) == (slow.price_exponent, slow.size_exponent) == (-2, -6)
    assert found == expected_of(slow)
    assert {event[0] for event in found} == KINDS[name]
