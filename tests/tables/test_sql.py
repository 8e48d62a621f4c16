"""SQL: exact columns beside DOUBLE ones, no grain mixed, as of any time, and errors that say what there is."""

import datetime as dt
import json
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest

import tidelake
from tests.tables import lakes
from tests.tables.lakes import START_US, Lane, Received
from tests.tables.test_derive import utc
from tidelake.client import Lake
from tidelake.errors import ConfigError, NotInLake
from tidelake.tables import sql
from tidelake.tables.delta import open_or_create
from tidelake.tables.market_events import MARKET_EVENTS
from tidelake.tables.read import scan
from tidelake.tables.schema import PROVENANCE
from tidelake.tables.sql import QueryError

EXACT_PRICE = "12345678901.123456789012345678"


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = tidelake.open(tmp_path)
    aggregate = {"e": "aggTrade", "E": 1, "s": "BTCUSDT", "a": 1, "p": "4", "q": "8", "T": START_US // 1_000, "m": True}
    lanes = [
        ("coinbase", lakes.trade("coinbase", 1, START_US, EXACT_PRICE, "2")),
        ("coinbase", lakes.trade("coinbase", 2, START_US, "3", "0.5")),
        ("binance-spot", lakes.trade("binance-spot", 1, START_US, "5", "2")),
        ("binance-spot", json.dumps(aggregate).encode()),
        ("deribit", lakes.trade("deribit", 1, START_US, "40000", "10")),
    ]
    for number, (source, body) in enumerate(lanes):
        frame = Received((START_US + number) * 1_000, body)
        lakes.seal_lane(lake.store, Lane(f"{source}.capture.{number}", source, (frame,), 9))
    correction = lakes.trade("coinbase", 2, START_US, "30", "0.5")
    earlier = (Received((START_US + 900) * 1_000, b'{"e":1}'), Received(START_US * 1_000, correction))
    lakes.seal_lane(lake.store, Lane("coinbase.import.0", "coinbase", earlier, 9))
    lake.derive()
    return lake


def test_views_give_doubles_beside_the_exact_columns(lake):
    row = lake.sql(
        "SELECT price, price_exact, size, size_exact, notional FROM trades WHERE source = 'coinbase' AND trade_id = '1'"
    )
    assert row.schema == {
        "price": pl.Float64, "price_exact": pl.Decimal(38, 18), "size": pl.Float64,
        "size_exact": pl.Decimal(38, 18), "notional": pl.Float64,
    }  # fmt: skip
    (found,) = row.to_dicts()
    assert found["price_exact"] == Decimal(EXACT_PRICE)
    assert found["price"] == float(EXACT_PRICE)
    assert found["notional"] == float(EXACT_PRICE) * 2


def test_notional_follows_the_unit_of_size(lake):
    found = dict(lake.sql("SELECT size_unit, notional FROM trades WHERE price IN (5, 40000)").rows())
    assert found == {"base": 10.0, "quote": 10.0}
    units = lake.sql("SELECT DISTINCT size_unit FROM trades ORDER BY 1")["size_unit"].to_list()
    assert units == ["base", "quote"]


def test_grains_stand_in_views_of_their_own(lake):
    assert lake.sql("SELECT DISTINCT grain FROM trades")["grain"].to_list() == ["trade"]
    assert lake.sql("SELECT trade_id, price FROM agg_trades").rows() == [("1", 4.0)]
    assert lake.sql("SELECT count(*) FROM trades").item() == 4
    assert lake.sql("SELECT count(*) AS n FROM TRADES JOIN Agg_Trades USING (source)").item() == 1


def test_as_of_answers_differ_before_and_after_a_correction(lake):
    question = "SELECT price FROM trades WHERE source = 'coinbase' AND trade_id = '2'"
    assert lake.sql(question).item() == 30.0
    assert lake.sql(question, as_of=utc(START_US + 500)).item() == 3.0
    assert lake.sql(question, as_of="2024-01-01T00:00:00Z").is_empty()
    assert lake.sql(question, as_of=dt.datetime(2024, 1, 2, tzinfo=dt.UTC)).item() == 30.0
    with pytest.raises(ValueError, match="time zone"):
        lake.sql(question, as_of="2024-01-01T00:00:00")


def test_candles_and_quarantine_can_be_asked(lake):
    assert lake.sql("SELECT sum(trades)::BIGINT FROM candles WHERE interval = '1m'").item() == 4
    assert lake.sql("SELECT typeof(close), typeof(close_exact) FROM candles LIMIT 1").row(0) == (
        "DOUBLE",
        "DECIMAL(38,18)",
    )
    assert lake.sql("SELECT count(*) FROM quarantine").item() == 0


def test_an_unknown_table_lists_those_that_exist(lake):
    with pytest.raises(NotInLake, match=r"trade_s.*trades, agg_trades.*candles.*quarantine") as caught:
        lake.sql("SELECT * FROM trade_s")
    assert "trades" in caught.value.available
    assert "trades_stored" not in caught.value.available


def test_a_lake_without_tables_says_what_to_do(tmp_path):
    with pytest.raises(NotInLake, match="trades"):
        tidelake.open(tmp_path).sql("SELECT * FROM trades")


def test_variables_of_python_are_no_tables(lake):
    rows = query = names = pl.DataFrame({"secret": [1]})
    assert rows is query is names
    for name in ("rows", "query", "names", "store", "connection", "pl"):
        with pytest.raises(NotInLake, match=name):
            lake.sql(f"SELECT * FROM {name}")


def test_a_query_that_is_wrong_is_told_so(lake):
    with pytest.raises(QueryError, match="nosuch"):
        lake.sql("SELECT nosuch FROM trades")
    with pytest.raises(QueryError):
        lake.sql("SELEC 1")
    with pytest.raises(QueryError, match="no_such_function"):
        lake.sql("SELECT no_such_function(price) FROM trades")


@pytest.mark.parametrize("text", ["", " ", "-- nothing", ";"])
def test_an_empty_query_is_told_so(lake, text):
    with pytest.raises(QueryError):
        lake.sql(text)


def test_times_are_utc(lake):
    (at,) = lake.sql("SELECT event_time FROM trades WHERE price = 5")["event_time"]
    assert at == utc(START_US)
    assert lake.sql("SELECT event_time::VARCHAR FROM trades WHERE price = 5").item() == "2024-01-01 00:00:00+00"


def test_other_forms_hold_the_same(lake):
    question = "SELECT trade_id, price_exact FROM trades ORDER BY price"
    assert lake.sql(question, form="arrow").to_pylist() == lake.sql(question).to_dicts()
    with pytest.raises(NotInLake, match="polars"):
        lake.sql(question, form="numpy")


def test_mantissas_are_doubles_too_whoever_reads_the_files(tmp_path):
    lake = tidelake.open(tmp_path)
    mantissas, exponents = [6000012, -3, 7, None], [-2, -2, 3, 0]
    columns = {column.name: pa.nulls(4, column.type) for column in (*MARKET_EVENTS.facts, *PROVENANCE)}
    texts = dict.fromkeys([name for name, nulls in columns.items() if nulls.type == pa.string()], pa.array(["x"] * 4))
    days = dict.fromkeys(("day", "date"), pa.array([dt.date(2024, 8, 8)] * 4))
    times = dict.fromkeys(("event_time", "known_at"), pa.array([utc(START_US)] * 4))
    numbers = dict.fromkeys(("place", "recv_ns", "line", "item", "parser_version", "size_exponent"), pa.array(range(4)))
    prices = {"price_mantissa": mantissas, "price_exponent": exponents, "best_bid_price": mantissas}
    lists = {"bid_prices": pa.array([[1, 2], [], None, [3]], pa.list_(pa.int64()))}
    rows = pa.table(columns | texts | days | times | numbers | {k: pa.array(v) for k, v in prices.items()} | lists)
    handle = open_or_create(lake.store, "market_events", MARKET_EVENTS.schema, MARKET_EVENTS.partition_by)
    handle.commit(rows.select(MARKET_EVENTS.columns).cast(MARKET_EVENTS.schema), {})
    asked = "SELECT price, best_bid, bid_prices FROM market_events ORDER BY place"
    read = lake.sql(asked).rows()
    assert read == [(60000.12, 60000.12, [1, 2]), (-0.03, -0.03, []), (7000.0, 7000.0, None), (None, None, [3])]
    handed = sql._doubled(scan(lake.store, MARKET_EVENTS), MARKET_EVENTS).sort("place").collect()
    assert handed.select("price", "best_bid", "bid_prices").rows() == read
    with pytest.raises(ConfigError, match="books reconstruct"):
        lake.derive(["market_events"])
    assert lake.rebuild(["market_events"]) == []
    assert lake.tables().filter(pl.col("table") == "market_events").is_empty()
