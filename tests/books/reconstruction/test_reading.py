"""Readers of reconstructed events: order, forms, what is not known, the grid, hftbacktest's array."""

import datetime as dt
from decimal import Decimal

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st
from polars.testing import assert_frame_equal

import tidelake
from tests.books.reconstruction.true_days import SOURCE, SYMBOL, true_day
from tests.vendor_files import DAY
from tidelake.books.reconstruction import partitions
from tidelake.books.reconstruction.commits import open_events
from tidelake.books.reconstruction.hftbacktest import (
    AT_EXCHANGE,
    AT_LOCAL,
    BUY,
    CLEAR,
    DEPTH,
    EVENT,
    SELL,
    SNAPSHOT,
    TRADE,
    in_both_orders,
)
from tidelake.books.reconstruction.numbers import as_decimals
from tidelake.errors import FormatDrift, NotInLake
from tidelake.jobs.reconstruct import ReconstructSettings, plan_days, reconstruct
from tidelake.tables.market_events import MARKET_EVENTS

NOON = dt.datetime.combine(DAY, dt.time(12), dt.UTC)


@pytest.fixture(scope="module")
def made():
    return true_day()


@pytest.fixture(scope="module")
def lake(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("readers")
    lake = tidelake.open(folder / "lake")
    made.make_ready(lake.store, folder / "files")
    settings = ReconstructSettings(levels=10, every_ns=60 * 10**9)
    report = reconstruct(lake.store, plan_days(lake.store), settings)
    assert report.exit_code == 0
    return lake


@pytest.fixture(scope="module")
def book(lake):
    return lake.book(SOURCE, SYMBOL)


def test_batches_hold_every_row_once_in_order_whatever_their_size(book, monkeypatch):
    whole = pl.concat(book.events())
    assert whole["place"].to_list() == list(range(whole.height))
    assert whole["price"].dtype == pl.Decimal(38, 18)
    monkeypatch.setattr(partitions, "WINDOW_ROWS", 97)
    small = list(book.events(batch=50))
    assert max(batch.height for batch in small) == 50
    assert_frame_equal(pl.concat(small), whole)
    halves = [pl.concat(book.events(end=NOON)), pl.concat(book.events(start=NOON))]
    assert_frame_equal(pl.concat(halves), whole)
    assert halves[0]["recv_ns"].max() < int(NOON.timestamp()) * 10**9 <= halves[1]["recv_ns"].min()


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("files", ["all", "some"])
def test_rows_of_files_without_bounds_are_read(made, tmp_path, files, checkpoint, monkeypatch):
    lake = tidelake.open(tmp_path / "lake")
    made.make_ready(lake.store, tmp_path / "files")
    reconstruct(lake.store, plan_days(lake.store), ReconstructSettings(levels=10, every_ns=60 * 10**9))
    book = lake.book(SOURCE, SYMBOL)
    before = pl.concat(book.events())
    handle = open_events(lake.store)
    rows = pl.read_delta(handle.table).sort("place").select(MARKET_EVENTS.schema.names)
    half = rows.height // 2
    not_a_number = (
        pl.when(pl.col("place") == half).then(float("nan")).otherwise("drift_best_rms").alias("drift_best_rms")
    )
    bad = rows.with_columns(drift_best_rms=not_a_number).to_arrow().cast(MARKET_EVENTS.schema)
    others = MARKET_EVENTS.schema.empty_table() if files == "all" else bad[: half - 5]
    handle.commit(others, {}, replace=[{}])
    handle.commit(bad[len(others) :], {})
    found = handle.files()
    assert (found["min.place"].null_count(), found.height) == ((1, 1) if files == "all" else (1, 2))
    if checkpoint:
        handle.table.create_checkpoint()
    expected = before.with_columns(not_a_number)
    assert_frame_equal(pl.concat(book.events()), expected)
    monkeypatch.setattr(partitions, "WINDOW_ROWS", 97)
    assert_frame_equal(pl.concat(book.events()), expected)


def test_forms_and_mantissas_say_the_same(book):
    exact = pl.concat(book.events(levels=3))
    table = pa.concat_tables(book.events(levels=3, form="arrow"))
    assert_frame_equal(pl.DataFrame(pl.from_arrow(table)), exact)
    (arrays,) = book.events(levels=3, form="numpy")
    np.testing.assert_array_equal(arrays["price"], exact["price"].cast(pl.Float64).fill_null(np.nan).to_numpy())
    has = exact["bid_prices"].is_not_null().to_numpy()
    shown = exact["bid_prices"].drop_nulls().list.to_array(3).cast(pl.Array(pl.Float64, 3)).to_numpy()
    np.testing.assert_array_equal(arrays["bid_prices"][has], shown)
    assert np.isnan(arrays["bid_prices"][~has]).all()
    (mantissas,) = book.events(levels=3, form="numpy", mantissas=True)
    scale = Decimal(1).scaleb(-2)
    assert [Decimal(int(m)) * scale for m in mantissas["price_mantissa"][:5]] == exact["price"][:5].to_list()
    assert "bid_prices" not in next(book.events(levels=0)).columns
    with pytest.raises(NotInLake, match="polars, arrow or numpy"):
        next(book.events(form="pandas"))


def test_levels_beyond_the_known_depth_are_null_unless_asked_for(book, made):
    rows = pl.concat(book.events(levels=10, unproven=True)).filter(pl.col("event_type") == "book")
    assert rows["bids_known"].max() == 10
    known = pl.concat(book.events(levels=10)).filter(pl.col("event_type") == "book")
    early = known.filter(pl.col("rule") == "no snapshot yet")
    assert early.height == 0 or early["best_bid"].null_count() == early.height
    for row, all_of_it in zip(known.iter_rows(named=True), rows.iter_rows(named=True), strict=True):
        count = row["bids_known"]
        assert row["bid_prices"][:count] == all_of_it["bid_prices"][:count]
        assert row["bid_prices"][count:] == [None] * (len(all_of_it["bid_prices"]) - count)
        bids, asks = made.books[row["update_id"]]
        assert [int(price * 100) for price in all_of_it["bid_prices"]] == sorted(bids, reverse=True)[:10]
        assert [int(price * 100) for price in all_of_it["ask_prices"]] == sorted(asks)[:10]
        best = sorted(bids, reverse=True)[:5], sorted(asks)[:5]
        bid, ask = sum(bids[tick] for tick in best[0]), sum(asks[tick] for tick in best[1])
        assert row["imbalance"] == pytest.approx((bid - ask) / (bid + ask))


def test_moments_of_the_grid_are_regular_and_say_how_old_they_are(book, made):
    rows = pl.concat(book.snapshots(every="2m", levels=1, unproven=True))
    steps = rows["at"].diff().drop_nulls().unique().to_list()
    assert steps == [dt.timedelta(minutes=2)]
    ends = {row["sequence_number"]: row["received_time"] for row in made.deltas}
    for row in rows.iter_rows(named=True):
        at_ns = int(row["at"].timestamp()) * 10**9
        last = max(number for number, ns in ends.items() if ns <= at_ns)
        assert row["update_id"] == last
        assert row["best_bid"] == Decimal(max(made.books[last][0])).scaleb(-2)
        assert row["carried"] == (ends[last] <= at_ns - 120 * 10**9 and row["age"] >= dt.timedelta(minutes=2))
    with pytest.raises(NotInLake, match="kept every 60000 ms"):
        list(book.snapshots(every="90s"))


@pytest.mark.parametrize("every_ns", [0, 60 * 10**9], ids=["every event", "grid"])
@pytest.mark.parametrize("strategy", ["full_event_replay", "origin_time_sort"])
def test_nothing_is_shown_or_known_before_the_last_message_in_it_came(tmp_path, strategy, every_ns):
    made, word = true_day(), "origin_time" if strategy == "origin_time_sort" else "received_time"
    late = {7: 70, 8: 20 - 216, 9: 25 - 2 * 216}  # s; two messages overtake one, which comes after a moment of the grid
    for row in made.deltas:
        row[word] += late.get(row["sequence_number"] % 50, 0) * 10**9
    lake = tidelake.open(tmp_path / "lake")
    made.make_ready(lake.store, tmp_path / "files", keep=lambda row: row["sequence_number"] != 1055)
    planned = plan_days(lake.store, strategy=strategy)
    reconstruct(lake.store, planned, ReconstructSettings(levels=5, every_ns=every_ns))
    book = lake.book(SOURCE, SYMBOL)
    moments = pl.concat(book.snapshots(every="60s", unproven=True)).select("at", "update_id").rows()
    known = pl.concat(book.events()).select("known_at", "update_id").drop_nulls().rows()
    for clock, rows in ((word, moments), ("received_time", known)):
        came = {row["sequence_number"]: row[clock] for row in made.deltas}
        latest = dict(zip(came, np.maximum.accumulate(list(came.values())).tolist(), strict=True))
        assert all(int(at.timestamp()) * 10**9 + at.microsecond * 1_000 >= latest[number] for at, number in rows)


def test_a_book_that_nobody_reconstructed_or_two_did_must_be_named(lake, book):
    with pytest.raises(NotInLake, match="no reconstruction of binance-spot ETH-USDT"):
        lake.book(SOURCE, "ETH-USDT").events()
    planned = plan_days(lake.store, strategy="snapshot_anchored")
    reconstruct(lake.store, planned, ReconstructSettings(every_ns=60 * 10**9))
    try:
        with pytest.raises(NotInLake, match="strategy=full_event_replay; vendor=crypto-lake strategy=snapshot_anch"):
            book.events()
        assert len(list(book.events(strategy="snapshot_anchored"))) == 1
    finally:
        lake.rebuild(["market_events"])
        reconstruct(lake.store, plan_days(lake.store), ReconstructSettings(levels=10, every_ns=60 * 10**9))


def hftbacktest_books(events):
    """Size by price of bids and asks that hftbacktest's local side holds after these events."""
    sides: dict[int, dict[float, float]] = {BUY: {}, SELL: {}}
    local = events[(events["ev"] & AT_LOCAL) != 0]
    for ev, px, qty in zip(local["ev"].tolist(), local["px"].tolist(), local["qty"].tolist(), strict=True):
        side, kind = ev & (BUY | SELL), ev & 0xFF
        if kind == CLEAR:
            sides[side] = {p: q for p, q in sides[side].items() if (p < px if side == BUY else p > px)}
        elif kind in (DEPTH, SNAPSHOT):
            sides[side].pop(px, None)
            if qty:
                sides[side][px] = qty
    return sides[BUY], sides[SELL]


@pytest.mark.parametrize("start", [None, f"{DAY}T12:00:00Z"])
def test_hftbacktest_events_end_in_the_true_book(book, made, start):
    events = book.hftbacktest(start)
    bids, asks = made.books[max(made.books)]
    for found, true, best in zip(hftbacktest_books(events), (bids, asks), (max, min), strict=True):
        assert best(found) == best(true) / 100
        assert all(found[tick / 100] == lots / 1000 for tick, lots in true.items() if tick / 100 in found)
        assert set(found) <= {tick / 100 for tick in true}


def test_hftbacktest_events_hold_each_trade_in_the_order_of_the_local_clock(book, made):
    events = book.hftbacktest()
    assert events.dtype.itemsize == 64
    local = events[(events["ev"] & AT_LOCAL) != 0]
    assert (np.diff(local["local_ts"]) >= 0).all()
    trades = local[(local["ev"] & 0xFF) == TRADE]
    assert trades["qty"].tolist() == [row["quantity"] for row in made.trades]
    assert trades["exch_ts"].tolist() == [row["origin_time"] for row in made.trades]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=30))
def test_each_event_stands_once_in_the_order_of_each_clock(times):
    events = np.zeros(len(times), EVENT)
    events["exch_ts"], events["local_ts"] = np.array(times, np.int64).reshape(-1, 2).T
    events["order_id"] = np.arange(len(times))
    found = in_both_orders(events)
    by = {"exch_ts": AT_EXCHANGE, "local_ts": AT_LOCAL}
    assert len(found) <= 2 * len(times)
    assert (found["ev"] != 0).all()
    local_order = np.argsort(events["local_ts"], kind="stable")
    for clock, flag in by.items():
        mine = found[(found["ev"] & flag) != 0]
        expected = local_order[np.argsort(events[clock][local_order], kind="stable")]
        assert mine["order_id"].tolist() == expected.tolist()


@given(st.lists(st.none() | st.integers(-(10**15), 10**15)), st.integers(-18, 3))
def test_decimals_are_exact_and_what_does_not_fit_is_refused(values, exponent):
    exact = as_decimals(pa.array(values, pa.int64()), exponent).to_pylist()
    assert exact == [None if value is None else Decimal(value).scaleb(exponent) for value in values]
    with pytest.raises(FormatDrift, match="mantissas=True"):
        as_decimals(pa.array([1]), -19)
