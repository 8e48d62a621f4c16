"""Lending markets on a real node, the whole way: collected over JSON-RPC, derived, taken back where a reorg took it."""

import datetime as dt
from decimal import Decimal

import pytest

import tidelake
from tests.jobs.anvil_markets import E6, E18, GENESIS_S, HOURS, LIQUIDATOR, OPTIONS, PART, START, WHO, Markets, Node
from tidelake.jobs.collect_lending import CollectSettings

END = START + dt.timedelta(days=3)
DAYS = [(START + dt.timedelta(days=i)).isoformat() for i in range(3)]
TABLES = ["chain_events", "chain_blocks", "lending_liquidations", "lending_positions"]
LOGS = "block_number", "log_index"
KEY = "market", "block_hash", "tx_hash", "log_index"


@pytest.fixture
def node(start_anvil):
    return Node(start_anvil(*OPTIONS))


@pytest.fixture
def markets(node, tmp_path, monkeypatch):
    """The markets in files of the user's, and the one node in the environment as if it were two."""
    found = Markets(node)
    folder = tmp_path / "markets"
    folder.mkdir()
    found.write(folder)
    monkeypatch.setenv("TIDELAKE_MARKETS", str(folder))
    monkeypatch.setenv("TIDELAKE_RPC_INK", " ".join(f"{node.url}#rps=1000&name={name}" for name in ("one", "same")))
    return found


@pytest.fixture
def lake(tmp_path):
    return tidelake.open(str(tmp_path / "lake"))


def time_of(block):
    return dt.datetime.fromtimestamp(GENESIS_S + block * HOURS * 3600, dt.UTC)


def collect(lake, *, final=False):
    report = lake.lending.collect(["own"], START, END, CollectSettings(final=final))
    assert report.exit_code == 0, report.summary
    assert all(derived.rejected == 0 for derived in lake.derive(TABLES))
    return report


def rows(lake, table, *columns, order, **how):
    return lake.scan(table, **how).sort(*order).select(columns).collect().rows()


def liquidations(lake, **how):
    """Market, block, log and the amounts of each liquidation, in the order of logs."""
    columns = "market", "block_number", "log_index", "event", "debt_repaid_raw", "collateral_seized_raw", "bad_debt_raw"
    return rows(lake, "lending_liquidations", *columns, order=LOGS, **how)


