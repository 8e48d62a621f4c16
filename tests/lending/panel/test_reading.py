"""The panel of a lake: what it reads, and that the panel as of a moment stays what it was."""

import dataclasses
import datetime as dt
import json

import polars as pl
import pytest

import tidelake
from tests.chains.generated import digest
from tests.lending.panel.lakes import (
    AFTER,
    BEFORE,
    DAY,
    HEADER,
    LATER_NS,
    MARKET,
    absorbed_debt,
    absorbed_weth,
    cover,
    fill,
    fill_with_an_hour,
    retract,
    tell_prices,
)
from tidelake.errors import NotInLake
from tidelake.lending.panel.files import write_panel


@pytest.fixture
def lake(tmp_path, monkeypatch):
    made = tidelake.open(tmp_path / "lake")
    fill(made.store, monkeypatch)
    made.derive()
    return made


def test_a_market_day_holds_what_its_contracts_logs_and_prices_tell(lake):
    day, failed = lake.lending_panel().rows.iter_rows(named=True)
    assert (day["market"], day["date"], day["status"], day["chain"]) == (MARKET, DAY, "OK", "ethereum")
    assert (day["supplied_usd"], day["borrowed_usd"], day["collateral_usd"]) == (1_000, 400, 10_000)
    assert (day["total_value_usd"], day["available_usd"], day["utilisation"]) == (10_600, 600, 0.4)
    assert (day["assets"], day["assets_held"], day["share_priced"], day["share_agreed"]) == (2, 2, 1, 0)
    assert (day["liquidations"], day["liquidations_usd"], day["seized_usd"]) == (1, 50, 200)
    assert (day["liquidations_status"], day["bad_debt_usd"], day["price_sources"]) == ("OK", None, "defillama")
    assert (failed["date"], failed["status"], failed["reason"]) == (AFTER, "SOURCE_FAILED", "nobody answered")
    assert (failed["total_value_usd"], failed["liquidations"], failed["liquidations_status"]) == (
        None, None, "NOT_COLLECTED",
    )  # fmt: skip


def test_days_and_markets_that_are_asked_for_are_there_whatever_the_lake_holds(lake):
    found = lake.lending_panel([MARKET, "aave_v3_base"], start=BEFORE, end=DAY).rows
    assert found.select("market", "date", "status").rows() == [
        ("aave_v3_base", BEFORE, "NOT_COLLECTED"),
        (MARKET, BEFORE, "NOT_COLLECTED"),
    ]
    assert lake.lending_panel(balanced=False).rows["date"].to_list() == [DAY]


@pytest.mark.parametrize(
    ("start", "end"), [(dt.date(2015, 7, 29), DAY), (DAY, dt.datetime.now(dt.UTC).date() + dt.timedelta(days=3))]
)
def test_days_before_the_first_chain_or_after_today_are_refused(lake, start, end):
    with pytest.raises(NotInLake, match="2015-07-30"):
        lake.lending_panel(start=start, end=end)


def test_a_lake_of_hours_alone_is_told_apart_from_an_empty_one(tmp_path, monkeypatch):
    lake = tidelake.open(tmp_path / "hours")
    fill_with_an_hour(lake.store, monkeypatch)
    lake.derive()
    with pytest.raises(NotInLake, match="granularity hourly alone"):
        lake.lending_panel()


def test_panel_as_of_yesterday_is_the_panel_of_yesterday(lake):
    """After prices were restated and a reorganisation took the liquidation back."""
    before = lake.lending_panel()
    yesterday = before.rows["known_at"].max()
    tell_prices(lake.store, usdc=1, weth=2_100, start_ns=LATER_NS)
    retract(lake.store, start_ns=LATER_NS)
    lake.derive()
    between = lake.lending_panel().rows.row(0, named=True)
    assert (between["liquidations"], between["liquidations_status"]) == (None, "NOT_COLLECTED")
    cover(lake.store, [], start_ns=LATER_NS + 10**12, fork="b")
    lake.derive()
    now = lake.lending_panel().rows.row(0, named=True)
    assert (now["collateral_usd"], now["liquidations"], now["liquidations_usd"]) == (10_500, 0, 0)
    then = lake.lending_panel(as_of=yesterday)
    assert then.rows.equals(before.rows)


def test_files_of_a_panel_as_of_a_moment_stay_the_same_bytes(lake, tmp_path):
    yesterday = lake.lending_panel().rows["known_at"].max()
    first = write_panel(lake.store, lake.lending_panel(as_of=yesterday), tmp_path / "first")
    tell_prices(lake.store, usdc=1, weth=2_100, start_ns=LATER_NS)
    lake.derive()
    assert write_panel(lake.store, lake.lending_panel(as_of=yesterday), tmp_path / "again") == first
    assert write_panel(lake.store, lake.lending_panel(), tmp_path / "now") != first


