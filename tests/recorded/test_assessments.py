"""The assessment of recorded books, exported to the layouts of both vendors."""

import datetime as dt
from pathlib import Path

import pytest

from tests.recorded.independent_reader import HFTBACKTEST
from tidelake.books.assessment.assessment import DayAssessment, judge
from tidelake.books.assessment.day_measuring import DayFiles, DayPath, measure_day
from tidelake.jobs.vendor_exports import export_to_vendor
from tidelake.raw.store import Store
from tidelake.vendors.registry import vendor as find_vendor

pytestmark = [
    pytest.mark.skipif(not HFTBACKTEST.is_dir(), reason="needs the recorded data in ../shared/data/captures"),
    pytest.mark.slow,
]

SOURCE, SYMBOL, DAY = "binance-usdm", "BTC-USDT-PERP", dt.date(2024, 8, 8)


def assessed(store: Store, folder: Path, name: str) -> DayAssessment:
    export_to_vendor(store, folder, name, source=SOURCE)
    to = find_vendor(name)
    files = []
    for table in to.tables:
        path = folder / to.key(table, to.exchange(SOURCE), to.vendor_symbol(SOURCE, SYMBOL), DAY)
        path = path / "1.snappy.parquet" if path.is_dir() else path
        files.append(DayPath(path.name, path, table, ""))
    return judge(measure_day(DayFiles(to, SOURCE, SYMBOL, DAY, files, 0)))


@pytest.fixture(scope="module", params=["crypto-lake", "tardis"])
def found(request, recorded_folder, tmp_path_factory) -> DayAssessment:
    return assessed(Store.open(recorded_folder), tmp_path_factory.mktemp("exports"), request.param)


def test_recorders_clock_was_more_than_a_second_behind_and_it_is_said(found: DayAssessment):
    (offset,) = [each for each in found.findings if each.name == "clock offset"]
    assert offset.severity == "warning"
    assert "by 1.27 s in the middle: the recorder's clock is behind the exchange's" in offset.sentence
    for table in found.figures.tables.values():
        assert table.clocks.latency_p50_ms == pytest.approx(-1_268, abs=15)
        assert table.clocks.after_received > 0.99 * table.messages
        assert table.clocks.jumps == ()


def test_every_snapshot_equals_the_replayed_deltas(found: DayAssessment):
    agreement = found.figures.agreement
    assert agreement is not None
    assert agreement.compared > 3_000
    assert agreement.share == 1
    assert found.choice.strategy == "full_event_replay"


def test_prices_and_sides_of_recorded_trades_raise_no_doubt(found: DayAssessment):
    trades = found.figures.tables["trades"].trades
    assert trades is not None
    assert (trades.outside, trades.jump_count) == (0, 0)
    assert (trades.sides_compared, trades.sides_right) == (1_605, 1_528)
    doubts = {each.name for each in found.findings if each.severity in ("warning", "serious")}
    assert doubts == {"whole day", "clock offset"}


def test_numbers_of_deltas_are_told_for_what_they_are(found: DayAssessment):
    kind = found.figures.tables["deltas"].sequences.kind
    assert kind == ("increasing" if found.figures.vendor == "crypto-lake" else "none")
