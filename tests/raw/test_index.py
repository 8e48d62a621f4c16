import polars as pl
import pytest

from tests.processes import process, run_at_once
from tests.raw.lanes import LANE, append, seal_each, writer
from tidelake.errors import LedgerBroken
from tidelake.raw.entry import Note
from tidelake.raw.index import TABLE, rebuild, refresh
from tidelake.raw.ledger import Ledger, entry_key
from tidelake.raw.store import Store


@pytest.fixture(params=["disk", "s3"])
def store(request, tmp_path, monkeypatch):
    monkeypatch.setenv("TIDELAKE_SPOOL", str(tmp_path / "spool"))
    return Store.open(tmp_path / "lake" if request.param == "disk" else request.getfixturevalue("s3_lake_url"))


def rows(store: Store) -> pl.DataFrame:
    table = pl.read_delta(store.table_uri(TABLE), storage_options=store.storage_options())
    return table.sort("lane", "seq", "feed", nulls_last=True)


def test_index_has_one_row_per_claim_and_grows_by_what_is_new(store):
    seal_each(store, 3)
    assert refresh(store) == 3
    assert refresh(store) == 0
    with writer(store) as lane:
        append(lane, 50, 51, 53)
        lane.seal()
        lane.note(Note("wanted", since_ns=1), "trades", "BTC-USD")
    seal_each(store, 1, lane="toy.other")
    assert refresh(store) == 3
    table = rows(store).filter(pl.col("lane") == LANE)
    assert table["seq"].to_list() == [0, 1, 2, 3, 4]
    assert table["first"].to_list() == [0, 3, 6, 50, None]
    assert table["last"].to_list() == [2, 5, 8, 53, None]
    assert table["spans"].to_list() == [1, 1, 1, 2, None]
    entries = list(Ledger(store).entries(LANE))
    assert table["prev"].to_list() == [entry.prev for entry in entries]
    assert table["hash"].to_list()[:-1] == table["prev"].to_list()[1:]
    assert table["known_at"].dt.epoch("us").to_list() == [-(-entry.known_ns // 1000) for entry in entries]


def test_rebuilt_index_equals_the_grown_one(store):
    for _ in range(3):
        seal_each(store, 2)
        refresh(store)
    grown = rows(store)
    assert rebuild(store) == grown.height == 6
    assert rows(store).equals(grown)
    assert refresh(store) == 0
    seal_each(store, 1)
    assert refresh(store) == 1
    assert rows(store)["seq"].to_list() == list(range(7))


def test_index_names_a_lane_whose_end_was_lost_and_written_again(store):
    seal_each(store, 3)
    refresh(store)
    store.delete(entry_key(LANE, 2))
    with pytest.raises(LedgerBroken, match="is missing, and it was read before"):
        refresh(store)
    with writer(store) as lane:
        append(lane, 90)
        lane.seal()
        append(lane, 91)
    with pytest.raises(LedgerBroken, match="is not the one that was read before"):
        refresh(store)
    assert rebuild(store) == 4
    assert rows(store)["last"].to_list() == [2, 5, 90, 91]
    assert refresh(store) == 0


def test_index_of_an_empty_lake_is_an_empty_table(tmp_path):
    store = Store.open(tmp_path)
    assert refresh(store) == 0
    assert rebuild(store) == 0
    assert rows(store).height == 0


def test_two_refreshes_at_once_add_each_entry_once(tmp_path):
    store = Store.open(tmp_path)
    seal_each(store, 30)
    assert run_at_once(*(process(refresh_at, store.url) for _ in range(2))) == [0, 0]
    assert rows(store)["seq"].to_list() == list(range(30))


def refresh_at(url: str) -> None:
    refresh(Store.open(url))
