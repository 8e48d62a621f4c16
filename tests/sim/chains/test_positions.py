"""What simulated markets hold, recorded as answers of a node, is derived to the last unit of the truth."""

import datetime as dt
from decimal import Decimal

import msgspec
import pytest

from tests.lending.silver_frames import LaneOf
from tidelake.chains.multicall import Call, decode_results, encode_calls
from tidelake.lending.contracts import contracts_of
from tidelake.lending.families.registry import family
from tidelake.lending.oracle_prices import oracle_prices
from tidelake.lending.position_rows import PositionReader
from tidelake.lending.price_rows import PriceReader
from tidelake.lending.recorded import DayNote, positions_lane
from tidelake.lending.registry import markets
from tidelake.raw.store import Store
from tidelake.sim.chains.chain import SimChain
from tidelake.sim.chains.node import SimNode
from tidelake.sim.chains.truth import Truth
from tidelake.tables.derive import derive_table
from tidelake.tables.lending_positions import LENDING_POSITIONS
from tidelake.tables.read import scan
from tidelake.tables.token_prices import TOKEN_PRICES

DAYS = 3


def record(lane, node, asking, number):
    multicall = node.view.chain.spec.multicall3.address
    try:
        calls = next(asking)
        while True:
            call = Call(multicall, encode_calls(calls))
            parameters = [{"to": call.to, "data": "0x" + call.data.hex()}, hex(number)]
            answer = bytes.fromhex(msgspec.json.decode(node.answer("eth_call", parameters))[2:])
            lane.call(call, answer, number)
            calls = asking.send(decode_results(answer, calls))
    except StopIteration as done:
        return done.value


@pytest.mark.parametrize("name", ["ethereum", "bnb"])
def test_rows_of_every_market_are_the_truth(tmp_path, name):
    chain = SimChain(name, days=DAYS)
    node, truth, store = SimNode(chain), Truth(chain), Store.open(tmp_path / "lake")
    first = dt.date(1970, 1, 1) + dt.timedelta(days=chain.first_day)
    expected = {}
    for market in (markets()[found] for found in chain.markets):
        lane = LaneOf(store, positions_lane(market.id), start_ns=chain.now_s * 10**9)
        for day in (first + dt.timedelta(days=n) for n in range(DAYS)):
            number, hash_ = truth.day_block(day)
            held = truth.positions(market.id, number)
            if held is None:
                lane.note(DayNote(day.isoformat(), "NOT_DEPLOYED"))
                continue
            parts = tuple(truth.parts(market.id, number))
            record(lane, node, family(market.family).positions(contracts_of(market), parts), number)
            lane.note(DayNote(day.isoformat(), "OK", number, hash_, chain.clock.time_of(number), parts=parts))
            for one in held:
                amounts = [None if raw is None else str(raw) for raw in (one.supplied, one.borrowed, one.available)]
                expected[market.id, day.isoformat(), one.asset, one.role, one.part] = (*amounts, one.symbol or None)
        lane.seal()
    assert derive_table(store, LENDING_POSITIONS, reader=PositionReader(markets)).rejected == 0
    rows = [row for row in scan(store, LENDING_POSITIONS).collect().to_dicts() if row["asset"]]
    columns = ("supplied_raw", "borrowed_raw", "available_raw", "symbol")
    key = ("market", "grid", "asset", "role", "part")
    found = {tuple(row[c] for c in key): tuple(row[c] for c in columns) for row in rows}
    assert found == expected
    assert len(expected) > 50


def test_prices_of_an_oracle_are_the_truth_and_a_day_without_its_calls_has_none(tmp_path):
    name = "aave_v3_ethereum"
    chain = SimChain("ethereum", days=DAYS, markets=[name])
    node, truth, store, market = SimNode(chain), Truth(chain), Store.open(tmp_path / "lake"), markets()[name]
    first = dt.date(1970, 1, 1) + dt.timedelta(days=chain.first_day)
    lane = LaneOf(store, positions_lane(name), start_ns=chain.now_s * 10**9)
    expected = {}
    for day in (first + dt.timedelta(days=n) for n in range(DAYS)):
        number, hash_ = truth.day_block(day)
        held = record(lane, node, family("aave_v3").positions(contracts_of(market), ()), number)
        assets = sorted({one.asset for one in held})
        if day > first:
            assert record(lane, node, oracle_prices(market.contracts["oracle"], assets), number)
            for asset in assets:
                expected[day, asset] = Decimal(truth.price(asset, number)).scaleb(-8)
        lane.note(DayNote(day.isoformat(), "OK", number, hash_, chain.clock.time_of(number)))
    lane.seal()
    assert derive_table(store, TOKEN_PRICES, reader=PriceReader(markets)).rejected == 0
    rows = scan(store, TOKEN_PRICES).collect().to_dicts()
    assert {(row["grid_time"].date(), row["token"]): row["price_usd"] for row in rows} == expected
    assert {(row["price_source"], row["state"]) for row in rows} == {(f"oracle:{name}", "PRICED")}
    assert len(expected) > 20
