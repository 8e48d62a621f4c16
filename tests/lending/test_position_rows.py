"""Positions out of recorded answers: every state, what is told again, and what cannot be read beside what can."""

import datetime as dt
import random
import shutil
from decimal import Decimal

import polars as pl
import pytest

import tidelake
from tests.lending.silver_frames import (
    COMET,
    START_NS,
    LaneOf,
    block_hash,
    comet_chain,
    market_of,
    record_day,
    record_state,
)
from tidelake.chains.multicall import Call
from tidelake.errors import ConfigError
from tidelake.lending.position_rows import PositionReader
from tidelake.lending.recorded import DayNote, positions_lane
from tidelake.lending.registry import markets
from tidelake.raw.store import Store
from tidelake.tables.derive import derive_table
from tidelake.tables.fact_rows import whole
from tidelake.tables.lending_positions import LENDING_POSITIONS
from tidelake.tables.maintain import drop_tables, maintain
from tidelake.tables.read import scan, stored

MARKET = market_of("pretended", "compound_v3", comet=COMET[0])
OTHER = market_of("other", "compound_v3", comet=COMET[0])
READ = {market.id: market for market in (MARKET, OTHER)}
DAYS = [f"2024-12-{day:02d}" for day in range(1, 32)]


def end_of(grid):
    return int((dt.datetime.fromisoformat(grid + "T00:00:00+00:00") + dt.timedelta(days=1)).timestamp())


def derive(store, **how):
    return derive_table(store, LENDING_POSITIONS, reader=PositionReader(lambda: READ), **how)


def rows(store, **how):
    return scan(store, LENDING_POSITIONS, **how).collect().sort("market", "grid", "asset").to_dicts()


def quarantined(store):
    return pl.read_delta(store.table_uri("quarantine")).sort("line")["reason"].to_list()


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "lake")


@pytest.fixture
def lane(store):
    return LaneOf(store, positions_lane(MARKET.id))


@pytest.mark.parametrize("alone", [False, True])
def test_amounts_are_told_to_the_last_unit_and_exactly_in_whole_tokens(store, lane, alone):
    record_day(lane, comet_chain(2**100, 1), MARKET, DAYS[0], 100, end_of(DAYS[0]) - 12, alone=alone)
    lane.seal()
    assert derive(store).rows_added == 2
    base, collateral = rows(store)
    assert (base["supplied_raw"], base["borrowed_raw"]) == (str(2**100), "1")
    assert (base["supplied"], base["borrowed"]) == (None, Decimal("0.000001"))  # 2**100 / 10**6 has 25 digits
    assert (base["symbol"], base["decimals"], base["role"], base["state"]) == ("USDC", 6, "loan", "OK")
    assert (collateral["supplied"], collateral["available"], collateral["available_raw"]) == (Decimal(5), None, None)
    assert (base["block_number"], base["block_hash"], base["grid_time"]) == (
        100, block_hash(100), dt.datetime(2024, 12, 1, tzinfo=dt.UTC),
    )  # fmt: skip
    assert base["event_time"] == dt.datetime(2024, 12, 1, 23, 59, 48, tzinfo=dt.UTC)
    assert (base["active"], base["granularity"], base["chain"], base["protocol"]) == (
        None, "daily", "ethereum", "Pretended",
    )  # fmt: skip


@pytest.mark.parametrize("state", ["NOT_DEPLOYED", "SOURCE_FAILED", "REFUSED"])
def test_a_day_that_is_not_ok_is_one_row_without_amounts(store, lane, state):
    record_state(lane, comet_chain(), MARKET, 100)
    lane.note(DayNote(DAYS[0], state, reason="why"))
    lane.seal()
    derive(store)
    (row,) = rows(store)
    assert (row["state"], row["reason"], row["asset"], row["role"], row["block_number"]) == (state, "why", "", "", None)
    assert all(row[name] is None for name in ("supplied", "supplied_raw", "borrowed", "available", "decimals"))


