"""Liquidations, logs and blocks out of recorded answers: what proves them, what takes them back."""

import datetime as dt
import json
import shutil
from decimal import Decimal

import polars as pl
import pytest

from tests.chains.generated import digest, header_json
from tests.lending.contracts import address
from tests.lending.silver_frames import LaneOf, market_of
from tests.lending.test_liquidations import CALL, log
from tidelake.lending.log_rows import BlockReader, LogReader
from tidelake.lending.recorded import BlockNote, LogsNote, blocks_lane, logs_lane
from tidelake.lending.registry import markets
from tidelake.raw.store import Store
from tidelake.tables.chain_blocks import CHAIN_BLOCKS
from tidelake.tables.chain_events import CHAIN_EVENTS
from tidelake.tables.derive import derive_table
from tidelake.tables.lending_liquidations import LENDING_LIQUIDATIONS
from tidelake.tables.maintain import drop_tables
from tidelake.tables.read import scan, stored

POOL, COMET, COMPTROLLER = address(0x90), address(0x91), address(0x92)
USDC, WETH = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
WHO, LIQUIDATOR = address(0xB2), address(0xA1)
MARKETS = {
    **markets(),  # their known assets tell decimals
    "pool": market_of("pool", "aave_v3", pool=POOL),
    "comet": market_of("comet", "compound_v3", comet=COMET),
    "ctokens": market_of("ctokens", "compound_v2", comptroller=COMPTROLLER),
}
NAMES = ("pool", "comet", "ctokens")


def told(header, found, index, tx=1):
    return {
        "address": found.address, "topics": list(found.topics), "data": found.data, "blockNumber": header["number"],
        "transactionHash": digest("tx", tx), "transactionIndex": "0x0", "blockHash": header["hash"],
        "logIndex": hex(index), "removed": False,
    }  # fmt: skip


def aave(repaid=2_500_000, seized=10**18, at=POOL):
    types = ["uint256", "uint256", "address", "bool"]
    return log(CALL, [WETH, USDC, WHO], types, [repaid, seized, LIQUIDATOR, True], at)


def record(lane, headers, logs, *, first=100, last=199, names=NAMES, **how):
    lane.page("eth_getLogs", [{"fromBlock": hex(first), "toBlock": hex(last)}], logs)
    for header in headers:
        lane.page("eth_getBlockByNumber", [header["number"], False], header)
    lane.note(LogsNote(first, last, digest("first"), digest("last"), "COVERED", "two providers", names, **how))


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "lake")


@pytest.fixture
def lane(store):
    return LaneOf(store, logs_lane("ethereum"))


def derive(store, table=LENDING_LIQUIDATIONS, **how):
    if table is CHAIN_BLOCKS:
        return derive_table(store, table, reader=BlockReader(store, None), **how)
    return derive_table(store, table, reader=LogReader(store, table, lambda: MARKETS, None), **how)


def rows(store, table=LENDING_LIQUIDATIONS, **how):
    order = ["block_number", "log_index"] if table is not CHAIN_BLOCKS else ["block_number", "block_hash"]
    return scan(store, table, **how).collect().sort(order).to_dicts()


def reasons(store):
    return pl.read_delta(store.table_uri("quarantine")).sort("table", "line", "item")["reason"].to_list()


HEADER = header_json(150, digest("149"))
OTHER = header_json(151, HEADER["hash"])


def test_an_aave_liquidation_is_one_row_with_its_time_market_and_amounts(store, lane):
    record(lane, [HEADER], [told(HEADER, aave(), 7)])
    lane.seal()
    derive(store)
    (row,) = rows(store)
    assert row["event_time"] == dt.datetime.fromtimestamp(1_700_000_000 + 12 * 150, dt.UTC)
    assert (row["market"], row["protocol"], row["event"]) == ("pool", "Pretended", "LiquidationCall")
    assert (row["debt_asset"], row["debt_decimals"], row["debt_repaid"]) == (USDC, 6, Decimal("2.5"))
    assert (row["collateral_asset"], row["collateral_seized"], row["collateral_seized_raw"]) == (WETH, 1, str(10**18))
    assert (row["bad_debt"], row["bad_debt_raw"], row["proof"], row["log_index"]) == (None, None, "two providers", 7)


