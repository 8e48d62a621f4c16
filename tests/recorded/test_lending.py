"""Real logs of Aave v3: a day of USDC.e on Polygon, decoded and rebuilt per minute by others; a liquidation."""

import ast
import csv
import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.lending.contracts import Market
from tidelake.chains.logs import LogFact, log_of
from tidelake.lending.families.aave_events import RAY, rates_on_grid, read_flow, read_rates
from tidelake.lending.families.registry import family

LENDING = Path(__file__).parents[3] / "shared" / "data" / "lending"
DAY = LENDING / "aave-v3-polygon-2024-01-06"
RECEIPT = LENDING / "aave-v3-liquidation-receipt.json"

pytestmark = pytest.mark.skipif(not DAY.is_dir(), reason="needs the recorded data in ../shared/data/lending")


def rows_of(kind):
    (path,) = DAY.glob(f"*.{kind}.csv")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def seconds(text):
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp())


@pytest.fixture(scope="module")
def logs():
    """Time of the block and the log, in order; the recording leaves out the block's hash and the pool."""
    found = []
    for row in rows_of("raw"):
        topics = tuple(ast.literal_eval(row["topics"]))
        place = (int(row["block_number"]), "0x" + "00" * 32, row["transaction_hash"], int(row["transaction_index"]))
        fact = LogFact("polygon", *place, int(row["log_index"]), "0x" + "00" * 20, topics, row["data"])
        found.append((seconds(row["block_timestamp"]), fact))
    return found


def test_every_flow_equals_the_row_that_others_decoded(logs):
    decoded = [flow for _, log in logs if (flow := read_flow(log))]
    named = {"Withdraw": "payer"}  # whom the others' column `owner` names; of the other flows it is the owner
    expected = rows_of("tick")
    assert len(expected) == 880
    assert [
        (f.log.block_number, f.log.tx_hash, f.log.log_index, f"AAVE_{f.event.upper()}", f.reserve,
         getattr(f, named.get(f.event, "owner")), f.amount)
        for f in decoded
    ] == [
        (
            int(row["block_number"]), row["transaction_hash"], int(row["log_index"]), row["tx_type"], row["reserve"],
            row["owner"], int(row["amount"]),
        )
        for row in expected
    ]  # fmt: skip


def test_rates_and_indices_rebuilt_per_minute_equal_all_1440_rows(logs):
    updates = [(at, found[1]) for at, log in logs if (found := read_rates(log))]
    start = seconds("2024-01-06 00:00:00")
    rebuilt = list(rates_on_grid(updates, start, start + 86_400, 60))
    expected = rows_of("minute")
    assert len(rebuilt) == len(expected) == 1440
    for (at, rates, age), row in zip(rebuilt, expected, strict=True):
        assert at == seconds(row["block_timestamp"])
        assert rates is not None
        assert age > 0
        for name in ("liquidity_rate", "stable_borrow_rate", "variable_borrow_rate", "liquidity_index",
                     "variable_borrow_index"):  # fmt: skip
            assert getattr(rates, name) == Decimal(row[name]) * RAY, (row["block_timestamp"], name)


def test_before_the_first_update_nothing_is_known():
    assert list(rates_on_grid([], 0, 120, 60)) == [(0, None, -1), (60, None, -1)]


def test_the_receipt_holds_one_liquidation():
    receipt = json.loads(RECEIPT.read_text())
    logs = [log_of("ethereum", told) for told in receipt["logs"]]
    aave = family("aave_v3")
    found = [aave.liquidation(Market({}), log) for log in logs if log.topics[0] in aave.by_topic]
    (row,) = found
    raw = next(told for told in receipt["logs"] if told["topics"][0] == row.log.topics[0])
    words = [raw["data"][2 + 64 * i : 66 + 64 * i] for i in range(4)]
    assert (row.debt_repaid, row.collateral_seized) == (int(words[0], 16), int(words[1], 16))
    assert row.liquidator == "0x" + words[2][24:]
    assert [row.collateral_token, row.debt_token, row.borrower] == ["0x" + topic[26:] for topic in raw["topics"][1:]]
    assert row.log.block_number == 17938283
    assert row.log.tx_hash.startswith("0xc1a03e87")