def test_a_failed_day_told_again_stands_as_it_was_told_last_and_as_of_before_as_it_was(store, lane):
    lane.note(DayNote(DAYS[0], "SOURCE_FAILED", reason="nobody answered"))
    lane.seal()
    derive(store)
    before = rows(store)[0]["known_at"]
    record_day(lane, comet_chain(), MARKET, DAYS[0], 100, end_of(DAYS[0]) - 1)
    lane.seal()
    derive(store)
    assert [row["state"] for row in rows(store)] == ["OK", "OK"]
    assert [row["state"] for row in rows(store, as_of=before)] == ["SOURCE_FAILED"]


def test_a_day_collected_again_at_another_block_is_a_revision_and_drops_the_assets_it_does_not_name(store, lane):
    record_day(lane, comet_chain(), MARKET, DAYS[0], 100, end_of(DAYS[0]) - 1)
    known = lane.now - 10**9
    less = comet_chain(supplied=7, borrowed=0)
    less.says(COMET[0], "numAssets()", ["uint8"], [0])
    record_day(lane, less, MARKET, DAYS[0], 99, end_of(DAYS[0]) - 13)
    lane.seal()
    derive(store)
    (row,) = rows(store)
    assert (row["supplied_raw"], row["block_number"], row["revision"]) == ("7", 99, 2)
    at = dt.datetime.fromtimestamp(known / 1e9, dt.UTC)
    assert [row["supplied_raw"] for row in rows(store, as_of=at)] == ["1000000000", str(5 * 10**18)]


def test_a_retracted_day_has_no_row_and_says_so_where_that_is_asked(store, lane):
    record_day(lane, comet_chain(), MARKET, DAYS[0], 100, end_of(DAYS[0]) - 1)
    lane.note(DayNote(DAYS[0], "RETRACTED", 100, block_hash(100), end_of(DAYS[0]) - 1, "orphaned"))
    lane.seal()
    derive(store)
    assert rows(store) == []
    (row,) = rows(store, retracted=True)
    assert (row["status"], row["state"], row["reason"]) == ("retracted", "RETRACTED", "orphaned")


def test_days_that_cannot_be_read_go_to_quarantine_and_those_beside_them_stay(store, lane):
    chain = comet_chain()
    record_day(lane, chain, MARKET, DAYS[0], 100, end_of(DAYS[0]) - 1)
    is_supply = lambda call: call.data[:4].hex() == "18160ddd" and call.to == COMET[0]  # noqa: E731
    record_day(lane, chain, MARKET, DAYS[1], 101, end_of(DAYS[1]) - 1, leave_out=is_supply)
    for selector in ("c55dae63", "18160ddd", "8285ef40", "a46fe83b"):  # the four of the first round, one cut short
        lane.call(Call(COMET[0], bytes.fromhex(selector)), b"\1" * 31, 102)
    lane.note(DayNote(DAYS[2], "OK", 102, block_hash(102), end_of(DAYS[2]) - 1))
    record_state(lane, chain, MARKET, 103)
    lane.note(DayNote(DAYS[3], "OK", 104, block_hash(104), end_of(DAYS[3]) - 1))
    record_day(lane, chain, MARKET, DAYS[4], 105, end_of(DAYS[4]))
    lane.note({"grid": 5})
    record_day(lane, chain, MARKET, DAYS[5], 106, end_of(DAYS[5]) - 1)
    lane.seal()
    assert derive(store).rejected == 5
    assert sorted({row["grid"] for row in rows(store)}) == [DAYS[0], DAYS[5]]
    reasons = quarantined(store)
    words = ("calls are not answered", "octets, expected", "state was asked at", "after the end", "is no DayNote")
    assert [word in reason for word, reason in zip(words, reasons, strict=True)] == [True] * 5, reasons


def test_pages_that_no_note_closes_say_nothing(store, lane):
    record_day(lane, comet_chain(), MARKET, DAYS[0], 100, end_of(DAYS[0]) - 1)
    record_state(lane, comet_chain(), MARKET, 101)
    lane.seal()
    assert (derive(store).rows_added, derive(store).entries) == (2, 0)