def test_compound_v3_tells_the_debt_in_one_row_and_each_collateral_in_another(store, lane):
    debt = log("AbsorbDebt(address,address,uint256,uint256)", [LIQUIDATOR, WHO], ["uint256"] * 2, [5, 6], COMET)
    parts = [
        log("AbsorbCollateral(address,address,address,uint256,uint256)", [LIQUIDATOR, WHO, one], ["uint256"] * 2,
            [amount, 1], COMET)
        for one, amount in ((WETH, 3), (address(0xF00), 4))
    ]  # fmt: skip
    record(lane, [HEADER], [told(HEADER, one, place) for place, one in enumerate([debt, *parts])])
    lane.seal()
    derive(store)
    found = [(row["debt_repaid_raw"], row["collateral_asset"], row["collateral_seized_raw"]) for row in rows(store)]
    assert found == [("5", "", None), (None, WETH, "3"), (None, address(0xF00), "4")]
    assert [row["collateral_seized"] for row in rows(store)] == [None, Decimal("0.000000000000000003"), None]


def test_a_ctoken_that_no_file_knows_belongs_to_the_one_compound_v2_that_was_asked_for(store, lane):
    signature = "LiquidateBorrow(address,address,uint256,address,uint256)"
    types = ["address", "address", "uint256", "address", "uint256"]
    found = log(signature, [], types, [LIQUIDATOR, WHO, 9, address(0xC1), 8], address(0xC0))
    record(lane, [HEADER], [told(HEADER, found, 0)])
    record(lane, [HEADER], [told(HEADER, found, 1)], first=140, last=160, names=("pool",))
    lane.seal()
    assert derive(store).rejected == 1
    (row,) = rows(store)
    assert (row["market"], row["part"], row["debt_asset"], row["debt_repaid_raw"]) == (
        "ctokens", address(0xC0), None, "9",
    )  # fmt: skip


def test_logs_without_their_header_or_outside_of_their_blocks_are_refused_and_those_beside_them_stay(store, lane):
    lost, far = header_json(152, OTHER["hash"]), header_json(300, digest("299"))
    logs = [
        told(HEADER, aave(), 0),
        told(lost, aave(), 1),
        told(far, aave(), 2),
        {**told(OTHER, aave(), 3), "data": "0x01"},
    ]
    logs.append({**told(OTHER, aave(), 4), "removed": True})
    record(lane, [HEADER, OTHER, far], logs)
    lane.note({"first": "x"})
    lane.page("eth_getLogs", [{}], "no list")
    lane.note(LogsNote(1, 2, "", "", "COVERED"))
    lane.page("eth_getLogs", [{}], [told(HEADER, aave(), 9)])
    lane.note(LogsNote(100, 199, "", "", "SOURCE_FAILED", reason="they differ"))
    lane.seal()
    assert (derive(store).rejected, len(rows(store))) == (6, 1)
    assert (derive(store, CHAIN_EVENTS).rejected, len(rows(store, CHAIN_EVENTS))) == (5, 2)  # "0x01" is data as well
    words = ["no header of block", "none of blocks", "octets", "it is removed", "is no LogsNote", "expected a list"]
    found = reasons(store)[-6:]
    assert all(any(word in reason for reason in found) for word in words), found


def test_chain_events_hold_logs_as_they_were_told(store, lane):
    found = aave()
    record(lane, [HEADER], [told(HEADER, found, 7)])
    lane.seal()
    derive(store, CHAIN_EVENTS)
    (row,) = rows(store, CHAIN_EVENTS)
    assert [row[f"topic{n}"] for n in range(4)] == list(found.topics)
    assert (row["data"], row["address"], row["tx_index"], row["tx_hash"]) == (found.data, POOL, 0, digest("tx", 1))