def test_logs_of_one_provider_are_counted_and_not_called_complete(lake):
    cover(lake.store, [absorbed_debt(), absorbed_weth()], start_ns=LATER_NS, proof="one provider")
    retract(lake.store, start_ns=LATER_NS)
    cover(
        lake.store, [absorbed_debt(), absorbed_weth()], start_ns=2 * LATER_NS - LATER_NS + 10**12, proof="one provider"
    )
    lake.derive()
    row = lake.lending_panel().rows.row(0, named=True)
    assert (row["liquidations_status"], row["liquidations"]) == ("UNPROVEN", 1)


def test_logs_that_the_tables_do_not_hold_yet_are_not_known(tmp_path, monkeypatch):
    lake = tidelake.open(tmp_path / "lake")
    fill(lake.store, monkeypatch)
    told = []
    for tables in (["lending_positions", "token_prices"], ["lending_liquidations"], ["chain_events"]):
        lake.derive(tables)
        told.append(lake.lending_panel().rows.select("liquidations_status", "liquidations", "seized_usd").row(0))
    assert told == [("NOT_COLLECTED", None, None), ("NOT_COLLECTED", None, None), ("OK", 1, 200)]
    retract(lake.store, start_ns=LATER_NS)
    cover(lake.store, [], start_ns=LATER_NS + 10**12, fork="b")
    assert lake.lending_panel().rows["liquidations"][0] == 1  # the tables hold what stood before
    lake.derive()
    assert lake.lending_panel().rows["liquidations"][0] == 0


def test_day_with_a_liquidation_that_is_not_in_its_table_tells_no_sum(tmp_path, monkeypatch):
    """One that could not be read, and one whose header is missing: neither may leave the day with what is left."""
    bad = dataclasses.replace(absorbed_debt(), data="0x01")
    foreign = {**HEADER, "hash": digest("foreign")}
    for name, logs, headers, state in (
        ("bad", [bad, absorbed_weth()], [HEADER], "REFUSED"),
        ("no-header", [absorbed_debt()], [], "NOT_COLLECTED"),
        ("other-header", [absorbed_debt()], [foreign], "NOT_COLLECTED"),
    ):
        lake = tidelake.open(tmp_path / name)
        fill(lake.store, monkeypatch, lambda store, logs=logs, headers=headers: cover(store, logs, headers=headers))
        lake.derive()
        assert lake.sql("select count(*) as rows from quarantine")["rows"][0], name
        row = lake.lending_panel().rows.row(0, named=True)
        assert (row["status"], row["liquidations_status"]) == ("OK", state), name
        assert (row["liquidations"], row["liquidations_usd"], row["seized_usd"]) == (None, None, None), name


def test_metadata_says_what_the_panel_is_made_of(lake, tmp_path):
    panel = lake.lending_panel()
    write_panel(lake.store, panel, tmp_path)
    told = json.loads((tmp_path / "metadata.json").read_text())
    assert (told["start"], told["end"], told["rows"]) == ("2023-11-14", "2023-11-16", 2)
    assert told["coverage"]["status"] == {"OK": 1, "SOURCE_FAILED": 1}
    (market,) = told["markets"]
    assert (market["id"], market["days"], market["first_observed"]) == (
        MARKET,
        {"OK": 1, "SOURCE_FAILED": 1},
        "2023-11-14",
    )
    assert [column["name"] for column in told["columns"]] == panel.rows.columns
    lanes = {one["lane"]: one["entries"] for one in told["inputs"]}
    assert lanes == {"blocks.ethereum": 1, f"lending.{MARKET}": 1, "logs.ethereum": 1, "prices.defillama": 1}
    assert told["versions"]["positions"]


def test_what_the_lake_does_not_hold_is_said(lake, tmp_path):
    with pytest.raises(NotInLake, match="no market 'nobody'"):
        lake.lending_panel(["nobody"])
    with pytest.raises(NotInLake, match="no day lies between"):
        lake.lending_panel(start=DAY, end=DAY)
    with pytest.raises(NotInLake, match="as of 2020-01-01"):
        lake.lending_panel(as_of="2020-01-01T00:00Z")
    with pytest.raises(NotInLake, match="lending collect"):
        tidelake.open(tmp_path / "empty").lending_panel()


def test_known_at_is_the_latest_of_what_a_row_rests_on(lake):
    rows = lake.lending_panel().rows
    clocks = [
        frame.select(pl.col("known_at").max()).item()
        for frame in (lake.scan("lending_positions").collect(), lake.scan("token_prices").collect())
    ]
    assert rows["known_at"][0] >= max(clocks[1], dt.datetime.fromtimestamp(0, dt.UTC))
    assert rows["known_at"][1] == clocks[0]