def test_a_lane_of_an_unknown_market_is_named_and_all_others_are_derived(store, lane):
    record_day(lane, comet_chain(), MARKET, DAYS[0], 100, end_of(DAYS[0]) - 1)
    lane.seal()
    unknown = LaneOf(store, positions_lane("unknown"))
    unknown.note(DayNote(DAYS[0], "NOT_DEPLOYED"))
    unknown.seal()
    with pytest.raises(ConfigError, match=r"lending\.unknown.*registry"):
        derive(store)
    assert len(rows(store)) == 2


def a_lake(store, seed):
    """Two markets over a month, with failed days, days told twice, and days that cannot be read."""
    rng = random.Random(seed)
    for market in READ.values():
        lane = LaneOf(store, positions_lane(market.id), start_ns=START_NS + rng.randrange(10**6) * 1000)
        for block, grid in enumerate([*DAYS, *rng.sample(DAYS, 5)], 100):
            chain, time = comet_chain(rng.randrange(10**9, 10**15), rng.randrange(10**9)), end_of(grid) - 5
            kind = rng.random()
            if kind < 0.15:
                lane.note(DayNote(grid, rng.choice(["SOURCE_FAILED", "REFUSED", "RETRACTED"]), reason="no"))
            elif kind < 0.25:
                record_day(lane, chain, market, grid, block, time, leave_out=lambda call: call.to == COMET[2])
            else:
                record_day(lane, chain, market, grid, block, time)
            if rng.random() < 0.3:
                lane.seal()
        if lane.frames:
            lane.seal()


@pytest.mark.parametrize("seed", range(3))
def test_rebuilt_in_another_order_of_commits_the_rows_are_the_same(tmp_path, seed):
    store = Store.open(tmp_path / "lake")
    a_lake(store, seed)
    derive(store)
    first, wrong = rows(store), sorted(quarantined(store))
    assert len(first) > 40
    assert wrong
    again = Store.open(shutil.copytree(tmp_path / "lake", tmp_path / "again"))
    drop_tables(again, ["lending_positions"])
    derive(again, max_entries=1)
    maintain(again, ["lending_positions"])
    assert rows(again) == first
    assert sorted(quarantined(again)) == wrong
    places = stored(again, LENDING_POSITIONS).select("segment", "line", "item").collect()
    assert places.is_unique().all()


def test_the_lake_derives_asks_and_rebuilds_markets_of_the_registry(tmp_path):
    lake = tidelake.open(tmp_path / "lake")
    market = next(m for m in markets().values() if m.family == "compound_v3" and m.chain == "ethereum")
    chain = comet_chain()
    chain.answers = {
        ((market.contracts["comet"].lower() if to == COMET[0] else to), data): answer
        for (to, data), answer in chain.answers.items()
    }
    holder = bytes.fromhex(COMET[0][2:]).rjust(32, b"\0")
    own = bytes.fromhex(market.contracts["comet"][2:]).rjust(32, b"\0")
    chain.answers = {(to, data.replace(holder, own)): answer for (to, data), answer in chain.answers.items()}
    chain.contracts.add(market.contracts["comet"].lower())
    lane = LaneOf(lake.store, positions_lane(market.id))
    record_day(lane, chain, market, DAYS[0], 100, end_of(DAYS[0]) - 1)
    lane.seal()
    lake.derive()
    query = "select market, sum(supplied) supplied, max(supplied_exact) most from lending_positions group by market"
    before = lake.sql(query).to_dicts()
    assert [(row["market"], row["supplied"]) for row in before] == [(market.id, 1005.0)]
    lake.rebuild(["lending_positions"])
    assert lake.sql(query).to_dicts() == before
    assert {one.table for one in lake.maintain()} >= {"lending_positions"}


@pytest.mark.parametrize(
    ("raw", "decimals", "expected"),
    [
        (None, 6, None),
        (5, None, None),
        (0, 18, "0"),
        (1, 18, "0.000000000000000001"),
        (12 * 10**24, 24, "12"),
        (1, 24, None),
        (10**38 - 1, 18, "99999999999999999999.999999999999999999"),
        (10**38, 18, None),
        (3, 0, "3"),
        (10**20, 0, None),
    ],
)
def test_whole_amounts_are_exact_or_missing(raw, decimals, expected):
    assert whole(raw, decimals) == (None if expected is None else Decimal(expected))
