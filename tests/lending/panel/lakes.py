"""A lake with one market, as a collection leaves it: blocks, states, logs, prices; and what comes to it later."""

import datetime as dt
import json

from tests.chains.generated import digest, header_json
from tests.lending import silver_frames
from tests.lending.contracts import address
from tests.lending.silver_frames import LaneOf, block_hash, comet_chain, record_day
from tests.lending.test_liquidations import log
from tidelake.lending.price_rows import prices_lane
from tidelake.lending.recorded import BlockNote, DayNote, LogsNote, blocks_lane, logs_lane, positions_lane
from tidelake.lending.registry import markets
from tidelake.providers.defillama import PROVIDER
from tidelake.providers.spec import Token

MARKET = "compound_v3_eth_usdc"
DAY = dt.date(2023, 11, 14)
BEFORE, AFTER = DAY - dt.timedelta(days=1), DAY + dt.timedelta(days=1)
FIRST, LAST = 18_000_100, 18_000_199  # blocks of the day
WETH = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
LATER_NS = silver_frames.START_NS + 10**15
HEADER = header_json(150, digest("149"))  # the clock is that of the day
HEADER["number"] = hex(FIRST + 50)


def comet():
    return markets()[MARKET].contracts["comet"].lower()


def end_of(day):
    return int(dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), dt.UTC).timestamp())


def fill(store, monkeypatch, cover_day=None):
    """The day before the first is pinned alone, the day is whole, and the day after failed."""
    monkeypatch.setattr(silver_frames, "COMET", (comet(), USDC, WETH))
    lane = LaneOf(store, positions_lane(MARKET))
    record_day(lane, comet_chain(), markets()[MARKET], DAY.isoformat(), LAST, end_of(DAY) - 12)
    lane.note(DayNote(AFTER.isoformat(), "SOURCE_FAILED", reason="nobody answered"))
    lane.seal()
    pins = LaneOf(store, blocks_lane("ethereum"))
    for day, block in ((BEFORE, FIRST - 1), (DAY, LAST)):
        pins.note(BlockNote(day.isoformat(), "PINNED", block, block_hash(block), end_of(day) - 12))
    pins.seal()
    (cover_day or (lambda store: cover(store, [absorbed_debt(), absorbed_weth()])))(store)
    tell_prices(store, usdc=1, weth=2_000)


def fill_with_an_hour(store, monkeypatch):
    """One hour of the market is read, and no day."""
    monkeypatch.setattr(silver_frames, "COMET", (comet(), USDC, WETH))
    lane = LaneOf(store, positions_lane(MARKET))
    record_day(lane, comet_chain(), markets()[MARKET], f"{DAY.isoformat()}T05", LAST, end_of(BEFORE) + 6 * 3_600 - 12)
    lane.seal()


def absorbed_debt():
    signature = "AbsorbDebt(address,address,uint256,uint256)"
    return log(signature, [address(1), address(2)], ["uint256"] * 2, [50_000_000, 6], comet())


def absorbed_weth():
    signature = "AbsorbCollateral(address,address,address,uint256,uint256)"
    return log(signature, [address(1), address(2), WETH], ["uint256"] * 2, [10**17, 6], comet())


def cover(store, logs, *, start_ns=silver_frames.START_NS, fork="a", proof="two providers", headers=(HEADER,)):
    lane = LaneOf(store, logs_lane("ethereum"), start_ns=start_ns)
    lane.page(
        "eth_getLogs", [{"fromBlock": hex(FIRST), "toBlock": hex(LAST)}], [_told(*one) for one in enumerate(logs)]
    )
    for header in headers:
        lane.page("eth_getBlockByHash", [header["hash"], False], header)
    lane.note(LogsNote(FIRST, LAST, digest(fork), digest(fork, "last"), "COVERED", proof, (MARKET,)))
    lane.seal()


def retract(store, *, start_ns, fork="a"):
    lane = LaneOf(store, logs_lane("ethereum"), start_ns=start_ns)
    lane.note(LogsNote(FIRST, LAST, digest(fork), digest(fork, "last"), "RETRACTED", reason="the block was orphaned"))
    lane.seal()


def _told(index, found):
    return {
        "address": found.address, "topics": list(found.topics), "data": found.data, "blockNumber": HEADER["number"],
        "transactionHash": digest("tx", 1), "transactionIndex": "0x0", "blockHash": HEADER["hash"],
        "logIndex": hex(index), "removed": False,
    }  # fmt: skip


def tell_prices(store, *, usdc, weth, start_ns=silver_frames.START_NS):
    lane = LaneOf(store, prices_lane("defillama"), "defillama", start_ns)
    (page,) = PROVIDER.pages({Token("ethereum", token): [DAY] for token in (USDC, WETH)})
    coins = {
        f"ethereum:{token}": {"price": price, "timestamp": end_of(DAY), "symbol": "T", "decimals": decimals}
        for token, price, decimals in ((USDC, usdc, 6), (WETH, weth, 18))
    }
    lane.now += 1
    lane.frames.append((lane.now, "page", json.dumps({"coins": coins}).encode(), f"GET {PROVIDER.url}{page.path}"))
    lane.seal()
