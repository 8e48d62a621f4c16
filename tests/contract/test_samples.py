"""What every registered venue owes: its samples become rows of the right shape, at the right time, exactly."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from statistics import median

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import tidelake
from tests.contract.samples import Origin, Sample, sample
from tidelake.raw.codec import key_from_environment
from tidelake.raw.frame import encode_line
from tidelake.raw.lane import seal_lines
from tidelake.raw.ledger import Ledger
from tidelake.raw.store import Store
from tidelake.tables.describe import describe_for
from tidelake.tables.mapping import load_mappings
from tidelake.tables.registry import TABLES
from tidelake.venues.registry import venues

SOURCES = sorted(venues())
ORIGINS: tuple[Origin, ...] = ("made", "recorded")
CASES = [pytest.param(source, origin, id=f"{source}-{origin}") for source in SOURCES for origin in ORIGINS]
SNAPSHOT_AGE = dt.timedelta(days=7)  # the newest trades of a quiet pair, told on subscription
ENOUGH = 50  # rows in which both sides are bound to occur
BAND = 2  # prices of one symbol within a sample lie within this factor of their median

every_sample = pytest.mark.parametrize(("source", "origin"), CASES)


def needed(source: str, origin: Origin) -> Sample:
    found = sample(source, origin)
    if found is None:
        pytest.skip(f"{source} has no {origin} sample")
    return found


def with_trades(source: str, origin: Origin) -> tuple[Sample, pl.DataFrame]:
    """The sample and its rows."""
    found = needed(source, origin)
    rows = pl.DataFrame(pl.from_arrow(found.decode().rows))
    if rows.is_empty() and origin == "recorded":
        pytest.skip(f"the {origin} sample of {source} holds no trade")
    return found, rows


@pytest.mark.parametrize("source", SOURCES)
def test_venue_has_a_sample_with_trades_inside_the_project(source):
    found = sample(source, "made")
    assert found is not None, f"put a few frames of {source} under tests/contract/samples"
    assert len(found.decode().rows) >= 3


@every_sample
def test_rows_have_the_schema_of_their_table_and_none_is_refused(source, origin):
    found = needed(source, origin)
    for table in {m.spec.table for m in load_mappings() if m.source == source}:
        decoded = found.decode(table)
        assert decoded.rows.schema == TABLES[table].schema
        assert decoded.rejected == []
        for name in TABLES[table].required:
            assert decoded.rows[name].null_count == 0, (table, name)


@every_sample
def test_times_fall_inside_the_day_of_the_sample(source, origin):
    found, rows = with_trades(source, origin)
    lag: list[dt.timedelta] = sorted((rows["known_at"] - rows["event_time"]).to_list())
    assert lag[0] > dt.timedelta(seconds=-5)
    assert lag[0] < dt.timedelta(minutes=5)
    assert lag[len(lag) // 2] < dt.timedelta(hours=12)
    assert lag[-1] < SNAPSHOT_AGE
    if origin != "recorded":
        received = dt.datetime.fromtimestamp(found.frames[0].recv_ns / 1e9, dt.UTC).date()
        assert set(rows["date"].to_list()) == {received}
        assert lag[-1] < dt.timedelta(minutes=20)


@every_sample
def test_sides_are_buy_and_sell_and_both_occur(source, origin):
    _, rows = with_trades(source, origin)
    sides = set(rows["side"].to_list())
    assert sides <= {"buy", "sell"}
    if len(rows) >= ENOUGH:
        assert sides == {"buy", "sell"}


@every_sample
def test_prices_of_a_symbol_lie_near_each_other(source, origin):
    _, rows = with_trades(source, origin)
    for (symbol,), part in rows.group_by("symbol"):
        prices: list[Decimal] = part["price"].to_list()
        middle = median(prices)
        assert middle / BAND <= min(prices) <= max(prices) <= middle * BAND, symbol
        assert all(isinstance(price, Decimal) for price in prices)


@every_sample
def test_ids_name_one_trade_each(source, origin):
    _, rows = with_trades(source, origin)
    said: dict[tuple[object, ...], set[object]] = {}
    for row in rows.iter_rows(named=True):
        key = (row["symbol"], row["grain"], row["trade_id"], row["transport"])
        said.setdefault(key, set()).add((row["event_time"], row["price"], row["size"], row["side"]))
    assert [key for key, facts_of in said.items() if len(facts_of) > 1] == []


@every_sample
def test_numbers_are_given_exactly_where_the_venue_counts(source, origin):
    _, rows = with_trades(source, origin)
    if not venues()[source].numbered:
        assert rows["trade_seq"].null_count() == len(rows)
        return
    for (_, _, _), part in rows.filter(pl.col("trade_seq").is_not_null()).group_by("symbol", "grain", "transport"):
        numbers: list[int] = sorted(set(part["trade_seq"].to_list()))
        # A wrong field (a clock, an order id) leaves more holes than numbers.
        assert numbers[-1] - numbers[0] < 10 * len(numbers) + 100_000


def filled_lake(path: Path, found: Sample) -> tidelake.Lake:
    """A lake that holds the sample as one lane of one entry."""
    store = Store.open(path)
    lane = f"{found.source}.contract"
    lines = b"".join(encode_line(replace(frame, n=n)) for n, frame in enumerate(found.frames))
    head = Ledger(store).head(lane)
    describe = describe_for(found.source)
    key = key_from_environment()
    seal_lines(store, lane, found.source, lines, describe=describe, head=head, codec="zstd", key=key, meta={})
    return tidelake.open(path)


COMPARED = ("trades", "instruments")


def tables_of(lake: tidelake.Lake) -> dict[str, pl.DataFrame]:
    return {name: lake.scan(name).collect().sort(TABLES[name].key) for name in COMPARED}


@every_sample
def test_deriving_twice_and_rebuilding_give_the_same_rows(source, origin, tmp_path):
    found, rows = with_trades(source, origin)
    lake = filled_lake(tmp_path / "lake", found)
    lake.derive(COMPARED)
    first = tables_of(lake)
    keys = ["source", "symbol", "grain", "trade_id"]
    assert len(first["trades"]) == rows.select(keys).n_unique()
    assert all(done.rows_added == 0 for done in lake.derive(COMPARED) if hasattr(done, "rows_added"))
    lake.rebuild(COMPARED)
    for name, table in tables_of(lake).items():
        assert_frame_equal(table, first[name])