FIRST = [
    ("v2", 10, 0, "LiquidationCall", str(1_000 * E6), str(E18 // 2), None),
    ("v3", 14, 1, "LiquidationCall", "77", "88", None),
    ("v3", 14, 2, "DeficitCreated", None, None, "99"),
    ("ctokens", 15, 0, "LiquidateBorrow", str(5 * E6), str(10**9), None),
    ("comet", 17, 0, "AbsorbDebt", str(2**100), None, None),
    ("comet", 17, 1, "AbsorbCollateral", None, str(3 * E18), None),
]
LAST = ("morpho", 18, 1, "Liquidate", str(40 * E6), str(2 * E18), str(6 * E6))


def test_liquidations_of_each_family_are_read_from_the_logs_of_real_contracts(node, markets, lake):
    node.mine(up_to=24)  # the finalized one is four before
    collect(lake, final=True)
    assert liquidations(lake) == [*FIRST, LAST]
    at, part = markets.at, "0x" + PART.hex()
    who = rows(
        lake, "lending_liquidations", "borrower", "liquidator", "debt_asset", "collateral_asset", "part", order=LOGS
    )
    assert who == [
        (WHO, LIQUIDATOR, at["usdc"], at["weth"], ""),
        (WHO, LIQUIDATOR, at["usdc"], at["weth"], ""),
        (WHO, "", at["usdc"], "", ""),
        (WHO, LIQUIDATOR, at["usdc"], at["c_native"], at["c_usdc"]),
        (WHO, LIQUIDATOR, at["usdc"], "", ""),
        (WHO, LIQUIDATOR, None, at["weth"], ""),
        (WHO, LIQUIDATOR, None, "", part),
    ]
    assert rows(lake, "lending_liquidations", "debt_repaid", "collateral_seized", order=LOGS) == [
        (1_000, Decimal("0.5")), (Decimal("0.000077"), Decimal("88e-18")), (None, None), (5, None),
        (None, None), (None, 3), (None, None),
    ]  # fmt: skip
    places = rows(
        lake, "lending_liquidations", "block_number", "block_hash", "event_time", "tx_hash", "proof", order=LOGS
    )
    assert places == [
        (block, node.block_hash(block), time_of(block), markets.liquidations[market], "two providers")
        for market, block, *_ in [*FIRST, LAST]
    ]


def test_positions_of_each_family_are_read_from_the_answers_of_real_contracts(node, markets, lake):
    node.mine(up_to=24)  # the finalized one is four before
    collect(lake, final=True)
    columns = "market", "symbol", "role", "part", "supplied_raw", "borrowed_raw", "available_raw"
    for number, day in enumerate(DAYS):
        of_day = lake.scan("lending_positions").filter(grid=day)
        found = of_day.sort("market", "symbol", "role").select(columns).collect().rows()
        assert [row for row in found if row[1] or row[0] == "ctokens"] == expected(markets.at, number)
        last = 4 * number + 11
        assert set(of_day.select("block_number", "block_hash").collect().rows()) == {(last, node.block_hash(last))}
    states = lake.scan("lending_positions").filter(market="comet").sort("grid").select("grid", "state").collect().rows()
    assert states == [(DAYS[0], "NOT_DEPLOYED"), *((day, "OK") for day in DAYS[1:] for _ in range(2))]
    told = lake.scan("lending_positions").filter(grid=DAYS[0]).sort("market", "symbol")
    flags = told.select("market", "symbol", "active", "frozen", "paused").collect().rows()
    assert [row for row in flags if row[0] in ("v2", "v3")] == [
        ("v2", "USDC", True, False, None), ("v2", "WETH", True, True, None),
        ("v3", "USDC", True, False, False), ("v3", "WETH", True, False, True),
    ]  # fmt: skip


def expected(at, day):
    """What stands at the end of a day: market, symbol, role, part, supplied, borrowed and available."""
    owned, part = str((1000 + day) * E6), "0x" + PART.hex()
    comet = [
        ("comet", "USDC", "loan", "", str((9000 + day) * E6), str(3000 * E6), str(6000 * E6)),
        ("comet", "WETH", "collateral", "", str(4 * E18), "0", None),
    ]
    return [
        *(comet if day else ()),
        ("ctokens", None, "loan", at["c_native"], str(3 * 10**11), "0", "7"),
        ("ctokens", "USDC", "loan", at["c_usdc"], str((2 + day) * 10**8), str(250 * E6), "7"),
        ("morpho", "USDC", "loan", part, str((5000 + day) * E6), str(2000 * E6), str((3000 + day) * E6)),
        ("v2", "USDC", "loan", "", owned, str(411 * E6), str(600 * E6 + day)),
        ("v2", "WETH", "loan", "", owned, str(411 * E6), str(day)),
        ("v3", "USDC", "loan", "", owned, str(400 * E6), str(600 * E6 + day)),
        ("v3", "WETH", "loan", "", owned, str(400 * E6), str(day)),
    ]


@pytest.mark.parametrize("again", [None, 0, 1], ids=["gone", "in the same block", "in a later block"])
def test_a_reorg_takes_back_the_one_liquidation_that_it_removes(node, markets, lake, again):
    """Blocks from 18 on are replaced; 17, of the same day, stays. The transaction is gone or is in another block."""
    collect(lake)
    before, known = everything(lake), dt.datetime.now(dt.UTC)
    gone = node.block_hash(18)
    lost = markets.liquidations["morpho"]
    moved = [] if again is None else [[node.ask("eth_getRawTransactionByHash", lost), again]]
    node.ask("anvil_reorg", 4, moved)
    assert node.block_hash(18) != gone
    (rechecked,) = lake.lending.recheck().rows
    assert (rechecked.retracted, rechecked.ranges > 0, rechecked.reason) == (1, True, "")
    lake.derive(TABLES)
    assert taken_back(before, everything(lake)) == {("morpho", gone, lost, 1)}
    assert liquidations(lake) == FIRST
    collect(lake)
    now = everything(lake)
    assert taken_back(before, now) == {("morpho", gone, lost, 1)}
    assert liquidations(lake) == FIRST if again is None else [*FIRST, ("morpho", 18 + again, *LAST[2:])]
    told = {key for key in now if key not in before}
    assert told == (set() if again is None else {("morpho", node.block_hash(18 + again), lost, 1)})
    assert liquidations(lake, as_of=known) == [*FIRST, LAST]
    last = lake.scan("lending_positions").filter(grid=DAYS[2]).select("block_hash", "state").unique().collect()
    assert last.rows() == [(node.block_hash(19), "OK")]


def everything(lake):
    """The standing and the retracted liquidations: by market and log, what the row says but for when it was known."""
    found = lake.scan("lending_liquidations", retracted=True).collect().to_dicts()
    return {
        tuple(row[name] for name in KEY): (row["status"], row["known_at"], row["segment"], row["line"]) for row in found
    }


def taken_back(before, now):
    """The rows of `before` that are not as they were: each must be retracted by a later version."""
    changed = {key for key, row in before.items() if now[key] != row}
    assert all(now[key][0] == "retracted" and now[key][1] > before[key][1] for key in changed)
    return changed
