"""Stored versions of a key are found wherever they lie, whichever batch brought them."""

import polars as pl
import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

from tests.tables import lakes
from tests.tables.lakes import START_US, Lane, Received
from tidelake.raw.store import Store
from tidelake.tables import lookup
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


def test_an_id_of_the_last_microseconds_of_a_file_is_found_there(tmp_path):
    store = Store.open(tmp_path)
    us = START_US + 135_041  # the log says of the file that it ends at 135 ms
    repeats = []
    for place in range(2):
        frame = Received((us + place) * 1_000, lakes.trade("kraken", 1, us, "7"))
        lakes.seal_lane(store, Lane(f"kraken.capture.{place}", "kraken", (frame,), 1))
        repeats.append(derive_table(store, TRADES).repeats)
    assert repeats == [0, 1]
    assert lakes.standing_rows(store).height == 1


@pytest.mark.parametrize("slots", [lookup.MOST_SLOTS, 16])
def test_many_batches_of_one_derive_serve_what_one_batch_does(tmp_path, monkeypatch, slots):
    monkeypatch.setattr(lookup, "FEWEST_SLOTS", 8)
    monkeypatch.setattr(lookup, "MOST_SLOTS", slots)
    lanes = lakes.make_lanes(11, sources=("bybit", "coinbase"))
    whole, pieces = Store.open(tmp_path / "whole"), Store.open(tmp_path / "pieces")
    for store in (whole, pieces):
        lakes.seal_all(store, lanes)
    derive_table(whole, TRADES)
    report = derive_table(pieces, TRADES, max_entries=1)
    assert report.repeats > 0
    assert report.commits > 6
    assert_frame_equal(lakes.standing_rows(pieces), lakes.standing_rows(whole))
    assert_frame_equal(conflicts(pieces, TRADES), conflicts(whole, TRADES))


def test_a_key_is_found_after_another_engine_merged_its_file_with_one_of_the_same_derive(tmp_path):
    store = Store.open(tmp_path)

    def seal(number: int, trades: list[tuple[int, str]]) -> None:
        frames = [Received((START_US + n) * 1_000, lakes.trade("bybit", n, START_US + n, price)) for n, price in trades]
        lakes.seal_lane(store, Lane(f"bybit.capture.{number}", "bybit", tuple(frames), 1))

    def merge(table: str, _: int) -> None:
        DeltaTable(store.table_uri(table)).optimize.compact()  # a commit of ours would make the derive begin again

    seal(0, [(1, "7")])
    derive_table(store, TRADES)
    seal(1, [(2, "7"), (3, "7"), (1, "8")])
    derive_table(store, TRADES, max_entries=1, progress=merge)
    assert lakes.standing_rows(store).height == 3
    assert conflicts(store, TRADES).height == 1


def test_a_rebuild_does_not_read_the_files_that_it_wrote(tmp_path, monkeypatch):
    store = Store.open(tmp_path)
    frames = [Received((START_US + n) * 1_000, lakes.trade("bybit", n, START_US + n, "7")) for n in range(1, 9)]
    lakes.seal_lane(store, Lane("bybit.capture.0", "bybit", tuple(frames[:6]), 1))
    read = []

    def scan_parquet(paths, **options):
        read.append(len(paths))
        return original(paths, **options)

    original = pl.scan_parquet
    monkeypatch.setattr(pl, "scan_parquet", scan_parquet)
    assert derive_table(store, TRADES, max_entries=1).commits == 6
    assert read == []
    lakes.seal_lane(store, Lane("bybit.capture.0", "bybit", tuple(frames[6:]), 1))
    derive_table(store, TRADES, max_entries=1)
    assert read == [6, 6]  # those of the first pass alone