@pytest.mark.parametrize("apart", [False, True])
def test_a_reorg_takes_back_exactly_what_the_new_branch_does_not_hold(store, lane, apart):
    record(lane, [HEADER, OTHER], [told(HEADER, aave(), 0), told(OTHER, aave(3), 5)])
    record(lane, [header_json(210, HEADER["hash"])], [], first=200, last=299)
    known = lane.now - 10**9
    if apart:
        lane.seal()
    lane.note(LogsNote(100, 199, digest("first"), digest("last"), "RETRACTED", reason="orphaned"))
    fork = header_json(151, HEADER["hash"], fork="b")
    record(lane, [HEADER, fork], [told(HEADER, aave(), 0), told(fork, aave(4), 6)])
    lane.seal()
    for table in (LENDING_LIQUIDATIONS, CHAIN_EVENTS):
        derive(store, table)
        assert [(row["block_hash"], row["log_index"]) for row in rows(store, table)] == [
            (HEADER["hash"], 0), (fork["hash"], 6),
        ]  # fmt: skip
        shown = rows(store, table, retracted=True)
        assert [row["block_hash"] for row in shown if row["status"] == "retracted"] == [OTHER["hash"]]
        before = rows(store, table, as_of=dt.datetime.fromtimestamp(known / 1e9, dt.UTC))
        assert [row["log_index"] for row in before] == [0, 5]


def test_a_reorg_leaves_rows_alone_that_stand_up_to_a_block_that_is_still_of_the_chain(store, lane):
    record(lane, [HEADER, OTHER], [told(HEADER, aave(), 0), told(OTHER, aave(3), 5)])
    lane.seal()
    for table in (LENDING_LIQUIDATIONS, CHAIN_EVENTS):
        derive(store, table)
    (first, _) = rows(store)
    void = LogsNote(100, 199, digest("first"), digest("last"), "RETRACTED", stands=150, hash_stands=HEADER["hash"])
    lane.note(void)
    lane.seal()
    for table in (LENDING_LIQUIDATIONS, CHAIN_EVENTS):
        derive(store, table)
        assert [row["status"] for row in rows(store, table, retracted=True)] == ["active", "retracted"]
    assert rows(store) == [first]


def test_derived_entry_by_entry_and_rebuilt_the_rows_are_the_same(store, lane, tmp_path):
    for number in range(6):
        header = header_json(100 + number, digest(number), fork=str(number))
        record(lane, [header], [told(header, aave(number + 1), number)], first=100, last=100 + number)
        if number % 2:
            lane.note(LogsNote(100, 100 + number, "", digest("last"), "RETRACTED"))
        lane.seal()
        derive(store, max_entries=1)
    assert [row["log_index"] for row in rows(store)] == [0, 2, 4]
    again = Store.open(shutil.copytree(tmp_path / "lake", tmp_path / "again"))
    drop_tables(again, ["lending_liquidations"])
    derive(again)
    assert rows(again, retracted=True) == rows(store, retracted=True)
    places = stored(again, LENDING_LIQUIDATIONS).select("segment", "line", "item").collect()
    assert places.is_unique().all()


def test_blocks_are_those_of_their_hashes_and_a_changed_header_is_refused(store):
    lane = LaneOf(store, blocks_lane("ethereum"))

    def pin(grid, *headers, state="PINNED", **how):
        for header in headers:
            lane.page("eth_getBlockByNumber", [header["number"], False], header)
        first = headers[0] if headers else HEADER
        number, clock = int(first["number"], 16), int(first["timestamp"], 16)
        lane.note(BlockNote(grid, state, number, first["hash"], clock, **how))

    changed = {**header_json(170, digest("169")), "stateRoot": digest("another")}
    pin("2023-11-14", HEADER, OTHER)
    pin("2023-11-15", changed)
    pin("2023-11-16", header_json(171, digest("170")), final=False)
    lane.page("eth_getBlockByNumber", ["0x1", False], json.loads("null"))
    lane.note(BlockNote("2023-11-17", "PINNED", 1, digest("1"), 1))
    lane.seal()
    assert derive(store, CHAIN_BLOCKS).rejected == 2
    found = [(row["block_number"], row["hash_proof"], row["finality"]) for row in rows(store, CHAIN_BLOCKS)]
    assert found == [(150, "proven", "final"), (151, "proven", "soft"), (171, "proven", "soft")]
    pin("2023-11-14", state="RETRACTED")
    lane.seal()
    derive(store, CHAIN_BLOCKS)
    assert [row["block_number"] for row in rows(store, CHAIN_BLOCKS)] == [171]
    assert len(rows(store, CHAIN_BLOCKS, retracted=True)) == 3
