"""Stored versions of a key are found wherever they lie, whichever batch brought them."""

import pytest
from polars.testing import assert_frame_equal

from tests.tables import lakes
from tests.tables.lakes import START_US, Lane, Received
from tidelake.raw.store import Store
from tidelake.tables.derive import derive_table
from tidelake.tables.read import conflicts
from tidelake.tables.trades import TRADES

DAY_US = 86_400_000_000


@pytest.mark.parametrize("gap", [2, 40])
def test_an_id_without_number_whose_time_is_corrected_by_days_is_served_once(tmp_path, gap):
    versions = [(START_US + 10, START_US), (START_US + 90 * DAY_US, START_US + gap * DAY_US)]
    frames = [Received(r * 1_000, lakes.trade("bybit", 1, us, "7")) for r, us in versions]
    together, apart = Store.open(tmp_path / "together"), Store.open(tmp_path / "apart")
    for place, frame in enumerate(frames):
        for store in (together, apart):
            lakes.seal_lane(store, Lane(f"bybit.capture.{place}", "bybit", (frame,), 9))
        derive_table(apart, TRADES)
    derive_table(together, TRADES)
    assert lakes.standing_rows(together).height == 1
    assert_frame_equal(lakes.standing_rows(apart), lakes.standing_rows(together))
    assert_frame_equal(conflicts(apart, TRADES), conflicts(together, TRADES))
