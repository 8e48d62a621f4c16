"""What a day does whose lane lost entries that the table was written by: it fails, and says how to go on."""

import pytest

from tests.books.reconstruction.true_days import SOURCE, SYMBOL, VENDOR, true_day
from tests.vendor_files import DAY
from tidelake.books.reconstruction.commits import open_events
from tidelake.books.reconstruction.day import reconstruct_day
from tidelake.books.reconstruction.task import DayTask
from tidelake.books.reconstruction.write_ahead import lane_of
from tidelake.errors import LedgerBroken
from tidelake.raw.ledger import lane_folder
from tidelake.raw.store import Store
from tidelake.tables.dropping import drop
from tidelake.tables.market_events import MARKET_EVENTS


def task(store, levels=20):
    return DayTask(store.url, VENDOR, SOURCE, SYMBOL, DAY, "full_event_replay", levels, 600 * 10**9)


def lose(store, entries):
    kept = list(store.list(lane_folder(lane_of(task(store)))))
    for key in kept[entries:]:
        store.delete(key)


@pytest.mark.parametrize("entries", [0, 1])
@pytest.mark.parametrize("levels", [20, 5])
def test_a_day_whose_lane_lost_what_the_table_holds_is_not_told_as_done(tmp_path, entries, levels):
    store = Store.open(tmp_path / "lake")
    true_day().make_ready(store, tmp_path / "files")
    first = reconstruct_day(task(store))
    lose(store, entries)
    for _ in range(2):
        with pytest.raises(LedgerBroken, match="derive market_events --rebuild"):
            reconstruct_day(task(store, levels))
    drop(store, [MARKET_EVENTS.name])
    assert reconstruct_day(task(store, levels)).rows == first.rows
    assert open_events(store).table.count() == first.rows
